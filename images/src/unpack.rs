//! Unpacks one layer into a folder of its own, in the form that overlayfs wants: what the layer deletes of those below
//! it is a character device 0/0, a folder that hides all below it has an attribute. Nothing outside of the folder is
//! ever touched, whatever the archive says: every name is resolved by the kernel below the folder (see `tree.rs`).
//!
//! As with Docker, a leading `/` means the layer's root. Device nodes are not made: a container's `/dev` comes from its
//! runtime, and 0/0 would be a deletion. Set-id bits are kept as data, which is why the store is closed to others.

mod names;
mod tree;

#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fchown, fsetxattr,
    futimens, utimensat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::tarball::{BadArchive, Entry, Kind, Tarball};
pub(crate) use names::EntryPath;
use names::Meaning;
use tree::Tree;
pub(crate) use tree::is_whiteout;

/// Of one read and write.
const BUFFER_BYTES: usize = 256 << 10;

/// Folders get their times last, since making what is in them changes those. So many bytes of their names are kept; a
/// layer with more has some folders with wrong times.
const LATER_BYTES_MAX: usize = 64 << 20;

/// How layers are written, which depends on what this process may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// As root: owners are kept, overlayfs is told with `trusted.overlay.*`.
    Privileged,
    /// With one user: everything is this process's own, overlayfs is told with `user.overlay.*` and to be mounted
    /// with `userxattr`.
    Unprivileged,
}

impl Form {
    /// The attribute that says that a folder hides all below it.
    #[must_use]
    pub fn opaque_attribute(self) -> &'static str {
        match self {
            Self::Privileged => "trusted.overlay.opaque",
            Self::Unprivileged => "user.overlay.opaque",
        }
    }
}

/// What a layer came to, and what could not be done as its author meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How many there were in the archive.
    pub entries: u64,
    /// Of the archive, uncompressed.
    pub bytes: u64,
    /// Files whose owner was not this process's and could not be kept.
    pub owners_ignored: u64,
    /// Device nodes, which are not made.
    pub devices_skipped: u64,
    /// Attributes that are not for layers to set, or that this process may not.
    pub attributes_skipped: u64,
}

impl Report {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            bytes: self.bytes + other.bytes,
            owners_ignored: self.owners_ignored + other.owners_ignored,
            devices_skipped: self.devices_skipped + other.devices_skipped,
            attributes_skipped: self.attributes_skipped + other.attributes_skipped,
        }
    }
}

/// What all layers of an image together may take. Shared by those that are unpacked at once.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_left: AtomicU64,
    bytes_max: u64,
    entries_left: AtomicU64,
    entries_max: u64,
}

impl Budget {
    pub(crate) fn new(bytes_max: u64, entries_max: u64) -> Self {
        let (bytes_left, entries_left) = (bytes_max.into(), entries_max.into());
        Self { bytes_left, bytes_max, entries_left, entries_max }
    }

    /// What a layer took that came to nothing.
    fn give_back(&self, bytes: u64, entries: u64) {
        self.bytes_left.fetch_add(bytes, Ordering::Relaxed);
        self.entries_left.fetch_add(entries, Ordering::Relaxed);
    }

    fn take(left: &AtomicU64, count: u64) -> bool {
        let less = |left: u64| left.checked_sub(count);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Why a layer was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum BadLayer {
    /// Its archive.
    #[error("the layer's archive is bad")]
    Archive {
        /// How.
        #[from]
        source: BadArchive,
    },
    /// A name that leads out, or nowhere.
    #[error("the layer has an unsafe path {path:?}: {why}")]
    UnsafePath {
        /// As the archive has it.
        path: String,
        /// What is unsafe.
        why: &'static str,
    },
    /// A hard link to what is not in the layer.
    #[error("the layer's hard link {path:?} leads to {target:?}, which is not in the layer")]
    NoLinkTarget {
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// A small archive that unpacks to much.
    #[error("the image unpacks to more than {most} bytes, the limit")]
    TooManyBytes {
        /// The limit.
        most: u64,
    },
    /// Very many files.
    #[error("the image has more than {most} files and folders, the limit")]
    TooManyEntries {
        /// The limit.
        most: u64,
    },
    /// The disk, mostly.
    #[error("cannot write {path:?} of the layer")]
    Write {
        /// Within the layer.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Counts what comes out of a layer's compression, and stops where the image is too large.
struct Measured<'a, R> {
    input: R,
    budget: &'a Budget,
    bytes: u64,
    over: bool,
}

impl<R: Read> Read for Measured<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        if !Budget::take(&self.budget.bytes_left, count as u64) {
            self.over = true;
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes += count as u64;
        Ok(count)
    }
}

/// Unpacks `archive`, which is read to its end, into `folder`, which is empty.
pub(crate) fn unpack(
    archive: impl Read,
    folder: BorrowedFd<'_>,
    form: Form,
    budget: &Budget,
) -> Result<Report, BadLayer> {
    let measured = Measured { input: archive, budget, bytes: 0, over: false };
    let mut tarball = Tarball::new(measured);
    let mut layer = Layer::new(folder, form)?;
    let filled = layer.fill(&mut tarball, budget);
    let mut rest = tarball.into_rest();
    let drained = filled.and_then(|()| {
        let drained = io::copy(&mut rest, &mut io::sink());
        drained.map_err(|source| BadArchive::Read { source }.into())
    });
    if rest.over {
        return Err(BadLayer::TooManyBytes { most: budget.bytes_max });
    }
    if let Err(error) = drained {
        budget.give_back(rest.bytes, layer.report.entries);
        return Err(error);
    }
    layer.report.bytes = rest.bytes;
    layer.finish()
}

/// What is said of a folder when everything in it is there.
struct Later {
    path: EntryPath,
    modified: (i64, u32),
    mode: u32,
}

/// A layer that is being written.
struct Layer {
    tree: Tree,
    form: Form,
    report: Report,
    later: Vec<Later>,
    later_bytes: usize,
    buffer: Vec<u8>,
    own: (u32, u32),
}

impl Layer {
    fn new(folder: BorrowedFd<'_>, form: Form) -> Result<Self, BadLayer> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        Ok(Self {
            tree: Tree::new(folder, form)?,
            form,
            report: Report::default(),
            later: Vec::new(),
            later_bytes: 0,
            buffer: vec![0; BUFFER_BYTES],
            own: (uid.as_raw(), gid.as_raw()),
        })
    }

    fn fill<R: Read>(&mut self, tarball: &mut Tarball<R>, budget: &Budget) -> Result<(), BadLayer> {
        while let Some(entry) = tarball.next_entry()? {
            if !Budget::take(&budget.entries_left, 1) {
                return Err(BadLayer::TooManyEntries { most: budget.entries_max });
            }
            self.report.entries += 1;
            match Meaning::of(&entry.path)? {
                Meaning::Root if entry.kind == Kind::Directory => {
                    self.folder_later(EntryPath::root(), &entry)?;
                }
                // The root is a folder, and stays one.
                Meaning::Root | Meaning::Nothing => (),
                Meaning::Hides(folder) => self.tree.hide_below(&folder)?,
                Meaning::Deletes(path) => self.tree.delete(&path)?,
                Meaning::Is(path) => self.make(tarball, &path, &entry)?,
            }
        }
        Ok(())
    }

    fn make<R: Read>(
        &mut self,
        tarball: &mut Tarball<R>,
        path: &EntryPath,
        entry: &Entry,
    ) -> Result<(), BadLayer> {
        match entry.kind {
            Kind::File => {
                let file = self.tree.make_file(path)?;
                self.write(tarball, path, &file)?;
                self.describe(path, file.as_fd(), entry)?;
                futimens(&file, &times(entry.modified)).map_err(|e| path.unwritten(e))
            }
            Kind::Directory => {
                self.tree.make_folder(path)?;
                self.folder_later(path.clone(), entry)
            }
            Kind::Symlink => {
                self.tree.make_symlink(path, &entry.link)?;
                self.describe_unopened(path, entry)
            }
            Kind::Fifo => {
                self.tree.make_fifo(path, Mode::from_raw_mode(entry.mode))?;
                self.describe_unopened(path, entry)
            }
            Kind::Hardlink => {
                let target = match Meaning::of(&entry.link)? {
                    Meaning::Is(target) => target,
                    Meaning::Root | Meaning::Nothing | Meaning::Hides(_) | Meaning::Deletes(_) => {
                        return Err(path.without_target(&entry.link));
                    }
                };
                self.tree.make_hardlink(path, &target)
            }
            Kind::Device => {
                self.report.devices_skipped += 1;
                Ok(())
            }
        }
    }

    fn write<R: Read>(
        &mut self,
        tarball: &mut Tarball<R>,
        path: &EntryPath,
        file: &OwnedFd,
    ) -> Result<(), BadLayer> {
        loop {
            let count = tarball.read_body(&mut self.buffer)?;
            if count == 0 {
                return Ok(());
            }
            let mut rest = &self.buffer[..count];
            while !rest.is_empty() {
                match rustix::io::write(file, rest) {
                    Ok(written) => rest = &rest[written..],
                    Err(Errno::INTR) => (),
                    Err(error) => return Err(path.unwritten(error)),
                }
            }
        }
    }

    /// Owner first: a new owner takes the set-id bits and the capabilities away.
    fn describe(
        &mut self,
        path: &EntryPath,
        file: BorrowedFd<'_>,
        entry: &Entry,
    ) -> Result<(), BadLayer> {
        if let Some((uid, gid)) = self.owner(entry) {
            fchown(file, Some(uid), Some(gid)).map_err(|e| path.unwritten(e))?;
        }
        for (name, value) in &entry.attributes {
            if !self.may_set(name) {
                self.report.attributes_skipped += 1;
                continue;
            }
            match fsetxattr(file, name.as_slice(), value, XattrFlags::empty()) {
                Ok(()) => (),
                // Not every file system has them all, and not everyone may set them all.
                Err(Errno::OPNOTSUPP | Errno::PERM | Errno::INVAL) => {
                    self.report.attributes_skipped += 1;
                }
                Err(error) => return Err(path.unwritten(error)),
            }
        }
        fchmod(file, Mode::from_raw_mode(entry.mode)).map_err(|e| path.unwritten(e))
    }

    /// For what is not to be opened, and has neither mode nor attributes of its own worth the name.
    fn describe_unopened(&mut self, path: &EntryPath, entry: &Entry) -> Result<(), BadLayer> {
        let owner = self.owner(entry);
        let (folder, name) = self.tree.parent(path)?;
        if let Some((uid, gid)) = owner {
            chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| path.unwritten(e))?;
        }
        utimensat(folder, name, &times(entry.modified), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| path.unwritten(e))
    }

    /// Who it is to belong to; `None` where that is so already, or cannot be and is counted.
    fn owner(&mut self, entry: &Entry) -> Option<(Uid, Gid)> {
        if (entry.uid, entry.gid) == self.own {
            return None;
        }
        match self.form {
            Form::Privileged => Some((Uid::from_raw(entry.uid), Gid::from_raw(entry.gid))),
            Form::Unprivileged => {
                self.report.owners_ignored += 1;
                None
            }
        }
    }

    /// Capabilities, access lists and what users set. What overlayfs reads is ours alone: with it a layer could lead to
    /// others.
    fn may_set(&self, name: &[u8]) -> bool {
        let is_user = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
        match self.form {
            Form::Privileged => {
                is_user || name == b"security.capability" || name.starts_with(b"system.posix_acl_")
            }
            Form::Unprivileged => is_user,
        }
    }

    fn folder_later(&mut self, path: EntryPath, entry: &Entry) -> Result<(), BadLayer> {
        let folder = self.tree.open_folder(&path)?;
        // Until the end its owner, which one may be oneself, must be able to write to it.
        let open = Entry { mode: entry.mode | 0o700, ..entry.clone() };
        self.describe(&path, folder.as_fd(), &open)?;
        self.later_bytes += path.len() + size_of::<Later>();
        let later = Later { path, modified: entry.modified, mode: entry.mode };
        if self.later_bytes > LATER_BYTES_MAX {
            return self.describe_folder(&later);
        }
        self.later.push(later);
        Ok(())
    }

    fn describe_folder(&mut self, later: &Later) -> Result<(), BadLayer> {
        // Something else may stand there by now.
        let Ok(folder) = self.tree.open_folder(&later.path) else { return Ok(()) };
        if later.mode & 0o700 != 0o700 {
            fchmod(&folder, Mode::from_raw_mode(later.mode))
                .map_err(|e| later.path.unwritten(e))?;
        }
        futimens(&folder, &times(later.modified)).map_err(|e| later.path.unwritten(e))
    }

    /// From the inside out, as far as that can be told: a folder without rights lets nobody in.
    fn finish(mut self) -> Result<Report, BadLayer> {
        for later in std::mem::take(&mut self.later).iter().rev() {
            self.describe_folder(later)?;
        }
        Ok(self.report)
    }
}

fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}
