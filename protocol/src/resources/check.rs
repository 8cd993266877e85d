//! Whether resources that came from outside are what the algebra takes for granted.

use super::parse::ENTRIES_MAX;
use super::{BadTerms, Kind, Milli, Ranges, Resource, Resources, Value, list};

/// The most pieces a value may be in: twice as many as all ports can make.
pub const RANGES_MAX: usize = 1 << 16;

/// The most bytes of a resource's name.
pub(super) const NAME_BYTES_MAX: usize = crate::ids::ID_BYTES_MAX;

/// How resources are not as they must be. What is quoted is the entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNormal {
    /// Empty, too long, or not printable.
    #[error("'{0}' is not a resource's name")]
    Name(String),
    /// More entries than there can be.
    #[error("{0} entries are more than {ENTRIES_MAX}")]
    TooMany(usize),
    /// There is none of it, or less.
    #[error("{0}: an amount must be more than zero")]
    NotPositive(String),
    /// More than there can be.
    #[error("{0}: an amount must be at most {max}", max = Milli::MAX)]
    TooMuch(String),
    /// More pieces than there can be.
    #[error("'{name}' is in {pieces} pieces, more than {RANGES_MAX}")]
    TooManyPieces {
        /// Whose value.
        name: String,
        /// How many.
        pieces: usize,
    },
    /// Ranges or names that are not sorted, overlap or repeat.
    #[error("'{0}' has ranges or names that are out of order or repeated")]
    Value(String),
    /// Entries that are not sorted, or twice the same.
    #[error("'{0}' is out of order or repeated")]
    Order(String),
    /// Terms that make no sense.
    #[error("'{name}': {why}")]
    Terms {
        /// Of which resource.
        name: String,
        /// Why.
        why: BadTerms,
    },
    /// Only disk space lies on disks.
    #[error("'{0}' has the terms of a disk, which only an amount of 'disk' can have")]
    Disk(String),
}

impl Resources {
    /// Refuses what only a peer can have written: other code makes none such.
    pub fn check(&self) -> Result<(), NotNormal> {
        if self.len() > ENTRIES_MAX {
            return Err(NotNormal::TooMany(self.len()));
        }
        let entries: Vec<&Resource> = self.iter().collect();
        for entry in &entries {
            entry.check()?;
        }
        for two in entries.windows(2) {
            let order = list::order(two[0], two[1]);
            if order.is_gt() || (order.is_eq() && !two[0].is_counted()) {
                return Err(NotNormal::Order(two[1].name.to_string()));
            }
        }
        // Of one name and in all, it must not be more than there can be.
        let mut sum = (None, Milli(0));
        for (entry, amount) in self.amounts() {
            let before = if sum.0 == Some(&entry.name) { sum.1 } else { Milli(0) };
            sum = (Some(&entry.name), Milli(before.0.saturating_add(amount.0)));
            if sum.1 > Milli::MAX {
                return Err(NotNormal::TooMuch(format!("{}:{} in all", entry.name, sum.1)));
            }
        }
        Ok(())
    }
}

impl Resource {
    fn check(&self) -> Result<(), NotNormal> {
        let name = || self.name.to_string();
        if !is_name(&self.name) {
            return Err(NotNormal::Name(self.name.escape_debug().to_string()));
        }
        if let Kind::Particular(terms) = &self.kind {
            terms.check().map_err(|why| NotNormal::Terms { name: name(), why })?;
            if terms.disk.is_some() && (&*self.name != "disk" || self.amount().is_none()) {
                return Err(NotNormal::Disk(name()));
            }
        }
        let (pieces, sorted) = match &self.value {
            Value::Scalar(amount) if *amount > Milli::MAX => {
                return Err(NotNormal::TooMuch(self.to_string()));
            }
            Value::Scalar(amount) => (usize::from(*amount > Milli(0)), true),
            Value::Ranges(ranges) => (ranges.iter().count(), Ranges::new(ranges.iter()) == *ranges),
            Value::Set(names) => (names.len(), names.windows(2).all(|two| two[0] < two[1])),
        };
        if pieces == 0 {
            return Err(NotNormal::NotPositive(self.to_string()));
        }
        if pieces > RANGES_MAX {
            return Err(NotNormal::TooManyPieces { name: name(), pieces });
        }
        if sorted { Ok(()) } else { Err(NotNormal::Value(name())) }
    }
}

pub(crate) fn is_name(text: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control();
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.chars().any(bad)
}
