//! One batch as one `multi`: which nodes are made, written and deleted depends on what is there, and only the leader changes
//! that.

use std::collections::BTreeSet;

use zookeeper_client::{Acls, Client, CreateMode, Error, MultiWriteError, MultiWriteResult};

use crate::record::seal;
use crate::store::{BATCH_BYTES_MAX, Change, RECORD_BYTES_MAX, StoreError};
use crate::zookeeper::layout::{Nodes, WrittenRecord, encode, shard_of};
use crate::zookeeper::requests::Context;

/// Which nodes there are.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) keys: BTreeSet<String>,
    pub(super) shards: BTreeSet<u32>,
}

/// Something to do to one node.
enum Operation {
    MakeShard(u32),
    Make(String, Vec<u8>),
    Write(String, Vec<u8>),
    Delete(String),
}

/// A batch that is ready to be sent.
pub(super) struct Planned {
    operations: Vec<Operation>,
    pub(super) bytes: usize,
    pub(super) records: usize,
}

impl Known {
    /// What a batch does, once those that were planned before it are written.
    pub(super) fn plan(&mut self, changes: &[Change]) -> Planned {
        let mut operations = Vec::new();
        for change in changes {
            match change {
                Change::Put { key, value } => {
                    let shard = shard_of(key);
                    if self.shards.insert(shard) {
                        operations.push(Operation::MakeShard(shard));
                    }
                    let record = seal(value);
                    operations.push(match self.keys.insert(key.clone()) {
                        true => Operation::Make(key.clone(), record),
                        false => Operation::Write(key.clone(), record),
                    });
                }
                Change::Delete { key } => {
                    if self.keys.remove(key) {
                        operations.push(Operation::Delete(key.clone()));
                    }
                }
            }
        }
        Planned { operations, bytes: size(changes), records: changes.len() }
    }
}

/// Refuses what no server would take, before anything is sent.
pub(super) fn check_sizes(batches: &[Vec<Change>]) -> Result<(), StoreError> {
    for batch in batches {
        for change in batch {
            if let Change::Put { key, value } = change
                && value.len() > RECORD_BYTES_MAX
            {
                return Err(StoreError::TooLarge { key: key.clone(), bytes: value.len() });
            }
        }
        let bytes = size(batch);
        if bytes > BATCH_BYTES_MAX {
            return Err(StoreError::BatchTooLarge {
                records: batch.len(),
                bytes,
                most: BATCH_BYTES_MAX,
            });
        }
    }
    Ok(())
}

fn size(changes: &[Change]) -> usize {
    changes.iter().map(Change::bytes).sum()
}

impl Context {
    /// Sends a batch, with the fence first. It is sent when this returns, so that batches are in order; the answer comes later.
    pub(super) fn send_batch<'a>(
        &self,
        client: &'a Client,
        nodes: &Nodes,
        batch: &Planned,
        epoch_version: i32,
        record: &WrittenRecord,
        version: i32,
    ) -> Result<
        impl Future<Output = Result<Vec<MultiWriteResult>, MultiWriteError>> + Send + use<'a>,
        Error,
    > {
        let options = CreateMode::Persistent.with_acls(Acls::new(&self.layout.own));
        let mut writer = client.new_multi_writer();
        writer.add_check_version(&nodes.epoch(), epoch_version)?;
        writer.add_set_data(&nodes.written(), &encode(record), Some(version))?;
        for operation in &batch.operations {
            match operation {
                Operation::MakeShard(shard) => {
                    writer.add_create(&nodes.shard(*shard), b"", &options)?;
                }
                Operation::Make(key, value) => {
                    writer.add_create(&nodes.record(key), value, &options)?;
                }
                Operation::Write(key, value) => {
                    writer.add_set_data(&nodes.record(key), value, None)?;
                }
                Operation::Delete(key) => writer.add_delete(&nodes.record(key), None)?,
            }
        }
        Ok(writer.commit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(planned: &Planned) -> Vec<String> {
        let word = |operation: &Operation| match operation {
            Operation::MakeShard(_) => "shard".to_owned(),
            Operation::Make(key, _) => format!("make {key}"),
            Operation::Write(key, _) => format!("write {key}"),
            Operation::Delete(key) => format!("delete {key}"),
        };
        planned.operations.iter().map(word).collect()
    }

    fn put(key: &str) -> Change {
        Change::Put { key: key.into(), value: b"x".to_vec() }
    }

    fn delete(key: &str) -> Change {
        Change::Delete { key: key.into() }
    }

    #[test]
    fn what_is_made_written_and_deleted_follows_from_what_was_planned_before() {
        let mut known = Known::default();
        let first = known.plan(&[put("a"), put("a"), delete("b")]);
        assert_eq!(words(&first), ["shard", "make a", "write a"]);
        let second = known.plan(&[put("a"), delete("a"), delete("a"), put("a")]);
        assert_eq!(words(&second), ["write a", "delete a", "make a"]);
    }

    #[test]
    fn a_record_or_a_batch_that_no_server_would_take_is_refused() {
        let large = |bytes| Change::Put { key: "k".into(), value: vec![0; bytes] };
        assert!(check_sizes(&[vec![large(RECORD_BYTES_MAX)]]).is_ok());
        let error = check_sizes(&[vec![large(RECORD_BYTES_MAX + 1)]]).unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { .. }));
        assert!(check_sizes(&[vec![large(RECORD_BYTES_MAX), put("a")]]).is_ok());
        let two = vec![large(RECORD_BYTES_MAX); 2];
        let error = check_sizes(&[vec![put("a")], two]).unwrap_err();
        assert!(matches!(error, StoreError::BatchTooLarge { .. }));
    }
}
