//! What the agent tells the process that fetches, and what that says: lines of JSON over one socket.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::logic::{Source, Unpack};

/// Whose it is, for who looks at processes: as in all that is started for a sandbox.
pub(crate) const ENV_SANDBOX: &str = "AIRSIDE_SANDBOX";

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

/// A client of Hadoop's, a program called `hadoop`, which gets what our own client does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hadoop {
    /// Where Hadoop is installed, with the program in `bin`; `None`: it is looked for in `PATH`.
    pub home: Option<String>,
    /// All of its environment.
    pub environment: BTreeMap<String, String>,
}

impl Hadoop {
    /// The program, as it is started.
    pub(crate) fn program(&self) -> String {
        match &self.home {
            Some(home) => Path::new(home).join("bin/hadoop").to_string_lossy().into_owned(),
            None => "hadoop".to_owned(),
        }
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
    /// For what is Hadoop's.
    pub(crate) hadoop: Option<ByHadoop>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ByHadoop {
    pub(crate) client: Hadoop,
    /// The user's folder, in which the client may have one of its own: it writes files only where it can name them.
    pub(crate) sandbox: String,
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
