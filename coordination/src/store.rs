//! Versioned, fenced storage of records: what a store promises.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::election::{Candidate, Elector, Reign, Standing};

/// One change of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The record of this key is this from now on.
    Put {
        /// Printable, with slashes between its parts.
        key: String,
        /// At most [`RECORD_BYTES_MAX`].
        value: Vec<u8>,
    },
    /// There is no record of this key from now on.
    Delete {
        /// As in `Put`.
        key: String,
    },
}

/// The most bytes of one record.
pub const RECORD_BYTES_MAX: usize = 256 << 10;

/// The most bytes of one batch, counted by [`Change::bytes`]. It is one request to ZooKeeper, whose servers drop the connection of
/// who sends more than 1 MiB, without a word. There is room for the largest record and for all that any item writes with it.
pub const BATCH_BYTES_MAX: usize = 512 << 10;

/// Bytes of a batch of changes that may as well be written apart: one is on its way while the next is prepared.
const BATCH_BYTES: usize = 256 << 10;

/// What each change costs beside its key and its value: the lengths, the version, the paths before the key.
const CHANGE_BYTES: usize = 128;

impl Change {
    /// The most that it may need of a batch.
    pub fn bytes(&self) -> usize {
        // A key's bytes may need three each as a name.
        match self {
            Self::Put { key, value } => CHANGE_BYTES + 3 * key.len() + value.len(),
            Self::Delete { key } => CHANGE_BYTES + 3 * key.len(),
        }
    }
}

/// Cuts what is to be written into batches of a good size, in order; what one item writes stays together.
pub fn in_batches<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    let mut room = 0;
    for item in items {
        let needed = bytes(&item);
        match batches.last_mut() {
            Some(last) if needed <= room => last.push(item),
            Some(_) | None => {
                room = BATCH_BYTES;
                batches.push(vec![item]);
            }
        }
        room = room.saturating_sub(needed);
    }
    batches
}

/// Durable records by key. What was written is there after any crash, and only whole batches are.
pub trait Store: Send {
    /// All records. A record that is damaged is an error that names its key, never silence.
    fn load(&mut self) -> Result<BTreeMap<String, Vec<u8>>, StoreError>;

    /// Makes all changes or none, durably, if `epoch` is that of the newest reign.
    fn write(&mut self, epoch: u64, changes: &[Change]) -> Result<(), StoreError>;

    /// Writes batches in order, each as [`Store::write`] does, and many of them at once where that is faster. It stops at the
    /// first that cannot be written, and says how many were.
    fn write_all(&mut self, epoch: u64, batches: &[Vec<Change>]) -> Result<(), Stopped> {
        for (done, batch) in batches.iter().enumerate() {
            self.write(epoch, batch).map_err(|error| Stopped { done, error })?;
        }
        Ok(())
    }
}

/// Not all batches could be written.
#[derive(Debug, thiserror::Error)]
#[error("after {done} batches: {error}")]
pub struct Stopped {
    /// So many were, for certain. If the reign is over, one or the other beyond them may have been.
    pub done: usize,
    /// Why not more.
    pub error: StoreError,
}

/// A store that outlives the reign that it serves.
impl<S: Store> Store for Arc<Mutex<S>> {
    fn load(&mut self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        lock(self).load()
    }

    fn write(&mut self, epoch: u64, changes: &[Change]) -> Result<(), StoreError> {
        lock(self).write(epoch, changes)
    }

    fn write_all(&mut self, epoch: u64, batches: &[Vec<Change>]) -> Result<(), Stopped> {
        lock(self).write_all(epoch, batches)
    }
}

impl<S: Elector> Elector for Arc<Mutex<S>> {
    type Error = S::Error;

    fn stand(&mut self, candidate: &Candidate) -> Result<Reign, Self::Error> {
        lock(self).stand(candidate)
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        lock(self).standing()
    }
}

/// A thread that panicked in a store ends the process; until then it can only be seen half done.
fn lock<S>(shared: &Mutex<S>) -> MutexGuard<'_, S> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What can go wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error(
        "the store {place} is in use by another process; each master needs a work directory of its own"
    )]
    InUse {
        /// Where it is.
        place: String,
    },
    /// It cannot be opened or made.
    #[error("failed to open the store {place}")]
    Open {
        /// Where it is.
        place: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It cannot be read.
    #[error("failed to read the store {place}")]
    Read {
        /// Where it is.
        place: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A batch could not be written; nothing of it counts.
    #[error("failed to write {records} records to the store {place}")]
    Write {
        /// Where it is.
        place: String,
        /// How many.
        records: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A later reign has begun.
    #[error("a write of epoch {epoch} was refused by the store {place}: epoch {newest} has begun")]
    Fenced {
        /// Where it is.
        place: String,
        /// Of the write.
        epoch: u64,
        /// Of the newest reign.
        newest: u64,
    },
    /// It is there, and may not be used as it is. No repetition mends that.
    #[error("{reason}")]
    Refused {
        /// Which path of which place, and what to do.
        reason: String,
    },
    /// Nobody answers.
    #[error("no answer from {place} within {seconds} s: {reason}")]
    Silent {
        /// Where it should be.
        place: String,
        /// So long it was waited for.
        seconds: u64,
        /// What the last attempt came to.
        reason: String,
    },
    /// The reign is over, as far as its own process knows.
    #[error("the store {place} is not this process's to write any more: {reason}")]
    Lost {
        /// Where it is.
        place: String,
        /// Why the reign ended.
        reason: String,
    },
    /// A record's checksum or length is wrong.
    #[error(
        "record {key} of the store {place} is damaged: bring a registry back with `airside registry import` and its newest export, and give a framework another path"
    )]
    Damaged {
        /// Where it is.
        place: String,
        /// Its key.
        key: String,
        /// What is wrong.
        source: crate::record::BadRecord,
    },
    /// A record is too large.
    #[error("record {key} of {bytes} bytes is larger than {RECORD_BYTES_MAX}")]
    TooLarge {
        /// Its key.
        key: String,
        /// Its size.
        bytes: usize,
    },
    /// A batch is too large.
    #[error("a batch of {records} records needs {bytes} bytes, more than {most}")]
    BatchTooLarge {
        /// How many.
        records: usize,
        /// Its size.
        bytes: usize,
        /// The most it may have.
        most: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_many_small_changes_are_of_a_size_that_every_store_takes() {
        let changes: Vec<_> =
            (0..20_000).map(|n| Change::Delete { key: format!("agents/{n:030}") }).collect();
        let batches = in_batches(changes.clone(), Change::bytes);
        assert!(batches.len() > 1);
        for batch in &batches {
            assert!(batch.iter().map(Change::bytes).sum::<usize>() <= BATCH_BYTES_MAX);
        }
        assert_eq!(batches.concat(), changes, "all of them, in order");
    }

    #[test]
    fn what_is_larger_than_a_batch_of_a_good_size_is_one_of_its_own() {
        let batches = in_batches(vec![1, BATCH_BYTES + 1, 1, BATCH_BYTES - 1, 1], |bytes| *bytes);
        assert_eq!(batches, [vec![1], vec![BATCH_BYTES + 1], vec![1, BATCH_BYTES - 1], vec![1]]);
    }
}
