//! An agent that dies at each boundary of a whole life, one after the other. A boundary is before and after each thing that
//! it says, writes or starts; they are counted, not named, so that what is added has its own. Whatever the boundary, the next
//! life has the same tasks running, none doubled, and nobody was told what that life does not know.

mod world;

use std::collections::BTreeSet;

use super::*;
use world::World;

/// Something that happens to the agent.
type Happening = fn(&mut World) -> Result<(), Dead>;

/// What happens to the agent in its life, each thing once the one before has come to rest.
fn script() -> Vec<Happening> {
    vec![
        |w| w.launches(command_task("c")),
        |w| w.launches(command_task("d")),
        |w| w.launches(custom_task("a", "E")),
        |w| w.launches(custom_task("b", "E")),
        |w| w.executor_says("a", TaskState::Finished),
        |w| w.executor_says("c", TaskState::Finished),
        |w| w.kills("d"),
        |w| w.process_dies("b"),
        |w| w.launches(custom_task("x", "E")),
        |w| w.launches(custom_task("y", "E")),
        |w| w.executor_says("y", TaskState::Failed),
        |w| w.removes_framework(),
    ]
}

/// The agent's process is killed here.
#[derive(Debug)]
pub(super) struct Dead;

/// Lives through it all, dying at these boundaries; how many there were in all.
fn live(deaths: &[usize], disk_is_slow: bool) -> World {
    let mut world = World::new(deaths, disk_is_slow);
    world.begins();
    for happens in script() {
        if happens(&mut world).is_err() {
            world.begins();
        }
        world.rests();
    }
    world.is_over();
    world
}

#[test]
fn an_agent_killed_at_any_boundary_recovers_with_its_tasks_running() {
    let whole = live(&[], true);
    assert!(whole.boundaries > 120, "only {}", whole.boundaries);
    let kinds: BTreeSet<String> = whole.written.iter().map(variant).collect();
    let expected = [
        "Acknowledged",
        "Booted",
        "Configured",
        "ExecutorEnded",
        "ExecutorLaunching",
        "ExecutorStarted",
        "FrameworkRemoved",
        "Joined",
        "Registering",
        "TaskForgotten",
        "TaskTaken",
        "Updated",
    ];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    for disk_is_slow in [true, false] {
        for first in 0..live(&[], disk_is_slow).boundaries {
            assert_eq!(live(&[first], disk_is_slow).lives, 2, "boundary {first}");
        }
    }
}

#[test]
fn an_agent_killed_again_while_it_recovers_recovers() {
    for disk_is_slow in [true, false] {
        for first in 0..live(&[], disk_is_slow).boundaries {
            for second in first + 1..first + 25 {
                live(&[first, second], disk_is_slow);
            }
        }
    }
}
