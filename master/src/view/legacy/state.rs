//! `/state`: all of it.

use std::collections::BTreeMap;

use protocol::change::AgentState;
use protocol::legacy::{Each, Message, Written, seconds, written};
use protocol::time::WallTime;
use protocol::v1::domain_to_v1;
use serde::Serialize;

use super::super::View;

/// What a master says of itself beside its state.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// What its program says of itself, with the keys of `/version`.
    pub version: serde_json::Map<String, serde_json::Value>,
    /// Of its machine.
    pub hostname: String,
    /// The cluster's name, if its operator gave it one.
    pub cluster: Option<String>,
    /// `master@ip:port`.
    pub pid: String,
    /// When its process began.
    pub started: WallTime,
    /// When its reign began.
    pub elected: WallTime,
    /// Where it listens.
    pub port: u16,
    /// What it was started with.
    pub flags: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct LeaderInfo<'a> {
    id: &'a str,
    pid: &'a str,
    port: u16,
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Message<api::v1::DomainInfo>>,
}

/// What a master can do, in Mesos's words.
pub(crate) const CAPABILITIES: [&str; 2] = ["AGENT_UPDATE", "QUOTA_V2"];

#[derive(Serialize)]
struct State<'a, S: Serialize, R: Serialize, F: Serialize, C: Serialize> {
    #[serde(flatten)]
    version: &'a serde_json::Map<String, serde_json::Value>,
    start_time: f64,
    elected_time: f64,
    id: &'a str,
    pid: &'a str,
    hostname: &'a str,
    capabilities: [&'static str; CAPABILITIES.len()],
    activated_slaves: f64,
    deactivated_slaves: f64,
    unreachable_slaves: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Message<api::v1::DomainInfo>>,
    leader: &'a str,
    leader_info: LeaderInfo<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    flags: &'a BTreeMap<String, String>,
    slaves: S,
    recovered_slaves: R,
    frameworks: F,
    completed_frameworks: C,
    /// Mesos shows none either.
    orphan_tasks: [(); 0],
    unregistered_frameworks: [(); 0],
}

impl View {
    /// `/state`.
    pub fn state_page(&self, about: &About) -> Written {
        let held = self.held_offers();
        let count = |state: AgentState| {
            let all = self.agents.values().filter(|agent| agent.view.state == state);
            all.count() as f64
        };
        let domain = || self.domain.as_ref().map(|domain| Message(domain_to_v1(domain)));
        written(&State {
            version: &about.version,
            start_time: seconds(about.started),
            elected_time: seconds(about.elected),
            id: self.cluster.master.as_str(),
            pid: &about.pid,
            hostname: &about.hostname,
            capabilities: CAPABILITIES,
            activated_slaves: count(AgentState::Active),
            deactivated_slaves: count(AgentState::Disconnected),
            unreachable_slaves: count(AgentState::Unreachable),
            domain: domain(),
            leader: &about.pid,
            leader_info: LeaderInfo {
                id: self.cluster.master.as_str(),
                pid: &about.pid,
                port: about.port,
                hostname: &about.hostname,
                domain: domain(),
            },
            cluster: about.cluster.as_deref(),
            flags: &about.flags,
            slaves: Each(|| self.members().map(|(id, agent)| self.slave(id, agent))),
            recovered_slaves: self.recovered_slaves(),
            frameworks: self.frameworks_json(&held, false, None),
            completed_frameworks: self.frameworks_json(&held, true, None),
            orphan_tasks: [],
            unregistered_frameworks: [],
        })
    }
}
