//! What waits when the way to the master is full, and in what order it goes.

use super::*;

/// A task is launched, for which there is no room.
fn full() -> Scenario {
    let mut t = Scenario::with_master();
    t.framework_wants(&["a"]);
    t.offer(1, "o1", 1.0);
    t.lines.clear();
    let said = t.told();
    t.no_room(1, said);
    t.did(["Room in 5ms"]);
    t
}

#[test]
fn what_finds_no_room_is_said_again_before_all_that_came_later() {
    let mut t = full();
    t.input("kill a");
    t.input("want 3");
    t.did([]);
    t.timer_due("Room");
    let later = ["to 1: Accept o1 launch a", "to 1: Kill a", "to 1: Demand 3", "Room in 5ms"];
    t.did(later);
    t.timer_due("Room");
    t.did([]);
    t.input("kill a");
    t.did(["to 1: Kill a"]);
}

#[test]
fn a_way_that_is_still_full_is_tried_again_and_nothing_is_lost_or_said_twice() {
    let mut t = full();
    for _ in 0..3 {
        t.timer_due("Room");
        t.did(["to 1: Accept o1 launch a", "Room in 5ms"]);
        let said = t.told();
        t.no_room(1, said);
        t.did(["Room in 5ms"]);
    }
    t.deltas(1, vec![delta(1, "a", TaskState::Staging)]);
    assert!(t.framework.driver().book().any(|(task, _)| task.as_str() == "a"));
}

#[test]
fn while_the_way_is_full_nothing_more_is_launched_and_offers_return() {
    let mut t = full();
    t.framework_wants(&["b"]);
    t.offer(1, "o2", 1.0);
    t.did(["offers o2", "not launched b"]);
    assert_eq!(t.refusals(), [NotLaunched::NoRoom(protocol::ids::TaskId::new("b"))]);
    t.timer_due("Room");
    t.did(["to 1: Accept o1 launch a", "to 1: Decline o2", "Room in 5ms"]);
    t.timer_due("Room");
    t.framework_wants(&["b"]);
    t.offer(1, "o3", 1.0);
    t.did(["offers o3", "to 1: Accept o3 launch b"]);
}

#[test]
fn a_launch_that_waits_for_room_when_its_master_is_lost_never_happened() {
    let mut t = full();
    t.down(1);
    t.did(["to leader: Subscribe F", "Subscribe in <250ms", "disconnected", "updated a Dropped"]);
    t.timer_due("Room");
    t.did([]);

    let mut t = Scenario::with_master();
    t.framework_wants(&["b"]);
    t.offer(1, "o2", 1.0);
    let said = t.told();
    t.down(1);
    t.lines.clear();
    // Its last words were given back only after that.
    t.no_room(1, said);
    t.did(["updated b Dropped"]);
}

#[test]
fn a_scheduler_that_stops_has_said_all_before() {
    let mut t = full();
    t.stop_on_update();
    t.updated(1, status("a", TaskState::Running, 7));
    t.did(["updated a Running"]);
    t.timer_due("Room");
    t.did(["to 1: Accept o1 launch a", "to 1: Acknowledge a 7", "Room in 5ms"]);
    t.timer_due("Room");
    t.did(["end Stopped", "ended Stopped"]);
}

#[test]
fn nobody_knows_who_leads_and_the_way_is_full() {
    let mut t = full();
    t.suspended();
    t.timer_due("Room");
    t.did(["Room in 5ms"]);
    t.resumed();
    t.timer_due("Room");
    t.did(["to 1: Accept o1 launch a", "Room in 5ms"]);
}
