//! The bytes of a scheduler's state file: what it begins with, then records, each with its length and its checksum.

use std::path::Path;

use protocol::ids::FrameworkId;
use serde::{Deserialize, Serialize};

use super::{RECORD_MAX, StateError, Stored};

/// The file begins so; the last byte is its version.
pub(super) const MAGIC: &[u8; 8] = b"airsdk\0\x01";

/// Length and CRC32C before each record.
pub(super) const HEAD: usize = 8;

/// What is appended; the last one of a kind, or of a key, counts.
#[derive(Serialize, Deserialize)]
pub(super) enum Record {
    Framework(FrameworkId),
    Entry(String, Option<Vec<u8>>),
}

/// Appends one; nothing if it is too large.
pub(super) fn frame(bytes: &mut Vec<u8>, record: &Record) -> Option<()> {
    let body = libactor::wire::encode(record, RECORD_MAX).ok()?;
    bytes.extend_from_slice(&u32::try_from(body.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Some(())
}

/// What a file says. Only its last record may be incomplete or wrong: nothing waited for it.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Stored, StateError> {
    let damaged = |at| StateError::Damaged { path: path.to_owned(), at };
    let mut stored = Stored::default();
    if bytes.is_empty() {
        return Ok(stored);
    }
    let mut at = MAGIC.len();
    let newer = |at| StateError::Newer { path: path.to_owned(), at };
    if !bytes.starts_with(MAGIC) {
        let version = MAGIC.len() - 1;
        let ours = bytes.len() > version && bytes.starts_with(&MAGIC[..version]);
        return Err(if ours { newer(version) } else { damaged(0) });
    }
    while let Some((head, rest)) = bytes[at..].split_at_checked(HEAD) {
        let word = |from: usize| {
            u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]])
        };
        // Room that the disk had made for a record which did not get there.
        if bytes[at..].iter().all(|byte| *byte == 0) {
            break;
        }
        let length = usize::try_from(word(0)).unwrap_or(usize::MAX);
        let Some(body) = rest.get(..length) else {
            break;
        };
        let last = rest.len() == length;
        if crc32c::crc32c(body) != word(4) {
            if last {
                break;
            }
            return Err(damaged(at));
        }
        // What is whole and makes no sense is of a kind that came later.
        match libactor::wire::decode(body).map_err(|_| newer(at))? {
            Record::Framework(framework) => stored.framework = Some(framework),
            Record::Entry(key, Some(value)) => drop(stored.entries.insert(key, value)),
            Record::Entry(key, None) => drop(stored.entries.remove(&key)),
        }
        at += HEAD + length;
    }
    Ok(stored)
}

/// A file with just this; nothing if an entry is too large.
pub fn file(stored: &Stored) -> Option<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    let framework = stored.framework.iter().map(|id| Record::Framework(id.clone()));
    let entries = stored.entries.iter();
    let entries = entries.map(|(key, value)| Record::Entry(key.clone(), Some(value.clone())));
    framework.chain(entries).try_for_each(|record| frame(&mut bytes, &record))?;
    Some(bytes)
}

/// What is appended for the framework's id.
pub fn remembered(framework: &FrameworkId) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    frame(&mut bytes, &Record::Framework(framework.clone()))?;
    Some(bytes)
}

/// What is appended for an entry; no value removes. Several that are stored at once are appended one after the other.
pub fn entry(key: &str, value: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    frame(&mut bytes, &Record::Entry(key.to_owned(), value.map(<[u8]>::to_vec)))?;
    Some(bytes)
}
