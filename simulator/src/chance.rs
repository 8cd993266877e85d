//! Chance that repeats: one small generator, from which every other is split, so that a seed decides everything.

use std::time::Duration;

/// SplitMix64: one number of state, good enough to choose delays and faults, the same on every machine.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        let mut chance = Self(seed ^ 0x5851_f42d_4c95_7f2d);
        chance.draw();
        chance
    }

    /// A generator of its own for one purpose: drawing more for one does not move another.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self(self.draw())
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`, which is above zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        assert!(limit > 0, "there is no number below zero");
        self.draw() % limit
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// An index into something of this length, which is above zero.
    pub fn index(&mut self, length: usize) -> usize {
        let length = u64::try_from(length).expect("lengths fit 64 bits");
        usize::try_from(self.below(length)).expect("it is below a length")
    }

    /// One of them; `None` if there are none.
    pub fn one_of<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.index(from.len())) }
    }

    /// True so often in a thousand.
    pub fn in_thousand(&mut self, times: u64) -> bool {
        self.below(1000) < times
    }

    /// A span from `low` to `high`.
    pub fn span(&mut self, low: Duration, high: Duration) -> Duration {
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.between(nanos(low), nanos(high.max(low))))
    }

    /// A span of so many milliseconds.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        self.span(Duration::from_millis(low), Duration::from_millis(high))
    }

    /// 256 bits.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for part in bytes.chunks_exact_mut(8) {
            part.copy_from_slice(&self.draw().to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_others() {
        let numbers = |seed| {
            let mut chance = Chance::new(seed);
            (0..8).map(|_| chance.draw()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }

    #[test]
    fn a_split_generator_is_not_moved_by_its_parent() {
        let mut parent = Chance::new(1);
        let mut child = parent.split();
        let mut same = child.clone();
        parent.draw();
        assert_eq!(child.draw(), same.draw());
    }

    #[test]
    fn ranges_hold_both_ends() {
        let mut chance = Chance::new(3);
        let drawn: Vec<u64> = (0..200).map(|_| chance.between(2, 4)).collect();
        assert!(drawn.iter().all(|n| (2..=4).contains(n)));
        assert!((2..=4).all(|n| drawn.contains(&n)));
    }
}
