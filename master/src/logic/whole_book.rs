//! What the allocator is told of agents and frameworks as they are, one by one when they come, and all at once when it starts
//! over.

use protocol::ids::AgentId;

use super::Master;
use super::agents::Agent;
use super::allocator::{BookEntry, WholeBook};
use super::book::Holder;
use super::frameworks::Framework;

impl Master {
    /// The book that the allocator would have if it had been told everything so far.
    pub fn whole_book(&self) -> WholeBook {
        let mut agents = Vec::new();
        let told = |agent: &Agent| agent.counts() && !agent.is_recovered();
        for (id, agent) in self.agents.iter().filter(|(_, agent)| told(agent)) {
            agents.push(self.agent_entry(id, agent, self.holders_on(id)));
            if !agent.is_active() {
                agents.push(BookEntry::AgentInactive { agent: id.clone() });
            }
        }
        let mut frameworks = Vec::new();
        for framework in self.frameworks.values().filter(|framework| framework.pid().is_some()) {
            frameworks.push(framework.entry());
            if !framework.takes_offers() {
                let framework = framework.info.framework.clone();
                frameworks.push(BookEntry::Suppressed { framework, roles: Vec::new() });
            }
        }
        WholeBook {
            heard: self.proposed,
            offered: self.offers.open().map(|(_, offer)| offer.proposal).collect(),
            agents,
            frameworks,
            shares: self.registry.shares.clone(),
            awaiting: self.awaited.any(),
        }
    }

    pub(super) fn agent_entry(
        &self,
        id: &AgentId,
        agent: &Agent,
        allocated: Vec<Holder>,
    ) -> BookEntry {
        BookEntry::Agent {
            agent: id.clone(),
            slot: agent.slot,
            generation: agent.generation,
            hostname: agent.info.at.hostname.clone(),
            attributes: agent.info.attributes.clone(),
            domain: agent.domain.clone(),
            total: agent.info.resources.clone(),
            allocated,
        }
    }
}

impl Framework {
    pub(super) fn entry(&self) -> BookEntry {
        BookEntry::Framework {
            framework: self.info.framework.clone(),
            roles: self.info.roles.clone(),
            capabilities: self.info.capabilities.clone(),
            wishes: self.wishes.clone(),
        }
    }
}
