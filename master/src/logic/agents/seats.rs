//! All agents, by id and by seat: a number that is found at once. Whoever made something for an agent a moment ago brings its
//! seat back with the agent's generation, and need not search among tens of thousands of names.

use std::collections::BTreeMap;

use protocol::ids::AgentId;
use serde::{Deserialize, Serialize};
use slab::Slab;

use super::Agent;

/// Agents, in the order of their ids.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::logic) struct Agents {
    seats: Slab<(AgentId, Agent)>,
    by_id: BTreeMap<AgentId, u32>,
    /// Above the generation of whoever left, so that no seat has the same generation twice.
    generation: u64,
}

impl Agents {
    /// Of an agent that is not there yet.
    pub(in crate::logic) fn insert(&mut self, id: AgentId, mut agent: Agent) {
        agent.generation = agent.generation.max(self.generation);
        let entry = self.seats.vacant_entry();
        let seat = u32::try_from(entry.key()).expect("there are fewer agents than that");
        agent.seat = seat;
        entry.insert((id.clone(), agent));
        if let Some(before) = self.by_id.insert(id, seat) {
            self.seats.remove(before as usize);
        }
    }

    pub(in crate::logic) fn remove(&mut self, id: &AgentId) {
        if let Some(seat) = self.by_id.remove(id) {
            let (_, agent) = self.seats.remove(seat as usize);
            self.generation = self.generation.max(agent.generation + 1);
        }
    }

    pub(in crate::logic) fn get(&self, id: &AgentId) -> Option<&Agent> {
        self.at(*self.by_id.get(id)?)
    }

    pub(in crate::logic) fn get_mut(&mut self, id: &AgentId) -> Option<&mut Agent> {
        let seat = *self.by_id.get(id)?;
        self.at_mut(seat).map(|(_, agent)| agent)
    }

    pub(in crate::logic) fn at(&self, seat: u32) -> Option<&Agent> {
        self.seats.get(seat as usize).map(|(_, agent)| agent)
    }

    pub(in crate::logic) fn at_mut(&mut self, seat: u32) -> Option<&mut (AgentId, Agent)> {
        self.seats.get_mut(seat as usize)
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
        self.by_id.values().filter_map(|seat| self.at(*seat))
    }

    pub(in crate::logic) fn iter(&self) -> impl Iterator<Item = (&AgentId, &Agent)> {
        self.by_id.iter().filter_map(|(id, seat)| Some((id, self.at(*seat)?)))
    }
}

impl FromIterator<(AgentId, Agent)> for Agents {
    fn from_iter<I: IntoIterator<Item = (AgentId, Agent)>>(all: I) -> Self {
        let mut agents = Self::default();
        all.into_iter().for_each(|(id, agent)| agents.insert(id, agent));
        agents
    }
}
