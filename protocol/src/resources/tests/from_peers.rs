//! What only a peer can have written is refused in words: entries as they come off the wire, which nothing has put in order.

use serde_json::json;

use super::*;

fn cpus(thousandths: i64) -> Resource {
    Resource::unreserved("cpus", Value::Scalar(Milli(thousandths)))
}

/// In the order in which they are given, whatever that is.
fn ranges(pairs: &[(u64, u64)]) -> Resource {
    let ranges: Ranges = serde_json::from_value(json!(pairs)).expect("pairs of numbers");
    Resource::unreserved("ports", Value::Ranges(ranges))
}

fn names(names: &[&str]) -> Resource {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Resource::unreserved("disks", Value::Set(names))
}

fn said(entries: Vec<Resource>) -> Option<String> {
    Resources(List::of(entries)).check().err().map(|bad| bad.to_string())
}

fn of_kind(kind: Kind, resource: Resource) -> Resource {
    Resource { kind, ..resource }
}

#[test]
fn res_01_entries_that_a_peer_wrote_wrongly_are_refused_in_words() {
    let many: Vec<(u64, u64)> = (0..100_000).map(|n| (2 * n, 2 * n)).collect();
    let on_mount = Kind::of(on(source(DiskKind::Mount, Some("/m"), None)));
    let twice = |kind: Kind| vec![of_kind(kind.clone(), cpus(1)), of_kind(kind, cpus(2))];
    let unsorted = "'ports' has ranges or names that are out of order or repeated";
    let no_amount = "an amount must be more than zero";
    let order = "'cpus' is out of order or repeated";
    for (entries, words) in [
        (vec![ranges(&[(1, 3), (2, 5)])], unsorted),
        (vec![ranges(&[(1, 5), (2, 3)])], unsorted),
        (vec![ranges(&[(4, 5), (1, 2)])], unsorted),
        // What touches is one range.
        (vec![ranges(&[(1, 2), (3, 5)])], unsorted),
        (vec![ranges(&[(1, 2), (1, 2)])], unsorted),
        (vec![ranges(&[(5, 1)])], unsorted),
        (vec![names(&["b", "a"])], "'disks' has ranges or names that are out of order or repeated"),
        (vec![names(&["a", "a"])], "'disks' has ranges or names that are out of order or repeated"),
        (vec![ranges(&many)], "'ports' is in 100000 pieces, more than 65536"),
        (vec![ranges(&[])], no_amount),
        (vec![names(&[])], no_amount),
        (vec![cpus(0)], no_amount),
        (vec![cpus(-1)], no_amount),
        (vec![cpus(Milli::MAX.0 + 1)], "an amount must be at most 1000000000000"),
        (vec![cpus(i64::MAX)], "an amount must be at most 1000000000000"),
        (
            vec![cpus(Milli::MAX.0), of_kind(Kind::reserved(role("eng")), cpus(1))],
            "cpus:1000000000000.001 in all: an amount must be at most 1000000000000",
        ),
        (twice(Kind::Unreserved), order),
        (twice(Kind::reserved(role("eng"))), order),
        (vec![ranges(&[(1, 2)]), cpus(1)], order),
        (vec![of_kind(Kind::reserved(role("eng")), cpus(1)), cpus(1)], order),
        (
            vec![Resource::unreserved("a b", Value::Scalar(Milli(1)))],
            "'a b' is not a resource's name",
        ),
        (vec![Resource::unreserved("", Value::Scalar(Milli(1)))], "'' is not a resource's name"),
        (vec![of_kind(on_mount, cpus(1))], "'cpus' has the terms of a disk"),
    ] {
        let said = said(entries);
        assert!(said.as_ref().is_some_and(|said| said.contains(words)), "{words}: {said:?}");
    }
}

#[test]
fn res_01_entries_that_a_peer_wrote_rightly_are_taken() {
    let eng = Kind::reserved(role("eng"));
    let good = vec![
        cpus(Milli::MAX.0 - 1),
        of_kind(eng, cpus(1)),
        names(&["a", "b"]),
        ranges(&[(0, 2), (4, u64::MAX)]),
    ];
    assert_eq!(said(good), None);
    assert_eq!(said(Vec::new()), None);
}
