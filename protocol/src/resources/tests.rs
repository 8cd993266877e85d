//! The algebra's laws, and its text form.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Resources {
    text.parse().expect(text)
}

#[test]
fn text_and_display_agree() {
    let all = parsed("ports:[10-12,1-5,6-7];cpus:1.5; mem:1024 ;disks:{b,a,b};cpus:0.25");
    assert_eq!(all.to_string(), "cpus:1.75;disks:{a,b};mem:1024;ports:[1-7,10-12]");
    assert_eq!(parsed(&all.to_string()), all);
}

#[test]
fn bad_text_says_what_is_wrong() {
    let said = |text: &str| text.parse::<Resources>().expect_err(text).to_string();
    assert_eq!(said("cpus"), "'cpus' is not of the form name:value or name(role):value");
    assert_eq!(said("cpus:-1"), "'cpus' must not be negative, but is -1");
    assert!(said("cpus:much").contains("'much' is no value for 'cpus'"));
    assert!(said("ports:[9-1]").contains("is no value for 'ports'"));
    assert!(said("cpus:inf").contains("no value"));
}

#[test]
fn a_thousandth_is_exact() {
    let tenth = Resources::none().with_scalar("cpus", Milli(100));
    let mut sum = Resources::none();
    for _ in 0..10 {
        sum.add(&tenth);
    }
    assert_eq!(sum, Resources::none().with_scalar("cpus", Milli::whole(1)));
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
}

fn some_resources() -> impl Strategy<Value = Resources> {
    let ranges = proptest::collection::vec((0u64..60, 0u64..9), 0..5);
    (0i64..5000, 0i64..5000, ranges).prop_map(|(cpus, mem, ranges)| {
        let ports = Ranges::new(ranges.into_iter().map(|(first, more)| (first, first + more)));
        Resources::none()
            .with_scalar("cpus", Milli(cpus))
            .with_scalar("mem", Milli(mem))
            .with_ranges("ports", ports)
    })
}

proptest! {
    #[test]
    fn subtracting_undoes_adding(a in some_resources(), b in some_resources()) {
        // Ports held twice are held once, so only the disjoint part can be taken away again.
        let sum = a.plus(&b);
        prop_assert!(sum.contains(&a) && sum.contains(&b));
        let left = sum.checked_sub(&a).expect("a sum contains its parts");
        prop_assert_eq!(left.plus(&a), sum);
        prop_assert_eq!(a.plus(&b), b.plus(&a));
    }

    #[test]
    fn contains_and_checked_sub_agree(a in some_resources(), b in some_resources()) {
        prop_assert_eq!(a.contains(&b), a.checked_sub(&b).is_some());
        prop_assert_eq!(a.contains(&b), a.lacking(&b).is_none());
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
    }
}
