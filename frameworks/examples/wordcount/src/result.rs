//! What travels between scheduler and executor, and how a result in pieces is known to be whole. Pure.

use std::collections::BTreeMap;

use sdk::protocol::ids::TaskId;
use sdk::typed::{self, TypedError};
use serde::{Deserialize, Serialize};

use crate::plan::Part;
use crate::words::Counts;

/// About how many bytes of words go in one piece.
const PIECE_BYTES: usize = 24 << 10;
/// The most pieces of one result that a scheduler keeps.
const PIECES_MOST: usize = 4096;

/// What a task is to do: the data of its launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Which job it is for.
    pub(crate) job: String,
    /// Which try of it.
    pub(crate) attempt: u32,
    /// What to count.
    pub(crate) parts: Vec<Part>,
    /// Where to note when it ran.
    pub(crate) intervals: Option<Vec<u8>>,
}

/// Part of a task's result, as a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) task: TaskId,
    /// From 0.
    pub(crate) number: u32,
    /// Words and counts, encoded: checked before it is read.
    pub(crate) words: Vec<u8>,
}

/// All of a task's result, in the data of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Whole {
    /// How many pieces there are.
    pub(crate) pieces: u32,
    /// CRC32C over all of them in order.
    pub(crate) checksum: u32,
}

/// Why a result cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadResult {
    #[error("{missing} of {all} pieces of the result were lost on the way")]
    Missing { missing: usize, all: usize },
    #[error("the checksum of the result is wrong")]
    Checksum,
    #[error("the result cannot be read")]
    Unreadable,
}

/// Cuts a result in pieces.
pub(crate) fn cut(counts: &Counts) -> Result<(Vec<Vec<u8>>, Whole), TypedError> {
    let mut pieces = Vec::new();
    let mut words: Vec<(&String, &u64)> = Vec::new();
    let mut bytes = 0;
    for entry in counts {
        // A length and a count are eight bytes each.
        bytes += entry.0.len() + 16;
        words.push(entry);
        if bytes >= PIECE_BYTES {
            pieces.push(typed::encode(&std::mem::take(&mut words))?);
            bytes = 0;
        }
    }
    if !words.is_empty() {
        pieces.push(typed::encode(&words)?);
    }
    let whole = whole(&pieces);
    Ok((pieces, whole))
}

fn whole(pieces: &[Vec<u8>]) -> Whole {
    let checksum = pieces.iter().fold(0, |sum, piece| crc32c::crc32c_append(sum, piece));
    Whole { pieces: u32::try_from(pieces.len()).unwrap_or(u32::MAX), checksum }
}

/// The pieces of one task's result, as far as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pieces(BTreeMap<u32, Vec<u8>>);

impl Pieces {
    /// A repeat changes nothing.
    pub(crate) fn add(&mut self, number: u32, words: Vec<u8>) {
        if self.0.len() < PIECES_MOST {
            self.0.insert(number, words);
        }
    }

    /// All of them in order, if they are what the task says it sent.
    pub(crate) fn join(self, promised: Whole) -> Result<Vec<Vec<u8>>, BadResult> {
        let all = usize::try_from(promised.pieces).unwrap_or(usize::MAX);
        let came = (0..promised.pieces).filter(|number| self.0.contains_key(number)).count();
        if came < all {
            return Err(BadResult::Missing { missing: all - came, all });
        }
        let pieces: Vec<Vec<u8>> = self.0.into_values().take(all).collect();
        if whole(&pieces) != promised {
            return Err(BadResult::Checksum);
        }
        Ok(pieces)
    }
}

/// Reads pieces; the words they count.
pub(crate) fn read(pieces: &[Vec<u8>]) -> Result<Vec<(String, u64)>, BadResult> {
    let mut words = Vec::new();
    for piece in pieces {
        let more: Vec<(String, u64)> = typed::decode(piece).map_err(|_| BadResult::Unreadable)?;
        words.extend(more);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        (0..20_000).map(|n| (format!("word{n}"), n)).collect()
    }

    fn pieces(all: &[Vec<u8>]) -> Pieces {
        let mut pieces = Pieces::default();
        for (n, piece) in all.iter().enumerate().rev() {
            pieces.add(u32::try_from(n).unwrap(), piece.clone());
        }
        pieces
    }

    #[test]
    fn a_result_is_whole_again_in_whatever_order_it_came() {
        let (all, whole) = cut(&counts()).unwrap();
        assert!(all.len() > 10 && all.iter().all(|piece| piece.len() < PIECE_BYTES + 1024));
        let words = read(&pieces(&all).join(whole).unwrap()).unwrap();
        assert_eq!(words.into_iter().collect::<Counts>(), counts());
        let (none, whole) = cut(&Counts::new()).unwrap();
        assert_eq!(pieces(&none).join(whole), Ok(vec![]));
    }

    #[test]
    fn a_lost_or_wrong_piece_is_noticed() {
        let (mut all, whole) = cut(&counts()).unwrap();
        let missing = BadResult::Missing { missing: 1, all: all.len() };
        assert_eq!(pieces(&all[..all.len() - 1]).join(whole), Err(missing));
        all[3][100] ^= 1;
        assert_eq!(pieces(&all).join(whole), Err(BadResult::Checksum));
    }
}
