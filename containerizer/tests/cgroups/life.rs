//! Groups are made, joined, listed, killed and removed.

use std::collections::BTreeSet;

use containerizer::cgroups::CgroupError;
use containerizer::cgroups::logic::limits::{Bound, Cpu, Limits, Memory};
use containerizer::cgroups::logic::path::GroupPath;
use containerizer::cgroups::remove::Remover;

use crate::place::{Place, Program, SOON, eventually};

fn some_limits() -> Limits {
    Limits {
        cpu: Some(Cpu { request_milli: 500, limit_milli: Bound::At(1500), revocable: false }),
        memory: Some(Memory { soft: 64 << 20, hard: Bound::At(128 << 20), swap: None }),
        pids: Some(Bound::At(64)),
        ..Limits::default()
    }
}

#[test]
fn a_group_is_made_joined_killed_and_removed() {
    let place = Place::new();
    let group = place.create("a", &some_limits());
    assert_eq!(group.folder_for_clone().unwrap().is_some(), !place.is_v1());
    let mut program = Program::start(&group, "sleep 1000 & wait");
    eventually("two processes", || group.processes().unwrap().len() == 2);
    assert!(group.processes().unwrap().contains(&program.pid()));
    assert!(!group.remove_if_empty().unwrap(), "it is in use");
    group.destroy(SOON).unwrap();
    assert!(!program.wait().success());
    assert!(!group.is_there());
    assert!(matches!(place.trees.group(group.path()), Err(CgroupError::Gone(_))));
}

#[test]
fn a_group_that_exists_is_not_made_again_nor_undone() {
    let place = Place::new();
    let group = place.create("a", &some_limits());
    let again = place.trees.create(group.path(), &some_limits());
    assert!(matches!(again, Err(CgroupError::Exists(_))), "{again:?}");
    assert!(group.is_there());
}

#[test]
fn what_cannot_be_limited_so_leaves_no_group() {
    let place = Place::new();
    let mut limits = some_limits();
    limits.hugetlb.insert("3MB".into(), Bound::At(1));
    let path = GroupPath::top("a").unwrap();
    let error = place.trees.create(&path, &limits).unwrap_err().to_string();
    assert!(error.contains("hugetlb"), "{error}");
    assert_eq!(place.trees.list().unwrap(), BTreeSet::new());
}

#[test]
fn nested_groups_are_listed_killed_and_removed_with_their_parents() {
    let place = Place::new();
    let a = place.create("a", &some_limits());
    let b = a.path().nested("b").unwrap();
    let c = b.nested("c").unwrap();
    assert!(matches!(place.trees.create(&c, &some_limits()), Err(CgroupError::Gone(_))));
    let mut outer = Program::start(&a, "exec sleep 1000");
    place.trees.create(&b, &some_limits()).unwrap();
    let c = place.trees.create(&c, &some_limits()).unwrap();
    let mut inner = Program::start(&c, "exec sleep 1000");
    let all: Vec<_> = place.trees.list().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(all, ["a", "a/nested/b", "a/nested/b/nested/c"]);
    assert_eq!(a.processes().unwrap().len(), 2);
    a.destroy(SOON).unwrap();
    assert!(!outer.wait().success() && !inner.wait().success());
    assert_eq!(place.trees.list().unwrap(), BTreeSet::new());
}

#[test]
fn a_fork_bomb_within_its_limit_is_killed() {
    let place = Place::new();
    let group = place.create("bomb", &some_limits());
    // Those that cannot fork end, and others fork in their place.
    let mut bomb = Program::start(&group, "b() { b & b & while :; do sleep 0.1; b & done; }; b");
    let refused = || group.usage().unwrap().pids.refused;
    eventually("it is at its limit", || refused() > Some(10));
    group.destroy(SOON).unwrap();
    bomb.wait();
    assert!(!group.is_there());
}

#[test]
fn a_frozen_group_stands_still_and_goes_on() {
    let place = Place::new();
    let group = place.create("a", &Limits::default());
    let mut program = Program::waiting("exit 7");
    group.attach(program.pid()).unwrap();
    eventually("all of it stands still", || group.freeze().unwrap());
    program.go();
    assert!(program.is_running());
    group.thaw().unwrap();
    assert_eq!(program.wait().code(), Some(7));
}

#[test]
fn a_frozen_group_can_be_destroyed() {
    let place = Place::new();
    let group = place.create("a", &Limits::default());
    let mut program = Program::start(&group, "sleep 1000");
    eventually("all of it stands still", || group.freeze().unwrap());
    group.destroy(SOON).unwrap();
    assert!(!program.wait().success());
}

#[test]
fn a_thousand_groups_are_made_and_removed_beside_the_work() {
    let place = Place::new();
    let remover = Remover::start(place.trees.clone()).unwrap();
    let mut answers = Vec::new();
    for n in 0..1000 {
        let group = place.create(&format!("c{n}"), &some_limits());
        answers.push(remover.remove(group.path().clone()));
    }
    for answer in answers {
        answer.blocking_recv().unwrap();
    }
    assert!(remover.backlog().is_empty());
    assert_eq!(place.trees.list().unwrap(), BTreeSet::new());
}

#[test]
fn what_runs_is_killed_by_who_removes_it_and_what_is_gone_is_done() {
    let place = Place::new();
    let remover = Remover::start(place.trees.clone()).unwrap();
    let group = place.create("a", &some_limits());
    let mut program = Program::start(&group, "sleep 1000 & sleep 1000");
    let (first, second) =
        (remover.remove(group.path().clone()), remover.remove(group.path().clone()));
    first.blocking_recv().unwrap();
    second.blocking_recv().unwrap();
    assert!(!program.wait().success());
    remover.remove(GroupPath::top("never").unwrap()).blocking_recv().unwrap();
}
