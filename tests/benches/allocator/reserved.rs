//! Mesos's `ResourceLabels` and `PersistentVolumes`: agents much of which is reserved, on terms that must be compared.

use std::time::Duration;

use master::logic::allocator::{Allocator, BookEntry, Event};
use protocol::ids::FrameworkId;
use protocol::resources::{
    Disk, Kind, Milli, PersistentVolume, Ranges, Reservation, ReservationMade, Resource, Resources,
    Terms,
};

use crate::cycles::{self, at, numbers, role, run};
use crate::minimal::timed;
use crate::upstream::{agent, ended, framework, least, millis, of_entries};
use measure::{Measured, Row};

const AGENTS: usize = 1000;
const FRAMEWORKS: usize = 50;
/// All frameworks are of one role, so that each may be offered all that is reserved.
const ROLE: usize = 0;

fn frameworks() -> impl Iterator<Item = BookEntry> {
    (0..FRAMEWORKS).map(|n| framework(&format!("f-{n:03}"), role(ROLE)))
}

fn reservation(labels: Vec<(String, Option<String>)>) -> Reservation {
    Reservation {
        role: role(ROLE),
        made: ReservationMade::Dynamic,
        principal: Some("operator".to_owned()),
        labels,
    }
}

fn of_kind(name: &str, amount: i64, terms: Terms) -> Resource {
    let plain = Resources::none().with_scalar(name, Milli::whole(amount));
    let first = plain.iter().next().expect("one").clone();
    Resource { kind: Kind::of(terms), ..first }
}

/// Twelve labels, of which only the last tells one set from another.
fn labels(set: usize) -> Vec<(String, Option<String>)> {
    let last = ("owner".to_owned(), Some(format!("owner-{set}")));
    (0..11).map(|n| (format!("key-{n}"), Some(format!("value-{n}")))).chain([last]).collect()
}

/// What a round takes, halfway and when all have refused all.
fn refused(name: &str, mut allocator: Allocator, rounds: usize) -> Vec<Row> {
    let mut took = Vec::new();
    for _ in 0..rounds {
        let (proposals, round) = timed(|| run(&mut allocator));
        assert!(!proposals.is_empty(), "{name}: somebody has not refused yet");
        took.push(round);
        allocator.step(at(1), ended(numbers(&proposals), Duration::from_secs(3600)));
    }
    let last = least(&allocator, |allocator| {
        allocator.step(at(2), Event::Sweep);
        run(allocator)
    });
    vec![
        Row::of(format!("{name}_first"), millis(took[0]), "ms"),
        Row::of(format!("{name}_half"), millis(took[rounds / 2]), "ms"),
        Row::of(format!("{name}_last"), millis(last), "ms"),
    ]
}

/// As `declined`, and of each agent disk is reserved twice, with labels that must be compared to the last.
pub(crate) fn labels_compared() -> Measured {
    let mut total = cycles::resources();
    for set in 0..2 {
        let terms = Terms { reservations: vec![reservation(labels(set))], ..Terms::default() };
        total.add_one(of_kind("disk", 1024, terms));
    }
    let ports = (0..16).map(|n| (31_000 + 60 * n, 31_010 + 60 * n));
    let used = Resources::none().with_ranges("ports", Ranges::new(ports));
    let (holder, its) = (FrameworkId::new("holder"), role(ROLE));
    let agents = (0..AGENTS).map(|n| agent(n, &total, Some((&holder, &its, used.clone()))));
    let allocator = of_entries(frameworks().chain(agents));
    Ok(refused("resource_labels_1000_50", allocator, FRAMEWORKS))
}

/// Which volumes of an agent are so.
type Which = fn(usize) -> bool;

/// Sixteen volumes on each agent, none of them, all, or every second one for several to use at once; six rounds.
pub(crate) fn volumes() -> Measured {
    let mut rows = Vec::new();
    let kinds: [(&str, Which); 3] =
        [("regular", |_| false), ("shared", |_| true), ("mixed", |n| n % 2 == 0)];
    for (name, shared) in kinds {
        let mut total = cycles::resources();
        for n in 0..16 {
            let volume = PersistentVolume {
                id: format!("volume-{n}"),
                principal: None,
                container_path: "data".to_owned(),
                read_only: false,
            };
            let terms = Terms {
                reservations: vec![reservation(Vec::new())],
                disk: Some(Disk { volume: Some(volume), ..Disk::default() }),
                shared: shared(n),
                ..Terms::default()
            };
            total.add_one(of_kind("disk", 64, terms));
        }
        let agents = (0..AGENTS).map(|n| agent(n, &total, None));
        let allocator = of_entries(frameworks().chain(agents));
        rows.extend(refused(&format!("volumes_{name}_1000_50"), allocator, 6));
    }
    Ok(rows)
}
