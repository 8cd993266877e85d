//! What an allocator proposes is of an agent as it was. If the agent has come back since, nothing may come of it.

use std::collections::BTreeMap;

use master::logic::allocator::BookEntry;
use master::logic::{Effect, Event, Step};
use protocol::framework::MasterToFramework;
use protocol::ids::AgentId;

/// The generation of each agent that is there, as one master has told its allocator.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generations(BTreeMap<AgentId, u64>);

impl Generations {
    /// What was offered and should not have been, in words.
    pub(crate) fn see(&mut self, heard: &Event, step: &Step) -> Option<String> {
        let stale = self.stale(heard, step);
        for effect in &step.effects {
            if let Effect::TellAllocator(entries) = effect {
                entries.iter().for_each(|entry| self.learn(entry));
            }
        }
        stale
    }

    fn stale(&self, heard: &Event, step: &Step) -> Option<String> {
        let Event::Proposed(proposals) = heard else {
            return None;
        };
        let offered = step.effects.iter().flat_map(|effect| match effect {
            Effect::TellFramework {
                message:
                    MasterToFramework::Offers(offers) | MasterToFramework::OffersAt { offers, .. },
                ..
            } => &offers[..],
            Effect::TellFramework { .. } | Effect::TellAgent { .. } | Effect::Write(_) => &[],
            Effect::AnswerKill { .. } | Effect::AnswerSet { .. } => &[],
            Effect::Link(_) | Effect::Unlink(_) => &[],
            Effect::TellAllocator(_) | Effect::StartTimer { .. } => &[],
            Effect::StepDown { .. } | Effect::EndReign { .. } => &[],
        });
        let is_stale = |agent: &AgentId| {
            let present = self.0.get(agent);
            !proposals
                .iter()
                .flat_map(|p| &p.all)
                .any(|p| p.agent == *agent && Some(&p.generation) == present)
        };
        let offer = offered.into_iter().find(|offer| is_stale(&offer.agent))?;
        Some(format!("{} is of {} as it was before it came back", offer.offer, offer.agent))
    }

    fn learn(&mut self, entry: &BookEntry) {
        if let BookEntry::Agent { agent, generation, .. } = entry {
            self.0.insert(agent.clone(), *generation);
        } else if let BookEntry::AgentInactive { agent } | BookEntry::AgentLost { agent } = entry {
            self.0.remove(agent);
        }
    }
}
