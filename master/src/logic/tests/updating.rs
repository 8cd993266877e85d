//! Schedulers that say anew what their frameworks are.

use protocol::framework::{Capability, FrameworkInfo, FrameworkToMaster};
use protocol::ids::{FrameworkId, Role};

use super::scenario::{Scenario, framework_info};

/// Of Mesos's API, by a gateway.
fn info(name: &str, roles: &[&str]) -> FrameworkInfo {
    let capabilities = [Capability::NamesItself];
    let roles = roles.iter().map(|role| role.parse::<Role>().expect("a role")).collect();
    FrameworkInfo { roles, ..framework_info(name, &capabilities) }
}

fn subscribes(t: &mut Scenario, n: u64, framework: Option<&str>, info: FrameworkInfo) {
    let (nonce, framework) = (1000 + n, framework.map(FrameworkId::new));
    let wishes = Vec::new();
    t.scheduler_says(n, FrameworkToMaster::SubscribeWith { nonce, framework, info, wishes });
}

fn updates(t: &mut Scenario, n: u64, number: u64, info: FrameworkInfo) {
    let wishes = Vec::new();
    t.scheduler_says(n, FrameworkToMaster::UpdateFramework { number, info, wishes });
}

fn subscribed() -> Scenario {
    let mut t = Scenario::new();
    subscribes(&mut t, 1, None, info("web", &["a", "b"]));
    t.forget_lines();
    t
}

#[test]
fn fwk_09_an_update_is_answered_by_its_number_once_it_is_written() {
    let mut t = subscribed();
    t.registrar_is_slow = true;
    updates(&mut t, 1, 7, info("net", &["a", "b"]));
    t.did([]);
    t.write();
    t.did(["to scheduler-1: FrameworkUpdated 7"]);
    assert_eq!(t.written.frameworks[&FrameworkId::new("c-0000")].info.name, "net");
}

#[test]
fn fwk_09_what_is_so_already_is_answered_each_time() {
    let mut t = subscribed();
    for number in [1, 2] {
        updates(&mut t, 1, number, info("web", &["a", "b"]));
    }
    t.did(["to scheduler-1: FrameworkUpdated 1", "to scheduler-1: FrameworkUpdated 2"]);
}

#[test]
fn fwk_09_the_newest_of_updates_that_wait_answers_for_all() {
    let mut t = subscribed();
    t.registrar_is_slow = true;
    updates(&mut t, 1, 1, info("net", &["a"]));
    updates(&mut t, 1, 2, info("net", &["b"]));
    t.write();
    t.did([]);
    t.write();
    t.did(["to scheduler-1: FrameworkUpdated 2"]);
}

#[test]
fn fwk_09_offers_of_a_role_that_is_left_are_taken_back_and_others_stay() {
    let takes_back = |role: &str| {
        let mut t = subscribed();
        t.agent_joins(1);
        t.forget_lines();
        updates(&mut t, 1, 1, info("web", &[role]));
        t.take_lines().iter().any(|line| line.contains("Rescinded"))
    };
    let left: Vec<bool> = ["a", "b"].map(takes_back).into();
    assert_eq!(left.iter().filter(|is| **is).count(), 1, "the offer is of one role: {left:?}");
}

#[test]
fn fwk_09_whoever_speaks_for_no_framework_updates_none() {
    let mut t = Scenario::new();
    updates(&mut t, 1, 4, info("web", &["a"]));
    t.did(["to scheduler-1: FrameworkUpdated 4: refused: this scheduler is not subscribed"]);
}

#[test]
fn fwk_09_a_scheduler_that_is_being_superseded_updates_nothing() {
    let mut t = subscribed();
    t.registrar_is_slow = true;
    subscribes(&mut t, 2, Some("c-0000"), info("other", &["a", "b"]));
    updates(&mut t, 1, 1, info("net", &["a", "b"]));
    t.did([
        "to scheduler-1: FrameworkUpdated 1: refused: another life of its scheduler takes over",
    ]);
    t.write();
    t.did(["to scheduler-1: FailedOver", "to scheduler-2: Subscribed(c-0000) []"]);
}

#[test]
fn fwk_09_a_framework_that_is_being_removed_is_not_updated() {
    let mut t = subscribed();
    t.registrar_is_slow = true;
    t.scheduler_says(1, FrameworkToMaster::Teardown);
    updates(&mut t, 1, 1, info("net", &["a", "b"]));
    t.did(["to scheduler-1: FrameworkUpdated 1: refused: Framework has been removed"]);
    t.write();
    t.did(["to scheduler-1: TornDown"]);
}

#[test]
fn fwk_09_what_a_framework_may_not_be_is_refused_with_the_number() {
    let mut t = subscribed();
    let checkpoint = api::v1::FrameworkInfo { principal: Some("p".into()), ..Default::default() };
    let carried = protocol::carried::Carried::new(&checkpoint);
    updates(&mut t, 1, 9, FrameworkInfo { carried, ..info("web", &["a"]) });
    t.did([
        "to scheduler-1: FrameworkUpdated 9: refused: Changing framework's principal is not allowed.",
    ]);
}
