//! What master and allocator say to each other.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::framework::Capability;
use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::quota::Shares;
use protocol::resources::{Attribute, Resources};
use protocol::wishes::{FaultDomain, RoleWishes};
use serde::{Deserialize, Serialize};

/// What the master tells the allocator, in the order in which it decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BookEntry {
    /// An agent is active under this generation; replaces all that was known of it, proposals for it among that.
    Agent {
        /// Which.
        agent: AgentId,
        /// Where the master finds it; comes back with what is proposed of it.
        slot: u32,
        /// Of the agent's entry.
        generation: u64,
        /// Its machine, for constraints.
        hostname: String,
        /// What its operator says of it, for constraints.
        attributes: Vec<Attribute>,
        /// Where it is, if it says so.
        domain: Option<FaultDomain>,
        /// All it has to give.
        total: Resources,
        /// Held by tasks and executors.
        allocated: Vec<(FrameworkId, Role, Resources)>,
    },
    /// An agent is not offered any more, and may be back any moment: what runs on it counts.
    AgentInactive {
        /// Which.
        agent: AgentId,
    },
    /// An agent cannot be reached, and may come back: what runs on it does not count until then.
    AgentLost {
        /// Which.
        agent: AgentId,
    },
    /// An agent does not come back; forget all of it.
    AgentGone {
        /// Which.
        agent: AgentId,
    },
    /// A framework takes offers from now on; replaces what was known of it, refusals among
    /// that, but for what it holds.
    Framework {
        /// Which.
        framework: FrameworkId,
        /// The roles it acts for.
        roles: Vec<Role>,
        /// What it can do.
        capabilities: Vec<Capability>,
        /// What it wants; a role without an entry takes whatever there is.
        wishes: Vec<RoleWishes>,
    },
    /// A framework takes no offers; what it holds still counts.
    FrameworkInactive {
        /// Which.
        framework: FrameworkId,
    },
    /// What a framework wants, stated anew.
    Wishes {
        /// Whose.
        framework: FrameworkId,
        /// All of it.
        wishes: Vec<RoleWishes>,
    },
    /// Forget what a framework refused under these roles, and whether it wants no offers for them.
    Revived {
        /// Which.
        framework: FrameworkId,
        /// None named: all of its roles.
        roles: Vec<Role>,
    },
    /// A framework wants no offers for these roles.
    Suppressed {
        /// Which.
        framework: FrameworkId,
        /// None named: all of its roles.
        roles: Vec<Role>,
    },
    /// What operators say of roles, all of it.
    Shares(Shares),
    /// Whether agents of earlier reigns are awaited, on which roles with quota may hold anything: they are offered nothing then.
    Awaiting(bool),
    /// The proposals of these numbers are not offered: their agent's generation, or their framework's state, was an older one.
    Returned(Vec<u64>),
    /// The offers made of these proposals, all of one agent, framework and role, have ended.
    Ended {
        /// [`Proposal::number`]s.
        proposals: Vec<u64>,
        /// What of them went into use; the rest is free again.
        used: Resources,
        /// How long what is left is refused; zero: not at all.
        refuse_for: Duration,
    },
    /// A task or executor has ended.
    Released {
        /// Where.
        agent: AgentId,
        /// Whose.
        framework: FrameworkId,
        /// Under which role.
        role: Role,
        /// What it held.
        resources: Resources,
    },
    /// Entries before this one were dropped, since they were too many: this is where they would have led.
    StartOver(WholeBook),
}

/// All that an allocator must know, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WholeBook {
    /// The newest proposal that the master has heard of; what it decides on later ones will be told.
    pub heard: u64,
    /// Those of the others that are offered and whose offers have not ended.
    pub offered: BTreeSet<u64>,
    /// The agents that are active, with what tasks and executors hold.
    pub agents: Vec<BookEntry>,
    /// The frameworks whose schedulers are there.
    pub frameworks: Vec<BookEntry>,
    /// What operators say of roles.
    pub shares: Shares,
    /// See [`BookEntry::Awaiting`].
    pub awaiting: bool,
}

/// What a framework might be offered under one role, of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposals {
    /// For whom.
    pub framework: FrameworkId,
    /// Under which role.
    pub role: Role,
    /// One for each agent.
    pub all: Vec<Proposal>,
}

/// Resources of one agent that a framework might be offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Counts up from 1 in the life of an allocator.
    pub number: u64,
    /// Whose resources.
    pub agent: AgentId,
    /// Of the agent, from its entry.
    pub slot: u32,
    /// Of the agent, when this was proposed.
    pub generation: u64,
    /// What.
    pub resources: Resources,
}
