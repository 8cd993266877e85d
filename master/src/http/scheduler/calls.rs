//! What a scheduler says by the v1 API, as the master's own words. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use api::v1;
use api::v1::offer::operation::Type as OperationType;
use api::v1::scheduler::Call;
use api::v1::scheduler::call::{Accept, Type};
use protocol::framework::{FrameworkInfo, FrameworkToMaster, Operation};
use protocol::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId, UpdateId};
use protocol::task::{Reason, Source, TaskSpec, TaskState, TaskStatus};
use protocol::time::WallTime;
use protocol::v1::{duration_from_v1, seconds};

/// Open offers of one framework, and the agents whose they are.
pub(super) type Offers = BTreeMap<OfferId, AgentId>;

/// What a call comes to.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Meant {
    /// For the master, in order.
    pub(super) messages: Vec<FrameworkToMaster>,
    /// Of tasks that make no sense, for the scheduler.
    pub(super) errors: Vec<TaskStatus>,
}

impl From<FrameworkToMaster> for Meant {
    fn from(message: FrameworkToMaster) -> Self {
        Self { messages: vec![message], errors: Vec::new() }
    }
}

/// A call that was checked, but for `SUBSCRIBE` and `UPDATE_FRAMEWORK`.
pub(super) fn meant(
    call: Call,
    framework: &FrameworkInfo,
    offers: &mut Offers,
    now: WallTime,
) -> Meant {
    match call.r#type() {
        Type::Teardown => FrameworkToMaster::Teardown.into(),
        Type::Accept => accept(call.accept.unwrap_or_default(), framework, offers, now),
        Type::Decline => {
            let decline = call.decline.unwrap_or_default();
            let refuse_for = refusal(decline.filters.as_ref());
            let all = answered(&decline.offer_ids, offers);
            if all.is_empty() {
                return Meant::default();
            }
            FrameworkToMaster::Decline { offers: all, refuse_for }.into()
        }
        Type::Revive => match of_roles(call.revive.map(|revive| revive.roles), framework) {
            None => FrameworkToMaster::Revive.into(),
            Some(roles) if roles.is_empty() => Meant::default(),
            Some(roles) => FrameworkToMaster::ReviveRoles(roles).into(),
        },
        Type::Suppress => match of_roles(call.suppress.map(|suppress| suppress.roles), framework) {
            None => FrameworkToMaster::Suppress.into(),
            Some(roles) if roles.is_empty() => Meant::default(),
            Some(roles) => FrameworkToMaster::SuppressRoles(roles).into(),
        },
        Type::Kill | Type::Shutdown | Type::Acknowledge | Type::Message => {
            of_one(call).map_or_else(Meant::default, Meant::from)
        }
        Type::Reconcile => {
            let tasks = call.reconcile.unwrap_or_default().tasks.into_iter();
            let tasks = tasks.map(|task| {
                let agent = task.agent_id.map(|agent| AgentId::new(&agent.value));
                (TaskId::new(&task.task_id.value), agent)
            });
            FrameworkToMaster::Reconcile(tasks.collect()).into()
        }
        // There are no inverse offers and no operations that could be answered; wishes for resources are for no allocator of
        // ours, as for none of Mesos's. The others are no calls of a stream.
        Type::AcceptInverseOffers | Type::DeclineInverseOffers | Type::Request => Meant::default(),
        Type::AcknowledgeOperationStatus | Type::ReconcileOperations => Meant::default(),
        Type::Subscribe | Type::UpdateFramework | Type::Unknown => Meant::default(),
    }
}

/// What is about one task or executor.
fn of_one(call: Call) -> Option<FrameworkToMaster> {
    if let Some(kill) = call.kill.filter(|_| call.r#type == Some(Type::Kill.into())) {
        let grace = kill.kill_policy.and_then(|policy| policy.grace_period);
        return Some(FrameworkToMaster::Kill {
            task: TaskId::new(&kill.task_id.value),
            agent: kill.agent_id.map(|agent| AgentId::new(&agent.value)),
            grace: grace.and_then(|grace| duration_from_v1(&grace)),
        });
    }
    if let Some(end) = call.shutdown.filter(|_| call.r#type == Some(Type::Shutdown.into())) {
        let (agent, executor) =
            (AgentId::new(&end.agent_id.value), ExecutorId::new(&end.executor_id.value));
        return Some(FrameworkToMaster::ShutdownExecutor { agent, executor });
    }
    if let Some(one) = call.acknowledge.filter(|_| call.r#type == Some(Type::Acknowledge.into())) {
        let update = UpdateId::from_bytes(&one.uuid)?;
        let (agent, task) = (AgentId::new(&one.agent_id.value), TaskId::new(&one.task_id.value));
        return Some(FrameworkToMaster::Acknowledge { agent, task, update });
    }
    let message = call.message?;
    Some(FrameworkToMaster::ToExecutor {
        agent: AgentId::new(&message.agent_id.value),
        executor: ExecutorId::new(&message.executor_id.value),
        data: message.data,
    })
}

/// `None`: all. Those that are not the framework's, or no roles at all, are passed over.
fn of_roles(named: Option<Vec<String>>, framework: &FrameworkInfo) -> Option<Vec<Role>> {
    let named = named.filter(|named| !named.is_empty())?;
    let mut roles = Vec::new();
    for name in &named {
        let known = framework.roles.iter().find(|role| role.as_str() == name);
        roles.extend(known.filter(|role| !roles.contains(*role)).cloned());
    }
    Some(roles)
}

/// Five seconds unless something else is said; what is no span is the default too.
fn refusal(filters: Option<&v1::Filters>) -> Duration {
    let plain = v1::Filters::default();
    let said = filters.unwrap_or(&plain).refuse_seconds();
    seconds(said).unwrap_or_else(|| seconds(plain.refuse_seconds()).unwrap_or_default())
}

/// The ids as ours. They are open no more.
fn answered(ids: &[v1::OfferId], offers: &mut Offers) -> Vec<OfferId> {
    let ids = ids.iter().map(|id| OfferId::new(&id.value));
    let ids: Vec<_> = ids.collect();
    ids.iter().for_each(|id| drop(offers.remove(id)));
    ids
}

fn accept(accept: Accept, framework: &FrameworkInfo, offers: &mut Offers, now: WallTime) -> Meant {
    let agents = accept.offer_ids.iter().map(|id| offers.get(&OfferId::new(&id.value)));
    let agents: Vec<_> = agents.collect();
    // Of offers that are not valid the master says so.
    let alike = agents.iter().all(|agent| agent == &agents[0]);
    let agent = agents.first().filter(|_| alike).copied().flatten().cloned();
    let all = answered(&accept.offer_ids, offers);
    let (mut tasks, mut errors) = (Vec::new(), Vec::new());
    let launches =
        accept.operations.into_iter().filter(|one| one.r#type() == OperationType::Launch);
    for launch in launches {
        // Nobody could be told of the outcome.
        let id = launch.id.map(|_| "Operation 'id' cannot be set on a LAUNCH operation".to_owned());
        for info in launch.launch.into_iter().flat_map(|launch| launch.task_infos) {
            let checked = match (&id, task(&info, agent.as_ref(), framework)) {
                (Some(why), _) => Err(why.clone()),
                (None, checked) => checked,
            };
            match checked {
                Ok(task) => tasks.push(task),
                Err(message) => errors.push(error(&info, framework, agent.clone(), message, now)),
            }
        }
    }
    let refuse_for = refusal(accept.filters.as_ref());
    let operations = if tasks.is_empty() { Vec::new() } else { vec![Operation::Launch(tasks)] };
    Meant {
        messages: vec![FrameworkToMaster::Accept { offers: all, operations, refuse_for }],
        errors,
    }
}

fn task(
    info: &v1::TaskInfo,
    agent: Option<&AgentId>,
    framework: &FrameworkInfo,
) -> Result<TaskSpec, String> {
    if let Some(agent) = agent
        && info.agent_id.value != agent.as_str()
    {
        let named = &info.agent_id.value;
        return Err(format!("Task uses invalid agent {named} while agent {agent} is expected"));
    }
    let of_executor = info.executor.as_ref().and_then(|executor| executor.framework_id.as_ref());
    if let Some(named) = of_executor
        && named.value != framework.framework.as_str()
    {
        return Err(format!(
            "ExecutorInfo has an invalid FrameworkID (Actual: {} vs Expected: {})",
            named.value, framework.framework
        ));
    }
    TaskSpec::from_v1(info).map_err(|bad| bad.to_string())
}

fn error(
    info: &v1::TaskInfo,
    framework: &FrameworkInfo,
    agent: Option<AgentId>,
    message: String,
    at: WallTime,
) -> TaskStatus {
    let (framework, task) = (framework.framework.clone(), TaskId::new(&info.task_id.value));
    TaskStatus {
        agent,
        reason: Some(Reason::TaskInvalid),
        message,
        at,
        ..TaskStatus::plain(framework, task, TaskState::Error, Source::Master)
    }
}

/// The framework of whoever subscribes: its description is checked by the master, as all are.
pub(super) fn named(info: &v1::FrameworkInfo) -> Option<FrameworkId> {
    let id = info.id.as_ref().filter(|id| !id.value.is_empty())?;
    Some(FrameworkId::new(&id.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framework() -> FrameworkInfo {
        let json =
            r#"{"user":"u","name":"n","roles":["a","b"],"capabilities":[{"type":"MULTI_ROLE"}]}"#;
        let info: v1::FrameworkInfo = api::json::read(json.as_bytes()).unwrap();
        let info = FrameworkInfo::from_v1(&info).unwrap();
        FrameworkInfo { framework: FrameworkId::new("f"), ..info }
    }

    fn offers() -> Offers {
        Offers::from([(OfferId::new("o"), AgentId::new("agent"))])
    }

    #[track_caller]
    fn says(json: &str) -> Meant {
        let call: Call = api::json::read(json.as_bytes()).unwrap();
        meant(call, &framework(), &mut offers(), WallTime(7))
    }

    fn launch(task: &str) -> Meant {
        says(&format!(
            r#"{{"type":"ACCEPT","accept":{{"offer_ids":[{{"value":"o"}}],"operations":[{{"type":"LAUNCH","launch":{{"task_infos":[{task}]}}}}]}}}}"#
        ))
    }

    #[test]
    fn a_refusal_is_five_seconds_unless_it_is_said() {
        for (filters, wanted) in [
            ("", Duration::from_secs(5)),
            (r#","filters":{}"#, Duration::from_secs(5)),
            (r#","filters":{"refuse_seconds":0.5}"#, Duration::from_millis(500)),
            (r#","filters":{"refuse_seconds":0}"#, Duration::ZERO),
            (r#","filters":{"refuse_seconds":-1}"#, Duration::from_secs(5)),
        ] {
            let json = format!(
                r#"{{"type":"DECLINE","decline":{{"offer_ids":[{{"value":"o"}}]{filters}}}}}"#
            );
            let decline =
                FrameworkToMaster::Decline { offers: vec![OfferId::new("o")], refuse_for: wanted };
            assert_eq!(says(&json), decline.into(), "{filters}");
        }
        assert_eq!(says(r#"{"type":"DECLINE","decline":{}}"#), Meant::default());
    }

    #[test]
    fn fwk_10_roles_that_are_not_the_frameworks_are_passed_over() {
        let role = |name: &str| name.parse::<Role>().unwrap();
        assert_eq!(says(r#"{"type":"REVIVE"}"#), FrameworkToMaster::Revive.into());
        assert_eq!(
            says(r#"{"type":"SUPPRESS","suppress":{}}"#),
            FrameworkToMaster::Suppress.into()
        );
        assert_eq!(
            says(r#"{"type":"REVIVE","revive":{"roles":["b","x","b","/"]}}"#),
            FrameworkToMaster::ReviveRoles(vec![role("b")]).into()
        );
        assert_eq!(says(r#"{"type":"SUPPRESS","suppress":{"roles":["x"]}}"#), Meant::default());
    }

    #[test]
    fn a_task_that_makes_no_sense_is_an_error_and_the_others_go_on() {
        let task = |id: &str, agent: &str, rest: &str| {
            format!(
                r#"{{"name":"t","task_id":{{"value":"{id}"}},"agent_id":{{"value":"{agent}"}},"resources":[{{"name":"cpus","type":"SCALAR","scalar":{{"value":1}}}}]{rest}}}"#
            )
        };
        let (command, executor) = (
            r#","command":{"value":"true"}"#,
            r#","executor":{"executor_id":{"value":"e"},"framework_id":{"value":"g"},"command":{"value":"true"}}"#,
        );
        let meant =
            launch(&format!("{},{}", task("good", "agent", command), task("bad", "agent", "")));
        let [FrameworkToMaster::Accept { operations, refuse_for, .. }] = &meant.messages[..] else {
            panic!("{meant:?}")
        };
        assert_eq!(*refuse_for, Duration::from_secs(5));
        let Operation::Launch(tasks) = &operations[0];
        assert_eq!(tasks.iter().map(|task| task.task.as_str()).collect::<Vec<_>>(), ["good"]);
        for (task, words) in [
            (
                task("t", "agent", ""),
                "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present",
            ),
            (
                task("t", "other", command),
                "Task uses invalid agent other while agent agent is expected",
            ),
            (
                task("t", "agent", executor),
                "ExecutorInfo has an invalid FrameworkID (Actual: g vs Expected: f)",
            ),
        ] {
            let meant = launch(&task);
            let [error] = &meant.errors[..] else { panic!("{meant:?}") };
            assert_eq!((error.state, error.reason), (TaskState::Error, Some(Reason::TaskInvalid)));
            assert_eq!((error.message.as_str(), error.update), (words, None));
            let accept = FrameworkToMaster::Accept {
                offers: vec![OfferId::new("o")],
                operations: Vec::new(),
                refuse_for: Duration::from_secs(5),
            };
            assert_eq!(meant.messages, [accept], "the offer goes back");
        }
    }
}
