//! What the allocator proposes, and that it never proposes more than is free.

mod asked;
mod books;
mod figures;
mod least;
mod many;
mod order;
mod particular;
mod quota;
mod why;

use std::time::Duration;

use protocol::framework::Capability;
use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::offer::{Constraint, Demand};
use protocol::quota::Shares;
use protocol::resources::{Attribute, Resources};
use protocol::time::{Instant, Now};
use protocol::wishes::RoleWishes;

use super::{Allocator, BookEntry, Effect, Event, Proposals, WholeBook};
use crate::config::AllocatorConfig;
use crate::logic::invariants::Holdings;

/// One proposal, and whom it is for.
#[derive(Clone, Debug)]
struct Proposal {
    number: u64,
    agent: AgentId,
    framework: FrameworkId,
    role: Role,
    resources: Resources,
}

/// In the order in which they were made.
fn one_by_one(proposals: &[Proposals]) -> Vec<Proposal> {
    let each = |of: &Proposals| {
        let (framework, role) = (of.framework.clone(), of.role.clone());
        let all = of.all.clone().into_iter();
        all.map(move |super::Proposal { number, agent, resources, .. }| {
            let (framework, role) = (framework.clone(), role.clone());
            Proposal { number, agent, framework, role, resources }
        })
    };
    let mut all: Vec<Proposal> = proposals.iter().flat_map(each).collect();
    all.sort_by_key(|proposal| proposal.number);
    all
}

fn returned(proposals: &[Proposal]) -> BookEntry {
    BookEntry::Returned(proposals.iter().map(|proposal| proposal.number).collect())
}

fn at(seconds: u64) -> Now {
    Now { steady: Instant(seconds * 1_000_000_000), ..Now::default() }
}

/// Enters, runs if that is due, and returns what is proposed.
fn enter(allocator: &mut Allocator, seconds: u64, entries: Vec<BookEntry>) -> Vec<Proposal> {
    after(allocator, seconds, Event::Book(entries))
}

fn after(allocator: &mut Allocator, seconds: u64, event: Event) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    let mut events = vec![event];
    while let Some(event) = events.pop() {
        for effect in allocator.step(at(seconds), event) {
            match effect {
                Effect::Propose(more) => proposals.extend(one_by_one(&more)),
                Effect::RunSoon => events.push(Event::Run),
                Effect::SweepAfter(_) => (),
            }
        }
    }
    proposals
}

fn agent(n: u32, cpus: f64) -> BookEntry {
    BookEntry::Agent {
        agent: AgentId::new(format!("a{n}")),
        slot: 0,
        generation: 1,
        hostname: format!("h{n}"),
        attributes: vec![Attribute { name: "rack".into(), value: format!("r{}", n % 2) }],
        domain: None,
        total: Resources::cpus_mem(cpus, cpus * 1000.0),
        allocated: Vec::new(),
    }
}

/// The agent of a number that has this, of which others hold that.
fn agent_with(n: u32, total: Resources, held: Vec<(FrameworkId, Role, Resources)>) -> BookEntry {
    let mut entry = agent(n, 1.0);
    if let BookEntry::Agent { total: has, allocated, .. } = &mut entry {
        (*has, *allocated) = (total, held);
    }
    entry
}

fn framework(id: &str, roles: &[&str], demand: Option<Vec<Demand>>) -> BookEntry {
    BookEntry::Framework {
        framework: FrameworkId::new(id),
        roles: roles.iter().map(|role| role.parse::<Role>().unwrap()).collect(),
        capabilities: demand.iter().map(|_| Capability::StatesDemand).collect(),
        wishes: demand.map(|demand| wishes(roles, demand)).unwrap_or_default(),
    }
}

fn wishes(roles: &[&str], demand: Vec<Demand>) -> Vec<RoleWishes> {
    let wish = RoleWishes::of(roles[0].parse().unwrap());
    vec![RoleWishes { demand, ..wish }]
}

fn demand(cpus: f64, count: u32, constraints: Vec<Constraint>) -> Demand {
    Demand { each: Resources::cpus_mem(cpus, 100.0), count, constraints }
}

fn ended(proposals: &[Proposal], used: Resources, refuse_for: u64) -> BookEntry {
    BookEntry::Ended {
        proposals: proposals.iter().map(|proposal| proposal.number).collect(),
        used,
        refuse_for: Duration::from_secs(refuse_for),
    }
}

fn told(proposals: &[Proposal]) -> Vec<String> {
    proposals.iter().map(|p| format!("{} to {}: {}", p.agent, p.framework, p.resources)).collect()
}

#[test]
fn agents_are_shared_by_dominant_share() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    enter(&mut allocator, 0, vec![framework("f", &["*"], None), framework("g", &["*"], None)]);
    let proposals = enter(&mut allocator, 0, (0..4).map(|n| agent(n, 1.0)).collect());
    let of_f = proposals.iter().filter(|p| p.framework.as_str() == "f").count();
    assert_eq!((proposals.len(), of_f), (4, 2));
}

#[test]
fn roles_come_before_frameworks() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let frameworks = [("f", "web"), ("g", "web"), ("h", "batch")];
    let entries = frameworks.map(|(id, role)| framework(id, &[role], None));
    enter(&mut allocator, 0, entries.to_vec());
    let proposals = enter(&mut allocator, 0, (0..8).map(|n| agent(n, 1.0)).collect());
    let of = |id| proposals.iter().filter(|p| p.framework.as_str() == id).count();
    assert_eq!((of("f"), of("g"), of("h")), (2, 2, 4));
}

#[test]
fn demand_is_met_in_pieces_and_the_rest_goes_on() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let wants = vec![demand(1.0, 3, Vec::new())];
    enter(
        &mut allocator,
        0,
        vec![framework("f", &["*"], Some(wants)), agent(0, 2.5), agent(1, 4.0)],
    );
    let holdings = allocator.holdings();
    let cpus: i64 = holdings.values().map(|held| held.cpus().0).sum();
    assert_eq!(
        cpus, 3000,
        "as many as fit on the agent that came first, the rest on the other: {holdings:?}"
    );
    let proposals = enter(&mut allocator, 0, vec![framework("g", &["*"], None)]);
    let left: i64 = proposals.iter().map(|proposal| proposal.resources.cpus().0).sum();
    assert_eq!((left, proposals.len()), (3500, 2));
}

#[test]
fn no_demand_no_offers_and_what_is_under_way_is_not_offered_for_twice() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let none =
        enter(&mut allocator, 0, vec![framework("f", &["*"], Some(Vec::new())), agent(0, 8.0)]);
    assert!(none.is_empty());
    let f = || FrameworkId::new("f");
    let state = |count| BookEntry::Wishes {
        framework: f(),
        wishes: wishes(&["*"], vec![demand(1.0, count, Vec::new())]),
    };
    let first = enter(&mut allocator, 0, vec![state(2)]);
    assert_eq!(told(&first), ["a0 to f: cpus:2;mem:200"]);
    assert!(enter(&mut allocator, 0, vec![state(2)]).is_empty());
    assert_eq!(told(&enter(&mut allocator, 0, vec![state(3)])), ["a0 to f: cpus:1;mem:100"]);
    // One of two is used; the other is still wanted, so that it is proposed at once.
    let again = enter(&mut allocator, 0, vec![ended(&first, Resources::cpus_mem(1.0, 100.0), 0)]);
    assert_eq!(told(&again), ["a0 to f: cpus:1;mem:100"]);
    assert!(enter(&mut allocator, 0, vec![state(2)]).is_empty(), "two offers of one are under way");
    assert_eq!(told(&enter(&mut allocator, 0, vec![state(4)])), ["a0 to f: cpus:2;mem:200"]);
}

#[test]
fn constraints_choose_the_agent() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let rack = |value: &str| Constraint::Is { attribute: "rack".into(), value: value.into() };
    let not_host = Constraint::IsNot { attribute: "hostname".into(), value: "h1".into() };
    let wants = vec![demand(1.0, 5, vec![rack("r1"), not_host])];
    let entries =
        vec![framework("f", &["*"], Some(wants)), agent(0, 1.0), agent(1, 1.0), agent(3, 1.0)];
    assert_eq!(told(&enter(&mut allocator, 0, entries)), ["a3 to f: cpus:1;mem:100"]);
}

#[test]
fn offer_04_a_refusal_holds_for_as_much_or_less_until_it_runs_out() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let first = enter(&mut allocator, 0, vec![framework("f", &["*"], None), agent(0, 4.0)]);
    assert!(enter(&mut allocator, 0, vec![ended(&first, Resources::none(), 5)]).is_empty());
    let to_g = enter(&mut allocator, 1, vec![framework("g", &["*"], None)]);
    assert_eq!(told(&to_g), ["a0 to g: cpus:4;mem:4000"]);
    let used = enter(&mut allocator, 2, vec![ended(&to_g, Resources::cpus_mem(1.0, 1000.0), 100)]);
    assert!(used.is_empty(), "less than what f refused, and g refused it just now");
    // It is back in a moment, and whoever was ruled out there is looked at anew.
    enter(&mut allocator, 3, vec![BookEntry::AgentInactive { agent: AgentId::new("a0") }]);
    let of_g = (FrameworkId::new("g"), Role::everybody(), Resources::cpus_mem(1.0, 1000.0));
    let back = agent_with(0, Resources::cpus_mem(4.0, 4000.0), vec![of_g]);
    assert!(enter(&mut allocator, 3, vec![back]).is_empty(), "of which f refused more");
    assert!(after(&mut allocator, 4, Event::Sweep).is_empty());
    assert_eq!(told(&after(&mut allocator, 5, Event::Sweep)), ["a0 to f: cpus:3;mem:3000"]);
}

#[test]
fn what_is_too_little_for_any_task_is_not_offered() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let tiny = BookEntry::Agent {
        agent: AgentId::new("a"),
        slot: 0,
        generation: 1,
        hostname: "h".into(),
        attributes: Vec::new(),
        domain: None,
        total: Resources::cpus_mem(0.009, 31.0),
        allocated: Vec::new(),
    };
    assert!(enter(&mut allocator, 0, vec![framework("f", &["*"], None), tiny]).is_empty());
}

/// What the master returns because the two disagree is not proposed again before the next sweep.
#[test]
fn a_returned_proposal_does_not_bounce() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let first = enter(&mut allocator, 0, vec![framework("f", &["*"], None), agent(0, 4.0)]);
    assert!(enter(&mut allocator, 0, vec![returned(&first)]).is_empty());
    assert_eq!(after(&mut allocator, 1, Event::Sweep).len(), 1);
}

/// The same, of a framework that states its demand: the whole cluster is looked at for it, and must not be at once.
#[test]
fn a_returned_proposal_for_a_stated_demand_does_not_bounce() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let wants = vec![demand(1.0, 2, Vec::new())];
    let entries = vec![framework("f", &["*"], Some(wants)), agent(0, 4.0), agent(1, 4.0)];
    let mut proposals = enter(&mut allocator, 0, entries);
    let mut rounds = 0;
    while !proposals.is_empty() && rounds < 10 {
        rounds += 1;
        proposals = enter(&mut allocator, 0, vec![returned(&proposals)]);
    }
    assert_eq!(rounds, 1);
    // It is not forgotten: at the sweep it is looked for wherever there is room.
    let again = after(&mut allocator, 1, Event::Sweep);
    assert_eq!((again.len(), again[0].resources.cpus().0), (1, 2000));
}

#[test]
fn many_entries_lead_to_one_run() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let effects =
        allocator.step(at(0), Event::Book(vec![framework("f", &["*"], None), agent(0, 1.0)]));
    assert_eq!(effects, [Effect::RunSoon]);
    assert_eq!(allocator.step(at(0), Event::Book(vec![agent(1, 1.0)])), []);
    let [Effect::Propose(proposals)] = &allocator.step(at(0), Event::Run)[..] else { panic!() };
    assert_eq!(one_by_one(proposals).len(), 2);
}

/// What was ruled out for want of the one need is not ruled out for the other, when that is wanted again.
#[test]
fn a_need_that_is_wanted_again_is_met_where_another_one_was_ruled_out() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let wants = vec![demand(100.0, 1, Vec::new()), demand(1.0, 1, Vec::new())];
    let first = enter(&mut allocator, 0, vec![framework("f", &["*"], Some(wants)), agent(0, 1.0)]);
    assert_eq!(told(&first), ["a0 to f: cpus:1;mem:100"]);
    assert!(enter(&mut allocator, 1, vec![agent(1, 1.0)]).is_empty(), "nothing fits the large one");
    let gone = BookEntry::AgentInactive { agent: AgentId::new("a0") };
    assert_eq!(told(&enter(&mut allocator, 2, vec![gone])), ["a1 to f: cpus:1;mem:100"]);
}

#[test]
fn a_role_that_a_framework_left_while_its_task_runs_leaves_no_count_behind() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let wish = RoleWishes::of("b".parse().unwrap());
    let least = vec![RoleWishes { allocatable: Some(Vec::new()), ..wish }];
    let acts = |role: &str, wishes| BookEntry::Framework {
        framework: FrameworkId::new("f"),
        roles: vec![role.parse().unwrap()],
        capabilities: Vec::new(),
        wishes,
    };
    enter(&mut allocator, 0, vec![acts("b", least)]);
    let used = enter(&mut allocator, 0, vec![agent(0, 1.0)]);
    enter(&mut allocator, 1, vec![ended(&used, used[0].resources.clone(), 0)]);
    enter(&mut allocator, 2, vec![acts("a", Vec::new())]);
    let released = BookEntry::Released {
        agent: used[0].agent.clone(),
        framework: used[0].framework.clone(),
        role: used[0].role.clone(),
        resources: used[0].resources.clone(),
    };
    let again = enter(&mut allocator, 3, vec![released]);
    assert_eq!((again.len(), again[0].role.as_str()), (1, "a"));
}

/// Operators write a least offer of nothing for none at all.
#[test]
fn a_least_offer_of_nothing_offers_no_nothing() {
    let allocatable = vec![protocol::quantities::Quantities::none()];
    let config = AllocatorConfig { allocatable, ..AllocatorConfig::default() };
    let mut allocator = Allocator::new(config, 1);
    assert!(enter(&mut allocator, 0, (0..3).map(|n| agent(n, 1.0)).collect()).is_empty());
    // All of it is free when it goes, and then there is none of it.
    let gone = BookEntry::AgentInactive { agent: AgentId::new("a2") };
    let all = enter(&mut allocator, 1, vec![gone, framework("f", &["*"], None)]);
    assert_eq!(all.len(), 2);
    assert!(after(&mut allocator, 2, Event::Sweep).is_empty());
}

/// A demand may be stated in parts that are alike: they are one.
#[test]
fn demands_that_are_alike_are_offered_for_once() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let wants = vec![demand(1.0, 1, Vec::new()), demand(1.0, 2, Vec::new())];
    let first = enter(&mut allocator, 0, vec![framework("f", &["*"], Some(wants)), agent(0, 8.0)]);
    assert_eq!(told(&first), ["a0 to f: cpus:3;mem:300"]);
    assert!(enter(&mut allocator, 0, vec![agent(1, 8.0)]).is_empty());
    assert!(after(&mut allocator, 1, Event::Sweep).is_empty());
}
