//! What a framework wants for one of its roles: how much, where, and whether at all just now.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::Role;
use crate::offer::Demand;
use crate::quantities::Quantities;

/// All that a framework wishes for one role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleWishes {
    /// Which.
    pub role: Role,
    /// It wants no offers for this role just now.
    pub suppressed: bool,
    /// Its standing needs, if it states any: see [`crate::framework::Capability::StatesDemand`].
    pub demand: Vec<Demand>,
    /// Which agents are worth an offer; no groups: all.
    pub constraints: OfferConstraints,
    /// An offer holds all of one of these at least; `None`: as the master is set, no entries: any offer.
    pub allocatable: Option<Vec<Quantities>>,
}

impl RoleWishes {
    /// Whatever there is, wherever it is.
    pub fn of(role: Role) -> Self {
        let constraints = OfferConstraints::default();
        Self { role, suppressed: false, demand: Vec::new(), constraints, allocatable: None }
    }
}

/// An agent must meet all constraints of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferConstraints {
    /// Alternatives; none: every agent will do.
    pub groups: Vec<Vec<AttributeConstraint>>,
}

/// What must be true of one attribute of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeConstraint {
    /// Of which.
    pub selector: Selector,
    /// What.
    pub predicate: Predicate,
}

/// As short as it can be said: `rack=r1`.
impl fmt::Display for AttributeConstraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = &self.selector;
        match &self.predicate {
            Predicate::Exists => write!(f, "{of}"),
            Predicate::NotExists => write!(f, "no {of}"),
            Predicate::TextEquals(wanted) => write!(f, "{of}={wanted}"),
            Predicate::TextNotEquals(unwanted) => write!(f, "{of}!={unwanted}"),
            Predicate::TextMatches(pattern) => write!(f, "{of} like {pattern}"),
            Predicate::TextNotMatches(pattern) => write!(f, "{of} unlike {pattern}"),
        }
    }
}

/// Which attribute is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selector {
    /// The operator's of this name.
    Attribute(String),
    /// The name of the agent's machine.
    Hostname,
    /// The region of its fault domain.
    Region,
    /// The zone of its fault domain.
    Zone,
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attribute(name) => name,
            Self::Hostname => "hostname",
            Self::Region => "region",
            Self::Zone => "zone",
        })
    }
}

/// A question about an attribute. All but `NotExists` and the negated ones are false where it is absent; an attribute that is no
/// text meets every predicate about texts, as Mesos has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Predicate {
    /// It is there.
    Exists,
    /// It is not there.
    NotExists,
    /// It is this text.
    TextEquals(String),
    /// It is not there, or another text.
    TextNotEquals(String),
    /// The whole text matches this regular expression.
    TextMatches(String),
    /// It is not there, or its text does not match.
    TextNotMatches(String),
}

/// Where a machine is, so that not all of a service is lost at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FaultDomain {
    /// Far from others.
    pub region: String,
    /// Within its region.
    pub zone: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constraint_is_said_as_short_as_it_can_be() {
        let rack = || Selector::Attribute("rack".into());
        let text = || "r1".to_owned();
        for (selector, predicate, said) in [
            (rack(), Predicate::Exists, "rack"),
            (rack(), Predicate::NotExists, "no rack"),
            (rack(), Predicate::TextEquals(text()), "rack=r1"),
            (Selector::Hostname, Predicate::TextNotEquals(text()), "hostname!=r1"),
            (Selector::Region, Predicate::TextMatches("r[2-9]".into()), "region like r[2-9]"),
            (Selector::Zone, Predicate::TextNotMatches("r[2-9]".into()), "zone unlike r[2-9]"),
        ] {
            assert_eq!(AttributeConstraint { selector, predicate }.to_string(), said);
        }
    }
}
