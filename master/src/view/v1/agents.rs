//! Agents, and those that are awaited.

use ::api::v1;
use ::api::v1::master::response::{GetAgents, get_agents};
use protocol::change::AgentState;
use protocol::ids::AgentId;

use super::super::{Agent, View};
use super::{shown, time};

use v1::agent_info::capability::Type as Capability;

/// What each agent of ours can do.
pub(crate) const CAPABILITIES: [Capability; 3] =
    [Capability::MultiRole, Capability::HierarchicalRole, Capability::ReservationRefinement];

/// Where agents listen that do not say so.
const PORT: u16 = 5051;

/// The port in `host:port`.
pub(crate) fn port_of(listens: &str) -> u16 {
    listens.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(PORT)
}

/// The name of an agent's actor, in Mesos's form.
pub(crate) fn pid_of(listens: &str) -> String {
    format!("slave(1)@{listens}")
}

/// Whether an agent is a member: Mesos knows the unreachable and the gone by their ids alone.
pub(crate) fn is_registered(state: AgentState) -> bool {
    match state {
        AgentState::Active | AgentState::Disconnected => true,
        AgentState::Unreachable | AgentState::Gone | AgentState::Recovered => false,
    }
}

impl View {
    /// `GET_AGENTS`.
    pub(crate) fn get_agents(&self) -> GetAgents {
        let all = || self.agents.iter();
        GetAgents {
            agents: all()
                .filter(|(_, agent)| is_registered(agent.view.state))
                .map(|(id, agent)| self.agent_to_v1(id, agent))
                .collect(),
            recovered_agents: all()
                .filter(|(_, agent)| agent.view.state == AgentState::Recovered)
                .map(|(id, agent)| agent.view.info.to_v1(id, self.domains.get(id)))
                .collect(),
        }
    }

    /// One of them.
    pub(super) fn one_agent(&self, id: &AgentId) -> Option<get_agents::Agent> {
        self.agents.get(id).map(|agent| self.agent_to_v1(id, agent))
    }

    fn agent_to_v1(&self, id: &AgentId, agent: &Agent) -> get_agents::Agent {
        let (view, times) = (&agent.view, &agent.times);
        let capability = |one: Capability| v1::agent_info::Capability { r#type: Some(one.into()) };
        get_agents::Agent {
            agent_info: view.info.to_v1(id, self.domains.get(id)),
            active: view.state == AgentState::Active,
            deactivated: Some(false),
            version: view.info.version.clone(),
            pid: Some(pid_of(&view.info.at.listens)),
            registered_time: Some(time(times.registered)),
            reregistered_time: times.reregistered.map(time),
            total_resources: shown(&view.info.resources),
            allocated_resources: shown(&view.used),
            offered_resources: shown(&view.offered),
            capabilities: CAPABILITIES.map(capability).to_vec(),
            ..Default::default()
        }
    }
}
