//! Whatever the master tells, in any order: never more is proposed than is free, and both books are equal.

use proptest::prelude::*;
use protocol::ids::{AgentId, FrameworkId};
use protocol::quota::Shares;
use protocol::resources::Resources;

use super::*;

/// One thing the master may tell, by small numbers.
#[derive(Clone, Debug)]
enum Told {
    Agent(u32, u32),
    AgentInactive(u32),
    AgentLost(u32),
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
        (0..4u32).prop_map(Told::AgentLost),
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
    /// Not active; what is used of them counts.
    away: std::collections::BTreeSet<AgentId>,
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
                self.away.remove(&agent);
                self.totals
                    .insert(agent, Resources::cpus_mem(f64::from(*cpus), f64::from(cpus * 1000)));
                vec![entry]
            }
            Told::AgentInactive(n) => {
                let agent = AgentId::new(format!("a{n}"));
                self.open.retain(|proposal| proposal.agent != agent);
                self.away.insert(agent.clone());
                vec![BookEntry::AgentInactive { agent }]
            }
            Told::AgentLost(n) => {
                let agent = AgentId::new(format!("a{n}"));
                self.forget(&agent);
                self.totals.remove(&agent);
                vec![BookEntry::AgentLost { agent }]
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
            Told::Answer { use_it, refuse_for } => self.answer(*use_it, *refuse_for),
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

    fn answer(&mut self, use_it: bool, refuse_for: u64) -> Vec<BookEntry> {
        let Some(proposal) = self.open.pop() else { return Vec::new() };
        let used = if use_it { proposal.resources.clone() } else { Resources::none() };
        let entry = ended(std::slice::from_ref(&proposal), used, refuse_for);
        self.used.extend(use_it.then_some(proposal));
        vec![entry]
    }

    /// Everything that is open is offered, but for the newest, which the master has not heard of.
    fn whole_book(&self) -> WholeBook {
        let newest = self.open.iter().map(|proposal| proposal.number).max();
        let agents = self.totals.iter().flat_map(|(id, total)| {
            let used = self.used.iter().filter(|proposal| proposal.agent == *id).cloned();
            let entry = BookEntry::Agent {
                agent: id.clone(),
                slot: 0,
                generation: 1,
                hostname: id.to_string(),
                attributes: Vec::new(),
                domain: None,
                total: total.clone(),
                allocated: used.map(|p| (p.framework, p.role, p.resources)).collect(),
            };
            let away = BookEntry::AgentInactive { agent: id.clone() };
            [entry].into_iter().chain(self.away.contains(id).then_some(away))
        });
        let heard = newest.map_or(u64::MAX, |newest| newest - 1);
        let open = self.open.iter().map(|proposal| proposal.number);
        WholeBook {
            shares: Shares::default(),
            heard,
            offered: open.filter(|number| *number <= heard).collect(),
            agents: agents.collect(),
            frameworks: vec![framework("f0", &["*"], None)],
            awaiting: false,
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
            away: Default::default(),
            open: Vec::new(),
            used: Vec::new(),
        };
        all.iter().for_each(|told| books.tell(told));
    }
}

/// Two tasks hold all cores that it had; now it has half as many, and as much more memory.
#[test]
fn of_an_agent_that_came_back_with_less_than_is_held_what_is_left_is_free() {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let held = |framework: &str| {
        (FrameworkId::new(framework), Role::everybody(), Resources::cpus_mem(4.0, 1000.0))
    };
    let total = Resources::cpus_mem(4.0, 8000.0);
    let back = agent_with(0, total, vec![held("g"), held("h")]);
    let first = enter(&mut allocator, 0, vec![framework("f", &["*"], None), back]);
    assert_eq!(told(&first), ["a0 to f: mem:6000"]);
    let ends = |framework: &str| {
        let (framework, role, resources) = held(framework);
        BookEntry::Released { agent: AgentId::new("a0"), framework, role, resources }
    };
    let second = enter(&mut allocator, 1, vec![ends("g")]);
    assert_eq!(told(&second), ["a0 to f: mem:1000"], "all cores are held by the other");
    let third = enter(&mut allocator, 2, vec![ends("h")]);
    assert_eq!(told(&third), ["a0 to f: cpus:4;mem:1000"]);
}
