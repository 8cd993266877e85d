//! The algebra of resources, in the cases of Mesos's own benchmarks of it (`resources_tests.cpp`): sums and differences, what of
//! them is whose, what holds what, texts, and ranges in many pieces. `--json` prints one object a line.

use std::hint::black_box;
use std::time::{Duration, Instant};

use measure::{Measured, Row};
use protocol::ids::Role;
use protocol::resources::{
    Disk, Named, PersistentVolume, Ranges, Reservation, ReservationMade, Resource, Resources, Terms,
};

// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let json = std::env::args().any(|argument| argument == "--json");
    for case in [arithmetic, filters, contains, parse, overlapping] {
        case()?.iter().for_each(|row| row.print("resources", json));
    }
    Ok(())
}

/// The least of some rounds, in milliseconds for all of it.
fn row<T>(name: &str, mut act: impl FnMut() -> T) -> Row {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        black_box(act());
        least = least.min(started.elapsed());
    }
    Row::of(name, least.as_secs_f64() * 1e3, "ms")
}

fn scalars() -> Result<Resources, Box<dyn std::error::Error>> {
    Ok("cpus:1;gpus:1;mem:128;disk:256".parse()?)
}

/// The same under other terms.
fn under(resources: &Resources, terms: impl Fn(&mut Terms)) -> Resources {
    let mut all = Resources::none();
    for one in resources.iter() {
        all.add_one(Resource { kind: one.kind.with(&terms), ..one.clone() });
    }
    all
}

fn shared_volume(number: usize) -> Result<Resources, Box<dyn std::error::Error>> {
    let volume = PersistentVolume {
        id: format!("volume-{number}"),
        principal: None,
        container_path: "data".into(),
        read_only: false,
    };
    let reservation = reservation("role", Vec::new())?;
    Ok(under(&"disk:256".parse()?, |terms| {
        terms.reservations = vec![reservation.clone()];
        terms.disk = Some(Disk { source: None, volume: Some(volume.clone()) });
        terms.shared = true;
    }))
}

fn reservation(
    role: &str,
    labels: Vec<(String, Option<String>)>,
) -> Result<Reservation, Box<dyn std::error::Error>> {
    let role: Role = role.parse()?;
    Ok(Reservation { role, made: ReservationMade::Dynamic, principal: None, labels })
}

/// Each added to a sum and taken from it again: 50,000 times what is alike or shared, ten times a thousand different reservations.
fn arithmetic() -> Measured {
    let (plain, shared) = (scalars()?, shared_volume(0)?);
    let add_and_take = |each: &Resources, count: usize| {
        let mut sum = Resources::none();
        (0..count).for_each(|_| sum.add(each));
        (0..count).for_each(|_| sum = sum.minus(each));
        assert!(sum.is_empty(), "what was added was taken");
    };
    let mut unique = Resources::none();
    for n in 0..1000 {
        let labels = vec![(format!("key-{n}"), Some(format!("value-{n}")))];
        let reservation = reservation("role", labels)?;
        unique.add(&under(&plain, |terms| terms.reservations = vec![reservation.clone()]));
    }
    Ok(vec![
        row("arithmetic_scalars_50000", || add_and_take(&plain, 50_000)),
        row("arithmetic_shared_1000", || add_and_take(&shared, 1000)),
        row("arithmetic_unique_10", || add_and_take(&unique, 10)),
    ])
}

/// Of a mixture, 50,000 times: what is nobody's, what is a role's, what may be taken back, what is shared.
fn filters() -> Measured {
    let (plain, role): (_, Role) = (scalars()?, "role".parse()?);
    let reservation = reservation("role", Vec::new())?;
    let mut mixture = plain.clone();
    mixture.add(&under(&plain, |terms| terms.reservations = vec![reservation.clone()]));
    mixture.add(&under(&plain, |terms| terms.revocable = true));
    mixture.add(&shared_volume(0)?);
    let often = |name, filter: &dyn Fn() -> Resources| {
        row(name, || (0..50_000).for_each(|_| drop(black_box(filter()))))
    };
    Ok(vec![
        often("filters_unreserved_50000", &|| mixture.unreserved()),
        often("filters_reserved_50000", &|| mixture.reserved_to(&role)),
        often("filters_revocable_50000", &|| mixture.revocable()),
        often("filters_shared_50000", &|| mixture.shared()),
    ])
}

/// Whether one holds the other: scalars, and ports in 8,000 pieces.
fn contains() -> Measured {
    let plain = scalars()?;
    let most: Resources = "cpus:64;gpus:8;mem:488000;disk:1000000".parse()?;
    let in_pieces = || {
        let pieces = Ranges::new((0..8000).map(|n| (2 * n + 1, 2 * n + 1)));
        Resources::none().with_ranges("ports", pieces)
    };
    let pieces = in_pieces();
    let ports = Resources::none().with_ranges("ports", Ranges::new([(1, 16_000)]));
    let often = |name, whole: &Resources, part: &Resources, count: usize| {
        row(name, || (0..count).for_each(|_| assert!(black_box(whole).contains(black_box(part)))))
    };
    Ok(vec![
        often("contains_scalars_5000", &most, &plain, 5000),
        often("contains_8000_pieces_100", &ports, &pieces, 100),
        often("contains_pieces_in_pieces_100", &pieces, &in_pieces(), 100),
    ])
}

/// What operators write.
fn parse() -> Measured {
    let everybody = Role::everybody();
    let text = "cpus(role):24;mem:4096;disk:4096;ports:[31000-32000, 40000-41000];zones:{a, b, c}";
    let often = |count: usize| {
        row(&format!("parse_{count}"), || {
            (0..count).for_each(|_| drop(black_box(Named::parse(black_box(text), &everybody))));
        })
    };
    Named::parse(text, &everybody)?;
    Ok([1000, 10_000, 50_000].map(often).into())
}

/// Two sets of ranges that lie in one another's gaps or cross, added and taken 1,000 times.
fn overlapping() -> Measured {
    let mut rows = Vec::new();
    for pieces in [10, 100, 1000] {
        let of = |from: u64| {
            let ranges = (0..pieces).map(|n| (from + 10 * n, from + 10 * n + 5));
            Resources::none().with_ranges("ports", Ranges::new(ranges))
        };
        let (one, other) = (of(1), of(4));
        rows.push(row(&format!("ranges_{pieces}_crossing_1000"), || {
            for _ in 0..1000 {
                let both = black_box(&one).plus(black_box(&other));
                black_box(both.minus(&other));
            }
        }));
    }
    Ok(rows)
}
