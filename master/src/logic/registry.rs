//! What must survive a master: written before it is told. The registrar writes, the logic keeps what is written.

use std::collections::BTreeMap;

use protocol::agent::AgentInfo;
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ClusterId, FrameworkId, Role};
use protocol::quota::{Quota, Shares, Weight};
use protocol::time::WallTime;
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

/// Ids of removed frameworks that are remembered, so that they are never valid again; the longest removed make room.
pub const REMOVED_FRAMEWORKS_MAX: usize = 10_000;

/// One change of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistryOperation {
    /// A new agent.
    AdmitAgent {
        /// Its id.
        agent: AgentId,
        /// The number in its id; numbers are never used again.
        number: u64,
        /// With which it asked to join.
        nonce: u64,
        /// What it says of itself.
        info: AgentInfo,
        /// Where it is, if its operator says.
        domain: Option<FaultDomain>,
    },
    /// An agent came back: reachable, and with this description.
    MarkReachable {
        /// Which.
        agent: AgentId,
        /// What it says of itself now.
        info: AgentInfo,
        /// Where it is now, if its operator says.
        domain: Option<FaultDomain>,
    },
    /// An agent was not back, or did not answer, in time.
    MarkUnreachable {
        /// Which.
        agent: AgentId,
        /// When that was decided.
        at: WallTime,
    },
    /// An agent is gone for good.
    RemoveAgent {
        /// Which.
        agent: AgentId,
        /// When that was decided.
        at: WallTime,
        /// By an operator: its tasks are gone because he says so.
        by_operator: bool,
    },
    /// A new framework, or a new description of a known one.
    AdmitFramework {
        /// The number in its id, if it is new here.
        number: Option<u64>,
        /// With which it asked to join.
        nonce: u64,
        /// What it says of itself; its id is set.
        info: FrameworkInfo,
    },
    /// A framework is gone for good.
    RemoveFramework {
        /// Which.
        framework: FrameworkId,
    },
    /// Agents that were away or gone for too long, or are too many, are forgotten.
    Prune {
        /// Those that were unreachable; their tasks are gone.
        unreachable: Vec<AgentId>,
        /// Those that were gone.
        gone: Vec<AgentId>,
    },
    /// What operators say of these roles' quota, in place of what they said before; one that says nothing ends it.
    SetQuotas(BTreeMap<Role, Quota>),
    /// What operators say of these roles' weights, in place of what they said before; 1 ends it.
    SetWeights(BTreeMap<Role, Weight>),
}

/// What the registry says of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEntry {
    /// What it said of itself.
    pub info: AgentInfo,
    /// Where it was, if its operator said.
    pub domain: Option<FaultDomain>,
    /// With which it asked to join.
    pub nonce: u64,
    /// Since when it is unreachable, if it is.
    pub unreachable: Option<WallTime>,
}

/// What the registry says of an agent that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Since when.
    pub at: WallTime,
    /// An operator said so.
    pub by_operator: bool,
}

/// What the registry says of a framework.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkEntry {
    /// What it said of itself.
    pub info: FrameworkInfo,
    /// With which it asked to join.
    pub nonce: u64,
}

/// All that survives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// Made once.
    pub cluster: ClusterId,
    /// Of the present reign.
    pub epoch: u64,
    /// The highest number ever given to an agent.
    pub agents_made: u64,
    /// The highest number ever given to a framework.
    pub frameworks_made: u64,
    /// Admitted and not gone.
    pub agents: BTreeMap<AgentId, AgentEntry>,
    /// Removed; forgotten after a while.
    pub gone: BTreeMap<AgentId, Gone>,
    /// Admitted and not removed.
    pub frameworks: BTreeMap<FrameworkId, FrameworkEntry>,
    /// Never valid again; with the order in which they were removed, 0 where that is not known.
    pub removed: BTreeMap<FrameworkId, u64>,
    /// What operators say of roles.
    pub shares: Shares,
}

impl Registry {
    /// One with nobody in it.
    pub fn new(cluster: ClusterId, epoch: u64) -> Self {
        Self {
            cluster,
            epoch,
            agents_made: 0,
            frameworks_made: 0,
            agents: BTreeMap::new(),
            gone: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            removed: BTreeMap::new(),
            shares: Shares::default(),
        }
    }

    /// The first to make room among the ids of removed frameworks.
    pub fn longest_removed(&self) -> Option<&FrameworkId> {
        self.removed.iter().min_by_key(|(_, order)| **order).map(|(id, _)| id)
    }

    /// Makes one change. What it is about and is not there is left alone: the change was overtaken by a removal.
    pub fn apply(&mut self, operation: &RegistryOperation) {
        match operation {
            RegistryOperation::AdmitAgent { agent, number, nonce, info, domain } => {
                self.agents_made = self.agents_made.max(*number);
                let (info, domain) = (info.clone(), domain.clone());
                let entry = AgentEntry { info, domain, nonce: *nonce, unreachable: None };
                self.agents.insert(agent.clone(), entry);
            }
            RegistryOperation::MarkReachable { agent, info, domain } => {
                if let Some(entry) = self.agents.get_mut(agent) {
                    entry.info = info.clone();
                    entry.domain = domain.clone();
                    entry.unreachable = None;
                }
            }
            RegistryOperation::MarkUnreachable { agent, at } => {
                if let Some(entry) = self.agents.get_mut(agent) {
                    entry.unreachable = Some(*at);
                }
            }
            RegistryOperation::RemoveAgent { agent, at, by_operator } => {
                if self.agents.remove(agent).is_some() {
                    self.gone.insert(agent.clone(), Gone { at: *at, by_operator: *by_operator });
                }
            }
            RegistryOperation::Prune { unreachable, gone } => {
                unreachable.iter().for_each(|agent| drop(self.agents.remove(agent)));
                for agent in gone {
                    self.gone.remove(agent);
                }
            }
            RegistryOperation::AdmitFramework { number, nonce, info } => {
                self.frameworks_made = self.frameworks_made.max(number.unwrap_or(0));
                let entry = FrameworkEntry { info: info.clone(), nonce: *nonce };
                self.frameworks.insert(info.framework.clone(), entry);
            }
            RegistryOperation::RemoveFramework { framework } => {
                self.frameworks.remove(framework);
                let newest = self.removed.values().max().map_or(1, |newest| newest + 1);
                self.removed.insert(framework.clone(), newest);
                if self.removed.len() > REMOVED_FRAMEWORKS_MAX
                    && let Some(oldest) = self.longest_removed().cloned()
                {
                    self.removed.remove(&oldest);
                }
            }
            RegistryOperation::SetQuotas(quotas) => self.shares.set_quotas(quotas.clone()),
            RegistryOperation::SetWeights(weights) => self.shares.set_weights(weights.clone()),
        }
    }
}
