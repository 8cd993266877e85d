//! How much of a resource there is: amounts in exact thousandths, ranges and sets, and what can be done with two of a sort.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Ranges;

/// A scalar quantity in thousandths: cores, megabytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Milli(pub i64);

impl Milli {
    /// The most that one agent, task or need may have of anything: 10^12 units. Up to here a double has every thousandth
    /// exactly, and the sums of nine thousand such agents are still numbers.
    pub const MAX: Self = Self(1_000_000_000_000_000);

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

impl Value {
    /// Whether there is none of it.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Scalar(amount) => *amount == Milli(0),
            Self::Ranges(ranges) => ranges.is_empty(),
            Self::Set(names) => names.is_empty(),
        }
    }

    /// Entries of different sorts never mix, even under one name.
    pub(super) fn place(&self) -> u8 {
        match self {
            Self::Scalar(_) => 0,
            Self::Ranges(_) => 1,
            Self::Set(_) => 2,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(more)) => mine.0 = mine.0.saturating_add(more.0),
            (Self::Ranges(mine), Self::Ranges(more)) => *mine = mine.union(more),
            (Self::Set(mine), Self::Set(more)) => {
                mine.extend_from_slice(more);
                mine.sort();
                mine.dedup();
            }
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => {
                unreachable!("entries are matched by their sort before they are added")
            }
        }
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(wanted)) => mine >= wanted,
            (Self::Ranges(mine), Self::Ranges(wanted)) => mine.contains_all(wanted),
            (Self::Set(mine), Self::Set(wanted)) => {
                wanted.iter().all(|name| mine.binary_search(name).is_ok())
            }
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => false,
        }
    }

    /// What is left without `other`, of which there may be more than of this.
    pub(super) fn minus(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Scalar(mine), Self::Scalar(less)) => {
                Self::Scalar(Milli(mine.0.saturating_sub(less.0).max(0)))
            }
            (Self::Ranges(mine), Self::Ranges(less)) => Self::Ranges(mine.minus(less)),
            (Self::Set(mine), Self::Set(less)) => Self::Set(
                mine.iter().filter(|name| less.binary_search(name).is_err()).cloned().collect(),
            ),
            (Self::Scalar(_) | Self::Ranges(_) | Self::Set(_), _) => self.clone(),
        }
    }

    /// What is in both.
    pub(super) fn common(&self, other: &Self) -> Self {
        self.minus(&self.minus(other))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(amount) => write!(f, "{amount}"),
            Self::Ranges(ranges) => write!(f, "{ranges}"),
            Self::Set(names) => write!(f, "{{{}}}", names.join(",")),
        }
    }
}
