//! The agent's memory on disk: one small file of records, appended, each with its length and checksum. A torn tail is
//! what a crash leaves and is cut off; anything else that cannot be read is said and stops the start.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, Flock, FlockArg, fallocate};
use prost::Message;
use protocol::ids::{AgentId, ClusterId, ContainerId};

use crate::logic::{Checkpoint, ProcessIdentity, Record};

/// The first bytes of the file: what it is, and the version of its form.
const MAGIC: &[u8; 8] = b"airsagt\x01";

/// No record is larger; a length beyond it is damage.
const RECORD_BYTES_MAX: usize = 64 * 1024;

/// After so many appended records the file is written anew with the fewest. If that cannot be, so many more are tried.
const APPENDED_MAX: usize = 10_000;

/// Kept for the file from the start: a task that fills the disk with its sandbox does not end the agent.
const KEPT_BYTES: i64 = 1 << 20;

/// What went wrong with the work directory.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be made.
    #[error("make the work directory {path}; choose another with --work_dir")]
    Make {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another agent has it.
    #[error(
        "another agent uses the work directory {path}; end it, or choose another with --work_dir"
    )]
    Taken {
        /// Which.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error(
        "write to the work directory {path}; fix its rights, make room, or choose another with --work_dir"
    )]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("read the checkpoint {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not ours, or damaged before its tail.
    #[error(
        "the checkpoint {path} is damaged at byte {at}: {why}; if what it remembers does not matter, move it away and the agent starts as a new one"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where.
        at: usize,
        /// How.
        why: &'static str,
    },
}

/// The form of a [`Record`] on disk. Fields are only ever added.
#[derive(Clone, PartialEq, prost::Message)]
struct Stored {
    #[prost(enumeration = "Kind", tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(string, tag = "3")]
    cluster: String,
    #[prost(uint64, tag = "4")]
    epoch: u64,
    #[prost(string, tag = "5")]
    container: String,
    #[prost(uint32, tag = "6")]
    process: u32,
    #[prost(uint64, tag = "7")]
    started: u64,
    #[prost(string, tag = "8")]
    boot: String,
    #[prost(uint64, tag = "9")]
    nonce: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum Kind {
    Unknown = 0,
    Joined = 1,
    Left = 2,
    ExecutorStarting = 3,
    ExecutorStarted = 4,
    ExecutorEnded = 5,
    Registering = 6,
}

impl Stored {
    fn of(record: &Record) -> Self {
        let kind = |kind: Kind| Self { kind: kind.into(), ..Self::default() };
        match record {
            Record::Joined { agent, cluster, epoch } => Self {
                agent: agent.to_string(),
                cluster: cluster.to_string(),
                epoch: *epoch,
                ..kind(Kind::Joined)
            },
            Record::Left => kind(Kind::Left),
            Record::ExecutorStarting(container) => {
                Self { container: container.to_string(), ..kind(Kind::ExecutorStarting) }
            }
            Record::ExecutorStarted { container, process } => Self {
                container: container.to_string(),
                process: process.process,
                started: process.started,
                boot: process.boot.clone(),
                ..kind(Kind::ExecutorStarted)
            },
            Record::ExecutorEnded(container) => {
                Self { container: container.to_string(), ..kind(Kind::ExecutorEnded) }
            }
            Record::Registering { nonce } => Self { nonce: *nonce, ..kind(Kind::Registering) },
        }
    }

    fn record(self) -> Option<Record> {
        let container = ContainerId::new(&self.container);
        Some(match self.kind() {
            Kind::Unknown => return None,
            Kind::Joined => Record::Joined {
                agent: AgentId::new(&self.agent),
                cluster: ClusterId::new(&self.cluster),
                epoch: self.epoch,
            },
            Kind::Left => Record::Left,
            Kind::ExecutorStarting => Record::ExecutorStarting(container),
            Kind::ExecutorStarted => {
                let (process, started, boot) = (self.process, self.started, self.boot);
                let process = ProcessIdentity { process, started, boot };
                Record::ExecutorStarted { container, process }
            }
            Kind::ExecutorEnded => Record::ExecutorEnded(container),
            Kind::Registering => Record::Registering { nonce: self.nonce },
        })
    }
}

/// The open file, and the lock on its directory.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    path: PathBuf,
    file: File,
    state: Checkpoint,
    appended: usize,
    /// Bytes known to be whole; what a failed write left behind them is cut off.
    length: u64,
    _lock: Flock<File>,
}

impl CheckpointFile {
    /// Takes the directory for this process, reads what is there, and writes it anew in its shortest form.
    pub(crate) fn open(work_dir: &Path) -> Result<(Checkpoint, Self), CheckpointError> {
        let unwritable = |source| CheckpointError::Write { path: work_dir.to_owned(), source };
        std::fs::create_dir_all(work_dir)
            .map_err(|source| CheckpointError::Make { path: work_dir.to_owned(), source })?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(work_dir.join("agent.lock"))
            .map_err(unwritable)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|_| CheckpointError::Taken { path: work_dir.to_owned() })?;
        let path = work_dir.join("agent.checkpoint");
        let state = match std::fs::read(&path) {
            Ok(bytes) => read_all(&path, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Checkpoint::default(),
            Err(source) => return Err(CheckpointError::Read { path, source }),
        };
        let (file, length) = write_anew(&path, &state).map_err(unwritable)?;
        let opened = Self { path, file, state: state.clone(), appended: 0, length, _lock: lock };
        Ok((state, opened))
    }

    /// Appends one record, and waits for the disk where that matters.
    pub(crate) fn write(&mut self, record: &Record) -> io::Result<()> {
        let written = self.append(record);
        if written.is_err() {
            // A record cut short would hide all that follow.
            self.file.set_len(self.length)?;
        }
        written?;
        self.state.apply(record.clone());
        self.appended += 1;
        if self.appended >= APPENDED_MAX {
            self.appended = 0;
            match write_beside(&self.path, &self.state) {
                Ok(beside) => (self.file, self.length) = put_in_place(&self.path, beside)?,
                // The long form says the same.
                Err(error) => tracing::warn!(%error, "the checkpoint cannot be shortened"),
            }
        }
        Ok(())
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        let framed = frame(record);
        self.file.write_all(&framed)?;
        if record.must_be_synced() {
            self.file.sync_data()?;
        }
        self.length += framed.len() as u64;
        Ok(())
    }
}

/// Length, checksum, bytes.
fn frame(record: &Record) -> Vec<u8> {
    let bytes = Stored::of(record).encode_to_vec();
    let length = u32::try_from(bytes.len()).expect("a record is a few ids long");
    let mut framed = length.to_le_bytes().to_vec();
    framed.extend(crc32c::crc32c(&bytes).to_le_bytes());
    framed.extend(bytes);
    framed
}

fn read_all(path: &Path, bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    let damaged = |at, why| CheckpointError::Damaged { path: path.to_owned(), at, why };
    let mut state = Checkpoint::default();
    let Some(mut rest) = bytes.strip_prefix(MAGIC.as_slice()) else {
        // A crash right after the file was made.
        let torn = MAGIC.starts_with(bytes);
        return if torn { Ok(state) } else { Err(damaged(0, "it is not an agent's checkpoint")) };
    };
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let at = bytes.len() - rest.len();
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let sum = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        if length > RECORD_BYTES_MAX {
            return Err(damaged(at, "a record's length makes no sense"));
        }
        let Some((record, next)) = after.split_at_checked(length) else {
            break;
        };
        let whole = crc32c::crc32c(record) == sum;
        match Stored::decode(record).ok().filter(|_| whole).and_then(Stored::record) {
            Some(record) => state.apply(record),
            // The last record of all may be torn inside, and a disk that lost power may leave zeroes behind what it had;
            // a record that is followed by others may not be torn.
            None if next.is_empty() || rest.iter().all(|byte| *byte == 0) => break,
            None => return Err(damaged(at, "a record's checksum is wrong")),
        }
        rest = next;
    }
    Ok(state)
}

fn write_anew(path: &Path, state: &Checkpoint) -> io::Result<(File, u64)> {
    put_in_place(path, write_beside(path, state)?)
}

/// Beside the old file first, so that a crash leaves one of the two whole.
fn write_beside(path: &Path, state: &Checkpoint) -> io::Result<(PathBuf, u64)> {
    let beside = path.with_extension("new");
    let mut bytes = MAGIC.to_vec();
    state.records().iter().for_each(|record| bytes.extend(frame(record)));
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&beside)?;
    // Not every disk can promise room; then a record that finds none ends the agent.
    let _ = fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, KEPT_BYTES);
    file.write_all(&bytes)?;
    file.sync_all()?;
    Ok((beside, bytes.len() as u64))
}

fn put_in_place(path: &Path, (beside, length): (PathBuf, u64)) -> io::Result<(File, u64)> {
    std::fs::rename(&beside, path)?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    let file = OpenOptions::new().append(true).open(path)?;
    Ok((file, length))
}

#[cfg(test)]
mod tests;
