//! After a fail-over nobody knows what runs on agents that are not back. Until most of them are, roles with quota are offered
//! nothing, or they would soon have more than their limit. Others are offered what is not kept for guarantees.

use std::collections::BTreeSet;

use protocol::ids::AgentId;
use serde::{Deserialize, Serialize};

use super::super::allocator::BookEntry;
use super::super::bugs::Bug;
use super::super::{Master, Timer, Turn};

/// Agents of earlier reigns of whose tasks nobody has heard; none any more once most are back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::logic) struct Awaited {
    agents: BTreeSet<AgentId>,
    /// So many may still be missing.
    may_lack: usize,
}

impl Awaited {
    /// Whether roles with quota wait.
    pub(in crate::logic) fn any(&self) -> bool {
        !self.agents.is_empty()
    }
}

impl Master {
    /// At the beginning of a reign.
    pub(in crate::logic) fn await_agents(&mut self, turn: &mut Turn) {
        let awaited = self.agents.iter().filter(|(_, agent)| agent.is_awaited());
        let agents: BTreeSet<AgentId> = awaited.map(|(id, _)| id.clone()).collect();
        let percent = usize::from(self.config.recovery_agents_percent.min(100));
        let may_lack = agents.len() * (100 - percent) / 100;
        if agents.len() <= may_lack || self.config.bugs.has(Bug::QuotaNotAwaited) {
            return;
        }
        self.awaited = Awaited { agents, may_lack };
        turn.entries.push(BookEntry::Awaiting(true));
        turn.start(Timer::QuotaWaits, self.config.recovery_timeout);
    }

    /// An agent is back, or given up.
    pub(in crate::logic) fn await_no_longer(&mut self, turn: &mut Turn, agent: &AgentId) {
        if self.awaited.agents.remove(agent) && self.awaited.agents.len() <= self.awaited.may_lack {
            self.end_wait(turn);
        }
    }

    /// Roles with quota have waited long enough.
    pub(in crate::logic) fn on_quota_waits(&mut self, turn: &mut Turn) {
        if self.awaited.any() {
            self.end_wait(turn);
        }
    }

    fn end_wait(&mut self, turn: &mut Turn) {
        self.awaited = Awaited::default();
        turn.entries.push(BookEntry::Awaiting(false));
    }
}
