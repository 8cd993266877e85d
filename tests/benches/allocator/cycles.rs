//! Cycles of the allocator in this process.

use std::hint::black_box;
use std::time::Duration;

use master::config::AllocatorConfig;
use master::logic::Master;
use master::logic::allocator::{Allocator, BookEntry, Effect, Event, Proposals};
use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::quantities::{Limits, Quantities};
use protocol::quota::{Quota, Shares};
use protocol::resources::{Milli, Ranges, Resources};
use protocol::time::{Instant, Now};

use crate::minimal::{Minimal, least_of_both, timed};
use measure::{Measured, Row};

pub(crate) const AGENTS: usize = 10_000;
pub(crate) const FRAMEWORKS: usize = 1000;
pub(crate) const ROLES: usize = 100;
const ROUNDS: usize = 15;
const MINIMAL: &str = "minimal cycle";

pub(crate) fn at(seconds: u64) -> Now {
    Now { steady: Instant(seconds * 1_000_000_000), ..Now::default() }
}

pub(crate) fn resources() -> Resources {
    let all: Resources = "cpus:24;mem:4096;disk:4096".parse().expect("resources");
    all.with_ranges("ports", Ranges::new([(31_000, 32_000)]))
}

pub(crate) fn agent(n: usize) -> BookEntry {
    BookEntry::Agent {
        agent: AgentId::new(format!("20261101-000000-c-S{n}")),
        slot: 0,
        generation: 1,
        hostname: format!("host-{n}"),
        attributes: Vec::new(),
        domain: None,
        total: resources(),
        allocated: Vec::new(),
    }
}

pub(crate) fn role(n: usize) -> Role {
    format!("role-{n:03}").parse().expect("a role")
}

pub(crate) fn framework_id(n: usize) -> FrameworkId {
    FrameworkId::new(format!("20261101-000000-c-{n:04}"))
}

fn framework(n: usize, roles: usize) -> BookEntry {
    BookEntry::Framework {
        framework: framework_id(n),
        roles: vec![role(n % roles)],
        capabilities: Vec::new(),
        wishes: Vec::new(),
    }
}

/// An allocator that knows what a master does.
pub(crate) fn cluster_of(master: &Master) -> Allocator {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let book = BookEntry::StartOver(master.whole_book());
    allocator.step(at(0), Event::Book(vec![book]));
    allocator
}

/// Everybody is there and nothing was proposed yet: the run is due.
pub(crate) fn cluster(agents: usize, frameworks: usize, roles: usize) -> Allocator {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    let entries = (0..frameworks).map(|n| framework(n, roles)).chain((0..agents).map(agent));
    allocator.step(at(0), Event::Book(entries.collect()));
    allocator
}

pub(crate) fn run(allocator: &mut Allocator) -> Vec<Proposals> {
    run_at(allocator, 0)
}

pub(crate) fn run_at(allocator: &mut Allocator, second: u64) -> Vec<Proposals> {
    let mut proposals = Vec::new();
    for effect in allocator.step(at(second), Event::Run) {
        if let Effect::Propose(more) = effect {
            proposals.extend(more);
        }
    }
    proposals
}

/// The numbers of all of them.
pub(crate) fn numbers(proposals: &[Proposals]) -> Vec<u64> {
    let all = proposals.iter().flat_map(|proposals| &proposals.all);
    all.map(|proposal| proposal.number).collect()
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

fn whole_cycle(agents: usize, frameworks: usize, roles: usize) -> (Duration, Duration) {
    let full = cluster(agents, frameworks, roles);
    let minimal = Minimal::new(agents, roles, frameworks);
    least_of_both(
        ROUNDS,
        || {
            let mut allocator = full.clone();
            let (proposals, took) = timed(|| run(&mut allocator));
            assert_eq!(numbers(&proposals).len(), agents, "each agent is proposed to somebody");
            ((allocator, proposals), took)
        },
        || {
            let mut minimal = minimal.clone();
            timed(|| black_box(minimal.cycle()))
        },
    )
}

/// Who gets what, of a cluster in which everything is free.
pub(crate) fn decision() -> Measured {
    let (ours, floor) = whole_cycle(AGENTS, FRAMEWORKS, ROLES);
    Ok(vec![Row::of("cycle_decision", micros(ours), "us").beside(MINIMAL, micros(floor))])
}

/// At the sizes at which Mesos was measured, with as many roles and with one for all.
pub(crate) fn shapes() -> Measured {
    let mut rows = Vec::new();
    for (agents, frameworks) in
        [(1000, 100), (5000, 500), (10_000, 1000), (20_000, 2000), (50_000, 200)]
    {
        for roles in [1, ROLES] {
            let (ours, floor) = whole_cycle(agents, frameworks, roles);
            let name = format!("cycle_{agents}_{frameworks}_{roles}");
            rows.push(Row::of(name, micros(ours), "us").beside(MINIMAL, micros(floor)));
        }
        let change = one_change(agents, frameworks, 5);
        rows.push(Row::of(format!("change_{agents}_{frameworks}"), micros(change), "us"));
    }
    Ok(rows)
}

/// The same with offers, as the master makes them.
pub(crate) fn offers() -> Measured {
    crate::cluster::offers(AGENTS, FRAMEWORKS, ROLES, ROUNDS)
}

/// One agent's offer comes back and is offered again, of a cluster in which all is offered.
fn one_change(agents: usize, frameworks: usize, rounds: usize) -> Duration {
    let mut allocator = cluster(agents, frameworks, ROLES.min(frameworks));
    let mut open = numbers(&run(&mut allocator));
    let mut least = Duration::MAX;
    for _ in 0..rounds {
        let ((), took) = timed(|| {
            (0..CHANGES).for_each(|n| change(&mut allocator, &mut open, n));
        });
        least = least.min(took);
    }
    least / u32::try_from(CHANGES).expect("few")
}

/// One of the open proposals ends unused and is made anew.
pub(crate) fn change(allocator: &mut Allocator, open: &mut [u64], n: usize) {
    let slot = n * 7919 % open.len();
    let ended = BookEntry::Ended {
        proposals: vec![open[slot]],
        used: Resources::none(),
        refuse_for: Duration::ZERO,
    };
    allocator.step(at(1), Event::Book(vec![ended]));
    let proposals = run(allocator);
    open[slot] = proposals[0].all[0].number;
}

const CHANGES: usize = 2000;

pub(crate) fn changes() -> Measured {
    let changed = one_change(AGENTS, FRAMEWORKS, ROUNDS);
    let (large, small) = (one_change(50_000, 200, ROUNDS), one_change(1000, 200, ROUNDS));
    Ok(vec![
        Row::of("one_agent_changed", micros(changed), "us"),
        Row::of("one_agent_flat", micros(large), "us").beside("1,000 agents", micros(small)),
    ])
}

/// Every framework has refused every agent; nobody can be offered anything.
pub(crate) fn declined() -> Measured {
    let mut allocator = cluster(AGENTS, FRAMEWORKS, ROLES);
    let mut rounds = 0;
    loop {
        let proposals = run(&mut allocator);
        if proposals.is_empty() {
            break;
        }
        rounds += 1;
        let ended = numbers(&proposals).into_iter().map(|number| BookEntry::Ended {
            proposals: vec![number],
            used: Resources::none(),
            refuse_for: Duration::from_secs(3600),
        });
        allocator.step(at(1), Event::Book(ended.collect()));
    }
    assert_eq!(rounds, FRAMEWORKS, "each framework refuses each agent once");
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let (proposals, took) = timed(|| {
            allocator.step(at(2), Event::Sweep);
            run(&mut allocator)
        });
        assert!(proposals.is_empty());
        least = least.min(took);
    }
    Ok(vec![Row::of("all_declined", least.as_secs_f64() * 1e3, "ms")])
}

/// The same cycle, with a guarantee and a limit for each role and without.
pub(crate) fn quota() -> Measured {
    let share = (AGENTS / ROLES) as i64;
    let quota = Quota {
        guarantees: Quantities::none()
            .with("cpus", Milli::whole(24 * share / 2))
            .with("mem", Milli::whole(4096 * share / 2)),
        limits: Limits::none()
            .with("cpus", Milli::whole(24 * share * 2))
            .with("mem", Milli::whole(4096 * share * 2)),
    };
    let quotas = (0..ROLES).map(|n| (role(n), quota.clone())).collect();
    let shares = Shares { quotas, ..Shares::default() };
    let without = cluster(AGENTS, FRAMEWORKS, ROLES);
    let mut with = cluster(AGENTS, FRAMEWORKS, ROLES);
    with.step(at(0), Event::Book(vec![BookEntry::Shares(shares)]));
    let cycle = |of: &Allocator| {
        let mut allocator = of.clone();
        let (proposals, took) = timed(|| run(&mut allocator));
        assert!(numbers(&proposals).len() >= AGENTS, "each agent is proposed to somebody");
        ((allocator, proposals), took)
    };
    let (with, without) = least_of_both(ROUNDS, || cycle(&with), || cycle(&without));
    Ok(vec![Row::of("quota_cycle", micros(with), "us").beside("without quota", micros(without))])
}

/// Frameworks come one by one, each with a run of its own.
pub(crate) fn join() -> Measured {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let mut allocator = cluster(AGENTS, 0, ROLES);
        let ((), took) = timed(|| {
            for n in 0..FRAMEWORKS {
                allocator.step(at(1), Event::Book(vec![framework(n, ROLES)]));
                black_box(run(&mut allocator));
            }
        });
        least = least.min(took);
    }
    Ok(vec![Row::of("add_1000_frameworks", least.as_secs_f64() * 1e3, "ms")])
}

/// Cost against size.
pub(crate) fn sizes() -> Measured {
    let mut rows = Vec::new();
    for agents in [1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000] {
        let (ours, floor) = whole_cycle(agents, 1000, ROLES);
        let name = format!("cycle_{agents}");
        rows.push(Row::of(name, micros(ours), "us").beside(MINIMAL, micros(floor)));
        let change = one_change(agents, 1000, 5);
        rows.push(Row::of(format!("change_{agents}"), micros(change), "us"));
    }
    Ok(rows)
}
