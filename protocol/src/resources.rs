//! `Resources` and its algebra. Scalars are whole thousandths, so that sums are exact and the same on every machine.
//!
//! The text form is in `parse`, what is chosen from resources in `select`, what they may become in `conversion`, and how
//! the v1 API writes them in `v1`.

mod algebra;
mod attributes;
mod check;
mod conversion;
mod json;
mod list;
mod parse;
mod ranges;
mod select;
mod show;
mod terms;
mod v1;
mod value;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use attributes::{Attribute, AttributeValue, parse_attributes};
pub(crate) use check::is_name;
pub use check::{NotNormal, RANGES_MAX};
pub use conversion::{BadConversion, Conversion};
use list::List;
pub(crate) use parse::NOT_IN_NAMES;
pub use parse::{BadAmount, BadResources, Named};
pub use ranges::Ranges;
pub use terms::{
    BadTerms, Disk, DiskKind, DiskSource, Kind, Label, PersistentVolume, Reservation,
    ReservationMade, Terms,
};
pub use v1::BadResource;
pub use value::{Milli, Value};

/// One named resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resource {
    /// `cpus`, `mem`, `disk`, `ports`, `gpus`, or a name of the operator's.
    pub name: Arc<str>,
    /// Whose it is.
    pub kind: Kind,
    /// How much of it.
    pub value: Value,
}

/// Resources of several names: sorted, one entry per name and kind, nothing empty. Equal amounts are equal values. Of what is
/// used as a whole ([`Kind::is_whole`]) or by several ([`Kind::is_shared`]) each copy is an entry of its own.
///
/// A clone costs nothing until one of the two is changed.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resources(List);

impl Resources {
    /// Nothing.
    pub const fn none() -> Self {
        Self(List::empty())
    }

    /// Cores and megabytes of memory: what most tasks ask for.
    pub fn cpus_mem(cpus: f64, mem_mb: f64) -> Self {
        Self::none()
            .with_scalar("cpus", Milli::from_f64(cpus))
            .with_scalar("mem", Milli::from_f64(mem_mb))
    }

    /// These and so much more of an unreserved scalar.
    #[must_use]
    pub fn with_scalar(mut self, name: &str, amount: Milli) -> Self {
        self.add_one(Resource::unreserved(name, Value::Scalar(amount)));
        self
    }

    /// These and the given numbers of an unreserved ranges resource.
    #[must_use]
    pub fn with_ranges(mut self, name: &str, ranges: Ranges) -> Self {
        self.add_one(Resource::unreserved(name, Value::Ranges(ranges)));
        self
    }

    /// The entries, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.0.iter()
    }

    /// Whether both are one list in memory, so that they are equal without a look. Equal ones need not be.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of it is of the kind that version 1 knew: unreserved, and nothing particular about it.
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|entry| entry.kind == Kind::Unreserved)
    }

    /// The sum of one scalar over all kinds; zero if absent. Copies of what several use are one.
    pub fn scalar(&self, name: &str) -> Milli {
        let amounts = self.amounts().filter(|(entry, _)| &*entry.name == name);
        Milli(amounts.fold(0, |sum, (_, amount)| sum.saturating_add(amount.0)))
    }

    /// The scalars, of copies of what several use only the first.
    pub(crate) fn amounts(&self) -> impl Iterator<Item = (&Resource, Milli)> {
        let entries = self.0.iter().enumerate();
        let once = entries.filter(|(at, entry)| {
            let again = |before: usize| self.0[before] == **entry;
            !(entry.kind.is_shared() && at.checked_sub(1).is_some_and(again))
        });
        once.filter_map(|(_, entry)| Some((entry, entry.amount()?)))
    }

    /// Cores.
    pub fn cpus(&self) -> Milli {
        self.scalar("cpus")
    }

    /// Megabytes of memory.
    pub fn mem(&self) -> Milli {
        self.scalar("mem")
    }

    /// Megabytes of disk.
    pub fn disk(&self) -> Milli {
        self.scalar("disk")
    }

    /// The numbers of a ranges resource, such as `ports`, of every kind together.
    pub fn ranges(&self, name: &str) -> Ranges {
        let mut all = Ranges::default();
        for resource in self.0.iter().filter(|r| &*r.name == name) {
            if let Value::Ranges(ranges) = &resource.value {
                all = all.union(ranges);
            }
        }
        all
    }

    /// The names of a set resource, of every kind together.
    pub fn set(&self, name: &str) -> Vec<String> {
        let mut all = Vec::new();
        for resource in self.0.iter().filter(|r| &*r.name == name) {
            if let Value::Set(names) = &resource.value {
                all.extend_from_slice(names);
            }
        }
        all.sort();
        all.dedup();
        all
    }

    /// Adds one entry. Empty ones vanish; an amount below zero is refused by whoever takes input, so it is a broken
    /// invariant here.
    pub fn add_one(&mut self, resource: Resource) {
        if let Some(amount) = resource.amount() {
            assert!(amount >= Milli(0), "resources never go below zero: {resource}");
        }
        if !resource.value.is_empty() {
            self.0.add_one(resource);
        }
    }
}

/// Of entries in any order; those of one name and kind are added together.
impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(entries: I) -> Self {
        Self(list::collected(entries.into_iter().collect()))
    }
}

impl Resource {
    /// What anybody may be offered.
    pub fn unreserved(name: &str, value: Value) -> Self {
        Self { name: Arc::from(name), kind: Kind::Unreserved, value }
    }

    /// The amount, if it is a scalar.
    pub fn amount(&self) -> Option<Milli> {
        match &self.value {
            Value::Scalar(amount) => Some(*amount),
            Value::Ranges(_) | Value::Set(_) => None,
        }
    }

    fn entry_key(&self) -> (&str, &Kind, u8) {
        (&self.name, &self.kind, self.value.place())
    }

    /// Whether two that are equal stay two: nothing is added to it, and it is given and taken as it is.
    fn is_counted(&self) -> bool {
        self.kind.is_whole() || self.kind.is_shared()
    }
}

#[cfg(test)]
mod tests;
