//! The agent's memory on disk: one small file of records, appended, each with its length and checksum. A torn tail is
//! what a crash leaves and is cut off; anything else that cannot be read is said and stops the start.

#[cfg(feature = "testing")]
pub mod bytes;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use libactor::wire;
use nix::fcntl::{FallocateFlags, Flock, FlockArg, fallocate};
use prost::Message;
use protocol::ids::{AgentId, ClusterId, ContainerId, FrameworkId, TaskId, UpdateId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::logic::{Checkpoint, ProcessIdentity, Record};

/// The first bytes of the file: what it is, and the version of its form.
const MAGIC: &[u8; 8] = b"airsagt\x01";

/// No record is larger; a length beyond it is damage.
const RECORD_BYTES_MAX: usize = 64 << 20;

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
    /// A newer version of the agent wrote it. Nothing of it is guessed at or lost.
    #[error(
        "the checkpoint {path} was written by a newer version of the agent: what stands at byte {at} is unknown to this one; start that version again, or move the file away and the agent starts as a new one"
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Where the first thing unknown is.
        at: usize,
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
    #[prost(string, tag = "10")]
    framework: String,
    #[prost(string, tag = "11")]
    task: String,
    /// Of an update: whose life made it, and its number there.
    #[prost(fixed64, tag = "12")]
    source: u64,
    #[prost(uint64, tag = "13")]
    sequence: u64,
    #[prost(bool, tag = "14")]
    replaces: bool,
    /// What comes from messages, as it is on the wire: append-only as well.
    #[prost(bytes = "vec", tag = "15")]
    payload: Vec<u8>,
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
    ExecutorLaunching = 7,
    TaskTaken = 8,
    Updated = 9,
    Acknowledged = 10,
    TaskForgotten = 11,
    FrameworkRemoved = 12,
    Heard = 13,
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
            Record::ExecutorLaunching { container, launch } => {
                let (container, payload) = (container.to_string(), to_wire(launch));
                Self { container, payload, ..kind(Kind::ExecutorLaunching) }
            }
            Record::TaskTaken(taken) => Self { payload: to_wire(taken), ..kind(Kind::TaskTaken) },
            Record::Updated { status, replaces } => {
                let (payload, replaces) = (to_wire(status), *replaces);
                Self { payload, replaces, ..kind(Kind::Updated) }
            }
            Record::Acknowledged { framework, task, update } => {
                let (framework, task) = (framework.to_string(), task.to_string());
                Self { framework, task, ..kind(Kind::Acknowledged) }.with_update(*update)
            }
            Record::TaskForgotten { framework, task } => {
                let (framework, task) = (framework.to_string(), task.to_string());
                Self { framework, task, ..kind(Kind::TaskForgotten) }
            }
            Record::FrameworkRemoved(framework) => {
                Self { framework: framework.to_string(), ..kind(Kind::FrameworkRemoved) }
            }
            Record::Heard { container, task, update } => {
                let (container, task) = (container.to_string(), task.to_string());
                Self { container, task, ..kind(Kind::Heard) }.with_update(*update)
            }
        }
    }

    fn with_update(self, update: UpdateId) -> Self {
        Self { source: update.source, sequence: update.sequence, ..self }
    }

    fn record(self) -> Option<Record> {
        let (framework, task) = (FrameworkId::new(&self.framework), TaskId::new(&self.task));
        let update = UpdateId { source: self.source, sequence: self.sequence };
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
            Kind::ExecutorLaunching => {
                Record::ExecutorLaunching { container, launch: from_wire(&self.payload)? }
            }
            Kind::TaskTaken => Record::TaskTaken(from_wire(&self.payload)?),
            Kind::Updated => {
                let replaces = self.replaces;
                Record::Updated { status: from_wire(&self.payload)?, replaces }
            }
            Kind::Acknowledged => Record::Acknowledged { framework, task, update },
            Kind::TaskForgotten => Record::TaskForgotten { framework, task },
            Kind::FrameworkRemoved => Record::FrameworkRemoved(framework),
            Kind::Heard => Record::Heard { container, task, update },
        })
    }
}

fn to_wire(value: &impl Serialize) -> Vec<u8> {
    wire::encode(value, RECORD_BYTES_MAX).expect("it came in a message, which is smaller")
}

/// `None`: a later version wrote it.
fn from_wire<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    wire::decode(bytes).ok()
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
    /// Whether there is something to cut off.
    torn: bool,
    directory: File,
    /// Whether a crash may still bring the file's former self back, which lacks what is appended from now on.
    replaced: bool,
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
        let directory = File::open(work_dir).map_err(unwritable)?;
        let (file, length) = write_beside(&path, &state).map_err(unwritable)?;
        let (torn, replaced) = (false, false);
        let mut opened =
            Self { path, file, state, appended: 0, length, torn, directory, replaced, _lock: lock };
        opened.put_in_place().map_err(unwritable)?;
        opened.sync_directory(File::sync_all).map_err(unwritable)?;
        Ok((opened.state.clone(), opened))
    }

    /// Appends one record, and waits for the disk where that matters.
    pub(crate) fn write(&mut self, record: &Record) -> io::Result<()> {
        self.append(record, File::sync_all)?;
        self.state.apply(record.clone());
        self.appended += 1;
        if self.appended >= APPENDED_MAX {
            self.appended = 0;
            if let Err(error) = self.shorten() {
                // The long form says the same.
                tracing::warn!(%error, "the checkpoint cannot be shortened");
            }
        }
        Ok(())
    }

    fn append(
        &mut self,
        record: &Record,
        sync: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.torn {
            self.cut()?;
        }
        let framed = frame(record);
        let written = self.file.write_all(&framed).and_then(|()| {
            if record.must_be_synced() {
                self.sync_directory(sync)?;
                self.file.sync_data()?;
            }
            Ok(())
        });
        match written {
            Ok(()) => self.length += framed.len() as u64,
            Err(error) => {
                self.torn = true;
                // Tried again before the next record.
                let _ = self.cut();
                return Err(error);
            }
        }
        Ok(())
    }

    /// A record cut short would hide all that follow.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.torn = false;
        Ok(())
    }

    /// The open file becomes the new one at once with its name: what can fail after that loses nothing.
    fn shorten(&mut self) -> io::Result<()> {
        let (file, length) = write_beside(&self.path, &self.state)?;
        self.put_in_place()?;
        (self.file, self.length) = (file, length);
        Ok(())
    }

    fn put_in_place(&mut self) -> io::Result<()> {
        std::fs::rename(beside(&self.path), &self.path)?;
        self.replaced = true;
        Ok(())
    }

    fn sync_directory(&mut self, sync: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        if self.replaced {
            sync(&self.directory)?;
            self.replaced = false;
        }
        Ok(())
    }
}

/// Length, checksum, bytes.
fn frame(record: &Record) -> Vec<u8> {
    let bytes = Stored::of(record).encode_to_vec();
    let length = u32::try_from(bytes.len()).expect("a record is far below 4 GiB");
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
        if MAGIC.starts_with(bytes) {
            return Ok(state);
        }
        let version = MAGIC.len() - 1;
        return Err(match bytes.starts_with(&MAGIC[..version]) {
            true => CheckpointError::Newer { path: path.to_owned(), at: version },
            false => damaged(0, "it is not an agent's checkpoint"),
        });
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
        // A disk that lost power may leave zeroes behind what it had.
        if rest.iter().all(|byte| *byte == 0) {
            break;
        }
        if crc32c::crc32c(record) != sum {
            // The last record of all may be torn inside; one that is followed by others may not.
            if next.is_empty() {
                break;
            }
            return Err(damaged(at, "a record's checksum is wrong"));
        }
        let stored = Stored::decode(record).map_err(|_| damaged(at, "a record makes no sense"))?;
        match stored.record() {
            Some(record) => state.apply(record),
            None => return Err(CheckpointError::Newer { path: path.to_owned(), at }),
        }
        rest = next;
    }
    Ok(state)
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// What it holds of tasks' environments and of tokens is the agent's alone.
/// Beside the old file first, so that a crash leaves one of the two whole. What is open stays so when it gets the name.
fn write_beside(path: &Path, state: &Checkpoint) -> io::Result<(File, u64)> {
    let beside = beside(path);
    let mut bytes = MAGIC.to_vec();
    state.records().iter().for_each(|record| bytes.extend(frame(record)));
    // What a former try left may not be added to.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&beside)?;
    // Not every disk can promise room; then a record that finds none ends the agent.
    let _ = fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, KEPT_BYTES);
    file.write_all(&bytes)?;
    file.sync_all()?;
    Ok((file, bytes.len() as u64))
}

#[cfg(test)]
mod tests;
