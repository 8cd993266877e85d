//! What a new life makes of what the former one left.

use super::*;

/// Shorter than a master may be silent.
const PATIENCE: Duration = Duration::from_secs(3);

fn states(t: &Scenario) -> Vec<(String, TaskState)> {
    t.agent.tasks().map(|(_, task, state)| (task.to_string(), state)).collect()
}

#[test]
fn agent_06_executors_come_back_with_their_tasks_before_the_master_is_told() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.launch(custom_task("a", "E"));
    t.executor_registers(1);
    t.executor_says(1, "a", TaskState::Running);
    t.acknowledge();
    let used = t.agent.used();
    t.dies();
    let mut looked = t.done.clone();
    looked.sort();
    assert_eq!(looked, ["find E", "find t"]);
    t.forget_done();
    assert_eq!(t.agent.used(), used, "what they hold they keep");
    t.executor_is_found(0);
    t.executor_is_found(1);
    t.executor_is_back(0, &[("t", TaskState::Running)], vec![]);
    t.did(["link 100", "to executor 100: Reregistered"]);
    let late = t.status(1, "a", TaskState::Finished, 9);
    t.executor_is_back(1, &[], vec![late]);
    t.did([
        "link 101",
        "to executor 101: Reregistered",
        "contact: MayReturn",
        "to executor 101: Acknowledge a",
    ]);
    t.lets_return(1, 1);
    t.forget_done();
    let Some(AgentToMaster::Reregister { tasks, executors, frameworks, .. }) = &t.reregistered
    else {
        panic!("{:?}", t.reregistered)
    };
    assert_eq!((tasks.len(), executors.len(), frameworks.len()), (2, 2, 1));
    t.register_with(1, 1);
    t.did(["link 1", "update a Finished"]);
    assert_eq!(states(&t)[1], ("t".to_owned(), TaskState::Running));
    // Killed as if nothing had been.
    t.kill("t");
    t.did(["to executor 100: Kill t within 3s"]);
}

#[test]
fn agent_06_an_executor_that_does_not_come_back_in_time_is_killed_and_its_task_fails() {
    let mut t = Scenario::registered();
    let waits = |seconds| {
        let executor_reregistration_timeout = Duration::from_secs(seconds);
        Config { executor_reregistration_timeout, ..t.agent.config.clone() }.validate()
    };
    assert!(waits(15).is_ok() && waits(16).is_err(), "the agent is away meanwhile");
    t.with_running("t");
    t.dies();
    t.executor_is_found(0);
    t.forget_done();
    t.pass(Duration::from_millis(1900));
    t.did([]);
    t.pass(Duration::from_millis(200));
    t.did(["signal t Kill"]);
    // Too late now.
    t.executor_is_back(0, &[("t", TaskState::Running)], vec![]);
    t.did(["to executor 100: Shutdown"]);
    t.executor_exits(0, Exit::Signal(9));
    t.did(["write ExecutorEnded", "contact: MayReturn"]);
    t.register_with(1, 1);
    t.did(["link 1", "update t Failed", "to master: ExecutorEnded"]);
    let message = t.sent.clone().unwrap().message;
    assert!(message.contains("did not come back to its agent in time"), "{message}");
    t.acknowledge();
    assert!(t.agent.used().is_empty() && t.agent.tasks().count() == 0);
}

#[test]
fn how_a_task_ended_while_its_agent_was_away_is_read_from_what_its_executor_wrote() {
    let mut t = Scenario::registered();
    t.with_running("t");
    let mut ended = t.status(0, "t", TaskState::Failed, 9);
    ended.exit = Some(Exit::Code(3));
    t.dies();
    t.forget_done();
    let container = t.started[0].container.clone();
    let exited = Event::ExecutorExited { container, exit: None, ended: Some(Box::new(ended)) };
    t.step(exited);
    t.register_with(1, 1);
    t.did([
        "write ExecutorEnded",
        "contact: MayReturn",
        "link 1",
        "update t Failed",
        "to master: ExecutorEnded",
    ]);
    assert_eq!(t.sent.as_ref().unwrap().exit, Some(Exit::Code(3)));
}

#[test]
fn what_was_written_of_a_tasks_end_is_not_told_twice() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.executor_says(0, "t", TaskState::Finished);
    let ended = t.sent.clone();
    t.acknowledge();
    t.forget_done();
    let container = t.started[0].container.clone();
    let ended = ended.map(Box::new);
    t.step(Event::ExecutorExited { container, exit: Some(Exit::Code(0)), ended });
    t.did([
        "to executor 100: Acknowledge t",
        "unlink 100",
        "write ExecutorEnded",
        "to master: ExecutorEnded",
    ]);
}

/// SUM-01: the stream of a task survives its agent: from the first that is not acknowledged on, in order, once each.
#[test]
fn sum_01_news_that_is_not_acknowledged_is_said_again_by_the_next_life() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    t.executor_registers(0);
    t.executor_says(0, "t", TaskState::Starting);
    t.acknowledge();
    t.executor_says(0, "t", TaskState::Running);
    t.executor_says(0, "t", TaskState::Finished);
    t.dies();
    t.step(Event::ExecutorExited {
        container: t.started[0].container.clone(),
        exit: None,
        ended: None,
    });
    t.forget_done();
    t.register_with(1, 1);
    t.did(["link 1", "update t Running", "to master: ExecutorEnded"]);
    t.acknowledge();
    t.did(["update t Finished"]);
    t.dies();
    t.register_with(1, 1);
    t.did(["contact: MayReturn", "link 1", "update t Finished"]);
    t.acknowledge();
    t.dies();
    assert_eq!(t.agent.tasks().count(), 0);
    assert_eq!(t.disk.frameworks.len(), 0);
}

#[test]
fn an_executor_that_never_began_begins_now_and_has_its_task() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    // As if nothing had been written after the two that make it.
    let container = t.started[0].container.clone();
    t.disk.executors.get_mut(&container).unwrap().process = None;
    t.dies();
    t.forget_done();
    t.step(Event::ExecutorNeverBegan(container.clone()));
    t.did(["start executor t", "contact: MayReturn", "write ExecutorStarted"]);
    t.register_with(1, 1);
    t.forget_done();
    assert_eq!(t.started[1].container, container);
    t.executor_registers(1);
    t.did(["link 101", "to executor 101: Registered", "to executor 101: Launch t"]);
}

#[test]
fn an_executor_is_told_of_nothing_that_a_later_life_would_not_know() {
    let mut t = Scenario::registered();
    t.hold = true;
    t.launch(command_task("t"));
    let launching = t.held.remove(0);
    t.step(launching);
    t.executor_registers(0);
    t.did([
        "write ExecutorLaunching",
        "start executor t",
        "link 100",
        "to executor 100: Registered",
    ]);
    t.release();
    t.did(["write ExecutorStarted", "to executor 100: Launch t"]);
    // A task that the disk refuses is not begun.
    t.launch(custom_task("a", "E"));
    t.executor_registers(1);
    t.forget_done();
    t.hold = true;
    t.launch(custom_task("b", "E"));
    t.fail_held();
    t.did(["update b Failed"]);
    t.launch(custom_task("c", "E"));
    t.did(["to executor 101: Launch c"]);
}

#[test]
fn a_task_that_its_executor_did_not_hear_of_is_told_again() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.executor_registers(0);
    t.launch(custom_task("b", "E"));
    t.dies();
    t.executor_is_found(0);
    t.forget_done();
    // And one that nobody here knows is ended.
    t.executor_is_back(0, &[("a", TaskState::Running), ("x", TaskState::Running)], vec![]);
    t.did([
        "link 100",
        "to executor 100: Reregistered",
        "to executor 100: Kill x within 3s",
        "to executor 100: Launch b",
        "contact: MayReturn",
    ]);
}

#[test]
fn an_executor_whose_connection_broke_is_waited_for_and_comes_back() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.step(Event::Down { pid: executor(0), words: "the connection was lost".into() });
    t.hear(
        1,
        MasterToAgent::Kill {
            epoch: 1,
            framework: FrameworkId::new("F"),
            task: TaskId::new("t"),
            grace: None,
        },
    );
    t.did([]);
    t.executor_is_back(0, &[("t", TaskState::Running)], vec![]);
    t.did(["link 100", "to executor 100: Reregistered", "to executor 100: Kill t within 3s"]);
    t.step(Event::Down { pid: executor(0), words: "the connection was lost".into() });
    t.forget_done();
    for sequence in 0..225 {
        t.hear(1, MasterToAgent::Ping { epoch: 1, sequence });
        t.pass(Duration::from_secs(4));
    }
    t.hear(1, MasterToAgent::Ping { epoch: 1, sequence: 999 });
    t.pass(Duration::from_secs(1));
    t.done.retain(|line| line != "to master: Pong");
    t.did(["signal t Kill"]);
}

/// The launch was lost with the connection, and the kill came before the executor was back.
#[test]
fn a_task_that_was_killed_before_its_executor_heard_of_it_does_not_begin_when_that_is_back() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    t.executor_registers(0);
    t.step(Event::Down { pid: executor(0), words: "the connection was lost".into() });
    t.kill("t");
    t.forget_done();
    t.executor_is_back(0, &[], vec![]);
    t.did([
        "link 100",
        "to executor 100: Reregistered",
        "to executor 100: Shutdown",
        "update t Killed",
    ]);
    assert_eq!(t.sent.clone().unwrap().reason, Some(Reason::TaskKilledDuringLaunch));
    // The same, where other tasks keep the executor.
    t.launch(custom_task("a", "E"));
    t.executor_registers(1);
    t.executor_says(1, "a", TaskState::Running);
    t.launch(custom_task("b", "E"));
    t.step(Event::Down { pid: executor(1), words: "the connection was lost".into() });
    t.kill("b");
    t.forget_done();
    t.executor_is_back(1, &[("a", TaskState::Running)], vec![]);
    t.did(["link 101", "to executor 101: Reregistered", "update b Killed"]);
}

#[test]
fn a_removed_frameworks_executors_are_ended_by_the_next_life_as_well() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.executor_registers(0);
    t.executor_says(0, "a", TaskState::Running);
    t.hear(1, MasterToAgent::ShutdownFramework { epoch: 1, framework: FrameworkId::new("F") });
    t.dies();
    assert!(t.agent.used().is_empty());
    t.executor_is_found(0);
    t.forget_done();
    t.executor_is_back(0, &[("a", TaskState::Running)], vec![]);
    t.did([
        "link 100",
        "to executor 100: Reregistered",
        "to executor 100: Shutdown",
        "contact: MayReturn",
    ]);
    t.executor_exits(0, Exit::Code(0));
    assert_eq!((t.agent.tasks().count(), t.agent.executors().count()), (0, 0));
    assert_eq!(t.disk.frameworks.len(), 0);
}

#[test]
fn agent_08_after_a_reboot_tasks_are_lost_once_and_the_agent_is_the_same() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.launch(custom_task("a", "E"));
    t.executor_registers(1);
    let id = t.agent.id().cloned();
    t.reboots();
    t.did(["find E", "find t"]);
    for n in [0, 1] {
        let container = t.started[n].container.clone();
        t.step(Event::ExecutorExited { container, exit: None, ended: None });
    }
    t.did(["write ExecutorEnded", "write ExecutorEnded", "contact: MayReturn"]);
    assert_eq!(t.agent.id().cloned(), id);
    t.register_with(1, 1);
    t.did([
        "link 1",
        "update a Lost",
        "update t Lost",
        "to master: ExecutorEnded",
        "to master: ExecutorEnded",
    ]);
    let lost = t.sent.clone().unwrap();
    assert_eq!(lost.reason, Some(Reason::AgentRestarted));
    // Neither the next life nor the next boot makes it another loss.
    for next in [Scenario::dies, Scenario::reboots] {
        next(&mut t);
        t.register_with(1, 1);
        t.did(["contact: MayReturn", "link 1", "update a Lost", "update t Lost"]);
        assert_eq!(t.sent.as_ref().unwrap().update, lost.update);
    }
    t.acknowledge();
    t.dies();
    assert_eq!(t.agent.tasks().count(), 1);
    // The machine works as before.
    t.register_with(1, 1);
    t.with_running("u");
}

#[test]
fn agent_08_an_executor_of_which_no_process_was_noted_does_not_begin_in_another_boot() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    let container = t.started[0].container.clone();
    t.disk.executors.get_mut(&container).unwrap().process = None;
    t.reboots();
    t.forget_done();
    t.step(Event::ExecutorNeverBegan(container));
    t.did(["write ExecutorEnded", "contact: MayReturn"]);
    t.register_with(1, 1);
    t.did(["link 1", "update t Lost", "to master: ExecutorEnded"]);
}

#[test]
fn agent_08_a_task_that_ended_before_the_reboot_has_ended_as_its_executor_wrote() {
    let mut t = Scenario::registered();
    t.with_running("t");
    let ended = Some(Box::new(t.status(0, "t", TaskState::Finished, 9)));
    t.reboots();
    t.forget_done();
    // However long it takes to see that nothing is left.
    t.pass(Duration::from_secs(3));
    let container = t.started[0].container.clone();
    t.step(Event::ExecutorExited { container, exit: None, ended });
    t.register_with(1, 1);
    t.forget_done();
    assert_eq!(t.sent.unwrap().state, TaskState::Finished);
}

#[test]
fn an_executor_that_broke_off_while_it_had_nothing_to_do_has_to_be_back_for_its_next_task() {
    let mut t = Scenario::registered_with(|config| config.recovery_timeout = PATIENCE);
    t.launch(custom_task("a", "E"));
    t.executor_registers(0);
    t.executor_says(0, "a", TaskState::Finished);
    t.acknowledge();
    t.step(Event::Down { pid: executor(0), words: "the connection was lost".into() });
    t.forget_done();
    t.pass(PATIENCE);
    t.hear(1, MasterToAgent::Ping { epoch: 1, sequence: 1 });
    t.did(["to master: Pong"]);
    t.launch(custom_task("b", "E"));
    t.pass(PATIENCE);
    t.did(["signal E Kill"]);
    t.executor_exits(0, Exit::Signal(9));
    assert!(t.sent.as_ref().is_some_and(|sent| sent.state == TaskState::Failed), "{:?}", t.sent);
}

#[test]
fn an_agent_that_leaves_before_its_executors_are_back_waits_for_none_of_them_for_ever() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.dies();
    t.step(Event::Leave);
    t.executor_is_found(0);
    t.did(["find t"]);
    t.pass(t.agent.config.executor_reregistration_timeout);
    t.did(["signal t Kill"]);
    t.executor_exits(0, Exit::Signal(9));
    t.did(["write ExecutorEnded", "stop: the agent was ended by its operator"]);
}

#[test]
fn exec_09_what_was_not_to_outlive_an_agent_is_nobodys_in_its_next_life() {
    let mut t = Scenario::registered();
    t.with_running("stays");
    let passing = api::v1::FrameworkInfo { checkpoint: Some(false), ..Default::default() };
    let framework = FrameworkInfo {
        framework: FrameworkId::new("P"),
        carried: Carried::new(&passing),
        ..framework()
    };
    let (task, role) = (command_task("passes"), t.role.clone());
    t.hear(1, MasterToAgent::Launch { epoch: 1, framework, task, role });
    t.executor_registers(1);
    t.dies();
    let mut looked = t.done.clone();
    looked.sort();
    assert_eq!(looked, ["find passes", "find stays"]);
    assert_eq!(t.agent.used(), Resources::cpus_mem(1.0, 100.0), "of the one that stays");
    t.executor_exits(1, Exit::Signal(9));
    t.executor_is_found(0);
    t.executor_is_back(0, &[("stays", TaskState::Running)], vec![]);
    t.lets_return(1, 1);
    let Some(AgentToMaster::Reregister { tasks, executors, frameworks, .. }) = &t.reregistered
    else {
        panic!("{:?}", t.reregistered)
    };
    assert_eq!((tasks.len(), executors.len(), frameworks.len()), (1, 1, 1));
    t.dies();
    t.did(["find stays"]);
}
