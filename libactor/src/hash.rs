//! Maps keyed by ids: a short hash with a random start for each map, since peers choose some of the ids.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use crate::flow;

/// A map keyed by ids.
pub(crate) type IdMap<K, V> = HashMap<K, V, Seed>;

/// The start of a map's hashes.
#[derive(Clone, Copy)]
pub(crate) struct Seed(u64);

impl Default for Seed {
    fn default() -> Self {
        Self(flow::number())
    }
}

impl BuildHasher for Seed {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher(self.0)
    }
}

/// Multiplies and folds, word by word.
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            self.write_u64(chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        let mixed = self.0.wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_a_row_spread_over_all_bits() {
        let seed = Seed::default();
        let hashes: Vec<u64> = (0..1024_u64).map(|id| seed.hash_one(id)).collect();
        for bit in 0..64 {
            let set = hashes.iter().filter(|hash| **hash >> bit & 1 == 1).count();
            assert!((350..700).contains(&set), "bit {bit}: {set} of 1024");
        }
    }
}
