//! Agents, frameworks, tasks and roles as tables for people and as JSON for programs. The JSON has names of its own: it stays the
//! same when messages between components change.

pub(crate) mod frameworks;
pub(crate) mod roles;

use protocol::change::AgentState;
use protocol::operator::{AgentView, TaskView};
use protocol::resources::{Resources, Value};
use protocol::task::{Exit, TaskState, TaskStatus};
use serde::Serialize;
use serde_json::{Map, Number};

use crate::domains::{DomainJson, Domains};
use crate::output::table;

/// Mesos's words, which people know.
fn agent_state(state: AgentState) -> &'static str {
    match state {
        AgentState::Active => "active",
        AgentState::Disconnected => "disconnected",
        AgentState::Unreachable => "unreachable",
        AgentState::Gone => "gone",
        AgentState::Recovered => "recovered",
    }
}

/// The state's name in Mesos.
pub(crate) fn task_state(state: TaskState) -> &'static str {
    match state {
        TaskState::Staging => "TASK_STAGING",
        TaskState::Starting => "TASK_STARTING",
        TaskState::Running => "TASK_RUNNING",
        TaskState::Killing => "TASK_KILLING",
        TaskState::Finished => "TASK_FINISHED",
        TaskState::Failed => "TASK_FAILED",
        TaskState::Killed => "TASK_KILLED",
        TaskState::Error => "TASK_ERROR",
        TaskState::Lost => "TASK_LOST",
        TaskState::Dropped => "TASK_DROPPED",
        TaskState::Unreachable => "TASK_UNREACHABLE",
        TaskState::Gone => "TASK_GONE",
        TaskState::GoneByOperator => "TASK_GONE_BY_OPERATOR",
        TaskState::Unknown => "TASK_UNKNOWN",
    }
}

fn of(used: &Resources, total: &Resources, name: &str) -> String {
    format!("{}/{}", used.scalar(name), total.scalar(name))
}

/// Memory and disk in whole megabytes: nobody reads thousandths of them.
fn megabytes_of(used: &Resources, total: &Resources, name: &str) -> String {
    let whole = |resources: &Resources| resources.scalar(name).0 / 1000;
    format!("{}/{}", whole(used), whole(total))
}

/// The table of `airside agents`; where they are stands in it if that is said of any, and below it where the master is.
pub(crate) fn agents_table(agents: &[AgentView], domains: &Domains) -> String {
    let anywhere = !domains.agents.is_empty();
    let rows = agents.iter().map(|agent| {
        let (used, total) = (&agent.used, &agent.info.resources);
        let mut row = vec![
            agent.agent.to_string(),
            agent_state(agent.state).into(),
            agent.info.at.listens.clone(),
            of(used, total, "cpus"),
            megabytes_of(used, total, "mem"),
            megabytes_of(used, total, "disk"),
            agent.offered.cpus().to_string(),
        ];
        if anywhere {
            let domain = domains.agents.get(&agent.agent);
            row.push(domain.map(ToString::to_string).unwrap_or_default());
        }
        row
    });
    let mut head = vec!["AGENT", "STATE", "ADDRESS", "CPUS", "MEM MB", "DISK MB", "OFFERED CPUS"];
    head.extend(anywhere.then_some("REGION/ZONE"));
    let master = domains.master.as_ref().map(|domain| format!("The master is in {domain}\n"));
    table(&head, rows) + &master.unwrap_or_default()
}

/// The JSON of `airside agents`.
pub(crate) fn agents_json(agents: &[AgentView], domains: &Domains) -> Vec<AgentJson> {
    let one = |agent: &AgentView| {
        let domain = domains.agents.get(&agent.agent).map(DomainJson::from);
        AgentJson { domain, ..AgentJson::from(agent) }
    };
    agents.iter().map(one).collect()
}

/// The table of `airside tasks`.
pub(crate) fn tasks_table(tasks: &[TaskView]) -> String {
    let rows = tasks.iter().map(|task| {
        let last = task.statuses.last();
        vec![
            task.report.spec.task.to_string(),
            task.report.spec.name.clone(),
            task_state(task.report.state).into(),
            task.report.framework.to_string(),
            task.report.agent.to_string(),
            task.report.spec.resources.cpus().to_string(),
            task.report.spec.resources.mem().to_string(),
            last.map(|last| last.message.replace('\n', " ")).unwrap_or_default(),
        ]
    });
    let head = ["TASK", "NAME", "STATE", "FRAMEWORK", "AGENT", "CPUS", "MEM MB", "MESSAGE"];
    table(&head, rows)
}

/// An agent in JSON.
#[derive(Serialize)]
pub(crate) struct AgentJson {
    id: String,
    state: &'static str,
    hostname: String,
    address: String,
    version: String,
    attributes: Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<DomainJson>,
    resources: Map<String, serde_json::Value>,
    used: Map<String, serde_json::Value>,
    offered: Map<String, serde_json::Value>,
}

/// A task in JSON.
#[derive(Serialize)]
pub(crate) struct TaskJson {
    id: String,
    name: String,
    state: &'static str,
    framework: String,
    agent: String,
    executor: String,
    resources: Map<String, serde_json::Value>,
    statuses: Vec<StatusJson>,
}

#[derive(Serialize)]
struct StatusJson {
    state: &'static str,
    source: String,
    reason: Option<String>,
    message: String,
    exit_code: Option<i32>,
    exit_signal: Option<i32>,
    process: Option<u32>,
    isolation: Option<String>,
    unix_ms: u64,
}

/// All resources by name, of every kind together: amounts as numbers, ranges as pairs, sets as names.
fn resources_json(resources: &Resources) -> Map<String, serde_json::Value> {
    let value = |name: &str, value: &Value| match value {
        Value::Scalar(_) => Number::from_f64(resources.scalar(name).as_f64()).map(Into::into),
        Value::Ranges(_) => Some(resources.ranges(name).iter().map(|(a, b)| vec![a, b]).collect()),
        Value::Set(_) => Some(resources.set(name).into()),
    };
    resources
        .iter()
        .map(|one| (one.name.to_string(), value(&one.name, &one.value).unwrap_or_default()))
        .collect()
}

impl From<&AgentView> for AgentJson {
    fn from(agent: &AgentView) -> Self {
        let attributes = agent.info.attributes.iter();
        Self {
            id: agent.agent.to_string(),
            state: agent_state(agent.state),
            hostname: agent.info.at.hostname.clone(),
            address: agent.info.at.listens.clone(),
            version: agent.info.version.clone(),
            attributes: attributes.map(|a| (a.name.clone(), a.value.clone().into())).collect(),
            domain: None,
            resources: resources_json(&agent.info.resources),
            used: resources_json(&agent.used),
            offered: resources_json(&agent.offered),
        }
    }
}

impl From<&TaskView> for TaskJson {
    fn from(task: &TaskView) -> Self {
        Self {
            id: task.report.spec.task.to_string(),
            name: task.report.spec.name.clone(),
            state: task_state(task.report.state),
            framework: task.report.framework.to_string(),
            agent: task.report.agent.to_string(),
            executor: task.report.executor.to_string(),
            resources: resources_json(&task.report.spec.resources),
            statuses: task.statuses.iter().map(AsRef::as_ref).map(StatusJson::from).collect(),
        }
    }
}

impl From<&TaskStatus> for StatusJson {
    fn from(status: &TaskStatus) -> Self {
        let (exit_code, exit_signal) = match status.exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        Self {
            state: task_state(status.state),
            source: format!("{:?}", status.source),
            reason: status.reason.map(|reason| format!("{reason:?}")),
            message: status.message.clone(),
            exit_code,
            exit_signal,
            process: status.process,
            isolation: status.isolation.map(|isolation| format!("{isolation:?}")),
            unix_ms: status.at.0 / 1_000_000,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
