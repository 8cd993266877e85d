//! Agents that were away for too long are forgotten.

use std::time::Duration;

use protocol::framework::FrameworkToMaster;
use protocol::ids::TaskId;
use protocol::task::TaskState;
use protocol::time::WallTime;

use super::scenario::{Scenario, agent_id, agent_pid, task};
use crate::config::Config;

const HOUR: Duration = Duration::from_secs(3600);

/// Agents that go one after the other, an hour apart.
fn away(config: Config, agents: u64) -> Scenario {
    let mut t = Scenario::with(Config { ping_every: HOUR * 24 * 365, ..config });
    (1..=agents).for_each(|n| t.agent_joins(n));
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    for n in 1..=agents {
        t.down(agent_pid(n, 1));
        wall_passes(&mut t, HOUR);
    }
    t.forget_lines();
    t
}

fn wall_passes(t: &mut Scenario, span: Duration) {
    t.now.wall = WallTime(t.now.wall.0 + u64::try_from(span.as_nanos()).unwrap());
    t.pass(span);
}

#[test]
fn part_08_unreachable_agents_are_forgotten_when_they_are_too_old_and_their_tasks_are_gone() {
    let config = Config { registry_max_agent_age: HOUR * 5, ..Config::default() };
    assert_eq!(Config::default().registry_gc_interval, HOUR / 4);
    assert_eq!(Config::default().registry_max_agent_age, HOUR * 24 * 14);
    let mut t = away(config, 3);
    assert_eq!(t.written.agents.len(), 3);
    wall_passes(&mut t, HOUR * 4);
    assert_eq!(t.written.agents.keys().collect::<Vec<_>>(), [&agent_id(2), &agent_id(3)]);
    t.did([
        "to scheduler-1: a Gone, AgentRemoved: agent c-S0 is gone",
        "to scheduler-1: AgentLost c-S0",
    ]);
    wall_passes(&mut t, HOUR * 24);
    assert!(t.written.agents.is_empty());
}

#[test]
fn part_08_the_longest_unreachable_agents_are_forgotten_when_they_are_too_many() {
    let config = Config { registry_max_agent_count: 2, ..Config::default() };
    let mut t = away(config, 4);
    wall_passes(&mut t, HOUR);
    assert_eq!(t.written.agents.keys().collect::<Vec<_>>(), [&agent_id(3), &agent_id(4)]);
}

#[test]
fn part_08_gone_agents_are_remembered_for_who_asks_and_forgotten_by_age_and_count() {
    let config = Config {
        registry_max_agent_count: 2,
        registry_max_agent_age: HOUR * 5,
        ping_every: HOUR * 24 * 365,
        ..Config::default()
    };
    let mut t = Scenario::with(config);
    (1..=3).for_each(|n| t.agent_joins(n));
    t.subscribes(1);
    for n in 1..=3 {
        t.agent_says(agent_pid(n, 1), protocol::agent::AgentToMaster::Unregister);
        wall_passes(&mut t, HOUR);
    }
    // At once, since nobody may make it grow between two collections.
    assert_eq!(t.written.gone.keys().collect::<Vec<_>>(), [&agent_id(2), &agent_id(3)]);
    t.forget_lines();
    let ask = |n| FrameworkToMaster::Reconcile(vec![(TaskId::new("x"), Some(agent_id(n)))]);
    t.scheduler_says(1, ask(2));
    t.scheduler_says(1, ask(1));
    t.did([
        "to scheduler-1: x Gone, AgentRemoved: agent c-S1 is gone",
        "to scheduler-1: x Unknown, TaskUnknown: nobody knows this task",
    ]);
    wall_passes(&mut t, HOUR * 4);
    assert_eq!(t.written.gone.keys().collect::<Vec<_>>(), [&agent_id(3)]);
    // A later reign remembers them too.
    let mut t = t.restart("n");
    wall_passes(&mut t, HOUR * 24);
    assert!(t.written.gone.is_empty());
}
