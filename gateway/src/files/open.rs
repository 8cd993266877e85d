//! Opening what lies below a place: the kernel itself sees to it that no step of the way leads out.

use std::fs::{File, ReadDir};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

use super::Place;

/// Opens a file or folder for reading. A link may lead to another part of the place, but not out of it.
pub(super) fn below(place: &Place) -> io::Result<File> {
    // A pipe without a writer would keep the thread for ever.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    if place.below.is_empty() {
        return Ok(File::from(open(&place.root, flags, Mode::empty())?));
    }
    let root: OwnedFd = open(&place.root, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    let inside = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(flags).resolve(inside);
    Ok(File::from(openat2(&root, place.below.as_str(), how)?))
}

/// What an open folder has.
pub(super) fn list(folder: &File) -> io::Result<ReadDir> {
    std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

/// Whether an error says that nothing is there, or nothing that may be seen from here.
pub(super) fn is_away(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    let away = [
        Errno::ENOENT,
        Errno::ENOTDIR,
        Errno::EXDEV,
        Errno::ELOOP,
        Errno::ENAMETOOLONG,
        Errno::ENXIO,
    ];
    errno.is_some_and(|errno| away.contains(&errno)) || error.kind() == io::ErrorKind::InvalidInput
}
