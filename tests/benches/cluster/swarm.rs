//! How many tasks a second a master gets through: a real master process, a real scheduler, real
//! sockets, and many small agents that only say that the task they were given has ended. Each has
//! room for one task, so each acceptance launches one.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use actix::{Actor, Handler};
use libactor::{Accepts, Context, Down, Name, Node, NodeConfig, Pid, Received, Spawn};
use protocol::PROTOCOL_VERSION;
use protocol::agent::{AgentAddress, AgentInfo, AgentToMaster, MasterToAgent};
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ExecutorId, UpdateId};
use protocol::task::{Exit, Source, TaskSpec, TaskState, TaskStatus};
use protocol::time::WallTime;

use crate::program::Master;
use crate::schedulers::{Timing, little, time, trues};
use crate::{Measured, Row};

const AGENTS: u64 = 256;
const TASKS: usize = 20_000;

/// Joins again until it is answered.
const REGISTER_EVERY: Duration = Duration::from_secs(1);

/// An agent whose tasks end as soon as they are launched.
struct Small {
    master: Name,
    number: u64,
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
            resources: little(),
            attributes: Vec::new(),
            version: env!("CARGO_PKG_VERSION").into(),
            boot: "bench".into(),
        };
        let register = AgentToMaster::Register { nonce: self.number, info };
        if let Err(error) = ctx.tell(&self.master, register) {
            eprintln!("small agent {}: {error}", self.number);
        }
        ctx.after(REGISTER_EVERY, Self::register);
    }

    fn tell(&self, message: AgentToMaster, ctx: &mut Context<Self>) {
        let told = self.joined.as_ref().map(|(master, _)| ctx.tell(*master, message));
        if let Some(Err(error)) = told {
            eprintln!("small agent {}: {error}", self.number);
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
            MasterToAgent::Launch { framework, task, .. } => self.on_launch(framework, task, ctx),
            MasterToAgent::Refused { reason, .. } => {
                eprintln!("a small agent is refused: {reason}")
            }
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
            | MasterToAgent::Reconcile { .. } => (),
        }
    }
}

impl Handler<Down> for Small {
    type Result = ();

    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        eprintln!("small agent {}: its master is lost: {:?}", self.number, down.reason);
    }
}

pub(crate) async fn tasks_per_s(airside: &Path) -> Measured {
    let master = Master::start(airside)?;
    let swarm = swarm(&master).await?;
    let timing = Timing::of(trues(TASKS), usize::try_from(AGENTS)?);
    let timing = time(master.address(), None, timing).await?;
    swarm.shutdown().await;
    Ok(Row { name: "tasks_per_s", value: timing.per_second()?, unit: "1/s" })
}

/// A node full of small agents.
async fn swarm(master: &Master) -> Result<Node, Box<dyn Error>> {
    let config = NodeConfig { version: PROTOCOL_VERSION, ..NodeConfig::default() };
    let node = Node::start(config).await?;
    let name: Name = format!("master@{}", master.address()).parse()?;
    for number in 1..=AGENTS {
        let accepts = Accepts::new().tells::<MasterToAgent>().links();
        let master = name.clone();
        let spawn = Spawn { accepts, ..Spawn::default() };
        node.spawn(spawn, move |_| Small { master, number, joined: None, updates: 0 })?;
    }
    Ok(node)
}
