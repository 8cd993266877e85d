//! `/dev` of a container: the devices that every program expects and nothing of the host's hardware.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::mounts::{Place, attach, copy_of, new, sealed};
use super::{ConfineError, Tried};

/// Name, major and minor number.
const NODES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Mounts it.
pub(super) fn mount(place: &Place<'_>, shared_memory: u64) -> Result<(), ConfineError> {
    let shown = || "make /dev".to_owned();
    let options = [("size", "64k".to_owned()), ("mode", "755".to_owned())];
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let dev = new(c"tmpfs", &options, flags).tried(shown)?;
    place.attach(&dev, Path::new("/dev"), FileType::Directory)?;
    for (name, major, minor) in NODES {
        let made = rustix::fs::mknodat(
            &dev,
            name,
            FileType::CharacterDevice,
            Mode::from_raw_mode(0o666),
            rustix::fs::makedev(major, minor),
        );
        let named = || format!("make the device /dev/{name}");
        match made {
            // Whatever this process's umask is.
            Ok(()) => rustix::fs::chmodat(&dev, name, Mode::from_raw_mode(0o666), AtFlags::empty())
                .tried(named)?,
            Err(Errno::PERM) => bind_node(&dev, name).tried(named)?,
            Err(error) => return Err(error).tried(named),
        }
    }
    for (name, target) in LINKS {
        rustix::fs::symlinkat(target, &dev, name).tried(|| format!("link /dev/{name}"))?;
    }
    let memory = [("size", shared_memory.to_string()), ("mode", "1777".to_owned())];
    let memory = new(c"tmpfs", &memory, sealed()).tried(|| "make /dev/shm".into())?;
    below(&dev, "shm", &memory)?;
    below(&dev, "pts", &terminals().tried(|| "make /dev/pts".into())?)?;
    match new(c"mqueue", &[], sealed()) {
        Ok(queues) => below(&dev, "mqueue", &queues),
        // In a user namespace with the host's queues they are not the container's to mount; a kernel may have none.
        Err(Errno::PERM | Errno::NODEV) => Ok(()),
        Err(error) => Err(error).tried(|| "make /dev/mqueue".into()),
    }
}

/// In a user namespace devices cannot be made, but the host's be used.
fn bind_node(dev: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
    drop(rustix::fs::openat(dev, name, flags, Mode::from_raw_mode(0o666))?);
    let node = copy_of(CWD, &Path::new("/dev").join(name))?;
    let there = rustix::fs::openat(dev, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    attach(&node, &there)
}

fn below(dev: &OwnedFd, name: &str, mount: &OwnedFd) -> Result<(), ConfineError> {
    let shown = || format!("make /dev/{name}");
    rustix::fs::mkdirat(dev, name, Mode::from_raw_mode(0o755)).tried(shown)?;
    let there = rustix::fs::openat(dev, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    attach(mount, &there.tried(shown)?).tried(shown)
}

/// They belong to the group of terminals, where the container has one.
fn terminals() -> rustix::io::Result<OwnedFd> {
    let mut options =
        vec![("ptmxmode", "0666".to_owned()), ("mode", "0620".to_owned()), ("gid", "5".to_owned())];
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    match new(c"devpts", &options, flags) {
        Err(Errno::INVAL) => {
            options.pop();
            new(c"devpts", &options, flags)
        }
        made => made,
    }
}
