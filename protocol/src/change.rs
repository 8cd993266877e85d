//! The numbered changes of the master's state. A view applies them in order and serves every read.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::AgentInfo;
use crate::framework::FrameworkInfo;
use crate::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};
use crate::offer::Offer;
use crate::quota::{Quota, Weight};
use crate::resources::Resources;
use crate::task::{TaskReport, TaskState, TaskStatus};
use crate::time::Instant;
use crate::wishes::{FaultDomain, OfferConstraints};

/// One change. Numbers count up from 1 within a reign, without gaps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its place in the order.
    pub number: u64,
    /// What changed.
    pub what: What,
}

/// A point in the order of changes: what a call did is to be seen by every reader who waits for its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    /// The reign in which the change has its number.
    pub epoch: u64,
    /// The number of the newest change that is to be seen.
    pub change: u64,
}

/// `Registering -> Active <-> Disconnected -> Unreachable -> Active | Gone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AgentState {
    /// Connected; offered.
    Active,
    /// Its connection is lost; not offered; its tasks are thought to run on.
    Disconnected,
    /// Not back in time: its tasks are unreachable.
    Unreachable,
    /// Removed.
    Gone,
    /// In the registry of an earlier reign and not yet back.
    Recovered,
}

/// `Active <-> Inactive <-> Disconnected -> gone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FrameworkState {
    /// Its scheduler is connected and takes offers.
    Active,
    /// Its scheduler is connected and takes none.
    Suppressed,
    /// Its scheduler is lost; its tasks run on until the fail-over time-out.
    Disconnected,
    /// Known from the registry or from agents and not yet back.
    Recovered,
    /// Torn down, or not back in time.
    Removed,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// An agent joined, or its description changed.
    Agent {
        /// Which.
        agent: AgentId,
        /// What it says of itself.
        info: Box<AgentInfo>,
        /// How it is.
        state: AgentState,
    },
    /// An agent's state changed.
    AgentState {
        /// Which.
        agent: AgentId,
        /// How it is now.
        state: AgentState,
    },
    /// What an agent's book says.
    AgentBook {
        /// Which.
        agent: AgentId,
        /// Held by tasks and executors.
        used: Resources,
        /// Held by offers.
        offered: Resources,
    },
    /// A framework joined, or its description changed.
    Framework {
        /// What it says of itself.
        info: Box<FrameworkInfo>,
        /// How it is.
        state: FrameworkState,
    },
    /// A framework's state changed.
    FrameworkState {
        /// Which.
        framework: FrameworkId,
        /// How it is now.
        state: FrameworkState,
    },
    /// An offer was made.
    OfferMade(Arc<Offer>),
    /// An offer was answered, rescinded or ran out.
    OfferEnded(OfferId),
    /// A task came into the books.
    Task(Box<TaskReport>),
    /// A task's newest status.
    TaskStatus(Arc<TaskStatus>),
    /// A task ended and its end was acknowledged (or needed none).
    TaskForgotten {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        task: TaskId,
        /// Its end.
        state: TaskState,
    },
    /// Something happened to an agent that is counted. Its state is told beside this.
    AgentNews {
        /// Which.
        agent: AgentId,
        /// What.
        news: AgentNews,
    },
    /// What operators say of these roles' quota, in place of what they said before; one that says nothing ends it.
    Quotas(BTreeMap<Role, Quota>),
    /// What operators say of these roles' weights, in place of what they said before; 1 ends it.
    Weights(BTreeMap<Role, Weight>),
    /// A framework's own executor holds something, from its first task on.
    ExecutorBooked {
        /// Where.
        agent: AgentId,
        /// Whose.
        framework: FrameworkId,
        /// Which.
        executor: ExecutorId,
        /// Under which role.
        role: Role,
        /// What it holds beside its tasks.
        resources: Resources,
    },
    /// It holds nothing any more.
    ExecutorUnbooked {
        /// Where.
        agent: AgentId,
        /// Whose.
        framework: FrameworkId,
        /// Which.
        executor: ExecutorId,
    },
    /// Where an agent is, if its operator says so: right behind what it says of itself, which alone says that it is anywhere.
    AgentDomain {
        /// Which.
        agent: AgentId,
        /// Where.
        domain: FaultDomain,
    },
    /// An offer was made, and for how long it is held, in times of the master's steady clock. A master says this in place of
    /// `OfferMade`.
    OfferLeased {
        /// Which.
        offer: Arc<Offer>,
        /// When it was made.
        since: Instant,
        /// When it is taken back if nobody has answered; `None`: never.
        ends: Option<Instant>,
    },
    /// What a framework says of agents for each role of which it says something, in place of what it said before. Comes before
    /// `Framework`, if it says both anew.
    OfferConstraints {
        /// Which.
        framework: FrameworkId,
        /// What.
        roles: BTreeMap<Role, OfferConstraints>,
    },
}

/// What is counted of agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AgentNews {
    /// It joined for the first time.
    Registered,
    /// It came back.
    Reregistered,
    /// It is due to be given up, and waits for its turn.
    UnreachableScheduled,
    /// It was, and answered or returned before its turn came.
    UnreachableCanceled,
    /// It was given up.
    Unreachable(GivenUp),
    /// It is a member no longer.
    Removed,
    /// It came back, and was told to come later: where it says it is, or that it does not say, is nothing for this master.
    DomainUnfit,
}

/// Why an agent counts as unreachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum GivenUp {
    /// It did not answer pings.
    Silent,
    /// Its connection was lost, and it was not back in time.
    NotBack,
    /// An earlier reign knew it, and it was not back in time.
    NotRecovered,
}
