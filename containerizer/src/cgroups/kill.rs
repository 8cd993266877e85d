//! The end of a container's processes and of its group. Nothing here waits for long: what is not done at once is tried again
//! by [`super::remove`].

use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollTimeout;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::error::CgroupError;
use super::files;
use super::group::{Group, failed_write};
use super::hierarchies::{Tree, folders};
use super::logic::controller::{Controller, Version};
use super::logic::path::LEAF;

/// A group that is not frozen after this is killed as it is: a process of it waits for something that does not come.
const FREEZE_TRIES_MAX: u32 = 50;
/// Between two looks at whether a group is frozen.
const FREEZE_PAUSE: Duration = Duration::from_millis(1);
/// How many processes of a group that is not empty are named.
const NAMED_MAX: usize = 5;

impl Group {
    /// Sends `SIGKILL` to all processes in it and in what is nested in it, also to those that are born meanwhile where the
    /// kernel can do that (version 2 since 5.14), else while none can be born: frozen. They end soon after.
    pub fn kill(&self) -> Result<(), CgroupError> {
        if self.hierarchies.version() == Version::V2 {
            match self.write_core("cgroup.kill", "1") {
                Err(CgroupError::Write { source: Errno::ENOENT, .. }) if self.is_there() => {}
                other => return ignoring_gone(other),
            }
        }
        let frozen = self.freeze();
        let killed = self.kill_each();
        // Also those that could not be frozen in time: some of them may be.
        let thawed = match frozen {
            Err(CgroupError::NoController(_)) => Ok(()),
            Ok(_) | Err(_) => self.thaw(),
        };
        killed.and(ignoring_gone(thawed))
    }

    /// Stops all processes in it and in what is nested in it; `false`: some are not stopped yet.
    pub fn freeze(&self) -> Result<bool, CgroupError> {
        for _ in 0..FREEZE_TRIES_MAX {
            let frozen = match self.hierarchies.version() {
                Version::V1 => {
                    self.write_freezer("FROZEN")?;
                    self.read(Controller::Freezer, "freezer.state")?.1.trim() == "FROZEN"
                }
                Version::V2 => {
                    self.write_core("cgroup.freeze", "1")?;
                    self.read(Controller::Freezer, "cgroup.events")?.1.contains("frozen 1")
                }
            };
            if frozen {
                return Ok(true);
            }
            pause(FREEZE_PAUSE);
        }
        Ok(false)
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<(), CgroupError> {
        match self.hierarchies.version() {
            Version::V1 => self.write_freezer("THAWED"),
            Version::V2 => self.write_core("cgroup.freeze", "0"),
        }
    }

    /// Removes it and what is nested in it from all trees; `false`: something in it still runs.
    pub fn remove_if_empty(&self) -> Result<bool, CgroupError> {
        let mut gone = true;
        for tree in self.hierarchies.trees() {
            if self.hierarchies.version() == Version::V2 {
                let mut leaf = String::new();
                self.name(&mut leaf, LEAF);
                remove_one(tree, &leaf)?;
            }
            gone &= remove_in(tree, self.path.as_str())?;
        }
        Ok(gone)
    }

    /// Kills what is in it and removes it, again and again until it is gone, or for about this long.
    pub fn destroy(&self, at_most: Duration) -> Result<(), CgroupError> {
        let mut waited = Duration::ZERO;
        for tries in 0.. {
            if self.remove_if_empty()? {
                return Ok(());
            }
            if waited >= at_most {
                break;
            }
            self.kill()?;
            let next = again_after(tries);
            pause(next);
            waited += next;
        }
        Err(self.busy()?)
    }

    /// That it is not empty, with some of the processes.
    pub(super) fn busy(&self) -> Result<CgroupError, CgroupError> {
        let processes = self.processes()?.into_iter().take(NAMED_MAX).map(Pid::as_raw).collect();
        Ok(CgroupError::Busy { group: self.path.clone(), processes })
    }

    fn kill_each(&self) -> Result<(), CgroupError> {
        let own = Pid::this();
        for process in self.processes()?.into_iter().filter(|process| *process != own) {
            match kill(process, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(source) => {
                    let (process, group) = (process.as_raw(), self.path.clone());
                    return Err(CgroupError::Kill { process, group, source });
                }
            }
        }
        Ok(())
    }

    fn write_freezer(&self, value: &str) -> Result<(), CgroupError> {
        let tree = self.hierarchies.needed(Controller::Freezer)?;
        self.write_in(tree, "freezer.state", value)
    }

    /// A file that every group of version 2 has.
    fn write_core(&self, file: &str, value: &str) -> Result<(), CgroupError> {
        let tree = self.hierarchies.tree(Controller::Freezer).ok_or(CgroupError::None)?;
        self.write_in(tree, file, value)
    }

    fn write_in(&self, tree: &Tree, file: &str, value: &str) -> Result<(), CgroupError> {
        let mut name = String::new();
        self.name(&mut name, file);
        files::write_file(tree, &name, value)
            .map_err(|source| failed_write(tree, &name, value, source))
    }
}

/// How long until a group that is not empty is looked at again: soon at first, as most end at once.
pub fn again_after(tries: u32) -> Duration {
    Duration::from_millis(1 << tries.min(9))
}

/// The kernel's own rmdir of a folder that others are in says that it is busy.
fn remove_in(tree: &Tree, folder: &str) -> Result<bool, CgroupError> {
    if remove_one(tree, folder)? {
        return Ok(true);
    }
    let inner = folders(&tree.path.join(folder))?;
    if inner.is_empty() {
        return Ok(false);
    }
    for name in inner {
        remove_in(tree, &format!("{folder}/{name}"))?;
    }
    remove_one(tree, folder)
}

fn remove_one(tree: &Tree, folder: &str) -> Result<bool, CgroupError> {
    match files::remove_folder(tree, folder) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::EBUSY | Errno::ENOTEMPTY) => Ok(false),
        Err(source) => Err(CgroupError::Remove { path: tree.path.join(folder), source }),
    }
}

/// What ended of its own has nothing to be killed.
fn ignoring_gone(result: Result<(), CgroupError>) -> Result<(), CgroupError> {
    match result {
        Err(CgroupError::Write { source: Errno::ENOENT | Errno::ENODEV, .. }) => Ok(()),
        other => other,
    }
}

/// On a thread that has nothing else to do.
fn pause(time: Duration) {
    let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    // A signal ends it earlier, which does no harm.
    let _ = nix::poll::poll(&mut [], timeout);
}
