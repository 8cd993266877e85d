//! What operators say of roles: how much each is guaranteed and may have at most, and how much its share weighs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::Role;
use crate::quantities::{Limits, Quantities};

/// The guarantee and the limit of one role, for all the roles below it together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Held back for the role while it has less.
    pub guarantees: Quantities,
    /// No more is offered to it.
    pub limits: Limits,
}

impl Quota {
    /// Whether it says nothing: the quota of a role that has none.
    pub fn is_default(&self) -> bool {
        self.guarantees.is_empty() && self.limits.is_empty()
    }
}

/// By how much a role's share counts less: with 2 it gets twice what one with 1 gets. Always finite and above zero.
#[derive(Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Weight(f64);

// It is never not-a-number.
impl Eq for Weight {}

/// A number that is no weight.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a weight must be a number above zero, such as 2 or 0.5, but is {0}")]
pub struct BadWeight(pub f64);

impl Weight {
    /// Of a role that was given none.
    pub const ONE: Self = Self(1.0);

    /// As a number.
    pub const fn as_f64(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Weight {
    type Error = BadWeight;

    fn try_from(number: f64) -> Result<Self, BadWeight> {
        if number.is_finite() && number > 0.0 { Ok(Self(number)) } else { Err(BadWeight(number)) }
    }
}

impl From<Weight> for f64 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl fmt::Debug for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// All that operators said of roles; a role that is not named has no quota and the weight 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// By role; of roles without a `/` alone.
    pub quotas: BTreeMap<Role, Quota>,
    /// By role.
    pub weights: BTreeMap<Role, Weight>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_finite_and_above_zero() {
        for bad in [0.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            assert!(Weight::try_from(bad).is_err(), "{bad}");
        }
        assert_eq!(Weight::try_from(0.5).map(Weight::as_f64), Ok(0.5));
    }
}
