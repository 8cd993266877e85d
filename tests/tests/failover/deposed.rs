//! Leaders that are deposed and have not heard of it, as one has not that was frozen and wakes up: they try to kill, to launch and
//! to write. Masters of these stories are blind: what their election says of them does not reach them.

use std::collections::BTreeMap;
use std::time::Duration;

use coordination::election::{Candidate, Elector, Reign, Standing};
use coordination::store::{Change, Stopped, Store, StoreError};
use coordination::zookeeper::{ZooKeeper, ZooKeeperStore};
use ensemble::Ensemble;
use libactor::{Name, Node, NodeConfig};
use master::{End, MasterConfig, Running};
use protocol::PROTOCOL_VERSION;
use protocol::ids::TaskId;
use protocol::operator::{KillAnswer, KillTask};
use protocol::task::TaskState;
use tests::cluster::{Home, Process, eventually, page};
use tests::holder::{Held, noted};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::seats::Stranger;
use crate::stage::PATH;

const SESSION: Duration = Duration::from_secs(10);
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Stands for election as any other does, and then leads for ever, as far as it knows.
struct Blind {
    store: ZooKeeperStore,
    standing: watch::Sender<Standing>,
}

impl Elector for Blind {
    type Error = StoreError;

    fn stand(&mut self, candidate: &Candidate) -> Result<Reign, StoreError> {
        self.store.stand(candidate)
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }
}

impl Store for Blind {
    fn load(&mut self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        self.store.load()
    }

    fn write(&mut self, epoch: u64, changes: &[Change]) -> Result<(), StoreError> {
        self.store.write(epoch, changes)
    }

    fn write_all(&mut self, epoch: u64, batches: &[Vec<Change>]) -> Result<(), Stopped> {
        self.store.write_all(epoch, batches)
    }
}

/// A master in this process.
struct Blinded {
    node: Node,
    address: String,
    running: Running,
    _zookeeper: ZooKeeper,
}

/// One ZooKeeper server, one agent, and masters that follow one another.
struct Scene {
    runtime: Runtime,
    home: Home,
    ensemble: Ensemble,
    stranger: Stranger,
    agent: Process,
    agent_address: String,
}

impl Scene {
    fn set() -> Self {
        let (runtime, home) = (Runtime::new().unwrap(), Home::new());
        let ensemble = Ensemble::start(1).unwrap();
        let stranger = runtime.block_on(Stranger::new(&ensemble.hosts()));
        let mut agent = start_agent(&home, "agent", &ensemble.url(PATH));
        let agent_address = agent.says("agent@").trim().replace("agent@", "");
        Self { runtime, home, ensemble, stranger, agent, agent_address }
    }

    /// The next master leads: whoever leads now is deposed by the removal of its node.
    fn next_leads(&mut self) -> Blinded {
        let before = self.counted("registrations");
        self.runtime.block_on(self.stranger.deletes_seats(PATH));
        let config = NodeConfig { version: PROTOCOL_VERSION, ..NodeConfig::loopback() };
        let node = self.runtime.block_on(Node::start(config)).unwrap();
        let url = self.ensemble.url(PATH).parse().unwrap();
        let zookeeper = master::zookeeper(url, SESSION, None).unwrap();
        let store =
            Blind { store: zookeeper.store(), standing: watch::Sender::new(Standing::Leads) };
        let elected = master::stand(&node, None, store).unwrap();
        let running = {
            let _runtime = self.runtime.enter();
            elected.start(&node, silent()).unwrap()
        };
        let address = node.address().unwrap().to_string();
        let next = Blinded { node, address, running, _zookeeper: zookeeper };
        eventually("the agent has gone to it", || self.has_the_agent(&next));
        eventually("the agent knows", || self.counted("registrations") > before);
        next
    }

    fn has_the_agent(&self, master: &Blinded) -> bool {
        let counted = self.runtime.block_on(master.running.metrics());
        counted.contains("\nairside_master_agents_active 1\n")
    }

    /// A framework that follows no election, so that it stays with this master; its one task runs.
    fn holds_a_task_of(&self, name: &str, master: &Blinded) -> (Held, TaskId) {
        let notes = self.home.path("notes");
        let held = self.runtime.block_on(Held::start(name, &master.address, 1, &notes));
        let task = held.tasks.first().unwrap().clone();
        eventually("its task runs", || held.sees().tasks.get(&task) == Some(&TaskState::Running));
        (held, task)
    }

    fn commands_refused(&self) -> u64 {
        self.counted("epochs_refused")
    }

    /// By the agent.
    fn counted(&self, what: &str) -> u64 {
        let text = page(&self.agent_address, "/metrics").unwrap();
        let name = format!("airside_agent_{what}_total ");
        let count = text.lines().find_map(|line| line.strip_prefix(&name));
        count.expect("it is counted").parse().unwrap()
    }

    fn ended(&self, master: &Blinded) -> End {
        let end = async { tokio::time::timeout(ANSWERED_WITHIN, master.running.ended()).await };
        self.runtime.block_on(end).expect("its reign ends")
    }

    /// The agent has the latest master as before.
    #[track_caller]
    fn is_well_under(&self, leader: &Blinded, tasks: &[&TaskId]) {
        assert!(self.has_the_agent(leader));
        let started = noted(&self.home.path("notes"));
        let started: Vec<_> = started.iter().map(|(task, _)| task.as_str()).collect();
        let expected: Vec<_> = tasks.iter().map(|task| task.as_str()).collect();
        assert_eq!(started, expected, "each was started once, and no other");
        let listed = self.home.airside(&["tasks", "--json", "--master", &leader.address]);
        let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
        let mut names: Vec<_> = listed.as_array().unwrap().iter().collect();
        names.retain(|task| task["state"] == "TASK_RUNNING");
        assert_eq!(names.len(), tasks.len(), "{listed:#}");
    }
}

/// A story that fails shows what its agent said.
impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the agent said:\n{}", self.agent.said_so_far());
        }
    }
}

/// A ping is a command too, and would come before those that are tried.
fn silent() -> MasterConfig {
    let ping_every = Duration::from_secs(600);
    MasterConfig { logic: master::config::Config { ping_every, ..Default::default() } }
}

fn start_agent(home: &Home, name: &str, master: &str) -> Process {
    let mut command = home.command(&["agent", "--port", "0", "--log", "debug"]);
    command.args(["--master", master, "--resources", "cpus:4;mem:2048;disk:1024"]);
    Process::start(name, command.arg("--work-dir").arg(home.path(name)))
}

#[track_caller]
fn stepped_down(end: &End) {
    let End::SteppedDown(why) = end else { panic!("it ends otherwise: {end:?}") };
    assert!(why.contains("refused a command of epoch"), "{why}");
}

#[test]
fn a_leader_that_does_not_know_that_it_is_deposed_can_neither_kill_nor_launch_nor_write() {
    let mut scene = Scene::set();

    // To kill: the agent has seen a later reign, and refuses.
    let first = scene.next_leads();
    let (held, one) = scene.holds_a_task_of("kill", &first);
    let second = scene.next_leads();
    assert!(scene.has_the_agent(&first), "the first one believes that it leads");
    assert_eq!(scene.commands_refused(), 0);
    let framework = held.sees().framework.unwrap();
    let kill = KillTask { framework, task: one.clone() };
    let name: Name = format!("master@{}", first.address).parse().unwrap();
    let asked = scene.runtime.block_on(first.node.ask(&name, kill, ANSWERED_WITHIN)).unwrap();
    assert!(matches!(asked, KillAnswer::KillingAt(_)), "it tries: {asked:?}");
    stepped_down(&scene.ended(&first));
    assert_eq!(scene.commands_refused(), 1);
    scene.is_well_under(&second, &[&one]);

    // To launch: the same.
    let (other, two) = scene.holds_a_task_of("launch", &second);
    let third = scene.next_leads();
    assert_eq!(scene.commands_refused(), 1);
    let tried = TaskId::new("never");
    other.wants(tried.as_str());
    eventually("it tries", || other.sees().tasks.contains_key(&tried));
    stepped_down(&scene.ended(&second));
    assert_eq!(scene.commands_refused(), 2);
    scene.is_well_under(&third, &[&one, &two]);

    // To write: the servers of ZooKeeper refuse, since another reign has begun, and nobody is told of what is not written.
    let fourth = scene.next_leads();
    let mut stray = start_agent(&scene.home, "stray", &third.address);
    let end = scene.ended(&third);
    let End::CannotRemember(why) = &end else { panic!("it ends otherwise: {end:?}") };
    assert!(why.contains("epoch 4 has begun"), "{why}");
    assert_eq!(fourth.running.cluster().epoch, 4);
    scene.is_well_under(&fourth, &[&one, &two]);
    let stray_address = stray.says("agent@").trim().replace("agent@", "");
    let counted = page(&stray_address, "/metrics").unwrap();
    assert!(counted.contains("\nairside_agent_registrations_total 0\n"), "{counted}");
}
