//! On what the framework's own executors are started, and in which words they are launched on again.

use protocol::resources::Resources;
use protocol::task::{Run, TaskState};

use super::scenario::{Scenario, status};

fn resources(text: &str) -> Resources {
    text.parse().expect(text)
}

/// What was launched last: each task with its executor's part.
fn launched(t: &Scenario) -> Vec<String> {
    let all = t.launched();
    let words = all.iter().map(|task| match &task.run {
        Run::Executor { executor, .. } => format!("{} + {}", task.resources, executor.resources),
        Run::Command(_) => task.resources.to_string(),
    });
    words.collect()
}

#[test]
fn an_executor_starts_on_what_is_reserved_where_all_of_an_agent_is() {
    let mut t = Scenario::with_master();
    t.framework_wants(&["t1@x", "t2@x", "t3@x"]);
    t.offer_of(1, "o1", resources("cpus(eng):3"));
    assert_eq!(launched(&t), ["cpus(eng):1 + cpus(eng):0.5", "cpus(eng):1 + cpus(eng):0.5"]);
}

#[test]
fn an_executor_is_launched_on_again_in_the_words_in_which_it_was_started() {
    let mut t = Scenario::with_master();
    t.framework_wants(&["t1@x"]);
    t.offer_of(1, "o1", resources("cpus(eng):1.2;cpus:9"));
    let started = "cpus(eng):1 + cpus:0.3;cpus(eng):0.2";
    assert_eq!(launched(&t), [started]);
    // The master may make an offer before it has heard of that.
    t.framework_wants(&["t2@x"]);
    t.offer_of(1, "o2", resources("cpus(eng):1.3;cpus:9"));
    assert_eq!(launched(&t), [started]);
    t.framework_wants(&["t3@x"]);
    t.offer_beside(1, "o3", resources("cpus(eng):9"), &["x"]);
    assert_eq!(launched(&t), [started]);
    // Its tasks have ended, and it is still there.
    for (n, task) in ["t1@x", "t2@x", "t3@x"].iter().enumerate() {
        t.updated(1, status(task, TaskState::Finished, 7 + n as u64));
    }
    t.framework_wants(&["t4@x"]);
    t.offer_beside(1, "o4", resources("cpus(eng):9"), &["x"]);
    assert_eq!(launched(&t), [started]);
    // It is not any more, and is started anew.
    t.updated(1, status("t4@x", TaskState::Finished, 17));
    t.framework_wants(&["t5@x"]);
    t.offer_of(1, "o5", resources("cpus(eng):9"));
    assert_eq!(launched(&t), ["cpus(eng):1 + cpus(eng):0.5"]);
}

#[test]
fn what_an_earlier_life_started_is_known_from_the_masters_report() {
    let mut earlier = Scenario::with_master();
    earlier.framework_wants(&["t1@x"]);
    earlier.offer_of(1, "o1", resources("cpus(eng):9"));
    let mut t = Scenario::new(Some("F"));
    t.start();
    let report = t.report("t1@x", TaskState::Running, None);
    let spec = earlier.launched().remove(0);
    t.subscribed(1, 1, vec![protocol::task::TaskReport { spec: spec.into(), ..report }]);
    t.framework_wants(&["t2@x"]);
    t.offer_beside(1, "o2", resources("cpus:9"), &["x"]);
    assert_eq!(launched(&t), ["cpus:1 + cpus(eng):0.5"]);
}
