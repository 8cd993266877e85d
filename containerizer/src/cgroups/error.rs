//! What can go wrong with control groups, in words for people.

use std::path::PathBuf;

use nix::errno::Errno;

use super::logic::controller::Controller;
use super::logic::path::{BadName, GroupPath};

/// Why something could not be done with control groups.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// No name for a group.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The thread that removes groups.
    #[error("start the thread that removes control groups")]
    Remover(#[source] std::io::Error),
    /// A file that says what the host has.
    #[error("read {path}, which says what control groups there are")]
    Look {
        /// Of the file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Nothing is mounted.
    #[error(
        "this host has no control groups: none are mounted; mount them below /sys/fs/cgroup, or run without limits"
    )]
    None,
    /// What was wanted is not there.
    #[error(
        "this host has no controller {0} for control groups: it is not mounted, not compiled in or not delegated; leave out what needs it"
    )]
    NoController(Controller),
    /// The setting is no relative folder.
    #[error(
        "{0:?} cannot be the root of control groups: it must be a relative path such as `airside` or `system.slice/airside`"
    )]
    Root(String),
    /// The groups of this process are not visible.
    #[error(
        "this process's own control group of {0} is outside of what is mounted here, so that none can be made below it"
    )]
    NoOwn(Controller),
    /// A folder could not be made.
    #[error("make the control group {path}{}", hint(*source))]
    Make {
        /// Of the group.
        path: PathBuf,
        /// Why not.
        source: Errno,
    },
    /// There is one already.
    #[error(
        "the control group {0} exists already: of a container that runs, or was not cleaned up"
    )]
    Exists(GroupPath),
    /// It was not made, or is gone.
    #[error("there is no control group {0}")]
    Gone(GroupPath),
    /// Something of the group could not be set.
    #[error("write {value:?} into {path}{}", hint(*source))]
    Write {
        /// Of the file.
        path: PathBuf,
        /// What was to be written.
        value: String,
        /// Why not.
        source: Errno,
    },
    /// Something of the group could not be looked at.
    #[error("read {path}")]
    Read {
        /// Of the file or folder.
        path: PathBuf,
        /// Why not.
        source: Errno,
    },
    /// It says something else than all kernels that are known.
    #[error("{path} says {text:?}, which is not understood")]
    Text {
        /// Of the file.
        path: PathBuf,
        /// Its beginning.
        text: String,
    },
    /// A process could not be ended.
    #[error("kill process {process} of the control group {group}")]
    Kill {
        /// Its number.
        process: i32,
        /// Where it is.
        group: GroupPath,
        /// Why not.
        source: Errno,
    },
    /// It will not become empty.
    #[error(
        "the control group {group} still has processes {processes:?}: they do not end when they are killed, as those that wait for a disk or a network do"
    )]
    Busy {
        /// Which.
        group: GroupPath,
        /// The first few of them.
        processes: Vec<i32>,
    },
    /// A folder could not be removed.
    #[error("remove the control group {path}")]
    Remove {
        /// Of the group.
        path: PathBuf,
        /// Why not.
        source: Errno,
    },
    /// The program that says which devices may be used.
    #[error("{what} the program of device rules of the control group {group}{}", hint(*source))]
    Program {
        /// `load` or `attach`.
        what: &'static str,
        /// Of which.
        group: GroupPath,
        /// Why not.
        source: Errno,
    },
    /// What is told by the kernel could not be subscribed to.
    #[error("watch {what} of the control group {group}")]
    Watch {
        /// What was to be told.
        what: &'static str,
        /// Of which.
        group: GroupPath,
        /// Why not.
        source: std::io::Error,
    },
}

/// What to do, where the kernel's own word does not say it.
fn hint(errno: Errno) -> &'static str {
    let hints = [
        (Errno::EACCES, NOT_ALLOWED),
        (Errno::EPERM, NOT_ALLOWED),
        (
            Errno::EROFS,
            ": they are mounted read-only, as in most containers: run outside, or without limits",
        ),
        (Errno::ENOENT, ": this kernel has no such file, or the group is gone"),
        (
            Errno::EBUSY,
            ": a group that has processes of its own cannot hold others with limits: start the agent in a group of its own",
        ),
        (
            Errno::ENOSPC,
            ": a group above has as many as its cgroup.max.descendants, or a set of processors is empty",
        ),
    ];
    hints.into_iter().find(|(of, _)| *of == errno).map_or("", |(_, hint)| hint)
}

const NOT_ALLOWED: &str =
    ": only root may, or whoever the groups were delegated to: run as root, or without limits";

impl CgroupError {
    /// In one line, with what caused it.
    pub fn with_causes(&self) -> String {
        let more = std::iter::successors(std::error::Error::source(self), |error| error.source());
        more.fold(self.to_string(), |words, cause| format!("{words}: {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_is_told_what_to_do() {
        let path = PathBuf::from("/sys/fs/cgroup/cpu/airside");
        let error = CgroupError::Make { path, source: Errno::EACCES }.to_string();
        assert!(
            error.contains("/sys/fs/cgroup/cpu/airside") && error.contains("as root"),
            "{error}"
        );
        assert_eq!(hint(Errno::EIO), "");
    }
}
