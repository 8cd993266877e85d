//! How frameworks subscribe, fail over and end.

use std::time::Duration;

use protocol::change::{FrameworkState, What};
use protocol::framework::{Capability, FrameworkToMaster, MasterToFramework};
use protocol::ids::{ExecutorId, FrameworkId};
use protocol::offer::Demand;
use protocol::resources::Resources;
use protocol::task::TaskState;

use super::scenario::{Scenario, agent_pid, framework_info, report, scheduler_pid, task};
use crate::config::Config;
use crate::logic::{Effect, Event};

#[test]
fn a_framework_is_written_then_told_and_repeats_are_harmless() {
    let mut t = Scenario::new();
    t.registrar_is_slow = true;
    t.subscribes(1);
    t.subscribes(1);
    t.did([]);
    t.write();
    t.did(["to scheduler-1: Subscribed(c-0000) []"]);
    assert!(t.unwritten.is_empty());
    t.subscribes(1);
    t.did(["to scheduler-1: Subscribed(c-0000) []"]);
}

/// Or it would have two that count as there, of which only one ends with it.
#[test]
fn a_scheduler_speaks_for_one_framework_at_a_time() {
    let mut t = Scenario::new();
    t.registrar_is_slow = true;
    let info = framework_info("any", &[]);
    let anew = |nonce| FrameworkToMaster::Subscribe {
        nonce,
        framework: None,
        info: info.clone(),
        demand: Vec::new(),
    };
    t.scheduler_says(1, anew(71));
    t.scheduler_says(1, anew(72));
    t.write();
    t.write();
    let has_left = |t: &Scenario, number: usize| {
        let id = FrameworkId::new(format!("c-000{number}"));
        let left = What::FrameworkState { framework: id, state: FrameworkState::Disconnected };
        t.changes.iter().any(|change| change.what == left)
    };
    assert!(has_left(&t, 0) && !has_left(&t, 1), "{:?}", t.changes);
    t.forget_lines();
    t.scheduler_says(1, anew(73));
    t.did(["to scheduler-1: Refused: this scheduler already speaks for framework c-0001"]);
}

#[test]
fn a_repeat_of_a_subscription_voids_the_offers_on_their_way() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.forget_lines();
    t.subscribes(1);
    t.did([
        "to scheduler-1: Rescinded O1",
        "to scheduler-1: Subscribed(c-0000) []",
        "to scheduler-1: O2 of S0: cpus:4;mem:4096",
    ]);
}

/// The answer may be much, and still on its way.
#[test]
fn a_scheduler_with_many_tasks_is_not_told_all_again_at_once() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    let tasks = (0..30).map(|n| task(&format!("t{n}"), 0.1));
    t.launches(1, 1, tasks.collect());
    t.subscribes(1);
    t.forget_lines();
    let is_told_all = |t: &mut Scenario| {
        t.subscribes(1);
        t.take_lines().iter().any(|line| line.contains("Subscribed"))
    };
    t.pass(Duration::from_millis(2));
    assert!(!is_told_all(&mut t));
    t.pass(Duration::from_millis(1));
    assert!(is_told_all(&mut t));
    // With another demand, or from another process, it is another wish.
    let demand =
        vec![Demand { each: Resources::cpus_mem(1.0, 1.0), count: 1, constraints: Vec::new() }];
    t.subscribes_as(1, None, &[Capability::PartitionAware], demand);
    assert!(t.take_lines().iter().any(|line| line.contains("Subscribed")));
    t.down(scheduler_pid(1));
    assert!(is_told_all(&mut t));
}

#[test]
fn an_unknown_id_and_a_framework_without_roles_are_refused() {
    let mut t = Scenario::new();
    t.subscribes_as(1, Some("c-0009"), &[], Vec::new());
    t.did(["to scheduler-1: Refused: framework c-0009 is not known to cluster c"]);
    let mut info = framework_info("web", &[]);
    info.roles.clear();
    let message = FrameworkToMaster::Subscribe { nonce: 1, framework: None, info, demand: vec![] };
    t.scheduler_says(1, message);
    t.did(["to scheduler-1: Refused: the framework's list of roles is empty"]);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.did(["to scheduler-1: Error: this scheduler is not subscribed"]);
}

#[test]
fn the_newest_scheduler_wins_and_the_old_one_cannot_come_back() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    t.subscribes_as(2, Some("c-0000"), &[Capability::PartitionAware], Vec::new());
    t.did([
        "to scheduler-1: FailedOver",
        "to scheduler-2: Subscribed(c-0000) [a Staging]",
        "to scheduler-2: O2 of S0: cpus:3;mem:3968",
    ]);
    t.news(1, "a", TaskState::Running, 1);
    t.did(["to scheduler-2: a Running"]);
    t.subscribes_as(1, Some("c-0000"), &[Capability::PartitionAware], Vec::new());
    t.did(["to scheduler-1: FailedOver"]);
    t.down(scheduler_pid(1)); // late
    t.news(1, "a", TaskState::Finished, 2);
    t.did(["to scheduler-2: a Finished", "to scheduler-2: O3 of S0: cpus:1;mem:128"]);
}

#[test]
fn a_lost_scheduler_may_return_within_the_time_out() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    t.down(scheduler_pid(1));
    for _ in 0..3500 / 15 {
        t.pass(Duration::from_secs(15));
        pong(&mut t);
    }
    t.forget_lines();
    t.subscribes_as(2, Some("c-0000"), &[Capability::PartitionAware], Vec::new());
    t.did([
        "to scheduler-2: Subscribed(c-0000) [a Staging]",
        "to scheduler-2: O2 of S0: cpus:3;mem:3968",
    ]);
    for _ in 0..10 {
        t.pass(Duration::from_secs(15)); // the old timer fires, and is void
        pong(&mut t);
    }
    assert_eq!(t.written.frameworks.len(), 1);
}

fn pong(t: &mut Scenario) {
    let pong = protocol::agent::AgentToMaster::Pong { sequence: u64::MAX };
    t.agent_says(agent_pid(1, 1), pong);
}

#[test]
fn a_framework_that_is_not_back_in_time_is_removed_and_its_tasks_end() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.down(scheduler_pid(1));
    for _ in 0..3600 / 15 {
        t.pass(Duration::from_secs(15));
        pong(&mut t);
    }
    let last = t.written.longest_removed().map(ToString::to_string);
    assert_eq!(last.as_deref(), Some("c-0000"));
    t.forget_lines();
    t.subscribes_as(2, Some("c-0000"), &[], Vec::new());
    t.did(["to scheduler-2: Refused: Framework has been removed"]);
}

/// Its resources are not free before its tasks have ended.
#[test]
fn a_torn_down_framework_holds_its_resources_until_its_tasks_have_ended() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0), task("b", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    t.forget_lines();
    t.registrar_is_slow = true;
    t.scheduler_says(1, FrameworkToMaster::Teardown);
    t.did([]);
    t.write();
    t.did(["to scheduler-1: TornDown", "to agent-1: ShutdownFramework c-0000"]);
    t.registrar_is_slow = false;
    t.subscribes(2);
    t.did(["to scheduler-2: Subscribed(c-0001) []", "to scheduler-2: O2 of S0: cpus:2;mem:3840"]);
    t.news(1, "a", TaskState::Killed, 2);
    t.did(["to agent-1: Acknowledge a 2", "to scheduler-2: O3 of S0: cpus:1;mem:128"]);
    let ended = protocol::agent::AgentToMaster::ExecutorEnded {
        framework: FrameworkId::new("c-0000"),
        executor: ExecutorId::new("b"),
        container: protocol::ids::ContainerId::new("x"),
        exit: None,
    };
    t.agent_says(agent_pid(1, 1), ended);
    t.did(["to scheduler-2: O4 of S0: cpus:1;mem:128"]);
}

#[test]
fn an_agent_that_returns_with_tasks_of_a_removed_framework_is_told_to_end_them() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    t.down(agent_pid(1, 1));
    t.scheduler_says(1, FrameworkToMaster::Teardown);
    t.forget_lines();
    t.agent_returns(1, 1, vec![report(1, "a", TaskState::Running)]);
    t.did(["to agent-1: Registered(c-S0) in epoch 1", "to agent-1: ShutdownFramework c-0000"]);
    t.news(1, "a", TaskState::Killed, 2);
    t.did(["to agent-1: Acknowledge a 2"]);
}

#[test]
fn a_new_description_is_written_before_it_counts() {
    let mut t = Scenario::new();
    t.subscribes(1);
    t.forget_lines();
    t.registrar_is_slow = true;
    t.subscribes_as(2, Some("c-0000"), &[Capability::StatesDemand], Vec::new());
    t.did([]);
    t.write();
    t.did(["to scheduler-1: FailedOver", "to scheduler-2: Subscribed(c-0000) []"]);
}

#[test]
fn a_cluster_full_of_frameworks_takes_no_more() {
    let mut t = Scenario::with(Config { frameworks_max: 1, ..Config::default() });
    t.subscribes(1);
    t.forget_lines();
    t.subscribes(2);
    t.did(["to scheduler-2: Refused: the cluster has 1 frameworks, as many as it may"]);
}

#[test]
fn that_a_framework_is_removed_is_told_to_nobody_before_it_is_written() {
    let mut t = Scenario::new();
    t.subscribes(1);
    t.forget_lines();
    t.registrar_is_slow = true;
    t.down(scheduler_pid(1));
    t.pass(Duration::from_secs(8 * 24 * 3600));
    t.subscribes_as(2, Some("c-0000"), &[], Vec::new());
    t.did([]);
    t.write();
    t.subscribes_as(2, Some("c-0000"), &[], Vec::new());
    t.did(["to scheduler-2: Refused: Framework has been removed"]);
}

#[test]
fn what_is_left_of_a_removed_framework_is_asked_about_with_each_ping() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    t.scheduler_says(1, FrameworkToMaster::Teardown);
    t.forget_lines();
    t.pass(Config::default().ping_every);
    t.did([
        "to agent-1: Ping 1",
        "to agent-1: ShutdownFramework c-0000",
        "to agent-1: Reconcile a",
    ]);
    t.news(1, "a", TaskState::Dropped, 2);
    t.did(["to agent-1: Acknowledge a 2"]);
    t.pass(Config::default().ping_every);
    t.did(["to agent-1: Ping 2"]);
}

fn undelivered(t: &mut Scenario, message: MasterToFramework) {
    let effect = Effect::TellFramework { to: scheduler_pid(1), message };
    t.step(Event::Untold(effect.untold().expect("something is owed")));
}

#[test]
fn a_scheduler_that_missed_something_is_told_all_once_there_is_room() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    undelivered(&mut t, MasterToFramework::Deltas(Vec::new()));
    undelivered(&mut t, MasterToFramework::Deltas(Vec::new()));
    t.did([]);
    t.pass(Duration::from_secs(1));
    t.did(["to scheduler-1: Subscribed(c-0000) [a Staging]"]);
    t.pass(Duration::from_secs(1));
    t.did([]);
}

#[test]
fn the_last_word_to_a_scheduler_is_repeated_until_there_is_room() {
    let mut t = Scenario::new();
    t.subscribes(1);
    t.subscribes_as(2, Some("c-0000"), &[], Vec::new());
    t.forget_lines();
    undelivered(&mut t, MasterToFramework::FailedOver);
    t.pass(Duration::from_secs(1));
    t.did(["to scheduler-1: FailedOver"]);
}

#[test]
fn the_last_word_is_owed_to_nobody_who_is_out_of_reach() {
    for word in [MasterToFramework::FailedOver, MasterToFramework::TornDown] {
        let effect = Effect::TellFramework { to: scheduler_pid(1), message: word };
        assert!(!effect.untold().unwrap().is_owed_to_the_lost());
    }
    let news = MasterToFramework::Deltas(Vec::new());
    let effect = Effect::TellFramework { to: scheduler_pid(1), message: news };
    assert!(effect.untold().unwrap().is_owed_to_the_lost());
}

#[test]
fn a_framework_may_name_itself_but_not_as_the_cluster_names_others() {
    let mut t = Scenario::new();
    t.subscribes_as(1, Some("mine"), &[], Vec::new());
    t.did(["to scheduler-1: Refused: framework mine is not known to cluster c"]);
    let names_itself = [Capability::NamesItself];
    t.subscribes_as(1, Some("c-0000"), &names_itself, Vec::new());
    t.did(["to scheduler-1: Refused: framework c-0000 is not known to cluster c"]);
    t.subscribes_as(1, Some("mine"), &names_itself, Vec::new());
    assert!(t.written.frameworks.contains_key(&FrameworkId::new("mine")), "it is written down");
    t.forget_lines();
    t.subscribes(2);
    assert!(t.written.frameworks.contains_key(&FrameworkId::new("c-0000")), "numbers go on");
}

/// A second life of its scheduler asks while the first is still being written down.
#[test]
fn a_scheduler_that_was_overtaken_while_it_was_written_down_is_told() {
    let mut t = Scenario::new();
    t.registrar_is_slow = true;
    let names_itself = [Capability::NamesItself];
    t.subscribes_as(1, Some("mine"), &names_itself, Vec::new());
    t.forget_lines();
    t.subscribes_as(2, Some("mine"), &names_itself, Vec::new());
    t.did(["to scheduler-1: FailedOver"]);
}
