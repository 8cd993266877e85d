//! The deliberate bugs of what an agent remembers do what their names say.

use super::*;
use crate::logic::Bug;

fn with(bug: Bug) -> Scenario {
    Scenario::registered_with(|config| config.bugs.extend([bug]))
}

/// A task that was said to run, of which nobody has acknowledged that.
fn with_news(bug: Bug) -> Scenario {
    let mut t = with(bug);
    t.launch(command_task("t"));
    t.executor_registers(0);
    t.forget_done();
    t
}

fn said(t: &Scenario) -> bool {
    t.done.contains(&"update t Running".to_owned())
}

#[test]
fn what_was_not_acknowledged_is_not_said_again_by_the_next_life() {
    let mut t = with_news(Bug::NewsNotReplayed);
    t.executor_says(0, "t", TaskState::Running);
    assert!(said(&t));
    t.dies();
    t.executor_is_found(0);
    t.executor_is_back(0, &[("t", TaskState::Running)], vec![]);
    t.lets_return(1, 1);
    t.register_with(1, 1);
    assert!(!said(&t));
}

#[test]
fn news_is_told_before_the_disk_has_it() {
    let mut t = with_news(Bug::NewsToldBeforeWritten);
    t.hold = true;
    t.executor_says(0, "t", TaskState::Running);
    assert!(said(&t));
}

#[test]
fn the_next_life_has_seen_no_epoch() {
    let mut t = with(Bug::EpochForgotten);
    assert_eq!((t.agent.epoch(), t.disk.epoch), (1, 1));
    t.dies();
    assert_eq!((t.agent.epoch(), t.disk.epoch), (0, 1));
}
