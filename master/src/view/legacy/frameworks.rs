//! `/frameworks`, and frameworks in `/state`.

use std::sync::Arc;

use api::v1;
use api::v1::framework_info::capability::Type as Capability;
use protocol::change::FrameworkState;
use protocol::ids::{AgentId, ExecutorId, FrameworkId, Role};
use protocol::legacy::{CommandJson, Each, Flat, FlatOwned, Message, Written, seconds, written};
use protocol::offer::Offer;
use protocol::resources::Resources;
use protocol::task::TaskState;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::super::v1::frameworks::{Held, is_connected};
use super::super::{Framework, Task, View};
use super::tasks::task;

/// All that is said of one.
pub(super) struct FrameworkJson<'v> {
    pub(super) id: &'v FrameworkId,
    pub(super) framework: &'v Framework,
    pub(super) offers: &'v [&'v Arc<Offer>],
    pub(super) constraints: v1::scheduler::OfferConstraints,
}

/// What `/state` and `/state-summary` both say.
#[derive(Serialize)]
pub(super) struct Head<'v> {
    id: &'v str,
    name: &'v str,
    used_resources: FlatOwned,
    offered_resources: Flat<'v>,
    capabilities: Vec<&'static str>,
    hostname: &'v str,
    webui_url: String,
    active: bool,
    connected: bool,
    recovered: bool,
}

pub(super) fn head<'v>(
    id: &'v FrameworkId,
    framework: &'v Framework,
    info: &v1::FrameworkInfo,
) -> Head<'v> {
    Head {
        id: id.as_str(),
        name: &framework.info.name,
        used_resources: FlatOwned(framework.used()),
        offered_resources: Flat(&framework.offered),
        capabilities: info.capabilities.iter().map(|one| one.r#type().as_str_name()).collect(),
        hostname: &framework.info.hostname,
        webui_url: info.webui_url.clone().unwrap_or_default(),
        active: framework.state == FrameworkState::Active,
        connected: is_connected(framework.state),
        recovered: framework.state == FrameworkState::Recovered,
    }
}

#[derive(Serialize)]
struct ExecutorJson<'v> {
    executor_id: &'v str,
    name: String,
    framework_id: &'v str,
    command: CommandJson,
    resources: FlatOwned,
    role: &'v str,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Message<v1::Labels>>,
    r#type: &'static str,
    slave_id: &'v str,
}

#[derive(Serialize)]
struct OfferJson<'v> {
    id: &'v str,
    framework_id: &'v str,
    allocation_info: AllocationJson<'v>,
    slave_id: &'v str,
    resources: Flat<'v>,
}

#[derive(Serialize)]
struct AllocationJson<'v> {
    role: &'v str,
}

fn executor<'v>(
    id: &'v FrameworkId,
    framework: &'v Framework,
    (agent, executor): &'v (AgentId, ExecutorId),
    (role, resources): &'v (Role, Resources),
) -> ExecutorJson<'v> {
    let info = framework.executor_to_v1(id, agent, executor, resources);
    ExecutorJson {
        executor_id: executor.as_str(),
        name: info.name.unwrap_or_default(),
        framework_id: id.as_str(),
        command: CommandJson::of(&info.command.unwrap_or_default()),
        resources: FlatOwned(resources.clone()),
        role: role.as_str(),
        labels: info.labels.map(Message),
        r#type: v1::executor_info::Type::Custom.as_str_name(),
        slave_id: agent.as_str(),
    }
}

fn offer<'v>(offer: &'v Arc<Offer>) -> OfferJson<'v> {
    OfferJson {
        id: offer.offer.as_str(),
        framework_id: offer.framework.as_str(),
        allocation_info: AllocationJson { role: offer.role.as_str() },
        slave_id: offer.agent.as_str(),
        resources: Flat(&offer.resources),
    }
}

impl Serialize for FrameworkJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { id, framework, offers, constraints } = self;
        let info = framework.info_to_v1();
        let head = head(id, framework, &info);
        let mut all = head.used_resources.0.unallocated();
        all.add(&framework.offered);
        let times = &framework.times;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("user", &framework.info.user)?;
        map.serialize_entry("failover_timeout", &framework.info.failover_timeout.as_secs_f64())?;
        map.serialize_entry("checkpoint", &info.checkpoint())?;
        map.serialize_entry("registered_time", &seconds(times.registered))?;
        map.serialize_entry("unregistered_time", &times.unregistered.map_or(0.0, seconds))?;
        if let Some(principal) = &info.principal {
            map.serialize_entry("principal", principal)?;
        }
        map.serialize_entry("resources", &FlatOwned(all))?;
        if let Some(time) = times.reregistered {
            map.serialize_entry("reregistered_time", &seconds(time))?;
        }
        let has = |capability| info.capabilities.iter().any(|one| one.r#type() == capability);
        let roles = &framework.info.roles;
        match (has(Capability::MultiRole), roles.first()) {
            (false, Some(role)) => map.serialize_entry("role", role.as_str())?,
            (true, _) | (false, None) => {
                map.serialize_entry("roles", &Each(|| roles.iter().map(Role::as_str)))?;
            }
        }
        let tasks = |which: fn(bool, TaskState) -> bool| {
            let which = move |one: &&Arc<Task>| which(one.is_completed(), one.report.state);
            Each(move || framework.tasks.values().filter(which).map(|one| task(one)))
        };
        map.serialize_entry(
            "tasks",
            &tasks(|done, state| !done && state != TaskState::Unreachable),
        )?;
        let unreachable = tasks(|done, state| !done && state == TaskState::Unreachable);
        map.serialize_entry("unreachable_tasks", &unreachable)?;
        map.serialize_entry("completed_tasks", &tasks(|done, _| done))?;
        map.serialize_entry("offers", &Each(|| offers.iter().map(|one| offer(one))))?;
        let executors = Each(|| {
            framework.executors.iter().map(|(key, held)| executor(id, framework, key, held))
        });
        map.serialize_entry("executors", &executors)?;
        if let Some(labels) = info.labels.clone() {
            map.serialize_entry("labels", &Each(|| labels.labels.iter().cloned().map(Message)))?;
        }
        map.serialize_entry("offer_constraints", &Message(constraints.clone()))?;
        head.write(&mut map)?;
        map.end()
    }
}

impl Head<'_> {
    pub(super) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("id", self.id)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("used_resources", &self.used_resources)?;
        map.serialize_entry("offered_resources", &self.offered_resources)?;
        map.serialize_entry("capabilities", &self.capabilities)?;
        map.serialize_entry("hostname", self.hostname)?;
        map.serialize_entry("webui_url", &self.webui_url)?;
        map.serialize_entry("active", &self.active)?;
        map.serialize_entry("connected", &self.connected)?;
        map.serialize_entry("recovered", &self.recovered)
    }
}

impl View {
    /// Those that are there, or those that were.
    pub(super) fn frameworks_json<'v>(
        &'v self,
        held: &'v Held<'v>,
        removed: bool,
        only: Option<&'v str>,
    ) -> impl Serialize + 'v {
        Each(move || {
            let all = self.frameworks.iter();
            let all = all.filter(move |(id, _)| only.is_none_or(|only| id.as_str() == only));
            let all = all.filter(move |(_, framework)| framework.is_removed() == removed);
            all.map(move |(id, framework)| FrameworkJson {
                id,
                framework,
                offers: held.get(id).map_or(&[], Vec::as_slice),
                constraints: self.constraints_of(id),
            })
        })
    }

    /// `/frameworks`; one of them, if it is named.
    pub(crate) fn frameworks_page(&self, only: Option<&str>) -> Written {
        #[derive(Serialize)]
        struct Frameworks<F: Serialize, C: Serialize> {
            frameworks: F,
            completed_frameworks: C,
            /// Mesos shows none either.
            unregistered_frameworks: [(); 0],
        }
        let held = self.held_offers();
        written(&Frameworks {
            frameworks: self.frameworks_json(&held, false, only),
            completed_frameworks: self.frameworks_json(&held, true, only),
            unregistered_frameworks: [],
        })
    }
}
