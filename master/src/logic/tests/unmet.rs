//! Needs that are more than any agent has.

use std::time::Duration;

use protocol::agent::{AgentInfo, AgentToMaster};
use protocol::framework::{Capability, FrameworkInfo, FrameworkToMaster, MasterToFramework};
use protocol::offer::{Constraint, Demand};
use protocol::resources::{Ranges, Resources};

use super::scenario::{Scenario, agent_info, agent_pid, framework_info, scheduler_pid};
use crate::config::Config;
use crate::logic::{Effect, Event};

const SOON: Duration = Duration::from_secs(1);
const TOO_MUCH: &str =
    "to scheduler-1: Unmet: no agent has cpus:64;mem:100: the most that one has is cpus:4;mem:4096";

fn needs(cpus: f64, count: u32, constraints: Vec<Constraint>) -> Demand {
    Demand { each: Resources::cpus_mem(cpus, 100.0), count, constraints }
}

/// A scheduler that states its demand, and agents of 4 cpus.
fn with_agents(count: u64, demand: Vec<Demand>) -> Scenario {
    let mut t = Scenario::new();
    (1..=count).for_each(|n| t.agent_joins(n));
    t.forget_lines();
    t.subscribes_as(1, None, &[Capability::StatesDemand], demand);
    t
}

#[test]
fn a_need_that_no_agent_could_meet_is_told_once_when_it_is_stated() {
    let mut t = with_agents(2, vec![needs(64.0, 1, Vec::new())]);
    t.did(["to scheduler-1: Subscribed(c-0000) []", TOO_MUCH]);
    let state = |t: &mut Scenario, demand| {
        t.scheduler_says(1, FrameworkToMaster::Demand(demand));
    };
    state(&mut t, vec![needs(64.0, 2, Vec::new())]);
    t.pass(Duration::from_secs(10));
    t.did([]);
    let rack = |value: &str| Constraint::Is { attribute: "rack".into(), value: value.into() };
    let not_here =
        |n| Constraint::IsNot { attribute: "hostname".into(), value: format!("host{n}") };
    state(&mut t, vec![needs(64.0, 2, Vec::new()), needs(1.0, 1, vec![rack("r9"), not_here(1)])]);
    t.did(["to scheduler-1: Unmet: no agent has rack=r9 and hostname!=host1"]);
    state(&mut t, vec![needs(8.0, 1, vec![not_here(1)])]);
    t.did([
        "to scheduler-1: Unmet: no agent with hostname!=host1 has cpus:8;mem:100: the most that one has is cpus:4;mem:4096",
    ]);
    state(&mut t, vec![needs(1.0, 1, vec![Constraint::Ports { each: 3 }])]);
    t.did([
        "to scheduler-1: Unmet: no agent has cpus:1;mem:100 and 3 ports: the most that one has is cpus:4;mem:4096 and 0 ports",
    ]);
    // Withdrawn, and stated again.
    state(&mut t, Vec::new());
    state(&mut t, vec![needs(64.0, 1, Vec::new())]);
    t.did([TOO_MUCH]);
}

#[test]
fn why_a_need_is_unmet_is_said_of_one_agent() {
    let mut t = Scenario::new();
    let mut joins = |n, resources| {
        let info = AgentInfo { resources, ..agent_info(n) };
        t.agent_says(agent_pid(n, 1), AgentToMaster::Register { nonce: n, info });
    };
    let ports = |from, to| Ranges::new([(from, to)]);
    joins(1, Resources::cpus_mem(8.0, 1024.0).with_ranges("ports", ports(80, 89)));
    joins(2, Resources::cpus_mem(2.0, 8192.0));
    t.forget_lines();
    let need = |each| Demand { each, count: 1, constraints: Vec::new() };
    let demand = vec![
        need(Resources::cpus_mem(8.0, 8192.0)),
        need(Resources::cpus_mem(1.0, 64.0).with_ranges("ports", ports(88, 99))),
    ];
    t.subscribes_as(1, None, &[Capability::StatesDemand], demand);
    let lines = t.take_lines();
    let [_, unmet] = lines.as_slice() else { panic!("{lines:?}") };
    // Each resource is there, but not on one agent.
    let first = "no agent has cpus:8;mem:8192: the most that one has is cpus:2;mem:8192";
    assert!(unmet.contains(first), "{unmet}");
    let second = "no agent has cpus:1;mem:64;ports:[88-99]: the most that one has is \
                  cpus:8;mem:1024;ports:[88-89] without ports:[90-99]";
    assert!(unmet.contains(second), "{unmet}");
}

#[test]
fn before_any_agent_is_there_nothing_is_too_much() {
    let mut t = with_agents(0, vec![needs(64.0, 1, Vec::new())]);
    t.pass(SOON);
    t.did(["to scheduler-1: Subscribed(c-0000) []"]);
    t.agent_joins(1);
    t.did(["to agent-1: Registered(c-S0) in epoch 1"]);
    t.pass(SOON);
    t.did([TOO_MUCH]);
}

#[test]
fn what_only_a_lost_agent_could_meet_is_told_when_it_is_given_up() {
    let mut t = with_agents(1, vec![needs(64.0, 1, Vec::new())]);
    let large = AgentInfo { resources: Resources::cpus_mem(128.0, 4096.0), ..agent_info(2) };
    t.agent_says(agent_pid(2, 1), AgentToMaster::Register { nonce: 2, info: large });
    t.pass(SOON);
    t.forget_lines();
    // It may be back any moment.
    t.down(agent_pid(2, 1));
    t.pass(SOON * 5);
    let lines = t.take_lines();
    assert!(!lines.iter().any(|line| line.contains("Unmet")), "{lines:?}");
    let Config { agent_reregister_timeout, ping_every, .. } = Config::default();
    for sequence in 0..=agent_reregister_timeout.as_secs() / ping_every.as_secs() {
        t.pass(ping_every);
        t.agent_says(agent_pid(1, 1), AgentToMaster::Pong { sequence });
    }
    let lines = t.take_lines();
    assert_eq!(lines.iter().filter(|line| *line == TOO_MUCH).count(), 1, "{lines:?}");
}

#[test]
fn what_there_was_no_room_to_say_of_needs_is_said_again() {
    let mut t = with_agents(1, vec![needs(64.0, 1, Vec::new())]);
    t.forget_lines();
    let effect = Effect::TellFramework {
        to: scheduler_pid(1),
        message: MasterToFramework::Unmet(Vec::new()),
    };
    t.step(Event::Untold(effect.untold().unwrap()));
    t.did([]);
    t.pass(SOON);
    t.did([TOO_MUCH]);
}

#[test]
fn what_is_reserved_for_a_role_counts_for_it_and_for_nobody_else() {
    let mut t = Scenario::new();
    let resources = "cpus(eng):8;cpus:2;mem:4096".parse().expect("resources");
    let info = AgentInfo { resources, ..agent_info(1) };
    t.agent_says(agent_pid(1, 1), AgentToMaster::Register { nonce: 1, info });
    t.forget_lines();
    let mut subscribes = |n: u64, role: &str| {
        let info = FrameworkInfo {
            roles: vec![role.parse().expect("a role")],
            ..framework_info("web", &[Capability::StatesDemand])
        };
        let demand = vec![needs(9.0, 1, Vec::new())];
        let nonce = 1000 + n;
        let message = FrameworkToMaster::Subscribe { nonce, framework: None, info, demand };
        t.scheduler_says(n, message);
        t.take_lines().into_iter().filter(|line| line.contains("Unmet")).collect::<Vec<_>>()
    };
    assert!(subscribes(1, "eng/web").is_empty(), "for the roles below it, too");
    assert_eq!(
        subscribes(2, "ops"),
        [
            "to scheduler-2: Unmet: no agent has cpus:9;mem:100: the most that one has is cpus:2;mem:4096"
        ]
    );
}

/// Each is held against every agent, and the master has other things to do.
#[test]
fn very_many_needs_are_judged_in_parts_and_none_is_forgotten() {
    let mut t = Scenario::new();
    let demand: Vec<Demand> = (0..200).map(|n| needs(64.0 + f64::from(n), 1, Vec::new())).collect();
    for n in 1..=4 {
        t.subscribes_as(n, None, &[Capability::StatesDemand], demand.clone());
    }
    (1..=400).for_each(|n| t.agent_joins(n));
    t.forget_lines();
    let told = |t: &mut Scenario, span| {
        t.pass(span);
        t.take_lines().iter().filter(|line| line.contains("Unmet")).count()
    };
    let first = told(&mut t, SOON);
    assert!((1..4).contains(&first), "{first} of 4 schedulers at once");
    assert_eq!(first + told(&mut t, SOON), 4);
}
