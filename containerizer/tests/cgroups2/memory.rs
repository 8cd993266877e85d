//! Memory, and who hears that there was not enough.

use containerizer::cgroups::CgroupError;
use containerizer::cgroups::logic::controller::Controller;
use containerizer::cgroups::logic::limits::{Bound, Limits, Memory};
use containerizer::cgroups::logic::usage::OutOfMemory;
use tokio::time::timeout;

use crate::place::{Program, SOON, eventually};
use crate::place_of_v2;

const MIB: u64 = 1 << 20;

fn memory(soft: u64, hard: u64) -> Limits {
    let memory = Memory { soft, hard: Bound::At(hard), swap: Some(Bound::At(0)) };
    Limits { memory: Some(memory), ..Limits::default() }
}

/// Takes a quarter of a gibibyte, unless it is killed.
const TAKE: &str = "exec awk 'BEGIN { x = \"x\"; for (i = 0; i < 28; i++) x = x x }'";

#[test]
fn iso_13_memory_low_follows_what_is_asked_for_and_memory_max_is_only_raised() {
    let Some(place) = place_of_v2() else { return };
    let (small, large) = (memory(40 * MIB, 64 * MIB), memory(80 * MIB, 128 * MIB));
    let group = place.create("a", &small);
    let read = |file| place.read(Controller::Memory, &group, file);
    let limits = || ["memory.low", "memory.max", "memory.swap.max"].map(read);
    assert_eq!(limits(), [40 * MIB, 64 * MIB, 0].map(|bytes| bytes.to_string()));
    group.update(&small, &large).unwrap();
    assert_eq!(limits(), [80 * MIB, 128 * MIB, 0].map(|bytes| bytes.to_string()));
    group.update(&large, &small).unwrap();
    assert_eq!(limits(), [40 * MIB, 128 * MIB, 0].map(|bytes| bytes.to_string()));
}

#[tokio::test]
async fn iso_13_who_listens_to_memory_events_hears_of_a_kill_also_in_a_nested_group_and_of_the_end()
{
    let Some(place) = place_of_v2() else { return };
    let group = place.create("a", &memory(32 * MIB, 48 * MIB));
    let path = group.path().nested("b").unwrap();
    let nested = place.trees.create(&path, &Limits::default()).unwrap();
    let mut watch = group.watch_oom(OutOfMemory::default()).unwrap();
    // One after the other, each is told.
    for (count, group_of_program) in [(1, &group), (2, &nested)] {
        let mut program = Program::start(group_of_program, TAKE);
        let told = timeout(SOON, watch.oom()).await.unwrap().unwrap();
        assert!(told.kills >= count, "{told:?}");
        assert!(!program.wait().success());
    }
    let events = place.read(Controller::Memory, &group, "memory.events");
    assert!(events.contains("oom_kill 2"), "{events}");
    assert_eq!(group.usage().unwrap().memory.oom_kills, Some(2));
    eventually("both are gone", || group.processes().unwrap().is_empty());
    group.destroy(SOON).unwrap();
    let end = timeout(SOON, watch.oom()).await.unwrap();
    assert!(matches!(end, Err(CgroupError::Gone(_))), "{end:?}");
}
