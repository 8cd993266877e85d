//! What the agent tells the process that fetches, and what that says: lines of JSON over one socket.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::logic::{Source, Unpack};

/// A line is no longer.
pub(crate) const LINE_BYTES_MAX: u64 = 1 << 20;

/// What one file may take. In force for each file apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the file itself.
    pub bytes: u64,
    /// Bytes of all that an archive holds.
    pub unpacked_bytes: u64,
    /// Files, folders and links that an archive holds.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 8 << 30, unpacked_bytes: 8 << 30, entries: 100_000 }
    }
}

/// The first line: all that there is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The address as it was said, for words.
    pub(crate) uri: String,
    pub(crate) from: From,
    pub(crate) to: To,
    /// As whom; `None`: as whoever this process is.
    pub(crate) user: Option<String>,
    /// When nothing came for so long it is given up; zero: never.
    pub(crate) stall: Duration,
    pub(crate) limits: Limits,
    /// Who vouches for servers of https, as PEM; `None`: whoever the system trusts.
    pub(crate) authorities: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum From {
    Source(Source),
    /// Standard output is open for reading, at its beginning.
    Given,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum To {
    /// Standard output is open for writing, and there is room in it only once that is said.
    Given,
    Sandbox {
        path: String,
        name: String,
        executable: bool,
        unpack: Option<Unpack>,
    },
}

/// To the process, after the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    /// There is as much room as was wanted.
    Room,
    /// There is not.
    NoRoom,
}

/// From the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Said {
    /// Room for so many bytes in all. Answered.
    Wants(u64),
    /// All is well; so many bytes came.
    Done(u64),
    /// There is no room for it.
    NoRoom,
    /// Why not.
    Failed(String),
}
