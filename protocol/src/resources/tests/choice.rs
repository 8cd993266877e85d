//! Which resources are chosen: for a role, for a need, up to an amount.

use super::*;
use crate::quantities::{Limits, Quantities};

fn revocable(text: &str) -> Resources {
    with_kind(text, &Kind::of(Terms { revocable: true, ..Terms::default() }))
}

#[test]
fn res_02_a_role_is_offered_its_own_what_is_reserved_above_it_and_what_is_nobodys() {
    let total = parsed("cpus:1;cpus(eng):2;cpus(eng/web):4;cpus(ops):8");
    let offerable = |name: &str| total.offerable_to(&role(name)).cpus();
    assert_eq!(offerable("eng/web"), Milli::whole(7));
    assert_eq!(offerable("eng/web/front"), Milli::whole(7));
    assert_eq!(offerable("eng"), Milli::whole(3));
    assert_eq!(offerable("engineers"), Milli::whole(1), "it is not below 'eng'");
    assert_eq!(offerable("*"), Milli::whole(1));
    assert_eq!(total.reserved_to(&role("eng")).to_string(), "cpus(eng):2");
    assert_eq!(total.unreserved().to_string(), "cpus:1");
    assert_eq!(total.flattened().to_string(), "cpus:15");
    assert_eq!(total.push_reservation(&dynamic("x")).pop_reservation(), total);
    let used = total.allocated_to(&role("eng"));
    assert_eq!((used.unallocated(), used.len()), (total.clone(), 4));
    assert_ne!(used, total);
    let both = total.plus(&revocable("cpus:1"));
    assert_eq!((both.revocable(), both.non_revocable()), (revocable("cpus:1"), total.clone()));
    assert!(!both.is_plain() && parsed("cpus:1;ports:[1-2]").is_plain());
}

#[test]
fn res_02_a_need_takes_what_is_reserved_first_and_of_that_the_innermost() {
    let total =
        parsed("cpus:4;cpus(eng):2;cpus(eng/web):1;ports:[1-9];ports(eng):[3-4,12-14];disks:{a,b}");
    let find = |need: &str| total.find(&parsed(need)).map(|found| found.to_string());
    let found = |text: &str| Some(text.to_owned());
    assert_eq!(find("cpus:0.5"), found("cpus(eng/web):0.5"));
    assert_eq!(find("cpus:2"), found("cpus(eng):1;cpus(eng/web):1"));
    assert_eq!(find("cpus:6.5"), found("cpus:3.5;cpus(eng):2;cpus(eng/web):1"));
    assert_eq!(find("cpus:7.001"), None);
    assert_eq!(find("cpus(eng):2"), found("cpus(eng):2"));
    assert_eq!(find("cpus(ops):1"), None);
    assert_eq!(
        find("cpus(eng):2;cpus:2"),
        found("cpus:1;cpus(eng):2;cpus(eng/web):1"),
        "the named first"
    );
    assert_eq!(find("ports:[2-4]"), found("ports:[2-2];ports(eng):[3-4]"));
    assert_eq!(find("ports:[9-10]"), None);
    assert_eq!(find("disks:{b}"), found("disks:{b}"));
    assert_eq!(find("gpus:1"), None);
    assert_eq!(total.find(&Resources::none()), Some(Resources::none()));
}

#[test]
fn res_02_a_need_takes_what_may_be_taken_back_disks_and_volumes_only_if_it_names_them() {
    let mount = disk(on(source(DiskKind::Mount, Some("/m"), None)), 5);
    let total = parsed("cpus:1;disk:1")
        .plus(&revocable("cpus:8"))
        .plus(&all([mount.clone(), disk(volume("v", false), 4)]));
    assert_eq!(total.find(&parsed("cpus:2")), None);
    assert_eq!(total.find(&revocable("cpus:2")), Some(revocable("cpus:2")));
    assert_eq!(total.find(&parsed("disk:2")), None);
    assert_eq!(total.find(&all([mount.clone()])), Some(all([mount.clone()])));
    let smaller = Resource { value: Value::Scalar(Milli::whole(3)), ..mount };
    assert_eq!(total.find(&all([smaller])), None, "a whole has one size");
}

#[test]
fn res_02_resources_are_cut_to_quantities_and_what_is_whole_is_left_out() {
    let mount = || disk(on(source(DiskKind::Mount, Some("/m"), None)), 5);
    let total =
        parsed("cpus:4;cpus(eng):2;mem:64;ports:[1-2];disk:3").plus(&all([mount(), mount()]));
    let most = Quantities::none().with("cpus", Milli(5500)).with("disk", Milli::whole(9));
    let cut = total.shrunk_to(&most);
    assert_eq!(
        cut.to_string(),
        "cpus:4;cpus(eng):1.5;disk:3;disk on mount /m:5;mem:64;ports:[1-2]"
    );
    assert_eq!(total.shrunk_to(&Quantities::none()), total, "what is not named has no limit");
    let limits = Limits::none().with("cpus", Milli(0)).with("disk", Milli::whole(4));
    assert_eq!(total.shrunk_to_limits(&limits).to_string(), "disk:3;mem:64;ports:[1-2]");
    let copies = all([disk(volume("s", true), 4), disk(volume("s", true), 4)]);
    assert_eq!(copies.shrunk_to(&Quantities::none().with("disk", Milli::whole(4))), copies);
}

proptest! {
    #[test]
    fn res_02_what_is_found_is_there_and_is_what_was_needed(total in some(), part in some()) {
        let need = total.minus(&total.minus(&part)).unallocated();
        let need = need.filter(|entry| entry.kind.reserved_for().is_none());
        if let Some(found) = total.find(&need) {
            prop_assert!(total.contains(&found));
            prop_assert_eq!(found.flattened().unallocated(), need.flattened());
            prop_assert_eq!(found.quantities(), need.quantities());
        } else {
            prop_assert!(!total.contains(&need));
        }
    }

    #[test]
    fn res_02_what_is_cut_is_a_part_and_fits(total in some(), cpus in 0i64..4000, units in 0i64..6) {
        let limits = Limits::none().with("cpus", Milli(cpus)).with("disk", Milli::whole(units));
        let cut = total.shrunk_to_limits(&limits);
        prop_assert!(total.contains(&cut));
        for (name, amount) in cut.quantities().iter() {
            prop_assert!(limits.limit(name).is_none_or(|limit| amount <= limit), "{}", name);
        }
        prop_assert_eq!(cut.scalar("mem"), total.scalar("mem"));
        prop_assert_eq!(cut.cpus(), total.cpus().min(Milli(cpus)), "as much as may be");
        prop_assert_eq!(cut.check(), Ok(()));
    }
}
