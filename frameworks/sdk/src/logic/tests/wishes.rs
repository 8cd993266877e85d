//! What a framework wants for its roles, and in which words the master is told.

use protocol::resources::{Milli, Resources};

use super::scenario::Scenario;

/// With master 1, on behalf of two roles.
fn with_master() -> Scenario {
    let mut t = Scenario::with_roles(&["a", "b"]);
    t.start();
    t.subscribed(1, 1, vec![]);
    t.lines.clear();
    t
}

#[test]
fn wishes_for_roles_are_told_once_when_they_have_changed() {
    let mut t = with_master();
    t.input("want 2 for b");
    t.did(["to 1: Wishes b:2"]);
    t.input("want 2 for b");
    t.did([]);
    t.input("want 3 for a");
    t.did(["to 1: Wishes a:3 b:2"]);
    // It replaces what was wanted for its role, and no other.
    t.input("want 1 for b");
    t.did(["to 1: Wishes a:3 b:1"]);
    t.input("require a");
    t.did(["to 1: Wishes a:3 in 1 b:1"]);
    t.input("least 2 b");
    t.did(["to 1: Wishes a:3 in 1 b:1 least cpus:2"]);
    t.input("want 9 for c");
    t.did(["the framework does not act for role 'c'; name it among the framework's roles"]);
}

#[test]
fn demand_for_the_first_role_alone_is_told_in_words_that_every_master_knows() {
    let mut t = with_master();
    t.input("want 2");
    t.input("want 3 for a");
    t.did(["to 1: Demand 2", "to 1: Demand 3"]);
    t.input("want 1 for b");
    t.did(["to 1: Wishes a:3 b:1"]);
    // What was said in newer words is taken back in them.
    t.input("want 0 for b");
    t.did(["to 1: Wishes a:3"]);
    t.input("want 4");
    t.did(["to 1: Demand 4"]);
}

#[test]
fn the_next_master_is_told_all_wishes_in_the_subscription() {
    let mut t = with_master();
    t.input("want 2 for b");
    t.input("suppress a");
    t.did(["to 1: Wishes b:2", "to 1: Wishes a:0 suppressed b:2"]);
    t.down(1);
    t.did(["to leader: SubscribeWith a:0 suppressed b:2", "Subscribe in <250ms", "disconnected"]);
    t.input("revive a");
    t.input("want 0 for b");
    t.input("want 5 for a");
    t.did([]);
    t.subscribed(2, 2, vec![]);
    t.did(["link 2", "Reconcile in 300s", "subscribed F", "to 2: Wishes a:5"]);
    t.down(2);
    t.did(["to leader: Subscribe F", "Subscribe in <250ms", "disconnected"]);
}

#[test]
fn what_changes_while_a_subscription_is_under_way_is_told_after_it() {
    let mut t = with_master();
    t.input("suppress a");
    t.down(1);
    t.lines.clear();
    t.input("revive a");
    t.subscribed(2, 2, vec![]);
    t.did(["link 2", "Reconcile in 300s", "subscribed F", "to 2: Wishes "]);
}

#[test]
fn a_role_is_revived_for_itself_and_its_refusals_are_forgotten() {
    let mut t = with_master();
    t.input("suppress b");
    t.input("suppress a");
    t.lines.clear();
    t.input("revive b");
    t.did(["to 1: ReviveRoles([b])"]);
    t.input("revive b");
    t.did(["to 1: ReviveRoles([b])"]);
    t.input("suppress b");
    t.did(["to 1: Wishes a:0 suppressed b:0 suppressed"]);
    t.input("revive");
    t.did(["to 1: Revive"]);
    // Of a framework with one role all is meant.
    let mut t = Scenario::with_roles(&["a"]);
    t.start();
    t.subscribed(1, 1, vec![]);
    t.lines.clear();
    t.input("suppress a");
    t.input("revive a");
    t.did(["to 1: Wishes a:0 suppressed", "to 1: Revive"]);
}

#[test]
fn a_task_takes_what_is_reserved_for_its_role_first() {
    let mut t = with_master();
    let offered: Resources = "cpus(b):1.5;cpus:2".parse().expect("resources");
    t.framework_wants(&["t1", "t2", "t3", "t4"]);
    t.offer_of(1, "o1", offered.clone());
    let launched = t.launched();
    let taken: Vec<String> = launched.iter().map(|task| task.resources.to_string()).collect();
    assert_eq!(taken, ["cpus(b):1", "cpus:0.5;cpus(b):0.5", "cpus:1"]);
    let all = launched.iter().fold(Resources::none(), |all, task| all.plus(&task.resources));
    let left = offered.checked_sub(&all).expect("no more than was offered");
    assert_eq!(left.cpus(), Milli(500), "the fourth did not fit");
}

const OLDER: &str = "warn: the master is of an older version: it is told what is wanted for the framework's first role alone; \
                     what is wanted for other roles, or on conditions that it does not know, waits for a newer master";

#[test]
fn a_master_of_an_older_version_is_told_the_demand_of_the_first_role_and_that_is_said_once() {
    let mut t = with_master();
    t.input("want 2 for b");
    t.input("want 3 for a");
    t.did(["to 1: Wishes b:2", "to 1: Wishes a:3 b:2"]);
    t.too_new(Some(1));
    t.did([OLDER, "to 1: Demand 3"]);
    t.input("revive b");
    t.input("revive a");
    t.did(["to 1: ReviveRoles([b])", "to 1: ReviveRoles([a])"]);
    t.too_new(Some(1));
    t.did(["to 1: Revive"]);
    t.down(1);
    t.did(["to leader: SubscribeWith a:3 b:2", "Subscribe in <250ms", "disconnected"]);
    t.too_new(None);
    t.did(["to leader: Subscribe F"]);
    t.subscribed(2, 2, vec![]);
    t.did(["link 2", "Reconcile in 300s", "subscribed F"]);
    // What it knows no words for is not wanted at all: it would be offered elsewhere.
    t.input("require a");
    t.did(["to 2: Wishes a:3 in 1 b:2"]);
    t.too_new(Some(2));
    t.did(["to 2: Demand 0"]);
}

#[test]
fn a_launch_that_a_master_of_an_older_version_cannot_read_is_asked_about() {
    let mut t = with_master();
    t.framework_wants(&["t1"]);
    t.offer(1, "o1", 1.0);
    t.lines.clear();
    t.too_new(Some(1));
    t.did([OLDER, "unlink 1", "to leader: Subscribe F", "Subscribe in <250ms", "disconnected"]);
}
