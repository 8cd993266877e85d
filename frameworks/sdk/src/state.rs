//! The one file of a scheduler's state directory: the framework's id and what the scheduler stores. Checksummed records,
//! appended and synced; a torn tail is a write that was never confirmed, and is cut. Opening writes the file anew, and so
//! does much that was replaced or removed. What an elected scheduler has in ZooKeeper instead is in [`logic`].

pub mod bytes;
pub mod logic;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use coordination::store::StoreError;
use protocol::ids::FrameworkId;

use bytes::{Record, frame, read};

/// The file's name.
pub const FILE: &str = "framework.state";
/// The most bytes that a scheduler may have stored.
const BYTES_MAX: u64 = 256 << 20;
/// The most bytes of one record.
const RECORD_MAX: usize = 16 << 20;
/// From this size on the file is written anew whenever it has doubled since the last time.
const COMPACT_FROM: u64 = 4 << 20;

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
    /// A newer version of the program wrote it. Nothing of it is guessed at or lost.
    #[error(
        "read {path}: written by a newer version, since what stands at byte {at} is unknown to this one; start that version again, or remove the file to start a new framework"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Where what is unknown begins.
        at: usize,
    },
    /// The file cannot be written.
    #[error(
        "write {path}; make room on its disk or fix its rights, then start this scheduler again with the same state directory"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody writes any more.
    #[error("write the scheduler's state: its file is closed")]
    Closed,
    /// The scheduler stores more than may be kept in ZooKeeper.
    #[error(transparent)]
    TooMuch(#[from] logic::TooMuch),
    /// What is kept in ZooKeeper makes no sense.
    #[error("read the scheduler's state in {place}")]
    Unreadable {
        /// Where.
        place: String,
        /// Why.
        source: logic::Unreadable,
    },
    /// ZooKeeper does not take it.
    #[error("keep the scheduler's state in ZooKeeper")]
    Store(#[source] StoreError),
    /// Another scheduler of the framework may have been elected.
    #[error("write the scheduler's state: {0}")]
    Deposed(String),
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

/// Whether the framework of this directory has met its master, in this process or one before. What cannot be read is told when it
/// is opened.
pub fn has_met_master(directory: &Path) -> bool {
    let path = directory.join(FILE);
    let stored = fs::read(&path).ok().and_then(|bytes| read(&path, &bytes).ok());
    stored.is_some_and(|stored| stored.framework.is_some())
}

/// The file, open for appending. Its directory is locked as long as it is.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    /// The folder, and the lock on it.
    directory: File,
    file: File,
    /// Bytes known to be whole.
    length: u64,
    /// Whether a failed write left something behind them.
    torn: bool,
    /// Whether a crash may still bring the file's former self back, which lacks what is appended from now on.
    replaced: bool,
    /// The size at which it is written anew.
    compact_at: u64,
}

impl StateFile {
    /// Opens or makes the file below `directory`.
    pub fn open(directory: &Path) -> Result<(Self, Stored), StateError> {
        let unusable = |source| StateError::Directory { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(unusable)?;
        let opened = File::open(directory).map_err(unusable)?;
        opened.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => StateError::InUse(directory.to_owned()),
            fs::TryLockError::Error(source) => unusable(source),
        })?;
        let path = directory.join(FILE);
        let stored = match fs::read(&path) {
            Ok(bytes) => read(&path, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stored::default(),
            Err(source) => return Err(StateError::Read { path, source }),
        };
        let failed = |source| StateError::Write { path: path.clone(), source };
        let (file, length) = write_anew(&path, &stored)?;
        opened.sync_all().map_err(failed)?;
        let compact_at = next_size(length);
        let (torn, replaced) = (false, false);
        let state = Self { path, directory: opened, file, length, torn, replaced, compact_at };
        Ok((state, stored))
    }

    /// Writes the framework's id; when this returns it survives the machine.
    pub fn remember(&mut self, framework: &FrameworkId) -> Result<(), StateError> {
        self.append(&[Record::Framework(framework.clone())])
    }

    /// Writes entries; no value removes.
    pub fn store(&mut self, entries: Vec<(String, Option<Vec<u8>>)>) -> Result<(), StateError> {
        if entries.is_empty() {
            return Ok(());
        }
        let records: Vec<Record> =
            entries.into_iter().map(|(key, value)| Record::Entry(key, value)).collect();
        self.append(&records)
    }

    /// Nothing was ever written.
    pub fn forget(&mut self) -> Result<(), StateError> {
        self.write_anew(&Stored::default())?;
        self.sync_directory(File::sync_all)
    }

    fn append(&mut self, records: &[Record]) -> Result<(), StateError> {
        self.append_with(records, File::sync_all)
    }

    fn append_with(
        &mut self,
        records: &[Record],
        sync_directory: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<(), StateError> {
        let too_large = StateError::TooLarge { path: self.path.clone() };
        let mut bytes = Vec::new();
        for record in records {
            if frame(&mut bytes, record).is_none() {
                return Err(too_large);
            }
        }
        let more = bytes.len() as u64;
        if self.length + more > self.compact_at.min(BYTES_MAX) {
            self.compact();
        }
        if self.length + more > BYTES_MAX {
            return Err(too_large);
        }
        if self.torn {
            self.cut()?;
        }
        let path = self.path.clone();
        let failed = |source| StateError::Write { path, source };
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        let written = written.map_err(failed).and_then(|()| self.sync_directory(sync_directory));
        match written {
            Ok(()) => {
                self.length += more;
                Ok(())
            }
            Err(error) => {
                self.torn = true;
                // Tried again before the next record.
                let _ = self.cut();
                Err(error)
            }
        }
    }

    /// What a failed write left would hide all that follows.
    fn cut(&mut self) -> Result<(), StateError> {
        let cut = self.file.set_len(self.length);
        let cut = cut.and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
        cut.map_err(|source| StateError::Write { path: self.path.clone(), source })?;
        self.torn = false;
        Ok(())
    }

    /// What was replaced or removed since the last time goes. If that fails the long form says the same; it is tried again
    /// when it has doubled.
    fn compact(&mut self) {
        self.compact_at = next_size(self.length);
        let read_again = || {
            let whole = usize::try_from(self.length).unwrap_or(usize::MAX);
            let path = self.path.clone();
            let bytes = fs::read(&path).map_err(|source| StateError::Read { path, source })?;
            read(&self.path, &bytes[..whole.min(bytes.len())])
        };
        if let Err(error) = read_again().and_then(|stored| self.write_anew(&stored)) {
            tracing::warn!(%error, "the scheduler's state cannot be shortened");
        }
    }

    /// The open file becomes the new one at once with its name: what can fail after that loses nothing.
    fn write_anew(&mut self, stored: &Stored) -> Result<(), StateError> {
        (self.file, self.length) = write_anew(&self.path, stored)?;
        (self.torn, self.replaced) = (false, true);
        self.compact_at = next_size(self.length);
        Ok(())
    }

    fn sync_directory(
        &mut self,
        sync: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<(), StateError> {
        if self.replaced {
            let path = || self.path.clone();
            sync(&self.directory).map_err(|source| StateError::Write { path: path(), source })?;
            self.replaced = false;
        }
        Ok(())
    }
}

fn next_size(length: u64) -> u64 {
    (2 * length).max(COMPACT_FROM)
}

/// The file with just what is stored now, in place of the old one at once or not at all. The folder is still to be synced.
fn write_anew(path: &Path, stored: &Stored) -> Result<(File, u64), StateError> {
    let failed = |source| StateError::Write { path: path.to_owned(), source };
    let bytes = bytes::file(stored).ok_or(StateError::TooLarge { path: path.to_owned() })?;
    let fresh = path.with_extension("state.new");
    let mut file =
        OpenOptions::new().create(true).write(true).truncate(true).open(&fresh).map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)?;
    Ok((file, bytes.len() as u64))
}

#[cfg(test)]
mod tests;
