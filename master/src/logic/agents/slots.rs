//! All agents, by id and by slot: a number that is found at once. Whoever made something for an agent a moment ago brings its
//! slot back with the agent's generation, and need not search among tens of thousands of names.

use std::collections::BTreeMap;

use protocol::ids::AgentId;
use serde::{Deserialize, Serialize};
use slab::Slab;

use super::Agent;

/// Agents, in the order of their ids.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::logic) struct Agents {
    slots: Slab<(AgentId, Agent)>,
    by_id: BTreeMap<AgentId, u32>,
    /// Above the generation of whoever left, so that no slot has the same generation twice.
    generation: u64,
}

impl Agents {
    /// Of an agent that is not there yet.
    pub(in crate::logic) fn insert(&mut self, id: AgentId, mut agent: Agent) {
        agent.generation = agent.generation.max(self.generation);
        let entry = self.slots.vacant_entry();
        let slot = u32::try_from(entry.key()).expect("there are fewer agents than that");
        agent.slot = slot;
        entry.insert((id.clone(), agent));
        if let Some(before) = self.by_id.insert(id, slot) {
            self.slots.remove(before as usize);
        }
    }

    pub(in crate::logic) fn remove(&mut self, id: &AgentId) {
        if let Some(slot) = self.by_id.remove(id) {
            let (_, agent) = self.slots.remove(slot as usize);
            self.generation = self.generation.max(agent.generation + 1);
        }
    }

    pub(in crate::logic) fn get(&self, id: &AgentId) -> Option<&Agent> {
        self.at(*self.by_id.get(id)?)
    }

    pub(in crate::logic) fn get_mut(&mut self, id: &AgentId) -> Option<&mut Agent> {
        let slot = *self.by_id.get(id)?;
        self.at_mut(slot).map(|(_, agent)| agent)
    }

    pub(in crate::logic) fn at(&self, slot: u32) -> Option<&Agent> {
        self.slots.get(slot as usize).map(|(_, agent)| agent)
    }

    pub(in crate::logic) fn at_mut(&mut self, slot: u32) -> Option<&mut (AgentId, Agent)> {
        self.slots.get_mut(slot as usize)
    }

    pub(in crate::logic) fn contains_key(&self, id: &AgentId) -> bool {
        self.by_id.contains_key(id)
    }

    pub(in crate::logic) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(in crate::logic) fn keys(&self) -> impl Iterator<Item = &AgentId> {
        self.by_id.keys()
    }

    pub(in crate::logic) fn values(&self) -> impl Iterator<Item = &Agent> {
        self.by_id.values().filter_map(|slot| self.at(*slot))
    }

    pub(in crate::logic) fn iter(&self) -> impl Iterator<Item = (&AgentId, &Agent)> {
        self.by_id.iter().filter_map(|(id, slot)| Some((id, self.at(*slot)?)))
    }
}

impl FromIterator<(AgentId, Agent)> for Agents {
    fn from_iter<I: IntoIterator<Item = (AgentId, Agent)>>(all: I) -> Self {
        let mut agents = Self::default();
        all.into_iter().for_each(|(id, agent)| agents.insert(id, agent));
        agents
    }
}
