//! Watching a process that is not a child of this one: the system tells when it ends, and its number cannot be taken for
//! another's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use procfs::process::Process;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process that lived when it was looked at. Ready to be read once it has ended.
#[derive(Debug)]
pub struct Watched(OwnedFd);

impl Watched {
    /// The process that has this number now; `None` if none has.
    pub fn present(process: u32) -> io::Result<Option<Self>> {
        let number = i32::try_from(process).map_err(io::Error::other)?;
        let Some(pid) = Pid::from_raw(number) else {
            return Ok(None);
        };
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(file) => Ok(Some(Self(file))),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The process that has this number and started then, in clock ticks since boot; `None` if it is no more.
    pub fn new(process: u32, started: u64) -> io::Result<Option<Self>> {
        let Some(watched) = Self::present(process)? else {
            return Ok(None);
        };
        // Only now: the number stays this process's for as long as the file shows it alive.
        let number = i32::try_from(process).map_err(io::Error::other)?;
        let stat = Process::new(number).and_then(|process| process.stat());
        let same = stat.is_ok_and(|stat| stat.starttime == started && stat.state != 'Z');
        Ok(same.then_some(watched))
    }
}

impl From<Watched> for OwnedFd {
    fn from(watched: Watched) -> Self {
        watched.0
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl std::os::fd::AsRawFd for Watched {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    #[test]
    fn the_end_of_a_process_is_seen_and_another_is_not_taken_for_it() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let number = child.id();
        let stat = Process::new(i32::try_from(number).unwrap()).and_then(|p| p.stat()).unwrap();
        assert!(Watched::new(number, stat.starttime + 1).unwrap().is_none());
        let watched = Watched::new(number, stat.starttime).unwrap().unwrap();
        let ended = |at_most: PollTimeout| {
            let mut looked = [PollFd::new(watched.as_fd(), PollFlags::POLLIN)];
            poll(&mut looked, at_most).unwrap() > 0
        };
        assert!(!ended(PollTimeout::ZERO));
        child.kill().unwrap();
        assert!(ended(PollTimeout::from(20_000_u16)));
        // Also while nobody has buried it.
        assert!(Watched::new(number, stat.starttime).unwrap().is_none());
        child.wait().unwrap();
        assert!(Watched::new(number, stat.starttime).unwrap().is_none());
    }
}
