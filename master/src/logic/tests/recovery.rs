//! A master that was killed and started again.

use protocol::agent::ExecutorReport;
use protocol::framework::{Capability, FrameworkToMaster};
use protocol::ids::{ContainerId, ExecutorId, FrameworkId, Role, TaskId};
use protocol::task::{Run, TaskState};

use super::offers::with_executor;
use super::scenario::{Scenario, agent_id, framework_info, report, task};
use crate::config::Config;

fn before() -> Scenario {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    t
}

#[test]
fn a_new_master_learns_the_tasks_from_the_agents_in_a_later_epoch() {
    let mut t = before().restart("n");
    t.subscribes_as(1, Some("c-0000"), &[Capability::PartitionAware], Vec::new());
    t.did(["to scheduler-1: Subscribed(c-0000) []"]);
    t.agent_returns(1, 1, vec![report(1, "a", TaskState::Running)]);
    t.did(["to agent-1: Registered(c-S0) in epoch 2", "to scheduler-1: O1 of S0: cpus:3;mem:3968"]);
    t.launches(1, 1, vec![task("a", 1.0)]);
    let told = t.take_lines();
    assert!(told[0].contains("a Running, Reconciliation"), "{told:?}");
}

/// Shares are counted by role, and a framework may act for several.
#[test]
fn what_an_agent_is_back_with_is_booked_under_the_roles_it_was_launched_under() {
    let mut t = before().restart("n");
    let batch: Role = "batch".parse().unwrap();
    let mut own = report(1, "b", TaskState::Running);
    own.spec = with_executor("b", 0.5, 0.25).into();
    own.executor = ExecutorId::new("e");
    own.role = batch.clone();
    let Run::Executor { executor: spec, .. } = own.spec.run.clone() else { panic!() };
    let executor = ExecutorReport {
        framework: FrameworkId::new("c-0000"),
        spec,
        container: ContainerId::new("x"),
        role: batch.clone(),
    };
    let mut info = framework_info("web", &[Capability::PartitionAware]);
    info.framework = FrameworkId::new("c-0000");
    info.roles.push(batch.clone());
    let tasks = vec![report(1, "a", TaskState::Running), own];
    t.agent_returns_with(1, 1, tasks, vec![executor], vec![info]);
    let held: Vec<_> = t.master.holders_on(&agent_id(1));
    let held: Vec<_> = held.iter().map(|(_, role, all)| format!("{role} {all}")).collect();
    assert_eq!(held, ["* cpus:1;mem:128", "batch cpus:0.75;mem:160"]);
}

#[test]
fn what_an_awaited_agent_may_have_is_not_guessed() {
    let mut t = before().restart("n");
    t.subscribes_as(1, Some("c-0000"), &[Capability::PartitionAware], Vec::new());
    t.forget_lines();
    let ask = || {
        let named = vec![(TaskId::new("a"), Some(agent_id(1))), (TaskId::new("b"), None)];
        FrameworkToMaster::Reconcile(named)
    };
    t.scheduler_says(1, ask());
    t.did([]);
    t.pass(Config::default().agent_reregister_timeout);
    t.scheduler_says(1, ask());
    t.did([
        "to scheduler-1: a Unreachable, TaskUnknown: an agent that may have it is unreachable",
        "to scheduler-1: b Unreachable, TaskUnknown: an agent that may have it is unreachable",
    ]);
    t.agent_returns(1, 2, Vec::new());
    t.forget_lines();
    t.scheduler_says(1, ask());
    t.did([
        "to scheduler-1: a Gone, TaskUnknown: its agent has no such task",
        "to scheduler-1: b Unknown, TaskUnknown: nobody knows this task",
    ]);
}

#[test]
fn ids_are_never_given_twice_and_nonces_still_tell_repeats() {
    let mut t = before().restart("n");
    t.agent_joins(1); // it never heard of its id
    t.agent_joins(2);
    t.did(["to agent-1: Registered(c-S0) in epoch 2", "to agent-2: Registered(c-S1) in epoch 2"]);
    t.subscribes(1);
    t.subscribes(2);
    let told = t.take_lines();
    assert_eq!(told[0], "to scheduler-1: Subscribed(c-0000) []");
    assert!(told.contains(&"to scheduler-2: Subscribed(c-0001) []".to_owned()), "{told:?}");
}

#[test]
fn a_task_that_is_reported_by_two_agents_is_ended_on_the_second() {
    let mut t = before();
    t.agent_joins(2);
    let mut t = t.restart("n");
    t.agent_returns(1, 1, vec![report(1, "a", TaskState::Running)]);
    t.agent_returns(2, 1, vec![report(2, "a", TaskState::Running)]);
    t.did([
        "to agent-1: Registered(c-S0) in epoch 2",
        "to agent-2: Registered(c-S1) in epoch 2",
        "to agent-2: Kill a",
    ]);
}

#[test]
fn an_offer_of_an_earlier_reign_is_void() {
    let mut t = before();
    t.scheduler_says(1, FrameworkToMaster::Revive);
    let old = t.offer_of(1);
    let mut t = t.restart("n");
    t.subscribes_as(1, Some("c-0000"), &[Capability::PartitionAware], Vec::new());
    t.agent_returns(1, 1, vec![report(1, "a", TaskState::Running)]);
    t.forget_lines();
    t.accepts(1, vec![old], vec![task("b", 1.0)], std::time::Duration::ZERO);
    let told = t.take_lines();
    assert!(told[0].contains("b Dropped, InvalidOffers: Offer m-O"), "{told:?}");
}
