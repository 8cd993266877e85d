//! The stage: a node with a master that acknowledges everything and writes down what it hears, and an agent on a node of
//! its own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{Actor, Handler};
use agent::{AgentConfig, Running, SandboxLimits};
use containerizer::isolator::Isolator;
use libactor::{
    Accepts, Context, Handle, Message, Name, Node, NodeConfig, Pid, Received, Secret, Spawn,
};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::carried::Carried;
use protocol::framework::FrameworkInfo;
use protocol::ids::*;
use protocol::resources::Resources;
use protocol::task::*;
use serde::{Deserialize, Serialize};
use tests::cluster::{Process, airside};
use tokio::sync::mpsc;

pub(crate) use crate::look::*;

#[path = "stage/files.rs"]
mod files;

/// From the story to its master: say this to the agent.
#[derive(Serialize, Deserialize)]
struct Say(Box<MasterToAgent>);

impl Message for Say {
    const NAME: &'static str = "stage.Say";
}

/// Registers whoever comes, acknowledges all unless told otherwise, passes on what it hears.
struct Master {
    heard: mpsc::UnboundedSender<AgentToMaster>,
    agent: Option<Pid>,
    acknowledges: Arc<AtomicBool>,
}

impl Actor for Master {
    type Context = Context<Self>;
}

impl Handler<Received<Say>> for Master {
    type Result = ();

    fn handle(&mut self, said: Received<Say>, ctx: &mut Context<Self>) {
        if let Some(agent) = self.agent {
            ctx.tell(agent, *said.message.0).unwrap();
        }
    }
}

/// What a master says to an agent that it takes; one that pings so seldom that no test sees it.
pub(crate) fn registered() -> MasterToAgent {
    MasterToAgent::Registered {
        epoch: 1,
        agent: AgentId::new("S1"),
        cluster: ClusterId::new("C"),
        master: MasterId::new("M"),
        ping_every: Duration::from_secs(100),
        silent_after: Duration::from_secs(1000),
    }
}

impl Handler<Received<AgentToMaster>> for Master {
    type Result = ();

    fn handle(&mut self, received: Received<AgentToMaster>, ctx: &mut Context<Self>) {
        let from = received.from.unwrap();
        match &received.message {
            AgentToMaster::Register { .. }
            | AgentToMaster::RegisterAt { .. }
            | AgentToMaster::Reregister { .. }
            | AgentToMaster::ReregisterAt { .. } => {
                self.agent = Some(from);
                ctx.tell(from, registered()).unwrap();
            }
            AgentToMaster::MayReturn { cluster, .. } => {
                let come = MasterToAgent::ReturnNow { epoch: 1, cluster: cluster.clone() };
                ctx.tell(from, come).unwrap();
            }
            AgentToMaster::Updated { status, .. } if self.acknowledges.load(Ordering::SeqCst) => {
                let acknowledge = MasterToAgent::Acknowledge {
                    epoch: 1,
                    framework: status.framework.clone(),
                    task: status.task.clone(),
                    update: status.update.unwrap(),
                };
                ctx.tell(from, acknowledge).unwrap();
            }
            AgentToMaster::Updated { .. }
            | AgentToMaster::Pong { .. }
            | AgentToMaster::ExecutorEnded { .. }
            | AgentToMaster::FromExecutor { .. }
            | AgentToMaster::EpochRefused { .. }
            | AgentToMaster::Unregister => {}
        }
        let _ = self.heard.send(received.message);
    }
}

/// The agent of a story: on a node of the story's own process, or as a program.
enum Agent {
    Here(Node, Running),
    Program(Box<Process>, Name),
}

/// A story that fails shows what its agent said.
impl Drop for Stage {
    fn drop(&mut self) {
        if let (true, Some(Agent::Program(process, _))) =
            (std::thread::panicking(), &mut self.agent)
        {
            eprintln!("the agent said:\n{}", process.said_so_far());
        }
    }
}

/// A master, an agent, and what the master heard.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    master_node: Node,
    master: Handle<Master>,
    heard: mpsc::UnboundedReceiver<AgentToMaster>,
    /// Whether its master acknowledges news.
    pub(crate) acknowledges: Arc<AtomicBool>,
    agent: Option<Agent>,
    /// How long executors wait for an agent that is gone. Not for long: a failing story is to leave nothing behind.
    pub(crate) recovery_timeout: Duration,
    /// As which boot of its machine the agent takes this; `None`: as it is.
    pub(crate) boot: Option<String>,
    /// How long it keeps sandboxes.
    pub(crate) sandboxes: SandboxLimits,
    /// Of the story's own.
    pub(crate) isolators: Vec<Arc<dyn Isolator>>,
    /// Everything heard so far.
    log: Vec<AgentToMaster>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::prepared(|_| ()).await
    }

    pub(crate) async fn with_recovery_timeout(recovery_timeout: Duration) -> Self {
        let mut stage = Self::without_agent(|_| (), None).await;
        stage.recovery_timeout = recovery_timeout;
        stage.start_agent().await;
        stage.hears("Register").await;
        stage
    }

    /// A master, and no agent yet.
    pub(crate) async fn empty() -> Self {
        Self::without_agent(|_| (), None).await
    }

    /// The agent is `airside agent`, started by a shell after this line of its.
    pub(crate) async fn with_program(line: &str) -> Self {
        Self::with_program_and_recovery_timeout(line, SOON).await
    }

    pub(crate) async fn with_program_and_recovery_timeout(
        line: &str,
        recovery_timeout: Duration,
    ) -> Self {
        let mut stage = Self::without_agent(|_| (), None).await;
        stage.recovery_timeout = recovery_timeout;
        stage.start_program(line);
        stage.hears("Register").await;
        stage
    }

    /// Something happens to the folder before anything is in it.
    pub(crate) async fn prepared(prepare: impl FnOnce(&Path)) -> Self {
        let mut stage = Self::without_agent(prepare, None).await;
        stage.start_agent().await;
        stage.hears("Register").await;
        stage
    }

    /// A cluster with a secret.
    pub(crate) async fn with_secret(secret: Secret) -> Self {
        let mut stage = Self::without_agent(|_| (), Some(secret)).await;
        stage.start_agent().await;
        stage.hears("Register").await;
        stage
    }

    async fn without_agent(prepare: impl FnOnce(&Path), secret: Option<Secret>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        // Tasks of other users have to get in.
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let version = protocol::PROTOCOL_VERSION;
        let config = NodeConfig { secret, version, ..NodeConfig::loopback() };
        let master_node = Node::start(config).await.unwrap();
        let (sender, heard) = mpsc::unbounded_channel();
        let accepts = Accepts::new().tells::<AgentToMaster>().tells::<Say>();
        let spawn = Spawn::named("master").accepts(accepts);
        let acknowledges = Arc::new(AtomicBool::new(true));
        let of_master = Arc::clone(&acknowledges);
        let master = Master { heard: sender, agent: None, acknowledges: of_master };
        let master = master_node.spawn(spawn, |_| master).unwrap();
        Self {
            dir,
            master_node,
            master,
            heard,
            acknowledges,
            agent: None,
            recovery_timeout: SOON,
            boot: None,
            sandboxes: SandboxLimits::default(),
            isolators: Vec::new(),
            log: Vec::new(),
        }
    }

    pub(crate) fn agent_config(&self) -> AgentConfig {
        let master = coordination::detect::detector(&self.master_name().to_string()).unwrap();
        let executor = vec![env!("CARGO_BIN_EXE_executor-for-tests").into()];
        let mut config = AgentConfig::new(master, self.dir.path().join("agent"), executor);
        config.resources = Some("cpus:100;mem:10000;disk:10000".into());
        config.recovery_timeout = Some(self.recovery_timeout);
        config.boot = self.boot.clone();
        config.sandboxes = self.sandboxes;
        config.isolators.clone_from(&self.isolators);
        config
    }

    pub(crate) async fn start_agent(&mut self) {
        let secret = self.master_node.config().secret.clone();
        let config = self.agent_config();
        let lender = Some(agent::lender(&config.work_dir).unwrap());
        let version = protocol::PROTOCOL_VERSION;
        let node = NodeConfig { secret, lender, version, ..NodeConfig::loopback() };
        let node = Node::start(node).await.unwrap();
        let running = agent::start(&node, config).unwrap();
        self.agent = Some(Agent::Here(node, running));
    }

    pub(crate) fn start_program(&mut self, line: &str) {
        let mut process = Process::start("agent", &mut self.program_command(line));
        let name = process.says("agent@").parse().unwrap();
        self.agent = Some(Agent::Program(Box::new(process), name));
    }

    /// A program that is up and ends at once, with these words.
    pub(crate) fn start_refused_program(&mut self, line: &str, words: &str) {
        self.start_program(line);
        let program = self.program();
        assert!(!program.ended().success());
        assert!(program.said.iter().any(|said| said.contains(words)), "{:#?}", program.said);
    }

    pub(crate) fn program_command(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{line}; exec \"$0\" \"$@\"")).arg(airside());
        command.arg("agent").arg(format!("--master={}", self.master_node.address().unwrap()));
        command.arg("--work-dir").arg(self.dir.path().join("agent"));
        command.args(["--port=0", "--resources=cpus:100;mem:10000;disk:10000"]);
        command.arg(format!("--recovery-timeout={}ms", self.recovery_timeout.as_millis()));
        command
    }

    /// The process of an agent that is a program.
    pub(crate) fn program(&mut self) -> &mut Process {
        match &mut self.agent {
            Some(Agent::Program(process, _)) => process,
            Some(Agent::Here(..)) | None => panic!("the agent is no program"),
        }
    }

    pub(crate) fn master_name(&self) -> Name {
        format!("master@{}", self.master_node.address().unwrap()).parse().unwrap()
    }

    /// The name of its actor.
    pub(crate) fn name(&self) -> Name {
        match self.agent.as_ref().unwrap() {
            Agent::Here(node, _) => format!("agent@{}", node.address().unwrap()).parse().unwrap(),
            Agent::Program(_, name) => name.clone(),
        }
    }

    /// The agent's process is gone, as after a `kill -9`: nothing of it says goodbye to its executors.
    pub(crate) async fn lose_agent(&mut self) {
        match self.agent.take().unwrap() {
            Agent::Here(node, _) => node.shutdown().await,
            Agent::Program(process, _) => drop(process),
        }
    }

    /// The agent ends in an orderly way; why it says it did.
    pub(crate) async fn agent_leaves(&mut self) -> String {
        match self.agent.take().unwrap() {
            Agent::Here(node, running) => {
                running.leave();
                let end = tokio::time::timeout(SOON, running.ended()).await.unwrap();
                node.shutdown().await;
                end.to_string()
            }
            Agent::Program(mut process, _) => {
                process.signal(nix::sys::signal::Signal::SIGINT);
                let ended = tokio::task::spawn_blocking(move || process.ended());
                ended.await.unwrap().to_string()
            }
        }
    }

    pub(crate) fn agent(&self) -> &Running {
        match &self.agent {
            Some(Agent::Here(_, running)) => running,
            Some(Agent::Program(..)) | None => panic!("the agent is not here"),
        }
    }

    pub(crate) fn say(&self, message: MasterToAgent) {
        self.master.tell(Say(Box::new(message))).unwrap();
    }

    /// Launches `line` for the shell.
    pub(crate) fn launch(&self, task: &str, line: &str) {
        self.launch_as(task, line, me());
    }

    pub(crate) fn launch_as(&self, task: &str, line: &str, user: String) {
        let command = CommandSpec { value: line.into(), shell: true, ..CommandSpec::default() };
        self.launch_command(task, CommandSpec { user: Some(user), ..command });
    }

    pub(crate) fn launch_command(&self, task: &str, command: CommandSpec) {
        self.launch_run(task, Run::Command(command));
    }

    /// Launches a task by an executor of the framework's own, whose id is the task's and whose program is `line`.
    pub(crate) fn launch_by(&self, task: &str, line: &str, user: Option<String>) {
        let command =
            CommandSpec { value: line.into(), shell: true, user, ..CommandSpec::default() };
        self.launch_executor(task, command);
    }

    pub(crate) fn launch_executor(&self, task: &str, command: CommandSpec) {
        self.launch_executor_with(task, command, None);
    }

    /// `grace` is what the executor has to end by itself.
    pub(crate) fn launch_executor_with(
        &self,
        task: &str,
        command: CommandSpec,
        grace: Option<Duration>,
    ) {
        let executor = ExecutorSpec {
            executor: ExecutorId::new(task),
            name: task.into(),
            command,
            resources: Resources::none(),
            shutdown_grace: grace,
        };
        self.launch_run(task, Run::Executor { executor, data: Vec::new() });
    }

    /// Launches a task with this data by an executor of the framework's own.
    pub(crate) fn launch_data(&self, task: &str, command: CommandSpec, data: &str) {
        let executor = ExecutorSpec {
            executor: ExecutorId::new(task),
            name: task.into(),
            command,
            resources: Resources::none(),
            shutdown_grace: None,
        };
        self.launch_run(task, Run::Executor { executor, data: data.into() });
    }

    fn launch_run(&self, task: &str, run: Run) {
        let framework = FrameworkInfo { user: me(), ..FrameworkInfo::plain(FrameworkId::new("F")) };
        let task = TaskSpec {
            task: TaskId::new(task),
            name: task.into(),
            resources: Resources::cpus_mem(0.1, 1.0),
            run,
            kill_grace: Some(Duration::from_millis(500)),
            carried: Carried::default(),
        };
        self.say(MasterToAgent::Launch { epoch: 1, framework, task, role: Role::everybody() });
    }

    pub(crate) fn kill(&self, task: &str) {
        let (framework, task) = (FrameworkId::new("F"), TaskId::new(task));
        self.say(MasterToAgent::Kill { epoch: 1, framework, task, grace: None });
    }

    /// Waits until the master hears a message of this variant.
    pub(crate) async fn hears(&mut self, variant: &str) -> AgentToMaster {
        self.hears_where(variant, |message| format!("{message:?}").starts_with(variant)).await
    }

    /// Waits until the task is told to be in this state.
    pub(crate) async fn hears_state(&mut self, task: &str, state: TaskState) -> TaskStatus {
        let wanted = |message: &AgentToMaster| {
            matches!(message, AgentToMaster::Updated { status, .. }
                if status.task.as_str() == task && status.state == state)
        };
        match self.hears_where(&format!("{task} {state:?}"), wanted).await {
            AgentToMaster::Updated { status, .. } => status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the agent says who it is, for the first time or again.
    pub(crate) async fn hears_registration(&mut self) -> AgentToMaster {
        let says_who = |message: &AgentToMaster| {
            matches!(message, AgentToMaster::Register { .. } | AgentToMaster::Reregister { .. })
        };
        self.hears_where("a registration", says_who).await
    }

    /// All news of tasks that was heard so far.
    pub(crate) fn updates(&mut self) -> impl Iterator<Item = &TaskStatus> {
        while let Ok(message) = self.heard.try_recv() {
            self.log.push(message);
        }
        self.log.iter().filter_map(|message| match message {
            AgentToMaster::Updated { status, .. } => Some(status),
            _ => None,
        })
    }

    /// Waits until the task is told to have ended, well or not.
    pub(crate) async fn hears_end(&mut self, task: &str) -> TaskStatus {
        let wanted = |message: &AgentToMaster| {
            matches!(message, AgentToMaster::Updated { status, .. }
                if status.task.as_str() == task && status.state.is_end())
        };
        match self.hears_where(&format!("the end of {task}"), wanted).await {
            AgentToMaster::Updated { status, .. } => status,
            other => panic!("{other:?}"),
        }
    }

    async fn hears_where(
        &mut self,
        what: &str,
        wanted: impl Fn(&AgentToMaster) -> bool,
    ) -> AgentToMaster {
        let heard = async {
            loop {
                let message = self.heard.recv().await.unwrap();
                self.log.push(message.clone());
                if wanted(&message) {
                    return message;
                }
            }
        };
        match tokio::time::timeout(SOON, heard).await {
            Ok(message) => message,
            Err(_) => panic!("{what} was not heard; heard was:\n{:#?}", self.log),
        }
    }

    pub(crate) async fn end(mut self) {
        if self.agent.is_some() {
            self.agent_leaves().await;
        }
        self.master_node.shutdown().await;
    }
}
