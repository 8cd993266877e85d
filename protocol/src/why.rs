//! Why something does not start: what the allocator answers, from its own book and by the rules that its runs go by.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use libactor::{Message, Question, Subjects};
use serde::{Deserialize, Serialize};

use crate::framework::Capability;
use crate::ids::{AgentId, FrameworkId, Role};
use crate::offer::Demand;
use crate::quantities::Quantities;
use crate::resources::{Milli, Resources};

/// To the allocator of the leading master: why a framework is not offered what it wants. Since version 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskWhy {
    /// Whose wants.
    pub framework: FrameworkId,
}

/// To the allocator of the leading master: why a framework would not be offered this, were it what it wants. Nothing is changed by
/// asking. Since version 2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskWhyDemand {
    /// For whom.
    pub framework: FrameworkId,
    /// Under which of its roles; `None`: under each.
    pub role: Option<Role>,
    /// What would be wanted.
    pub demand: Demand,
}

/// The answer to [`AskWhy`] and [`AskWhyDemand`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WhyAnswer {
    /// For each of its roles.
    Because(Vec<RoleWhy>),
    /// No such framework is known.
    Unknown,
    /// Nothing is told to who asks, and why.
    Refused(String),
}

/// How it is with one role of a framework.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleWhy {
    /// Which.
    pub role: Role,
    /// Its dominant share, in thousandths of the cluster.
    pub share: u32,
    /// Nobody is offered anything for it, whatever is free: the reason.
    pub quiet: Option<Quiet>,
    /// What it holds, offers included.
    pub holds: Resources,
    /// What it waits for; one entry without a demand if it takes whatever there is. At most [`WANTS_MAX`].
    pub wants: Vec<WantWhy>,
    /// How much it waits for in all.
    pub wants_of: u32,
    /// What is offered to it, or is about to be, and not answered, oldest first; at most [`AGENTS_MAX`].
    pub offers: Vec<OfferWhy>,
    /// How many such offers there are.
    pub offers_of: u32,
}

/// An offer that is under way, or with its framework.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfferWhy {
    /// Whose resources.
    pub agent: AgentId,
    /// The agent's machine.
    pub hostname: String,
    /// What it holds.
    pub resources: Resources,
    /// For so long.
    pub held_for: Duration,
}

/// Why a role gets no offers at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quiet {
    /// Its scheduler is not there.
    Absent,
    /// It asked for none.
    Suppressed,
    /// It states its demand, and states none.
    NoDemand,
    /// For all that it wants offers are under way or with it, or were accepted since it said so.
    UnderWay,
    /// The master has just taken over, and its role has quota: nobody knows what it holds on agents that are not back.
    Awaiting,
}

/// One thing that is waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WantWhy {
    /// The demand, with the number of its tasks that wait; `None`: whatever there is.
    pub demand: Option<Demand>,
    /// For so many of its tasks offers are under way.
    pub promised: u32,
    /// The most likely reason first; each with how many agents it holds on.
    pub causes: Vec<(Cause, u32)>,
    /// For each agent the first thing that ruled it out, those nearest to fitting first; at most [`AGENTS_MAX`].
    pub agents: Vec<(AgentId, String, Cause)>,
    /// Agents in all.
    pub of: u32,
}

/// So many demands of a role are told one by one: each is held against every agent.
pub const WANTS_MAX: usize = 16;
/// So many agents are told one by one.
pub const AGENTS_MAX: usize = 100;

/// What keeps something from being offered on an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cause {
    /// Nothing: the next run offers it.
    Fits,
    /// The framework refused as much there.
    Refused {
        /// For how long still.
        for_another: Duration,
    },
    /// The role, or one above it, has all that its limit lets it have.
    Limit {
        /// Whose limit.
        role: Role,
        /// Of what.
        resource: String,
        /// How much that is.
        limit: Milli,
        /// How much of it is taken.
        consumed: Milli,
    },
    /// What is free is kept for roles that have less than they are guaranteed.
    Guaranteed {
        /// Those roles; a few.
        to: Vec<Role>,
        /// Of what.
        resource: String,
        /// How much is kept free for them.
        kept: Milli,
        /// How much is free in the cluster.
        free: Milli,
    },
    /// It is offered to somebody who has not answered.
    Offered {
        /// To whom.
        to: FrameworkId,
        /// Since when.
        held_for: Duration,
    },
    /// The agent could hold it and is not there.
    Inactive,
    /// Too little is free.
    TooLittle {
        /// The first resource of which there is too little.
        resource: String,
        /// How much of it is wanted.
        wants: String,
        /// How much of it is free.
        free: String,
        /// How much of it the agent has in all.
        total: String,
    },
    /// Less is free than makes an offer.
    BelowLeast {
        /// What is free.
        free: Resources,
        /// One of these is the least.
        least: Arc<[Quantities]>,
    },
    /// It is reserved for another role.
    Reserved {
        /// Which.
        role: Role,
        /// The resource that is.
        resource: String,
    },
    /// The agent has too little of it though it were empty.
    TooSmall {
        /// The first resource of which there is too little.
        resource: String,
        /// How much of it is wanted.
        wants: String,
        /// How much of it the agent has.
        total: String,
    },
    /// The agent is not one that the framework wants.
    Constraint {
        /// Which of its constraints does not hold.
        constraint: String,
    },
    /// The framework does not say that it can deal with such an agent.
    Lacks(Capability),
    /// The agent has less than makes an offer though it were empty.
    NeverEnough {
        /// What it has of what the framework may have.
        total: Resources,
        /// One of these is the least.
        least: Arc<[Quantities]>,
    },
}

impl Message for AskWhy {
    const NAME: &'static str = "AskWhy";

    fn since(&self) -> u32 {
        2
    }

    fn subjects(&self, out: &mut Subjects) {
        out.add(self.framework.as_str());
    }
}

impl Message for AskWhyDemand {
    const NAME: &'static str = "AskWhyDemand";

    fn since(&self) -> u32 {
        2
    }

    fn subjects(&self, out: &mut Subjects) {
        out.add(self.framework.as_str());
    }
}

impl Message for WhyAnswer {
    const NAME: &'static str = "WhyAnswer";

    fn since(&self) -> u32 {
        2
    }
}

impl Question for AskWhy {
    type Answer = WhyAnswer;
}

impl Question for AskWhyDemand {
    type Answer = WhyAnswer;
}

impl Cause {
    /// One word for it, for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::Refused { .. } => "refused",
            Self::Limit { .. } => "limit",
            Self::Guaranteed { .. } => "guaranteed",
            Self::Offered { .. } => "offered",
            Self::Inactive => "inactive",
            Self::TooLittle { .. } => "too_little",
            Self::BelowLeast { .. } => "below_least",
            Self::Reserved { .. } => "reserved",
            Self::TooSmall { .. } | Self::NeverEnough { .. } => "too_small",
            Self::Constraint { .. } => "constraint",
            Self::Lacks(_) => "lacks",
        }
    }

    /// How near to fitting it is: less is nearer.
    pub fn distance(&self) -> u8 {
        match self {
            Self::Fits => 0,
            Self::Refused { .. } => 1,
            Self::Limit { .. } => 2,
            Self::Guaranteed { .. } => 3,
            Self::Offered { .. } => 4,
            Self::Inactive => 5,
            Self::TooLittle { .. } => 6,
            Self::BelowLeast { .. } => 7,
            Self::Reserved { .. } => 8,
            Self::Lacks(_) => 9,
            Self::TooSmall { .. } | Self::NeverEnough { .. } => 10,
            Self::Constraint { .. } => 11,
        }
    }

    /// Whether two are one reason, on two agents.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::TooLittle { resource: a, .. }, Self::TooLittle { resource: b, .. })
            | (Self::TooSmall { resource: a, .. }, Self::TooSmall { resource: b, .. }) => a == b,
            (Self::Offered { to: a, .. }, Self::Offered { to: b, .. }) => a == b,
            (Self::Reserved { role: a, .. }, Self::Reserved { role: b, .. }) => a == b,
            (Self::Constraint { constraint: a }, Self::Constraint { constraint: b }) => a == b,
            (one, other) => one.distance() == other.distance(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fits => write!(f, "it fits: it is offered with the next run"),
            Self::Refused { for_another } => {
                write!(f, "the framework refused it, for another {} s", for_another.as_secs() + 1)
            }
            Self::Limit { role, resource, limit, consumed } => write!(
                f,
                "the quota limit of role {role}: {consumed} of {limit} {resource} are taken"
            ),
            Self::Guaranteed { to, resource, kept, free } => {
                let to: Vec<&str> = to.iter().map(Role::as_str).collect();
                write!(
                    f,
                    "{kept} {resource} of the {free} that are free are kept for what {} is guaranteed",
                    to.join(", ")
                )
            }
            Self::Offered { to, held_for } => {
                write!(f, "it is offered to {to}, which has held it for {} s", held_for.as_secs())
            }
            Self::Inactive => {
                write!(f, "the agent has room but is not there: its connection is lost")
            }
            Self::TooLittle { resource, wants, free, total } => {
                write!(f, "not enough {resource}: {wants} is wanted, free is {free} of {total}")
            }
            Self::BelowLeast { free, least } => {
                write!(f, "free is {free}, less than makes an offer ({})", either(least))
            }
            Self::NeverEnough { total, least } => {
                let words = "less than makes an offer even if it were empty";
                write!(f, "the agent has {total} in all, {words} ({})", either(least))
            }
            Self::Reserved { role, resource } => {
                write!(f, "{resource} is reserved for role {role}")
            }
            Self::TooSmall { resource, wants, total } => write!(
                f,
                "too large for the agent even if it were empty: {wants} {resource} is wanted, it has {total}"
            ),
            Self::Constraint { constraint } => write!(f, "constraint not met: {constraint}"),
            Self::Lacks(capability) => {
                write!(f, "the framework does not have the capability {capability:?}")
            }
        }
    }
}

fn either(least: &[Quantities]) -> String {
    let least: Vec<String> = least.iter().map(ToString::to_string).collect();
    least.join(" or ")
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "its scheduler is not there",
            Self::Suppressed => "it has asked for no offers (suppressed)",
            Self::NoDemand => "it states no demand",
            Self::Awaiting => {
                "the master has just taken over, and its role has quota: it waits until most agents are back, since nobody knows what the role holds on the others"
            }
            Self::UnderWay => {
                "offers for all that it wants are under way or with it, or were accepted since it said so"
            }
        })
    }
}
