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

/// By how much a role's share counts less: with 2 it gets twice what one with 1 gets. Always finite and above zero, and between
/// [`Weight::MIN`] and [`Weight::MAX`], so that shares divided by it, and sums of many, are numbers too.
#[derive(Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Weight(f64);

// It is never not-a-number.
impl Eq for Weight {}

/// A number that is no weight.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("a weight must be a number from {min} to {max}, such as 2 or 0.5, but is {0}", min = Weight::MIN, max = Weight::MAX)]
pub struct BadWeight(pub f64);

impl Weight {
    /// Of a role that was given none.
    pub const ONE: Self = Self(1.0);
    /// The least there is.
    pub const MIN: Self = Self(0.000_001);
    /// The most there is.
    pub const MAX: Self = Self(1_000_000_000.0);

    /// As a number.
    pub const fn as_f64(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Weight {
    type Error = BadWeight;

    fn try_from(number: f64) -> Result<Self, BadWeight> {
        let fits = (Self::MIN.0..=Self::MAX.0).contains(&number);
        if fits { Ok(Self(number)) } else { Err(BadWeight(number)) }
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

impl Shares {
    /// The role's quota; one that says nothing if it has none.
    pub fn quota(&self, role: &Role) -> Quota {
        self.quotas.get(role).cloned().unwrap_or_default()
    }

    /// The role's weight; 1 if it was given none.
    pub fn weight(&self, role: &Role) -> Weight {
        self.weights.get(role).copied().unwrap_or(Weight::ONE)
    }

    /// Changes the quota of these roles and of no others.
    pub fn set_quotas(&mut self, quotas: BTreeMap<Role, Quota>) {
        for (role, quota) in quotas {
            match quota.is_default() {
                true => drop(self.quotas.remove(&role)),
                false => drop(self.quotas.insert(role, quota)),
            }
        }
    }

    /// Changes the weights of these roles and of no others.
    pub fn set_weights(&mut self, weights: BTreeMap<Role, Weight>) {
        for (role, weight) in weights {
            match weight == Weight::ONE {
                true => drop(self.weights.remove(&role)),
                false => drop(self.weights.insert(role, weight)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_finite_and_above_zero() {
        for bad in [0.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e308, 1e-308] {
            assert!(Weight::try_from(bad).is_err(), "{bad}");
        }
        for good in [0.5, 1e9, 1e-6] {
            assert_eq!(Weight::try_from(good).map(Weight::as_f64), Ok(good));
        }
        assert_eq!(
            BadWeight(-1.0).to_string(),
            "a weight must be a number from 0.000001 to 1000000000, such as 2 or 0.5, but is -1"
        );
    }

    #[test]
    fn what_is_said_of_a_role_is_changed_for_those_that_are_named_and_ended_by_saying_nothing() {
        let (a, b): (Role, Role) = ("a".parse().expect("a role"), "b".parse().expect("a role"));
        let limit = |n| Quota {
            limits: Limits::none().with("cpus", crate::resources::Milli(n)),
            ..Quota::default()
        };
        let two = Weight::try_from(2.0).expect("a weight");
        let mut shares = Shares::default();
        shares.set_quotas(BTreeMap::from([(a.clone(), limit(1)), (b.clone(), limit(0))]));
        shares.set_weights(BTreeMap::from([(a.clone(), two), (b.clone(), two)]));
        shares.set_quotas(BTreeMap::from([(a.clone(), Quota::default())]));
        shares.set_weights(BTreeMap::from([(b.clone(), Weight::ONE)]));
        assert_eq!((shares.quota(&a), shares.quota(&b)), (Quota::default(), limit(0)));
        assert_eq!((shares.weight(&a), shares.weight(&b)), (two, Weight::ONE));
        assert_eq!(
            (shares.quotas.len(), shares.weights.len()),
            (1, 1),
            "what says nothing is gone"
        );
    }
}
