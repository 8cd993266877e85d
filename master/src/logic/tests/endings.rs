//! Operators end frameworks and agents for good, and whoever asks afterwards is told so.

use std::time::Duration;

use libactor::Principal;
use protocol::carried::Carried;
use protocol::framework::{Capability, FrameworkInfo, FrameworkToMaster};
use protocol::ids::{AgentId, FrameworkId, TaskId};
use protocol::operator::{Before, RefusalKind, SetAnswer, SetQuotas};
use protocol::quota::Quota;
use protocol::task::TaskState;

use super::scenario::{Scenario, agent_id, framework_info, report, task};
use crate::logic::authorize::Who;
use crate::logic::roles::Setting;
use crate::logic::{Ending, Event};

/// A partition-aware framework runs task `a` on agent 1.
fn running() -> Scenario {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    t.acknowledges(1, 1, "a", 1);
    t.forget_lines();
    t
}

fn ends(t: &mut Scenario, what: Ending) {
    t.step(Event::EndAsked { asked: 7, who: Principal::Local.into(), what });
}

fn asks(t: &mut Scenario, task: &str, agent: Option<AgentId>) {
    let tasks = vec![(TaskId::new(task), agent)];
    t.scheduler_says(1, FrameworkToMaster::Reconcile(tasks));
}

#[test]
fn part_07_recon_05_an_agent_that_an_operator_marks_as_gone_ends_with_its_tasks_and_never_comes_back()
 {
    let mut t = running();
    t.registrar_is_slow = true;
    ends(&mut t, Ending::Agent(agent_id(1)));
    t.did([]);
    t.write();
    t.did([
        "to scheduler-1: a GoneByOperator, AgentRemoved: agent c-S0 is gone",
        "to scheduler-1: AgentLost c-S0",
        "answer 7: set at 14",
        "to agent-1: Shutdown: an operator has marked agent c-S0 as gone",
    ]);
    // Another life of it, and the next master.
    t.registrar_is_slow = false;
    t.agent_returns(1, 2, vec![report(1, "a", TaskState::Running)]);
    let refused = t.take_lines();
    assert!(
        refused.iter().any(|line| line.starts_with("to agent-1") && line.contains(": Shutdown: ")),
        "{refused:?}"
    );
    ends(&mut t, Ending::Agent(agent_id(1)));
    let again = t.take_lines();
    assert!(again.len() == 1 && again[0].starts_with("answer 7: set at"), "{again:?}");
    let mut t = t.restart("n");
    t.subscribes_as(1, Some("c-0000"), &[Capability::PartitionAware], Vec::new());
    t.forget_lines();
    asks(&mut t, "a", Some(agent_id(1)));
    t.did(["to scheduler-1: a GoneByOperator, AgentRemoved: agent c-S0 is gone"]);
}

#[test]
fn an_agent_that_is_away_can_be_marked_as_gone_and_a_stranger_cannot() {
    let mut t = running();
    t.down(super::scenario::agent_pid(1, 1));
    t.forget_lines();
    ends(&mut t, Ending::Agent(agent_id(1)));
    let lines = t.take_lines();
    assert!(lines[0].contains("a GoneByOperator"), "{lines:?}");
    ends(&mut t, Ending::Agent(agent_id(9)));
    t.did(["answer 7: Agent 'c-S8' not found"]);
}

#[test]
fn fwk_07_an_operator_tears_a_framework_down_and_is_answered_once_it_is_written() {
    let mut t = running();
    t.registrar_is_slow = true;
    let id = FrameworkId::new("c-0000");
    ends(&mut t, Ending::Framework(id.clone()));
    t.did([]);
    t.write();
    let lines = t.take_lines();
    assert!(lines.contains(&"to scheduler-1: TornDown".to_owned()), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("answer 7: set at")), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.starts_with("to agent-1: ShutdownFramework")),
        "{lines:?}"
    );
    ends(&mut t, Ending::Framework(id));
    t.did(["answer 7: No framework found with specified ID"]);
}

/// Whoever may not is told so by name, and nothing is done: nobody may do less as of now but who was lent a secret.
#[test]
fn who_may_not_end_or_set_anything_is_refused_by_the_name_that_was_proved() {
    let mut t = running();
    let who = || Who::named(Principal::Lent, Some("ops"));
    let (agent, framework) = (agent_id(1), FrameworkId::new("c-0000"));
    let quotas = vec![("eng".parse().unwrap(), Quota::default())];
    let setting = SetQuotas { quotas, force: false, before: Before::Anything };
    for (event, words) in [
        (Event::EndAsked { asked: 7, who: who(), what: Ending::Agent(agent) }, "RemoveAgent c-S0"),
        (
            Event::EndAsked { asked: 7, who: who(), what: Ending::Framework(framework) },
            "TeardownFramework c-0000",
        ),
        (
            Event::SetAsked { asked: 7, who: who(), setting: Setting::Quotas(setting) },
            "SetQuota eng",
        ),
    ] {
        t.step(event);
        let line = format!("answer 7: 'ops' (Lent) may not {words}");
        t.did([line.as_str()]);
        let Some(SetAnswer::Refused(refusal)) = &t.answered else { panic!("{:?}", t.answered) };
        assert_eq!(refusal.kind, RefusalKind::Unauthorized);
    }
}

/// The acknowledgement of what came before its end had not reached the agent when that left.
#[test]
fn an_end_that_an_agent_took_with_it_is_told_as_the_master_knows_it() {
    let mut t = running();
    let status = super::scenario::status(1, "a", TaskState::Killing, Some(2));
    let latest = TaskState::Failed;
    t.agent_says(
        super::scenario::agent_pid(1, 1),
        protocol::agent::AgentToMaster::Updated { status, latest },
    );
    t.forget_lines();
    t.agent_says(super::scenario::agent_pid(1, 1), protocol::agent::AgentToMaster::Unregister);
    t.did([
        "to scheduler-1: Rescinded O2",
        "to scheduler-1: a Failed, AgentRemoved: agent c-S0 is gone",
        "to scheduler-1: AgentLost c-S0",
    ]);
}

#[test]
fn recon_02_a_known_task_is_as_its_framework_was_told_and_not_as_it_is() {
    let mut t = running();
    // The agent knows of its end, and sends its news in order.
    let status = super::scenario::status(1, "a", TaskState::Killing, Some(2));
    let latest = TaskState::Finished;
    let message = protocol::agent::AgentToMaster::Updated { status, latest };
    t.agent_says(super::scenario::agent_pid(1, 1), message);
    t.forget_lines();
    asks(&mut t, "a", Some(agent_id(1)));
    t.did(["to scheduler-1: a Killing, Reconciliation: as the master knows it"]);
}

#[test]
fn recon_03_a_task_that_its_registered_agent_does_not_have_is_gone() {
    let mut t = running();
    asks(&mut t, "ghost", Some(agent_id(1)));
    t.did(["to scheduler-1: ghost Gone, TaskUnknown: its agent has no such task"]);
    t.subscribes_as(2, None, &[], Vec::new());
    t.forget_lines();
    let tasks = vec![(TaskId::new("ghost"), Some(agent_id(1)))];
    t.scheduler_says(2, FrameworkToMaster::Reconcile(tasks));
    t.did(["to scheduler-2: ghost Lost, TaskUnknown: its agent has no such task"]);
}

#[test]
fn recon_04_a_task_of_an_unreachable_agent_is_unreachable_and_since_when_is_said() {
    let mut t = running();
    t.down(super::scenario::agent_pid(1, 1));
    t.pass(Duration::from_secs(3600));
    t.forget_lines();
    t.updated.clear();
    for task in ["a", "ghost"] {
        asks(&mut t, task, Some(agent_id(1)));
    }
    t.did([
        "to scheduler-1: a Unreachable, Reconciliation: as the master knows it",
        "to scheduler-1: ghost Unreachable, TaskUnknown: an agent that may have it is unreachable",
    ]);
    let since = t.written.agents[&agent_id(1)].unreachable.map(|at| at.0);
    for status in &t.updated {
        let said = status.to_v1().unwrap().unreachable_time.map(|time| time.nanoseconds);
        assert_eq!(said.map(|nanos| u64::try_from(nanos).unwrap()), since);
        assert!(since.is_some());
    }
}

#[test]
fn recon_05_of_an_agent_that_nobody_knows_nothing_is_known() {
    let mut t = running();
    asks(&mut t, "a2", Some(agent_id(9)));
    asks(&mut t, "a3", None);
    t.did([
        "to scheduler-1: a2 Unknown, TaskUnknown: nobody knows this task",
        "to scheduler-1: a3 Unknown, TaskUnknown: nobody knows this task",
    ]);
}

#[test]
fn recon_06_while_agents_are_awaited_nothing_is_said_of_what_they_may_have() {
    let t = running();
    let mut t = t.restart("n");
    t.subscribes_as(1, Some("c-0000"), &[Capability::PartitionAware], Vec::new());
    t.forget_lines();
    asks(&mut t, "a", Some(agent_id(1)));
    asks(&mut t, "ghost", None);
    t.did([]);
    t.agent_returns(1, 2, vec![report(1, "a", TaskState::Running)]);
    t.forget_lines();
    asks(&mut t, "a", Some(agent_id(1)));
    asks(&mut t, "ghost", None);
    t.did([
        "to scheduler-1: a Running, Reconciliation: as the master knows it",
        "to scheduler-1: ghost Unknown, TaskUnknown: nobody knows this task",
    ]);
}

/// Of Mesos's API, by a gateway.
fn of_mesos(checkpoint: bool) -> FrameworkInfo {
    let said = api::v1::FrameworkInfo { checkpoint: Some(checkpoint), ..Default::default() };
    FrameworkInfo {
        carried: Carried::new(&said),
        ..framework_info("web", &[Capability::NamesItself])
    }
}

fn subscribes(t: &mut Scenario, n: u64, info: FrameworkInfo) {
    let message = FrameworkToMaster::SubscribeWith {
        nonce: 1000 + n,
        framework: None,
        info,
        wishes: Vec::new(),
    };
    t.scheduler_says(n, message);
}

#[test]
fn fwk_21_what_a_framework_that_does_not_checkpoint_runs_is_lost_with_its_agents_connection() {
    for checkpoint in [false, true] {
        let mut t = Scenario::new();
        t.agent_joins(1);
        subscribes(&mut t, 1, of_mesos(checkpoint));
        t.launches(1, 1, vec![task("a", 1.0)]);
        t.news(1, "a", TaskState::Running, 1);
        t.acknowledges(1, 1, "a", 1);
        t.forget_lines();
        t.down(super::scenario::agent_pid(1, 1));
        let lines = t.take_lines();
        let lost = "to scheduler-1: a Lost, AgentDisconnected: agent c-S0 lost its connection";
        assert_eq!(lines.iter().any(|line| line == lost), !checkpoint, "{lines:?}");
        let (mut info, has_it) = (of_mesos(checkpoint), report(1, "a", TaskState::Running));
        info.framework = FrameworkId::new("c-0000");
        t.agent_returns_with(1, 1, vec![has_it], Vec::new(), vec![info]);
        let lines = t.take_lines();
        let killed = lines.iter().any(|line| line == "to agent-1: Kill a");
        assert_eq!(killed, !checkpoint, "{lines:?}");
    }
}

#[test]
fn fwk_19_frameworks_of_mesoss_api_are_told_of_every_agent_that_is_lost() {
    let mut t = running();
    subscribes(&mut t, 2, of_mesos(true));
    t.subscribes(3);
    t.forget_lines();
    ends(&mut t, Ending::Agent(agent_id(1)));
    let lost: Vec<_> =
        t.take_lines().into_iter().filter(|line| line.ends_with("AgentLost c-S0")).collect();
    assert_eq!(lost, ["to scheduler-1: AgentLost c-S0", "to scheduler-2: AgentLost c-S0"]);
}
