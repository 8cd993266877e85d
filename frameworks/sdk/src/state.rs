//! The one file of a scheduler's state directory: the framework's id and what the scheduler stores. Checksummed records,
//! appended and synced; a torn tail is a write that was never confirmed, and is cut. Opening writes the file anew.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use protocol::ids::FrameworkId;
use serde::{Deserialize, Serialize};

/// The file's name.
pub const FILE: &str = "framework.state";
/// The file begins so; the last byte is its version.
const MAGIC: &[u8; 8] = b"airsdk\0\x01";
/// The most bytes that a scheduler may have stored.
const BYTES_MAX: u64 = 256 << 20;
/// The most bytes of one record.
const RECORD_MAX: usize = 16 << 20;
/// Length and CRC32C before each record.
const HEAD: usize = 8;

/// Why the state cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory is of no use.
    #[error("use state directory {path}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another scheduler uses it now.
    #[error(
        "use state directory {0}: another scheduler is using it; end that one or give another --state-dir"
    )]
    InUse(PathBuf),
    /// The file cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what this program wrote.
    #[error(
        "read {path}: damaged at byte {at}; without it the framework's id is lost: restore it, or remove it to start a new framework"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the first bad record begins.
        at: usize,
    },
    /// The file cannot be written.
    #[error("write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody writes any more.
    #[error("write the scheduler's state: its file is closed")]
    Closed,
    /// The scheduler stores more than may be kept.
    #[error("write {path}: more than {BYTES_MAX} bytes in all, or {RECORD_MAX} in one entry")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// What was written down before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The framework's id.
    pub framework: Option<FrameworkId>,
    /// What the scheduler stored.
    pub entries: BTreeMap<String, Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
enum Record {
    Framework(FrameworkId),
    Entry(String, Option<Vec<u8>>),
}

/// The file, open for appending. Its directory is locked as long as it is.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    directory: PathBuf,
    file: File,
    length: u64,
    _lock: File,
}

impl StateFile {
    /// Opens or makes the file below `directory`.
    pub fn open(directory: &Path) -> Result<(Self, Stored), StateError> {
        let unusable = |source| StateError::Directory { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(unusable)?;
        let lock = File::open(directory).map_err(unusable)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => StateError::InUse(directory.to_owned()),
            fs::TryLockError::Error(source) => unusable(source),
        })?;
        let path = directory.join(FILE);
        let stored = match fs::read(&path) {
            Ok(bytes) => read(&path, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored::default(),
            Err(source) => return Err(StateError::Read { path, source }),
        };
        let (file, length) = write_anew(directory, &path, &stored)?;
        let directory = directory.to_owned();
        Ok((Self { path, directory, file, length, _lock: lock }, stored))
    }

    /// Writes the framework's id; when this returns it survives the machine.
    pub fn remember(&mut self, framework: &FrameworkId) -> Result<(), StateError> {
        self.append(&[Record::Framework(framework.clone())])
    }

    /// Writes entries; no value removes.
    pub fn store(&mut self, entries: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError> {
        let records: Vec<Record> =
            entries.into_iter().map(|(key, value)| Record::Entry(key, value)).collect();
        self.append(&records)
    }

    /// Nothing was ever written.
    pub fn forget(&mut self) -> Result<(), StateError> {
        (self.file, self.length) = write_anew(&self.directory, &self.path, &Stored::default())?;
        Ok(())
    }

    fn append(&mut self, records: &[Record]) -> Result<(), StateError> {
        let path = || self.path.clone();
        let mut bytes = Vec::new();
        for record in records {
            frame(&mut bytes, record).ok_or_else(|| StateError::TooLarge { path: path() })?;
        }
        let length = self.length + bytes.len() as u64;
        if length > BYTES_MAX {
            return Err(StateError::TooLarge { path: path() });
        }
        let failed = |source| StateError::Write { path: path(), source };
        self.file.write_all(&bytes).map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        self.length = length;
        Ok(())
    }
}

fn frame(bytes: &mut Vec<u8>, record: &Record) -> Option<()> {
    let body = libactor::wire::encode(record, RECORD_MAX).ok()?;
    bytes.extend_from_slice(&u32::try_from(body.len()).ok()?.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    Some(())
}

/// What a file says. Only its last record may be incomplete or wrong: nothing waited for it.
fn read(path: &Path, bytes: &[u8]) -> Result<Stored, StateError> {
    let damaged = |at| StateError::Damaged { path: path.to_owned(), at };
    let mut stored = Stored::default();
    if bytes.is_empty() {
        return Ok(stored);
    }
    let mut at = MAGIC.len();
    if !bytes.starts_with(MAGIC) {
        return Err(damaged(0));
    }
    while let Some((head, rest)) = bytes[at..].split_at_checked(HEAD) {
        let word = |from: usize| {
            u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]])
        };
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
        match libactor::wire::decode(body).map_err(|_| damaged(at))? {
            Record::Framework(framework) => stored.framework = Some(framework),
            Record::Entry(key, Some(value)) => drop(stored.entries.insert(key, value)),
            Record::Entry(key, None) => drop(stored.entries.remove(&key)),
        }
        at += HEAD + length;
    }
    Ok(stored)
}

/// The file with just what is stored now, in place of the old one at once or not at all.
fn write_anew(directory: &Path, path: &Path, stored: &Stored) -> Result<(File, u64), StateError> {
    let failed = |source| StateError::Write { path: path.to_owned(), source };
    let mut bytes = MAGIC.to_vec();
    let framework = stored.framework.iter().map(|id| Record::Framework(id.clone()));
    let entries = stored.entries.iter();
    let entries = entries.map(|(key, value)| Record::Entry(key.clone(), Some(value.clone())));
    for record in framework.chain(entries) {
        frame(&mut bytes, &record).ok_or(StateError::TooLarge { path: path.to_owned() })?;
    }
    let fresh = directory.join(format!("{FILE}.new"));
    let mut file =
        OpenOptions::new().create(true).write(true).truncate(true).open(&fresh).map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
    Ok((file, bytes.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
        vec![(key.to_owned(), Some(value.to_vec()))]
    }

    /// A file with an id and two entries, of which one was replaced and one removed.
    fn filled(directory: &Path) -> Vec<u8> {
        let (mut file, stored) = StateFile::open(directory).unwrap();
        assert_eq!(stored, Stored::default());
        file.remember(&FrameworkId::new("F1")).unwrap();
        file.store(entry("a", b"old")).unwrap();
        file.store(entry("b", b"gone")).unwrap();
        file.store(entry("a", b"new")).unwrap();
        file.store(vec![("b".to_owned(), None)]).unwrap();
        fs::read(directory.join(FILE)).unwrap()
    }

    #[test]
    fn what_was_written_is_there_again() {
        let directory = tempfile::tempdir().unwrap();
        filled(directory.path());
        for _ in 0..2 {
            let (_, stored) = StateFile::open(directory.path()).unwrap();
            assert_eq!(stored.framework, Some(FrameworkId::new("F1")));
            assert_eq!(stored.entries, BTreeMap::from([("a".to_owned(), b"new".to_vec())]));
        }
        let (mut file, _) = StateFile::open(directory.path()).unwrap();
        file.forget().unwrap();
        drop(file);
        assert_eq!(StateFile::open(directory.path()).unwrap().1, Stored::default());
    }

    #[test]
    fn any_torn_tail_is_cut_and_nothing_before_it_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let whole = filled(directory.path());
        let path = directory.path().join(FILE);
        let mut seen = Vec::new();
        for cut in MAGIC.len()..whole.len() {
            let stored = read(&path, &whole[..cut]).unwrap();
            let known = (stored.framework.is_some(), stored.entries.get("a").cloned());
            if seen.last() != Some(&known) {
                seen.push(known);
            }
        }
        let (old, new) = (Some(b"old".to_vec()), Some(b"new".to_vec()));
        assert_eq!(seen, [(false, None), (true, None), (true, old), (true, new)]);
    }

    #[test]
    fn damage_before_the_tail_is_said_and_not_guessed_around() {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = filled(directory.path());
        bytes[MAGIC.len() + HEAD + 6] ^= 1;
        fs::write(directory.path().join(FILE), &bytes).unwrap();
        let error = StateFile::open(directory.path()).unwrap_err();
        assert!(matches!(error, StateError::Damaged { at: 8, .. }), "{error}");
        fs::write(directory.path().join(FILE), b"something else").unwrap();
        assert!(matches!(
            StateFile::open(directory.path()).unwrap_err(),
            StateError::Damaged { at: 0, .. }
        ));
    }

    #[test]
    fn two_schedulers_do_not_share_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let _first = StateFile::open(directory.path()).unwrap();
        let second = StateFile::open(directory.path()).unwrap_err();
        assert!(matches!(second, StateError::InUse(_)), "{second}");
    }

    #[test]
    fn an_entry_larger_than_a_record_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, _) = StateFile::open(directory.path()).unwrap();
        let error = file.store(entry("a", &vec![0; RECORD_MAX + 1])).unwrap_err();
        assert!(matches!(error, StateError::TooLarge { .. }), "{error}");
    }
}
