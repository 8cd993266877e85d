//! What containers may take, and those that took more.

use api::v1;
use containerizer::isolator::Limitation;
use protocol::carried::Carried;
use protocol::limits::{Most, TaskLimits};
use protocol::resources::Milli;

use super::*;

fn of_memory() -> Limitation {
    Limitation {
        reason: Reason::ContainerLimitationMemory,
        resources: Resources::none().with_scalar("mem", Milli::whole(132)),
        words: "Memory limit exceeded".into(),
    }
}

fn at(units: i64) -> Option<Most> {
    Some(Most::At(Milli::whole(units)))
}

fn limited_task(id: &str, executor: &str, limits: &TaskLimits) -> TaskSpec {
    let info = v1::TaskInfo { limits: limits.to_v1(), ..Default::default() };
    TaskSpec { carried: Carried::new(&info), ..custom_task(id, executor) }
}

fn limited(t: &mut Scenario) {
    let container = t.started[0].container.clone();
    t.step(Event::ContainerLimited { container, limitation: of_memory() });
}

fn failed_by_the_limit(status: &TaskStatus) {
    assert_eq!((status.state, status.source), (TaskState::Failed, Source::Agent));
    assert_eq!(status.reason, Some(Reason::ContainerLimitationMemory));
    assert_eq!(status.message, "Memory limit exceeded");
    let limitation = status.to_v1().unwrap().limitation.expect("what was limited");
    assert_eq!(Resources::from_v1(&limitation.resources).unwrap(), of_memory().resources);
}

#[test]
fn agent_16_a_container_may_take_what_its_executor_and_its_tasks_hold() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    assert_eq!(t.started[0].allowance.holds, Resources::cpus_mem(1.5, 132.0));
    t.executor_registers(0);
    t.given.clear();
    t.launch(custom_task("b", "E"));
    assert_eq!(t.given, [("E".into(), Resources::cpus_mem(2.5, 232.0))]);
    t.given.clear();
    t.executor_says(0, "a", TaskState::Finished);
    assert_eq!(t.given, [("E".into(), Resources::cpus_mem(1.5, 132.0))]);
}

#[test]
fn op_15_a_container_may_take_what_its_tasks_are_limited_to_and_what_the_others_hold() {
    let mut t = Scenario::registered();
    t.launch(limited_task("a", "E", &TaskLimits { cpus: at(3), mem: Some(Most::Unbounded) }));
    let first = &t.started[0].allowance;
    assert_eq!(first.holds, Resources::cpus_mem(1.5, 132.0));
    let most = Some(Most::At(Milli(3500)));
    assert_eq!(first.limits, TaskLimits { cpus: most, mem: Some(Most::Unbounded) });
    t.executor_registers(0);
    t.launch(custom_task("b", "E"));
    let most = Some(Most::At(Milli(4500)));
    assert_eq!(t.limits, TaskLimits { cpus: most, mem: Some(Most::Unbounded) });
    t.executor_says(0, "a", TaskState::Finished);
    assert_eq!(t.limits, TaskLimits::default(), "the second says nothing");
}

#[test]
fn op_15_a_task_with_less_than_it_asks_for_can_never_run() {
    let mut t = Scenario::registered();
    t.launch(limited_task("a", "E", &TaskLimits { cpus: None, mem: at(99) }));
    let status = t.sent.clone().unwrap();
    assert_eq!((status.state, status.reason), (TaskState::Error, Some(Reason::TaskInvalid)));
    assert!(status.message.contains("Task's limit of mem is 99, less than the 100"), "{status:?}");
}

#[test]
fn agent_16_what_was_made_for_a_task_that_has_ended_is_given_nothing() {
    let mut t = Scenario::registered();
    t.with_running("t");
    t.given.clear();
    t.executor_says(0, "t", TaskState::Finished);
    assert_eq!(t.given, []);
}

#[test]
fn agent_16_a_container_that_cannot_be_given_what_it_holds_is_ended() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.executor_registers(0);
    t.forget_done();
    let container = t.started[0].container.clone();
    t.step(Event::ContainerNotGiven { container, words: "no space".into() });
    t.did(["signal E Kill"]);
    t.executor_exits(0, Exit::Signal(9));
    let status = t.sent.clone().unwrap();
    assert_eq!(status.reason, Some(Reason::ContainerUpdateFailed));
    assert!(status.message.ends_with("its container could not be changed: no space"), "{status:?}");
}

#[test]
fn cont_13_who_took_too_much_memory_fails_with_what_there_was_of_it() {
    let mut t = Scenario::registered();
    t.launch(custom_task("a", "E"));
    t.launch(custom_task("b", "E"));
    t.executor_registers(0);
    t.forget_done();
    limited(&mut t);
    t.did(["signal E Kill"]);
    limited(&mut t);
    t.did([]);
    t.executor_exits(0, Exit::Signal(9));
    t.did([
        "unlink 100",
        "write ExecutorEnded",
        "update a Failed",
        "update b Failed",
        "to master: ExecutorEnded",
    ]);
    failed_by_the_limit(&t.sent.clone().unwrap());
    assert!(t.agent.used().is_empty());
}

/// The executor lives, and saw its task killed by somebody.
#[test]
fn cont_13_an_executor_that_says_first_that_its_task_ended_does_not_hide_why() {
    let mut t = Scenario::registered();
    t.with_running("t");
    limited(&mut t);
    t.executor_says(0, "t", TaskState::Failed);
    failed_by_the_limit(&t.sent.clone().unwrap());
}

#[test]
fn cont_13_a_task_that_finished_in_time_has_finished() {
    let mut t = Scenario::registered();
    t.with_running("t");
    limited(&mut t);
    t.executor_says(0, "t", TaskState::Finished);
    assert_eq!(t.sent.clone().unwrap().state, TaskState::Finished);
}
