//! Which tasks are taken, and into which executor they go.

use super::*;
use protocol::resources::Milli;

/// Launches a task that must be refused; its state, reason and words.
fn refused(task: TaskSpec) -> (TaskState, Option<Reason>, String) {
    let mut t = Scenario::registered();
    t.launch(task);
    let status = t.sent.clone().expect("a refusal is told");
    assert!(t.started.is_empty() && t.agent.used().is_empty());
    t.acknowledge();
    assert_eq!(t.agent.tasks().count(), 0);
    (status.state, status.reason, status.message)
}

#[test]
fn a_command_task_gets_an_executor_of_its_own() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    t.did(["write ExecutorLaunching", "start executor t", "write ExecutorStarted"]);
    assert_eq!(t.started[0].program, Program::CommandExecutor);
    assert_eq!(t.started[0].user.as_deref(), Some("ann"));
    t.executor_registers(0);
    t.did(["link 100", "to executor 100: Registered", "to executor 100: Launch t"]);
    t.executor_says(0, "t", TaskState::Starting);
    t.did(["to executor 100: Acknowledge t", "update t Starting"]);
}

#[test]
fn a_repeated_launch_does_nothing() {
    let mut t = Scenario::registered();
    t.launch(command_task("t"));
    t.forget_done();
    t.launch(command_task("t"));
    t.did([]);
    assert_eq!(t.agent.used(), Resources::cpus_mem(1.0, 100.0));
}

#[test]
fn tasks_share_a_custom_executor_and_its_resources_count_once() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.launch(custom_task("b", "E"));
    t.executor_registers(0);
    t.forget_done();
    t.launch(custom_task("c", "E"));
    t.did(["to executor 100: Launch c"]);
    assert_eq!(t.started.len(), 1);
    assert_eq!(t.agent.used(), Resources::cpus_mem(3.5, 332.0));
}

#[test]
fn an_executor_of_the_same_id_and_another_description_is_a_mistake() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    let mut other = custom_task("b", "E");
    if let Run::Executor { executor, .. } = &mut other.run {
        executor.command.value = "./other".into();
    }
    t.launch(other);
    let status = t.sent.clone().unwrap();
    assert_eq!((status.state, status.reason), (TaskState::Error, Some(Reason::TaskInvalid)));
    assert!(status.message.contains("executor E already runs here"), "{}", status.message);
    // Neither may a command task take the place of an executor.
    t.launch(command_task("E"));
    assert_eq!(t.sent.clone().unwrap().state, TaskState::Error);
}

#[test]
fn what_makes_no_sense_is_refused_with_words() {
    let resources = |resources| TaskSpec { resources, ..command_task("t") };
    let command = |command| TaskSpec { run: Run::Command(command), ..command_task("t") };
    let cases = [
        (resources(Resources::none()), "asks for no resources"),
        (resources(Resources::cpus_mem(5.0, 1.0)), "the whole agent has only"),
        (resources(negative()), "negative amount of 'cpus'"),
        (command(CommandSpec::default()), "the command is empty"),
        (
            command(CommandSpec { value: "a\0".into(), ..Default::default() }),
            "NUL byte in its value",
        ),
        (
            command(CommandSpec {
                value: "a".into(),
                environment: vec![("A=B".into(), String::new())],
                ..Default::default()
            }),
            "'A=B' of an environment variable",
        ),
        (command_task("../x"), "the task's id is not allowed"),
    ];
    for (task, words) in cases {
        let (state, reason, message) = refused(task);
        assert_eq!(state, TaskState::Error, "{message}");
        assert!(matches!(reason, Some(Reason::TaskInvalid | Reason::ResourcesUnknown)));
        assert!(message.contains(words), "{message:?} does not say {words:?}");
    }
}

/// What only the wire can bring: the algebra itself refuses to make it.
fn negative() -> Resources {
    let entry = Resources::cpus_mem(1.0, 0.0).iter().next().unwrap().clone();
    let value = protocol::resources::Value::Scalar(Milli(-1));
    let entry = protocol::resources::Resource { value, ..entry };
    let bytes = serde_json::to_vec(&vec![entry]).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn more_than_is_free_is_dropped_not_an_error() {
    let mut t = Scenario::registered();
    t.launch(TaskSpec { resources: Resources::cpus_mem(3.5, 10.0), ..command_task("big") });
    t.launch(command_task("small"));
    let status = t.sent.clone().unwrap();
    assert_eq!((status.task.as_str(), status.state), ("small", TaskState::Dropped));
    assert_eq!(status.reason, Some(Reason::ResourcesUnknown));
}

#[test]
fn limits_are_kept() {
    let mut t = Scenario::registered_with(|config| {
        config.tasks_max = 2;
        config.executors_max = 1;
    });
    t.launch(custom_task("a", "E"));
    t.launch(command_task("b"));
    let status = t.sent.clone().unwrap();
    assert_eq!(status.state, TaskState::Dropped);
    assert!(status.message.contains("1 executors, as many as it takes"), "{}", status.message);
    t.launch(custom_task("c", "E"));
    assert!(t.sent.clone().unwrap().message.contains("2 tasks, as many as it takes"));
    for n in 0..10 {
        t.launch(command_task(&format!("flood-{n}")));
    }
    assert_eq!(t.agent.tasks().count(), 4, "refusals are bounded as well");
}

#[test]
fn an_unknown_user_is_an_error_before_anything_runs() {
    let mut t = Scenario::registered();
    t.hold = true;
    t.launch(command_task("t"));
    t.release();
    let container = t.started[0].container.clone();
    let why = StartFailure::User("user 'ann' is unknown on here".into());
    t.forget_done();
    t.step(Event::ExecutorNotStarted { container, why });
    t.did(["write ExecutorEnded", "update t Error", "to master: ExecutorEnded"]);
    assert_eq!(t.sent.clone().unwrap().message, "user 'ann' is unknown on here");
    assert!(t.agent.used().is_empty());
}

#[test]
fn an_executor_that_cannot_be_noted_is_not_started() {
    let mut t = Scenario::registered();
    t.hold = true;
    t.launch(command_task("t"));
    t.forget_done();
    t.fail_held();
    t.did(["write ExecutorEnded", "update t Failed", "to master: ExecutorEnded"]);
    assert_eq!(t.sent.clone().unwrap().reason, Some(Reason::ContainerLaunchFailed));
    assert!(t.started.is_empty());
}

#[test]
fn a_task_may_follow_itself_while_the_old_executor_still_ends() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.executor_says(0, "t", TaskState::Finished);
    t.acknowledge();
    t.forget_done();
    t.launch(command_task("t"));
    t.did(["write ExecutorLaunching", "start executor t", "write ExecutorStarted"]);
    t.executor_exits(0, Exit::Code(0));
    assert_eq!(t.agent.tasks().count(), 1);
    t.executor_registers(1);
    assert_eq!(t.agent.executors().count(), 1);
}

#[test]
fn the_next_life_of_an_executor_takes_over_what_the_ending_one_holds() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.executor_registers(0);
    let with_one = t.agent.used();
    let (framework, id) = (FrameworkId::new("F"), ExecutorId::new("E"));
    t.hear(1, MasterToAgent::ShutdownExecutor { epoch: 1, framework, executor: id });
    t.launch(custom_task("b", "E"));
    let task = custom_task("b", "E").resources;
    assert_eq!(t.agent.used(), with_one.plus(&task), "one executor and two tasks");
    t.executor_exits(0, Exit::Signal(9));
    assert_eq!(t.agent.used(), with_one, "the new executor and its task");
    t.executor_exits(1, Exit::Signal(9));
    assert!(t.agent.used().is_empty());
}
