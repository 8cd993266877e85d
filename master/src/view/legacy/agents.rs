//! `/slaves`, and agents in `/state`.

use protocol::change::AgentState;
use protocol::ids::{AgentId, Role};
use protocol::legacy::{
    Attributes, Each, Flat, FlatOf, Message, Pairs, Written, in_full, is_unreserved, roles_of,
    seconds, written,
};
use protocol::resources::{Resource, Resources};
use protocol::v1::{AGENT_CAPABILITIES, agent_pid, agent_port, domain_to_v1};
use serde::Serialize;

use super::super::v1::agents::is_registered;
use super::super::{Agent, View};

/// An agent as it introduced itself.
#[derive(Serialize)]
struct Known<'v> {
    id: &'v str,
    hostname: &'v str,
    port: u16,
    attributes: Attributes<'v>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<Message<api::v1::DomainInfo>>,
}

/// A member.
#[derive(Serialize)]
struct Slave<'v, R: Serialize> {
    #[serde(flatten)]
    known: Known<'v>,
    pid: String,
    registered_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<f64>,
    resources: Flat<'v>,
    used_resources: Flat<'v>,
    offered_resources: Flat<'v>,
    reserved_resources: R,
    unreserved_resources: FlatOf<'v, fn(&Resource) -> bool>,
    active: bool,
    deactivated: bool,
    version: &'v str,
    capabilities: [&'static str; AGENT_CAPABILITIES.len()],
}

/// With each resource on its own.
#[derive(Serialize)]
struct Full<S: Serialize, R: Serialize, L: Serialize> {
    #[serde(flatten)]
    slave: S,
    reserved_resources_full: R,
    unreserved_resources_full: L,
    used_resources_full: L,
    offered_resources_full: L,
}

impl View {
    fn known<'v>(&'v self, id: &'v AgentId, agent: &'v Agent) -> Known<'v> {
        let info = &agent.view.info;
        Known {
            id: id.as_str(),
            hostname: &info.at.hostname,
            port: agent_port(&info.at.listens),
            attributes: Attributes(&info.attributes),
            domain: self.domains.get(id).map(|domain| Message(domain_to_v1(domain))),
        }
    }

    /// One member; `more` is put behind it.
    pub(super) fn slave<'v>(&'v self, id: &'v AgentId, agent: &'v Agent) -> impl Serialize + 'v {
        let (view, times) = (&agent.view, &agent.times);
        let total = &view.info.resources;
        let reserved = move || {
            let of_role = move |role: &'v Role| {
                let is_its = move |one: &Resource| one.kind.reserved_for() == Some(role);
                (role.as_str(), FlatOf(total, is_its))
            };
            roles_of(total).into_iter().map(of_role)
        };
        Slave {
            known: self.known(id, agent),
            pid: agent_pid(&view.info.at.listens),
            registered_time: seconds(times.registered),
            reregistered_time: times.reregistered.map(seconds),
            resources: Flat(total),
            used_resources: Flat(&view.used),
            offered_resources: Flat(&view.offered),
            reserved_resources: Pairs(reserved),
            unreserved_resources: FlatOf(total, is_unreserved as fn(&Resource) -> bool),
            active: view.state == AgentState::Active,
            deactivated: false,
            version: &view.info.version,
            capabilities: AGENT_CAPABILITIES.map(|capability| capability.as_str_name()),
        }
    }

    fn slave_in_full<'v>(&'v self, id: &'v AgentId, agent: &'v Agent) -> impl Serialize + 'v {
        let view = &agent.view;
        let total = &view.info.resources;
        let reserved = move || {
            let of_role = move |role: &'v Role| {
                let is_its = move |one: &&Resource| one.kind.reserved_for() == Some(role);
                (role.as_str(), Each(move || total.iter().filter(is_its).map(in_full)))
            };
            roles_of(total).into_iter().map(of_role)
        };
        let list = |of: &'v Resources, which: fn(&Resource) -> bool| {
            Each(move || of.iter().filter(move |one| which(one)).map(in_full))
        };
        Full {
            slave: self.slave(id, agent),
            reserved_resources_full: Pairs(reserved),
            unreserved_resources_full: list(total, is_unreserved),
            used_resources_full: list(&view.used, |_| true),
            offered_resources_full: list(&view.offered, |_| true),
        }
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&AgentId, &Agent)> {
        let all = self.agents.iter().map(|(id, agent)| (id, &**agent));
        all.filter(|(_, agent)| is_registered(agent.view.state))
    }

    pub(super) fn recovered_slaves(&self) -> impl Serialize + '_ {
        Each(move || {
            let all = self.agents.iter();
            let awaited = all.filter(|(_, agent)| agent.view.state == AgentState::Recovered);
            awaited.map(move |(id, agent)| self.known(id, agent))
        })
    }

    /// `/slaves`; of one agent, if it is named.
    pub(crate) fn slaves(&self, only: Option<&str>) -> Written {
        let is_meant = move |id: &AgentId| only.is_none_or(|only| id.as_str() == only);
        let slaves = Each(move || {
            let meant = self.members().filter(move |(id, _)| is_meant(id));
            meant.map(|(id, agent)| self.slave_in_full(id, agent))
        });
        let recovered = Each(move || {
            let all = self.agents.iter().filter(move |(id, _)| is_meant(id));
            let awaited = all.filter(|(_, agent)| agent.view.state == AgentState::Recovered);
            awaited.map(|(id, agent)| self.known(id, agent))
        });
        #[derive(Serialize)]
        struct Slaves<S: Serialize, R: Serialize> {
            slaves: S,
            recovered_slaves: R,
        }
        written(&Slaves { slaves, recovered_slaves: recovered })
    }
}
