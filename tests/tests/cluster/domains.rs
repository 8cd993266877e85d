//! Agents in zones and regions: what their operators say is offered, looked at by constraints, listed, and still known to the next
//! master.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::{Actor, Handler};
use libactor::{Accepts, Context, Node, NodeConfig, Received, Spawn};
use nix::sys::signal::Signal;
use protocol::agent::AgentToMaster;
use protocol::framework::Capability;
use sdk::Running;
use sdk::prelude::*;
use serde_json::{Value, json};
use tests::cluster::{Home, Process, eventually};
use tokio::runtime::Runtime;

fn domain(place: &str) -> String {
    let (region, zone) = place.split_once('/').expect("a region and a zone");
    json!({ "fault_domain": { "region": { "name": region }, "zone": { "name": zone } } })
        .to_string()
}

/// An agent there; its host name is its zone's.
fn agent(home: &Home, at: &str, place: &str) -> Process {
    let zone = place.rsplit('/').next().expect("a zone");
    let work_dir = format!("--work-dir={}", home.path(zone).display());
    let (joins, named) = (format!("--master={at}"), format!("--hostname=host-{zone}"));
    let place = format!("--domain={}", domain(place));
    let size = "--resources=cpus:1;mem:256;disk:64";
    let line = ["agent", "--port=0", &joins, &work_dir, &named, &place, size];
    Process::start("agent", &mut home.command(&line))
}

/// Host name, domain and state of each agent.
fn listed(home: &Home, at: &str) -> BTreeSet<String> {
    let outcome = home.airside(&["agents", "--json", &format!("--master={at}")]);
    let agents: Vec<Value> = serde_json::from_str(&outcome.stdout).unwrap_or_default();
    let text = |agent: &Value, path: &str| {
        agent.pointer(path).and_then(Value::as_str).unwrap_or("nowhere").to_owned()
    };
    let line = |agent: &Value| {
        let paths = ["/hostname", "/domain/region", "/domain/zone", "/state"];
        paths.map(|path| text(agent, path)).join(" ")
    };
    agents.iter().map(line).collect()
}

/// Wants tasks where a predicate holds of an agent's zone or region, or anywhere, and notes where it was offered any.
struct Looks {
    wants: Vec<Constraint>,
    offered: Arc<Mutex<BTreeSet<String>>>,
}

fn lock(offered: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    offered.lock().unwrap_or_else(PoisonError::into_inner)
}

fn each() -> Resources {
    Resources::cpus_mem(0.1, 32.0)
}

impl Scheduler for Looks {
    fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
        let constraints = self.wants.clone();
        calls.demand(vec![Demand { each: each(), count: 2, constraints }]);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            let domain = calls.domain_of(offer).map_or("nowhere".into(), ToString::to_string);
            lock(&self.offered).insert(format!("{} {domain}", offer.at.hostname));
        }
    }
}

struct Looking {
    offered: Arc<Mutex<BTreeSet<String>>>,
    _running: Running<Looks>,
}

impl Looking {
    fn start(runtime: &Runtime, at: &str, looks: Looks, info: FrameworkInfo, by: Options) -> Self {
        let offered = Arc::clone(&looks.offered);
        let running = runtime.block_on(start_scheduler(at, info, looks, by));
        Self { offered, _running: running.expect("a scheduler starts") }
    }
}

fn looks(
    runtime: &Runtime,
    at: &str,
    selector: Selector,
    name: &str,
    can: Option<Capability>,
) -> Looking {
    let there = AttributeConstraint { selector, predicate: Predicate::TextMatches(name.into()) };
    let looks = Looks { wants: vec![Constraint::Attribute(there)], offered: Arc::default() };
    let mut info = framework("looks");
    info.capabilities.extend(can);
    Looking::start(runtime, at, looks, info, Options::default())
}

/// Of version 1, which knows of no domains.
fn looks_of_version_1(runtime: &Runtime, at: &str) -> Looking {
    let config = NodeConfig { version: 1, ..NodeConfig::default() };
    let node = runtime.block_on(Node::start(config)).expect("a node starts");
    let looks = Looks { wants: Vec::new(), offered: Arc::default() };
    let by = Options { node: Some(node), ..Options::default() };
    Looking::start(runtime, at, looks, framework("older"), by)
}

#[track_caller]
fn is_offered(looking: &Looking, places: &[&str]) {
    let wanted: BTreeSet<String> = places.iter().map(ToString::to_string).collect();
    eventually("it is offered what it wants", || lock(&looking.offered).is_superset(&wanted));
    assert_eq!(*lock(&looking.offered), wanted, "and no more");
}

/// FD-01, FD-02: two zones near the master and one far from it.
#[test]
fn fd_02_zones_are_chosen_by_constraints_and_other_regions_are_for_those_that_know_of_them() {
    let (home, runtime) = (Home::new(), Runtime::new().unwrap());
    fs::write(home.path("here"), domain("eu/m")).unwrap();
    let here = format!("--domain=file://{}", home.path("here").display());
    let (mut first, at) = home.master(&[&here]);
    let _agents = ["eu/a", "eu/b", "us/c"].map(|place| agent(&home, &at, place));
    let active = ["host-a eu a active", "host-b eu b active", "host-c us c active"];
    let active: BTreeSet<String> = active.map(str::to_owned).into();
    eventually("all are there", || listed(&home, &at) == active);
    let table = home.airside(&["agents", &format!("--master={at}")]).stdout;
    assert!(table.contains("REGION/ZONE") && table.contains("The master is in eu/m"), "{table}");

    let in_b = looks(&runtime, &at, Selector::Zone, "b", None);
    is_offered(&in_b, &["host-b eu/b"]);
    let near = looks(&runtime, &at, Selector::Zone, ".*", None);
    is_offered(&near, &["host-a eu/a", "host-b eu/b"]);
    let older = looks_of_version_1(&runtime, &at);
    is_offered(&older, &["host-a nowhere", "host-b nowhere"]);
    let knows = Some(Capability::RegionAware);
    let far = looks(&runtime, &at, Selector::Region, "u.", knows);
    is_offered(&far, &["host-c us/c"]);
    let everywhere = looks(&runtime, &at, Selector::Zone, ".*", knows);
    is_offered(&everywhere, &["host-a eu/a", "host-b eu/b", "host-c us/c"]);
    assert_eq!(lock(&near.offered).len(), 2, "it never was offered what is far");

    // The next master knows where they are before they are back, and so it does then.
    first.signal(Signal::SIGKILL);
    first.ended();
    lock(&in_b.offered).clear();
    let (_, port) = at.rsplit_once(':').unwrap();
    let (_second, _) = home.master(&[&here, &format!("--port={port}")]);
    let places = |lines: BTreeSet<String>| -> BTreeSet<String> {
        lines.iter().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    };
    assert_eq!(places(listed(&home, &at)), places(active.clone()));
    eventually("all are back", || listed(&home, &at) == active);
    is_offered(&in_b, &["host-b eu/b"]);
}

/// Hears and answers nothing.
struct Mute;

impl Actor for Mute {
    type Context = Context<Self>;
}

impl Handler<Received<AgentToMaster>> for Mute {
    type Result = ();

    fn handle(&mut self, _: Received<AgentToMaster>, _: &mut Context<Self>) {}
}

/// FD-03: it has no words for it.
#[test]
fn fd_03_an_agent_that_says_where_it_is_says_that_a_master_of_version_1_is_too_old() {
    let (home, runtime) = (Home::new(), Runtime::new().unwrap());
    let node = runtime.block_on(Node::start(NodeConfig { version: 1, ..NodeConfig::loopback() }));
    let node = node.expect("a node starts");
    let accepts = Accepts::new().tells::<AgentToMaster>();
    node.spawn(Spawn::named("master").accepts(accepts), |_| Mute).expect("an actor");
    let at = node.address().expect("it listens").to_string();
    let mut agent = agent(&home, &at, "eu/a");
    let said = agent.says("the master is of an older version");
    assert!(said.contains("WARN") && said.contains("in eu/a: upgrade all masters first"), "{said}");
}

/// FD-03: nobody could say whether it is far.
#[test]
fn fd_03_an_agent_that_says_where_it_is_is_refused_by_a_master_that_does_not_and_the_other_way_round()
 {
    let home = Home::new();
    let (mut silent, at) = home.master(&[]);
    let mut refused = agent(&home, &at, "eu/a");
    assert_eq!(refused.ended().code(), Some(1));
    let said = refused.said_so_far();
    let words = "it is in eu/a, and this master does not say where it is itself: start all masters of the cluster with --domain";
    assert!(said.contains(words), "{said}");
    silent.signal(Signal::SIGTERM);
    silent.ended();

    let here = format!("--domain={}", domain("eu/m"));
    let (_strict, at) = home.master(&[&here, "--require_agent_domain"]);
    let (joins, work_dir) =
        (format!("--master={at}"), format!("--work-dir={}", home.path("b").display()));
    let outcome = home.airside(&["agent", "--port=0", &joins, &work_dir]);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(outcome.stderr.contains("takes only agents that do: start the agent with --domain"));
    let _agent = agent(&home, &at, "eu/a");
    let active: BTreeSet<String> = ["host-a eu a active".to_owned()].into();
    eventually("it is there", || listed(&home, &at) == active);
}
