//! Mesos's `MultiFrameworkAllocations`: few frameworks with many small tasks, many with a few, some with large ones, on eighty
//! machines; once as Mesos's schedulers are (all is offered to all, what is not used is refused for five seconds), once as ours,
//! which state what they want. Time passes second by second and is counted, not spent; what the allocator takes is measured.

use std::collections::BTreeMap;
use std::time::Duration;

use master::config::AllocatorConfig;
use master::logic::allocator::{Allocator, BookEntry, Event, Proposal};
use protocol::framework::Capability;
use protocol::ids::{FrameworkId, Role};
use protocol::offer::Demand;
use protocol::resources::Resources;
use protocol::wishes::RoleWishes;

use crate::cycles::{self, at};
use crate::minimal::timed;
use measure::{Measured, Row};

const AGENTS: usize = 80;
/// Whoever has not got all by then never does.
const SECONDS_MAX: u64 = 30;
const REFUSED_FOR: Duration = Duration::from_secs(5);

struct Kind {
    name: &'static str,
    frameworks: usize,
    tasks: usize,
    cpus: f64,
    mem: f64,
    per_offer: usize,
}

const KINDS: [Kind; 3] = [
    Kind { name: "marathon", frameworks: 4, tasks: 4000, cpus: 0.07, mem: 400.0, per_offer: 100 },
    Kind { name: "jenkins", frameworks: 500, tasks: 5, cpus: 0.1, mem: 4000.0, per_offer: 1 },
    Kind { name: "spark", frameworks: 50, tasks: 20, cpus: 1.0, mem: 1000.0, per_offer: 5 },
];

/// A framework that still wants to launch tasks.
struct Scheduler {
    role: Role,
    task: Resources,
    wanted: usize,
    per_offer: usize,
}

struct Cluster {
    allocator: Allocator,
    schedulers: BTreeMap<FrameworkId, Scheduler>,
    states_demand: bool,
    runs: u64,
    took: Duration,
    launched: usize,
}

pub(crate) fn of_frameworks() -> Measured {
    let mut rows = Vec::new();
    for (name, states_demand) in [("mixture_refusing", false), ("mixture_demanding", true)] {
        let mut cluster = Cluster::new(states_demand)?;
        let wanted: usize = KINDS.iter().map(|kind| kind.frameworks * kind.tasks).sum();
        let mut second = 0;
        while cluster.launched < wanted && second < SECONDS_MAX {
            cluster.pass(second);
            second += 1;
        }
        let Cluster { runs, took, launched, .. } = cluster;
        rows.push(Row::of(format!("{name}_launched"), launched as f64, "tasks"));
        rows.push(Row::of(format!("{name}_seconds"), second as f64, "s"));
        rows.push(Row::of(format!("{name}_runs"), runs as f64, "runs"));
        let each = took.as_secs_f64() * 1e6 / runs as f64;
        rows.push(Row::of(format!("{name}_run"), each, "us"));
    }
    Ok(rows)
}

impl Cluster {
    fn new(states_demand: bool) -> Result<Self, Box<dyn std::error::Error>> {
        let total: Resources = "cpus:64;mem:488000".parse()?;
        let agents = (0..AGENTS).map(|n| {
            let mut entry = cycles::agent(n);
            if let BookEntry::Agent { total: its, .. } = &mut entry {
                *its = total.clone();
            }
            entry
        });
        let (mut schedulers, mut entries) = (BTreeMap::new(), agents.collect::<Vec<_>>());
        for Kind { name, frameworks, tasks, cpus, mem, per_offer } in KINDS {
            for n in 0..frameworks {
                let (role, task): (Role, _) = (name.parse()?, Resources::cpus_mem(cpus, mem));
                let scheduler = Scheduler { role, task, wanted: tasks, per_offer };
                let framework = FrameworkId::new(format!("{name}-{n:03}"));
                let capabilities = states_demand.then_some(Capability::StatesDemand);
                entries.push(BookEntry::Framework {
                    framework: framework.clone(),
                    roles: vec![scheduler.role.clone()],
                    capabilities: capabilities.into_iter().collect(),
                    wishes: scheduler.wishes(states_demand),
                });
                schedulers.insert(framework, scheduler);
            }
        }
        let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
        allocator.step(at(0), Event::Book(entries));
        let (runs, took, launched) = (0, Duration::ZERO, 0);
        Ok(Self { allocator, schedulers, states_demand, runs, took, launched })
    }

    /// Whoever is offered something answers at once, until nobody is offered anything in this second.
    fn pass(&mut self, second: u64) {
        self.step(second, Event::Sweep);
        loop {
            let (proposals, took) = timed(|| cycles::run_at(&mut self.allocator, second));
            self.took += took;
            self.runs += 1;
            if proposals.is_empty() {
                return;
            }
            let mut entries = Vec::new();
            for of_one in proposals {
                let offered = of_one.all.iter();
                entries.extend(offered.map(|proposal| self.answer(&of_one.framework, proposal)));
                let scheduler = &self.schedulers[&of_one.framework];
                entries.extend(scheduler.states_anew(of_one.framework, self.states_demand));
            }
            self.step(second, Event::Book(entries));
        }
    }

    fn step(&mut self, second: u64, event: Event) {
        let ((), took) = timed(|| drop(self.allocator.step(at(second), event)));
        self.took += took;
    }

    /// As many tasks as fit and as the framework launches on one offer; the rest is refused.
    fn answer(&mut self, framework: &FrameworkId, proposal: &Proposal) -> BookEntry {
        let scheduler = self.schedulers.get_mut(framework).expect("only known ones are there");
        let (mut used, mut left) = (Resources::none(), proposal.resources.clone());
        for _ in 0..scheduler.per_offer.min(scheduler.wanted) {
            let Some(rest) = left.checked_sub(&scheduler.task) else { break };
            left = rest;
            used.add(&scheduler.task);
            scheduler.wanted -= 1;
            self.launched += 1;
        }
        BookEntry::Ended { proposals: vec![proposal.number], used, refuse_for: REFUSED_FOR }
    }
}

impl Scheduler {
    fn wishes(&self, states_demand: bool) -> Vec<RoleWishes> {
        let count = u32::try_from(self.wanted).expect("few");
        let demand = Demand { each: self.task.clone(), count, constraints: Vec::new() };
        let wishes = RoleWishes { demand: vec![demand], ..RoleWishes::of(self.role.clone()) };
        states_demand.then_some(wishes).into_iter().collect()
    }

    /// What it says after its answers: how many are left, or that it wants no more.
    fn states_anew(&self, framework: FrameworkId, states_demand: bool) -> Option<BookEntry> {
        if states_demand {
            return Some(BookEntry::Wishes { framework, wishes: self.wishes(true) });
        }
        let done = BookEntry::Suppressed { framework, roles: Vec::new() };
        (self.wanted == 0).then_some(done)
    }
}
