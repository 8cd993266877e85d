//! What follows an end that was told: nothing, until the id is launched again; and then nothing of the earlier task.

use protocol::ids::AgentId;

use super::*;

/// A task "a" that was launched, has ended, and was forgotten by master 1.
fn ended() -> Scenario {
    let mut t = Scenario::running("a");
    t.updated(1, status("a", TaskState::Finished, 7));
    t.deltas(1, vec![forgotten(2, "a")]);
    t.lines.clear();
    t
}

fn launched_again() -> Scenario {
    let mut t = ended();
    t.framework_wants(&["a"]);
    t.offer(1, "o2", 2.0);
    t.did(["offers o2", "to 1: Accept o2 launch a", "Doubts in 5s"]);
    t
}

fn has_a(t: &Scenario) -> bool {
    t.framework.driver().book().any(|(id, _)| id.as_str() == "a")
}

#[test]
fn late_news_of_an_ended_task_is_acknowledged_and_not_told() {
    let mut t = ended();
    t.updated(1, status("a", TaskState::Running, 4));
    t.did(["to 1: Kill a", "to 1: Acknowledge a 4"]);
    t.down(1);
    t.lines.clear();
    t.subscribed(2, 2, vec![]);
    t.updated(2, status("a", TaskState::Running, 3));
    t.did(["link 2", "Reconcile in 300s", "subscribed F", "to 2: Kill a", "to 2: Acknowledge a 3"]);
}

#[test]
fn a_task_that_was_lost_and_comes_back_running_is_killed_and_not_told_of() {
    let mut t = Scenario::running("a");
    let mut lost = status("a", TaskState::Lost, 0);
    lost.reason = Some(Reason::AgentRemoved);
    t.updated(1, lost);
    t.did(["updated a Lost"]);
    t.deltas(1, vec![forgotten(2, "a"), delta(3, "a", TaskState::Running)]);
    t.did(["to 1: Kill a"]);
    t.updated(1, status("a", TaskState::Killed, 8));
    t.did(["to 1: Acknowledge a 8"]);
}

/// Whoever takes over the tasks that it sees would wait for the end of this one for ever.
#[test]
fn a_task_that_was_lost_and_is_in_the_next_snapshot_is_not_there_to_be_taken_over() {
    let mut t = Scenario::running("a");
    let mut lost = status("a", TaskState::Lost, 0);
    lost.reason = Some(Reason::AgentRemoved);
    t.updated(1, lost);
    t.down(1);
    t.lines.clear();
    let runs = |t: &Scenario, task| t.report(task, TaskState::Running, None);
    t.subscribed(2, 2, vec![runs(&t, "a"), runs(&t, "b")]);
    assert_eq!(t.seen(), ["b"]);
    assert!(t.lines.contains(&"to 2: Kill a".to_owned()), "{:?}", t.lines);
}

#[test]
fn an_end_that_comes_again_does_not_end_the_next_task_of_its_id() {
    let mut t = launched_again();
    t.down(1);
    t.lines.clear();
    let again = Some(status("a", TaskState::Finished, 7));
    t.subscribed(2, 2, vec![t.report("a", TaskState::Finished, again)]);
    t.did(["link 2", "to 2: Acknowledge a 7", "Doubts in 5s", "Reconcile in 300s", "subscribed F"]);
    assert!(has_a(&t), "the launch is still to be accounted for");
    t.pass(SECOND * 10);
    t.timer_due("Doubts");
    t.did(["to 2: Reconcile a", "Doubts in 2s"]);
}

#[test]
fn news_from_where_an_earlier_task_of_the_id_ran_is_not_of_this_one() {
    let mut t = launched_again();
    let mut late = status("a", TaskState::Failed, 4);
    late.agent = Some(AgentId::new("S9"));
    t.updated(1, late);
    t.did(["to 1: Acknowledge a 4"]);
    assert!(has_a(&t));
}

#[test]
fn a_launch_that_waited_for_a_store_when_the_master_was_lost_never_happened() {
    let mut t = ended();
    t.framework_wants(&["a"]);
    t.input("store");
    t.offer(1, "o2", 2.0);
    t.lines.clear();
    t.down(1);
    t.did(["to leader: Subscribe F", "Subscribe in <250ms", "disconnected", "updated a Dropped"]);
    assert!(!has_a(&t));
}
