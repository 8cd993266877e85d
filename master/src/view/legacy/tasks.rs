//! `/tasks`, and tasks in `/state`.

use std::cmp::Reverse;
use std::sync::Arc;

use api::v1;
use protocol::task::TaskStatus;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::super::{Task, View};
use super::frameworks::is_command;
use super::resources::Flat;
use super::{Each, Message};

/// Which tasks, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TaskQuery {
    pub(crate) framework: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) order: Order,
}

/// By the time of a task's first news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Oldest,
    Newest,
}

/// A command as it is shown.
#[derive(Serialize)]
pub(super) struct CommandJson {
    shell: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    argv: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Message<v1::Environment>>,
    uris: Vec<Message<v1::command_info::Uri>>,
}

impl CommandJson {
    pub(super) fn of(command: &v1::CommandInfo) -> Self {
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
pub(super) struct TaskJson<'v>(&'v Task);

pub(super) fn task(task: &Task) -> TaskJson<'_> {
    TaskJson(task)
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
        let Task { report, statuses, .. } = self.0;
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
        map.serialize_entry("statuses", &Each(|| statuses.iter().map(|one| StatusJson(one))))?;
        if !report.spec.carried.as_bytes().is_empty()
            && let Ok(info) = report.spec.carried.decode()
        {
            write_carried(info, &mut map)?;
        }
        map.end()
    }
}

/// What a task's description only carries.
fn write_carried<M: SerializeMap>(info: v1::TaskInfo, map: &mut M) -> Result<(), M::Error> {
    if let Some(user) = info.command.and_then(|command| command.user) {
        map.serialize_entry("user", &user)?;
    }
    if let Some(labels) = info.labels {
        map.serialize_entry("labels", &Each(|| labels.labels.iter().cloned().map(Message)))?;
    }
    if let Some(discovery) = info.discovery {
        map.serialize_entry("discovery", &Message(discovery))?;
    }
    if let Some(container) = info.container {
        map.serialize_entry("container", &Message(container))?;
    }
    if let Some(health_check) = info.health_check {
        map.serialize_entry("health_check", &Message(health_check))?;
    }
    Ok(())
}

impl View {
    /// `/tasks`.
    pub(crate) fn tasks_page(&self, query: &TaskQuery) -> Vec<u8> {
        let frameworks = self.frameworks.iter();
        let meant = |asked: &Option<String>, id: &str| asked.as_ref().is_none_or(|one| one == id);
        let frameworks = frameworks.filter(|(id, _)| meant(&query.framework, id.as_str()));
        let tasks = frameworks.flat_map(|(_, framework)| framework.tasks.values());
        let mut tasks: Vec<&Arc<Task>> =
            tasks.filter(|one| meant(&query.task, one.report.spec.task.as_str())).collect();
        let first = |task: &&Arc<Task>| task.statuses.first().map(|status| status.at);
        match query.order {
            Order::Oldest => tasks.sort_by_key(first),
            Order::Newest => tasks.sort_by_key(|task| Reverse(first(task))),
        }
        #[derive(Serialize)]
        struct Tasks<T: Serialize> {
            tasks: T,
        }
        let tasks = Each(|| tasks.iter().skip(query.offset).take(query.limit).map(|one| task(one)));
        super::written(&Tasks { tasks })
    }
}
