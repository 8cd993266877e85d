//! Reading part of a file in a sandbox whose owner may try to lead the reader out of it: every step of the way is opened
//! below the one before, and no step may be a link.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

/// The most that one answer carries: a frame holds it with its envelope.
const PART_BYTES_MAX: usize = 48 * 1024;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("'{0}' leads out of the sandbox")]
    Outside(String),
    #[error("there is no file '{0}' in the sandbox")]
    NotThere(String),
    #[error("'{0}' is a link or lies behind one; links are not followed")]
    Link(String),
    #[error("'{0}' is not a plain file")]
    NotAFile(String),
    #[error("cannot read '{file}': {cause}")]
    Other { file: String, cause: String },
}

/// A part of a file.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) data: Vec<u8>,
    pub(super) size: u64,
}

/// Reads from `offset`, or that much before the end if it is negative.
pub(super) fn part(
    sandbox: &Path,
    file: &str,
    offset: i64,
    length: u32,
) -> Result<Part, ReadError> {
    let opened = open_below(sandbox, file)?;
    let other = |error: io::Error| ReadError::Other { file: file.into(), cause: error.to_string() };
    let metadata = opened.metadata().map_err(other)?;
    if !metadata.is_file() {
        return Err(ReadError::NotAFile(file.into()));
    }
    let size = metadata.len();
    let offset = match u64::try_from(offset) {
        Ok(offset) => offset.min(size),
        Err(_) => size.saturating_sub(offset.unsigned_abs()),
    };
    let wanted = usize::try_from(length).unwrap_or(usize::MAX).min(PART_BYTES_MAX);
    let there = usize::try_from(size - offset).unwrap_or(usize::MAX);
    let mut data = vec![0; wanted.min(there)];
    let mut filled = 0;
    while filled < data.len() {
        match opened.read_at(&mut data[filled..], offset + filled as u64).map_err(other)? {
            0 => break,
            read => filled += read,
        }
    }
    data.truncate(filled);
    Ok(Part { offset, data, size })
}

fn open_below(sandbox: &Path, file: &str) -> Result<File, ReadError> {
    let outside = || ReadError::Outside(file.into());
    let mut steps = Vec::new();
    for step in Path::new(file).components() {
        match step {
            Component::Normal(name) => steps.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(outside());
            }
        }
    }
    let Some((last, folders)) = steps.split_last() else {
        return Err(outside());
    };
    let failed = |error: nix::Error| {
        if error == nix::Error::ENOENT {
            ReadError::NotThere(file.into())
        } else if error == nix::Error::ELOOP || error == nix::Error::ENOTDIR {
            // What O_NOFOLLOW says of a link; with O_DIRECTORY it says that a link is no directory.
            ReadError::Link(file.into())
        } else {
            ReadError::Other { file: file.into(), cause: error.to_string() }
        }
    };
    let folder = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let mut at: OwnedFd = open(sandbox, folder, Mode::empty()).map_err(failed)?;
    for name in folders {
        at = openat(&at, Path::new(name), folder, Mode::empty()).map_err(failed)?;
    }
    // A pipe without a writer would otherwise hold the reader for ever.
    let plain = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    openat(&at, Path::new(last), plain, Mode::empty()).map(File::from).map_err(failed)
}
