//! Programs as they are to be started: as a child of this process, or by a second start, which is another process of the
//! executor's program that is told in an open file what to start.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{User, close};
use protocol::executor::{ENV_STARTS, START_PROGRAM_BYTES_MAX, StartProgram};

/// What a second start leaves begins with this; what it was told does not.
const WHY_NOT: &str = "why not: ";
/// Of what it leaves.
const WHY_NOT_BYTES_MAX: usize = 4096;

/// The program as a child of this process, with nothing of this process's environment, and as its user if that is given.
pub fn command(start: &StartProgram, user: Option<&User>) -> Command {
    let mut command = Command::new(&start.program);
    if let Some((name, rest)) = start.arguments.split_first() {
        command.arg0(name).args(rest);
    }
    let pairs = start.environment.iter();
    let os = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    command.env_clear().envs(pairs.map(|(name, value)| (os(name), os(value))));
    if let Some(user) = user {
        command.gid(user.gid.as_raw()).uid(user.uid.as_raw());
    }
    command
}

/// Starts a child that inherits these. No other thread may start one meanwhile: it would inherit them too.
pub fn inherited<T>(
    files: &[BorrowedFd<'_>],
    start: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let set = |flags: FdFlag| {
        files.iter().try_for_each(|file| fcntl(file, FcntlArg::F_SETFD(flags)).map(drop))
    };
    let started = set(FdFlag::empty()).map_err(io::Error::from).and_then(|()| start());
    // It cannot fail for a file that is open.
    let _ = set(FdFlag::FD_CLOEXEC);
    started
}

/// The file in memory that tells a second start what to start. In its place that leaves why it could not, if so.
#[derive(Debug)]
pub struct Handed(File);

impl Handed {
    /// For one child, which must inherit it; see [`inherited`].
    pub fn new(start: &StartProgram) -> io::Result<Self> {
        let mut file = File::from(memfd_create("airside", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(&start.to_bytes().map_err(io::Error::other)?)?;
        Ok(Self(file))
    }

    /// The variable that tells the child where to look.
    pub fn variable(&self) -> (&'static str, String) {
        (ENV_STARTS, self.0.as_raw_fd().to_string())
    }

    /// Why the second start, which has ended, started nothing; `None`: it did, or was killed before it could say.
    pub fn why_not(&self) -> Option<String> {
        let mut bytes = [0; WHY_NOT_BYTES_MAX];
        let read = self.0.read_at(&mut bytes, 0).ok()?;
        let words = bytes[..read].strip_prefix(WHY_NOT.as_bytes())?;
        Some(String::from_utf8_lossy(words).into_owned())
    }
}

impl AsFd for Handed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The same file, as the second start has it. The program does not get it.
#[derive(Debug)]
pub struct Told(File);

impl Told {
    /// Takes the file that the variable names, and what is in it.
    pub fn take(number: &OsStr) -> io::Result<(StartProgram, Self)> {
        let number: i32 = number.to_string_lossy().parse().map_err(io::Error::other)?;
        let path = format!("/proc/self/fd/{number}");
        let mut file = File::options().read(true).write(true).open(path)?;
        close(number)?;
        let mut bytes = Vec::new();
        (&mut file).take(START_PROGRAM_BYTES_MAX as u64).read_to_end(&mut bytes)?;
        // It may be large, and is kept open.
        file.set_len(0)?;
        let start = StartProgram::from_bytes(&bytes).map_err(io::Error::other)?;
        Ok((start, Self(file)))
    }

    /// Leaves why nothing was started.
    pub fn leave(&self, why_not: &str) -> io::Result<()> {
        self.0.write_all_at(format!("{WHY_NOT}{why_not}").as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_is_told_and_why_not_comes_back() {
        let mut start = StartProgram { program: "sh".into(), ..StartProgram::default() };
        start.environment.push((b"LD_PRELOAD".to_vec(), b"/tmp/evil.so".to_vec()));
        let handed = Handed::new(&start).unwrap();
        assert_eq!(handed.why_not(), None, "before it is read");
        // As a child has it that inherited it.
        let number = nix::unistd::dup(&handed).unwrap();
        let number = std::os::fd::IntoRawFd::into_raw_fd(number).to_string();
        let (told, file) = Told::take(OsStr::new(&number)).unwrap();
        assert_eq!(told, start);
        assert_eq!(handed.why_not(), None, "all is well so far");
        file.leave("start sh: no such file").unwrap();
        assert_eq!(handed.why_not().as_deref(), Some("start sh: no such file"));
    }

    #[test]
    fn children_inherit_what_they_are_to_and_nothing_else() {
        let handed = Handed::new(&StartProgram::default()).unwrap();
        let is_there = || {
            let mut command = Command::new("test");
            command.args(["-e", &format!("/proc/self/fd/{}", handed.0.as_raw_fd())]);
            command.status()
        };
        assert!(inherited(&[handed.as_fd()], is_there).unwrap().success());
        assert!(!is_there().unwrap().success());
    }
}
