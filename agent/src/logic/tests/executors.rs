//! Executors that are late, die, are lost or are to end; kills.

use super::*;

fn message(t: &Scenario) -> String {
    t.sent.clone().map(|status| status.message).unwrap_or_default()
}

#[test]
fn agent_12_an_executor_that_does_not_register_is_killed_and_its_task_fails() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    t.forget_done();
    t.hear(1, MasterToAgent::Ping { epoch: 1, sequence: 1 });
    for _ in 0..16 {
        t.pass(Duration::from_secs(4));
        t.hear(1, MasterToAgent::Ping { epoch: 1, sequence: 1 });
    }
    t.done.retain(|line| line != "to master: Pong");
    t.did(["signal t Kill"]);
    t.executor_exits(0, Exit::Signal(9));
    t.did(["write ExecutorEnded", "update t Failed", "to master: ExecutorEnded"]);
    assert_eq!(t.sent.clone().unwrap().reason, Some(Reason::ExecutorRegistrationTimeout));
}

#[test]
fn the_time_to_register_begins_when_all_is_fetched_and_the_process_runs() {
    let mut t = Scenario::registered();
    t.hold = true;
    t.launch(command_task("t"));
    let written = t.held.remove(0);
    t.step(written);
    let minutes = |t: &mut Scenario| {
        t.forget_done();
        for _ in 0..30 {
            t.pass(Duration::from_secs(4));
            t.hear(1, MasterToAgent::Ping { epoch: 1, sequence: 1 });
        }
        t.done.retain(|line| line != "to master: Pong");
    };
    minutes(&mut t);
    t.did([]);
    t.release();
    minutes(&mut t);
    t.did(["signal t Kill"]);
}

#[test]
fn a_wrong_token_and_a_second_process_are_turned_away() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    t.forget_done();
    let right = t.started[0].token.clone();
    t.started[0].token = "guess".into();
    t.executor_registers(0);
    t.did(["to executor 100: Shutdown"]);
    t.started[0].token = right;
    // Logs have no use for it.
    assert!(format!("{:?}", t.started[0]).contains("token: (hidden)"));
    t.executor_registers(0);
    t.did(["link 100", "to executor 100: Registered", "to executor 100: Launch t"]);
    // Its own repeat is answered again, and nothing else happens twice.
    t.executor_registers(0);
    t.did(["to executor 100: Registered"]);
    let start = t.started[0].clone();
    t.started.push(start);
    t.executor_registers(1);
    t.did(["to executor 101: Shutdown"]);
}

#[test]
fn agent_14_an_executor_that_dies_fails_its_tasks_with_how_it_ended() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.launch(custom_task("b", "E"));
    t.executor_registers(0);
    t.forget_done();
    t.executor_exits(0, Exit::Signal(9));
    t.did([
        "unlink 100",
        "write ExecutorEnded",
        "update a Failed",
        "update b Failed",
        "to master: ExecutorEnded",
    ]);
    let status = t.sent.clone().unwrap();
    assert_eq!(status.reason, Some(Reason::ExecutorTerminated));
    assert_eq!(status.exit, Some(Exit::Signal(9)));
    assert!(status.message.contains("executor E was killed by signal 9 (SIGKILL)"), "{status:?}");
    assert!(t.agent.used().is_empty());
}

#[test]
fn agent_15_a_kill_before_the_executor_has_the_task_ends_both() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    t.forget_done();
    t.kill("t");
    t.did(["signal t Kill", "update t Killed"]);
    assert_eq!(t.sent.clone().unwrap().reason, Some(Reason::TaskKilledDuringLaunch));
    t.executor_registers(0);
    t.did(["to executor 100: Shutdown"]);
    t.executor_exits(0, Exit::Signal(9));
    t.acknowledge();
    assert_eq!((t.agent.tasks().count(), t.agent.executors().count()), (0, 0));
}

#[test]
fn a_kill_before_the_executor_is_even_noted_starts_nothing() {
    let mut t = Scenario::registered();
    t.hold = true;
    t.launch(command_task("t"));
    t.kill("t");
    t.release();
    assert!(t.started.is_empty());
    assert_eq!(t.agent.executors().count(), 0);
    assert!(t.agent.used().is_empty());
}

#[test]
fn a_kill_while_files_are_fetched_or_the_process_is_started_ends_both() {
    let mut t = Scenario::registered();
    t.hold = true;
    t.launch(command_task("t"));
    let written = t.held.remove(0);
    t.step(written);
    t.forget_done();
    t.kill("t");
    // What is fetched is given up; else there is a process soon.
    t.did(["signal t Kill"]);
    t.release();
    t.did(["signal t Kill", "write ExecutorStarted", "update t Killed"]);
}

#[test]
fn a_kill_is_repeated_until_the_executor_reacts() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.kill("t");
    t.did(["to executor 100: Kill t within 3s"]);
    t.pass(Duration::from_millis(2100));
    t.did(["to executor 100: Kill t within 3s"]);
    t.executor_says(0, "t", TaskState::Killed);
    t.did(["to executor 100: Acknowledge t", "update t Killed"]);
    t.hear(1, MasterToAgent::Ping { epoch: 1, sequence: 1 });
    t.pass(Duration::from_secs(4));
    t.done.retain(|line| line.starts_with("to executor"));
    t.did([]);
}

#[test]
fn a_launch_that_got_lost_is_repeated() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    t.executor_registers(0);
    t.forget_done();
    t.pass(Duration::from_millis(2100));
    t.did(["to executor 100: Launch t"]);
    t.executor_says(0, "t", TaskState::Starting);
    t.pass(Duration::from_millis(500));
    t.did(["to executor 100: Acknowledge t", "update t Starting"]);
}

#[test]
fn the_grace_comes_from_the_kill_else_the_task_else_the_agent() {
    let mut t = Scenario::registered();
    let own = TaskSpec { kill_grace: Some(Duration::from_secs(8)), ..custom_task("a", "E") };
    t.launch(own);
    t.executor_registers(0);
    t.forget_done();
    t.kill("a");
    t.did(["to executor 100: Kill a within 8s"]);
    let (framework, task) = (FrameworkId::new("F"), TaskId::new("a"));
    let grace = Some(Duration::from_secs(1));
    t.hear(1, MasterToAgent::Kill { epoch: 1, framework, task, grace });
    t.did(["to executor 100: Kill a within 1s"]);
    // An operator asks, who names none: it is under way.
    t.kill("a");
    t.did([]);
}

#[test]
fn a_killed_task_whose_executor_dies_is_killed_not_failed() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.kill("t");
    t.executor_exits(0, Exit::Code(0));
    assert_eq!(t.sent.clone().unwrap().state, TaskState::Killed);
}

#[test]
fn a_command_executor_that_stays_after_its_task_is_killed() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.executor_says(0, "t", TaskState::Finished);
    t.acknowledge();
    t.forget_done();
    t.pass(Duration::from_millis(4900));
    t.hear(1, MasterToAgent::Ping { epoch: 1, sequence: 1 });
    t.pass(Duration::from_millis(200));
    t.did(["to master: Pong", "signal t Kill"]);
}

#[test]
fn a_removed_frameworks_tasks_are_killed_and_not_told_of() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.executor_registers(0);
    t.executor_says(0, "a", TaskState::Running);
    t.forget_done();
    t.hear(1, MasterToAgent::ShutdownFramework { epoch: 1, framework: FrameworkId::new("F") });
    t.did(["to executor 100: Shutdown"]);
    assert!(t.agent.used().is_empty(), "the master may give it to others from now on");
    t.executor_says(0, "a", TaskState::Killed);
    t.did(["to executor 100: Acknowledge a"]);
    t.executor_exits(0, Exit::Code(0));
    t.did(["unlink 100", "write ExecutorEnded", "to master: ExecutorEnded"]);
    assert_eq!(t.agent.tasks().count(), 0);
    assert!(t.agent.used().is_empty());
}

#[test]
fn an_executor_that_is_shut_down_ends_its_tasks_as_killed() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.executor_registers(0);
    t.forget_done();
    let (framework, id) = (FrameworkId::new("F"), ExecutorId::new("E"));
    t.hear(1, MasterToAgent::ShutdownExecutor { epoch: 1, framework, executor: id });
    t.did(["to executor 100: Shutdown"]);
    t.executor_exits(0, Exit::Code(0));
    assert_eq!(t.sent.clone().unwrap().state, TaskState::Killed);
    assert!(message(&t).contains("shut down by its framework"));
}

#[test]
fn messages_pass_both_ways_while_they_can() {
    let mut t = Scenario::registered_with(|config| config.data_bytes_max = 4);
    t.launch(custom_task("a", "E"));
    let to_executor = |data: &[u8]| MasterToAgent::ToExecutor {
        epoch: 1,
        framework: FrameworkId::new("F"),
        executor: ExecutorId::new("E"),
        data: data.to_vec(),
    };
    t.forget_done();
    t.hear(1, to_executor(b"lost"));
    t.did([]);
    t.executor_registers(0);
    t.forget_done();
    t.hear(1, to_executor(b"ping"));
    t.hear(1, to_executor(b"too long"));
    t.did(["to executor 100: FromScheduler"]);
    for data in [b"pong".to_vec(), b"too long".to_vec()] {
        let message = ExecutorToAgent::ToScheduler(data);
        t.step(Event::FromExecutor { from: executor(0), message });
    }
    t.did(["to master: FromExecutor"]);
}

#[test]
fn an_executor_that_ends_while_its_agent_registers_again_is_told_of_then() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.executor_registers(0);
    t.executor_says(0, "a", TaskState::Finished);
    t.acknowledge();
    t.lose_master();
    t.pass(Duration::from_secs(1));
    t.forget_done();
    // The report that names the executor is on its way.
    t.executor_exits(0, Exit::Code(0));
    t.did(["unlink 100", "write ExecutorEnded"]);
    t.register_with(2, 2);
    assert_eq!(t.done.last().map(String::as_str), Some("to master: ExecutorEnded"), "{:?}", t.done);
    t.forget_done();
    t.lose_master();
    t.register_with(3, 3);
    assert!(!t.done.contains(&"to master: ExecutorEnded".to_owned()), "it is said once");
}

#[test]
fn agent_13_an_executor_that_does_not_end_when_told_is_killed_when_its_grace_is_over() {
    for (own, grace) in [(None, 5), (Some(Duration::from_secs(2)), 2)] {
        let mut t = Scenario::registered();
        let mut task = custom_task("a", "E");
        if let Run::Executor { executor, .. } = &mut task.run {
            executor.shutdown_grace = own;
        }
        t.launch(task);
        t.executor_registers(0);
        t.executor_says(0, "a", TaskState::Running);
        t.acknowledge();
        t.forget_done();
        let (framework, executor) = (FrameworkId::new("F"), ExecutorId::new("E"));
        t.hear(1, MasterToAgent::ShutdownExecutor { epoch: 1, framework, executor });
        t.did(["to executor 100: Shutdown"]);
        let is_killed = |t: &mut Scenario| t.take_done().contains(&"signal E Kill".to_owned());
        t.pass(Duration::from_millis(grace * 1000 - 1));
        assert!(!is_killed(&mut t), "before its {grace} seconds are over");
        t.pass(Duration::from_millis(1));
        assert!(is_killed(&mut t), "after {grace} seconds");
    }
}

/// Master and scheduler think that it lives: its end is on its way to them.
#[test]
fn agent_17_a_task_for_an_executor_that_has_ended_is_dropped_and_starts_no_other() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.executor_registers(0);
    t.launch_in_running(custom_task("b", "E"));
    assert_eq!(t.take_done().last().unwrap(), "to executor 100: Launch b", "it runs");
    t.executor_exits(0, Exit::Signal(9));
    t.forget_done();
    t.launch_in_running(custom_task("c", "E"));
    t.did(["update c Dropped"]);
    let status = t.sent.clone().unwrap();
    assert_eq!(status.reason, Some(Reason::ExecutorTerminated));
    assert!(status.message.starts_with("executor E has ended here"), "{status:?}");
    assert!(t.agent.used().is_empty());
    // Who knows of the end starts another.
    t.launch(custom_task("d", "E"));
    assert_eq!(t.started.len(), 2);
    t.launch_in_running(custom_task("e", "E"));
    t.executor_registers(1);
    let told = t.take_done();
    assert_eq!(told.last().unwrap(), "to executor 101: Launch e", "{told:?}");
}
