//! The books as Mesos's older endpoints show them.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::v1;
use api::v1::framework_info::capability::Type as Capability;
use protocol::ids::{ContainerId, ExecutorId, FrameworkId, Role};
use protocol::legacy::{
    Attributes, CommandJson, Each, Flat, FlatOf, FlatOwned, Message, Pairs, TaskJson, Written,
    in_full, is_unreserved, roles_of, seconds, written,
};
use protocol::resources::{Resource, Resources};
use protocol::task::Run;
use protocol::time::WallTime;
use protocol::v1::{AGENT_CAPABILITIES, agent_pid, domain_to_v1};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::Container;
use super::v1::{executor_info, framework_info};
use crate::logic::{Books, ExecutorSeen, FrameworkSeen, Life, Stage, TaskSeen};

/// What an agent says of itself beside its books.
pub(crate) struct About {
    /// What its program says of itself, with the keys of `/version`.
    pub(crate) version: serde_json::Map<String, serde_json::Value>,
    /// When its process began.
    pub(crate) started: WallTime,
    /// The machine of its master, while it has one.
    pub(crate) master: Option<String>,
    /// What it was started with.
    pub(crate) flags: BTreeMap<String, String>,
    /// Where the sandbox of an executor is.
    pub(crate) sandbox: Box<Sandbox>,
}

type Sandbox = dyn Fn(&FrameworkId, &ExecutorId, &ContainerId) -> String + Send;

/// `/state`.
pub(crate) fn state(books: &Books, about: &About) -> Written {
    written(&State { books, about })
}

struct State<'b> {
    books: &'b Books,
    about: &'b About,
}

/// Of each role for which something is reserved, what.
fn by_role<'r, T: Serialize + 'r>(
    of: &'r Resources,
    shown: impl Fn(&'r Role) -> T + Copy + 'r,
) -> impl Serialize + 'r {
    Pairs(move || roles_of(of).into_iter().map(move |role| (role.as_str(), shown(role))))
}

fn flat_by_role(of: &Resources) -> impl Serialize + '_ {
    by_role(of, move |role| FlatOf(of, move |one: &Resource| one.kind.reserved_for() == Some(role)))
}

impl Serialize for State<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { books, about } = self;
        let info = &books.info;
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &about.version {
            map.serialize_entry(key, value)?;
        }
        map.serialize_entry("start_time", &seconds(about.started))?;
        let id = books.agent.as_ref().map_or("", |agent| agent.as_str());
        map.serialize_entry("id", id)?;
        map.serialize_entry("pid", &agent_pid(&info.at.listens))?;
        map.serialize_entry("hostname", &info.at.hostname)?;
        let capabilities = AGENT_CAPABILITIES.map(|capability| capability.as_str_name());
        map.serialize_entry("capabilities", &capabilities)?;
        if let Some(domain) = &books.domain {
            map.serialize_entry("domain", &Message(domain_to_v1(domain)))?;
        }
        self.write_resources(&mut map)?;
        map.serialize_entry("resource_providers", &[(); 0])?;
        map.serialize_entry("attributes", &Attributes(&info.attributes))?;
        if let Some(master) = about.master.as_ref().filter(|_| books.has_master) {
            map.serialize_entry("master_hostname", master)?;
        }
        for key in ["log_dir", "external_log_file"] {
            if let Some(value) = about.flags.get(key) {
                map.serialize_entry(key, value)?;
            }
        }
        map.serialize_entry("flags", &about.flags)?;
        map.serialize_entry("frameworks", &self.frameworks(&books.frameworks))?;
        map.serialize_entry("completed_frameworks", &self.frameworks(&books.gone))?;
        map.end()
    }
}

impl State<'_> {
    fn write_resources<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let (total, used) = (&self.books.info.resources, &self.books.used);
        let unreserved = is_unreserved as fn(&Resource) -> bool;
        map.serialize_entry("resources", &Flat(total))?;
        map.serialize_entry("reserved_resources", &flat_by_role(total))?;
        map.serialize_entry("unreserved_resources", &FlatOf(total, unreserved))?;
        let full = by_role(total, move |role| {
            let is_its = move |one: &&Resource| one.kind.reserved_for() == Some(role);
            Each(move || total.iter().filter(is_its).map(in_full))
        });
        map.serialize_entry("reserved_resources_full", &full)?;
        let full = Each(|| total.iter().filter(|one| is_unreserved(one)).map(in_full));
        map.serialize_entry("unreserved_resources_full", &full)?;
        map.serialize_entry("reserved_resources_allocated", &flat_by_role(used))?;
        map.serialize_entry("unreserved_resources_allocated", &FlatOf(used, unreserved))
    }

    fn frameworks<'s>(&'s self, all: &'s [FrameworkSeen]) -> impl Serialize + 's {
        Each(|| all.iter().map(|framework| FrameworkJson { framework, about: self.about }))
    }
}

struct FrameworkJson<'b> {
    framework: &'b FrameworkSeen,
    about: &'b About,
}

impl Serialize for FrameworkJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let framework = self.framework;
        let (own, info) = (&framework.info, framework_info(framework));
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", own.framework.as_str())?;
        map.serialize_entry("name", &own.name)?;
        map.serialize_entry("user", &own.user)?;
        map.serialize_entry("failover_timeout", &own.failover_timeout.as_secs_f64())?;
        map.serialize_entry("checkpoint", &info.checkpoint())?;
        map.serialize_entry("hostname", &own.hostname)?;
        if let Some(principal) = &info.principal {
            map.serialize_entry("principal", principal)?;
        }
        let multi_role = info.capabilities.iter().any(|one| one.r#type() == Capability::MultiRole);
        match own.roles.first().filter(|_| !multi_role) {
            Some(role) => map.serialize_entry("role", role.as_str())?,
            None => map.serialize_entry("roles", &Each(|| own.roles.iter().map(Role::as_str)))?,
        }
        map.serialize_entry("executors", &self.executors(&framework.executors))?;
        map.serialize_entry("completed_executors", &self.executors(&framework.ended))?;
        map.end()
    }
}

impl FrameworkJson<'_> {
    fn executors<'s>(&'s self, all: &'s [ExecutorSeen]) -> impl Serialize + 's {
        let framework = &self.framework.info.framework;
        Each(move || {
            all.iter().map(move |executor| ExecutorJson { framework, executor, about: self.about })
        })
    }
}

struct ExecutorJson<'b> {
    framework: &'b FrameworkId,
    executor: &'b ExecutorSeen,
    about: &'b About,
}

impl Serialize for ExecutorJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { framework, executor, about } = self;
        let id = &executor.spec.executor;
        let info = executor_info(framework, executor);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", id.as_str())?;
        map.serialize_entry("name", &executor.name())?;
        #[expect(deprecated, reason = "the older text is shown, as Mesos shows it")]
        map.serialize_entry("source", info.source.as_deref().unwrap_or_default())?;
        map.serialize_entry("container", executor.container.as_str())?;
        let directory = (about.sandbox)(framework, id, &executor.container);
        map.serialize_entry("directory", &directory)?;
        map.serialize_entry("resources", &FlatOwned(executor.all_resources()))?;
        map.serialize_entry("role", executor.role.as_str())?;
        if let Some(labels) = &info.labels {
            map.serialize_entry("labels", &Each(|| labels.labels.iter().cloned().map(Message)))?;
        }
        if let Some(r#type) =
            info.r#type.and_then(|r#type| v1::executor_info::Type::try_from(r#type).ok())
        {
            map.serialize_entry("type", r#type.as_str_name())?;
        }
        map.serialize_entry("tasks", &tasks(executor, |stage| stage == Stage::Launched))?;
        let queued = Each(|| {
            let all = executor.tasks.iter().filter(|task| task.stage == Stage::Queued);
            all.map(|task| QueuedJson(task))
        });
        map.serialize_entry("queued_tasks", &queued)?;
        let ended = |stage| matches!(stage, Stage::Terminated | Stage::Completed);
        map.serialize_entry("completed_tasks", &tasks(executor, ended))?;
        map.end()
    }
}

fn tasks(executor: &ExecutorSeen, which: fn(Stage) -> bool) -> impl Serialize + '_ {
    Each(move || {
        let meant = executor.tasks.iter().filter(move |task| which(task.stage));
        meant
            .map(|task: &Arc<TaskSeen>| TaskJson { report: &task.report, statuses: &task.statuses })
    })
}

/// A task that its executor was not told of yet.
struct QueuedJson<'b>(&'b TaskSeen);

impl Serialize for QueuedJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = &self.0.report;
        let info = report.spec.to_v1(&report.agent).unwrap_or_default();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", report.spec.task.as_str())?;
        map.serialize_entry("name", &report.spec.name)?;
        map.serialize_entry("slave_id", report.agent.as_str())?;
        map.serialize_entry("resources", &Flat(&report.spec.resources))?;
        map.serialize_entry("role", report.role.as_str())?;
        match &report.spec.run {
            Run::Command(_) => {
                let command = info.command.unwrap_or_default();
                map.serialize_entry("command", &CommandJson::of(&command))?;
            }
            Run::Executor { executor, .. } => {
                map.serialize_entry("executor_id", executor.executor.as_str())?;
            }
        }
        if let Some(discovery) = info.discovery {
            map.serialize_entry("discovery", &Message(discovery))?;
        }
        map.end()
    }
}

/// `/containers`; `/monitor/statistics` shows those that have some, and less of each.
pub(crate) fn containers(all: &[Container], whole: bool) -> Written {
    let shown = all.iter().filter(|one| whole || one.statistics.is_some());
    let shown: Vec<_> = shown.map(|container| ContainerJson { container, whole }).collect();
    written(&shown)
}

struct ContainerJson<'b> {
    container: &'b Container,
    whole: bool,
}

impl Serialize for ContainerJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let container = self.container;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("framework_id", container.framework.as_str())?;
        map.serialize_entry("executor_id", container.executor.as_str())?;
        map.serialize_entry("executor_name", &container.name)?;
        map.serialize_entry("source", &container.source)?;
        if self.whole {
            let id = container.status.container_id.as_ref().map(|id| id.value.as_str());
            map.serialize_entry("container_id", &id)?;
            map.serialize_entry("status", &Message(container.status.clone()))?;
        }
        if let Some(statistics) = &container.statistics {
            map.serialize_entry("statistics", &Message(statistics.clone()))?;
        }
        map.end()
    }
}

/// `/containerizer/debug`: what is under way.
pub(crate) fn pending(books: &Books) -> Written {
    let executors = books.frameworks.iter().flat_map(|framework| &framework.executors);
    let under_way = executors.filter_map(|executor| {
        let operation = match executor.life {
            Life::Starting => "launch",
            Life::Ending(_) => "destroy",
            Life::Running(_) | Life::Ended => return None,
        };
        let container = executor.container.as_str();
        Some(serde_json::json!({ "operation": operation, "args": { "containerId": container } }))
    });
    written(&serde_json::json!({ "pending": under_way.collect::<Vec<_>>() }))
}
