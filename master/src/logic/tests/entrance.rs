//! Agents that return after a fail-over, one after the other.

use std::time::Duration;

use protocol::agent::AgentToMaster;
use protocol::task::TaskState;

use super::scenario::{Scenario, agent_pid, report};
use crate::config::Config;

fn after_fail_over(agents: u64, at_once: usize, tasks_at_once: usize) -> Scenario {
    let mut t = Scenario::with(Config {
        returns_at_once_max: at_once,
        returning_tasks_at_once_max: tasks_at_once,
        ..Config::default()
    });
    (1..=agents).for_each(|n| t.agent_joins(n));
    t.restart("n")
}

#[test]
fn agents_return_one_after_the_other_at_the_masters_own_pace() {
    let mut t = after_fail_over(4, 2, 1000);
    (1..=4).for_each(|n| t.agent_knocks(n, 1));
    t.did([
        "to agent-1: ReturnNow",
        "to agent-2: ReturnNow",
        "to agent-3: ReturnLater after 1s",
        "to agent-4: ReturnLater after 1s",
    ]);
    t.agent_returns(2, 1, vec![report(2, "a", TaskState::Running)]);
    t.did(["to agent-3: ReturnNow", "to agent-2: Registered(c-S1) in epoch 2"]);
    // A repeat is answered, and takes no second place.
    t.agent_knocks(3, 1);
    t.agent_knocks(4, 1);
    t.did(["to agent-3: ReturnNow", "to agent-4: ReturnLater after 1s"]);
    t.agent_returns(1, 1, Vec::new());
    t.agent_returns(3, 1, Vec::new());
    t.did([
        "to agent-4: ReturnNow",
        "to agent-1: Registered(c-S0) in epoch 2",
        "to agent-3: Registered(c-S2) in epoch 2",
    ]);
}

#[test]
fn who_was_called_and_does_not_come_loses_its_place() {
    let mut t = after_fail_over(2, 1, 1000);
    (1..=2).for_each(|n| t.agent_knocks(n, 1));
    t.forget_lines();
    t.pass(Duration::from_secs(9));
    t.did([]);
    t.pass(Duration::from_secs(1));
    t.did(["to agent-2: ReturnNow"]);
    // Late, and welcome: one of an older version does not ask at all.
    t.agent_returns(1, 1, Vec::new());
    t.did(["to agent-1: Registered(c-S0) in epoch 2"]);
}

/// A question that came late must not keep others out.
#[test]
fn who_was_called_and_says_that_it_is_there_makes_room() {
    let mut t = after_fail_over(2, 1, 1000);
    t.agent_knocks(1, 1);
    t.agent_returns(1, 1, Vec::new());
    t.agent_knocks(1, 1);
    t.agent_knocks(2, 1);
    t.did([
        "to agent-1: ReturnNow",
        "to agent-1: Registered(c-S0) in epoch 2",
        "to agent-1: ReturnNow",
        "to agent-2: ReturnLater after 1s",
    ]);
    t.agent_says(agent_pid(1, 1), AgentToMaster::Pong { sequence: 0 });
    t.did(["to agent-2: ReturnNow"]);
}

#[test]
fn what_returning_agents_know_together_has_a_bound_and_one_alone_may_have_more() {
    let mut t = after_fail_over(3, 100, 1000);
    t.agent_knocks(1, 600);
    t.agent_knocks(2, 600);
    t.agent_knocks(3, 5000);
    t.did([
        "to agent-1: ReturnNow",
        "to agent-2: ReturnLater after 1s",
        "to agent-3: ReturnLater after 1s",
    ]);
    t.agent_returns(1, 1, Vec::new());
    t.did(["to agent-2: ReturnNow", "to agent-1: Registered(c-S0) in epoch 2"]);
    t.agent_returns(2, 1, Vec::new());
    t.did(["to agent-3: ReturnNow", "to agent-2: Registered(c-S1) in epoch 2"]);
}

/// What it told is in memory until the registry has written that it is reachable.
#[test]
fn an_agent_makes_room_only_once_it_was_dealt_with() {
    let mut t = after_fail_over(2, 1, 1000);
    t.pass(Config::default().agent_reregister_timeout);
    t.registrar_is_slow = true;
    (1..=2).for_each(|n| t.agent_knocks(n, 1));
    t.agent_returns(1, 1, Vec::new());
    t.did(["to agent-1: ReturnNow", "to agent-2: ReturnLater after 1s"]);
    t.write();
    t.did(["to agent-2: ReturnNow", "to agent-1: Registered(c-S0) in epoch 2"]);
}

#[cfg(feature = "testing")]
#[test]
fn the_deliberate_bug_lets_nobody_in_after_the_first() {
    use crate::logic::bugs::{Bug, Bugs};
    let bugs = Bugs::only([Bug::EntranceStaysShut]);
    let mut t = Scenario::with(Config { bugs, returns_at_once_max: 1, ..Config::default() });
    (1..=2).for_each(|n| t.agent_joins(n));
    let mut t = t.restart("n");
    (1..=2).for_each(|n| t.agent_knocks(n, 1));
    t.agent_returns(1, 1, Vec::new());
    t.pass(Duration::from_secs(60));
    assert!(!t.take_lines().contains(&"to agent-2: ReturnNow".to_owned()));
}
