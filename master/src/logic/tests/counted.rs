//! What is counted of what a master hears and says.

use std::collections::BTreeMap;
use std::time::Duration;

use api::v1::FrameworkInfo as ItsInfo;
use api::v1::scheduler::call::Type;
use libactor::Principal;
use protocol::agent::AgentToMaster;
use protocol::carried::Carried;
use protocol::framework::{FrameworkInfo, FrameworkToMaster};
use protocol::ids::{ExecutorId, FrameworkId, TaskId};
use protocol::task::TaskState;

use super::scenario::{Scenario, agent_id, agent_pid, framework_info, scheduler_pid, task};
use crate::logic::Event;

fn numbers(t: &Scenario) -> BTreeMap<String, f64> {
    t.tally.numbers(&[])
}

#[track_caller]
fn counted(t: &Scenario, expected: &[(&str, f64)]) {
    let numbers = numbers(t);
    for (name, number) in expected {
        assert_eq!(numbers.get(*name), Some(number), "{name} in {numbers:#?}");
    }
}

fn of_principal(principal: &str) -> FrameworkInfo {
    let info = ItsInfo { principal: Some(principal.into()), ..ItsInfo::default() };
    FrameworkInfo { carried: Carried::new(&info), ..framework_info("my web", &[]) }
}

fn subscribes(t: &mut Scenario, n: u64, info: &FrameworkInfo) {
    let info = info.clone();
    let message =
        FrameworkToMaster::Subscribe { nonce: n, framework: None, info, demand: Vec::new() };
    t.scheduler_says(n, message);
}

fn to_executor(agent: u64) -> FrameworkToMaster {
    let executor = ExecutorId::new("e");
    FrameworkToMaster::ToExecutor { agent: agent_id(agent), executor, data: vec![1] }
}

#[test]
fn metr_01_a_message_counts_once_and_what_is_said_in_vain_as_invalid() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.scheduler_says(1, to_executor(1));
    t.scheduler_says(1, to_executor(2));
    t.news(1, "a", TaskState::Running, 1);
    t.acknowledges(1, 1, "a", 1);
    t.acknowledges(1, 2, "a", 1);
    let data = vec![1];
    let (framework, executor) = (FrameworkId::new("c-0000"), ExecutorId::new("e"));
    let nobodys = FrameworkId::new("nobody's");
    for framework in [framework, nobodys] {
        let (executor, data) = (executor.clone(), data.clone());
        let message = AgentToMaster::FromExecutor { framework, executor, data };
        t.agent_says(agent_pid(1, 1), message);
    }
    counted(
        &t,
        &[
            ("master/messages_register_slave", 1.0),
            ("master/messages_register_framework", 1.0),
            ("master/messages_launch_tasks", 1.0),
            ("master/messages_framework_to_executor", 2.0),
            ("master/valid_framework_to_executor_messages", 1.0),
            ("master/invalid_framework_to_executor_messages", 1.0),
            ("master/messages_status_update", 1.0),
            ("master/valid_status_updates", 1.0),
            ("master/messages_status_update_acknowledgement", 2.0),
            ("master/valid_status_update_acknowledgements", 1.0),
            ("master/invalid_status_update_acknowledgements", 1.0),
            ("master/messages_executor_to_framework", 2.0),
            ("master/valid_executor_to_framework_messages", 1.0),
            ("master/invalid_executor_to_framework_messages", 1.0),
        ],
    );
    assert!(!numbers(&t).contains_key("master/invalid_status_updates"));
}

#[test]
fn metr_01_what_a_framework_said_and_was_told_is_counted_under_its_name_while_it_is_there() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    subscribes(&mut t, 1, &of_principal("ops"));
    let offer = t.offer_of(1);
    t.accepts(1, vec![offer], vec![task("a", 1.0)], Duration::ZERO);
    t.news(1, "a", TaskState::Failed, 1);
    // It comes again, and its gateway keeps that back.
    t.news(1, "a", TaskState::Failed, 1);
    t.tally.keep_back(&FrameworkId::new("c-0000"));
    t.acknowledges(1, 1, "a", 1);
    let offers = vec![t.offer_of(1)];
    t.scheduler_says(1, FrameworkToMaster::Decline { offers, refuse_for: Duration::from_secs(9) });
    let framework = FrameworkId::new("c-0000");
    t.tally.hear_call(&framework, Type::Request);
    let (info, wishes) = (of_principal("ops"), Vec::new());
    t.scheduler_says(1, FrameworkToMaster::UpdateFramework { number: 1, info, wishes });
    let named = "master/frameworks/my%20web/c-0000";
    let of = |name: &str| format!("{named}/{name}");
    let names = |all: &[(&str, f64)]| -> Vec<(String, f64)> {
        all.iter().map(|(name, number)| (of(name), *number)).collect()
    };
    let expected = names(&[
        ("calls", 6.0),
        ("calls/subscribe", 1.0),
        ("calls/accept", 1.0),
        ("calls/acknowledge", 1.0),
        ("calls/decline", 1.0),
        ("calls/request", 1.0),
        ("calls/update_framework", 1.0),
        ("events/update", 1.0),
        ("offers/accepted", 1.0),
        ("offers/declined", 1.0),
        ("operations/launch", 1.0),
        ("tasks/terminal/task_failed", 1.0),
    ]);
    for (name, number) in &expected {
        counted(&t, &[(name, *number)]);
    }
    let more = [
        ("frameworks/ops/messages_received", 6.0),
        ("frameworks/ops/messages_processed", 6.0),
        ("master/messages_resource_request", 1.0),
    ];
    counted(&t, &more);
    let (from, message) = (scheduler_pid(1), FrameworkToMaster::Teardown);
    t.step(Event::FromFramework { from, principal: Principal::Cluster, message });
    let left = numbers(&t);
    let is_its = |name: &&String| name.starts_with(named) || name.starts_with("frameworks/");
    assert_eq!(left.keys().find(is_its), None);
    counted(&t, &[("master/messages_unregister_framework", 1.0)]);
}

#[test]
fn metr_01_a_principal_is_counted_for_all_its_frameworks_until_the_last_of_them_goes() {
    let mut t = Scenario::new();
    subscribes(&mut t, 1, &of_principal("ops"));
    subscribes(&mut t, 2, &of_principal("ops"));
    t.scheduler_says(1, FrameworkToMaster::Suppress);
    t.scheduler_says(2, FrameworkToMaster::Revive);
    let before = numbers(&t)["frameworks/ops/messages_received"];
    t.scheduler_says(1, FrameworkToMaster::Teardown);
    counted(&t, &[("frameworks/ops/messages_received", before + 1.0)]);
    t.scheduler_says(2, FrameworkToMaster::Teardown);
    assert!(!numbers(&t).contains_key("frameworks/ops/messages_received"));
}

#[test]
fn metr_01_tasks_that_never_came_into_the_books_count_among_those_that_have_ended() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0), task("b/c", 1.0)]);
    t.launches(1, 1, vec![task("d", 1.0)]); // its offer is used up
    // The one that is in the books ends by the master's word; others count that.
    t.scheduler_says(1, FrameworkToMaster::Teardown);
    let mut all = BTreeMap::from([("master/tasks_error".to_owned(), 2.0)]);
    t.tally.add_refused(&mut all);
    let counted: Vec<(&str, f64)> = all.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    let expected = [
        ("master/task_dropped/source_master/reason_invalid_offers", 1.0),
        ("master/task_error/source_master/reason_task_invalid", 1.0),
        ("master/tasks_dropped", 1.0),
        ("master/tasks_error", 3.0),
    ];
    assert_eq!(counted, expected);
}

#[test]
fn metr_01_the_answer_to_a_question_about_a_task_counts_as_no_end() {
    let mut t = Scenario::new();
    subscribes(&mut t, 1, &of_principal("ops"));
    t.forget_lines();
    let ghost = TaskId::new("ghost");
    t.scheduler_says(1, FrameworkToMaster::Reconcile(vec![(ghost, None)]));
    assert!(t.take_lines().iter().any(|line| line.contains("ghost Lost")));
    let mut all = BTreeMap::new();
    t.tally.add_refused(&mut all);
    assert_eq!(all, BTreeMap::new());
}
