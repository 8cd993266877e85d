//! Writes batches, many at once, and finds out what became of them when nobody says so.

use prost::Message;
use zookeeper_client::{Client, Error, MultiWriteError};

use super::batch::{Known, Planned};
use super::{StoreError, Work};
use crate::store::Change;
use crate::zookeeper::errors::{is_definite, words};
use crate::zookeeper::layout::{EpochRecord, Nodes, WrittenRecord, decode};
use crate::zookeeper::logic::RETRY;
use crate::zookeeper::logic::chain::{Chain, Count, Epoch};
use crate::zookeeper::shell::Elected;

/// How many batches may be on their way at once.
const ON_THE_WAY_MAX: usize = 32;

/// And how many bytes.
const ON_THE_WAY_BYTES: usize = 4 << 20;

/// A connection that is lost again and again while the same batches are on their way is given up after this many times.
const LOSSES_MAX: usize = 20;

/// Batches that are being written.
pub(super) struct Writing {
    elected: Elected,
    /// What the next batch has to find.
    pub(super) chain: Chain,
    pub(super) known: Known,
    batches: Vec<Planned>,
    pub(super) done: usize,
}

/// How sending some batches ended.
enum Sent {
    All,
    /// Nobody knows how many of the rest arrived.
    Unknown,
    Failed(StoreError),
}

impl Writing {
    pub(super) fn new(
        elected: Elected,
        chain: Option<Chain>,
        mut known: Known,
        batches: &[Vec<Change>],
    ) -> Self {
        let batches = batches.iter().map(|changes| known.plan(changes)).collect();
        let Elected { reign, by, version, .. } = &elected;
        let reign = Epoch { number: reign.epoch, version: *version, by: by.clone() };
        let chain = chain.unwrap_or_else(|| Chain::new(reign));
        Self { elected, chain, known, batches, done: 0 }
    }

    /// What the next batches are, as many as may be on their way at once.
    fn next(&self) -> &[Planned] {
        let rest = &self.batches[self.done..];
        let mut bytes = 0;
        let fits = |batch: &&Planned| {
            bytes += batch.bytes;
            bytes <= ON_THE_WAY_BYTES
        };
        let count = rest.iter().take(ON_THE_WAY_MAX).take_while(fits).count();
        &rest[..count.max(1)]
    }
}

impl Work {
    pub(super) async fn write(&self, mut writing: Writing) -> (Writing, Result<(), StoreError>) {
        let outcome = self.write_on(&mut writing).await;
        (writing, outcome)
    }

    async fn write_on(&self, writing: &mut Writing) -> Result<(), StoreError> {
        for _ in 0..LOSSES_MAX {
            let client = self.client(Some(writing.elected.generation)).await?;
            if writing.chain.next(0).is_none() {
                self.find_out(&client, writing).await?;
            }
            match self.send(&client, writing).await {
                Sent::All => return Ok(()),
                Sent::Failed(error) => return Err(error),
                Sent::Unknown => writing.chain.lost(),
            }
        }
        let reason = "the connection to ZooKeeper was lost again and again while it was written";
        Err(StoreError::Lost { place: self.place(), reason: reason.to_owned() })
    }

    /// Sends what is not done yet and waits for all answers.
    async fn send(&self, client: &Client, writing: &mut Writing) -> Sent {
        while writing.done < writing.batches.len() {
            let Elected { reign, by, nodes, .. } = &writing.elected;
            let mut on_the_way = Vec::new();
            for (ahead, batch) in (0..).zip(writing.next()) {
                let Some(link) = writing.chain.next(ahead) else { return Sent::Unknown };
                let batches = link.batches;
                let record = WrittenRecord { epoch: reign.epoch, by: by.clone(), batches };
                let (fence, version) = (link.fence, link.version);
                match self.context.send_batch(client, nodes, batch, fence, &record, version) {
                    Ok(answer) => on_the_way.push(answer),
                    Err(error) => return Sent::Failed(self.failed(nodes, batch, &error)),
                }
            }
            let mut ended = Sent::All;
            let path = nodes.records();
            for answer in on_the_way {
                let outcome = self.answer(client, ("write below", &path), answer).await;
                let unanswered = Err(Error::Timeout.into()) == outcome;
                // Behind one that was not written none was: the count that it needs was never there.
                if matches!(ended, Sent::All) {
                    match outcome {
                        Ok(_) => {
                            writing.done += 1;
                            writing.chain.wrote();
                        }
                        Err(error) => {
                            ended = self.judge(nodes, &writing.batches[writing.done], error);
                        }
                    }
                }
                // And behind one that was not answered none will be.
                if unanswered {
                    break;
                }
            }
            if !matches!(ended, Sent::All) {
                return ended;
            }
        }
        Sent::All
    }

    fn judge(&self, nodes: &Nodes, batch: &Planned, error: MultiWriteError) -> Sent {
        let source = match error {
            // The fence or the count: one look says which.
            MultiWriteError::OperationFailed { index: 0 | 1, source: Error::BadVersion } => {
                return Sent::Unknown;
            }
            MultiWriteError::OperationFailed { source, .. }
            | MultiWriteError::RequestFailed { source } => source,
        };
        if is_definite(&source) {
            return Sent::Failed(self.failed(nodes, batch, &source));
        }
        Sent::Unknown
    }

    fn failed(&self, nodes: &Nodes, batch: &Planned, error: &Error) -> StoreError {
        let path = nodes.records();
        let mut reason = words(&self.context.settings.url, "write below", &path, error);
        if matches!(error, Error::NoNode | Error::NodeExists) {
            reason.push_str("; somebody else changes it: a master of another cluster, or a person");
        }
        StoreError::Write { place: self.place(), records: batch.records, source: reason.into() }
    }

    /// Reads how many batches arrived, and whether the reign still is the newest.
    async fn find_out(&self, client: &Client, writing: &mut Writing) -> Result<(), StoreError> {
        let nodes = writing.elected.nodes.clone();
        loop {
            let written =
                self.read_record::<WrittenRecord>(client, &nodes, &nodes.written()).await?;
            let epoch = self.read_record::<EpochRecord>(client, &nodes, &nodes.epoch()).await?;
            let (Some((written, version)), Some((epoch, fence))) = (written, epoch) else {
                // It can be read again with the connection, or never in this reign.
                self.client(Some(writing.elected.generation)).await?;
                tokio::time::sleep(RETRY).await;
                continue;
            };
            let WrittenRecord { epoch: of, by, batches } = written;
            let count = Count { epoch: of, by, batches, version };
            let epoch = Epoch { number: epoch.epoch, version: fence, by: epoch.by };
            let found = writing.chain.found(&count, &epoch);
            let arrived = usize::try_from(found.arrived).expect("counts fit");
            writing.done = (writing.done + arrived).min(writing.batches.len());
            if let Some(newest) = found.fenced {
                let mine = writing.elected.reign.epoch;
                return Err(StoreError::Fenced { place: self.place(), epoch: mine, newest });
            }
            return Ok(());
        }
    }

    /// A node as new as the ensemble's leader has it, and its version; `None` if nobody says.
    pub(super) async fn read_record<M: Message + Default>(
        &self,
        client: &Client,
        nodes: &Nodes,
        path: &str,
    ) -> Result<Option<(M, i32)>, StoreError> {
        let failed =
            |reason: String| Err(StoreError::Read { place: self.place(), source: reason.into() });
        let read = async {
            client.sync(path).await?;
            client.get_data(path).await
        };
        match self.answer(client, ("read", path), read).await {
            Ok((data, stat)) => match decode(&data) {
                Ok(record) => Ok(Some((record, stat.version))),
                Err(error) => failed(self.context.damaged(nodes, path, &error.to_string())),
            },
            Err(error) if is_definite(&error) => {
                failed(words(&self.context.settings.url, "read", path, &error))
            }
            Err(_) => Ok(None),
        }
    }
}

pub(super) fn read_error(work: &Work, reason: String) -> StoreError {
    StoreError::Read { place: work.place(), source: reason.into() }
}
