//! The file system of a program: made of detached mounts in the mount namespace that this process has to itself, and entered.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::mount::MsFlags;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountPropagationFlags, UnmountFlags};

use super::mounts::{Place, attach};
use super::{ConfineError, Confinement, Tried};
use crate::system::{self, MountChange, READ_ONLY};

pub(super) fn enter(confinement: &Confinement) -> Result<(), ConfineError> {
    let Confinement { root, scratch, mounts, hostname, .. } = confinement;
    let scratch = scratch.as_deref();
    if root.is_some() || !mounts.is_empty() {
        // What is mounted here is not seen outside; what the host unmounts is not kept busy here.
        let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", flags)
            .tried(|| "keep mounts to this container; it takes root, or a user namespace".into())?;
    }
    match root {
        Some(root) => {
            let folder = scratch.ok_or_else(|| {
                ConfineError::Refused("a root needs a folder for what is written into it".into())
            })?;
            let made = root.mount(folder)?;
            let shown = || format!("mount the root on {}", folder.display());
            attach(&made, &open(folder).tried(shown)?).tried(shown)?;
            let place = Place { root: made.as_fd(), own: true, scratch };
            mounts.iter().try_for_each(|mount| place.mount(mount))?;
            if root.read_only {
                let change = MountChange {
                    set: READ_ONLY,
                    propagation: MsFlags::MS_PRIVATE.bits(),
                    recursive: false,
                };
                system::change_mount(&made, change).tried(|| "make the root read-only".into())?;
            }
            pivot(&made)?;
        }
        None if !mounts.is_empty() => {
            let host = open(Path::new("/")).tried(|| "open the host's root".into())?;
            let place = Place { root: host.as_fd(), own: false, scratch };
            mounts.iter().try_for_each(|mount| place.mount(mount))?;
        }
        None => {}
    }
    match hostname {
        Some(name) => nix::unistd::sethostname(name).tried(|| format!("take the name {name}")),
        None => Ok(()),
    }
}

fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The old root goes on top of the new one, and away, with all that is mounted in it.
fn pivot(root: &OwnedFd) -> Result<(), ConfineError> {
    let shown = || "make the container's root this process's".to_owned();
    rustix::process::fchdir(root).tried(shown)?;
    rustix::process::pivot_root(".", ".").tried(shown)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).tried(|| "leave the host's root".into())?;
    rustix::process::chdir("/").tried(shown)
}
