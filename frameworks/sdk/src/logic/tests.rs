//! Decisions of the driver, one step at a time: what the scheduler hears and what the master is told.

mod doubts;
mod ends;
mod executors;
mod leading;
mod saying;
mod scenario;
mod wishes;
mod words;

use std::time::Duration;

use protocol::change::What;
use protocol::ids::AgentId;
use protocol::resources::Resources;
use protocol::task::{Reason, TaskState, TaskStatus};

use scenario::{Scenario, delta, forgotten, status};

use super::{NotLaunched, Outcome, Timer};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn first_contact_is_repeated_with_backoff_until_answered() {
    let mut t = Scenario::new(None);
    t.start();
    t.did(["to leader: Subscribe new", "Subscribe in <250ms", "started"]);
    t.timer_due("Subscribe");
    t.did(["to leader: Subscribe new", "Subscribe in <500ms"]);
    // However long nobody answers: whoever leads is found soon after it can be reached.
    for _ in 0..100 {
        t.timer_due("Subscribe");
    }
    t.lines.clear();
    t.timer_due("Subscribe");
    t.did(["to leader: Subscribe new", "Subscribe in <2s"]);
}

#[test]
fn a_new_id_is_written_before_it_counts() {
    let mut t = Scenario::new(None);
    t.start();
    t.lines.clear();
    t.subscribed(1, 1, vec![]);
    t.did(["link 1", "remember F"]);
    t.offer(1, "o1", 4.0);
    t.did([]);
    assert_eq!(t.framework.driver().framework(), None);
    t.framework_wants(&["a"]);
    t.remembered();
    t.did([
        "subscribed F",
        "Reconcile in 300s",
        "offers o1",
        "to 1: Accept o1 launch a",
        "Doubts in 5s",
    ]);
}

#[test]
fn a_need_that_no_agent_can_meet_is_a_warning_as_long_as_it_is_needed() {
    let mut t = Scenario::running("a");
    t.input("want 2");
    t.lines.clear();
    t.unmet(1, Resources::cpus_mem(1.0, 0.0));
    t.did(["warn: no offer will come: no agent has it"]);
    t.unmet(1, Resources::cpus_mem(7.0, 0.0));
    t.did([]);
}

#[test]
fn a_connection_lost_while_the_id_is_written_does_not_lose_the_id() {
    let mut t = Scenario::new(None);
    t.start();
    t.subscribed(1, 1, vec![]);
    t.lines.clear();
    t.down(1);
    t.remembered();
    t.timer_due("Subscribe");
    t.did([
        "to leader: Subscribe new",
        "Subscribe in <250ms",
        "to leader: Subscribe F",
        "Subscribe in <500ms",
    ]);
}

#[test]
fn a_lost_master_is_looked_for_by_name_with_the_known_id() {
    let mut t = Scenario::with_master();
    t.down(2);
    t.did([]);
    t.down(1);
    t.did(["to leader: Subscribe F", "Subscribe in <250ms", "disconnected"]);
    t.subscribed(2, 2, vec![]);
    t.did(["link 2", "Reconcile in 300s", "subscribed F"]);
}

#[test]
fn another_leader_is_gone_to_at_once_whether_or_not_the_old_one_is_lost() {
    let mut t = Scenario::with_master();
    t.other_leader();
    t.did(["unlink 1", "to leader: Subscribe F", "Subscribe in <250ms", "disconnected"]);
    t.timer_due("Subscribe");
    t.lines.clear();
    t.other_leader();
    t.did(["to leader: Subscribe F", "Subscribe in <250ms"]);
    t.subscribed(2, 2, vec![]);
    t.did(["link 2", "Reconcile in 300s", "subscribed F"]);
}

#[test]
fn what_a_master_says_that_is_not_followed_is_not_heard() {
    let mut t = Scenario::with_master();
    t.down(1);
    t.subscribed(2, 2, vec![]);
    t.lines.clear();
    t.offer(1, "o1", 4.0);
    t.subscribed(3, 1, vec![]);
    t.did([]);
}

#[test]
fn a_message_that_could_not_be_sent_is_healed_by_a_new_subscription() {
    let mut t = Scenario::with_master();
    t.not_sent(1);
    t.did(["unlink 1", "to leader: Subscribe F", "Subscribe in <250ms", "disconnected"]);
}

#[test]
fn offers_are_used_or_returned_at_once() {
    let mut t = Scenario::with_master();
    t.framework_wants(&["a", "b", "c"]);
    t.offer(1, "o1", 2.5);
    t.did(["offers o1", "to 1: Accept o1 launch a,b", "Doubts in 5s"]);
    t.framework_wants(&[]);
    t.offer(1, "o2", 2.5);
    t.did(["offers o2", "to 1: Decline o2"]);
}

#[test]
fn a_task_is_not_launched_again_before_its_end_is_dealt_with_and_forgotten() {
    let mut t = Scenario::running("a");
    t.framework_wants(&["a"]);
    t.offer(1, "o2", 2.0);
    t.did(["offers o2", "not launched a", "to 1: Decline o2"]);
    t.updated(1, status("a", TaskState::Finished, 7));
    t.did(["updated a Finished", "to 1: Acknowledge a 7"]);
    t.framework_wants(&["a"]);
    t.offer(1, "o3", 2.0);
    t.did(["offers o3", "not launched a", "to 1: Decline o3"]);
    t.deltas(1, vec![forgotten(2, "a")]);
    t.framework_wants(&["a"]);
    t.offer(1, "o4", 2.0);
    t.did(["offers o4", "to 1: Accept o4 launch a", "Doubts in 5s"]);
}

#[test]
fn an_update_is_told_once_and_acknowledged_each_time() {
    let mut t = Scenario::running("a");
    t.updated(1, status("a", TaskState::Running, 6));
    t.did(["to 1: Acknowledge a 6"]);
    t.updated(1, status("a", TaskState::Starting, 5));
    t.did(["to 1: Acknowledge a 5"]);
}

#[test]
fn an_acknowledgement_waits_until_what_the_scheduler_stored_is_written() {
    let mut t = Scenario::running("a");
    t.store_on_update();
    t.updated(1, status("a", TaskState::Finished, 7));
    t.did(["store 1", "updated a Finished"]);
    t.stored(1);
    t.did(["to 1: Acknowledge a 7"]);
}

#[test]
fn an_answer_waits_in_its_own_flow_for_what_was_stored_in_another() {
    let mut t = Scenario::running("a");
    t.store_on_update();
    t.updated(1, status("a", TaskState::Finished, 7));
    t.did(["store 1", "updated a Finished"]);
    t.offer(1, "o2", 2.0);
    t.did(["offers o2", "store 2"]);
    t.stored(1);
    t.did(["to 1: Acknowledge a 7"]);
    t.stored(2);
    t.did(["to 1: Decline o2"]);
}

#[test]
fn a_scheduler_that_stops_is_done_only_when_all_is_stored_and_said() {
    let mut t = Scenario::running("a");
    t.store_on_update();
    t.stop_on_update();
    t.updated(1, status("a", TaskState::Finished, 7));
    t.did(["store 1", "updated a Finished"]);
    t.stored(1);
    t.did(["to 1: Acknowledge a 7", "end Stopped", "ended Stopped"]);
    t.offer(1, "o2", 2.0);
    t.did([]);
}

#[test]
fn a_launch_lost_with_its_master_is_asked_about_and_then_dropped() {
    let mut t = Scenario::with_master();
    t.framework_wants(&["a"]);
    t.offer(1, "o1", 2.0);
    t.down(1);
    t.lines.clear();
    t.subscribed(2, 2, vec![]);
    t.did(["link 2", "to 2: Reconcile a", "Doubts in 1s", "Reconcile in 300s", "subscribed F"]);
    t.timer_due("Doubts");
    t.did(["to 2: Reconcile a", "Doubts in 2s"]);
    t.timer_due("Doubts");
    t.did(["to 2: Reconcile a", "Doubts in 2s"]);
    let mut answer = status("a", TaskState::Unknown, 0);
    answer.reason = Some(Reason::Reconciliation);
    t.updated(2, answer.clone());
    t.did(["updated a Dropped"]);
    t.updated(2, answer);
    t.timer_due("Doubts");
    t.did([]);
}

#[test]
fn a_launch_that_an_agent_out_of_reach_may_have_stays_in_doubt() {
    let mut t = Scenario::with_master();
    t.framework_wants(&["a"]);
    t.offer(1, "o1", 2.0);
    t.down(1);
    t.subscribed(2, 2, vec![]);
    let mut answer = status("a", TaskState::Unreachable, 0);
    answer.reason = Some(Reason::TaskUnknown);
    t.lines.clear();
    t.updated(2, answer.clone());
    t.did(["updated a Unreachable"]);
    t.timer_due("Doubts");
    t.did(["to 2: Reconcile a", "Doubts in 2s"]);
    t.updated(2, answer.clone());
    t.did([]);
    answer.state = TaskState::Unknown;
    t.updated(2, answer);
    t.did(["updated a Dropped"]);
}

#[test]
fn a_launch_without_any_word_of_it_is_asked_about() {
    let mut t = Scenario::with_master();
    t.framework_wants(&["a"]);
    t.offer(1, "o1", 2.0);
    t.lines.clear();
    t.pass(SECOND * 5);
    t.timer_due("Doubts");
    t.did(["to 1: Reconcile a", "Doubts in 2s"]);
    t.deltas(1, vec![delta(1, "a", TaskState::Staging)]);
    t.timer_due("Doubts");
    t.did([]);
}

#[test]
fn an_answer_about_an_earlier_task_of_an_id_does_not_end_the_new_one() {
    let mut t = Scenario::with_master();
    t.framework_wants(&["a"]);
    t.offer(1, "o1", 2.0);
    t.down(1);
    t.subscribed(2, 2, vec![]);
    let mut answer = status("a", TaskState::Unknown, 0);
    answer.reason = Some(Reason::Reconciliation);
    t.updated(2, answer.clone());
    t.framework_wants(&["a"]);
    t.offer(2, "o2", 2.0);
    t.lines.clear();
    t.updated(2, answer);
    t.did([]);
    assert!(t.framework.driver().book().any(|(id, _)| id.as_str() == "a"));
}

#[test]
fn the_end_of_an_earlier_task_of_an_id_on_another_agent_does_not_end_the_new_one() {
    let mut t = Scenario::running("a");
    let elsewhere = AgentId::new("S0");
    let agent = Some(elsewhere.clone());
    let ended = TaskStatus { agent, ..status("a", TaskState::Failed, 9) };
    let mut change = delta(2, "a", TaskState::Failed);
    if let What::Task(report) = &mut change.what {
        (report.agent, report.unacknowledged) = (elsewhere, Some(ended.clone().into()));
    }
    t.deltas(1, vec![change]);
    t.did([]);
    t.updated(1, ended);
    t.did(["to 1: Acknowledge a 9"]);
    let (_, task) = t.framework.driver().book().next().expect("it runs on");
    assert_eq!((task.agent.as_str(), task.state), ("S1", TaskState::Running));
}

#[test]
fn a_scheduler_that_returns_hears_how_its_tasks_are() {
    let mut t = Scenario::new(Some("F"));
    t.start();
    t.lines.clear();
    let pending = Some(status("b", TaskState::Finished, 9));
    t.subscribed(
        1,
        3,
        vec![t.report("a", TaskState::Running, None), t.report("b", TaskState::Finished, pending)],
    );
    t.did([
        "link 1",
        "Reconcile in 300s",
        "subscribed F",
        "updated a Running",
        "updated b Finished",
        "to 1: Acknowledge b 9",
    ]);
}

#[test]
fn a_gap_in_the_deltas_begins_anew() {
    let mut t = Scenario::running("a");
    t.deltas(1, vec![forgotten(3, "a")]);
    t.did(["unlink 1", "to leader: Subscribe F", "Subscribe in <250ms", "disconnected"]);
}

#[test]
fn a_kill_is_said_again_to_the_next_master() {
    let mut t = Scenario::running("a");
    t.input("kill a");
    t.did(["to 1: Kill a"]);
    t.down(1);
    t.lines.clear();
    t.subscribed(2, 2, vec![t.report("a", TaskState::Running, None)]);
    t.did(["link 2", "to 2: Kill a", "Reconcile in 300s", "subscribed F"]);
}

#[test]
fn a_forced_kill_is_said_again_with_its_grace() {
    let mut t = Scenario::running("a");
    t.input("kill a");
    t.input("kill a now");
    t.input("kill a");
    t.did(["to 1: Kill a", "to 1: Kill a within 0ns", "to 1: Kill a"]);
    t.down(1);
    t.lines.clear();
    t.subscribed(2, 2, vec![t.report("a", TaskState::Running, None)]);
    t.did(["link 2", "to 2: Kill a within 0ns", "Reconcile in 300s", "subscribed F"]);
}

#[test]
fn a_launch_that_is_killed_at_once_is_never_made() {
    let mut t = Scenario::with_master();
    t.framework_wants(&["a", "b"]);
    t.input("kill b when launched");
    t.offer(1, "o1", 4.0);
    t.did(["offers o1", "to 1: Accept o1 launch a", "Doubts in 5s", "updated b Dropped"]);
}

#[test]
fn demand_is_told_when_it_changes() {
    let mut t = Scenario::with_master();
    t.input("want 3");
    t.did(["to 1: Demand 3"]);
    t.input("want 3");
    t.did([]);
    t.down(1);
    t.input("want 0");
    t.lines.clear();
    t.subscribed(2, 2, vec![]);
    t.did(["link 2", "Reconcile in 300s", "subscribed F", "to 2: Demand 0"]);
}

#[test]
fn a_held_offer_is_returned_before_the_lease_ends() {
    let mut t = Scenario::with_master();
    t.input("hold");
    t.offer(1, "o1", 2.0);
    t.did(["Held in 240s", "offers o1"]);
    t.pass(SECOND * 240);
    t.timer_due("Held");
    t.did(["to 1: Decline o1", "rescinded o1"]);
}

#[test]
fn held_offers_are_void_without_their_master() {
    let mut t = Scenario::with_master();
    t.input("hold");
    t.offer(1, "o1", 2.0);
    t.lines.clear();
    t.down(1);
    t.did(["to leader: Subscribe F", "Subscribe in <250ms", "rescinded o1", "disconnected"]);
}

#[test]
fn a_tear_down_is_said_until_confirmed_and_the_id_forgotten() {
    let mut t = Scenario::running("a");
    t.input("tear down");
    t.did(["to 1: Teardown"]);
    t.down(1);
    t.lines.clear();
    t.subscribed(2, 2, vec![]);
    t.did(["link 2", "to 2: Teardown"]);
    t.down(2);
    t.lines.clear();
    t.refused("no such framework");
    t.did(["forget", "end TornDown", "ended TornDown"]);
}

#[test]
fn the_ends_say_why() {
    let mut t = Scenario::with_master();
    t.failed_over(2);
    t.did([]);
    t.failed_over(1);
    t.did(["end FailedOver", "ended FailedOver"]);
    let mut t = Scenario::with_master();
    t.down(1);
    t.lines.clear();
    t.failed_over(2); // the master has heard of a newer life
    t.did(["end FailedOver", "ended FailedOver"]);
    let mut t = Scenario::new(None);
    t.start();
    t.lines.clear();
    t.refused("role 'x' is unknown");
    t.did(["end Refused(\"role 'x' is unknown\")", "ended Refused(\"role 'x' is unknown\")"]);
    let words = Outcome::Refused("role 'x' is unknown".into()).to_string();
    assert_eq!(words, "the master refused the framework: role 'x' is unknown");
}

#[test]
fn a_late_timer_is_recognised() {
    let mut t = Scenario::with_master();
    t.fire(Timer::Subscribe(1));
    t.fire(Timer::Doubts(1));
    t.fire(Timer::Held(1));
    t.fire(Timer::Reconcile(1));
    t.did([]);
}

#[test]
fn limits_are_kept() {
    let mut t = Scenario::with_master();
    let names: Vec<String> = (0..300).map(|n| format!("t{n}")).collect();
    t.framework_wants(&names.iter().map(String::as_str).collect::<Vec<_>>());
    t.offer(1, "o1", 1000.0);
    assert_eq!(t.refusals().first(), Some(&NotLaunched::TooMany));
    assert_eq!(t.framework.driver().book().count(), 256);
}

#[cfg(feature = "testing")]
mod bugs {
    use super::*;
    use crate::logic::Bug;

    #[test]
    fn each_mistake_shows() {
        let mut t = Scenario::running("a").with_bug(Bug::FilterDuplicatesOff);
        t.updated(1, status("a", TaskState::Running, 6));
        t.did(["updated a Running", "to 1: Acknowledge a 6"]);

        let mut t = Scenario::running("a").with_bug(Bug::IgnoresDeltaGap);
        t.deltas(1, vec![forgotten(3, "a")]);
        t.did(["Doubts in 1s"]);

        let mut t = Scenario::running("a").with_bug(Bug::UpdateToldBeforeStored);
        t.store_on_update();
        t.updated(1, status("a", TaskState::Finished, 7));
        t.did(["store 1", "updated a Finished", "to 1: Acknowledge a 7"]);

        let mut t = Scenario::with_master().with_bug(Bug::RelaunchesUnacknowledged);
        t.framework_wants(&["a"]);
        t.offer(1, "o1", 2.0);
        t.down(1);
        t.lines.clear();
        t.subscribed(2, 2, vec![]);
        t.did(["link 2", "Reconcile in 300s", "subscribed F", "updated a Dropped"]);
    }
}
