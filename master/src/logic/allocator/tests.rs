//! What the allocator proposes, and that it never proposes more than is free.

mod asked;
mod figures;
mod least;
mod many;
mod order;
mod quota;
mod why;

use std::time::Duration;

use proptest::prelude::*;
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

/// One thing the master may tell, by small numbers.
#[derive(Clone, Debug)]
enum Told {
    Agent(u32, u32),
    AgentInactive(u32),
    Framework(u32, bool),
    FrameworkInactive(u32),
    Demand(u32, u32),
    Revived(u32),
    Suppressed(u32),
    Answer { use_it: bool, refuse_for: u64 },
    Return,
    Release,
    Sweep,
    StartOver,
}

fn anything() -> impl Strategy<Value = Told> {
    prop_oneof![
        (0..4u32, 1..5u32).prop_map(|(n, cpus)| Told::Agent(n, cpus)),
        (0..4u32).prop_map(Told::AgentInactive),
        (0..3u32, any::<bool>()).prop_map(|(n, states)| Told::Framework(n, states)),
        (0..3u32).prop_map(Told::FrameworkInactive),
        (0..3u32, 0..4u32).prop_map(|(n, count)| Told::Demand(n, count)),
        (0..3u32).prop_map(Told::Revived),
        (0..3u32).prop_map(Told::Suppressed),
        (any::<bool>(), 0..3u64)
            .prop_map(|(use_it, refuse_for)| Told::Answer { use_it, refuse_for }),
        (any::<bool>(), 0..3u64)
            .prop_map(|(use_it, refuse_for)| Told::Answer { use_it, refuse_for }),
        Just(Told::Return),
        Just(Told::Release),
        Just(Told::Sweep),
        Just(Told::StartOver),
    ]
}

/// A master that answers proposals as it is told, and keeps its own book.
struct Books {
    allocator: Allocator,
    seconds: u64,
    totals: std::collections::BTreeMap<AgentId, Resources>,
    open: Vec<Proposal>,
    used: Vec<Proposal>,
}

impl Books {
    fn tell(&mut self, told: &Told) {
        self.seconds += 1;
        let id = |n: &u32| FrameworkId::new(format!("f{n}"));
        let event = match told {
            Told::Agent(n, cpus) => {
                let entry = agent(*n, f64::from(*cpus));
                let agent = AgentId::new(format!("a{n}"));
                self.forget(&agent);
                self.totals
                    .insert(agent, Resources::cpus_mem(f64::from(*cpus), f64::from(cpus * 1000)));
                vec![entry]
            }
            Told::AgentInactive(n) => {
                let agent = AgentId::new(format!("a{n}"));
                self.forget(&agent);
                self.totals.remove(&agent);
                vec![BookEntry::AgentInactive { agent }]
            }
            Told::Framework(n, states) => {
                let wants = states.then(|| vec![demand(1.0, 2, Vec::new())]);
                vec![framework(id(n).as_str(), &["*", "web"], wants)]
            }
            Told::FrameworkInactive(n) => vec![BookEntry::FrameworkInactive { framework: id(n) }],
            Told::Demand(n, count) => {
                let demand = vec![demand(0.5, *count, Vec::new())];
                vec![BookEntry::Wishes { framework: id(n), wishes: wishes(&["*"], demand) }]
            }
            Told::Revived(n) => vec![BookEntry::Revived { framework: id(n), roles: Vec::new() }],
            Told::Suppressed(n) => {
                vec![BookEntry::Suppressed { framework: id(n), roles: Vec::new() }]
            }
            Told::Answer { use_it, refuse_for } => match self.open.pop() {
                None => vec![],
                Some(proposal) => {
                    let used = if *use_it { proposal.resources.clone() } else { Resources::none() };
                    let entry = ended(std::slice::from_ref(&proposal), used, *refuse_for);
                    self.used.extend(use_it.then_some(proposal));
                    vec![entry]
                }
            },
            Told::Return => vec![returned(&std::mem::take(&mut self.open))],
            Told::Release => self
                .used
                .pop()
                .map(|p| {
                    let Proposal { agent, framework, role, resources, .. } = p;
                    vec![BookEntry::Released { agent, framework, role, resources }]
                })
                .unwrap_or_default(),
            Told::StartOver => vec![BookEntry::StartOver(self.whole_book())],
            Told::Sweep => {
                let proposals = after(&mut self.allocator, self.seconds, Event::Sweep);
                return self.check(proposals);
            }
        };
        let proposals = enter(&mut self.allocator, self.seconds, event);
        self.check(proposals);
    }

    /// Everything that is open is offered, but for the newest, which the master has not heard of.
    fn whole_book(&self) -> WholeBook {
        let newest = self.open.iter().map(|proposal| proposal.number).max();
        let agents = self.totals.iter().map(|(id, total)| {
            let used = self.used.iter().filter(|proposal| proposal.agent == *id).cloned();
            BookEntry::Agent {
                agent: id.clone(),
                slot: 0,
                generation: 1,
                hostname: id.to_string(),
                attributes: Vec::new(),
                domain: None,
                total: total.clone(),
                allocated: used.map(|p| (p.framework, p.role, p.resources)).collect(),
            }
        });
        let heard = newest.map_or(u64::MAX, |newest| newest - 1);
        let open = self.open.iter().map(|proposal| proposal.number);
        WholeBook {
            shares: Shares::default(),
            heard,
            offered: open.filter(|number| *number <= heard).collect(),
            agents: agents.collect(),
            frameworks: vec![framework("f0", &["*"], None)],
        }
    }

    fn forget(&mut self, agent: &AgentId) {
        self.open.retain(|proposal| proposal.agent != *agent);
        self.used.retain(|proposal| proposal.agent != *agent);
    }

    fn check(&mut self, proposals: Vec<Proposal>) {
        self.open.extend(proposals);
        let mut books = Holdings::new();
        for proposal in self.open.iter().chain(&self.used) {
            let Proposal { agent, framework, role, resources, .. } = proposal.clone();
            books.entry((agent, framework, role)).or_default().add(&resources);
        }
        assert_eq!(books, self.allocator.holdings(), "both books are equal");
        for (agent, total) in &self.totals {
            let mut held = Resources::none();
            books.iter().filter(|((a, ..), _)| a == agent).for_each(|(_, more)| held.add(more));
            assert!(total.contains(&held), "{agent}: {held} of {total}");
        }
    }
}

proptest! {
    #[test]
    fn never_more_is_proposed_than_is_free(all in proptest::collection::vec(anything(), 1..80)) {
        let mut books = Books {
            allocator: Allocator::new(AllocatorConfig::default(), 1),
            seconds: 0,
            totals: Default::default(),
            open: Vec::new(),
            used: Vec::new(),
        };
        all.iter().for_each(|told| books.tell(told));
    }
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
