//! An allocator that missed what it was told starts over from the master's book, and both go on as if it had missed nothing.

use std::time::Duration;

use protocol::agent::AgentToMaster;
use protocol::framework::{Capability, FrameworkToMaster};
use protocol::offer::Demand;
use protocol::resources::Resources;
use protocol::task::TaskState;

use super::scenario::{Scenario, agent_pid, scheduler_pid, task};

fn demand(count: u32) -> Vec<Demand> {
    let each = Resources::cpus_mem(1.0, 100.0);
    vec![Demand { each, count, constraints: Vec::new() }]
}

#[test]
fn an_allocator_that_missed_entries_has_the_masters_book_afterwards() {
    let mut t = Scenario::new();
    (1..=3).for_each(|n| t.agent_joins(n));
    t.subscribes(1);
    t.launches(1, 1, vec![task("runs", 1.0), task("ends", 1.0)]);
    t.allocator_is_stuck = true;

    // Tasks start and end, agents come and go, so do frameworks.
    t.launches(1, 2, vec![task("new", 1.5)]);
    t.news(1, "ends", TaskState::Finished, 1);
    t.acknowledges(1, 1, "ends", 1);
    t.agent_says(agent_pid(3, 1), AgentToMaster::Unregister);
    t.agent_joins(4);
    t.subscribes(2);
    t.subscribes_as(3, None, &[Capability::StatesDemand], demand(2));
    t.scheduler_says(1, FrameworkToMaster::Suppress);
    t.allocator_starts_over();
    assert_eq!(t.master.whole_book().agents.len(), 3);

    // What is free now is for those who take offers; the one that states its demand is offered two pieces.
    let offered: Vec<_> =
        t.take_lines().into_iter().filter(|line| line.contains(" of S")).collect();
    let last = &offered[offered.len() - 3..];
    assert!(
        last.iter().any(|line| line.contains("scheduler-3") && line.ends_with("cpus:2;mem:200")),
        "{offered:?}"
    );
    assert!(!last.iter().any(|line| line.contains("scheduler-1")), "{offered:?}");

    // It goes on from there.
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.down(scheduler_pid(2));
    t.pass(Duration::from_secs(1));
    t.news(1, "runs", TaskState::Finished, 2);
    t.acknowledges(1, 1, "runs", 2);
}

/// The master decides on what was under way when the allocator started over; each decision finds its proposal.
#[test]
fn proposals_that_are_under_way_stay_in_the_book() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.agent_joins(2);
    t.allocator_is_slow = true;
    t.subscribes(1);
    t.allocator_is_stuck = true;
    t.down(agent_pid(2, 1));
    t.allocator_starts_over();
    t.forget_lines();
    t.propose();
    t.did(["to scheduler-1: O1 of S0: cpus:4;mem:4096"]);
    t.allocator_is_slow = false;
    t.launches(1, 1, vec![task("runs", 1.0)]);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    let again = ["to scheduler-1: O2 of S0: cpus:3;mem:3968"];
    let lines = t.take_lines();
    assert_eq!(lines[lines.len() - 1..], again);
}

/// An offer of before is not made twice, neither of its resources nor for its demand.
#[test]
fn what_is_offered_stays_offered() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes_as(1, None, &[Capability::StatesDemand], demand(2));
    t.allocator_is_stuck = true;
    t.agent_joins(2);
    t.forget_lines();
    t.allocator_starts_over();
    t.did([]);
    t.accepts(1, vec![t.offer_of(1)], vec![task("one", 1.0)], Duration::ZERO);
    t.scheduler_says(1, FrameworkToMaster::Demand(demand(1)));
    assert_eq!(t.allocator.holdings(), t.master.holdings());
}
