//! What an elected scheduler says while nobody can say whether it leads, and that it says nothing after.

use super::*;

#[test]
fn a_deposed_scheduler_says_nothing_more_whatever_comes() {
    let mut t = Scenario::running("a");
    t.store_on_update();
    t.updated(1, status("a", TaskState::Finished, 7));
    t.did(["updated a Finished", "store 1"]);
    t.deposed();
    let end = "Deposed(\"another leads\")";
    t.did([&format!("end {end}"), &format!("ended {end}")]);
    t.stored(1);
    t.offer(1, "o2", 2.0);
    t.down(1);
    t.other_leader();
    t.timer_due("Reconcile");
    t.resumed();
    t.input("kill a");
    t.did([]);
}

#[test]
fn what_a_suspended_scheduler_says_waits_for_a_write_that_only_a_leader_can_make() {
    let mut t = Scenario::with_master();
    t.framework_wants(&["a"]);
    t.suspended();
    t.offer(1, "o1", 1.0);
    t.did(["offers o1", "store 1", "Doubts in 5s"]);
    t.resumed();
    t.did([]);
    t.stored(1);
    t.did(["to 1: Accept o1 launch a"]);
    t.input("kill a");
    t.did(["to 1: Kill a"]);
}

#[test]
fn a_suspended_scheduler_that_loses_its_master_subscribes_once_it_leads_again() {
    let mut t = Scenario::with_master();
    t.suspended();
    t.down(1);
    t.did(["Subscribe in <250ms", "disconnected"]);
    t.timer_due("Subscribe");
    t.did(["Subscribe in <500ms"]);
    t.resumed();
    t.did(["to leader: Subscribe F", "Subscribe in <250ms"]);
    t.subscribed(2, 2, vec![]);
    t.did(["link 2", "Reconcile in 300s", "subscribed F"]);
}
