//! Tasks: news, acknowledgements, kills, reconciliation; and that none runs twice at once.

use libactor::Principal;
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::change::{Moment, What};
use protocol::framework::{Capability, FrameworkToMaster};
use protocol::ids::{ExecutorId, FrameworkId, Role, TaskId, UpdateId};
use protocol::operator::{KillAnswer, KillTask};
use protocol::task::{Source, TaskState};
use std::time::Duration;

use super::scenario::{Scenario, agent_id, agent_pid, report, scheduler_pid, status, task};
use crate::config::Config;
use crate::logic::{Effect, Event};

/// Task `a` runs on agent 1, and agent 2 is there.
fn running() -> Scenario {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    t.acknowledges(1, 1, "a", 1);
    t.agent_joins(2);
    t.forget_lines();
    t
}

#[test]
fn news_goes_to_the_scheduler_until_it_is_acknowledged_and_the_end_frees_the_resources() {
    let mut t = running();
    t.news(1, "a", TaskState::Finished, 2);
    t.did(["to scheduler-1: a Finished", "to scheduler-1: O3 of S0: cpus:4;mem:4096"]);
    t.news(1, "a", TaskState::Finished, 2);
    t.did(["to scheduler-1: a Finished"]);
    t.acknowledges(1, 1, "a", 2);
    t.did(["to agent-1: Acknowledge a 2"]);
    t.news(1, "a", TaskState::Finished, 2); // the acknowledgement was lost on the way
    t.did(["to agent-1: Acknowledge a 2"]);
}

#[test]
fn sum_03_the_newest_state_counts_for_the_books_while_the_news_trails() {
    let mut t = running();
    let status = status(1, "a", TaskState::Running, Some(2));
    let message = AgentToMaster::Updated { status, latest: TaskState::Finished };
    t.agent_says(agent_pid(1, 1), message);
    t.did(["to scheduler-1: a Running", "to scheduler-1: O3 of S0: cpus:4;mem:4096"]);
    t.news(1, "a", TaskState::Finished, 3);
    t.did(["to scheduler-1: a Finished"]);
}

#[test]
fn a_known_task_is_never_launched_again_while_it_is_not_ended_and_acknowledged() {
    let mut t = running();
    t.launches(1, 2, vec![task("a", 1.0)]);
    t.did([
        "to scheduler-1: a Running, Reconciliation: this task is known: it was launched before and is not ended and acknowledged",
    ]);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.news(1, "a", TaskState::Finished, 2);
    t.forget_lines();
    t.launches(1, 2, vec![task("a", 1.0)]);
    t.did([
        "to scheduler-1: a Finished, Reconciliation: this task is known: it was launched before and is not ended and acknowledged",
    ]);
    t.acknowledges(1, 1, "a", 2);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.forget_lines();
    t.launches(1, 2, vec![task("a", 1.0)]);
    t.did(["to agent-2: Launch a"]);
}

/// The answer to a repeated call whose offers are used up is how the task is, not that the offers are void.
#[test]
fn a_repeated_accept_is_answered_with_how_the_task_is() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    let offer = t.offer_of(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    t.accepts(1, vec![offer], vec![task("a", 1.0)], Duration::ZERO);
    t.did([
        "to scheduler-1: a Staging, Reconciliation: this task is known: it was launched before and is not ended and acknowledged",
    ]);
}

#[test]
fn a_task_on_an_unreachable_agent_may_not_be_launched_elsewhere() {
    let mut t = running();
    t.down(agent_pid(1, 1));
    for _ in 0..40 {
        t.pass(Duration::from_secs(15));
        t.agent_says(agent_pid(2, 1), AgentToMaster::Pong { sequence: 99 });
    }
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.forget_lines();
    t.launches(1, 2, vec![task("a", 1.0)]);
    let told = t.take_lines();
    assert!(told[0].contains("a Unreachable, Reconciliation") && told.len() == 1, "{told:?}");
}

#[test]
fn a_kill_reaches_the_agent_now_or_when_it_is_back() {
    let mut t = running();
    let kill = || FrameworkToMaster::Kill { task: TaskId::new("a"), agent: None, grace: None };
    t.scheduler_says(1, kill());
    t.did(["to agent-1: Kill a"]);
    t.down(agent_pid(1, 1));
    t.forget_lines();
    t.scheduler_says(1, kill());
    t.did([]);
    t.agent_returns(1, 1, vec![report(1, "a", TaskState::Running)]);
    let told = t.take_lines();
    assert_eq!(told[..2], ["to agent-1: Registered(c-S0) in epoch 1", "to agent-1: Kill a"]);
}

#[test]
fn killing_what_nobody_knows_is_answered() {
    let mut t = running();
    let kill = FrameworkToMaster::Kill { task: TaskId::new("x"), agent: None, grace: None };
    t.scheduler_says(1, kill);
    t.did(["to scheduler-1: x Unknown, TaskUnknown: nobody knows this task"]);
}

#[test]
fn an_operator_kills_a_task_or_hears_why_not() {
    let mut t = running();
    let mut ask = |id: &str| {
        let question = KillTask { framework: FrameworkId::new("c-0000"), task: TaskId::new(id) };
        t.step(Event::KillAsked { asked: 7, principal: Principal::Local, question });
        t.take_lines()
    };
    let killing = ask("a");
    assert_eq!(killing[0], "to agent-1: Kill a");
    assert!(killing[1].starts_with("answer 7: KillingAt("), "{killing:?}");
    assert_eq!(ask("x"), ["answer 7: Refused(\"framework c-0000 has no task x\")"]);
    t.news(1, "a", TaskState::Killed, 2);
    t.acknowledges(1, 1, "a", 2);
    t.forget_lines();
    let question = KillTask { framework: FrameworkId::new("c-0000"), task: TaskId::new("a") };
    t.step(Event::KillAsked { asked: 8, principal: Principal::Local, question });
    t.did(["answer 8: Refused(\"framework c-0000 has no task a any more: it ended as Killed\")"]);
}

#[test]
fn the_answer_to_a_kill_names_the_change_by_which_readers_see_it() {
    let mut t = running();
    let question = KillTask { framework: FrameworkId::new("c-0000"), task: TaskId::new("a") };
    let asked = Event::KillAsked { asked: 7, principal: Principal::Local, question };
    let step = t.master.step(t.now, asked.clone());
    let [change] = &step.changes[..] else { panic!("{:?}", step.changes) };
    let What::TaskStatus(status) = &change.what else { panic!("{change:?}") };
    assert_eq!(status.state, TaskState::Running, "its agent says when it is being killed");
    assert_eq!((status.source, status.update), (Source::Master, None));
    assert_eq!(status.message, "an operator asked for its end");
    let at = Moment { epoch: 1, change: change.number };
    let answer = Effect::AnswerKill { asked: 7, answer: KillAnswer::KillingAt(at) };
    assert!(step.effects.contains(&answer), "{:?}", step.effects);
    t.down(agent_pid(1, 1));
    let step = t.master.step(t.now, asked);
    let What::TaskStatus(status) = &step.changes[0].what else { panic!("{:?}", step.changes) };
    assert!(status.message.ends_with("its agent hears of it when it is back"), "{status:?}");
}

#[test]
fn reconciliation_says_how_tasks_are() {
    let mut t = running();
    t.scheduler_says(1, FrameworkToMaster::Reconcile(Vec::new()));
    t.did(["to scheduler-1: a Running, Reconciliation: as the master knows it"]);
    t.news(1, "a", TaskState::Finished, 2);
    t.acknowledges(1, 1, "a", 2);
    t.forget_lines();
    t.scheduler_says(1, FrameworkToMaster::Reconcile(Vec::new()));
    t.did([]);
    let named = vec![(TaskId::new("a"), Some(agent_id(1))), (TaskId::new("x"), None)];
    t.scheduler_says(1, FrameworkToMaster::Reconcile(named));
    t.did([
        "to scheduler-1: a Finished, Reconciliation",
        "to scheduler-1: x Unknown, TaskUnknown: nobody knows this task",
    ]);
}

#[test]
fn ends_are_remembered_up_to_the_limit() {
    let mut t = Scenario::with(Config { ended_tasks_max: 1, ..Config::default() });
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0), task("b", 1.0)]);
    for (n, id) in [(1, "a"), (2, "b")] {
        t.news(1, id, TaskState::Finished, n);
        t.acknowledges(1, 1, id, n);
    }
    t.forget_lines();
    let named = vec![(TaskId::new("a"), None), (TaskId::new("b"), None)];
    t.scheduler_says(1, FrameworkToMaster::Reconcile(named));
    t.did([
        "to scheduler-1: a Unknown, TaskUnknown: nobody knows this task",
        "to scheduler-1: b Finished, Reconciliation",
    ]);
}

#[test]
fn a_framework_that_knows_no_partitions_hears_lost_and_decides_itself_what_is_to_become_of_what_returns()
 {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes_as(1, None, &[], Vec::new());
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    t.forget_lines();
    t.down(agent_pid(1, 1));
    t.pass(Config::default().agent_reregister_timeout);
    t.did([
        "to scheduler-1: a Lost, AgentRemoved: its agent is unreachable",
        "to scheduler-1: AgentLost c-S0",
    ]);
    // Another life of it is told nothing of what is over for the framework.
    t.subscribes_as(2, Some("c-0000"), &[], Vec::new());
    t.did(["to scheduler-1: FailedOver", "to scheduler-2: Subscribed(c-0000) []"]);
    t.agent_returns(1, 1, vec![report(1, "a", TaskState::Running)]);
    t.did([
        "to agent-1: Registered(c-S0) in epoch 1",
        "to scheduler-2: a Running, AgentReregistered: its agent is back",
        // It knew the earlier life's words.
        "to agent-1: FrameworkUpdated c-0000",
        "to scheduler-2: O2 of S0: cpus:3;mem:3968",
    ]);
}

#[test]
fn a_launch_that_could_not_be_sent_is_dropped() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    let framework = super::scenario::framework_info("web", &[]);
    let framework =
        protocol::framework::FrameworkInfo { framework: FrameworkId::new("c-0000"), ..framework };
    let message = MasterToAgent::Launch {
        epoch: 1,
        framework,
        task: task("a", 1.0),
        role: Role::everybody(),
    };
    let effect = Effect::TellAgent { to: agent_pid(1, 1), message };
    t.step(Event::Untold(effect.untold().unwrap()));
    t.did([
        "to scheduler-1: a Dropped, AgentDisconnected: the agent did not take the launch",
        "to scheduler-1: O2 of S0: cpus:4;mem:4096",
    ]);
}

/// The agent would say its news again only when it is time.
#[test]
fn an_acknowledgement_for_which_there_was_no_room_is_told_again_after_a_second() {
    let mut t = running();
    t.forget_lines();
    let (framework, task) = (FrameworkId::new("c-0000"), TaskId::new("a"));
    let update = UpdateId { source: 1, sequence: 1 };
    let message = MasterToAgent::Acknowledge { epoch: 1, framework, task, update };
    let untold = Effect::TellAgent { to: agent_pid(1, 1), message }.untold().unwrap();
    assert!(!untold.is_owed_to_the_lost());
    for _ in 0..2 {
        t.step(Event::Untold(untold.clone()));
        t.pass(Duration::from_millis(999));
        t.did([]);
        t.pass(Duration::from_millis(1));
        t.did(["to agent-1: Acknowledge a 1"]);
    }
    // Of one that returns it hears all news again.
    t.step(Event::Untold(untold.clone()));
    t.down(agent_pid(1, 1));
    t.agent_returns(1, 1, vec![report(1, "a", TaskState::Running)]);
    t.forget_lines();
    t.pass(Duration::from_secs(2));
    t.did([]);
    t.step(Event::Untold(untold));
    t.pass(Duration::from_secs(1));
    t.did(["to agent-1: Acknowledge a 1"]);
}

#[test]
fn messages_pass_between_scheduler_and_executor() {
    let mut t = running();
    let (agent, executor) = (agent_id(1), ExecutorId::new("e"));
    let to = FrameworkToMaster::ToExecutor {
        agent: agent.clone(),
        executor: executor.clone(),
        data: vec![1],
    };
    t.scheduler_says(1, to);
    let shut = FrameworkToMaster::ShutdownExecutor { agent, executor: executor.clone() };
    t.scheduler_says(1, shut);
    let framework = FrameworkId::new("c-0000");
    let from = AgentToMaster::FromExecutor { framework, executor, data: vec![2] };
    t.agent_says(agent_pid(1, 1), from);
    t.did([
        "to agent-1: ToExecutor e",
        "to agent-1: ShutdownExecutor e",
        "to scheduler-1: FromExecutor e",
    ]);
}

#[test]
fn news_for_a_lost_scheduler_waits_at_the_agent_and_in_the_snapshot() {
    let mut t = running();
    t.down(scheduler_pid(1));
    t.news(1, "a", TaskState::Finished, 2);
    t.did([]);
    t.subscribes_as(2, Some("c-0000"), &[Capability::PartitionAware], Vec::new());
    let told = t.take_lines();
    assert_eq!(told[0], "to scheduler-2: Subscribed(c-0000) [a Finished]");
    t.news(1, "a", TaskState::Finished, 2);
    t.acknowledges(2, 1, "a", 2);
    t.did(["to scheduler-2: a Finished", "to agent-1: Acknowledge a 2"]);
}

/// A kill may be lost as a counted drop, of which nobody hears: only the task's end shows that it arrived.
#[test]
fn a_kill_is_said_with_each_ping_until_the_task_has_ended() {
    let mut t = running();
    t.step(Event::KillAsked {
        asked: 1,
        principal: Principal::Cluster,
        question: KillTask { framework: FrameworkId::new("c-0000"), task: TaskId::new("a") },
    });
    for _ in 0..3 {
        let lines = t.take_lines();
        assert!(lines.contains(&"to agent-1: Kill a".to_owned()), "{lines:?}");
        t.pass(Config::default().ping_every);
        t.agent_says(agent_pid(1, 1), AgentToMaster::Pong { sequence: 1 });
    }
    t.news(1, "a", TaskState::Killed, 2);
    t.forget_lines();
    t.pass(Config::default().ping_every);
    t.did(["to agent-1: Ping 4", "to agent-2: Ping 4"]);
}

#[test]
fn a_kill_that_was_shortened_stays_so_whoever_asks_next() {
    let mut t = running();
    for grace in [Some(Duration::from_secs(9)), Some(Duration::ZERO), None] {
        t.scheduler_says(1, FrameworkToMaster::Kill { task: TaskId::new("a"), agent: None, grace });
    }
    t.forget_lines();
    t.pass(Config::default().ping_every);
    let lines = t.take_lines();
    assert!(lines.contains(&"to agent-1: Kill a within 0ns".to_owned()), "{lines:?}");
}

#[test]
fn a_task_that_must_not_run_here_is_killed_until_its_end_is_heard() {
    let mut t = running();
    t.agent_joins(2);
    t.forget_lines();
    t.agent_returns(2, 1, vec![report(2, "a", TaskState::Running)]);
    t.did(["to agent-2: Registered(c-S1) in epoch 1", "to agent-2: Kill a"]);
    for _ in 0..2 {
        t.pass(Config::default().ping_every);
        let lines = t.take_lines();
        assert!(lines.contains(&"to agent-2: Kill a".to_owned()), "{lines:?}");
        // The one that may run does.
        assert!(!lines.contains(&"to agent-1: Kill a".to_owned()), "{lines:?}");
    }
    t.news(2, "a", TaskState::Killed, 2);
    t.forget_lines();
    t.pass(Config::default().ping_every);
    assert!(!t.take_lines().iter().any(|line| line.contains("Kill a")));
}

#[test]
fn the_end_of_a_framework_for_which_there_was_no_room_is_told_with_the_next_ping() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.forget_lines();
    let framework = FrameworkId::new("c-0099");
    let message = MasterToAgent::ShutdownFramework { epoch: 1, framework };
    let effect = Effect::TellAgent { to: agent_pid(1, 1), message };
    t.step(Event::Untold(effect.untold().unwrap()));
    t.pass(Config::default().ping_every);
    t.did(["to agent-1: Ping 1", "to agent-1: ShutdownFramework c-0099"]);
}
