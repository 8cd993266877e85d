//! The form of the checkpoint: each record with its length, its checksum, and the checksum of those two; so that a length that
//! is damaged is never followed, into what a task's own data may say.

use std::path::Path;

use libactor::wire;
use prost::Message;
use protocol::ids::{AgentId, ClusterId, ContainerId, FrameworkId, TaskId, UpdateId};
use protocol::wishes::FaultDomain;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CheckpointError;
use crate::logic::{Checkpoint, ProcessIdentity, Record};

/// The first bytes of the file: what it is, and the version of its form. Of version 1, which had no checksum of lengths, a file
/// is still read.
pub(super) const MAGIC: &[u8; 8] = b"airsagt\x02";
const VERSION_AT: usize = MAGIC.len() - 1;

/// No record is larger; a length beyond it is damage.
const RECORD_BYTES_MAX: usize = 64 << 20;

/// What stands for a domain where there is none.
const NOWHERE: FaultDomain = FaultDomain { region: String::new(), zone: String::new() };

/// The form of a [`Record`] on disk. Fields are only ever added.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Stored {
    #[prost(enumeration = "Kind", tag = "1")]
    pub(super) kind: i32,
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
    /// Where an agent is, if its operator says; no region has a name of nothing.
    #[prost(string, tag = "16")]
    region: String,
    #[prost(string, tag = "17")]
    zone: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Kind {
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
    Booted = 14,
    Configured = 15,
    FrameworkUpdated = 16,
}

impl Stored {
    pub(super) fn of(record: &Record) -> Self {
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
            Record::FrameworkUpdated(info) => {
                Self { payload: to_wire(info), ..kind(Kind::FrameworkUpdated) }
            }
            Record::Heard { container, task, update } => {
                let (container, task) = (container.to_string(), task.to_string());
                Self { container, task, ..kind(Kind::Heard) }.with_update(*update)
            }
            Record::Booted(boot) => Self { boot: boot.clone(), ..kind(Kind::Booted) },
            Record::Configured { info, domain } => {
                let FaultDomain { region, zone } = domain.clone().unwrap_or(NOWHERE);
                Self { payload: to_wire(info), region, zone, ..kind(Kind::Configured) }
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
            Kind::FrameworkUpdated => Record::FrameworkUpdated(from_wire(&self.payload)?),
            Kind::Heard => Record::Heard { container, task, update },
            Kind::Booted => Record::Booted(self.boot),
            Kind::Configured => {
                let domain = FaultDomain { region: self.region, zone: self.zone };
                let domain = Some(domain).filter(|domain| *domain != NOWHERE);
                Record::Configured { info: from_wire(&self.payload)?, domain }
            }
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

/// Length, checksum, the checksum of these, bytes.
pub(super) fn frame(record: &Record) -> Vec<u8> {
    let bytes = Stored::of(record).encode_to_vec();
    framed(&bytes)
}

pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a record is far below 4 GiB");
    let mut framed = length.to_le_bytes().to_vec();
    framed.extend(crc32c::crc32c(bytes).to_le_bytes());
    framed.extend(crc32c::crc32c(&framed).to_le_bytes());
    framed.extend(bytes);
    framed
}

/// What a file says, but for what is damaged in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Whole {
    pub(super) state: Checkpoint,
    /// Where the first damage is, and what it is.
    pub(super) damage: Option<(usize, &'static str)>,
}

/// One record, as it stands in the file.
enum Found<'a> {
    Whole(&'a [u8]),
    /// It is damaged, and it is known where the next one begins.
    Damaged(&'static str),
}

/// Reads what is there; a torn tail is none of it.
pub(super) fn read_all(path: &Path, bytes: &[u8]) -> Result<Whole, CheckpointError> {
    let newer = |at| CheckpointError::Newer { path: path.to_owned(), at };
    let mut whole = Whole { state: Checkpoint::default(), damage: None };
    let Some((magic, mut rest)) = bytes.split_first_chunk::<8>() else {
        // A crash right after the file was made.
        if !MAGIC.starts_with(bytes) {
            whole.damage = Some((0, "it is not an agent's checkpoint"));
        }
        return Ok(whole);
    };
    let version = magic[VERSION_AT];
    if magic[..VERSION_AT] != MAGIC[..VERSION_AT] || version == 0 {
        whole.damage = Some((0, "it is not an agent's checkpoint"));
        return Ok(whole);
    }
    if version > MAGIC[VERSION_AT] {
        return Err(newer(VERSION_AT));
    }
    loop {
        let at = bytes.len() - rest.len();
        let next = match next_record(rest, version) {
            Ok(None) => return Ok(whole),
            Ok(Some(next)) => next,
            Err(why) => {
                whole.damage.get_or_insert((at, why));
                return Ok(whole);
            }
        };
        let (found, behind) = next;
        match found {
            Found::Damaged(why) => drop(whole.damage.get_or_insert((at, why))),
            Found::Whole(record) => {
                let record = Stored::decode(record).ok().and_then(Stored::record);
                whole.state.apply(record.ok_or_else(|| newer(at))?);
            }
        }
        rest = behind;
    }
}

/// The next record, and what is behind it. Nothing at the end and at a torn tail; an error where it is not known what follows.
fn next_record(rest: &[u8], version: u8) -> Result<Option<(Found<'_>, &[u8])>, &'static str> {
    let number = |at: usize| {
        let bytes = rest.get(at..at + 4)?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let head = if version == 1 { 8 } else { 12 };
    let (Some(length), Some(sum), true) = (number(0), number(4), rest.len() >= head) else {
        return Ok(None);
    };
    let behind_head = &rest[head..];
    // A disk that lost power may leave zeroes behind what it had.
    if rest.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    if version > 1 && number(8) != Some(crc32c::crc32c(&rest[..8])) {
        return match behind_head.iter().all(|byte| *byte == 0) {
            true => Ok(None),
            false => Err("the head of a record makes no sense"),
        };
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > RECORD_BYTES_MAX {
        return Err("a record's length makes no sense");
    }
    let Some((record, behind)) = behind_head.split_at_checked(length) else {
        return Ok(None);
    };
    if crc32c::crc32c(record) == sum {
        return Ok(Some((Found::Whole(record), behind)));
    }
    // The last record of all may be torn inside; one that is followed by others may not.
    match behind.iter().all(|byte| *byte == 0) {
        true => Ok(None),
        false => Ok(Some((Found::Damaged("a record's checksum is wrong"), behind))),
    }
}
