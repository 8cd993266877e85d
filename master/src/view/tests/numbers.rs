//! What is counted under Mesos's names.

use protocol::task::{Reason, Source, TaskStatus};

use super::*;

#[test]
fn metr_01_a_view_counts_under_mesoss_names_and_those_of_frameworks_and_reasons() {
    let mut view = filled();
    let lost = TaskStatus {
        state: TaskState::Lost,
        source: Source::Master,
        reason: Some(Reason::AgentRemoved),
        ..status(1, "a", TaskState::Lost, None)
    };
    tell(&mut view, What::TaskStatus(lost.into()));
    let (framework, task) = (id(0), TaskId::new("a"));
    tell(&mut view, What::TaskForgotten { framework, task, state: TaskState::Lost });
    let (numbers, of_frameworks) = view.numbers();
    for (name, number) in [
        ("master/tasks_running", 3.0),
        ("master/tasks_lost", 1.0),
        ("master/task_lost/source_master/reason_slave_removed", 1.0),
        ("master/slaves_active", 1.0),
        ("master/frameworks_connected", 1.0),
        ("master/cpus_revocable_total", 0.0),
    ] {
        assert_eq!(numbers.get(name), Some(&number), "{name} in {numbers:#?}");
    }
    for (name, number) in [("subscribed", 1.0), ("tasks/active/task_running", 3.0)] {
        let counted = (id(0), name.to_owned(), number);
        assert!(of_frameworks.contains(&counted), "{name} in {of_frameworks:#?}");
    }
    for name in numbers.keys().filter(|name| !name.starts_with("master/task_lost/")) {
        assert!(crate::COUNTED.contains(&name.as_str()), "{name} is none of Mesos's");
    }
    assert!(crate::COUNTED.is_sorted());
}
