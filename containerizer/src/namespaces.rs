//! Which namespaces a container has to itself.

use nix::sched::CloneFlags;
use serde::{Deserialize, Serialize};

/// All of them. The default has none: a process beside the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Of mounts; a root, or a mount, of its own needs it.
    pub mounts: bool,
    /// Of processes: they see none but their own, and are gone with the first.
    pub processes: bool,
    /// Of System V's and POSIX's queues and memory.
    pub ipc: bool,
    /// Of the machine's names.
    pub names: bool,
    /// Of network devices; its own has a loopback, and nothing else.
    pub network: bool,
    /// Of control groups: its own look like the root.
    pub groups: bool,
    /// Of users.
    pub users: Option<UserMap>,
}

/// Who the users of a namespace of users are outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserMap {
    /// Root is whoever starts it; there is nobody else.
    One,
    /// These, written from outside before anything else happens.
    Ranges {
        /// Of users.
        users: Vec<Range>,
        /// Of groups.
        groups: Vec<Range>,
    },
}

/// A range of numbers, as `/proc/PID/uid_map` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Its first inside.
    pub inside: u32,
    /// Its first outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl Namespaces {
    /// What a container with a root of its own has.
    pub fn all() -> Self {
        Self {
            mounts: true,
            processes: true,
            ipc: true,
            names: true,
            network: true,
            groups: true,
            users: None,
        }
    }

    /// Those that a process is begun in. The one of control groups comes later: its root is the group that one is in when it
    /// is made.
    pub(crate) fn at_start(&self) -> CloneFlags {
        let all = [
            (self.mounts, CloneFlags::CLONE_NEWNS),
            (self.processes, CloneFlags::CLONE_NEWPID),
            (self.ipc, CloneFlags::CLONE_NEWIPC),
            (self.names, CloneFlags::CLONE_NEWUTS),
            (self.network, CloneFlags::CLONE_NEWNET),
            (self.users.is_some(), CloneFlags::CLONE_NEWUSER),
        ];
        all.iter().filter(|(is_own, _)| *is_own).map(|(_, flag)| *flag).collect()
    }
}
