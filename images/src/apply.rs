//! Lays an unpacked layer over a folder, for where overlayfs cannot be used: deletions are carried out, everything else is
//! copied. Links in the folder are never followed, since a layer below may have made them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
    chownat, fchmod, fchown, fgetxattr, flistxattr, fsetxattr, fstat, futimens, linkat, mkdirat,
    mknodat, openat, readlinkat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::unpack::{Form, is_whiteout};

#[cfg(test)]
mod tests;

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Of one file. Names are small: this is what the kernel allows at most.
const ATTRIBUTE_BYTES_MAX: usize = 64 << 10;

/// Why a layer could not be laid over a folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path} of the image's copy")]
pub struct ApplyError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl ApplyError {
    /// What the system said.
    #[must_use]
    pub fn cause(&self) -> &io::Error {
        &self.source
    }
}

/// Lays `layer`, unpacked in `form`, over `root`. Layers are laid from the bottom up, beginning with an empty folder. It
/// blocks for as long as copying takes.
///
/// # Errors
/// What could not be copied. The folder is of no use then.
pub fn apply_layer(layer: &Path, root: &Path, form: Form) -> Result<(), ApplyError> {
    let open = |path: &Path| {
        openat(CWD, path, FOLDER, Mode::empty()).map_err(|error| failed("open", path, error))
    };
    let (from, to) = (open(layer)?, open(root)?);
    let mut copy = Copy { form, root: root.to_owned(), linked: BTreeMap::new() };
    copy.folder(from.as_fd(), to.as_fd(), Path::new(""))
}

fn failed(what: &'static str, path: &Path, error: Errno) -> ApplyError {
    ApplyError { what, path: path.to_owned(), source: error.into() }
}

struct Copy {
    form: Form,
    root: PathBuf,
    /// Of files with several names: the first one, by number.
    linked: BTreeMap<u64, PathBuf>,
}

impl Copy {
    fn folder(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        path: &Path,
    ) -> Result<(), ApplyError> {
        let read = |error| failed("read", path, error);
        if self.is_opaque(from) {
            for name in names(to).map_err(read)? {
                remove(to, &name).map_err(|error| failed("replace", &path.join(&name), error))?;
            }
        }
        for name in names(from).map_err(read)? {
            self.entry(from, to, &name, &path.join(&name))?;
        }
        let found = fstat(from).map_err(read)?;
        self.describe(from, to, &found).map_err(|error| failed("describe", path, error))
    }

    fn entry(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &OsStr,
        path: &Path,
    ) -> Result<(), ApplyError> {
        let make = |error| failed("make", path, error);
        let found = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed("read", path, error))?;
        let kind = FileType::from_raw_mode(found.st_mode);
        let stays = kind == FileType::Directory && is_folder(to, name);
        if !stays {
            remove(to, name).map_err(|error| failed("replace", path, error))?;
        }
        match kind {
            FileType::Directory => {
                if !stays {
                    mkdirat(to, name, Mode::RWXU).map_err(make)?;
                }
                let open = |folder| openat(folder, name, FOLDER, Mode::empty()).map_err(make);
                self.folder(open(from)?.as_fd(), open(to)?.as_fd(), path)
            }
            FileType::RegularFile => self.file(from, to, name, path, &found),
            FileType::Symlink => {
                let target = readlinkat(from, name, Vec::new()).map_err(make)?;
                symlinkat(&target, to, name).map_err(make)?;
                self.describe_unopened(to, name, &found).map_err(make)
            }
            FileType::Fifo => {
                let mode = Mode::from_raw_mode(found.st_mode);
                mknodat(to, name, FileType::Fifo, mode, 0).map_err(make)?;
                rustix::fs::chmodat(to, name, mode, AtFlags::empty()).map_err(make)?;
                self.describe_unopened(to, name, &found).map_err(make)
            }
            // A deletion is done by now. Nothing else is ever unpacked.
            FileType::CharacterDevice if is_whiteout(&found) => Ok(()),
            FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Socket
            | FileType::Unknown => Err(make(Errno::NOTSUP)),
        }
    }

    fn file(
        &mut self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &OsStr,
        path: &Path,
        found: &Stat,
    ) -> Result<(), ApplyError> {
        let make = |error| failed("make", path, error);
        if found.st_nlink > 1 {
            if let Some(first) = self.linked.get(&found.st_ino) {
                return linkat(CWD, self.root.join(first), to, name, AtFlags::empty())
                    .map_err(make);
            }
            self.linked.insert(found.st_ino, path.to_owned());
        }
        let open = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = openat(from, name, open | OFlags::RDONLY, Mode::empty()).map_err(make)?;
        let new = open | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let target = openat(to, name, new, Mode::RUSR | Mode::WUSR).map_err(make)?;
        let (mut source, mut target) = (File::from(source), File::from(target));
        // The kernel copies, or shares the blocks where the file system can.
        io::copy(&mut source, &mut target).map_err(|source| ApplyError {
            what: "copy",
            path: path.to_owned(),
            source,
        })?;
        self.describe(source.as_fd(), target.as_fd(), found).map_err(make)
    }

    /// Owner, attributes, mode and times; the owner first, since a new one takes the set-id bits away.
    fn describe(
        &self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        found: &Stat,
    ) -> Result<(), Errno> {
        if self.form == Form::Privileged {
            fchown(to, Some(Uid::from_raw(found.st_uid)), Some(Gid::from_raw(found.st_gid)))?;
        }
        for name in attributes(from)? {
            if !name.as_bytes().windows(9).any(|part| part == b".overlay.") {
                let mut value = vec![0; ATTRIBUTE_BYTES_MAX];
                let length = fgetxattr(from, &name, &mut value)?;
                match fsetxattr(to, &name, &value[..length], XattrFlags::empty()) {
                    // The other file system may not have them all.
                    Ok(()) | Err(Errno::OPNOTSUPP) => (),
                    Err(error) => return Err(error),
                }
            }
        }
        fchmod(to, Mode::from_raw_mode(found.st_mode))?;
        futimens(to, &times(found))
    }

    fn describe_unopened(
        &self,
        to: BorrowedFd<'_>,
        name: &OsStr,
        found: &Stat,
    ) -> Result<(), Errno> {
        if self.form == Form::Privileged {
            let (uid, gid) = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
            chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        utimensat(to, name, &times(found), AtFlags::SYMLINK_NOFOLLOW)
    }

    fn is_opaque(&self, folder: BorrowedFd<'_>) -> bool {
        let mut value = [0; 8];
        fgetxattr(folder, self.form.opaque_attribute(), &mut value)
            .is_ok_and(|length| &value[..length] == b"y")
    }
}

fn times(found: &Stat) -> Timestamps {
    let nanoseconds = i64::try_from(found.st_mtime_nsec).unwrap_or_default();
    let time = Timespec { tv_sec: found.st_mtime, tv_nsec: nanoseconds };
    Timestamps { last_access: time, last_modification: time }
}

/// Names of what is set on a file; none where the file system has no attributes.
fn attributes(file: BorrowedFd<'_>) -> Result<Vec<OsString>, Errno> {
    let mut list = vec![0; ATTRIBUTE_BYTES_MAX];
    let length = match flistxattr(file, &mut list) {
        Err(Errno::OPNOTSUPP) => 0,
        other => other?,
    };
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect())
}

fn names(folder: BorrowedFd<'_>) -> Result<Vec<OsString>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            found.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(found)
}

fn is_folder(folder: BorrowedFd<'_>, name: &OsStr) -> bool {
    let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory)
}

/// Whatever has the name, with all in it; nothing is fine, too.
fn remove(folder: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => {
            let open: OwnedFd = folder.try_clone_to_owned().map_err(|_| Errno::MFILE)?;
            let below = format!("/proc/self/fd/{}", open.as_raw_fd());
            std::fs::remove_dir_all(Path::new(&below).join(name))
                .map_err(|error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))
        }
        Err(error) => Err(error),
    }
}
