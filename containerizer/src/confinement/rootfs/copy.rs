//! Layers made one by copying them, the lower ones first: what the marks of a layer say is gone is deleted, everything else
//! gets its type, rights, owner, times, links and extended attributes. Links are copied, never followed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

/// Which file, and why.
#[derive(Debug)]
pub(super) struct CopyError {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

/// Says in an overlay that what lower layers have in this folder is gone.
const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];
/// Of an overlay's own attributes, none of which is the image's.
const OF_OVERLAY: [&str; 2] = ["trusted.overlay.", "user.overlay."];
/// Folders in folders; deeper than any path that can be named.
const DEPTH_MAX: usize = 2048;

/// Where names of one file were copied to, by its device and number.
type Copied = BTreeMap<(u64, u64), PathBuf>;

/// Copies one layer over what is there.
pub(super) fn apply(layer: &Path, to: &Path) -> Result<(), CopyError> {
    let mut copied = Copied::new();
    // Folders get their rights and times once nothing is put into them any more.
    let mut folders = Vec::new();
    let mut open = vec![(layer.to_owned(), to.to_owned(), 0)];
    while let Some((from, to, depth)) = open.pop() {
        let failed = |source| CopyError { path: from.clone(), source };
        if depth > DEPTH_MAX {
            return Err(failed(io::Error::other("folders are nested too deeply")));
        }
        folders.push((from.clone(), to.clone()));
        for entry in fs::read_dir(&from).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let failed = |source| CopyError { path: from.clone(), source };
            let metadata = fs::symlink_metadata(&from).map_err(failed)?;
            if copy(&from, &to, &metadata, &mut copied).map_err(failed)? {
                open.push((from, to, depth + 1));
            }
        }
    }
    for (from, to) in folders.iter().rev() {
        let failed = |source| CopyError { path: from.clone(), source };
        let metadata = fs::symlink_metadata(from).map_err(failed)?;
        dress(from, to, &metadata).map_err(failed)?;
    }
    Ok(())
}

/// Whether it is a folder, into which the copying has to go.
fn copy(from: &Path, to: &Path, metadata: &Metadata, copied: &mut Copied) -> io::Result<bool> {
    let kind = metadata.file_type();
    let there = fs::symlink_metadata(to).ok();
    if kind.is_char_device() && metadata.rdev() == 0 {
        remove(to, there.as_ref())?;
        return Ok(false);
    }
    if kind.is_dir() {
        let keeps = there.as_ref().is_some_and(Metadata::is_dir) && !is_opaque(from);
        if !keeps {
            remove(to, there.as_ref())?;
            fs::create_dir(to)?;
        }
        return Ok(true);
    }
    remove(to, there.as_ref())?;
    let identity = (metadata.dev(), metadata.ino());
    if metadata.nlink() > 1
        && let Some(first) = copied.get(&identity)
    {
        fs::hard_link(first, to)?;
        return Ok(false);
    }
    if kind.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
    } else if kind.is_file() {
        fs::copy(from, to)?;
    } else {
        let kind = FileType::from_raw_mode(metadata.mode());
        let mode = Mode::from_raw_mode(metadata.mode());
        rustix::fs::mknodat(CWD, to, kind, mode, metadata.rdev())?;
    }
    dress(from, to, metadata)?;
    copied.insert(identity, to.to_owned());
    Ok(false)
}

fn remove(path: &Path, there: Option<&Metadata>) -> io::Result<()> {
    match there {
        None => Ok(()),
        Some(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Some(_) => fs::remove_file(path),
    }
}

fn is_opaque(folder: &Path) -> bool {
    let mut value = [0; 8];
    let mut says = |name: &&str| {
        rustix::fs::lgetxattr(folder, *name, &mut value[..]).is_ok_and(|bytes| bytes == 1)
    };
    OPAQUE.iter().any(&mut says) && value[0] == b'y'
}

/// Owner, rights, times, attributes. An owner who does not exist in this user namespace is left out: there is one user only.
fn dress(from: &Path, to: &Path, metadata: &Metadata) -> io::Result<()> {
    match std::os::unix::fs::lchown(to, Some(metadata.uid()), Some(metadata.gid())) {
        Err(error) if has_no_such_user(&error) => {}
        done => done?,
    }
    copy_attributes(from, to)?;
    let is_link = metadata.file_type().is_symlink();
    // After the owner, whose change takes the bits that change who runs a program.
    if !is_link {
        rustix::fs::chmod(to, Mode::from_raw_mode(metadata.mode() & 0o7777))?;
    }
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps {
        last_access: time(metadata.atime(), metadata.atime_nsec()),
        last_modification: time(metadata.mtime(), metadata.mtime_nsec()),
    };
    rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn has_no_such_user(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    [Errno::INVAL, Errno::PERM].iter().any(|no| errno == Some(no.raw_os_error()))
        && super::in_user_namespace()
}

/// Those that may not be set here, as a file's capabilities without root, are left out.
fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::llistxattr(from, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut value = vec![0; 64 << 10];
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name: &OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
        if OF_OVERLAY.iter().any(|own| name.as_encoded_bytes().starts_with(own.as_bytes())) {
            continue;
        }
        let length = rustix::fs::lgetxattr(from, name, &mut value[..])?;
        match rustix::fs::lsetxattr(to, name, &value[..length], XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
