//! How reigns end and begin anew on one node, as an election says.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordination::election::{Candidate, Elector, Reign, Standing};
use coordination::local::LocalStore;
use coordination::store::{Change, Store, StoreError};
use libactor::{AskError, Name, Node};
use master::{End, MasterConfig, Running};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::change::AgentState;
use protocol::ids::{AgentId, ClusterId};
use protocol::operator::{Read, ReadAnswer, ReadMoment};
use tokio::sync::watch;

use crate::side::{PATIENCE, Side, todays};
use crate::{agent_info, register};

/// How long nothing is to come.
const HELD: Duration = Duration::from_millis(300);

/// A local store whose election a test decides.
struct Steered {
    store: LocalStore,
    standing: watch::Sender<Standing>,
    gate: Option<Gate>,
    /// How many changes each write had.
    writes: Vec<usize>,
}

/// Where writes wait.
struct Gate {
    waits: tokio::sync::mpsc::UnboundedSender<()>,
    /// Nobody waits any more once the other end is dropped.
    opens: std::sync::mpsc::Receiver<()>,
}

impl Store for Steered {
    fn load(&mut self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        self.store.load()
    }

    fn write(&mut self, epoch: u64, changes: &[Change]) -> Result<(), StoreError> {
        if let Some(Gate { waits, opens }) = &self.gate {
            let _ = (waits.send(()), opens.recv());
        }
        self.writes.push(changes.len());
        self.store.write(epoch, changes)
    }
}

impl Elector for Steered {
    type Error = StoreError;

    fn stand(&mut self, candidate: &Candidate) -> Result<Reign, StoreError> {
        self.standing.send_replace(Standing::Leads);
        self.store.stand(candidate)
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }
}

fn steered(work_dir: &Path) -> (watch::Sender<Standing>, Arc<Mutex<Steered>>) {
    let standing = watch::Sender::new(Standing::Leads);
    let store = master::local_store(work_dir).unwrap();
    let steered = Steered { store, standing: standing.clone(), gate: None, writes: Vec::new() };
    (standing, Arc::new(Mutex::new(steered)))
}

/// How it ends; it does so soon.
async fn ends(running: &Running) -> End {
    tokio::time::timeout(PATIENCE, running.ended()).await.expect("the reign ends")
}

fn registered(message: &MasterToAgent) -> Option<u64> {
    crate::registered(message).map(|(_, epoch)| epoch)
}

#[tokio::test]
async fn a_suspended_master_answers_nobody_until_it_leads_again() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(todays()).await.unwrap();
    let (standing, store) = steered(folder.path());
    let running = master::start(&node, MasterConfig::default(), store).unwrap();
    let name = format!("master@{}", node.address().unwrap()).parse().unwrap();
    let mut agent: Side<MasterToAgent> = Side::new(&name).await;
    standing.send_replace(Standing::Suspended);
    agent.say(register());
    let asked = agent.node.ask(&name, ReadMoment, HELD).await;
    assert_eq!(asked, Err(AskError::Deadline), "it is held");
    assert!(agent.heard.try_recv().is_err(), "and nobody is answered");
    standing.send_replace(Standing::Leads);
    assert_eq!(agent.hears(registered).await, 1, "what was said meanwhile waited");
    running.stop();
    assert_eq!(ends(&running).await, End::Stopped);
    node.shutdown().await;
}

/// An agent without tasks, of the first reign.
fn returns(agent: AgentId, cluster: ClusterId) -> AgentToMaster {
    AgentToMaster::Reregister {
        agent,
        info: agent_info(),
        tasks: Vec::new(),
        executors: Vec::new(),
        frameworks: Vec::new(),
        epoch: 1,
        cluster,
    }
}

#[tokio::test]
async fn a_deposed_master_drops_its_state_and_reigns_anew_under_another_id() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(todays()).await.unwrap();
    let (standing, store) = steered(folder.path());
    let first = master::start(&node, MasterConfig::default(), Arc::clone(&store)).unwrap();
    let name = format!("master@{}", node.address().unwrap()).parse().unwrap();
    let mut agent: Side<MasterToAgent> = Side::new(&name).await;
    agent.say(register());
    let (id, cluster) = agent
        .hears(|message| {
            if let MasterToAgent::Registered { agent, cluster, .. } = message {
                return Some((agent.clone(), cluster.clone()));
            }
            None
        })
        .await;
    standing.send_replace(Standing::Suspended);
    standing.send_replace(Standing::Deposed("another one leads".into()));
    assert_eq!(ends(&first).await, End::Deposed("another one leads".into()));
    let second = master::start(&node, MasterConfig::default(), store).unwrap();
    assert_eq!((first.cluster().epoch, second.cluster().epoch), (1, 2));
    assert_ne!(first.cluster().master, second.cluster().master);
    agent.say(returns(id, cluster));
    assert_eq!(agent.hears(registered).await, 2, "the registry is what it was");
    second.stop();
    ends(&second).await;
    node.shutdown().await;
}

#[tokio::test]
async fn reg_02_a_write_that_the_registry_refuses_ends_the_reign_and_nobody_is_told_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(todays()).await.unwrap();
    let (_, store) = steered(folder.path());
    let first = master::start(&node, MasterConfig::default(), Arc::clone(&store)).unwrap();
    let name = format!("master@{}", node.address().unwrap()).parse().unwrap();
    let mut agent: Side<MasterToAgent> = Side::new(&name).await;
    // Another reign begins behind its back.
    store.lock().unwrap().stand(&Candidate::at("h:1")).unwrap();
    agent.say(register());
    let End::CannotRemember(why) = ends(&first).await else { panic!("it ends otherwise") };
    assert!(why.contains("epoch 2 has begun"), "{why}");
    assert!(agent.heard.try_recv().is_err(), "what is not written is not told");
    assert!(store.lock().unwrap().load().unwrap().keys().all(|key| !key.starts_with("agent/")));
    let second = master::start(&node, MasterConfig::default(), store).unwrap();
    assert_ne!(first.cluster().master, second.cluster().master);
    agent.say(register());
    assert_eq!(agent.hears(registered).await, 3, "a reign that may write tells of it");
    second.stop();
    ends(&second).await;
    node.shutdown().await;
}

/// As when Mesos's master exits: the fault is likely elsewhere, and the next reign waits for all of them again.
#[tokio::test]
async fn part_06_a_reign_ends_if_too_many_agents_do_not_return_and_the_next_one_awaits_them_as_well()
 {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(todays()).await.unwrap();
    let (_, store) = steered(folder.path());
    let logic = |agent_reregister_timeout| master::config::Config {
        agent_reregister_timeout,
        recovery_agent_removal_percent_max: 10,
        ..Default::default()
    };
    let patient = || MasterConfig { logic: logic(Duration::from_secs(600)) };
    let first = master::start(&node, patient(), Arc::clone(&store)).unwrap();
    let name = format!("master@{}", node.address().unwrap()).parse().unwrap();
    let mut agent: Side<MasterToAgent> = Side::new(&name).await;
    agent.say(register());
    let id = agent.hears(crate::registered).await.0;
    first.stop();
    assert_eq!(ends(&first).await, End::Stopped);

    let impatient = MasterConfig { logic: logic(HELD) };
    let second = master::start(&node, impatient, Arc::clone(&store)).unwrap();
    let End::TooMuchIsMissing(why) = ends(&second).await else { panic!("it ends otherwise") };
    assert!(why.starts_with("1 of the 1 agents"), "{why}");

    let third = master::start(&node, patient(), store).unwrap();
    assert_ne!(second.cluster().master, third.cluster().master);
    let view: Name = format!("view@{}", node.address().unwrap()).parse().unwrap();
    let answer = agent.node.ask(&view, Read::Agents, PATIENCE).await.unwrap();
    let ReadAnswer::Agents(agents) = answer else { panic!("{answer:?}") };
    let agents: Vec<_> = agents.iter().map(|agent| (&agent.agent, agent.state)).collect();
    assert_eq!(agents, [(&id, AgentState::Recovered)], "it was not given up");
    let cluster = third.cluster().cluster.clone();
    agent.say(returns(id, cluster));
    assert_eq!(agent.hears(registered).await, 3, "and may return");
    third.stop();
    ends(&third).await;
    node.shutdown().await;
}

/// One write after the other, and each of all that came during the one before.
#[tokio::test]
async fn reg_02_what_waits_for_the_registry_is_written_together() {
    const AGENTS: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let node = Node::start(todays()).await.unwrap();
    let (_, store) = steered(folder.path());
    let (waits, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    let (open, opens) = std::sync::mpsc::channel();
    let running = master::start(&node, MasterConfig::default(), Arc::clone(&store)).unwrap();
    {
        let mut store = store.lock().unwrap();
        store.gate = Some(Gate { waits, opens });
        store.writes.clear();
    }
    let name = format!("master@{}", node.address().unwrap()).parse().unwrap();
    let mut agent: Side<MasterToAgent> = Side::new(&name).await;
    for nonce in 0..AGENTS as u64 {
        agent.say(AgentToMaster::Register { nonce, info: agent_info() });
        if nonce == 0 {
            waiting.recv().await.unwrap();
        }
    }
    agent.node.ask(&name, ReadMoment, PATIENCE).await.unwrap();
    assert!(agent.heard.try_recv().is_err(), "what is not written is not told");
    drop(open);
    for _ in 0..AGENTS {
        agent.hears(registered).await;
    }
    running.stop();
    ends(&running).await;
    let writes = std::mem::take(&mut store.lock().unwrap().writes);
    let (first, rest) = writes.split_first().unwrap();
    assert_eq!(rest.iter().sum::<usize>(), first * (AGENTS - 1), "{writes:?}");
    // Some may have been on their way to the registrar still when the gate was opened.
    assert!(rest.len() < AGENTS / 2, "{writes:?}");
    node.shutdown().await;
}
