//! What a master waits for, and what it does when it has waited.

use libactor::Pid;
use protocol::ids::{AgentId, FrameworkId};
use serde::{Deserialize, Serialize};

use super::bugs::Bug;
use super::{Master, Turn};

/// What a master waits for. Generations tell a late timer from the one that counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Timer {
    /// An agent is to be pinged again.
    Ping {
        /// Which.
        agent: AgentId,
        /// Of the agent's entry.
        generation: u64,
    },
    /// A disconnected agent should have been back by now.
    AgentReturn {
        /// Which.
        agent: AgentId,
        /// Of the agent's entry.
        generation: u64,
    },
    /// A framework's scheduler should have been back by now.
    Failover {
        /// Whose.
        framework: FrameworkId,
        /// Of the framework's entry.
        generation: u64,
    },
    /// The oldest offer's lease ends.
    Leases,
    /// A scheduler for which there was no room is told the snapshot that it is owed.
    Snapshot {
        /// Whose.
        framework: FrameworkId,
        /// Of the framework's entry.
        generation: u64,
    },
    /// A scheduler for which there was no room is told that it is over for it.
    LastWord {
        /// Which.
        to: Pid,
        /// Because the framework is removed, and not because another life has taken over.
        removed: bool,
    },
    /// An agent for which there was no room is told the acknowledgements that it is owed.
    Acknowledgements {
        /// To the agent that this speaks for.
        to: Pid,
    },
    /// Agents have come or gone: whether every need can be met is looked at again.
    Judge,
    /// The agents of earlier reigns should have been back by now.
    AgentsReturn,
    /// Roles with quota have waited long enough for the agents of earlier reigns.
    QuotaWaits,
    /// The next agent in line may be given up.
    GiveUp,
    /// The registry is looked through for agents that were away for too long.
    Collect,
    /// An agent that was told to return should have done so by now.
    Entrance {
        /// Which.
        agent: AgentId,
        /// Of its admission.
        place: u64,
    },
}

impl Master {
    /// The index of all timers.
    pub(super) fn on_timer(&mut self, turn: &mut Turn, timer: Timer) {
        match timer {
            Timer::Ping { agent, generation } => self.on_ping_due(turn, &agent, generation),
            Timer::AgentReturn { agent, generation } => {
                self.on_agent_not_back(turn, &agent, generation);
            }
            Timer::Failover { framework, generation } => {
                self.on_framework_not_back(turn, &framework, generation);
            }
            Timer::Leases => self.on_leases(turn),
            Timer::Snapshot { framework, generation } => {
                self.on_snapshot_due(turn, &framework, generation);
            }
            Timer::LastWord { to, removed } => self.on_last_word_due(turn, to, removed),
            Timer::Acknowledgements { to } => self.on_acknowledgements_due(turn, to),
            Timer::Judge => self.on_judge_due(turn),
            Timer::AgentsReturn => self.on_agents_return_due(turn),
            Timer::QuotaWaits => self.on_quota_waits(turn),
            Timer::GiveUp => self.on_give_up_due(turn),
            Timer::Collect => self.on_collect_due(turn),
            Timer::Entrance { agent, place } => self.on_entrance_due(turn, &agent, place),
        }
    }

    /// Whether a timer of this generation is still the one that counts.
    pub(super) fn counts(&self, of_timer: u64, of_entry: u64) -> bool {
        of_timer == of_entry || self.config.bugs.has(Bug::LostTimerGeneration)
    }
}
