//! Memory: its limits, the end of those who take more, and who hears of it.

use std::time::Duration;

use containerizer::cgroups::CgroupError;
use containerizer::cgroups::logic::limits::{Bound, Limits, Memory};
use containerizer::cgroups::logic::usage::OutOfMemory;
use tokio::time::timeout;

use crate::place::{Place, Program, SOON, eventually};

const MIB: u64 = 1 << 20;

fn memory(soft: u64, hard: u64) -> Limits {
    let memory = Memory { soft, hard: Bound::At(hard), swap: None };
    Limits { memory: Some(memory), ..Limits::default() }
}

/// Holds at least two to this power of bytes, in a variable of a program that every host has.
fn hold(power: u32) -> String {
    let double = format!("x = \"x\"; for (i = 0; i < {power}; i++) x = x x");
    format!("exec awk 'BEGIN {{ {double}; system(\"sleep 1000\") }}'")
}

#[tokio::test]
async fn who_takes_more_than_the_hard_limit_is_killed_and_that_is_told() {
    let place = Place::new();
    let group = place.create("a", &memory(32 * MIB, 48 * MIB));
    let before = group.out_of_memory().unwrap();
    assert_eq!(before, OutOfMemory::default());
    let mut watch = group.watch_oom(before).unwrap();
    let mut pressure = group.count_pressure().unwrap();
    assert_eq!(pressure.is_some(), place.is_v1());
    let nothing = timeout(Duration::from_millis(50), watch.oom()).await;
    assert!(nothing.is_err(), "nothing happened yet: {nothing:?}");

    let mut program = Program::start(&group, &hold(28));
    timeout(SOON, watch.oom()).await.unwrap().unwrap();
    eventually("it is killed", || group.out_of_memory().unwrap().kills > 0);
    let usage = group.usage().unwrap().memory;
    assert!(usage.oom_kills > Some(0) && usage.at_limit > Some(0), "{usage:?}");
    assert_eq!(usage.hard_limit, Some(Bound::At(48 * MIB)));
    assert_eq!(usage.soft_limit, Some(Bound::At(32 * MIB)));
    if let Some(pressure) = &mut pressure {
        let counts = pressure.counts().unwrap();
        assert!(counts.low + counts.medium + counts.critical > 0, "{counts:?}");
    }
    group.kill().unwrap();
    program.wait();

    // An agent that was away sees it too.
    let later = place.trees.group(group.path()).unwrap();
    assert!(later.out_of_memory().unwrap().kills > 0);
    let mut late = later.watch_oom(OutOfMemory::default()).unwrap();
    timeout(SOON, late.oom()).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_end_of_a_group_ends_who_listens_to_it() {
    let place = Place::new();
    let group = place.create("a", &memory(32 * MIB, 32 * MIB));
    let mut watch = group.watch_oom(OutOfMemory::default()).unwrap();
    group.destroy(SOON).unwrap();
    let end = timeout(SOON, watch.oom()).await.unwrap();
    assert!(matches!(end, Err(CgroupError::Gone(_))), "{end:?}");
    assert!(matches!(group.usage(), Err(CgroupError::Gone(_))));
}

#[tokio::test]
async fn a_nested_container_that_takes_more_than_its_parent_has_is_told_to_the_parent() {
    let place = Place::new();
    let parent = place.create("a", &memory(32 * MIB, 48 * MIB));
    let path = parent.path().nested("b").unwrap();
    let nested = place.trees.create(&path, &Limits::default()).unwrap();
    let mut watch = parent.watch_oom(OutOfMemory::default()).unwrap();
    let mut program = Program::start(&nested, &hold(28));
    timeout(SOON, watch.oom()).await.unwrap().unwrap();
    eventually("it is killed", || parent.out_of_memory().unwrap().kills > 0);
    parent.destroy(SOON).unwrap();
    program.wait();
}

#[test]
fn a_hard_limit_is_raised_but_not_lowered_while_a_container_runs() {
    let place = Place::new();
    let (small, large) = (memory(40 * MIB, 64 * MIB), memory(80 * MIB, 128 * MIB));
    let group = place.create("a", &small);
    let limits = || {
        let usage = group.usage().unwrap().memory;
        (usage.soft_limit.unwrap(), usage.hard_limit.unwrap())
    };
    assert_eq!(limits(), (Bound::At(40 * MIB), Bound::At(64 * MIB)));
    group.update(&small, &large).unwrap();
    assert_eq!(limits(), (Bound::At(80 * MIB), Bound::At(128 * MIB)));
    group.update(&large, &small).unwrap();
    assert_eq!(limits(), (Bound::At(40 * MIB), Bound::At(128 * MIB)));
}

#[test]
fn swap_is_limited_beside_memory() {
    let place = Place::new();
    let with = |hard, swap| {
        let memory = Memory { soft: 32 * MIB, hard: Bound::At(hard), swap: Some(Bound::At(swap)) };
        Limits { memory: Some(memory), ..Limits::default() }
    };
    let file = if place.is_v1() { "memory.memsw.limit_in_bytes" } else { "memory.swap.max" };
    let read = |group| {
        let text =
            place.read(containerizer::cgroups::logic::controller::Controller::Memory, group, file);
        text.parse::<u64>().unwrap() / MIB
    };
    let group = place.create("a", &with(64 * MIB, 0));
    assert_eq!(read(&group), if place.is_v1() { 64 } else { 0 });
    group.update(&with(64 * MIB, 0), &with(96 * MIB, 32 * MIB)).unwrap();
    assert_eq!(read(&group), if place.is_v1() { 128 } else { 32 });
}

#[test]
fn memory_of_a_container_is_counted() {
    let place = Place::new();
    let group = place.create("a", &Limits::default());
    let mut program = Program::start(&group, &hold(25));
    let anonymous = || group.usage().unwrap().memory.anonymous.unwrap();
    eventually("it holds 32 MiB", || anonymous() > 32 * MIB);
    let usage = group.usage().unwrap().memory;
    assert!(usage.total >= usage.anonymous, "{usage:?}");
    assert_eq!(usage.hard_limit, Some(Bound::Unbounded));
    assert_eq!(usage.oom_kills, Some(0));
    group.destroy(SOON).unwrap();
    program.wait();
}
