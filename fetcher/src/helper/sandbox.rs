//! The sandbox as a folder that nothing leads out of: every path is looked up by the kernel below it (`openat2` with
//! `RESOLVE_BENEATH`), so that a link that somebody laid, or an archive brought, can be followed within it only.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT, fchmod,
    futimens, linkat, mkdirat, open, openat2, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

/// The kernel asks to look again when something was moved meanwhile.
const TRIES: u32 = 64;

pub(super) struct Folder {
    fd: OwnedFd,
}

impl Folder {
    pub(super) fn open(path: &str) -> Result<Self, String> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let fd = open(path, flags, Mode::empty());
        Ok(Self { fd: fd.map_err(|error| format!("open the sandbox {path}: {error}"))? })
    }

    fn look_up(&self, path: &str, flags: OFlags, mode: u32) -> Result<OwnedFd, Errno> {
        let mode = Mode::from_raw_mode(mode);
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let mut tries = 0;
        loop {
            match openat2(&self.fd, path, flags | OFlags::CLOEXEC, mode, beneath) {
                Err(Errno::AGAIN) if tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    fn folder(&self, path: &str) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        self.look_up(path, OFlags::PATH | OFlags::DIRECTORY, 0)
    }

    /// The folder that a path's last part lies in, made if need be, and that part.
    fn parent<'n>(&self, name: &'n str) -> Result<(OwnedFd, &'n str), String> {
        let Some((folders, last)) = name.rsplit_once('/') else {
            return Ok((self.folder("").map_err(|error| words(name, error))?, name));
        };
        self.make_folders(folders)?;
        Ok((self.folder(folders).map_err(|error| words(name, error))?, last))
    }

    /// All of them.
    pub(super) fn make_folders(&self, path: &str) -> Result<(), String> {
        match self.folder(path) {
            Ok(_) => return Ok(()),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(words(path, error)),
        }
        let mut at = 0;
        for part in path.split('/') {
            let above = self.folder(path[..at].trim_end_matches('/'));
            let above = above.map_err(|error| words(path, error))?;
            match mkdirat(&above, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(words(path, error)),
            }
            at += part.len() + 1;
        }
        // A file, or a link that leads nowhere or out, may have been there.
        self.folder(path).map(drop).map_err(|error| words(path, error))
    }

    /// A new file, in the place of whatever file or link had its name.
    pub(super) fn create(&self, name: &str, mode: u32) -> Result<File, String> {
        let (folder, last) = self.parent(name)?;
        make_way(&folder, last).map_err(|error| words(name, error))?;
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&folder, last, flags, Mode::from_raw_mode(0o600));
        let file = made.map_err(|error| words(name, error))?;
        // Above the mask.
        fchmod(&file, Mode::from_raw_mode(mode)).map_err(|error| words(name, error))?;
        Ok(file.into())
    }

    /// Where it leads matters to whoever follows it, and that is the task's user.
    pub(super) fn link(&self, name: &str, to: &str) -> Result<(), String> {
        let (folder, last) = self.parent(name)?;
        make_way(&folder, last).map_err(|error| words(name, error))?;
        symlinkat(to, &folder, last).map_err(|error| words(name, error))
    }

    /// Another name of a file that is in the sandbox.
    pub(super) fn hard_link(&self, name: &str, of: &str) -> Result<(), String> {
        let (folder, last) = self.parent(name)?;
        let (from, file) = of.rsplit_once('/').unwrap_or(("", of));
        let from = self.folder(from).map_err(|error| words(of, error))?;
        if name != of {
            make_way(&folder, last).map_err(|error| words(name, error))?;
            linkat(&from, file, &folder, last, AtFlags::empty())
                .map_err(|error| words(name, error))?;
        }
        Ok(())
    }

    /// Once nothing is written into it any more.
    pub(super) fn set_mode(&self, name: &str, mode: u32) -> Result<(), String> {
        let opened = self.look_up(name, OFlags::RDONLY | OFlags::DIRECTORY, 0);
        opened
            .and_then(|folder| fchmod(folder, Mode::from_raw_mode(mode)))
            .map_err(|error| words(name, error))
    }
}

/// When it was changed last, in seconds since 1970.
pub(super) fn set_modified(file: impl AsFd, seconds: u64) {
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let modified = Timespec { tv_sec: i64::try_from(seconds).unwrap_or(0), tv_nsec: 0 };
    // Nobody's task fails for that.
    let _ = futimens(file, &Timestamps { last_access: omit, last_modification: modified });
}

fn make_way(folder: &OwnedFd, name: &str) -> Result<(), Errno> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
            Err(Errno::ISDIR)
        }
        Ok(_) => unlinkat(folder, name, AtFlags::empty()),
    }
}

fn words(name: &str, error: Errno) -> String {
    let shown = name.escape_debug();
    match error {
        Errno::XDEV => format!("'{shown}' would lie outside of the sandbox"),
        Errno::ISDIR => format!("'{shown}' is a folder of the sandbox already"),
        error => format!("write '{shown}' in the sandbox: {}", std::io::Error::from(error)),
    }
}
