//! Tells that a container ran out of memory when it happens. For what happened while nobody listened there is
//! [`Group::out_of_memory`].

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::error::CgroupError;
use super::files;
use super::group::{Group, failed_read, failed_write};
use super::logic::controller::{Controller, Version};
use super::logic::usage::OutOfMemory;
use crate::isolator::watch::readable;

/// Listens for one container.
#[derive(Debug)]
pub struct OomWatch {
    group: Group,
    kills_before: u64,
    told: Told,
}

#[derive(Debug)]
enum Told {
    /// Version 1: counts each time that the group is out of memory, and its end.
    Event(EventFd),
    /// Version 2: tells each change of `memory.events`.
    Change(Inotify),
}

impl Group {
    /// Listens from now on, and for what happened after `before` was looked at: nothing is missed between.
    pub fn watch_oom(&self, before: OutOfMemory) -> Result<OomWatch, CgroupError> {
        let told = match self.hierarchies.version() {
            Version::V1 => Told::Event(event_of(self, "memory.oom_control", "")?),
            Version::V2 => Told::Change(self.changes()?),
        };
        Ok(OomWatch { group: self.clone(), kills_before: before.kills, told })
    }

    fn changes(&self) -> Result<Inotify, CgroupError> {
        let failed = |source: Errno| self.failed_watch("out of memory", source.into());
        let tree = self.hierarchies.needed(Controller::Memory)?;
        let changes = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        let changes = changes.map_err(failed)?;
        let path = tree.path.join(self.path.as_str()).join("memory.events");
        let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_DELETE_SELF;
        changes.add_watch(&path, flags).map_err(failed)?;
        Ok(changes)
    }

    pub(super) fn failed_watch(&self, what: &'static str, source: io::Error) -> CgroupError {
        CgroupError::Watch { what, group: self.path.clone(), source }
    }
}

impl AsFd for OomWatch {
    /// Readable when it is time to [`OomWatch::look`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.told {
            Told::Event(event) => event.as_fd(),
            Told::Change(changes) => changes.as_fd(),
        }
    }
}

impl OomWatch {
    /// Whether the container has run out of memory since it was asked last: in version 1 before the kernel chooses whom to kill, in
    /// version 2 after. That the group is gone is an error.
    pub fn look(&mut self) -> Result<Option<OutOfMemory>, CgroupError> {
        let is_event = self.take()?;
        let now = self.group.out_of_memory().map_err(|error| self.gone(error))?;
        if !is_event && now.kills <= self.kills_before {
            return Ok(None);
        }
        self.kills_before = now.kills;
        Ok(Some(now))
    }

    /// Ends when it does. Each further call waits for the next time. To be used on a tokio runtime.
    pub async fn oom(&mut self) -> Result<OutOfMemory, CgroupError> {
        loop {
            if let Some(now) = self.look()? {
                return Ok(now);
            }
            let ready = readable(self.as_fd()).await;
            ready.map_err(|source| self.group.failed_watch("out of memory", source))?;
        }
    }

    /// Takes what was told; whether that alone says that memory is short.
    fn take(&self) -> Result<bool, CgroupError> {
        let result = match &self.told {
            Told::Event(event) => event.read().map(|_| true),
            Told::Change(changes) => changes.read_events().map(|_| false),
        };
        match result {
            Ok(is_event) => Ok(is_event),
            Err(Errno::EAGAIN) => Ok(false),
            Err(source) => Err(self.group.failed_watch("out of memory", source.into())),
        }
    }

    fn gone(&self, error: CgroupError) -> CgroupError {
        let gone = [Errno::ENOENT, Errno::ENODEV];
        if matches!(&error, CgroupError::Read { source, .. } if gone.contains(source)) {
            return CgroupError::Gone(self.group.path.clone());
        }
        error
    }
}

/// A counter of what version 1 tells of a file of a group of memory.
pub(super) fn event_of(group: &Group, file: &str, which: &str) -> Result<EventFd, CgroupError> {
    let failed = |source: Errno| group.failed_watch("memory", source.into());
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let event = EventFd::from_value_and_flags(0, flags).map_err(failed)?;
    let tree = group.hierarchies.needed(Controller::Memory)?;
    let mut name = String::new();
    group.name(&mut name, file);
    let about: OwnedFd =
        files::open_for_reading(tree, &name).map_err(|source| failed_read(tree, &name, source))?;
    let value = format!("{} {} {which}", event.as_fd().as_raw_fd(), about.as_raw_fd());
    group.name(&mut name, "cgroup.event_control");
    files::write_file(tree, &name, value.trim_end())
        .map_err(|source| failed_write(tree, &name, &value, source))?;
    Ok(event)
}
