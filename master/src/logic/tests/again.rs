//! What is used a second time: the ids of tasks, and the room of executors. What comes late is of the first.

use protocol::agent::AgentToMaster;
use protocol::framework::{Capability, FrameworkToMaster};
use protocol::ids::{ContainerId, ExecutorId, FrameworkId, TaskId, UpdateId};
use protocol::task::{Reason, Run, Source, TaskReport, TaskState, TaskStatus};

use super::offers::with_executor;
use super::scenario::{Scenario, agent_id, agent_pid, report, status, task};

/// Task `a` ran on agent 1, its end is dealt with, and it is launched there again.
fn launched_again() -> Scenario {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Failed, 1);
    t.acknowledges(1, 1, "a", 1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    t
}

fn used(t: &Scenario) -> String {
    t.master.used_on(&agent_id(1)).to_string()
}

#[test]
fn news_of_an_earlier_task_of_an_id_moves_nothing_of_the_next_one() {
    let mut t = launched_again();
    t.news(1, "a", TaskState::Failed, 1); // said again before the acknowledgement came
    t.did(["to agent-1: Acknowledge a 1"]);
    assert_eq!(used(&t), "cpus:1;mem:128");
    t.news(1, "a", TaskState::Running, 2);
    t.did(["to scheduler-1: a Running"]);
}

/// The acknowledgement was lost with the agent's process, or crosses what is said again for the sake of an end behind it.
#[test]
fn what_a_framework_has_acknowledged_is_acknowledged_again_and_not_told() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    t.forget_lines();
    t.news(1, "a", TaskState::Running, 1);
    t.did(["to scheduler-1: a Running"]);
    t.acknowledges(1, 1, "a", 1);
    t.forget_lines();
    t.news(1, "a", TaskState::Running, 1);
    t.did(["to agent-1: Acknowledge a 1"]);
    let status = status(1, "a", TaskState::Running, Some(1));
    let latest = TaskState::Finished;
    t.agent_says(agent_pid(1, 1), AgentToMaster::Updated { status, latest });
    t.did(["to agent-1: Acknowledge a 1", "to scheduler-1: O2 of S0: cpus:4;mem:4096"]);
    assert_eq!(used(&t), "nothing", "it heard of the end all the same");
    t.news(1, "a", TaskState::Finished, 2);
    t.did(["to scheduler-1: a Finished"]);
}

#[test]
fn news_of_the_task_before_the_earlier_one_is_known_as_well() {
    let mut t = launched_again();
    t.news(1, "a", TaskState::Failed, 2);
    t.acknowledges(1, 1, "a", 2);
    t.agent_joins(2);
    t.launches(1, 2, vec![task("a", 1.0)]);
    t.news(2, "a", TaskState::Failed, 1);
    t.acknowledges(1, 2, "a", 1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    t.news(1, "a", TaskState::Failed, 2);
    t.did(["to agent-1: Acknowledge a 2"]);
    assert_eq!(used(&t), "cpus:1;mem:128");
}

#[test]
fn an_agent_that_is_back_with_an_earlier_task_of_an_id_has_not_got_the_next_one() {
    let mut t = launched_again();
    t.down(agent_pid(1, 1));
    t.forget_lines();
    let unacknowledged = Some(status(1, "a", TaskState::Failed, Some(1)).into());
    let earlier = TaskReport { unacknowledged, ..report(1, "a", TaskState::Failed) };
    t.agent_returns(1, 1, vec![earlier]);
    let lines = t.take_lines();
    let about_a: Vec<_> =
        lines.iter().filter(|line| line.ends_with(" a") || line.contains(" a ")).collect();
    assert_eq!(about_a, ["to agent-1: Acknowledge a 1", "to agent-1: Reconcile a"]);
    assert_eq!(used(&t), "cpus:1;mem:128");
}

/// It told of the end first, since that was the newest, and hears later that it is dealt with (seed 4715).
#[test]
fn what_an_agent_that_is_back_tells_of_an_earlier_task_after_its_end_is_not_of_the_next_one() {
    let mut t = launched_again().restart("m2");
    let by_agent = Some(UpdateId { source: 77, sequence: 1 });
    let ended = TaskStatus { update: by_agent, ..status(1, "a", TaskState::Failed, None) };
    let earlier =
        TaskReport { unacknowledged: Some(ended.into()), ..report(1, "a", TaskState::Failed) };
    t.agent_returns(1, 1, vec![earlier]);
    t.subscribes_as(1, Some("c-0000"), &[Capability::PartitionAware], Vec::new());
    let (agent, task_id) = (agent_id(1), TaskId::new("a"));
    let update = UpdateId { source: 77, sequence: 1 };
    t.scheduler_says(1, FrameworkToMaster::Acknowledge { agent, task: task_id, update });
    t.pass(std::time::Duration::from_secs(1));
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    let ran = status(1, "a", TaskState::Running, Some(1));
    let says = |status, latest| AgentToMaster::Updated { status, latest };
    t.agent_says(agent_pid(1, 1), says(ran, TaskState::Failed));
    t.did(["to agent-1: Acknowledge a 1"]);
    assert_eq!(used(&t), "cpus:1;mem:128");
    // The next one runs, and may end in the same way.
    let runs = status(1, "a", TaskState::Running, Some(2));
    t.agent_says(agent_pid(1, 1), says(runs, TaskState::Running));
    t.did(["to scheduler-1: a Running"]);
    let fails = status(1, "a", TaskState::Failed, Some(3));
    t.agent_says(agent_pid(1, 1), says(fails, TaskState::Failed));
    assert_eq!(t.take_lines()[0], "to scheduler-1: a Failed");
    assert_eq!(used(&t), "nothing");
}

/// An executor is paid for until it has ended, though its only task never reached it.
#[test]
fn an_executor_whose_task_was_killed_on_the_way_holds_its_own_until_it_has_ended() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![with_executor("a", 1.0, 0.5)]);
    let mut killed = status(1, "a", TaskState::Killed, Some(1));
    killed.source = Source::Agent;
    killed.reason = Some(Reason::TaskKilledDuringLaunch);
    killed.executor = Some(ExecutorId::new("e"));
    let message = AgentToMaster::Updated { status: killed, latest: TaskState::Killed };
    t.agent_says(agent_pid(1, 1), message);
    assert_eq!(used(&t), "cpus:0.5;mem:32");
    t.forget_lines();
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.launches(1, 1, vec![with_executor("b", 1.0, 0.5)]);
    let lines = t.take_lines();
    assert!(lines.iter().any(|line| line.contains("b Dropped, ExecutorTerminated")), "{lines:?}");
    t.agent_says(
        agent_pid(1, 1),
        AgentToMaster::ExecutorEnded {
            framework: FrameworkId::new("c-0000"),
            executor: ExecutorId::new("e"),
            container: ContainerId::new("x"),
            exit: None,
        },
    );
    assert_eq!(used(&t), "nothing");
}

#[test]
fn an_executor_that_an_agent_is_back_without_goes_with_its_last_task() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![with_executor("a", 1.0, 0.5)]);
    let mut runs = status(1, "a", TaskState::Running, Some(1));
    runs.executor = Some(ExecutorId::new("e"));
    let message = AgentToMaster::Updated { status: runs, latest: TaskState::Running };
    t.agent_says(agent_pid(1, 1), message);
    t.down(agent_pid(1, 1));
    t.agent_returns(1, 1, Vec::new());
    assert_eq!(used(&t), "cpus:1.5;mem:160", "a launch may be on its way");
    t.news(1, "a", TaskState::Dropped, 2);
    assert_eq!(used(&t), "nothing");
}

/// News of what ran in the life before comes after that life is known to be over (seed 7009963).
#[test]
fn late_news_of_an_ended_task_does_not_bring_its_executor_back() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![with_executor("a", 1.0, 0.5)]);
    let of_executor = |state, sequence| {
        let said = status(1, "a", state, Some(sequence));
        TaskStatus { executor: Some(ExecutorId::new("e")), ..said }
    };
    let says = |status: TaskStatus| AgentToMaster::Updated { latest: status.state, status };
    t.agent_says(agent_pid(1, 1), says(of_executor(TaskState::Running, 1)));
    t.acknowledges(1, 1, "a", 1);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.launches(1, 1, vec![with_executor("b", 1.0, 0.5)]);
    t.down(agent_pid(1, 1));
    let mut ended = report(1, "a", TaskState::Failed);
    ended.spec = with_executor("a", 1.0, 0.5).into();
    ended.executor = ExecutorId::new("e");
    ended.unacknowledged = Some(of_executor(TaskState::Failed, 2).into());
    t.agent_returns(1, 1, vec![ended]);
    t.agent_says(agent_pid(1, 1), says(of_executor(TaskState::Failed, 2)));
    assert_eq!(used(&t), "cpus:1.5;mem:160", "the launch of b may be on its way");
    t.news(1, "b", TaskState::Dropped, 3);
    assert_eq!(used(&t), "nothing");
}

/// Reserved or not: whoever launches on it again need not know.
#[test]
fn an_executor_is_the_same_on_whatever_it_was_started() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![with_executor("a", 1.0, 1.0)]);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.forget_lines();
    let mut reserved = with_executor("r", 0.1, 1.0);
    if let Run::Executor { executor, .. } = &mut reserved.run {
        executor.resources = "cpus(eng):1;mem(eng):32".parse().unwrap();
    }
    t.launches(1, 1, vec![reserved]);
    t.did(["to agent-1: Launch r"]);
}

/// What an agent that has lost an executor says, and what is launched before the master has heard it.
#[test]
fn agent_17_a_launch_says_whether_its_executor_runs_and_one_that_crossed_its_end_costs_nothing() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    let launches = |t: &mut Scenario, task: &str| {
        t.scheduler_says(1, FrameworkToMaster::Revive);
        t.forget_lines();
        t.launches(1, 1, vec![with_executor(task, 0.5, 0.5)]);
        t.take_lines().into_iter().find(|line| line.contains("Launch")).unwrap()
    };
    let says = |t: &mut Scenario, task: &str, state, source, sequence| {
        let said = status(1, task, state, Some(sequence));
        let status = TaskStatus { executor: Some(ExecutorId::new("e")), source, ..said };
        t.agent_says(agent_pid(1, 1), AgentToMaster::Updated { latest: state, status });
    };
    let ended = |t: &mut Scenario| {
        let (framework, executor) = (FrameworkId::new("c-0000"), ExecutorId::new("e"));
        let container = ContainerId::new("x");
        let message = AgentToMaster::ExecutorEnded { framework, executor, container, exit: None };
        t.agent_says(agent_pid(1, 1), message);
    };
    assert_eq!(launches(&mut t, "a"), "to agent-1: Launch a");
    assert_eq!(launches(&mut t, "b"), "to agent-1: Launch b", "a may not have reached it");
    says(&mut t, "a", TaskState::Running, Source::Executor, 1);
    assert_eq!(launches(&mut t, "c"), "to agent-1: LaunchInRunning c");
    assert_eq!(used(&t), "cpus:2;mem:416", "three tasks and one executor");
    // It ended before c came: what ran in it fails, c is dropped.
    says(&mut t, "a", TaskState::Failed, Source::Agent, 2);
    says(&mut t, "b", TaskState::Failed, Source::Agent, 3);
    ended(&mut t);
    assert_eq!(launches(&mut t, "d"), "to agent-1: Launch d", "its end is known by now");
    says(&mut t, "c", TaskState::Dropped, Source::Agent, 4);
    assert_eq!(used(&t), "cpus:1;mem:160", "d and another life of the executor");
    says(&mut t, "d", TaskState::Running, Source::Executor, 5);
    assert_eq!(launches(&mut t, "e"), "to agent-1: LaunchInRunning e");
}
