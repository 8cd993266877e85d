//! The cases of Mesos's own allocator benchmarks (`hierarchical_allocator_benchmarks.cpp`, `hierarchical_allocator_tests.cpp`,
//! `sorter_tests.cpp`), at sizes for which figures of Mesos 1.11 are known or that it runs itself.

use std::hint::black_box;
use std::time::Duration;

use master::config::AllocatorConfig;
use master::logic::allocator::{Allocator, BookEntry, Event};
use protocol::ids::{FrameworkId, Role};
use protocol::quantities::Quantities;
use protocol::quota::{Quota, Shares};
use protocol::resources::{Milli, Ranges, Resource, Resources};

use crate::cycles::{self, at, cluster, numbers, role, run};
use crate::minimal::timed;
use measure::{Measured, Row};

const ROUNDS: usize = 9;

pub(crate) fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

/// The least of some rounds, each on a copy of `of`.
pub(crate) fn least<T>(of: &Allocator, mut act: impl FnMut(&mut Allocator) -> T) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let mut allocator = of.clone();
        let (made, took) = timed(|| act(&mut allocator));
        black_box((made, allocator));
        least = least.min(took);
    }
    least
}

pub(crate) fn framework(name: &str, role: Role) -> BookEntry {
    BookEntry::Framework {
        framework: FrameworkId::new(name),
        roles: vec![role],
        capabilities: Vec::new(),
        wishes: Vec::new(),
    }
}

/// An agent with all this, of which somebody holds `used`.
pub(crate) fn agent(
    n: usize,
    total: &Resources,
    used: Option<(&FrameworkId, &Role, Resources)>,
) -> BookEntry {
    let mut entry = cycles::agent(n);
    if let BookEntry::Agent { total: its, allocated, .. } = &mut entry {
        *its = total.clone();
        allocated
            .extend(used.map(|(framework, role, used)| (framework.clone(), role.clone(), used)));
    }
    entry
}

pub(crate) fn of_entries(entries: impl IntoIterator<Item = BookEntry>) -> Allocator {
    let mut allocator = Allocator::new(AllocatorConfig::default(), 1);
    allocator.step(at(0), Event::Book(entries.into_iter().collect()));
    allocator
}

/// All these proposals' offers end unused.
pub(crate) fn ended(all: Vec<u64>, refuse_for: Duration) -> Event {
    let ended = |number| {
        let (proposals, used) = (vec![number], Resources::none());
        BookEntry::Ended { proposals, used, refuse_for }
    };
    Event::Book(all.into_iter().map(ended).collect())
}

/// A cycle in which all is free and one in which nothing is: `LargeAndSmallQuota` and `NonQuotaVsQuota` measure these two.
fn both_cycles(rows: &mut Vec<Row>, name: &str, of: &Allocator, agents: usize) {
    let all = least(of, |allocator| {
        let proposals = run(allocator);
        // What a role is guaranteed is proposed to it apart from the rest.
        assert!(numbers(&proposals).len() >= agents, "{name}: each agent is proposed to somebody");
        proposals
    });
    let mut full = of.clone();
    run(&mut full);
    let none = least(&full, |allocator| {
        allocator.step(at(1), Event::Sweep);
        assert!(run(allocator).is_empty(), "{name}: nothing is left");
    });
    rows.push(Row::of(name, millis(all), "ms"));
    rows.push(Row::of(format!("{name}_none_left"), millis(none), "ms"));
}

fn amounts(cpus: i64, rest: i64) -> Quantities {
    let rest = Milli::whole(rest);
    Quantities::none().with("cpus", Milli::whole(cpus)).with("mem", rest).with("disk", rest)
}

/// Roles whose guarantee one agent meets and others that need four; as many agents, roles and frameworks.
pub(crate) fn large_and_small_quota() -> Measured {
    let total: Resources = "cpus:2;mem:2048;disk:2048".parse()?;
    let mut rows = Vec::new();
    for (small, large) in [(25, 5), (250, 50), (2500, 500)] {
        let count = small + large;
        let quota = |n: usize| {
            let guarantees = if n < small { amounts(1, 1024) } else { amounts(4, 4096) };
            (named(n), Quota { guarantees, ..Quota::default() })
        };
        let shares = Shares { quotas: (0..count).map(quota).collect(), ..Shares::default() };
        let frameworks = (0..count).map(|n| framework(&format!("f-{n:04}"), named(n)));
        let agents = (0..count).map(|n| agent(n, &total, None));
        let entries = [BookEntry::Shares(shares)].into_iter().chain(frameworks).chain(agents);
        both_cycles(
            &mut rows,
            &format!("large_and_small_quota_{count}"),
            &of_entries(entries),
            count,
        );
    }
    Ok(rows)
}

fn named(n: usize) -> Role {
    format!("role-{n:04}").parse().expect("a role")
}

/// Two agents and two frameworks for each role, without any guarantee and with one for each.
pub(crate) fn non_quota_vs_quota() -> Measured {
    let total: Resources = "cpus:2;mem:2048;disk:2048".parse()?;
    let mut rows = Vec::new();
    for roles in [10, 100, 1000] {
        let quota = |n| (named(n), Quota { guarantees: amounts(2, 2048), ..Quota::default() });
        let shares = Shares { quotas: (0..roles).map(quota).collect(), ..Shares::default() };
        for (name, shares) in [("without", Shares::default()), ("with", shares)] {
            let frameworks = (0..2 * roles).map(|n| framework(&format!("f-{n:04}"), named(n / 2)));
            let agents = (0..2 * roles).map(|n| agent(n, &total, None));
            let entries = [BookEntry::Shares(shares)].into_iter().chain(frameworks).chain(agents);
            both_cycles(
                &mut rows,
                &format!("{name}_quota_{roles}"),
                &of_entries(entries),
                2 * roles,
            );
        }
    }
    Ok(rows)
}

/// Everything is offered again, round by round, and refused for long, until all have refused all: the time of a round, halfway and
/// with all refusals. Sixteen pieces of each agent's ports are in use.
pub(crate) fn declined() -> Measured {
    let (agents, frameworks) = (1000, 50);
    let total = cycles::resources();
    let ports = (0..16).map(|n| (31_000 + 60 * n, 31_010 + 60 * n));
    let used = Resources::none().with_ranges("ports", Ranges::new(ports));
    let (holder, its) = (FrameworkId::new("holder"), role(0));
    let agents = (0..agents).map(|n| agent(n, &total, Some((&holder, &its, used.clone()))));
    let frameworks_there = (0..frameworks).map(|n| framework(&format!("f-{n:03}"), role(n)));
    let mut allocator = of_entries(frameworks_there.chain(agents));
    let mut rounds = Vec::new();
    for _ in 0..frameworks {
        let (proposals, took) = timed(|| run(&mut allocator));
        rounds.push(took);
        allocator.step(at(1), ended(numbers(&proposals), Duration::from_secs(3600)));
    }
    let none = least(&allocator, |allocator| {
        allocator.step(at(2), Event::Sweep);
        assert!(run(allocator).is_empty(), "all is refused by all");
    });
    Ok(vec![
        Row::of("declined_1000_50_half", millis(rounds[frameworks / 2]), "ms"),
        Row::of("declined_1000_50_all", millis(none), "ms"),
    ])
}

/// 99 of 100 frameworks want nothing; beside a cluster that has only the others.
pub(crate) fn suppressed() -> Measured {
    let (agents, frameworks) = (10_000, 1000);
    let mut many = cluster(agents, frameworks, frameworks);
    // One joins after the other, so that the silent ones were there before.
    let silent = (0..frameworks)
        .filter(|n| n % 100 != 0)
        .map(|n| BookEntry::Suppressed { framework: cycles::framework_id(n), roles: Vec::new() });
    many.step(at(0), Event::Book(silent.collect()));
    let few = cluster(agents, frameworks / 100, frameworks / 100);
    let all = |allocator: &mut Allocator| {
        let proposals = run(allocator);
        assert_eq!(numbers(&proposals).len(), agents, "each agent is proposed to somebody");
        proposals
    };
    let (many, few) = (least(&many, all), least(&few, all));
    Ok(vec![
        Row::of("suppressed_99_percent", millis(many), "ms").beside("only the others", millis(few)),
    ])
}

/// Agents come with something in use, one message each, and then all have ten revocable cores more.
pub(crate) fn add_and_update() -> Measured {
    let (agents, frameworks) = (10_000, 1000);
    let total: Resources = "cpus:2;mem:1024;disk:4096".parse()?;
    let total = total.with_ranges("ports", Ranges::new([(31_000, 32_000)]));
    let mut more = total.clone();
    for one in Resources::none().with_scalar("cpus", Milli::whole(10)).iter() {
        more.add_one(Resource {
            kind: one.kind.with(|terms| terms.revocable = true),
            ..one.clone()
        });
    }
    let used: Resources = "cpus:1;mem:128;disk:1024".parse()?;
    let (holder, its) = (FrameworkId::new("holder"), role(0));
    let entry = |n, total: &Resources| {
        Event::Book(vec![agent(n, total, Some((&holder, &its, used.clone())))])
    };
    let empty = cluster(0, frameworks, 100);
    let added = least(&empty, |allocator| {
        (0..agents).for_each(|n| drop(allocator.step(at(0), entry(n, &total))));
        run(allocator)
    });
    let mut there = empty.clone();
    (0..agents).for_each(|n| drop(there.step(at(0), entry(n, &total))));
    let updated = least(&there, |allocator| {
        (0..agents).for_each(|n| drop(allocator.step(at(0), entry(n, &more))));
        run(allocator)
    });
    Ok(vec![
        Row::of("agents_added_10000", millis(added), "ms"),
        Row::of("agents_updated_10000", millis(updated), "ms"),
    ])
}

/// Each framework revives, and one run answers them all.
pub(crate) fn backlog() -> Measured {
    let (agents, frameworks) = (10_000, 1000);
    let mut allocator = cluster(agents, frameworks, 100);
    run(&mut allocator);
    let revived = |n| BookEntry::Revived { framework: cycles::framework_id(n), roles: Vec::new() };
    let mut runs = 0;
    let took = least(&allocator, |allocator| {
        let before = allocator.runs();
        for n in 0..frameworks {
            // As the actor does it: a run that is due is due once, however often it was asked for.
            allocator.step(at(1), Event::Book(vec![revived(n)]));
        }
        run(allocator);
        runs = allocator.runs() - before;
    });
    let figures = least(&allocator, |allocator| allocator.figures());
    Ok(vec![
        Row::of("backlog_1000_revive", millis(took), "ms"),
        Row::of("backlog_runs", runs as f64, "runs"),
        Row::of("allocator_metrics", millis(figures), "ms"),
    ])
}

/// About a thousand roles as trees of these heights and numbers of branches, with a framework in each leaf: who is there joins, gets,
/// gives back and leaves.
pub(crate) fn trees() -> Measured {
    let agents = 1000;
    let mut rows = Vec::new();
    for (height, branches) in [(2, 1000), (3, 32), (7, 3), (10, 2)] {
        let mut leaves = vec![String::new()];
        // The root is one level.
        for _ in 1..height {
            let below = |name: &String| {
                let name = name.clone();
                (0..branches).map(move |n| {
                    if name.is_empty() { format!("r{n}") } else { format!("{name}/r{n}") }
                })
            };
            leaves = leaves.iter().flat_map(below).collect();
        }
        let count = leaves.len();
        let frameworks = leaves.iter().enumerate();
        let frameworks: Vec<_> = frameworks
            .map(|(n, leaf)| Ok(framework(&format!("f-{n:04}"), leaf.parse::<Role>()?)))
            .collect::<Result<_, protocol::ids::BadRole>>()?;
        let empty = of_entries((0..agents).map(cycles::agent));
        let name = |what| format!("tree_{height}_{branches}_{what}");
        let joined = least(&empty, |allocator| {
            allocator.step(at(0), Event::Book(frameworks.clone()));
        });
        let mut there = empty.clone();
        there.step(at(0), Event::Book(frameworks.clone()));
        let got = least(&there, |allocator| {
            let proposals = run(allocator);
            assert_eq!(numbers(&proposals).len(), agents, "{count} leaves");
            proposals
        });
        let open = numbers(&run(&mut there));
        let back = least(&there, |allocator| {
            allocator.step(at(1), ended(open.clone(), Duration::ZERO));
            allocator.step(at(1), Event::Sweep)
        });
        let left = least(&there, |allocator| {
            let gone = |n| BookEntry::FrameworkInactive {
                framework: FrameworkId::new(format!("f-{n:04}")),
            };
            allocator.step(at(1), Event::Book((0..count).map(gone).collect()))
        });
        for (what, took) in [("join", joined), ("cycle", got), ("give_back", back), ("leave", left)]
        {
            rows.push(Row::of(name(what), millis(took), "ms"));
        }
    }
    Ok(rows)
}
