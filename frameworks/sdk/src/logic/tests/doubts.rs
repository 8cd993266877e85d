//! Tasks of which nobody can say for a while what became of them.

use protocol::task::{Reason, TaskState};

use super::scenario::{Scenario, delta, status};

/// The answers may be long in coming, and each time all are asked about.
#[test]
fn the_more_tasks_are_in_doubt_the_less_often_they_are_asked_about() {
    let mut t = Scenario::with_master();
    let names: Vec<String> = (0..10_000).map(|n| format!("t{n}")).collect();
    for (n, names) in names.chunks(256).enumerate() {
        t.framework_wants(&names.iter().map(String::as_str).collect::<Vec<_>>());
        t.offer(1, &format!("o{n}"), 256.0);
    }
    t.down(1);
    t.subscribed(2, 2, vec![]);
    for _ in 0..20 {
        t.lines.clear();
        t.timer_due("Doubts");
    }
    assert_eq!(t.lines.pop().as_deref(), Some("Doubts in 3s"));
}

/// Its agent had told an earlier reign of it, and this one knows nothing until the agent is back.
#[test]
fn a_task_that_was_out_of_reach_is_told_to_run_when_a_new_master_learns_of_it() {
    let mut t = Scenario::with_master();
    t.framework_wants(&["a"]);
    t.offer(1, "o1", 2.0);
    t.down(1);
    t.subscribed(2, 2, vec![]);
    let mut answer = status("a", TaskState::Unreachable, 0);
    answer.reason = Some(Reason::TaskUnknown);
    t.updated(2, answer);
    t.lines.clear();
    t.deltas(2, vec![delta(1, "a", TaskState::Running)]);
    t.did(["updated a Running"]);
    t.timer_due("Doubts");
    t.did([]);
}
