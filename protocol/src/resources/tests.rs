//! The algebra's laws over resources of every kind, and what upstream's tables of resources ask for. What many tests need is here.

mod choice;
mod conversions;
mod from_peers;
mod laws;
mod text;
mod v1;

use proptest::prelude::*;

use super::*;
use crate::ids::Role;

fn parsed(text: &str) -> Resources {
    text.parse().expect(text)
}

fn role(text: &str) -> Role {
    text.parse().expect(text)
}

fn reservation(role: &str, made: ReservationMade) -> Reservation {
    Reservation { role: self::role(role), made, principal: None, labels: Vec::new() }
}

fn dynamic(role: &str) -> Reservation {
    reservation(role, ReservationMade::Dynamic)
}

fn source(kind: DiskKind, root: Option<&str>, id: Option<&str>) -> DiskSource {
    let (root, id) = (root.map(str::to_owned), id.map(str::to_owned));
    DiskSource { kind, root, id, vendor: None, profile: None, metadata: Vec::new() }
}

fn on(source: DiskSource) -> Terms {
    Terms { disk: Some(Disk { source: Some(source), volume: None }), ..Terms::default() }
}

fn volume(id: &str, shared: bool) -> Terms {
    let volume = PersistentVolume {
        id: id.into(),
        principal: None,
        container_path: "data".into(),
        read_only: false,
    };
    let disk = Some(Disk { source: None, volume: Some(volume) });
    let reservations = vec![dynamic("eng")];
    Terms { reservations, disk, shared, ..Terms::default() }
}

/// So much of `disk`.
fn disk(terms: Terms, units: i64) -> Resource {
    let value = Value::Scalar(Milli::whole(units));
    Resource { kind: Kind::of(terms), ..Resource::unreserved("disk", value) }
}

fn all<const N: usize>(entries: [Resource; N]) -> Resources {
    entries.into_iter().collect()
}

fn with_kind(text: &str, kind: &Kind) -> Resources {
    let entries = parsed(text);
    entries.iter().map(|entry| Resource { kind: kind.clone(), ..entry.clone() }).collect()
}

/// Terms that anything can have.
fn kinds() -> Vec<Kind> {
    let by = Reservation {
        principal: Some("ops".into()),
        labels: vec![("k".into(), Some("v".into())), ("l".into(), None)],
        ..dynamic("eng")
    };
    let reserved = |reservations| Kind::of(Terms { reservations, ..Terms::default() });
    let stacked = vec![reservation("eng", ReservationMade::Static), dynamic("eng/web")];
    vec![
        Kind::Unreserved,
        Kind::reserved(role("eng")),
        Kind::reserved(role("eng/web")),
        reserved(vec![by]),
        reserved(stacked.clone()),
        Kind::of(Terms { revocable: true, ..Terms::default() }),
        Kind::of(Terms { allocated_to: Some(role("web")), ..Terms::default() }),
        Kind::of(Terms {
            allocated_to: Some(role("web")),
            reservations: stacked,
            ..Terms::default()
        }),
    ]
}

/// Terms of disks.
fn disks() -> Vec<Kind> {
    let mut of_mount = volume("on a mount", false);
    let mount = source(DiskKind::Mount, Some("/m"), Some("i"));
    of_mount.disk.iter_mut().for_each(|disk| disk.source = Some(mount.clone()));
    let mut marked = source(DiskKind::Raw, None, Some("i"));
    marked.vendor = Some("v".into());
    marked.profile = Some("p".into());
    marked.metadata = vec![("k".into(), None)];
    let reserved = Terms { reservations: vec![dynamic("eng")], ..on(mount.clone()) };
    let all = [
        on(source(DiskKind::Path, Some("/p"), None)),
        on(source(DiskKind::Path, None, None)),
        on(mount),
        on(source(DiskKind::Block, None, Some("b"))),
        on(source(DiskKind::Raw, None, None)),
        on(marked),
        reserved,
        volume("a", false),
        of_mount,
        volume("s", true),
    ];
    all.into_iter().map(Kind::of).collect()
}

/// Resources of all kinds. What two of different `sides` have of ranges and sets is never the same.
fn some_of(sides: u64, side: u64) -> impl Strategy<Value = Resources> {
    let numbers = proptest::collection::vec(0u64..20, 0..5);
    let plain = (0..kinds().len(), 0..4usize, 0i64..3000, numbers).prop_map(
        move |(kind, what, amount, numbers)| {
            let own: Vec<u64> = numbers.into_iter().map(|number| number * sides + side).collect();
            let mut names: Vec<String> = own.iter().map(|number| format!("n{number}")).collect();
            names.sort();
            names.dedup();
            let (name, value) = match what {
                0 => ("cpus", Value::Scalar(Milli(amount))),
                1 => ("mem", Value::Scalar(Milli(amount))),
                2 => ("ports", Value::Ranges(Ranges::new(own.into_iter().map(|n| (n, n))))),
                _ => ("disks", Value::Set(names)),
            };
            Resource { kind: kinds()[kind].clone(), ..Resource::unreserved(name, value) }
        },
    );
    let of_disks = (0..disks().len(), 1i64..3).prop_map(|(kind, units)| {
        let value = Value::Scalar(Milli::whole(units));
        Resource { kind: disks()[kind].clone(), ..Resource::unreserved("disk", value) }
    });
    let entry = prop_oneof![3 => plain, 2 => of_disks];
    proptest::collection::vec(entry, 0..12).prop_map(|entries| entries.into_iter().collect())
}

fn some() -> impl Strategy<Value = Resources> {
    some_of(1, 0)
}
