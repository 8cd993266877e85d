//! What schedulers and the master say to each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::v1;
use serde::{Deserialize, Serialize};

use crate::carried::Carried;
use crate::change::Change;
use crate::ids::{AgentId, ExecutorId, FrameworkId, MasterId, OfferId, Role, TaskId, UpdateId};
use crate::offer::{Demand, Offer, Unmet};
use crate::since::Since;
use crate::task::{Exit, TaskReport, TaskSpec, TaskStatus};
use crate::wishes::{FaultDomain, RoleWishes};

/// What a framework says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkInfo {
    /// Set by the master; what a scheduler sends here is ignored.
    pub framework: FrameworkId,
    /// For people.
    pub name: String,
    /// Who its tasks run as when they do not say.
    pub user: String,
    /// The roles it acts for; at least one.
    pub roles: Vec<Role>,
    /// How long its tasks outlive the loss of its scheduler. The default of the SDK is a week.
    pub failover_timeout: Duration,
    /// Where its scheduler runs, for people.
    pub hostname: String,
    /// What the framework can do beyond the basics; unknown ones are refused.
    pub capabilities: Vec<Capability>,
    /// Labels, web page and whatever else only travels.
    pub carried: Carried<v1::FrameworkInfo>,
}

impl FrameworkInfo {
    /// One of which nothing is known but who it is.
    pub fn plain(framework: FrameworkId) -> Self {
        Self {
            framework,
            name: String::new(),
            user: String::new(),
            roles: Vec::new(),
            failover_timeout: Duration::ZERO,
            hostname: String::new(),
            capabilities: Vec::new(),
            carried: Carried::default(),
        }
    }

    /// Whether what it runs goes on without its agent, or without its agent's connection (in Mesos: whether it checkpoints). All
    /// do but those that say otherwise.
    pub fn outlives_agents(&self) -> bool {
        let carried = &self.carried;
        carried.as_bytes().is_empty() || carried.decode().is_ok_and(|info| info.checkpoint())
    }

    /// Without the capabilities that version 1 does not know, if it has any. They are between scheduler and master: agents
    /// and executors do not go by them.
    pub fn in_older_words(&self) -> Option<Self> {
        let newer = |capability: &Capability| capability.since() > 1;
        self.capabilities.iter().any(newer).then(|| {
            let mut older = self.clone();
            older.capabilities.retain(|capability| !newer(capability));
            older
        })
    }
}

/// What a scheduler understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Capability {
    /// Knows `Unreachable`, `Gone`, `Dropped` and `Unknown`; without it these are told as `Lost`.
    PartitionAware,
    /// States its demand, and gets no offers without.
    StatesDemand,
    /// Takes resources that may be taken back at any time. Since version 2, as all that follow.
    RevocableResources,
    /// Takes volumes that several use at once.
    SharedResources,
    /// Takes the resources of machines with GPUs.
    GpuResources,
    /// Takes what is reserved within a reservation.
    ReservationRefinement,
    /// Takes the resources of machines in other regions than the master's.
    RegionAware,
    /// A gateway of Mesos's API speaks for it. An id of its own making is not refused when nobody knows it: it becomes the
    /// framework's; it is told of every agent that is lost; and what it says anew of itself leaves it its offers.
    NamesItself,
}

/// Why a framework that was removed cannot subscribe: its id is never valid again. The words are Mesos's.
pub const REMOVED: &str = "Framework has been removed";

/// Something to do with offered resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Run these tasks.
    Launch(Vec<TaskSpec>),
}

/// From a scheduler to the master.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FrameworkToMaster {
    /// First contact, and each contact after a loss. Sent again, with backoff, until `Subscribed` or `Refused` arrives.
    Subscribe {
        /// Chosen at random by this life of the scheduler; makes repeats of a first contact harmless.
        nonce: u64,
        /// The id it was given, if it ever was.
        framework: Option<FrameworkId>,
        /// What it is.
        info: FrameworkInfo,
        /// What it needs now.
        demand: Vec<Demand>,
    },
    /// Use these offers, all of one agent and role; what is left of them returns.
    Accept {
        /// The offers.
        offers: Vec<OfferId>,
        /// In order.
        operations: Vec<Operation>,
        /// How long not to be offered again what is left.
        refuse_for: Duration,
    },
    /// These offers return unused.
    Decline {
        /// The offers.
        offers: Vec<OfferId>,
        /// How long not to be offered them again.
        refuse_for: Duration,
    },
    /// Replaces the standing demand.
    Demand(Vec<Demand>),
    /// Forget all refusals; send offers (again).
    Revive,
    /// Send no offers until `Revive`.
    Suppress,
    /// End a task.
    Kill {
        /// Which.
        task: TaskId,
        /// Where, if known.
        agent: Option<AgentId>,
        /// Between the polite and the final signal; `None`: the task's own.
        grace: Option<Duration>,
    },
    /// The news is dealt with.
    Acknowledge {
        /// Where it came from.
        agent: AgentId,
        /// Which.
        task: TaskId,
        /// The news.
        update: UpdateId,
    },
    /// Say again how these tasks are; all of them, if none is named. Answered by `Updated` without an `update`, reason
    /// `Reconciliation`; `Unknown` means that no agent has it or ever will. No answer as long as the task's agent is
    /// awaited: the scheduler asks again.
    Reconcile(Vec<(TaskId, Option<AgentId>)>),
    /// For an executor; unreliable.
    ToExecutor {
        /// Where.
        agent: AgentId,
        /// Which.
        executor: ExecutorId,
        /// What to say.
        data: Vec<u8>,
    },
    /// End an executor and all its tasks.
    ShutdownExecutor {
        /// Where.
        agent: AgentId,
        /// Which.
        executor: ExecutorId,
    },
    /// End the framework: all its tasks and executors are killed and its id is never valid again.
    Teardown,
    /// As `Subscribe`, with what is wanted for each role. A role without an entry has [`RoleWishes::of`] it. Since version 2.
    SubscribeWith {
        /// As in `Subscribe`.
        nonce: u64,
        /// As in `Subscribe`.
        framework: Option<FrameworkId>,
        /// As in `Subscribe`.
        info: FrameworkInfo,
        /// At most one entry for each of its roles.
        wishes: Vec<RoleWishes>,
    },
    /// Replaces all wishes; see `SubscribeWith`. Refusals stay, but those of a role for which something is wanted that was not
    /// before. Since version 2.
    Wishes(Vec<RoleWishes>),
    /// `Revive` for these roles alone. Since version 2.
    ReviveRoles(Vec<Role>),
    /// `Suppress` for these roles alone. Since version 2.
    SuppressRoles(Vec<Role>),
    /// Who is subscribed says anew what it is and wishes; answered by `FrameworkUpdated` once it is written. Since version 2.
    UpdateFramework {
        /// Names this update among the scheduler's: a later one has a higher one.
        number: u64,
        /// What it is from then on.
        info: FrameworkInfo,
        /// At most one entry for each of its roles; see `SubscribeWith`.
        wishes: Vec<RoleWishes>,
    },
}

/// From the master to a scheduler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MasterToFramework {
    /// The registry holds the framework. Everything known before is replaced by this snapshot.
    Subscribed {
        /// Of the master's reign.
        epoch: u64,
        /// The id from now on.
        framework: FrameworkId,
        /// Who leads.
        master: MasterId,
        /// All tasks of the framework that are not ended and acknowledged.
        tasks: Vec<TaskReport>,
        /// The number of the newest change in the snapshot; the first of the deltas that follow has the next one.
        change: u64,
    },
    /// The scheduler may not subscribe; it says why and ends.
    Refused {
        /// In words.
        reason: String,
    },
    /// Another life of the scheduler has taken over; this one ends.
    FailedOver,
    /// Resources to use; one offer per agent and role.
    Offers(Vec<Arc<Offer>>),
    /// These offers are void.
    Rescinded(Vec<OfferId>),
    /// News of a task. If its `update` is set it is to be acknowledged.
    Updated(TaskStatus),
    /// What changed in the master's book of this framework, in order: its own tasks only, numbered anew for each
    /// subscription without gaps, so that a scheduler notices a missing one and subscribes again.
    Deltas(Vec<Change>),
    /// An executor's message; unreliable.
    FromExecutor {
        /// Where.
        agent: AgentId,
        /// Which.
        executor: ExecutorId,
        /// What it says.
        data: Vec<u8>,
    },
    /// An executor has ended.
    ExecutorEnded {
        /// Where.
        agent: AgentId,
        /// Which.
        executor: ExecutorId,
        /// How; `None` if it never started.
        exit: Option<Exit>,
    },
    /// An agent on which the framework had tasks, executors or offers is unreachable or gone.
    AgentLost(AgentId),
    /// The framework is torn down; nothing follows.
    TornDown,
    /// A call made no sense; nothing was done.
    Error {
        /// In words.
        reason: String,
    },
    /// These needs are more than any agent has, so that no offer will come for them as things stand. Said once of each:
    /// when it is stated, or when the last agent that could have met it is gone. An agent may still join that can.
    Unmet(Vec<Unmet>),
    /// As `Offers`, when it is known where some of the agents are. Since version 2; a scheduler of version 1 is told `Offers`.
    OffersAt {
        /// One offer per agent and role.
        offers: Vec<Arc<Offer>>,
        /// Where those of their agents are of which that is known.
        domains: BTreeMap<AgentId, FaultDomain>,
    },
    /// The scheduler's update, and each before it that was not answered, is written, or is refused. Since version 2.
    FrameworkUpdated {
        /// Of the update.
        number: u64,
        /// Why not, in words, if so.
        refused: Option<String>,
    },
}

impl MasterToFramework {
    /// What is said in its place to a scheduler of an older version, if anything can be.
    pub fn in_older_words(self) -> Option<Self> {
        if let Self::OffersAt { offers, domains: _ } = self {
            Some(Self::Offers(offers))
        } else {
            None
        }
    }
}

/// What remains of two kills of one task. `None` is the task's own grace; where that is not known, the one that was named
/// stays.
pub fn shorter_grace(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
