//! Who comes next: a heap whose members can be moved when their share changes. A change costs the logarithm of the number of
//! members, and the first one is known at once.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// By what members are ordered: share, then how often they were allocated something, then their path (ties as Mesos breaks them).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key {
    /// The bits of a share, which are ordered as the share is, since it is never below zero.
    share: u64,
    /// The count, and in the lowest bits the path's rank: two comparisons are cheaper than three.
    tie: u64,
}

/// Bits of a rank.
const RANK: u32 = 24;

impl Key {
    /// A count that has no room (10^12), or a rank (16 million), is as high as any.
    pub(super) fn of(share: f64, count: u64, rank: u32) -> Self {
        let (count, rank) = (count.min(u64::MAX >> RANK), u64::from(rank.min((1 << RANK) - 1)));
        Self { share: share.to_bits(), tie: count << RANK | rank }
    }

    pub(super) fn share(self) -> f64 {
        f64::from_bits(self.share)
    }

    /// One number, so that of several the least is found without a guess of the processor's.
    fn wide(self) -> u128 {
        u128::from(self.share) << 64 | u128::from(self.tie)
    }
}

/// Where each member is in its queue, by number; one for all queues of which it can be in only one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Places(Vec<u32>);

const NOWHERE: u32 = u32::MAX;
/// Children of one node: wide and flat touches less memory.
const WIDTH: usize = 4;

impl Places {
    pub(super) fn of(&self, member: u32) -> Option<usize> {
        let place = *self.0.get(member as usize)?;
        (place != NOWHERE).then_some(place as usize)
    }

    fn set(&mut self, member: u32, place: u32) {
        let member = member as usize;
        if self.0.len() <= member {
            self.0.resize(member + 1, NOWHERE);
        }
        self.0[member] = place;
    }
}

/// Members in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Queue {
    heap: Vec<(Key, u32)>,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub(super) fn first(&self) -> Option<u32> {
        self.heap.first().map(|(_, member)| *member)
    }

    /// In no order.
    pub(super) fn members(&self) -> impl Iterator<Item = u32> {
        self.heap.iter().map(|(_, member)| *member)
    }

    pub(super) fn key_at(&self, place: usize) -> Option<(Key, u32)> {
        self.heap.get(place).copied()
    }

    /// The places below one in the heap, none of which comes before it.
    pub(super) fn below(&self, place: usize) -> Range<usize> {
        let first = (place * WIDTH + 1).min(self.heap.len());
        first..(first + WIDTH).min(self.heap.len())
    }

    pub(super) fn insert(&mut self, places: &mut Places, key: Key, member: u32) {
        self.heap.push((key, member));
        self.up(places, self.heap.len() - 1);
    }

    pub(super) fn remove(&mut self, places: &mut Places, member: u32) {
        let Some(place) = places.of(member) else { return };
        places.set(member, NOWHERE);
        let last = self.heap.pop().expect("a member has a place in it");
        if place < self.heap.len() {
            self.heap[place] = last;
            self.settle(places, place);
        }
    }

    /// A member's key is another one.
    pub(super) fn update(&mut self, places: &mut Places, key: Key, member: u32) {
        if let Some(place) = places.of(member) {
            self.heap[place].0 = key;
            self.settle(places, place);
        }
    }

    fn settle(&mut self, places: &mut Places, place: usize) {
        if place > 0 && self.heap[place].0 < self.heap[(place - 1) / WIDTH].0 {
            self.up(places, place);
        } else {
            self.down(places, place);
        }
    }

    fn least_of(&self, places: Range<usize>) -> Option<usize> {
        let mut keys = self.heap[places.clone()].iter().map(|(key, _)| key.wide());
        let (mut least, mut at) = (keys.next()?, 0);
        for (n, key) in (1..).zip(keys) {
            let is_less = key < least;
            least = if is_less { key } else { least };
            at = if is_less { n } else { at };
        }
        Some(places.start + at)
    }

    fn put(&mut self, places: &mut Places, place: usize, entry: (Key, u32)) {
        self.heap[place] = entry;
        places.set(entry.1, u32::try_from(place).expect("members have numbers of this size"));
    }

    fn up(&mut self, places: &mut Places, mut place: usize) {
        let entry = self.heap[place];
        while place > 0 {
            let above = (place - 1) / WIDTH;
            if self.heap[above].0 <= entry.0 {
                break;
            }
            self.put(places, place, self.heap[above]);
            place = above;
        }
        self.put(places, place, entry);
    }

    fn down(&mut self, places: &mut Places, mut place: usize) {
        let entry = self.heap[place];
        loop {
            let least = self.least_of(self.below(place));
            let Some(least) = least.filter(|least| self.heap[*least].0 < entry.0) else { break };
            self.put(places, place, self.heap[least]);
            place = least;
        }
        self.put(places, place, entry);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_is_always_the_least(steps in proptest::collection::vec((0..20u32, 0..50u64, any::<bool>()), 1..200)) {
            let (mut queue, mut places) = (Queue::default(), Places::default());
            let mut model: BTreeMap<u32, Key> = BTreeMap::new();
            for (member, share, keep) in steps {
                let key = Key::of(share as f64, 0, member);
                match (model.contains_key(&member), keep) {
                    (false, _) => queue.insert(&mut places, key, member),
                    (true, true) => queue.update(&mut places, key, member),
                    (true, false) => queue.remove(&mut places, member),
                }
                if model.contains_key(&member) && !keep {
                    model.remove(&member);
                } else {
                    model.insert(member, key);
                }
                let least = model.iter().min_by_key(|(_, key)| **key).map(|(member, _)| *member);
                prop_assert_eq!(queue.first(), least);
                prop_assert_eq!(queue.members().count(), model.len());
            }
        }
    }
}
