//! A master on a real node, with an agent and a scheduler that speak the protocol from nodes of their own, over TCP.

#![allow(clippy::unwrap_used)] // all of this is a test

mod reigns;
mod side;
mod versions;

use std::time::Duration;

use actix::{Actor, Handler};
use libactor::{Accepts, Context, Down, Message, Name, Node, Received, Spawn};
use master::{MasterConfig, Running, StartError};
use protocol::agent::{AgentAddress, AgentInfo, AgentToMaster, MasterToAgent};
use protocol::framework::{
    Capability, FrameworkInfo, FrameworkToMaster, MasterToFramework, Operation,
};
use protocol::ids::{AgentId, FrameworkId, OfferId, Role, TaskId, UpdateId};
use protocol::operator::{KillAnswer, KillTask, List, Read, ReadAnswer, ReadMoment};
use protocol::resources::Resources;
use protocol::task::{CommandSpec, Run, Source, TaskReport, TaskSpec, TaskState, TaskStatus};
use serde::{Deserialize, Serialize};
use side::{PATIENCE, Say, SayTo, Side, todays};
use tokio::sync::mpsc;

async fn master_in(work_dir: &std::path::Path) -> (Node, Running, Name) {
    let node = Node::start(todays()).await.unwrap();
    let store = master::local_store(work_dir).unwrap();
    let running = master::start(&node, MasterConfig::default(), store).unwrap();
    let name = format!("master@{}", node.address().unwrap()).parse().unwrap();
    (node, running, name)
}

fn register() -> AgentToMaster {
    AgentToMaster::Register { nonce: 7, info: agent_info() }
}

fn agent_info() -> AgentInfo {
    AgentInfo {
        at: AgentAddress { hostname: "here".into(), listens: "127.0.0.1:1".into() }.into(),
        resources: Resources::cpus_mem(4.0, 4096.0),
        attributes: Vec::new(),
        version: "0.1.0".into(),
        boot: "b".into(),
    }
}

fn framework_info() -> FrameworkInfo {
    FrameworkInfo {
        framework: FrameworkId::new(""),
        name: "test".into(),
        user: "nobody".into(),
        roles: vec![Role::everybody()],
        failover_timeout: Duration::from_secs(60),
        hostname: "here".into(),
        capabilities: vec![Capability::PartitionAware],
        carried: Default::default(),
    }
}

fn task(id: &str) -> TaskSpec {
    TaskSpec {
        task: TaskId::new(id),
        name: id.into(),
        resources: Resources::cpus_mem(1.0, 64.0),
        run: Run::Command(CommandSpec { value: "true".into(), shell: true, ..Default::default() }),
        kill_grace: None,
        carried: Default::default(),
    }
}

fn status(
    framework: &FrameworkId,
    agent: &AgentId,
    id: &str,
    state: TaskState,
    n: u64,
) -> TaskStatus {
    TaskStatus {
        agent: Some(agent.clone()),
        update: Some(UpdateId { source: 1, sequence: n }),
        ..TaskStatus::plain(framework.clone(), TaskId::new(id), state, Source::Executor)
    }
}

fn registered(message: &MasterToAgent) -> Option<(AgentId, u64)> {
    if let MasterToAgent::Registered { agent, epoch, .. } = message {
        return Some((agent.clone(), *epoch));
    }
    None
}

fn launched(message: &MasterToAgent) -> Option<TaskSpec> {
    if let MasterToAgent::Launch { task, .. } = message { Some(task.clone()) } else { None }
}

fn subscribed(message: &MasterToFramework) -> Option<(FrameworkId, Vec<TaskReport>)> {
    if let MasterToFramework::Subscribed { framework, tasks, .. } = message {
        return Some((framework.clone(), tasks.clone()));
    }
    None
}

fn offered(message: &MasterToFramework) -> Option<OfferId> {
    if let MasterToFramework::Offers(offers) = message {
        return offers.first().map(|offer| offer.offer.clone());
    }
    None
}

fn updated(message: &MasterToFramework) -> Option<TaskStatus> {
    if let MasterToFramework::Updated(status) = message { Some(status.clone()) } else { None }
}

#[tokio::test]
async fn a_task_goes_from_offer_to_acknowledged_end() {
    let folder = tempfile::tempdir().unwrap();
    let (node, running, name) = master_in(folder.path()).await;
    let mut agent = Side::<MasterToAgent>::new(&name).await;
    agent.say(register());
    let (agent_id, epoch) = agent.hears(registered).await;
    assert_eq!(epoch, 1);
    let mut scheduler = Side::<MasterToFramework>::new(&name).await;
    let (framework, offer) = subscribe(&mut scheduler, None).await;
    let accept = FrameworkToMaster::Accept {
        offers: vec![offer],
        operations: vec![Operation::Launch(vec![task("t")])],
        refuse_for: Duration::ZERO,
    };
    scheduler.say(accept);
    assert_eq!(agent.hears(launched).await, task("t"));
    for (n, state) in [(1, TaskState::Running), (2, TaskState::Finished)] {
        let status = status(&framework, &agent_id, "t", state, n);
        agent.say(AgentToMaster::Updated { status, latest: state });
        let heard = scheduler.hears(updated).await;
        assert_eq!(heard.state, state);
        let (task, update) = (heard.task, heard.update.unwrap());
        scheduler.say(FrameworkToMaster::Acknowledge { agent: agent_id.clone(), task, update });
        let acknowledged = agent.hears(|message| {
            if let MasterToAgent::Acknowledge { update, .. } = message {
                Some(*update)
            } else {
                None
            }
        });
        assert_eq!(acknowledged.await.sequence, n);
    }
    let view: Name = name.to_string().replace("master@", "view@").parse().unwrap();
    let moment = scheduler.node.ask(&name, ReadMoment, PATIENCE).await.unwrap();
    let read = Read::After { moment, list: List::Tasks };
    let answer = scheduler.node.ask(&view, read, PATIENCE).await.unwrap();
    let ReadAnswer::Tasks(tasks) = answer else { panic!("{answer:?}") };
    assert_eq!(tasks[0].report.state, TaskState::Finished);
    let metrics = running.metrics().await;
    assert!(metrics.contains("\nairside_master_tasks_finished 1\n"), "{metrics}");
    let of_allocator = ["resources_total{resource=\"cpus\"} 4", "event_queue_dispatches 0"];
    for line in of_allocator {
        assert!(metrics.contains(&format!("\nairside_allocator_{line}\n")), "{line} in {metrics}");
    }
    let of_name = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<u64>().ok()).expect(name)
    };
    let runs = of_name("airside_allocator_allocation_runs ");
    assert!(runs > 0, "{metrics}");
    assert_eq!(of_name("airside_allocator_allocation_run_seconds_count "), runs);
    assert_eq!(of_name("airside_allocator_allocation_run_latency_seconds_count "), runs);
    let kill = KillTask { framework, task: TaskId::new("t") };
    let answer = scheduler.node.ask(&name, kill, PATIENCE).await.unwrap();
    assert!(matches!(answer, KillAnswer::Refused(words) if words.contains("ended as Finished")));
    for side in [agent.node, scheduler.node, node] {
        side.shutdown().await;
    }
}

async fn subscribe(
    scheduler: &mut Side<MasterToFramework>,
    framework: Option<FrameworkId>,
) -> (FrameworkId, OfferId) {
    let info = framework_info();
    scheduler.say(FrameworkToMaster::Subscribe { nonce: 9, framework, info, demand: Vec::new() });
    let (framework, tasks) = scheduler.hears(subscribed).await;
    assert!(tasks.is_empty());
    (framework, scheduler.hears(offered).await)
}

#[tokio::test]
async fn a_second_master_on_one_registry_says_so_and_a_later_one_remembers_all() {
    let folder = tempfile::tempdir().unwrap();
    let (node, running, name) = master_in(folder.path()).await;
    let error = master::local_store(folder.path()).unwrap_err();
    assert!(
        matches!(&error, StartError::Store(_)) && error.to_string().contains("in use"),
        "{error}"
    );
    let mut agent = Side::<MasterToAgent>::new(&name).await;
    agent.say(register());
    let (agent_id, _) = agent.hears(registered).await;
    let mut scheduler = Side::<MasterToFramework>::new(&name).await;
    let (framework, _) = subscribe(&mut scheduler, None).await;
    running.stop();
    assert_eq!(running.ended().await, master::End::Stopped);
    node.shutdown().await;
    drop((running, node));

    let (node, running, name) = master_in(folder.path()).await;
    assert_eq!(running.cluster().epoch, 2);
    let mut again = Side::<MasterToAgent>::new(&name).await;
    let back = AgentToMaster::Reregister {
        agent: agent_id.clone(),
        info: agent_info(),
        tasks: Vec::new(),
        executors: Vec::new(),
        frameworks: Vec::new(),
        epoch: 1,
        cluster: running.cluster().cluster.clone(),
    };
    again.say(back);
    assert_eq!(again.hears(registered).await, (agent_id, 2));
    let mut scheduler_again = Side::<MasterToFramework>::new(&name).await;
    let (same, _) = subscribe(&mut scheduler_again, Some(framework.clone())).await;
    assert_eq!(same, framework);
    let _ = running;
    for side in [agent.node, scheduler.node, again.node, scheduler_again.node, node] {
        side.shutdown().await;
    }
}

#[tokio::test]
async fn the_loss_of_an_agents_node_rescinds_its_offers() {
    let folder = tempfile::tempdir().unwrap();
    let (node, _running, name) = master_in(folder.path()).await;
    let mut agent = Side::<MasterToAgent>::new(&name).await;
    agent.say(register());
    agent.hears(registered).await;
    let mut scheduler = Side::<MasterToFramework>::new(&name).await;
    let (_, offer) = subscribe(&mut scheduler, None).await;
    agent.node.shutdown().await;
    let rescinded = scheduler.hears(|message| {
        if let MasterToFramework::Rescinded(offers) = message { Some(offers.clone()) } else { None }
    });
    assert_eq!(rescinded.await, [offer]);
    for side in [scheduler.node, node] {
        side.shutdown().await;
    }
}

/// Makes a scheduler stand still in the middle of a message.
#[derive(Serialize, Deserialize)]
struct StandStill;

impl Message for StandStill {
    const NAME: &'static str = "test.StandStill";
}

/// A scheduler with little room, on the master's own node.
struct Narrow {
    heard: mpsc::UnboundedSender<MasterToFramework>,
    stands: mpsc::UnboundedSender<()>,
    goes_on: std::sync::mpsc::Receiver<()>,
}

impl Actor for Narrow {
    type Context = Context<Self>;
}

impl Handler<Received<MasterToFramework>> for Narrow {
    type Result = ();

    fn handle(&mut self, received: Received<MasterToFramework>, _: &mut Context<Self>) {
        let _ = self.heard.send(received.message);
    }
}

impl Handler<Received<SayTo>> for Narrow {
    type Result = ();

    fn handle(&mut self, received: Received<SayTo>, ctx: &mut Context<Self>) {
        let SayTo(to, Say::AsScheduler(message)) = received.message else { panic!("it is none") };
        ctx.tell(to, message).unwrap();
    }
}

impl Handler<Down> for Narrow {
    type Result = ();

    fn handle(&mut self, _: Down, _: &mut Context<Self>) {}
}

impl Handler<Received<StandStill>> for Narrow {
    type Result = ();

    fn handle(&mut self, _: Received<StandStill>, _: &mut Context<Self>) {
        self.stands.send(()).unwrap();
        self.goes_on.recv_timeout(PATIENCE).unwrap();
    }
}

#[tokio::test]
async fn a_scheduler_for_which_there_was_no_room_is_told_all_later() {
    let folder = tempfile::tempdir().unwrap();
    let (node, _running, name) = master_in(folder.path()).await;
    let mut agent = Side::<MasterToAgent>::new(&name).await;
    agent.say(register());
    let (agent_id, _) = agent.hears(registered).await;
    let ((sender, mut heard), (stands, mut stood)) =
        (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let (go_on, goes_on) = std::sync::mpsc::channel();
    let accepts = Accepts::new().tells::<MasterToFramework>().links();
    let spawn = Spawn { mailbox: 4, accepts, pinned: true, ..Spawn::default() };
    let scheduler = node.spawn(spawn, |_| Narrow { heard: sender, stands, goes_on }).unwrap();
    let (info, master) = (framework_info(), name.clone());
    let message =
        FrameworkToMaster::Subscribe { nonce: 9, framework: None, info, demand: Vec::new() };
    scheduler.tell(SayTo(master.into(), message.into())).unwrap();
    let mut next = async || tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap();
    let (framework, _) = subscribed(&next().await).unwrap();
    assert!(offered(&next().await).is_some());
    scheduler.tell(StandStill).unwrap();
    stood.recv().await.unwrap();
    for n in 1..=9 {
        let status = status(&framework, &agent_id, &format!("t{n}"), TaskState::Running, n);
        agent.say(AgentToMaster::Updated { status, latest: TaskState::Running });
    }
    // The answer to this comes behind all of it.
    agent.say(register());
    agent.hears(registered).await;
    go_on.send(()).unwrap();
    while subscribed(&next().await).is_none() {}
    for side in [agent.node, node] {
        side.shutdown().await;
    }
}
