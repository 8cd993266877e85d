//! What an agent tells an executor, as events of the v1 API. Pure.

use api::v1;
use api::v1::executor::{Event, event};
use protocol::carried::BadCarried;
use protocol::executor::AgentToExecutor;
use protocol::ids::{AgentId, UpdateId};
use protocol::v1::duration_to_v1;

use crate::logic::Known;

fn event(r#type: event::Type) -> Event {
    Event { r#type: Some(r#type.into()), ..Event::default() }
}

pub(super) fn heartbeat() -> Event {
    event(event::Type::Heartbeat)
}

pub(super) fn shutdown() -> Event {
    event(event::Type::Shutdown)
}

pub(super) fn error(message: String) -> Event {
    Event { error: Some(event::Error { message }), ..event(event::Type::Error) }
}

/// The first event of a stream.
pub(super) fn subscribed(known: &Known) -> Result<Event, BadCarried> {
    let framework = &known.framework.framework;
    let subscribed = event::Subscribed {
        executor_info: known.spec.described_to_v1(framework, known.described.as_ref())?,
        framework_info: known.framework.to_v1()?,
        agent_info: known.info.to_v1(&known.agent, known.domain.as_ref()),
        container_id: Some(known.container.to_v1()),
    };
    Ok(Event { subscribed: Some(subscribed), ..event(event::Type::Subscribed) })
}

/// What the agent with this id says; `None`: nothing that this API knows.
pub(super) fn of(message: &AgentToExecutor, agent: &AgentId) -> Result<Option<Event>, BadCarried> {
    let task_id = |task: &protocol::ids::TaskId| v1::TaskId { value: task.to_string() };
    Ok(Some(match message {
        AgentToExecutor::Registered { .. } | AgentToExecutor::Reregistered { .. } => {
            return Ok(None);
        }
        AgentToExecutor::Launch(task) => {
            let launch = event::Launch { task: task.to_v1(agent)? };
            Event { launch: Some(launch), ..event(event::Type::Launch) }
        }
        AgentToExecutor::Kill { task, grace } => {
            let kill_policy = Some(v1::KillPolicy { grace_period: Some(duration_to_v1(*grace)) });
            let kill = event::Kill { task_id: task_id(task), kill_policy };
            Event { kill: Some(kill), ..event(event::Type::Kill) }
        }
        AgentToExecutor::Acknowledge { task, update } => {
            let uuid = UpdateId::to_bytes(*update);
            let acknowledged = event::Acknowledged { task_id: task_id(task), uuid };
            Event { acknowledged: Some(acknowledged), ..event(event::Type::Acknowledged) }
        }
        AgentToExecutor::FromScheduler(data) => {
            let message = event::Message { data: data.clone() };
            Event { message: Some(message), ..event(event::Type::Message) }
        }
        AgentToExecutor::Shutdown => shutdown(),
    }))
}
