//! Where agents are: written down, told to schedulers, looked at by constraints and by who may be offered what.

use std::time::Duration;

use protocol::agent::AgentToMaster;
use protocol::change::{AgentNews, What};
use protocol::framework::Capability;
use protocol::ids::ClusterId;
use protocol::offer::{Constraint, Demand};
use protocol::resources::Resources;
use protocol::wishes::{AttributeConstraint, FaultDomain, Predicate, Selector};

use super::scenario::{Scenario, agent_id, agent_info, agent_pid};
use crate::config::Config;
use crate::logic::allocator::BookEntry;

fn at(text: &str) -> FaultDomain {
    let (region, zone) = text.split_once('/').expect("a region and a zone");
    FaultDomain { region: region.into(), zone: zone.into() }
}

/// A master in `eu/1`.
fn here() -> Config {
    Config::default().located(Some(at("eu/1")))
}

fn joins(t: &mut Scenario, n: u64, domain: &str) {
    let message = AgentToMaster::RegisterAt { domain: at(domain), nonce: n, info: agent_info(n) };
    t.agent_says(agent_pid(n, 1), message);
}

fn returns(t: &mut Scenario, n: u64, domain: &str) {
    let message = AgentToMaster::ReregisterAt {
        domain: at(domain),
        agent: agent_id(n),
        info: agent_info(n),
        tasks: Vec::new(),
        executors: Vec::new(),
        frameworks: Vec::new(),
        epoch: t.master.epoch(),
        cluster: ClusterId::new("c"),
    };
    t.agent_says(agent_pid(n, 1), message);
}

/// Where the allocator's book has the first agent.
fn booked(t: &Scenario) -> Option<FaultDomain> {
    let agents = t.master.whole_book().agents;
    let Some(BookEntry::Agent { domain, .. }) = agents.into_iter().next() else { panic!() };
    domain
}

/// What readers were told of where agents are.
fn shown(t: &Scenario) -> Vec<String> {
    let domain = |what: &What| {
        let What::AgentDomain { agent, domain } = what else { return None };
        Some(format!("{agent} {domain}"))
    };
    t.changes.iter().filter_map(|change| domain(&change.what)).collect()
}

#[test]
fn fd_01_offers_say_where_their_agents_are_and_the_next_master_knows_it_too() {
    let mut t = Scenario::with(here());
    joins(&mut t, 1, "eu/2");
    t.agent_joins(2);
    t.forget_lines();
    t.subscribes(1);
    let mut offers = t.take_lines().split_off(1);
    offers.iter_mut().for_each(|line| *line = line.split_off(line.find(" of ").expect("an offer")));
    offers.sort();
    assert_eq!(offers, [" of S0 at eu/2: cpus:4;mem:4096", " of S1: cpus:4;mem:4096"]);
    assert_eq!((shown(&t), booked(&t)), (vec!["c-S0 eu/2".into()], Some(at("eu/2"))));

    let mut t = t.restart("n");
    assert_eq!(shown(&t), ["c-S0 eu/2"], "before it is back");
    t.subscribes_as(1, Some("c-0000"), &[], Vec::new());
    t.forget_lines();
    returns(&mut t, 1, "eu/2");
    t.did([
        "to agent-1: Registered(c-S0) in epoch 2",
        "to scheduler-1: O1 of S0 at eu/2: cpus:4;mem:4096",
    ]);
    assert_eq!(booked(&t), Some(at("eu/2")));
}

#[test]
fn an_agent_that_is_elsewhere_when_it_is_back_is_written_down_there_before_it_is_offered() {
    let mut t = Scenario::with(here());
    joins(&mut t, 1, "eu/2");
    t.subscribes(1);
    t.down(agent_pid(1, 1));
    t.forget_lines();
    t.registrar_is_slow = true;
    returns(&mut t, 1, "eu/3");
    t.did([]);
    t.write();
    t.did([
        "to agent-1: Registered(c-S0) in epoch 1",
        "to scheduler-1: O2 of S0 at eu/3: cpus:4;mem:4096",
    ]);
    assert_eq!(t.written.agents[&agent_id(1)].domain, Some(at("eu/3")));
    // Nor is it anywhere when it does not say so any more.
    t.registrar_is_slow = false;
    t.down(agent_pid(1, 1));
    t.forget_lines();
    t.agent_returns(1, 1, Vec::new());
    let told = t.take_lines();
    assert_eq!(told[1], "to scheduler-1: O3 of S0: cpus:4;mem:4096");
    assert_eq!((t.written.agents[&agent_id(1)].domain.as_ref(), booked(&t)), (None, None));
}

#[test]
fn alloc_12_fd_02_agents_of_other_regions_are_offered_to_frameworks_that_know_of_regions() {
    let mut t = Scenario::with(here());
    joins(&mut t, 1, "us/1");
    t.forget_lines();
    t.subscribes(1);
    t.did(["to scheduler-1: Subscribed(c-0000) []"]);
    t.subscribes_as(2, None, &[Capability::RegionAware], Vec::new());
    t.did([
        "to scheduler-2: Subscribed(c-0001) []",
        "to scheduler-2: O1 of S0 at us/1: cpus:4;mem:4096",
    ]);
    joins(&mut t, 2, "eu/9");
    let told = t.take_lines();
    assert!(told[1].ends_with("of S1 at eu/9: cpus:4;mem:4096"), "another zone is near: {told:?}");
}

#[test]
fn fd_03_an_agent_that_says_where_it_is_needs_a_master_that_does() {
    let mut t = Scenario::new();
    joins(&mut t, 1, "eu/1");
    t.did([
        "to agent-1: Refused: the agent says that it is in eu/1, and this master does not say where it is itself: start all \
         masters of the cluster with --domain, or the agent without",
    ]);
    assert!(t.written.agents.is_empty());
    // A member of the cluster waits for another master, and is not lost.
    let mut t = Scenario::with(here());
    joins(&mut t, 1, "eu/1");
    t.config = Config::default();
    let mut t = t.restart("n");
    returns(&mut t, 1, "eu/1");
    t.did(["to agent-1: ReturnLater after 10s"]);
    let news = |t: &Scenario| {
        let is_unfit =
            |what: &What| matches!(what, What::AgentNews { news: AgentNews::DomainUnfit, .. });
        t.changes.iter().filter(|change| is_unfit(&change.what)).count()
    };
    assert_eq!(news(&t), 1, "the log says so");
    t.config = here();
    let mut t = t.restart("o");
    returns(&mut t, 1, "eu/1");
    t.did(["to agent-1: Registered(c-S0) in epoch 3"]);
}

#[test]
fn fd_03_a_master_may_require_that_agents_say_where_they_are() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.config = Config { require_agent_domain: true, ..here() };
    let mut t = t.restart("n");
    t.agent_joins(2);
    t.did([
        "to agent-2: Refused: the agent does not say where it is, and this master takes only agents that do: start the agent \
         with --domain, or all masters of the cluster without --require_agent_domain",
    ]);
    t.agent_returns(1, 1, Vec::new());
    t.did(["to agent-1: ReturnLater after 10s"]);
    returns(&mut t, 1, "eu/1");
    joins(&mut t, 2, "eu/1");
    t.did(["to agent-1: Registered(c-S0) in epoch 2", "to agent-2: Registered(c-S1) in epoch 2"]);
}

#[test]
fn names_of_regions_and_zones_that_are_none_are_refused() {
    let mut t = Scenario::with(here());
    for (n, (domain, words)) in
        [("/1", "the name of its region is empty"), ("eu/", "the name of its zone is empty")]
            .into_iter()
            .enumerate()
    {
        joins(&mut t, 1 + n as u64, domain);
        let told = t.take_lines();
        assert!(told[0].contains("Refused: the agent's fault domain cannot be taken"), "{told:?}");
        assert!(told[0].contains(words), "{told:?}");
    }
    joins(&mut t, 3, &format!("eu/{}", "z".repeat(256)));
    assert!(t.take_lines()[0].contains("its zone has 256 bytes, and 255 at most are allowed"));
    assert!(t.written.agents.is_empty());
}

#[test]
fn a_need_in_a_zone_is_offered_there_alone_and_unmet_if_there_is_no_such_zone() {
    let needs = |zone: &str| {
        let predicate = Predicate::TextEquals(zone.into());
        let there = AttributeConstraint { selector: Selector::Zone, predicate };
        let constraints = vec![Constraint::Attribute(there)];
        vec![Demand { each: Resources::cpus_mem(1.0, 100.0), count: 1, constraints }]
    };
    let mut t = Scenario::with(here());
    (1..=3).for_each(|n| joins(&mut t, n, &format!("eu/z{n}")));
    t.forget_lines();
    t.subscribes_as(1, None, &[Capability::StatesDemand], needs("z2"));
    let told = t.take_lines();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains("of S1 at eu/z2: cpus:1;mem:100"), "{told:?}");
    t.subscribes_as(2, None, &[Capability::StatesDemand], needs("z9"));
    t.pass(Duration::from_secs(2));
    t.did(["to scheduler-2: Subscribed(c-0001) []", "to scheduler-2: Unmet: no agent has zone=z9"]);
}
