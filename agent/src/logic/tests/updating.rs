//! The stream of a task's news, and what the master asks about tasks.

use super::*;

#[test]
fn updates_go_in_order_one_at_a_time() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    t.executor_registers(0);
    t.forget_done();
    t.executor_says(0, "t", TaskState::Starting);
    t.executor_says(0, "t", TaskState::Running);
    t.executor_says(0, "t", TaskState::Finished);
    // Each is written down, and so its executor may forget it.
    let acknowledged = "to executor 100: Acknowledge t";
    // The end travels with the oldest, which is told again for its sake.
    let first = "update t Starting";
    t.did([acknowledged, first, acknowledged, acknowledged, first]);
    assert_eq!(t.latest, Some(TaskState::Finished));
    t.acknowledge();
    t.did(["update t Running"]);
    t.acknowledge();
    t.did(["update t Finished"]);
    t.acknowledge();
    t.did([]);
    assert_eq!(t.agent.tasks().count(), 0);
    assert!(t.agent.used().is_empty());
}

#[test]
fn sum_01_an_unacknowledged_update_is_said_again_and_an_acknowledged_one_never() {
    let mut t =
        Scenario::registered_with(|config| config.executor_again_after = Duration::from_secs(99));
    t.with_running("t");
    t.executor_says(0, "t", TaskState::Finished);
    t.hear(1, MasterToAgent::Ping { epoch: 1, sequence: 1 });
    t.forget_done();
    t.pass(Duration::from_millis(1100));
    t.did(["update t Finished"]);
    t.pass(Duration::from_secs(2));
    t.did(["update t Finished"]);
    // Each time after twice as long, up to half a minute; and shorter by chance.
    for whole in [4, 8, 16, 30, 30, 30, 30].map(Duration::from_secs) {
        let since = t.now.steady;
        while !std::mem::take(&mut t.done).contains(&"update t Finished".to_owned()) {
            t.hear(1, MasterToAgent::Ping { epoch: 1, sequence: 1 });
            t.pass(Duration::from_millis(100));
        }
        let (gap, slack) = (t.now.steady.since(since), Duration::from_millis(200));
        assert!(gap + slack >= whole / 2 && gap <= whole + slack, "{gap:?}, not {whole:?}");
    }
    t.acknowledge();
    t.executor_exits(0, Exit::Code(0));
    t.forget_done();
    for sequence in 2..20 {
        t.hear(1, MasterToAgent::Ping { epoch: 1, sequence });
        t.pass(Duration::from_secs(4));
    }
    assert!(!t.done.iter().any(|line| line.starts_with("update")), "{:?}", t.done);
}

#[test]
fn sum_04_news_wait_for_a_master_and_are_said_at_once_when_there_is_one() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.lose_master();
    t.executor_says(0, "t", TaskState::Finished);
    t.did(["to executor 100: Acknowledge t"]);
    t.register_with(2, 2);
    t.did(["link 1", "write Joined", "update t Finished"]);
}

#[test]
fn sum_02_what_an_executor_says_is_acknowledged_to_it_once_it_is_written_down() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    t.executor_registers(0);
    t.forget_done();
    let status = t.status(0, "t", TaskState::Running, 1);
    let says = |t: &mut Scenario| {
        let message = ExecutorToAgent::Updated(status.clone());
        t.step(Event::FromExecutor { from: executor(0), message });
    };
    t.hold = true;
    says(&mut t);
    says(&mut t);
    // Neither its executor nor the master hears of what a later life would not know.
    t.did([]);
    t.release();
    t.did(["to executor 100: Acknowledge t", "update t Running"]);
    says(&mut t);
    t.did(["to executor 100: Acknowledge t"]);
    t.acknowledge();
    t.did([]);
}

#[test]
fn sum_03_the_newest_state_that_is_written_down_travels_with_older_news() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    t.executor_registers(0);
    t.executor_says(0, "t", TaskState::Running);
    assert_eq!(t.latest, Some(TaskState::Running));
    t.executor_says(0, "t", TaskState::Killing);
    t.hold = true;
    t.executor_says(0, "t", TaskState::Killed);
    t.forget_done();
    t.pass(Duration::from_millis(1100));
    t.did(["update t Running"]);
    assert_eq!(t.latest, Some(TaskState::Killing), "of more the next life would not know");
    t.release();
    assert!(t.done.contains(&"update t Running".to_owned()), "an end is told at once");
    assert_eq!(t.latest, Some(TaskState::Killed));
    t.forget_done();
    // The framework has them in order all the same.
    t.acknowledge();
    t.acknowledge();
    t.did(["update t Killing", "update t Killed"]);
}

#[test]
fn what_the_disk_does_not_take_is_acknowledged_to_its_executor_once_its_framework_has_it() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.hold = true;
    t.executor_says(0, "t", TaskState::Finished);
    t.fail_held();
    t.did(["update t Finished"]);
    t.acknowledge();
    t.did(["to executor 100: Acknowledge t"]);
}

#[test]
fn an_executor_cannot_move_a_task_backwards_or_claim_what_it_cannot_know() {
    let mut t = Scenario::registered();
    t.with_running("t");
    for state in [TaskState::Starting, TaskState::Lost, TaskState::Staging] {
        t.executor_says(0, "t", state);
        t.did(["to executor 100: Acknowledge t"]);
    }
    assert_eq!(t.agent.tasks().next().unwrap().2, TaskState::Running);
}

#[test]
fn an_executor_speaks_of_its_own_tasks_only() {
    let mut t = Scenario::registered();
    t.with_running("a");
    t.with_running("b");
    t.executor_says(1, "a", TaskState::Failed);
    t.did(["to executor 101: Acknowledge a"]);
    assert!(t.agent.tasks().all(|(_, _, state)| state == TaskState::Running));
}

#[test]
fn a_flood_of_updates_is_bounded_and_keeps_first_and_newest() {
    let mut t = Scenario::registered_with(|config| config.updates_max = 3);
    t.launch(command_task("t"));
    t.executor_registers(0);
    t.forget_done();
    t.executor_says(0, "t", TaskState::Starting);
    for _ in 0..50 {
        t.executor_says(0, "t", TaskState::Running);
    }
    t.executor_says(0, "t", TaskState::Finished);
    t.acknowledge();
    t.acknowledge();
    t.forget_done();
    t.acknowledge();
    assert_eq!(t.agent.tasks().count(), 0);
}

#[test]
fn what_is_too_large_is_cut_and_said() {
    let mut t = Scenario::registered_with(|config| config.data_bytes_max = 10);
    t.launch(command_task("t"));
    t.executor_registers(0);
    let mut status = t.status(0, "t", TaskState::Running, 1);
    status.data = vec![0; 11];
    t.step(Event::FromExecutor { from: executor(0), message: ExecutorToAgent::Updated(status) });
    let sent = t.sent.clone().unwrap();
    assert!(sent.data.is_empty() && sent.message.len() <= 10, "{}", sent.message);
    assert_eq!(sent.isolation, Some(Isolation::ProcessGroup));
}

#[test]
fn recon_08_a_task_that_the_master_thinks_is_here_and_is_not_is_told_dropped() {
    let mut t = Scenario::registered();
    t.with_running("t");
    let (framework, lost) = (FrameworkId::new("F"), TaskId::new("lost"));
    let tasks = vec![(framework.clone(), TaskId::new("t")), (framework, lost)];
    t.hear(1, MasterToAgent::Reconcile { epoch: 1, tasks });
    t.did(["update lost Dropped"]);
    t.acknowledge();
    assert_eq!(t.agent.tasks().count(), 1);
    // The next registration reconciles anew.
    t.kill("lost too");
    t.did(["update lost too Dropped"]);
    t.lose_master();
    assert_eq!(t.agent.tasks().count(), 1);
}
