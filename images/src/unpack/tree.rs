//! The folder that a layer is unpacked into. All names are resolved by the kernel with the folder as root (`openat2` with
//! `RESOLVE_IN_ROOT`), so that neither `..` nor links that the layer made itself lead out of it; the last part of
//! a name is never followed.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, XattrFlags, fsetxattr, linkat, makedev, mkdirat,
    mknodat, openat, openat2, readlink, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::names::{DEPTH_MAX, FolderPath};
use super::{BadLayer, EntryPath, Form};

/// Of folders that the layer does not speak of, and of all until their mode is set.
const FOLDER_MODE: u32 = 0o755;

/// Of files while they are written.
const FILE_MODE: u32 = 0o600;

/// A rename elsewhere can make the kernel ask to resolve again.
const RESOLVE_TRIES: usize = 16;

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

pub(super) struct Tree {
    root: OwnedFd,
    /// Where it really is: what the kernel calls it.
    root_path: PathBuf,
    form: Form,
    /// Archives are sorted by folder: the last one is kept open. Forgotten when anything is replaced.
    last: Option<(Vec<u8>, OwnedFd)>,
}

impl Tree {
    pub(super) fn new(folder: BorrowedFd<'_>, form: Form) -> Result<Self, BadLayer> {
        let at_root = |source| BadLayer::Write { path: PathBuf::new(), source };
        let root = folder.try_clone_to_owned().map_err(at_root)?;
        let root_path = path_of(&root).map_err(|error| at_root(error.into()))?;
        Ok(Self { root, root_path, form, last: None })
    }

    /// The open folder in which `path` is, made where it is missing, and the last part of `path`.
    pub(super) fn parent<'a>(
        &mut self,
        path: &'a EntryPath,
    ) -> Result<(BorrowedFd<'_>, &'a [u8]), BadLayer> {
        let (folder, name) = path.split();
        let is_open = self.last.as_ref().is_some_and(|(open, _)| open == folder.bytes());
        if !is_open {
            self.last = Some((folder.bytes().to_vec(), self.reach(path, folder)?));
        }
        let open = self.last.as_ref().map_or(&self.root, |(_, open)| open);
        Ok((open.as_fd(), name))
    }

    pub(super) fn open_folder(&self, path: &EntryPath) -> Result<OwnedFd, BadLayer> {
        self.open(path.as_folder()).map_err(|error| path.unwritten(error))
    }

    /// An empty file, in place of whatever was there.
    pub(super) fn make_file(&mut self, path: &EntryPath) -> Result<OwnedFd, BadLayer> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.make(path, |folder, name| openat(folder, name, flags, Mode::from_raw_mode(FILE_MODE)))
    }

    pub(super) fn make_symlink(&mut self, path: &EntryPath, target: &[u8]) -> Result<(), BadLayer> {
        self.make(path, |folder, name| symlinkat(target, folder, name))
    }

    pub(super) fn make_fifo(&mut self, path: &EntryPath, mode: Mode) -> Result<(), BadLayer> {
        self.make(path, |folder, name| {
            mknodat(folder, name, FileType::Fifo, mode, 0)?;
            // The process's umask has had its say.
            rustix::fs::chmodat(folder, name, mode, AtFlags::empty())
        })
    }

    /// A further name of what the layer has as `target`, never of what that may be a link to.
    pub(super) fn make_hardlink(
        &mut self,
        path: &EntryPath,
        target: &EntryPath,
    ) -> Result<(), BadLayer> {
        if path == target {
            return Ok(());
        }
        let (folder, name) = target.split();
        let missing = |error| match error {
            Errno::NOENT | Errno::NOTDIR => path.without_target(target.shown()),
            error => path.unwritten(error),
        };
        let from = self.open(folder).map_err(missing)?;
        let found = statat(&from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(missing)?;
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            return Err(path.refused("a hard link cannot lead to a folder"));
        }
        self.make(path, |to, new| linkat(&from, name, to, new, AtFlags::empty()))
    }

    /// A folder. One that is there stays, with what is in it; one that was deleted before begins empty.
    pub(super) fn make_folder(&mut self, path: &EntryPath) -> Result<(), BadLayer> {
        let (folder, name) = self.parent(path)?;
        let make = || mkdirat(folder, name, Mode::from_raw_mode(FOLDER_MODE));
        match make() {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => (),
            Err(error) => return Err(path.unwritten(error)),
        }
        let found =
            statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| path.unwritten(e))?;
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            return Ok(());
        }
        unlinkat(folder, name, AtFlags::empty())
            .and_then(|()| make())
            .map_err(|e| path.unwritten(e))?;
        self.last = None;
        if is_whiteout(&found) { self.hide_below(path) } else { Ok(()) }
    }

    /// Layers below have this no more. What this layer itself has there stays: the order within an archive does not matter.
    pub(super) fn delete(&mut self, path: &EntryPath) -> Result<(), BadLayer> {
        let (folder, name) = self.parent(path)?;
        let made = mknodat(folder, name, FileType::CharacterDevice, Mode::empty(), makedev(0, 0));
        match made {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => {
                let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
                let found = found.map_err(|error| path.unwritten(error))?;
                let is_folder = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
                if is_folder { self.hide_below(path) } else { Ok(()) }
            }
            Err(error) => Err(path.unwritten(error)),
        }
    }

    /// Whatever layers below have in this folder is hidden.
    pub(super) fn hide_below(&mut self, path: &EntryPath) -> Result<(), BadLayer> {
        let folder = self.reach(path, path.as_folder())?;
        fsetxattr(&folder, self.form.opaque_attribute(), b"y", XattrFlags::empty())
            .map_err(|error| path.unwritten(error))
    }

    /// Makes one thing; if something else has the name, it goes.
    fn make<T>(
        &mut self,
        path: &EntryPath,
        make: impl Fn(BorrowedFd<'_>, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, BadLayer> {
        let (folder, name) = self.parent(path)?;
        match make(folder, name) {
            Err(Errno::EXIST) => (),
            other => return other.map_err(|error| path.unwritten(error)),
        }
        remove(folder, name).map_err(|source| match source.raw_os_error() {
            Some(code) => path.unwritten(Errno::from_raw_os_error(code)),
            None => path.unwritten(Errno::IO),
        })?;
        self.last = None;
        let (folder, name) = self.parent(path)?;
        make(folder, name).map_err(|error| path.unwritten(error))
    }

    /// Opens a folder, and makes what is missing of it.
    fn reach(&self, path: &EntryPath, folder: FolderPath<'_>) -> Result<OwnedFd, BadLayer> {
        match self.open(folder) {
            Err(Errno::NOENT) => (),
            other => return other.map_err(|error| path.unwritten(error)),
        }
        let mut reached: Vec<u8> = Vec::new();
        let mut open = self.open(FolderPath::root()).map_err(|error| path.unwritten(error))?;
        for part in folder.parts() {
            match mkdirat(&open, part, Mode::from_raw_mode(FOLDER_MODE)) {
                Ok(()) | Err(Errno::EXIST) => (),
                Err(error) => return Err(path.unwritten(error)),
            }
            reached.extend(part.iter().chain(b"/"));
            open = self.open(FolderPath::of(&reached)).map_err(|error| match error {
                Errno::NOENT => path.refused("it is below a link that leads nowhere"),
                error => path.unwritten(error),
            })?;
        }
        Ok(open)
    }

    /// Opens a folder below the root, through links of the layer at most.
    fn open(&self, folder: FolderPath<'_>) -> Result<OwnedFd, Errno> {
        let bytes = if folder.bytes().is_empty() { b"." } else { folder.bytes() };
        let straight = self.resolve(bytes, IN_ROOT | ResolveFlags::NO_SYMLINKS);
        if !matches!(straight, Err(Errno::LOOP)) {
            return straight;
        }
        // Through links a folder can be deeper than its name is long.
        let open = self.resolve(bytes, IN_ROOT)?;
        let real = path_of(&open)?;
        let below = real.strip_prefix(&self.root_path).map_err(|_| Errno::XDEV)?;
        if below.components().count() >= DEPTH_MAX { Err(Errno::NAMETOOLONG) } else { Ok(open) }
    }

    fn resolve(&self, name: &[u8], flags: ResolveFlags) -> Result<OwnedFd, Errno> {
        let open = || openat2(&self.root, name, FOLDER, Mode::empty(), flags);
        let mut result = open();
        for _ in 1..RESOLVE_TRIES {
            match result {
                Err(Errno::AGAIN | Errno::INTR) => result = open(),
                _ => break,
            }
        }
        result
    }
}

/// What overlayfs takes for a deletion.
pub(crate) fn is_whiteout(found: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice && found.st_rdev == 0
}

fn path_of(folder: &OwnedFd) -> Result<PathBuf, Errno> {
    let link = readlink(format!("/proc/self/fd/{}", folder.as_raw_fd()), Vec::new())?;
    Ok(Path::new(std::ffi::OsStr::from_bytes(link.as_bytes())).to_owned())
}

/// Removes a file, a link, or a folder with all in it; links are not followed.
fn remove(folder: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    match unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {
            let below = format!("/proc/self/fd/{}", folder.as_raw_fd());
            std::fs::remove_dir_all(Path::new(&below).join(std::ffi::OsStr::from_bytes(name)))
        }
        other => Ok(other?),
    }
}
