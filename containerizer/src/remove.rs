//! Removing a folder with what is in it, and nothing else: links are removed and not followed, and where something is mounted
//! it goes no further, for that is not the container's.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat2, unlinkat};
use rustix::io::Errno;

/// Folders in folders that are open at once.
const DEPTH_MAX: usize = 512;

/// Removes it; it is no error if it is not there.
///
/// # Errors
/// The disk's; that something is mounted in it, which stays with the folders above it.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    empty(&folder, 0)?;
    match unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn empty(folder: &OwnedFd, depth: usize) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::Error::other(format!("folders are nested deeper than {DEPTH_MAX}")));
    }
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = entry.file_type();
        let is_folder = kind == FileType::Directory
            || (kind == FileType::Unknown && inside(folder, name, OFlags::DIRECTORY).is_ok());
        if !is_folder {
            unlinkat(folder, name, AtFlags::empty())?;
            continue;
        }
        match inside(folder, name, OFlags::DIRECTORY) {
            Ok(below) => empty(&below, depth + 1)?,
            Err(Errno::XDEV) => {
                let name = name.to_string_lossy();
                return Err(io::Error::other(format!("something is mounted on '{name}'")));
            }
            Err(error) => return Err(error.into()),
        }
        unlinkat(folder, name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

fn inside(folder: &OwnedFd, name: &std::ffi::CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    // What cannot be read by its owner, who is whoever removes it, can after this. Not followed: it is no link.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(folder.as_fd(), name, flags, Mode::empty(), resolve) {
        Err(Errno::ACCESS) => {
            let path = openat2(folder.as_fd(), name, flags | OFlags::PATH, Mode::empty(), resolve)?;
            let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&path));
            rustix::fs::chmod(path, Mode::from_raw_mode(0o700))?;
            openat2(folder.as_fd(), name, flags, Mode::empty(), resolve)
        }
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn links_are_removed_and_what_they_point_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::create_dir_all(tree.join("a/b/c")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        fs::write(tree.join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("a/link")).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert_eq!(fs::read(outside.join("kept")).unwrap(), b"x");
        remove_tree(&tree).unwrap();
    }
}
