//! Who a program is and what it may: user and groups, capabilities, limits, system calls. Taken in the one order that works:
//! each step needs a right that a later one gives up.

use std::io;
use std::path::Path;

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use serde::{Deserialize, Serialize};

use super::capabilities::Capabilities;
use super::seccomp::Filter;
use super::users::{self, Ids};
use super::{ConfineError, Tried};

/// All of it. The default is whoever starts it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `None`: as its starter.
    pub user: Option<UserSpec>,
    /// `None`: as its starter, less what a change of user takes.
    pub capabilities: Option<Capabilities>,
    /// No program that it starts gets more rights than it has, whatever bits its file has.
    pub no_new_privileges: bool,
    /// Which calls of the system it may make; `None`: all.
    pub calls: Option<Filter>,
    /// Of its resources.
    pub limits: Vec<Limit>,
    /// Which rights its new files never have.
    pub umask: Option<u32>,
}

/// As whom. Names are those of the root that the program is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserSpec {
    /// By number, with these groups beside the first.
    Numbers {
        /// The user.
        user: u32,
        /// Its group.
        group: u32,
        /// Further ones.
        groups: Vec<u32>,
    },
    /// As images and `--user` have it: `user`, `user:group`, each a name or a number. Without a group: those that the root's
    /// `/etc/passwd` and `/etc/group` give.
    Named(String),
}

/// A limit of `setrlimit(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Of what.
    pub of: LimitOf,
    /// What holds; `None`: no limit.
    pub soft: Option<u64>,
    /// How far it may be raised.
    pub hard: Option<u64>,
}

/// What can be limited. In the units of `setrlimit(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the system")]
pub enum LimitOf {
    AddressSpace,
    Core,
    Cpu,
    Data,
    FileSize,
    Locks,
    LockedMemory,
    MessageQueue,
    Nice,
    OpenFiles,
    Processes,
    ResidentSet,
    RealtimePriority,
    RealtimeTime,
    PendingSignals,
    Stack,
}

impl LimitOf {
    fn resource(self) -> Resource {
        match self {
            Self::AddressSpace => Resource::RLIMIT_AS,
            Self::Core => Resource::RLIMIT_CORE,
            Self::Cpu => Resource::RLIMIT_CPU,
            Self::Data => Resource::RLIMIT_DATA,
            Self::FileSize => Resource::RLIMIT_FSIZE,
            Self::Locks => Resource::RLIMIT_LOCKS,
            Self::LockedMemory => Resource::RLIMIT_MEMLOCK,
            Self::MessageQueue => Resource::RLIMIT_MSGQUEUE,
            Self::Nice => Resource::RLIMIT_NICE,
            Self::OpenFiles => Resource::RLIMIT_NOFILE,
            Self::Processes => Resource::RLIMIT_NPROC,
            Self::ResidentSet => Resource::RLIMIT_RSS,
            Self::RealtimePriority => Resource::RLIMIT_RTPRIO,
            Self::RealtimeTime => Resource::RLIMIT_RTTIME,
            Self::PendingSignals => Resource::RLIMIT_SIGPENDING,
            Self::Stack => Resource::RLIMIT_STACK,
        }
    }
}

impl Identity {
    /// Takes it, for good. `change_folder` is called once the process is its user: it is to begin only where it may.
    pub(super) fn take(
        &self,
        change_folder: impl FnOnce() -> Result<(), ConfineError>,
    ) -> Result<(), ConfineError> {
        for limit in &self.limits {
            limit.set()?;
        }
        let ids = self.user.as_ref().map(users::find).transpose()?;
        if self.no_new_privileges {
            prctl::set_no_new_privs().tried(|| "take no new privileges".into())?;
        }
        if let Some(capabilities) = &self.capabilities {
            capabilities.bound()?;
            prctl::set_keepcaps(true).tried(|| "keep capabilities as another user".into())?;
        }
        // Without `no_new_privs` it takes a capability that is about to go.
        if !self.no_new_privileges {
            self.filter()?;
        }
        if let Some(ids) = &ids {
            become_user(ids)?;
        }
        if let Some(capabilities) = &self.capabilities {
            capabilities.take()?;
        }
        if let Some(mask) = self.umask {
            umask(Mode::from_bits_truncate(mask));
        }
        change_folder()?;
        if self.no_new_privileges {
            self.filter()?;
        }
        Ok(())
    }

    /// Gives a folder of this process's root, and nothing in it, to the user who is to be.
    pub(super) fn give(&self, folder: &Path) -> Result<(), ConfineError> {
        let Some(user) = &self.user else { return Ok(()) };
        let ids = users::find(user)?;
        std::os::unix::fs::lchown(folder, Some(ids.user), Some(ids.group))
            .tried(|| format!("give {} to its user", folder.display()))
    }

    fn filter(&self) -> Result<(), ConfineError> {
        let Some(filter) = &self.calls else { return Ok(()) };
        filter.install().tried(|| "filter the calls of the system".into())
    }
}

impl Limit {
    fn set(&self) -> Result<(), ConfineError> {
        let value = |limit: Option<u64>| limit.unwrap_or(nix::libc::RLIM_INFINITY);
        let set = setrlimit(self.of.resource(), value(self.soft), value(self.hard));
        set.tried(|| {
            let shown = |limit: Option<u64>| limit.map_or("none".into(), |limit| limit.to_string());
            let (soft, hard) = (shown(self.soft), shown(self.hard));
            format!(
                "limit {:?} to {soft}, at most {hard}; to raise a limit takes CAP_SYS_RESOURCE",
                self.of
            )
        })
    }
}

/// All groups first: once it is the user, this process may change none.
fn become_user(ids: &Ids) -> Result<(), ConfineError> {
    let (uid, gid) = (Uid::from_raw(ids.user), Gid::from_raw(ids.group));
    let groups: Vec<_> = ids.groups.iter().copied().map(Gid::from_raw).collect();
    let named = |call: &str| {
        format!(
            "become user {uid} of group {gid}: {call}; it takes root, or a range of users in /etc/subuid"
        )
    };
    match setgroups(&groups) {
        Ok(()) => {}
        // Where the kernel forbids it for good (one user is all that the namespace has), no group is there to be taken on.
        Err(nix::errno::Errno::EPERM) if groups.is_empty() && one_user_only() => {}
        Err(error) => return Err(error).tried(|| named("setgroups")),
    }
    setresgid(gid, gid, gid).tried(|| named("setgid"))?;
    setresuid(uid, uid, uid).map_err(io::Error::from).tried(|| named("setuid"))
}

fn one_user_only() -> bool {
    std::fs::read("/proc/self/setgroups").is_ok_and(|text| text.starts_with(b"deny"))
}
