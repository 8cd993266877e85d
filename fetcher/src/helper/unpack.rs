//! Unpacking in the sandbox, as the task's user, with nothing but Rust. An archive is somebody else's: whatever it says lies
//! below the sandbox or is refused, and what it holds is counted.

mod tarball;
mod zipped;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use super::sandbox::Folder;
use super::{CHUNK, Moved};
use crate::logic::Unpack;
use crate::order::Limits;

/// What an archive says about one entry, or a zip about all of them for each that it may have, takes no more.
const ENTRY_BYTES_MAX: u64 = 1 << 20;
const ZIP_ENTRY_BYTES: u64 = 512;
/// A path in an archive is no longer, and no deeper.
const PATH_BYTES_MAX: usize = 4096;
const DEPTH_MAX: usize = 128;
/// What of a mode is kept: nobody becomes another user by an archive.
const MODE: u32 = 0o777;

/// All of it, into the sandbox; a single compressed file beside itself.
pub(super) fn unpack(
    how: Unpack,
    file: File,
    name: &str,
    folder: &Folder,
    limits: Limits,
    moved: &Moved,
) -> Result<(), String> {
    let mut into = Into { folder, limits, moved, bytes: 0, entries: 0 };
    let done = match how {
        Unpack::Tar => tarball::unpack(file, &mut into),
        Unpack::Zip => zipped::unpack(file, &mut into),
        Unpack::Gzip => {
            let unpacked = name.strip_suffix(".gz").filter(|name| !name.ends_with('/'));
            let unpacked = unpacked.filter(|name| !name.is_empty()).unwrap_or("unpacked");
            into.file(unpacked, 0o644, MultiGzDecoder::new(BufReader::new(file))).map(drop)
        }
    };
    done.map_err(|words| format!("unpack it: {words}"))
}

/// Where an archive goes, and how much of it did.
struct Into<'a> {
    folder: &'a Folder,
    limits: Limits,
    moved: &'a Moved,
    bytes: u64,
    entries: u64,
}

impl Into<'_> {
    /// One more entry: its path below the sandbox; `None`: the sandbox itself.
    fn entry(&mut self, path: &[u8]) -> Result<Option<String>, String> {
        self.entries += 1;
        self.moved.more(1);
        if self.entries > self.limits.entries {
            return Err(format!("it holds more than {} files and folders", self.limits.entries));
        }
        below(path)
    }

    fn file(&mut self, name: &str, mode: u32, mut from: impl Read) -> Result<File, String> {
        let mut file = self.folder.create(name, mode & MODE)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = from.read(&mut chunk).map_err(|error| damaged(name, &error))?;
            if read == 0 {
                return Ok(file);
            }
            self.moved.more(read);
            self.bytes += read as u64;
            if self.bytes > self.limits.unpacked_bytes {
                return Err(format!("it holds more than {} bytes", self.limits.unpacked_bytes));
            }
            let written = file.write_all(&chunk[..read]);
            written.map_err(|error| format!("write '{}': {error}", name.escape_debug()))?;
        }
    }
}

fn damaged(name: &str, error: &io::Error) -> String {
    format!("'{}' in it is damaged: {error}", name.escape_debug())
}

/// As `tar` does it, a path that begins at the root begins in the sandbox; one that leads up is not followed.
fn below(path: &[u8]) -> Result<Option<String>, String> {
    let Ok(path) = std::str::from_utf8(path) else {
        let shown = String::from_utf8_lossy(path).escape_debug().to_string();
        return Err(format!("a name in it is not UTF-8: '{shown}'"));
    };
    let shown = || path.chars().take(256).collect::<String>().escape_debug().to_string();
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(format!("'{}' in it would lie outside of the sandbox", shown()));
    }
    if path.contains('\0') || path.len() > PATH_BYTES_MAX || parts.len() > DEPTH_MAX {
        return Err(format!("a name in it is too long, too deep or no name: '{}'", shown()));
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

/// Lets so many bytes be read, as long as it is limited: what a library keeps of an archive in memory cannot be more.
struct Metered<R> {
    reader: R,
    left: Rc<Cell<u64>>,
}

impl<R> Metered<R> {
    fn new(reader: R) -> (Self, Rc<Cell<u64>>) {
        let left = Rc::new(Cell::new(u64::MAX));
        (Self { reader, left: Rc::clone(&left) }, left)
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        let left = self.left.get();
        if left != u64::MAX {
            let rest = left.checked_sub(read as u64);
            self.left.set(rest.ok_or_else(|| {
                io::Error::other("what it says about its files is too much to be kept in mind")
            })?);
        }
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.reader.seek(to)
    }
}
