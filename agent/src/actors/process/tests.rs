//! Processes really started, seen by an actor that is not their parent.
#![allow(clippy::wildcard_enum_match_arm)] // a test names what it waits for

use std::os::unix::process::CommandExt;
use std::path::Path;

use fetcher::FetcherConfig;
use libactor::{Accepts, Node, NodeConfig, Spawn};
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ExecutorId, FrameworkId};
use protocol::resources::Resources;
use protocol::task::{CommandSpec, ExecutorSpec};
use tokio::sync::mpsc;

use super::*;

/// Longer than anything here takes on a busy machine.
const SOON: Duration = Duration::from_secs(20);

struct Listener(mpsc::UnboundedSender<FromProcesses>);

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Received<FromProcesses>> for Listener {
    type Result = ();

    fn handle(&mut self, received: Received<FromProcesses>, _: &mut Context<Self>) {
        let _ = self.0.send(received.message);
    }
}

struct Stage {
    node: Node,
    processes: libactor::Handle<Processes>,
    heard: mpsc::UnboundedReceiver<FromProcesses>,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        Self::with(Isolators::default()).await
    }

    async fn with(isolators: Isolators) -> Self {
        let node = Node::start(NodeConfig::loopback()).await.unwrap();
        let (sender, heard) = mpsc::unbounded_channel();
        let accepts = Accepts::new().tells::<FromProcesses>();
        let spawn = Spawn { accepts, ..Spawn::default() };
        let listener = node.spawn(spawn, move |_| Listener(sender)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let launching = Launching {
            executor: vec!["/bin/sh".into(), "-c".into(), "exit 7".into()],
            sandboxes: Sandboxes::below(dir.path()),
            fetcher: Fetcher::new(FetcherConfig::new(vec![], dir.path().join("fetched"))),
            containers: None,
            images: None,
            logger: None,
            home: Home::at(dir.path()),
            socket: None,
            recovery_timeout: SOON,
            agent_at: "127.0.0.1:1".into(),
            boot: crate::detect::boot_id().unwrap(),
            lifeline: None,
            open_files: None,
            environment: BTreeMap::new(),
        };
        let accepts = Accepts::new().tells::<ToProcesses>();
        let spawn = Spawn { accepts, pinned: true, ..Spawn::default() };
        let pid = listener.pid();
        let processes =
            node.spawn(spawn, move |_| Processes::new(launching, isolators, pid)).unwrap();
        Self { node, processes, heard, dir }
    }

    /// Starts `line` as a custom executor.
    fn start(&self, line: &str) {
        let command = CommandSpec { value: line.into(), shell: true, ..Default::default() };
        self.start_as(Program::Custom(command), None);
    }

    fn start_as(&self, program: Program, user: Option<&str>) {
        let framework = FrameworkInfo::plain(FrameworkId::new("F"));
        let spec = ExecutorSpec {
            executor: ExecutorId::new("E"),
            name: "E".into(),
            command: CommandSpec::default(),
            resources: Resources::none(),
            shutdown_grace: None,
        };
        let start = StartExecutor {
            framework,
            spec,
            container: container(),
            token: "t".into(),
            agent: AgentId::new("S1"),
            program,
            fetch: Vec::new(),
            wanted: Default::default(),
            command: CommandSpec::default(),
            user: user.map(str::to_owned),
            allowance: Default::default(),
            shutdown_grace: Duration::from_secs(5),
        };
        self.processes.tell(ToProcesses::Start(Box::new(start))).unwrap();
    }

    async fn hears(&mut self) -> FromProcesses {
        tokio::time::timeout(SOON, self.heard.recv()).await.expect("nothing was heard").unwrap()
    }

    async fn hears_start(&mut self) -> ProcessIdentity {
        match self.hears().await {
            FromProcesses::Started { process, .. } => process,
            other => panic!("expected a start: {other:?}"),
        }
    }

    async fn hears_exit(&mut self) -> Option<Exit> {
        match self.hears().await {
            FromProcesses::Exited { exit, .. } => exit,
            other => panic!("expected an exit: {other:?}"),
        }
    }

    fn output(&self, file: &str) -> String {
        let path = self.dir.path().join("sandboxes/F/E").join(container().as_str()).join(file);
        std::fs::read_to_string(path).unwrap()
    }
}

fn container() -> ContainerId {
    // One per test process, so that tests that run beside each other do not hunt each other's.
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("?").replace("::", ".");
    ContainerId::new(format!("{}-{test}", std::process::id()))
}

fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

async fn file_has(path: &Path) -> String {
    let mut looks = tokio::time::interval(Duration::from_millis(10));
    let written = async {
        loop {
            looks.tick().await;
            if let Ok(text) = std::fs::read_to_string(path)
                && text.ends_with('\n')
            {
                return text.trim().to_owned();
            }
        }
    };
    tokio::time::timeout(SOON, written).await.expect("the file was not written")
}

#[tokio::test]
async fn lp_32_child_exit_status_seen_by_a_non_parent_actor() {
    let mut stage = Stage::new().await;
    stage.start_as(Program::CommandExecutor, None);
    let process = stage.hears_start().await;
    assert!(process.process > 0 && process.started > 0 && !process.boot.is_empty());
    assert_eq!(stage.hears_exit().await, Some(Exit::Code(7)));
    stage.node.shutdown().await;
    let mut stage = Stage::new().await;
    stage.start("kill -9 $$");
    stage.hears_start().await;
    assert_eq!(stage.hears_exit().await, Some(Exit::Signal(9)));
    stage.node.shutdown().await;
}

#[tokio::test]
async fn lp_32_working_directory_output_and_environment_are_the_sandboxs() {
    let mut stage = Stage::new().await;
    stage
        .start("pwd; echo $AIRSIDE_EXECUTOR_ID $AIRSIDE_EXECUTOR_TOKEN; echo bad >&2; env | grep -v -e ^AIRSIDE_ -e ^MESOS_ -e ^LIBPROCESS_PORT= | wc -l");
    stage.hears_start().await;
    assert_eq!(stage.hears_exit().await, Some(Exit::Code(0)));
    let out = stage.output("stdout");
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].ends_with(&format!("sandboxes/F/E/{}", container())), "{out}");
    assert_eq!(lines[1], "E t");
    assert_eq!(stage.output("stderr"), "bad\n");
    let variables: u32 = lines[2].trim().parse().unwrap();
    assert!(variables < 8, "the agent's own environment leaks: {variables} variables");
    stage.node.shutdown().await;
}

#[tokio::test]
async fn an_executor_counts_as_ended_only_when_nothing_it_left_lives() {
    let mut stage = Stage::new().await;
    // Leaves its session and its parent, then stays.
    stage.start("setsid sh -c 'echo $$ > left; exec sleep 1000' & sleep 0.3; exit 3");
    stage.hears_start().await;
    assert_eq!(stage.hears_exit().await, Some(Exit::Code(3)));
    let left: u32 = stage.output("left").trim().parse().unwrap();
    assert!(!alive(left), "process {left} was left behind");
    stage.node.shutdown().await;
}

#[tokio::test]
async fn signals_reach_the_executor() {
    let mut stage = Stage::new().await;
    stage.start("trap 'exit 5' TERM; echo ready > ready; while :; do sleep 0.01; done");
    stage.hears_start().await;
    let ready = stage.dir.path().join("sandboxes/F/E").join(container().as_str()).join("ready");
    file_has(&ready).await;
    let signal = Signal::Terminate;
    stage.processes.tell(ToProcesses::Signal { container: container(), signal }).unwrap();
    assert_eq!(stage.hears_exit().await, Some(Exit::Code(5)));
    stage.node.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let mut stage = Stage::new().await;
    let command = CommandSpec { value: "/no/such/program".into(), ..Default::default() };
    stage.start_as(Program::Custom(command), None);
    let FromProcesses::NotStarted { why: StartFailure::Program(words), .. } = stage.hears().await
    else {
        panic!("there is no such program")
    };
    assert!(
        words.contains("'/no/such/program': No such file") && words.contains("check"),
        "{words}"
    );
    stage.start_as(Program::CommandExecutor, Some("no-such-user"));
    assert!(matches!(
        stage.hears().await,
        FromProcesses::NotStarted { why: StartFailure::User(_), .. }
    ));
    stage.node.shutdown().await;
}

#[tokio::test]
async fn old_executors_are_known_by_more_than_their_number() {
    let mut stage = Stage::new().await;
    // A stranger that happens to have the number an old executor had: its start differs, so it lives on.
    let mut stranger = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let boot = crate::detect::boot_id().unwrap();
    let process = ProcessIdentity { process: stranger.id(), started: 1, boot: boot.clone() };
    let old = OldExecutor { container: container(), process: Some(process) };
    stage.processes.tell(ToProcesses::EndOld(old)).unwrap();
    assert_eq!(stage.hears().await, FromProcesses::OldEnded(container()));
    assert!(alive(stranger.id()));
    // The same process, truly described, dies; and so does one that only carries the container's id.
    let started = procfs::process::Process::new(i32::try_from(stranger.id()).unwrap())
        .and_then(|process| process.stat())
        .unwrap()
        .starttime;
    let mut marked = std::process::Command::new("sleep")
        .arg("1000")
        .env(ENV_CONTAINER, container().as_str())
        .process_group(0)
        .spawn()
        .unwrap();
    let process = ProcessIdentity { process: stranger.id(), started, boot };
    let old = OldExecutor { container: container(), process: Some(process) };
    stage.processes.tell(ToProcesses::EndOld(old)).unwrap();
    assert_eq!(stage.hears().await, FromProcesses::OldEnded(container()));
    assert!(!alive(stranger.id()) && !alive(marked.id()));
    stranger.wait().unwrap();
    marked.wait().unwrap();
    stage.node.shutdown().await;
}
