//! Where every message went. At rest sent = delivered + dropped, exactly; before, the rest is in flight.

use std::collections::BTreeMap;

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drop {
    /// There was no way to the receiver, or dialling it failed.
    Unreachable,
    /// Its connection broke with the message on it.
    ConnectionLost,
    /// The connection took nothing more; the sender was told.
    Full,
}

/// Every message there ever was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Told, whatever became of it.
    pub sent: u64,
    /// Handled by its receiver.
    pub delivered: u64,
    dropped: BTreeMap<Drop, u64>,
}

impl Accounts {
    pub(super) fn dropped(&mut self, why: Drop, count: usize) {
        if count > 0 {
            let count = u64::try_from(count).expect("memory holds fewer than 2^64 messages");
            *self.dropped.entry(why).or_default() += count;
        }
    }

    /// How many were dropped for this reason.
    pub fn dropped_because(&self, why: Drop) -> u64 {
        self.dropped.get(&why).copied().unwrap_or(0)
    }

    /// How many were dropped.
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether it all adds up.
    pub fn add_up(&self, in_flight: u64) -> bool {
        self.sent == self.delivered + self.dropped_in_all() + in_flight
    }
}
