//! The shells over real sockets: a scheduler against a master that follows a script, an executor against such an agent.

#![allow(clippy::unwrap_used)] // the helpers of these tests, too

mod elected;
mod full;
mod older;

use std::collections::BTreeMap;
use std::time::Duration;

use actix::{Actor, Handler};
use libactor::{Accepts, Context, Node, NodeConfig, Pid, Received, Spawn};
use protocol::agent::AgentAddress;
use protocol::executor::{AgentToExecutor, ExecutorToAgent};
use protocol::framework::{FrameworkToMaster, MasterToFramework, Operation};
use protocol::ids::{ContainerId, MasterId, UpdateId};
use protocol::task::Source;
use sdk::executor::logic::{Ending, Identity};
use sdk::executor::{ExecutorConfig, run_executor_as};
use sdk::prelude::*;
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

/// Gives every scheduler that comes one offer; what is launched finishes at once; one update is sent twice.
struct Master {
    /// Whether the first subscription is answered by closing the door.
    heard: mpsc::UnboundedSender<String>,
    offers: u32,
}

impl Actor for Master {
    type Context = Context<Self>;
}

impl Master {
    fn offer(&mut self) -> MasterToFramework {
        self.offers += 1;
        MasterToFramework::Offers(vec![std::sync::Arc::new(Offer {
            offer: OfferId::new(format!("O{}", self.offers)),
            framework: FrameworkId::new("F"),
            agent: AgentId::new("S1"),
            at: AgentAddress { hostname: "h".into(), listens: "127.0.0.1:1".into() }.into(),
            role: Role::everybody(),
            resources: Resources::cpus_mem(2.0, 64.0),
            attributes: vec![],
            executors: vec![],
        })])
    }
}

fn finished(task: &TaskId, sequence: u64) -> MasterToFramework {
    MasterToFramework::Updated(TaskStatus {
        agent: Some(AgentId::new("S1")),
        update: Some(UpdateId { source: 1, sequence }),
        ..TaskStatus::plain(
            FrameworkId::new("F"),
            task.clone(),
            TaskState::Finished,
            Source::Executor,
        )
    })
}

/// A master that knows none of the framework's tasks has taken it.
fn subscribed() -> MasterToFramework {
    MasterToFramework::Subscribed {
        epoch: 1,
        framework: FrameworkId::new("F"),
        master: MasterId::new("M"),
        tasks: vec![],
        change: 0,
    }
}

impl Handler<Received<FrameworkToMaster>> for Master {
    type Result = ();

    fn handle(&mut self, received: Received<FrameworkToMaster>, ctx: &mut Context<Self>) {
        let from = received.from.expect("schedulers are actors");
        let answers = match received.message {
            FrameworkToMaster::Subscribe { framework, .. } => {
                self.heard.send(format!("Subscribe {framework:?}")).unwrap();
                vec![subscribed(), self.offer()]
            }
            FrameworkToMaster::Demand(demand) => {
                let count: u32 = demand.iter().map(|need| need.count).sum();
                self.heard.send(format!("demand {count}")).unwrap();
                vec![]
            }
            FrameworkToMaster::Accept { operations, .. } => {
                let Operation::Launch(tasks) = &operations[0];
                self.heard.send(format!("launch {}", tasks.len())).unwrap();
                let news = |(n, spec): (usize, &TaskSpec)| {
                    let news = finished(&spec.task, 1 + n as u64);
                    [news.clone(), news]
                };
                tasks.iter().enumerate().flat_map(news).collect()
            }
            FrameworkToMaster::Acknowledge { task, .. } => {
                self.heard.send(format!("acknowledged {task}")).unwrap();
                vec![]
            }
            FrameworkToMaster::Teardown => vec![MasterToFramework::TornDown],
            FrameworkToMaster::Decline { .. }
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
            | FrameworkToMaster::ShutdownExecutor { .. } => vec![],
        };
        for answer in answers {
            ctx.tell(from, answer).unwrap();
        }
    }
}

async fn master(
    listen: Option<std::net::SocketAddr>,
) -> (Node, String, mpsc::UnboundedReceiver<String>) {
    let config = NodeConfig { listen, ..NodeConfig::loopback() };
    let config = NodeConfig { listen: config.listen.or(NodeConfig::loopback().listen), ..config };
    let node = Node::start(config).await.unwrap();
    let (heard, hears) = mpsc::unbounded_channel();
    let accepts = Accepts::new().tells::<FrameworkToMaster>();
    node.spawn(Spawn::named("master").accepts(accepts), |_| Master { heard, offers: 0 }).unwrap();
    let address = node.address().unwrap().to_string();
    (node, address, hears)
}

/// Launches its tasks and ends when all have.
struct Simple {
    waiting: Vec<TaskSpec>,
    ended: Vec<String>,
    expects: usize,
    tears_down: bool,
    stored: BTreeMap<String, Vec<u8>>,
}

impl Simple {
    fn of(names: &[&str]) -> Self {
        let small = Resources::cpus_mem(0.5, 1.0);
        let waiting: Vec<_> = names.iter().map(|name| task::shell(name, "true", &small)).collect();
        let expects = waiting.len();
        let (ended, stored) = Default::default();
        Self { waiting, ended, expects, tears_down: true, stored }
    }
}

impl Scheduler for Simple {
    fn started(&mut self, _: &mut Calls, stored: BTreeMap<String, Vec<u8>>) {
        self.stored = stored;
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            self.waiting.retain(|task| calls.launch(offer, task.clone()).is_err());
        }
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        self.ended.push(status.task.to_string());
        calls.store(status.task.as_str(), vec![1]);
        if self.ended.len() == self.expects {
            if self.tears_down { calls.tear_down() } else { calls.stop() }
        }
    }
}

#[tokio::test]
async fn a_scheduler_runs_its_tasks_and_hears_each_end_once() {
    let (node, address, mut hears) = master(None).await;
    let scheduler = Simple::of(&["a", "b"]);
    let running = run_scheduler(&address, framework("test"), scheduler, Options::default());
    let (outcome, scheduler) = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!((outcome, scheduler.ended.join(" ")), (Outcome::TornDown, "a b".to_owned()));
    node.shutdown().await;
    let mut heard = vec![];
    while let Some(line) = hears.recv().await {
        heard.push(line);
    }
    assert_eq!(heard[..2], ["Subscribe None", "launch 2"]);
    assert!(heard.contains(&"acknowledged a".to_owned()), "{heard:?}");
}

#[tokio::test]
async fn a_scheduler_that_returns_has_its_id_and_what_it_stored() {
    let directory = tempfile::tempdir().unwrap();
    let (node, address, mut hears) = master(None).await;
    let options = || Options { state_dir: Some(directory.path().to_owned()), ..Options::default() };
    let first = Simple { tears_down: false, ..Simple::of(&["a"]) };
    let running = run_scheduler(&address, framework("test"), first, options());
    let (outcome, _) = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome::Stopped);
    let running = run_scheduler(&address, framework("test"), Simple::of(&["b"]), options());
    let (_, second) = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!(second.stored, BTreeMap::from([("a".to_owned(), vec![1])]));
    let subscribes = async {
        let mut lines = vec![];
        while lines.len() < 2 {
            lines.extend(hears.recv().await.filter(|line| line.starts_with("Subscribe")));
        }
        lines
    };
    assert_eq!(subscribes.await, ["Subscribe None", "Subscribe Some(F)"]);
    node.shutdown().await;
}

#[tokio::test]
async fn a_scheduler_waits_for_a_master_that_is_not_there_yet() {
    let (node, address, _) = master(None).await;
    let listen = node.address();
    node.shutdown().await;
    let running =
        start_scheduler(&address, framework("test"), Simple::of(&["a"]), Options::default());
    let running = running.await.unwrap();
    let (node, _, mut hears) = master(listen).await;
    let ended = tokio::time::timeout(PATIENCE, running.ended()).await.unwrap().unwrap();
    assert_eq!(ended.0, Outcome::TornDown);
    assert_eq!(hears.recv().await.as_deref(), Some("Subscribe None"));
    node.shutdown().await;
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_in_words() {
    let running = run_scheduler("nowhere", framework("x"), Simple::of(&[]), Options::default());
    let error = running.await.map(|(outcome, _)| outcome).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        cause,
        "'nowhere' names no master: expected host:port, zk://host:port,host:port/path or file:///a/file"
    );
}

/// Launches one task on the executor that registers, then shuts it down.
struct Agent {
    heard: mpsc::UnboundedSender<String>,
    /// Ends its node's door at the first news, to see what an executor does without its agent.
    executor: Option<Pid>,
}

impl Actor for Agent {
    type Context = Context<Self>;
}

impl Handler<Received<ExecutorToAgent>> for Agent {
    type Result = ();

    fn handle(&mut self, received: Received<ExecutorToAgent>, ctx: &mut Context<Self>) {
        let from = received.from.expect("executors are actors");
        let answers = match received.message {
            ExecutorToAgent::Register { token, .. } => {
                self.heard.send(format!("Register {}", token.as_str())).unwrap();
                self.executor = Some(from);
                let mut info = framework("test");
                info.framework = FrameworkId::new("F");
                let registered = AgentToExecutor::Registered {
                    agent: AgentId::new("S1"),
                    framework: info,
                    shutdown_grace: Duration::from_secs(5),
                };
                let task = task::shell("a", "count", &Resources::none());
                vec![registered, AgentToExecutor::Launch(task)]
            }
            ExecutorToAgent::Updated(status) => {
                self.heard.send(format!("{} {:?}", status.task, status.state)).unwrap();
                let update = status.update.expect("executors want an answer");
                let mut answers = vec![AgentToExecutor::Acknowledge { task: status.task, update }];
                answers.extend(status.state.is_end().then_some(AgentToExecutor::Shutdown));
                answers
            }
            ExecutorToAgent::Reregister { .. } => vec![],
            ExecutorToAgent::ToScheduler(data) => {
                self.heard.send(format!("message {}", data.len())).unwrap();
                vec![]
            }
        };
        for answer in answers {
            ctx.tell(from, answer).unwrap();
        }
    }
}

/// Says a thousand things from a thread of the task's.
struct Talker;

impl Executor for Talker {
    fn launch(&mut self, calls: &mut ExecutorCalls, task: &TaskSpec) {
        calls.update(&task.task, TaskState::Running, "", vec![]);
        let (reporter, id) = (calls.reporter(), task.task.clone());
        std::thread::spawn(move || {
            for n in 0..1000 {
                reporter.message(vec![0; n]).unwrap();
            }
            reporter.update(&id, TaskState::Finished, "", vec![]).unwrap();
        });
    }

    fn kill(&mut self, _: &mut ExecutorCalls, _: &TaskId, _: Duration) {}

    fn shutdown(&mut self, _: &mut ExecutorCalls) {}
}

#[tokio::test]
async fn an_executor_runs_a_task_and_all_it_says_arrives_in_order() {
    let node = Node::start(NodeConfig::loopback()).await.unwrap();
    let (heard, mut hears) = mpsc::unbounded_channel();
    let accepts = Accepts::new().tells::<ExecutorToAgent>();
    let spawn = Spawn::named("agent").accepts(accepts);
    node.spawn(spawn, |_| Agent { heard, executor: None }).unwrap();
    let config = ExecutorConfig {
        agent: node.address().unwrap().to_string(),
        identity: Identity {
            framework: FrameworkId::new("F"),
            executor: ExecutorId::new("E"),
            container: ContainerId::new("C"),
            token: "secret".into(),
        },
        agent_file: None,
        recovery_timeout: PATIENCE,
        sandbox: ".".into(),
        secret: None,
    };
    let running = run_executor_as(config, Talker);
    let ending = tokio::time::timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!(ending, Ending::ShutDown);
    node.shutdown().await;
    let mut lines = vec![];
    while let Some(line) = hears.recv().await {
        lines.push(line);
    }
    let mut expected = vec!["Register secret".to_owned(), "a Running".to_owned()];
    expected.extend((0..1000).map(|n| format!("message {n}")));
    expected.push("a Finished".to_owned());
    assert_eq!(lines, expected);
}
