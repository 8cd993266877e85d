//! Agents, and those that are awaited.

use ::api::v1;
use ::api::v1::master::response::{GetAgents, get_agents};
use protocol::change::AgentState;
use protocol::ids::AgentId;
use protocol::v1::{AGENT_CAPABILITIES, agent_pid, resources_to_endpoint, time_to_v1};

use super::super::{Agent, View};

use v1::agent_info::capability::Type as Capability;

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
            pid: Some(agent_pid(&view.info.at.listens)),
            registered_time: Some(time_to_v1(times.registered)),
            reregistered_time: times.reregistered.map(time_to_v1),
            total_resources: resources_to_endpoint(&view.info.resources),
            allocated_resources: resources_to_endpoint(&view.used),
            offered_resources: resources_to_endpoint(&view.offered),
            capabilities: AGENT_CAPABILITIES.map(capability).to_vec(),
            ..Default::default()
        }
    }
}
