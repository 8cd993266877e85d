//! Shares of roles over time, of an allocator in this process: frameworks come and go, each takes whatever it is offered, and tasks
//! end after a while. Time is counted, not spent.

use std::collections::BTreeMap;
use std::time::Duration;

use master::config::AllocatorConfig;
use master::logic::allocator::{Allocator, BookEntry, Event, Proposal};
use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::quota::{Shares, Weight};
use protocol::resources::Resources;

use crate::cycles;
use crate::draw::Line;

const AGENTS: usize = 100;
const CORES: u64 = 24;
const SECONDS: u64 = 300;

/// Frameworks of each role.
const FRAMEWORKS: usize = 5;

/// A role, its weight, and between which seconds it is there.
const ROLES: [(&str, f64, std::ops::Range<u64>); 3] =
    [("one", 1.0, 0..SECONDS), ("two", 2.0, 50..220), ("late", 1.0, 130..SECONDS)];

/// What ends a task, and when.
type Ending = BTreeMap<u64, Vec<(AgentId, FrameworkId, Role)>>;

fn task() -> Resources {
    Resources::cpus_mem(1.0, 128.0)
}

fn frameworks(role: &Role) -> impl Iterator<Item = FrameworkId> {
    (0..FRAMEWORKS).map(move |n| FrameworkId::new(format!("{role}-{n}")))
}

/// The share of the cores that each role holds, second by second.
pub(crate) fn simulated() -> Vec<Line> {
    let mut cluster = Cluster::new();
    let mut lines: Vec<Line> = ROLES
        .iter()
        .map(|(name, weight, _)| Line {
            name: format!("{name} (weight {weight})"),
            points: Vec::new(),
        })
        .collect();
    for second in 0..=SECONDS {
        cluster.passes(second);
        for (line, (name, ..)) in lines.iter_mut().zip(&ROLES) {
            let held = cluster.held.get(*name).copied().unwrap_or_default();
            let share = held as f64 / (AGENTS as u64 * CORES) as f64;
            line.points.push((second as f64, share));
        }
    }
    lines
}

struct Cluster {
    allocator: Allocator,
    ending: Ending,
    /// Cores, by role.
    held: BTreeMap<String, u64>,
    chance: u64,
}

impl Cluster {
    fn new() -> Self {
        let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
        let weigh = |(name, weight, _): &(&str, f64, _)| {
            let weight = Weight::try_from(*weight).expect("a weight");
            (name.parse::<Role>().expect("a role"), weight)
        };
        let shares = Shares { weights: ROLES.iter().map(weigh).collect(), ..Shares::default() };
        let entries = (0..AGENTS).map(cycles::agent).chain([BookEntry::Shares(shares)]);
        allocator.step(cycles::at(0), Event::Book(entries.collect()));
        Self { allocator, ending: Ending::new(), held: BTreeMap::new(), chance: 1 }
    }

    /// Who comes comes, who goes goes, what has ended is free, and all that is free is proposed and used.
    fn passes(&mut self, second: u64) {
        let mut entries = Vec::new();
        for (name, _, there) in &ROLES {
            let role: Role = name.parse().expect("a role");
            for framework in frameworks(&role) {
                if second == there.start {
                    entries.push(BookEntry::Framework {
                        framework,
                        roles: vec![role.clone()],
                        capabilities: Vec::new(),
                        wishes: Vec::new(),
                    });
                } else if second == there.end {
                    entries.push(BookEntry::FrameworkInactive { framework });
                }
            }
        }
        for (agent, framework, role) in self.ending.remove(&second).unwrap_or_default() {
            *self.held.entry(role.to_string()).or_default() -= 1;
            entries.push(BookEntry::Released { agent, framework, role, resources: task() });
        }
        self.allocator.step(cycles::at(second), Event::Book(entries));
        let proposals = cycles::run_at(&mut self.allocator, second);
        let mut entries = Vec::new();
        for of_one in proposals {
            for proposal in &of_one.all {
                entries.push(self.used(second, &of_one.framework, &of_one.role, proposal));
            }
        }
        self.allocator.step(cycles::at(second), Event::Book(entries));
    }

    /// A framework uses all of what it is offered, with tasks that run for a third of a minute up to a whole one.
    fn used(
        &mut self,
        second: u64,
        framework: &FrameworkId,
        role: &Role,
        proposal: &Proposal,
    ) -> BookEntry {
        let mut used = Resources::none();
        let mut left = proposal.resources.clone();
        while let Some(rest) = left.checked_sub(&task()) {
            left = rest;
            used.add(&task());
            let ends = second + 20 + self.chance() % 40;
            let task = (proposal.agent.clone(), framework.clone(), role.clone());
            self.ending.entry(ends).or_default().push(task);
            *self.held.entry(role.to_string()).or_default() += 1;
        }
        BookEntry::Ended { proposals: vec![proposal.number], used, refuse_for: Duration::ZERO }
    }

    /// The same numbers in each run.
    fn chance(&mut self) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.chance >> 33
    }
}
