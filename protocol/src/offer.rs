//! Offers, and what a scheduler that knows its needs says of them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::agent::AgentAddress;
use crate::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role};
use crate::resources::{Attribute, Resources};
use crate::wishes::AttributeConstraint;

/// Resources of one agent, held for one framework until it answers or the lease ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Never reused.
    pub offer: OfferId,
    /// Whom it is for.
    pub framework: FrameworkId,
    /// Whose resources.
    pub agent: AgentId,
    /// The agent's machine, and where it listens.
    pub at: Arc<AgentAddress>,
    /// The role under which the resources would be used.
    pub role: Role,
    /// What is offered; all of it is held until answered.
    pub resources: Resources,
    /// What the operator says of the machine.
    pub attributes: Vec<Attribute>,
    /// Executors of this framework that already run there.
    pub executors: Vec<ExecutorId>,
}

impl Offer {
    /// Of everybody's role, by an agent of which nothing is known.
    pub fn plain(
        offer: OfferId,
        framework: FrameworkId,
        agent: AgentId,
        resources: Resources,
    ) -> Self {
        Self {
            offer,
            framework,
            agent,
            at: Arc::default(),
            role: Role::everybody(),
            resources,
            attributes: Vec::new(),
            executors: Vec::new(),
        }
    }
}

/// A standing need of a native scheduler: it gets only offers in which at least one such task fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// What one task needs, with its executor if that is to be started.
    pub each: Resources,
    /// How many such tasks still wait; zero means none.
    pub count: u32,
    /// All must hold of an agent.
    pub constraints: Vec<Constraint>,
}

/// A need that no agent of the cluster could meet, were it empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmet {
    /// The need.
    pub demand: Demand,
    /// What is missing, in words.
    pub why: String,
}

/// What must be true of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Constraint {
    /// The attribute of this name has this text; `hostname` counts as an attribute.
    Is {
        /// The attribute's name.
        attribute: String,
        /// Its text form.
        value: String,
    },
    /// The attribute of this name is absent or has another text.
    IsNot {
        /// The attribute's name.
        attribute: String,
        /// Its text form.
        value: String,
    },
    /// It has so many free ports for each task; whichever they are, they are offered beside the rest.
    Ports {
        /// For one task.
        each: u16,
    },
    /// What any offer's constraint can say. Since version 2.
    Attribute(AttributeConstraint),
}

/// As short as it can be said: `rack=r1`.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is { attribute, value } => write!(f, "{attribute}={value}"),
            Self::IsNot { attribute, value } => write!(f, "{attribute}!={value}"),
            Self::Ports { each } => write!(f, "{each} free ports"),
            Self::Attribute(constraint) => write!(f, "{constraint}"),
        }
    }
}
