//! `Resources` and its algebra. Scalars are whole thousandths, so that sums are exact and the same on every machine.

mod parse;
mod ranges;
mod terms;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use parse::{BadResources, parse_attributes};
pub use ranges::Ranges;
pub use terms::{
    Disk, DiskKind, DiskSource, Kind, PersistentVolume, Reservation, ReservationMade, Terms,
};

/// A scalar quantity in thousandths: cores, megabytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Milli(pub i64);

impl Milli {
    /// Whole units.
    pub const fn whole(units: i64) -> Self {
        Self(units.saturating_mul(1000))
    }

    /// The nearest thousandth; not-a-number counts as zero, and what is out of range is cut. For display and JSON.
    pub fn from_f64(units: f64) -> Self {
        // `as` from float saturates and maps NaN to 0, which is what is wanted.
        #[allow(clippy::cast_possible_truncation)]
        Self((units * 1000.0).round() as i64)
    }

    /// In units; exact up to 2^53 thousandths.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl fmt::Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, size) =
            if self.0 < 0 { ("-", self.0.unsigned_abs()) } else { ("", self.0.unsigned_abs()) };
        let text = format!("{sign}{}.{:03}", size / 1000, size % 1000);
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// How much of a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Value {
    /// An amount: cpus, mem and disk in MB, gpus.
    Scalar(Milli),
    /// Numbers of which each is held by one: ports.
    Ranges(Ranges),
    /// Names of which each is held by one; sorted, without repeats.
    Set(Vec<String>),
}

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

/// What an operator says of a machine; compared, never consumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value, in Mesos's text form.
    pub value: String,
}

/// Resources of several names: sorted, one entry per name and kind, nothing empty. Equal amounts are equal values.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resources(Vec<Resource>);

impl Resources {
    /// Nothing.
    pub const fn none() -> Self {
        Self(Vec::new())
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
        self.add_one(unreserved(name, Value::Scalar(amount)));
        self
    }

    /// These and the given numbers of an unreserved ranges resource.
    #[must_use]
    pub fn with_ranges(mut self, name: &str, ranges: Ranges) -> Self {
        self.add_one(unreserved(name, Value::Ranges(ranges)));
        self
    }

    /// The entries, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.0.iter()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sum of one scalar over all kinds; zero if absent.
    pub fn scalar(&self, name: &str) -> Milli {
        Milli(
            self.0
                .iter()
                .filter(|r| &*r.name == name)
                .filter_map(Resource::amount)
                .map(|m| m.0)
                .sum(),
        )
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

    /// The unreserved numbers of a ranges resource, such as `ports`.
    pub fn ranges(&self, name: &str) -> Ranges {
        let mut all = Ranges::default();
        for resource in self.0.iter().filter(|r| &*r.name == name) {
            if let Value::Ranges(ranges) = &resource.value {
                all = all.union(ranges);
            }
        }
        all
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        for resource in &other.0 {
            self.add_one(resource.clone());
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.add(other);
        sum
    }

    /// These, and what of `other` is more than these have.
    #[must_use]
    pub fn at_least(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for wanted in &other.0 {
            let mine = all.0.iter_mut().find(|mine| mine.same_entry(wanted));
            match (mine.map(|mine| &mut mine.value), &wanted.value) {
                (Some(Value::Scalar(mine)), Value::Scalar(amount)) => *mine = (*mine).max(*amount),
                (Some(_) | None, _) => all.add_one(wanted.clone()),
            }
        }
        all
    }

    /// What is left without `other`; `None` if not all of it is here.
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        let mut left = self.clone();
        for resource in &other.0 {
            let at = left.0.iter().position(|mine| mine.same_entry(resource))?;
            match left.0[at].value.checked_sub(&resource.value)? {
                value if value.is_empty() => drop(left.0.remove(at)),
                value => left.0[at].value = value,
            }
        }
        Some(left)
    }

    /// Whether all of `other` is here.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|wanted| {
            self.0.iter().any(|mine| mine.same_entry(wanted) && mine.value.contains(&wanted.value))
        })
    }

    /// The first entry of `other` that is not wholly here, for messages to people.
    pub fn lacking<'o>(&self, other: &'o Self) -> Option<&'o Resource> {
        other.0.iter().find(|wanted| !self.contains(&Self(vec![(*wanted).clone()])))
    }

    /// Adds one entry. Empty ones vanish; an amount below zero is refused by whoever takes input, so it is a broken
    /// invariant here.
    pub fn add_one(&mut self, resource: Resource) {
        if let Some(amount) = resource.amount() {
            assert!(amount >= Milli(0), "resources never go below zero: {resource}");
        }
        if resource.value.is_empty() {
            return;
        }
        match self.0.binary_search_by(|mine| mine.entry_key().cmp(&resource.entry_key())) {
            Ok(at) => self.0[at].value.add(&resource.value),
            Err(at) => self.0.insert(at, resource),
        }
    }
}

fn unreserved(name: &str, value: Value) -> Resource {
    Resource { name: Arc::from(name), kind: Kind::Unreserved, value }
}

impl Resource {
    /// The amount, if it is a scalar.
    pub fn amount(&self) -> Option<Milli> {
        match &self.value {
            Value::Scalar(amount) => Some(*amount),
            Value::Ranges(_) | Value::Set(_) => None,
        }
    }

    /// Entries of different value types never mix, even under one name.
    fn entry_key(&self) -> (&str, &Kind, u8) {
        let of = match &self.value {
            Value::Scalar(_) => 0,
            Value::Ranges(_) => 1,
            Value::Set(_) => 2,
        };
        (&self.name, &self.kind, of)
    }

    fn same_entry(&self, other: &Self) -> bool {
        self.entry_key() == other.entry_key()
    }
}

impl Value {
    fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(amount) => *amount == Milli(0),
            Self::Ranges(ranges) => ranges.is_empty(),
            Self::Set(names) => names.is_empty(),
        }
    }

    fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(more)) => mine.0 = mine.0.saturating_add(more.0),
            (Self::Ranges(mine), Self::Ranges(more)) => *mine = mine.union(more),
            (Self::Set(mine), Self::Set(more)) => {
                mine.extend_from_slice(more);
                mine.sort();
                mine.dedup();
            }
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => {
                unreachable!("entries are matched by value type before they are added")
            }
        }
    }

    fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(wanted)) => mine >= wanted,
            (Self::Ranges(mine), Self::Ranges(wanted)) => mine.contains_all(wanted),
            (Self::Set(mine), Self::Set(wanted)) => {
                wanted.iter().all(|name| mine.binary_search(name).is_ok())
            }
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => false,
        }
    }

    fn checked_sub(&self, other: &Self) -> Option<Self> {
        if !self.contains(other) {
            return None;
        }
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(less)) => Some(Self::Scalar(Milli(mine.0 - less.0))),
            (Self::Ranges(mine), Self::Ranges(less)) => Some(Self::Ranges(mine.minus(less))),
            (Self::Set(mine), Self::Set(less)) => Some(Self::Set(
                mine.iter().filter(|name| less.binary_search(name).is_err()).cloned().collect(),
            )),
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => None,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Scalar(amount) => write!(f, "{}:{amount}", self.name),
            Value::Ranges(ranges) => write!(f, "{}:{ranges}", self.name),
            Value::Set(names) => write!(f, "{}:{{{}}}", self.name, names.join(",")),
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        for (n, resource) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { ";" };
            write!(f, "{comma}{resource}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests;
