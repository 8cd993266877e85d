//! Messages without subjects: a ring for each thread.

use std::sync::Mutex;

use super::{Record, lock};

/// The chatter of one thread.
pub(crate) struct Shard(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    records: Vec<Record>,
    /// The oldest record, once the ring is full.
    next: usize,
    most: usize,
}

impl Shard {
    /// At most so many records.
    pub(super) fn new(most: usize) -> Self {
        Self(Mutex::new(Ring { most, ..Ring::default() }))
    }

    /// The record is made where it stays: a copy of what was written just before would wait for it.
    #[inline]
    pub(crate) fn push(&self, make: impl FnOnce() -> Record) {
        let mut ring = lock(&self.0);
        let Ring { records, next, most } = &mut *ring;
        if records.len() < *most {
            records.push(make());
        } else if let Some(slot) = records.get_mut(*next) {
            *slot = make();
            *next = if *next + 1 == *most { 0 } else { *next + 1 };
        }
    }

    /// Looks at every record, in no order.
    pub(super) fn each(&self, see: impl FnMut(&Record)) {
        lock(&self.0).records.iter().for_each(see);
    }

    /// The oldest record.
    pub(super) fn oldest(&self) -> Option<Record> {
        let ring = lock(&self.0);
        ring.records.get(ring.next).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn a_full_ring_forgets_the_oldest() {
        let shard = Shard::new(4);
        (0..6).for_each(|at| shard.push(|| record(1, at)));
        let mut spans = Vec::new();
        shard.each(|record| spans.push(record.span));
        assert_eq!(spans, [4, 5, 2, 3]);
        assert_eq!(shard.oldest().map(|record| record.span), Some(2));
    }
}
