//! Chance that repeats: numbers drawn from one seed, so that a recorded life can be replayed byte for byte. A cipher-like
//! digest, because executors' tokens come from here and who knows one must not guess the next.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A seed and how often it was drawn from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Chance {
    seed: [u8; 32],
    drawn: u64,
}

impl Chance {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// The next number.
    pub(super) fn draw(&mut self) -> u64 {
        let digest = self.digest();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_le_bytes(first)
    }

    /// 128 bits as text.
    pub(super) fn token(&mut self) -> String {
        self.digest()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn digest(&mut self) -> [u8; 32] {
        self.drawn += 1;
        Sha256::new()
            .chain_update(self.seed)
            .chain_update(self.drawn.to_le_bytes())
            .finalize()
            .into()
    }
}
