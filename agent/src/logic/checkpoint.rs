//! What an agent remembers beyond its death, as records that are appended one after the other and applied in order.

use std::collections::BTreeMap;

use protocol::ids::{AgentId, ClusterId, ContainerId};
use serde::{Deserialize, Serialize};

/// One process of one boot of one machine: a process id alone is used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The operating system's number for it.
    pub process: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Which boot.
    pub boot: String,
}

/// An executor of a former life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldExecutor {
    /// Which.
    pub container: ContainerId,
    /// Its process; `None` if the agent died before it could write that down. Then the container's id in the
    /// environment of its processes finds them.
    pub process: Option<ProcessIdentity>,
}

/// One line of the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The agent is a member of a cluster, and this is the highest epoch it has seen.
    Joined {
        /// Its id.
        agent: AgentId,
        /// The cluster.
        cluster: ClusterId,
        /// The highest seen.
        epoch: u64,
    },
    /// The agent is a member no longer: its next life is another agent.
    Left,
    /// An executor is about to be started.
    ExecutorStarting(ContainerId),
    /// An executor runs as this process.
    ExecutorStarted {
        /// Which.
        container: ContainerId,
        /// As what.
        process: ProcessIdentity,
    },
    /// Nothing of the executor runs any more.
    ExecutorEnded(ContainerId),
    /// The agent is about to say for the first time that it wants to join. A life that dies before it has noted the
    /// answer leaves this to the next, which the master then knows for the same agent.
    Registering {
        /// Names the attempt.
        nonce: u64,
    },
}

impl Record {
    /// Whether it must survive the machine's death. Executors do not survive that either, so of them it is enough that
    /// the kernel has the record.
    pub fn must_be_synced(&self) -> bool {
        match self {
            Self::Joined { .. } | Self::Left | Self::Registering { .. } => true,
            Self::ExecutorStarting(_) | Self::ExecutorStarted { .. } => false,
            Self::ExecutorEnded(_) => false,
        }
    }
}

/// All records so far, applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The membership, if any.
    pub member: Option<(AgentId, ClusterId)>,
    /// The highest epoch seen.
    pub epoch: u64,
    /// Names the attempt to join that is under way, if one is.
    pub nonce: Option<u64>,
    /// Executors that are not known to have ended.
    pub executors: BTreeMap<ContainerId, Option<ProcessIdentity>>,
}

impl Checkpoint {
    /// Takes one record in.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Joined { agent, cluster, epoch } => {
                self.member = Some((agent, cluster));
                self.epoch = self.epoch.max(epoch);
                self.nonce = None;
            }
            Record::Left => {
                self.member = None;
                self.epoch = 0;
                self.nonce = None;
            }
            Record::ExecutorStarting(container) => {
                self.executors.insert(container, None);
            }
            Record::ExecutorStarted { container, process } => {
                self.executors.insert(container, Some(process));
            }
            Record::ExecutorEnded(container) => {
                self.executors.remove(&container);
            }
            Record::Registering { nonce } => self.nonce = Some(nonce),
        }
    }

    /// The fewest records that say the same.
    pub fn records(&self) -> Vec<Record> {
        let joined = self.member.iter().map(|(agent, cluster)| Record::Joined {
            agent: agent.clone(),
            cluster: cluster.clone(),
            epoch: self.epoch,
        });
        let executors = self.executors.iter().map(|(container, process)| match process {
            None => Record::ExecutorStarting(container.clone()),
            Some(process) => {
                Record::ExecutorStarted { container: container.clone(), process: process.clone() }
            }
        });
        let registering = self.nonce.map(|nonce| Record::Registering { nonce });
        joined.chain(registering).chain(executors).collect()
    }
}
