//! Words counted over real sockets, by a real executor, on a cluster that is played: one actor is the master, one the
//! agent, and now and then a message of the executor's is lost, as messages may be.
#![allow(clippy::unwrap_used)] // the helpers of these tests, too

use std::path::Path;
use std::time::Duration;

use libactor::{Accepts, Context, Message, Node, NodeConfig, Pid, Received, Spawn};
use sdk::executor::logic::Identity;
use sdk::executor::{ExecutorConfig, run_executor_as};
use sdk::prelude::*;
use sdk::protocol::executor::{AgentToExecutor, ExecutorToAgent};
use sdk::protocol::framework::{FrameworkToMaster, MasterToFramework, Operation};
use sdk::protocol::ids::{ContainerId, MasterId};
use serde::{Deserialize, Serialize};
use wordcount::{Counter, Counts, Setup, WordCount, at_once, plan, read_intervals};

const PATIENCE: Duration = Duration::from_secs(60);

/// Between the two actors.
#[derive(Serialize, Deserialize)]
enum Inside {
    Launch(Vec<TaskSpec>),
    Acknowledge(AgentToExecutor),
    FromExecutor(Vec<u8>),
    Updated(Box<TaskStatus>),
}

impl Message for Inside {
    const NAME: &'static str = "test.Inside";
}

#[derive(Default)]
struct Master {
    scheduler: Option<Pid>,
    offers: u32,
    messages: u32,
}

impl actix::Actor for Master {
    type Context = Context<Self>;
}

impl Master {
    fn tell(&self, message: MasterToFramework, ctx: &mut Context<Self>) {
        ctx.tell(self.scheduler.unwrap(), message).unwrap();
    }

    /// One at a time: the next when the last was answered.
    fn offer(&mut self, ctx: &mut Context<Self>) {
        self.offers += 1;
        let (offer, agent) = (OfferId::new(format!("O{}", self.offers)), AgentId::new("S1"));
        let offer =
            Offer::plain(offer, FrameworkId::new("F"), agent, Resources::cpus_mem(0.8, 256.0));
        self.tell(MasterToFramework::Offers(vec![offer.into()]), ctx);
    }
}

impl actix::Handler<Received<FrameworkToMaster>> for Master {
    type Result = ();

    fn handle(&mut self, received: Received<FrameworkToMaster>, ctx: &mut Context<Self>) {
        self.scheduler = received.from;
        let agent = ctx.node().local("agent").unwrap();
        match received.message {
            FrameworkToMaster::Subscribe { .. } => {
                let subscribed = MasterToFramework::Subscribed {
                    epoch: 1,
                    framework: FrameworkId::new("F"),
                    master: MasterId::new("M"),
                    tasks: vec![],
                    change: 0,
                };
                self.tell(subscribed, ctx);
                self.offer(ctx);
            }
            FrameworkToMaster::Accept { operations, .. } => {
                let tasks = operations.into_iter().flat_map(|Operation::Launch(tasks)| tasks);
                ctx.tell(agent, Inside::Launch(tasks.collect())).unwrap();
            }
            FrameworkToMaster::Acknowledge { task, update, .. } => {
                let message = AgentToExecutor::Acknowledge { task, update };
                ctx.tell(agent, Inside::Acknowledge(message)).unwrap();
            }
            FrameworkToMaster::Teardown => {
                ctx.tell(agent, Inside::Acknowledge(AgentToExecutor::Shutdown)).unwrap();
                self.tell(MasterToFramework::TornDown, ctx);
            }
            FrameworkToMaster::Decline { .. }
            | FrameworkToMaster::Demand(_)
            | FrameworkToMaster::Revive
            | FrameworkToMaster::Suppress
            | FrameworkToMaster::SubscribeWith { .. }
            | FrameworkToMaster::Wishes(_)
            | FrameworkToMaster::ReviveRoles(_)
            | FrameworkToMaster::SuppressRoles(_)
            | FrameworkToMaster::UpdateFramework { .. }
            | FrameworkToMaster::Kill { .. }
            | FrameworkToMaster::Reconcile(_)
            | FrameworkToMaster::ToExecutor { .. }
            | FrameworkToMaster::ShutdownExecutor { .. } => (),
        }
    }
}

impl actix::Handler<Received<Inside>> for Master {
    type Result = ();

    fn handle(&mut self, received: Received<Inside>, ctx: &mut Context<Self>) {
        match received.message {
            Inside::FromExecutor(data) => {
                self.messages += 1;
                if !self.messages.is_multiple_of(5) {
                    let (agent, executor) = (AgentId::new("S1"), ExecutorId::new("counter"));
                    self.tell(MasterToFramework::FromExecutor { agent, executor, data }, ctx);
                }
            }
            Inside::Updated(status) => {
                let ended = status.state.is_end();
                self.tell(MasterToFramework::Updated(*status), ctx);
                if ended {
                    self.offer(ctx);
                }
            }
            Inside::Launch(_) | Inside::Acknowledge(_) => unreachable!("these are for the agent"),
        }
    }
}

/// Starts the executor in this process when the first task comes.
struct Agent {
    at: String,
    master: Pid,
    executor: Option<Pid>,
    started: bool,
    waiting: Vec<TaskSpec>,
}

impl actix::Actor for Agent {
    type Context = Context<Self>;
}

impl actix::Handler<Received<Inside>> for Agent {
    type Result = ();

    fn handle(&mut self, received: Received<Inside>, ctx: &mut Context<Self>) {
        match received.message {
            Inside::Launch(tasks) => self.waiting.extend(tasks),
            Inside::Acknowledge(message) => ctx.tell(self.executor.unwrap(), message).unwrap(),
            Inside::FromExecutor(_) | Inside::Updated(_) => unreachable!("these are the master's"),
        }
        if !std::mem::replace(&mut self.started, true) {
            let identity = Identity {
                framework: FrameworkId::new("F"),
                executor: ExecutorId::new("counter"),
                container: ContainerId::new("C"),
                token: "t".into(),
            };
            let (agent, sandbox) = (self.at.clone(), ".".into());
            let (agent_file, secret, recovery_timeout) = (None, None, PATIENCE);
            let config =
                ExecutorConfig { agent, agent_file, recovery_timeout, identity, sandbox, secret };
            ctx.run(run_executor_as(config, Counter::default()), |_, ending, _| {
                ending.unwrap();
            });
        }
        self.launch(ctx);
    }
}

impl Agent {
    fn launch(&mut self, ctx: &mut Context<Self>) {
        if let Some(executor) = self.executor {
            for task in self.waiting.drain(..) {
                ctx.tell(executor, AgentToExecutor::Launch(task)).unwrap();
            }
        }
    }
}

impl actix::Handler<Received<ExecutorToAgent>> for Agent {
    type Result = ();

    fn handle(&mut self, received: Received<ExecutorToAgent>, ctx: &mut Context<Self>) {
        match received.message {
            ExecutorToAgent::Register { .. } => {
                self.executor = received.from;
                let registered = AgentToExecutor::Registered {
                    agent: AgentId::new("S1"),
                    framework: framework("test"),
                    shutdown_grace: Duration::from_secs(5),
                };
                ctx.tell(received.from.unwrap(), registered).unwrap();
                self.launch(ctx);
            }
            ExecutorToAgent::Reregister { .. } => panic!("this agent does not die"),
            ExecutorToAgent::Updated(status) => {
                ctx.tell(self.master, Inside::Updated(Box::new(status))).unwrap();
            }
            ExecutorToAgent::ToScheduler(data) => {
                ctx.tell(self.master, Inside::FromExecutor(data)).unwrap();
            }
        }
    }
}

async fn cluster() -> (Node, String) {
    let node = Node::start(NodeConfig::loopback()).await.unwrap();
    let at = node.address().unwrap().to_string();
    let accepts = Accepts::new().tells::<FrameworkToMaster>().tells::<Inside>();
    let spawn = Spawn::named("master").accepts(accepts);
    let master = node.spawn(spawn, |_| Master::default()).unwrap().pid();
    let accepts = Accepts::new().tells::<ExecutorToAgent>().tells::<Inside>();
    let spawn = Spawn::named("agent").accepts(accepts);
    let listens = at.clone();
    node.spawn(spawn, move |_| Agent {
        at: listens,
        master,
        executor: None,
        started: false,
        waiting: vec![],
    })
    .unwrap();
    (node, at)
}

/// Some text with many words, in files of many sizes.
fn fill(folder: &Path) -> Counts {
    let mut whole = Counts::new();
    for file in 0u32..40 {
        let words = (0..file * 100).map(|n| format!("Word{} {file}\n", (n * n + file) % 3000));
        let text: String = words.collect();
        std::fs::write(folder.join(format!("{file}.txt")), &text).unwrap();
        wordcount::count(text.as_bytes(), &mut whole);
    }
    whole
}

#[tokio::test]
async fn words_are_counted_right_though_messages_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let texts = folder.path().join("texts");
    std::fs::create_dir(&texts).unwrap();
    let whole = fill(&texts);
    let plan = plan(&[texts], 1 << 30, 64 << 10).unwrap();
    assert!(plan.jobs.len() > 10, "{} jobs", plan.jobs.len());
    let jobs = plan.jobs.len();
    let setup = Setup {
        intervals: Some(folder.path().join("intervals")),
        ..Setup::new(CommandSpec::default())
    };
    let (again, agains) = std::sync::mpsc::channel();
    let scheduler = WordCount::new(plan, setup, move |happening| {
        if let wordcount::Happening::Again { why, .. } = happening {
            again.send(why.clone()).unwrap();
        }
    });
    let (node, at) = cluster().await;
    let options = Options { state_dir: Some(folder.path().join("state")), ..Options::default() };
    let running = run_scheduler(&at, framework("wordcount"), scheduler, options);
    let (outcome, scheduler) = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome::TornDown);
    assert!(scheduler.is_complete(), "{:?}", scheduler.given_up());
    assert_eq!(*scheduler.counts(), whole);
    let agains: Vec<String> = agains.try_iter().collect();
    assert!(!agains.is_empty() && agains.iter().all(|why| why.contains("lost on the way")));
    node.shutdown().await;
    let intervals = std::fs::read_to_string(folder.path().join("intervals")).unwrap();
    let intervals = read_intervals(&intervals).unwrap();
    assert_eq!(intervals.len(), jobs + agains.len());
    for interval in &intervals {
        assert!(interval.ended, "{interval}");
    }
    assert_eq!(at_once(&intervals), None);
}
