//! The few system calls that all is made of: files of groups, relative to an open folder.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat, write};

/// No file of the kernel's is read further: process ids of four million processes are less.
const FILE_BYTES_MAX: usize = 64 << 20;

const NO_MODE: Mode = Mode::empty();

pub(super) fn open_folder(at: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    openat(at, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, NO_MODE)
}

pub(super) fn open_for_writing(at: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    openat(at, path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, NO_MODE)
}

pub(super) fn open_for_reading(at: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    openat(at, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, NO_MODE)
}

/// Values are taken whole or not at all.
pub(super) fn write_open(file: impl AsFd, value: &str) -> Result<(), Errno> {
    loop {
        match write(&file, value.as_bytes()) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn write_file(at: impl AsFd, path: &str, value: &str) -> Result<(), Errno> {
    write_open(open_for_writing(at, path)?, value)
}

/// Reads a whole file into the buffer, which is emptied before.
pub(super) fn read_file(at: impl AsFd, path: &str, text: &mut String) -> Result<(), Errno> {
    read_open(open_for_reading(at, path)?, text)
}

pub(super) fn read_open(file: impl AsFd, text: &mut String) -> Result<(), Errno> {
    let mut bytes = std::mem::take(text).into_bytes();
    bytes.clear();
    let mut part = [0; 4096];
    loop {
        match nix::unistd::read(&file, &mut part) {
            Ok(0) => break,
            Ok(read) if bytes.len() + read > FILE_BYTES_MAX => return Err(Errno::EFBIG),
            Ok(read) => bytes.extend_from_slice(&part[..read]),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    *text = String::from_utf8(bytes).map_err(|_| Errno::EILSEQ)?;
    Ok(())
}

pub(super) fn make_folder(at: impl AsFd, path: &str) -> Result<(), Errno> {
    mkdirat(at, path, Mode::from_bits_truncate(0o755))
}

/// As [`make_folder`], and content if it is there.
pub(super) fn ensure_folder(at: impl AsFd, path: &str) -> Result<(), Errno> {
    match make_folder(at, path) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn remove_folder(at: impl AsFd, path: &str) -> Result<(), Errno> {
    unlinkat(at, path, UnlinkatFlags::RemoveDir)
}
