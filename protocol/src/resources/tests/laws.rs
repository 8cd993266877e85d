//! What holds of adding, subtracting and containing, whatever the kinds.

use super::*;
use crate::quantities::Quantities;

#[test]
fn res_02_a_thousandth_is_exact() {
    let tenth = Resources::none().with_scalar("cpus", Milli(100));
    let mut sum = Resources::none();
    for _ in 0..10_000 {
        sum.add(&tenth);
    }
    assert_eq!(sum, Resources::none().with_scalar("cpus", Milli::whole(1000)));
    for _ in 0..10_000 {
        sum = sum.checked_sub(&tenth).expect("it was added");
    }
    assert_eq!(sum, Resources::none(), "many operations lose nothing");
}

#[test]
fn what_is_lacking_is_named() {
    let have = parsed("cpus:2;ports:[1-10]");
    assert!(have.contains(&parsed("cpus:2;ports:[3-4]")));
    assert_eq!(
        have.lacking(&parsed("cpus:1;ports:[10-11]")).map(ToString::to_string),
        Some("ports:[10-11]".into())
    );
    assert_eq!(have.checked_sub(&parsed("mem:1")), None);
    assert!(!have.contains(&parsed("cpus(eng):1")), "of another kind there is none");
}

#[test]
fn res_02_only_what_is_of_the_same_kind_is_added_together() {
    let sum = parsed("cpus(eng):1;cpus:2").plus(&parsed("cpus(eng):0.5;cpus(ops):1"));
    assert_eq!(sum.to_string(), "cpus:2;cpus(eng):1.5;cpus(ops):1");
    assert_eq!(sum.cpus(), Milli(4500), "and the sum is over all kinds");
    let labelled = |key: &str| {
        let labels = vec![(key.to_owned(), None)];
        let reservations = vec![Reservation { labels, ..dynamic("eng") }];
        with_kind("cpus:1", &Kind::of(Terms { reservations, ..Terms::default() }))
    };
    assert_eq!(labelled("a").plus(&labelled("a")).len(), 1);
    assert_eq!(labelled("a").plus(&labelled("b")).len(), 2, "labels set reservations apart");
}

#[test]
fn res_02_what_is_whole_is_neither_merged_nor_split() {
    let mount = disk(on(source(DiskKind::Mount, Some("/m"), None)), 10);
    let less = disk(on(source(DiskKind::Mount, Some("/m"), None)), 4);
    let path = disk(on(source(DiskKind::Path, Some("/p"), None)), 10);
    let one = all([mount.clone()]);
    let two = one.plus(&one);
    assert_eq!((two.len(), two.disk()), (2, Milli::whole(20)), "two stay two");
    assert_eq!(two.checked_sub(&one), Some(one.clone()));
    assert!(two.contains(&two) && !one.contains(&two));
    assert_eq!(one.checked_sub(&all([less])), None, "no part of it can be taken");
    assert_eq!(all([path.clone(), path]).len(), 1, "a path is an amount");
    for (kind, id, whole) in [
        (DiskKind::Block, None, true),
        (DiskKind::Raw, Some("r"), true),
        (DiskKind::Raw, None, false),
    ] {
        let here = all([disk(on(source(kind, None, id)), 1)]);
        assert_eq!(here.plus(&here).len(), if whole { 2 } else { 1 }, "{kind:?}");
    }
    let volumes = all([disk(volume("a", false), 3), disk(volume("a", false), 3)]);
    assert_eq!(volumes.len(), 2);
}

#[test]
fn res_02_a_shared_volume_is_there_as_often_as_it_was_added() {
    let one = all([disk(volume("s", true), 5)]);
    let two = one.plus(&one);
    assert_eq!(two.checked_sub(&one), Some(one.clone()), "one user less");
    assert_eq!(one.checked_sub(&one), Some(Resources::none()));
    assert!(two.contains(&two) && !one.contains(&two));
    assert!(one.contains(&two.shared_once()), "it is present");
    assert_eq!((two.disk(), Quantities::of(&two)), (Milli::whole(5), Quantities::of(&one)));
    let alone = all([disk(volume("s", false), 5)]);
    assert!(!one.contains(&alone) && !alone.contains(&one), "shared is another thing");
    assert_eq!(two.plus(&alone).shared(), two);
}

#[test]
fn a_clone_is_not_changed_with_the_other() {
    let mut one = parsed("cpus:1;mem:1");
    let other = one.clone();
    one.add(&parsed("cpus:1"));
    assert_eq!((one.cpus(), other.cpus()), (Milli::whole(2), Milli::whole(1)));
}

#[test]
fn nothing_that_a_peer_writes_makes_the_algebra_fail() {
    use libactor::wire::{decode, encode};
    let raw = |name: &str, value: Value| Resource::unreserved(name, value);
    let backwards: Ranges = {
        let bytes = encode(&vec![(9u64, 1u64), (0, u64::MAX), (5, 5)], 1 << 10).expect("short");
        decode(&bytes).expect("pairs of numbers")
    };
    assert!(backwards.count() > 0 && backwards.take(u64::MAX).is_some());
    let entries = vec![
        raw("mem", Value::Scalar(Milli(i64::MAX))),
        raw("cpus", Value::Scalar(Milli(i64::MIN))),
        raw("cpus", Value::Scalar(Milli(i64::MAX))),
        raw("ports", Value::Ranges(backwards)),
        raw("disks", Value::Set(vec!["b".into(), "a".into(), "b".into()])),
    ];
    let odd: Resources = decode(&encode(&entries, 1 << 10).expect("short")).expect("resources");
    assert!(odd.check().is_err());
    let right = parsed("cpus:1;mem:1;ports:[1-3];disks:{a}");
    for (one, other) in [(&odd, &odd), (&odd, &right), (&right, &odd)] {
        let _ = (one.minus(other), one.checked_sub(other), one.contains(other), one.find(other));
        let _ = (one.at_least(other), one.iter().cloned().collect::<Resources>(), one.to_json());
        let _ = one.shrunk_to(&other.quantities());
    }
    let most = Resources::none().with_scalar("cpus", Milli(i64::MAX));
    assert_eq!(most.plus(&most).cpus(), Milli(i64::MAX), "sums are cut, not turned over");
}

#[test]
fn all_numbers_that_there_are_can_be_counted_and_taken() {
    let all = Ranges::new([(0, u64::MAX)]);
    assert_eq!(
        (all.count(), all.take(u64::MAX)),
        (u64::MAX, Some(Ranges::new([(0, u64::MAX - 1)])))
    );
    assert_eq!(all.minus(&all), Ranges::default());
    let ends = Ranges::new([(0, 0), (u64::MAX, u64::MAX)]);
    assert_eq!(ends.union(&all.minus(&ends)), all);
    assert_eq!(
        (ends.take(2), ends.take(3), ends.take(0)),
        (Some(ends.clone()), None, Some(Ranges::default()))
    );
}

proptest! {
    #[test]
    fn res_02_adding_commutes(a in some(), b in some()) {
        prop_assert_eq!(a.plus(&b), b.plus(&a));
        prop_assert_eq!(a.plus(&b).check(), Ok(()));
    }

    #[test]
    fn res_02_adding_associates(a in some_of(3, 0), b in some_of(3, 1), c in some_of(3, 2)) {
        prop_assert_eq!(a.plus(&b).plus(&c), a.plus(&b.plus(&c)));
    }

    #[test]
    fn res_02_subtracting_undoes_adding(a in some_of(2, 0), b in some_of(2, 1)) {
        let sum = a.plus(&b);
        prop_assert!(sum.contains(&a) && sum.contains(&b));
        prop_assert_eq!(sum.checked_sub(&b), Some(a.clone()));
        prop_assert_eq!(sum.minus(&b), a);
    }

    #[test]
    fn res_02_contains_and_checked_sub_agree(a in some(), b in some(), part in some()) {
        // Of two at random hardly ever one is in the other, so that a part is asked for as well.
        for wanted in [b.clone(), a.minus(&a.minus(&part)), a.minus(&part)] {
            prop_assert_eq!(a.contains(&wanted), a.checked_sub(&wanted).is_some());
            prop_assert_eq!(a.contains(&wanted), a.lacking(&wanted).is_none());
            prop_assert_eq!(a.contains(&wanted), wanted.minus(&a).is_empty());
        }
        prop_assert!(a.contains(&a.minus(&part)));
        prop_assert!(a.at_least(&b).contains(&a) && a.at_least(&b).contains(&b));
    }

    #[test]
    fn res_02_whether_one_by_one_or_at_once_sums_are_the_same(a in some(), b in some()) {
        let mut one_by_one = a.clone();
        b.iter().for_each(|entry| one_by_one.add_one(entry.clone()));
        prop_assert_eq!(&a.plus(&b), &one_by_one);
        let both: Resources = b.iter().chain(a.iter()).cloned().collect();
        prop_assert_eq!(both, one_by_one);
    }

    #[test]
    fn res_07_quantities_are_added_as_resources_are(a in some(), b in some()) {
        let alone = |all: &Resources| all.filter(|entry| !entry.kind.is_shared());
        let (a, b) = (alone(&a), alone(&b));
        let mut sum = a.quantities();
        sum.add(&b.quantities());
        prop_assert_eq!(&a.plus(&b).quantities(), &sum);
        sum.sub(&b.quantities());
        prop_assert_eq!(sum, a.quantities());
    }

    #[test]
    fn ranges_are_sets_of_numbers(
        a in proptest::collection::vec((0u64..40, 0u64..8), 0..6),
        b in proptest::collection::vec((0u64..40, 0u64..8), 0..6),
    ) {
        let set = |list: &[(u64, u64)]| -> std::collections::BTreeSet<u64> {
            list.iter().flat_map(|&(first, more)| first..=first + more).collect()
        };
        let ranges = |list: &[(u64, u64)]| Ranges::new(list.iter().map(|&(first, more)| (first, first + more)));
        let numbers = |ranges: &Ranges| -> Vec<u64> { ranges.iter().flat_map(|(first, last)| first..=last).collect() };
        let (x, y, mine, theirs) = (set(&a), set(&b), ranges(&a), ranges(&b));
        prop_assert_eq!(numbers(&mine.minus(&theirs)), x.difference(&y).copied().collect::<Vec<_>>());
        prop_assert_eq!(numbers(&mine.union(&theirs)), x.union(&y).copied().collect::<Vec<_>>());
        prop_assert_eq!(mine.contains_all(&theirs), y.is_subset(&x));
        prop_assert_eq!(mine.count(), x.len() as u64);
    }
}
