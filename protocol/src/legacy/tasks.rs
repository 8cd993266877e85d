//! Tasks, their news and their commands.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::v1;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Each, Flat, Message};
use crate::task::{Run, TaskReport, TaskStatus};
use crate::v1::hide_of_container;

/// A command as it is shown.
#[derive(Serialize)]
pub struct CommandJson {
    shell: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    argv: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Message<v1::Environment>>,
    uris: Vec<Message<v1::command_info::Uri>>,
}

impl CommandJson {
    /// Of a v1 message.
    pub fn of(command: &v1::CommandInfo) -> Self {
        Self {
            shell: command.shell(),
            value: command.value.clone(),
            argv: command.arguments.clone(),
            environment: command.environment.clone().map(Message),
            uris: command.uris.iter().cloned().map(Message).collect(),
        }
    }
}

/// One task.
pub struct TaskJson<'v> {
    /// As it is.
    pub report: &'v TaskReport,
    /// Its news so far, in order.
    pub statuses: &'v [Arc<TaskStatus>],
}

struct StatusJson<'v>(&'v TaskStatus);

impl Serialize for StatusJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let status = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("state", status.state.to_v1().as_str_name())?;
        map.serialize_entry("timestamp", &status.at.as_seconds())?;
        // Most carry nothing.
        if !status.carried.as_bytes().is_empty()
            && let Ok(carried) = status.carried.decode()
        {
            if let Some(labels) = carried.labels {
                map.serialize_entry(
                    "labels",
                    &Each(|| labels.labels.iter().cloned().map(Message)),
                )?;
            }
            if let Some(container) = carried.container_status {
                map.serialize_entry("container_status", &Message(container))?;
            }
            if let Some(healthy) = carried.healthy {
                map.serialize_entry("healthy", &healthy)?;
            }
        }
        map.end()
    }
}

impl Serialize for TaskJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { report, statuses } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", report.spec.task.as_str())?;
        map.serialize_entry("name", &report.spec.name)?;
        map.serialize_entry("framework_id", report.framework.as_str())?;
        // The executor of a command is none of the framework's.
        let executor = if is_command(&report.spec.run) { "" } else { report.executor.as_str() };
        map.serialize_entry("executor_id", executor)?;
        map.serialize_entry("slave_id", report.agent.as_str())?;
        map.serialize_entry("state", report.state.to_v1().as_str_name())?;
        map.serialize_entry("resources", &Flat(&report.spec.resources))?;
        map.serialize_entry("role", report.role.as_str())?;
        map.serialize_entry(
            "statuses",
            &Each(|| statuses.iter().map(|one| StatusJson(one.as_ref()))),
        )?;
        if !report.spec.carried.as_bytes().is_empty()
            && let Ok(info) = report.spec.carried.decode()
        {
            write_carried(info, &mut map)?;
        }
        map.end()
    }
}

/// Amounts by name; of those without a bound JSON has no number.
struct LimitsJson<'v>(&'v BTreeMap<String, v1::value::Scalar>);

impl Serialize for LimitsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, scalar) in self.0 {
            match scalar.value.is_finite() {
                true => map.serialize_entry(name, &scalar.value)?,
                false => map.serialize_entry(name, "Infinity")?,
            }
        }
        map.end()
    }
}

/// What a task's description only carries.
fn write_carried<M: SerializeMap>(info: v1::TaskInfo, map: &mut M) -> Result<(), M::Error> {
    if let Some(user) = info.command.and_then(|command| command.user) {
        map.serialize_entry("user", &user)?;
    }
    if !info.limits.is_empty() {
        map.serialize_entry("limits", &LimitsJson(&info.limits))?;
    }
    if let Some(labels) = info.labels {
        map.serialize_entry("labels", &Each(|| labels.labels.iter().cloned().map(Message)))?;
    }
    if let Some(discovery) = info.discovery {
        map.serialize_entry("discovery", &Message(discovery))?;
    }
    if let Some(mut container) = info.container {
        hide_of_container(&mut container);
        map.serialize_entry("container", &Message(container))?;
    }
    if let Some(health_check) = info.health_check {
        map.serialize_entry("health_check", &Message(health_check))?;
    }
    Ok(())
}

/// Whether a task is run by the executor that comes with the agent.
pub fn is_command(run: &Run) -> bool {
    match run {
        Run::Command(_) => true,
        Run::Executor { .. } => false,
    }
}
