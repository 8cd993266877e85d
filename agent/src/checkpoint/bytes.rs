//! The file as bytes, for disks that are simulated: what is written, record by record, and what is read back of it.

use std::path::Path;

use super::{CheckpointError, MAGIC, frame, take};
use crate::logic::{Checkpoint, Record};

/// A whole file, in its shortest form.
pub fn file(state: &Checkpoint) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    state.records().iter().for_each(|record| bytes.extend(frame(record)));
    bytes
}

/// What is appended for one record.
pub fn appended(record: &Record) -> Vec<u8> {
    frame(record)
}

/// What a new life makes of it.
pub fn read(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    take(Path::new("simulated"), bytes, true)
}
