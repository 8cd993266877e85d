//! Small agents, many on one node: their tasks end as soon as they are launched, so that only what is said of them costs anything.

use std::error::Error;
use std::time::Duration;

use actix::{Actor, Handler};
use libactor::{Accepts, Context, Down, Name, Node, NodeConfig, Pid, Received, Spawn};
use protocol::PROTOCOL_VERSION;
use protocol::agent::{AgentAddress, AgentInfo, AgentToMaster, MasterToAgent};
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ExecutorId, UpdateId};
use protocol::resources::Resources;
use protocol::task::{Exit, Source, TaskSpec, TaskState, TaskStatus};
use protocol::time::WallTime;

/// Joins again until it is answered.
const REGISTER_EVERY: Duration = Duration::from_secs(1);

/// An agent whose tasks end as soon as they are launched.
struct Small {
    master: Name,
    number: u64,
    /// All it has.
    each: Resources,
    joined: Option<(Pid, AgentId)>,
    updates: u64,
}

impl Small {
    fn register(&mut self, ctx: &mut Context<Self>) {
        if self.joined.is_some() {
            return;
        }
        let hostname = format!("small-{}", self.number);
        let info = AgentInfo {
            at: AgentAddress { listens: format!("{hostname}:5051"), hostname }.into(),
            resources: self.each.clone(),
            attributes: Vec::new(),
            version: env!("CARGO_PKG_VERSION").into(),
            boot: "bench".into(),
        };
        let register = AgentToMaster::Register { nonce: self.number, info };
        if let Err(error) = ctx.tell(&self.master, register) {
            complain(self.number, &error);
        }
        ctx.after(REGISTER_EVERY, Self::register);
    }

    fn tell(&self, message: AgentToMaster, ctx: &mut Context<Self>) {
        let told = self.joined.as_ref().map(|(master, _)| ctx.tell(*master, message));
        if let Some(Err(error)) = told {
            complain(self.number, &error);
        }
    }

    fn on_launch(&mut self, framework: FrameworkInfo, task: TaskSpec, ctx: &mut Context<Self>) {
        self.updates += 1;
        let status = TaskStatus {
            framework: framework.framework,
            executor: Some(ExecutorId::new(task.task.as_str())),
            task: task.task,
            agent: self.joined.as_ref().map(|(_, agent)| agent.clone()),
            state: TaskState::Finished,
            source: Source::Executor,
            reason: None,
            message: String::new(),
            exit: Some(Exit::Code(0)),
            isolation: None,
            process: None,
            data: Vec::new(),
            at: WallTime(0),
            update: Some(UpdateId { source: self.number, sequence: self.updates }),
            carried: Default::default(),
        };
        self.tell(AgentToMaster::Updated { status, latest: TaskState::Finished }, ctx);
    }
}

impl Actor for Small {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.register(ctx);
    }
}

impl Handler<Received<MasterToAgent>> for Small {
    type Result = ();

    fn handle(&mut self, received: Received<MasterToAgent>, ctx: &mut Context<Self>) {
        match received.message {
            MasterToAgent::Registered { agent, .. } => {
                self.joined = received.from.map(|from| (from, agent));
            }
            MasterToAgent::Ping { sequence, .. } => {
                self.tell(AgentToMaster::Pong { sequence }, ctx)
            }
            MasterToAgent::Launch { framework, task, .. }
            | MasterToAgent::LaunchInRunning { framework, task, .. } => {
                self.on_launch(framework, task, ctx);
            }
            MasterToAgent::Refused { reason, .. } => complain(self.number, &reason),
            // Nothing runs here that could be killed, and nothing is repeated: the connection holds.
            MasterToAgent::Acknowledge { .. }
            | MasterToAgent::Kill { .. }
            | MasterToAgent::ToExecutor { .. }
            | MasterToAgent::ShutdownExecutor { .. }
            | MasterToAgent::ShutdownFramework { .. }
            | MasterToAgent::ReturnNow { .. }
            | MasterToAgent::ReturnLater { .. }
            | MasterToAgent::RegisterAgain { .. }
            | MasterToAgent::Shutdown { .. }
            | MasterToAgent::FrameworkUpdated { .. }
            | MasterToAgent::Reconcile { .. } => (),
        }
    }
}

impl Handler<Down> for Small {
    type Result = ();

    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        complain(self.number, &down.reason);
    }
}

/// What should not happen.
#[allow(clippy::print_stderr, reason = "where whoever started the bench looks")]
fn complain(number: u64, what: &dyn std::fmt::Display) {
    eprintln!("small agent {number}: {what}");
}

/// A node full of them; each has so much.
pub async fn start(master: &str, agents: u64, each: &Resources) -> Result<Node, Box<dyn Error>> {
    let config = NodeConfig { version: PROTOCOL_VERSION, ..NodeConfig::default() };
    let node = Node::start(config).await?;
    let name: Name = format!("master@{master}").parse()?;
    for number in 1..=agents {
        let accepts = Accepts::new().tells::<MasterToAgent>().links();
        let (master, each) = (name.clone(), each.clone());
        let spawn = Spawn { accepts, ..Spawn::default() };
        node.spawn(spawn, move |_| Small { master, number, each, joined: None, updates: 0 })?;
    }
    Ok(node)
}
