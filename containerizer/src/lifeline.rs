//! How a process sees that the one it works for is gone, however that ended: a pipe that nothing is written to. Its readers
//! see its end when the last holder of the writing end is gone, and that is one process. Unlike a signal at the parent's
//! death, it does not depend on the thread that started the reader, outlasts a change of user, and is seen also by whoever
//! looks for the first time when all is over.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use nix::unistd::close;

/// Held by whoever is to be seen: both ends, of which children get the reading one only, and only if they are to.
#[derive(Debug)]
pub struct Lifeline {
    reader: PipeReader,
    _writer: PipeWriter,
}

impl Lifeline {
    /// Of this process, for as long as it is held.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { reader, _writer: writer })
    }

    /// By which a child that inherits it knows it.
    pub fn number(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}

impl AsFd for Lifeline {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Takes the reading end that this process inherited by this number; it is not passed on to children. Once it is ready, the
/// other side is gone.
pub fn take(number: RawFd) -> io::Result<File> {
    let file = File::open(format!("/proc/self/fd/{number}"))?;
    close(number)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, poll};

    /// Other tests start children, each of which has the writing end until its program begins: so it may take a moment.
    const SOON: u16 = 20_000;

    fn is_gone(reader: &File, at_most: u16) -> bool {
        let mut looked = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        poll(&mut looked, at_most).unwrap() > 0
    }

    #[test]
    fn it_ends_with_its_holder_also_for_who_looks_late() {
        let lifeline = Lifeline::new().unwrap();
        let inherited = |lifeline: &Lifeline| {
            let number = nix::unistd::dup(lifeline).unwrap();
            take(std::os::fd::IntoRawFd::into_raw_fd(number)).unwrap()
        };
        let early = inherited(&lifeline);
        assert!(!is_gone(&early, 0));
        let late = nix::unistd::dup(&lifeline).unwrap();
        drop(lifeline);
        assert!(is_gone(&early, SOON));
        assert!(is_gone(&take(std::os::fd::IntoRawFd::into_raw_fd(late)).unwrap(), 0));
    }
}
