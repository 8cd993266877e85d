//! The registry in ZooKeeper: one node for each record. A batch is one `multi`, which first checks that the epoch's node is as
//! the reign left it, and then counts the batch in the node `written`, at the version that the batch before left there. So
//! many can be on their way at once, and still none is written out of order, by who was deposed, or twice; and when a
//! connection is lost with batches on their way, `written` says how many arrived.
//!
//! The count is not in the epoch's node itself: of two batches on their way, the second would expect just the version that
//! another's raising of the epoch leaves.

mod answers;
mod batch;
mod moving;
mod read;
mod transfer;
mod write;

use std::collections::BTreeMap;
use std::sync::mpsc as blocking;

use tokio::sync::watch;

use super::ZooKeeper;
use super::shell::{Elected, Message};
use crate::election::{Candidate, Elector, Reign, Standing};
use crate::store::{Change, Stopped, Store, StoreError};
use crate::zookeeper::logic::chain::Chain;
use answers::Work;
use batch::Known;
pub use moving::Moved;
use write::Writing;

/// Stands for election, and keeps the registry of the reign it won.
#[derive(Debug)]
pub struct ZooKeeperStore {
    zookeeper: ZooKeeper,
    elected: Option<Elected>,
    /// Where the last batch of this reign left the count; read from the ensemble before the first.
    chain: Option<Chain>,
    /// Which records there are, once they were read in this reign.
    known: Option<Known>,
}

impl ZooKeeperStore {
    pub(super) fn new(zookeeper: ZooKeeper) -> Self {
        Self { zookeeper, elected: None, chain: None, known: None }
    }

    /// Has the thread do something, and waits for it.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = blocking::channel();
        self.zookeeper.0.runtime.spawn(async move {
            let _ = sender.send(work.await);
        });
        receiver.recv().map_err(|_| self.closed())
    }

    fn closed(&self) -> StoreError {
        let reason = "the connection was closed".to_owned();
        StoreError::Lost { place: self.zookeeper.place(), reason }
    }

    /// The reign that a write of this epoch belongs to.
    fn reign_of(&self, epoch: u64) -> Result<Elected, StoreError> {
        match &self.elected {
            Some(elected) if elected.reign.epoch == epoch => Ok(elected.clone()),
            Some(elected) => {
                let newest = elected.reign.epoch;
                Err(StoreError::Fenced { place: self.zookeeper.place(), epoch, newest })
            }
            None => {
                let reason = "it was not elected".to_owned();
                Err(StoreError::Lost { place: self.zookeeper.place(), reason })
            }
        }
    }
}

/// Another one on the same connection, which was not elected yet.
impl Clone for ZooKeeperStore {
    fn clone(&self) -> Self {
        Self::new(self.zookeeper.clone())
    }
}

impl Elector for ZooKeeperStore {
    type Error = StoreError;

    fn stand(&mut self, candidate: &Candidate) -> Result<Reign, StoreError> {
        (self.elected, self.known, self.chain) = (None, None, None);
        let (reply, outcome) = blocking::channel();
        let message = Message::Stand(candidate.clone(), reply);
        self.zookeeper.0.sender.send(message).map_err(|_| self.closed())?;
        let elected = outcome.recv().map_err(|_| self.closed())?;
        let elected = elected.map_err(|reason| StoreError::Refused { reason })?;
        let reign = elected.reign.clone();
        self.elected = Some(elected);
        Ok(reign)
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.zookeeper.0.told.standing.subscribe()
    }
}

impl Store for ZooKeeperStore {
    fn load(&mut self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        let work = Work::on(&self.zookeeper);
        let elected = self.elected.clone();
        let loaded = self.wait(async move {
            match elected {
                Some(elected) => work.load(&elected.nodes, Some(elected.generation)).await,
                None => work.load(&work.find().await?, None).await,
            }
        });
        let (records, known) = loaded??;
        self.known = Some(known);
        Ok(records)
    }

    fn write(&mut self, epoch: u64, changes: &[Change]) -> Result<(), StoreError> {
        self.write_all(epoch, &[changes.to_vec()]).map_err(|stopped| stopped.error)
    }

    fn write_all(&mut self, epoch: u64, batches: &[Vec<Change>]) -> Result<(), Stopped> {
        let stopped = |error| Stopped { done: 0, error };
        let elected = self.reign_of(epoch).map_err(stopped)?;
        batch::check_sizes(batches).map_err(stopped)?;
        if self.known.is_none() {
            self.load().map_err(stopped)?;
        }
        let known = self.known.take().unwrap_or_default();
        let work = Work::on(&self.zookeeper);
        let writing = Writing::new(elected, self.chain.take(), known, batches);
        let done = self.wait(async move { work.write(writing).await });
        let (writing, outcome) = done.map_err(stopped)?;
        match outcome {
            Ok(()) => {
                // After anything else both are read anew.
                (self.known, self.chain) = (Some(writing.known), Some(writing.chain));
                Ok(())
            }
            Err(error) => {
                if let StoreError::Fenced { .. } = &error {
                    // The thread may be gone; the reign is over anyway.
                    let _ = self.zookeeper.0.sender.send(Message::Fenced(error.to_string()));
                }
                Err(Stopped { done: writing.done, error })
            }
        }
    }
}
