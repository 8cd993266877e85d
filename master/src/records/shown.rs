//! A registry as Mesos's `/registrar(1)/registry` shows it.

use std::collections::BTreeMap;

use api::v1;
use protocol::ids::{AgentId, Role};
use protocol::quota::{Quota, Weight};
use protocol::time::WallTime;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::logic::registry::Registry;
use crate::view::v1::roles::config_to_v1;

/// What a master must know to read it, in Mesos's words.
const QUOTA_V2: &str = "QUOTA_V2";

#[derive(Serialize)]
struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    master: Option<Info>,
    slaves: Slaves<Info>,
    #[serde(skip_serializing_if = "Slaves::is_empty")]
    unreachable: Slaves<Since>,
    #[serde(skip_serializing_if = "Slaves::is_empty")]
    gone: Slaves<Since>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    weights: Vec<Info>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    quota_configs: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    minimum_capabilities: Vec<BTreeMap<&'static str, &'static str>>,
}

#[derive(Serialize)]
struct Slaves<T> {
    slaves: Vec<T>,
}

impl<T> Slaves<T> {
    fn is_empty(&self) -> bool {
        self.slaves.is_empty()
    }
}

#[derive(Serialize)]
struct Info {
    info: Box<RawValue>,
}

#[derive(Serialize)]
struct Since {
    id: Box<RawValue>,
    timestamp: Box<RawValue>,
}

fn raw<M: prost::Message + prost::Name>(message: &M) -> Option<Box<RawValue>> {
    RawValue::from_string(api::json::write(message)).ok()
}

fn since((agent, at): (&AgentId, WallTime)) -> Option<Since> {
    let nanoseconds = i64::try_from(at.0).unwrap_or(i64::MAX);
    Some(Since { id: raw(&agent.to_v1())?, timestamp: raw(&v1::TimeInfo { nanoseconds })? })
}

/// As JSON; of the master that leads.
pub(crate) fn shown(registry: &Registry, master: Option<&v1::MasterInfo>) -> String {
    let info = |message: Option<Box<RawValue>>| message.map(|info| Info { info });
    let of_agent = |(id, entry): (&AgentId, &crate::logic::registry::AgentEntry)| {
        info(raw(&entry.info.to_v1(id, entry.domain.as_ref())))
    };
    let here = registry.agents.iter().filter(|(_, entry)| entry.unreachable.is_none());
    let away = registry.agents.iter().filter_map(|(id, entry)| Some((id, entry.unreachable?)));
    let gone = registry.gone.iter().map(|(id, gone)| (id, gone.at));
    let weight = |(role, weight): (&Role, &Weight)| {
        info(raw(&v1::WeightInfo { role: Some(role.to_string()), weight: weight.as_f64() }))
    };
    let quotas = registry.shares.quotas.iter();
    let config = |(role, quota): (&Role, &Quota)| raw(&config_to_v1(role, quota));
    let needs = if registry.shares.quotas.is_empty() { None } else { Some(QUOTA_V2) };
    let shown = Shown {
        master: master.and_then(|master| info(raw(master))),
        slaves: Slaves { slaves: here.filter_map(of_agent).collect() },
        unreachable: Slaves { slaves: away.filter_map(since).collect() },
        gone: Slaves { slaves: gone.filter_map(since).collect() },
        weights: registry.shares.weights.iter().filter_map(weight).collect(),
        quota_configs: quotas.filter_map(config).collect(),
        minimum_capabilities: needs
            .map(|needs| BTreeMap::from([("capability", needs)]))
            .into_iter()
            .collect(),
    };
    serde_json::to_string(&shown).unwrap_or_default()
}
