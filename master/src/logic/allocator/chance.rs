//! Chance of the allocator's own, from the seed that it is made with: the order in which agents are looked at, and who is next
//! where shares are drawn by lot.

use serde::{Deserialize, Serialize};

/// SplitMix64 (Steele, Lea and Flood 2014): one number of state, the same on every machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another one, which this one does not move.
    pub(super) fn split(&mut self) -> Self {
        Self(self.draw())
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`, which is above zero; by multiplication, which is quicker than a division.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        let wide = u128::from(self.draw()) * limit as u128;
        usize::try_from(wide >> 64).expect("it is below a length")
    }

    /// How long until the next of a row of events of which on average one happens in a unit of time.
    pub(super) fn pause(&mut self) -> f64 {
        // 53 bits, none of them all zeroes: never the logarithm of nothing.
        let part = ((self.draw() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        -libm::log(part)
    }
}
