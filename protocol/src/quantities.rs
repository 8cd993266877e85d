//! Amounts by name, whoever's they are: what quota is about. A quantity that is not named is none; a limit that is not
//! named is no limit.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::resources::{BadAmount, Milli, NOT_IN_NAMES, Resources, is_name};

/// Why a text names no amounts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuantities {
    /// No `name:amount`.
    #[error("'{0}' is not of the form name:amount, such as cpus:2;mem:1024")]
    Form(String),
    /// Ranges, sets and what is somebody's have no place here.
    #[error("'{0}' is no name of a resource of which there are amounts, such as cpus or mem")]
    Name(String),
    /// One name twice: nobody knows which is meant.
    #[error("{0} is named twice")]
    Twice(String),
    /// What it says of a name.
    #[error("the amount of {name} is '{value}': {why}")]
    Amount {
        /// Of which.
        name: String,
        /// As it was written.
        value: String,
        /// Why it is none.
        why: BadAmount,
    },
}

/// Names and amounts of a text, of those too of which there are none. None is below zero.
fn amounts(text: &str) -> Result<BTreeMap<Arc<str>, Milli>, BadQuantities> {
    let mut all = BTreeMap::new();
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) =
            part.split_once(':').ok_or_else(|| BadQuantities::Form(String::from(part)))?;
        let (name, value) = (name.trim(), value.trim());
        if !is_name(name) || name.contains(NOT_IN_NAMES) {
            return Err(BadQuantities::Name(name.into()));
        }
        let amount = Milli::read(value).map_err(|why| BadQuantities::Amount {
            name: name.into(),
            value: value.into(),
            why,
        })?;
        if all.insert(Arc::from(name), amount).is_some() {
            return Err(BadQuantities::Twice(name.into()));
        }
    }
    Ok(all)
}

/// `cpus:2;mem:1024`
impl FromStr for Quantities {
    type Err = BadQuantities;

    fn from_str(text: &str) -> Result<Self, BadQuantities> {
        let mut all = amounts(text)?;
        all.retain(|_, amount| *amount > Milli(0));
        Ok(Self(all))
    }
}

/// `cpus:2;gpus:0`: a limit of nothing is one.
impl FromStr for Limits {
    type Err = BadQuantities;

    fn from_str(text: &str) -> Result<Self, BadQuantities> {
        amounts(text).map(Self)
    }
}

/// Sums of scalars by name. None is zero or below.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Quantities(BTreeMap<Arc<str>, Milli>);

impl Quantities {
    /// Nothing.
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// The scalars of these, of every kind together. Copies of what several use are one.
    pub fn of(resources: &Resources) -> Self {
        let mut all = Self::none();
        for (resource, amount) in resources.amounts() {
            all.add_one(&resource.name, amount);
        }
        all
    }

    /// These and so much more of one.
    #[must_use]
    pub fn with(mut self, name: &str, amount: Milli) -> Self {
        self.add_one(name, amount);
        self
    }

    /// So much of one; zero if it is not named.
    pub fn amount(&self, name: &str) -> Milli {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// By name, in its order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, Milli)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds so much of one; sums are cut at the largest number.
    pub fn add_one(&mut self, name: &str, amount: Milli) {
        if amount.0 <= 0 {
            return;
        }
        match self.0.get_mut(name) {
            Some(mine) => mine.0 = mine.0.saturating_add(amount.0),
            None => drop(self.0.insert(Arc::from(name), amount)),
        }
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            self.add_one(name, amount);
        }
    }

    /// Takes `other` away; what is not there cannot be taken.
    pub fn sub(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            let Some(mine) = self.0.get_mut(name) else { continue };
            mine.0 = mine.0.saturating_sub(amount.0);
            if mine.0 <= 0 {
                self.0.remove(name);
            }
        }
    }

    /// Whether all of `other` is here.
    pub fn contains(&self, other: &Self) -> bool {
        other.iter().all(|(name, amount)| self.amount(name) >= amount)
    }
}

/// At most so much of each. One that is not named has no limit; a limit of zero lets nothing through.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Limits(BTreeMap<Arc<str>, Milli>);

impl Limits {
    /// No limits.
    pub const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// These and one more, in place of an earlier one of that name; below zero is zero.
    #[must_use]
    pub fn with(mut self, name: &str, limit: Milli) -> Self {
        self.0.insert(Arc::from(name), limit.max(Milli(0)));
        self
    }

    /// The limit of one, if it has one.
    pub fn limit(&self, name: &str) -> Option<Milli> {
        self.0.get(name).copied()
    }

    /// By name, in its order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, Milli)> {
        self.0.iter().map(|(name, limit)| (name, *limit))
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Quantities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(f, &self.0, "nothing")
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(f, &self.0, "no limit")
    }
}

fn write_all(
    f: &mut fmt::Formatter<'_>,
    all: &BTreeMap<Arc<str>, Milli>,
    none: &str,
) -> fmt::Result {
    if all.is_empty() {
        return f.write_str(none);
    }
    for (n, (name, amount)) in all.iter().enumerate() {
        let comma = if n == 0 { "" } else { ";" };
        write!(f, "{comma}{name}:{amount}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantities(list: &[(&str, i64)]) -> Quantities {
        list.iter()
            .fold(Quantities::none(), |all, (name, units)| all.with(name, Milli::whole(*units)))
    }

    #[test]
    fn res_07_a_quantity_not_named_is_none_and_a_limit_not_named_is_infinite() {
        let held = quantities(&[("cpus", 2), ("mem", 100)]);
        assert_eq!(held.amount("disk"), Milli(0));
        let limits = Limits::none().with("cpus", Milli::whole(2)).with("gpus", Milli(0));
        assert_eq!((limits.limit("mem"), limits.limit("gpus")), (None, Some(Milli(0))));
    }

    #[test]
    fn res_07_quantities_add_and_subtract_scalars_of_every_kind_and_leave_no_zeroes() {
        let all: Resources = "cpus:1.5;mem:64;ports:[1-2];disks:{a}".parse().expect("resources");
        let mut sum = Quantities::of(&all);
        assert_eq!(sum.to_string(), "cpus:1.5;mem:64", "only scalars have quantities");
        sum.add(&quantities(&[("cpus", 1), ("disk", 5)]));
        assert!(sum.contains(&quantities(&[("disk", 5), ("cpus", 2)])));
        sum.sub(&quantities(&[("disk", 7), ("mem", 64), ("gpus", 1)]));
        assert_eq!(sum.to_string(), "cpus:2.5", "never below nothing, and what is nothing is gone");
        assert!(!sum.contains(&quantities(&[("mem", 1)])));
    }

    #[test]
    fn res_07_amounts_are_read_from_text_and_only_amounts() {
        let read = |text: &str| text.parse::<Quantities>().map(|all| all.to_string());
        assert_eq!(read("mem:64; cpus:1.0005;gpus:0;").as_deref(), Ok("cpus:1.001;mem:64"));
        assert_eq!(read("").as_deref(), Ok("nothing"));
        let limits: Limits = "cpus:1e3;gpus:0".parse().expect("limits");
        assert_eq!(limits.to_string(), "cpus:1000;gpus:0", "a limit of nothing is one");
        for (bad, words) in [
            ("cpus", "'cpus' is not of the form name:amount"),
            (":2", "'' is no name of a resource"),
            ("cpus(eng):1", "'cpus(eng)' is no name of a resource"),
            ("cpus:1;cpus:1", "cpus is named twice"),
            ("cpus:-1", "the amount of cpus is '-1': it must not be negative"),
            ("cpus:many", "the amount of cpus is 'many': it is no number"),
            ("ports:[1-2]", "the amount of ports is '[1-2]': it is no number"),
            ("disks:{a}", "it is no number, such as 2 or 0.5"),
            ("cpus:NaN", "it is no number"),
            ("cpus:inf", "it is no number"),
            ("cpus:1e308", "it must be at most 1000000000000"),
            ("cpus:0.0004", "the amount of cpus is '0.0004': it is less than a thousandth"),
        ] {
            assert!(read(bad).unwrap_err().to_string().contains(words), "{bad}: {:?}", read(bad));
            assert!(bad.parse::<Limits>().is_err(), "{bad}");
        }
    }
}
