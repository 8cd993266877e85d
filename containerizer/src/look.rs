//! Looking at the processes of this machine, one after the other: a look needs a handful of file descriptors, however many
//! processes there are, and says when it could not see all.

use std::ffi::{OsStr, OsString};

use nix::errno::Errno;
use procfs::process::{Process, all_processes};
use procfs::{ProcError, ProcResult};

/// A process, as far as whoever looks for what an executor left needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its number.
    pub process: i32,
    /// Its parent's number.
    pub parent: i32,
    /// When it started: two that had one number are told apart by it.
    pub started: u64,
    /// Ended, and not yet buried by its parent.
    pub dead: bool,
    /// What its environment says of the variable that was asked for.
    pub mark: Option<OsString>,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// All that could be seen.
    pub seen: Vec<Seen>,
    /// Why there may be more; then nothing follows from what is missing.
    pub blind: Option<String>,
}

/// Looks at all processes, and at the variable `mark` of their environments.
pub fn look(mark: &str) -> Look {
    let mut look = Look::default();
    match all_processes() {
        Ok(processes) => processes.for_each(|process| look.add(process, OsStr::new(mark))),
        Err(error) => look.blind = Some(error.to_string()),
    }
    look
}

impl Look {
    /// The process's own descriptor is closed on return.
    fn add(&mut self, process: ProcResult<Process>, mark: &OsStr) {
        match process.and_then(|process| see(&process, mark)) {
            Ok(seen) => self.seen.push(seen),
            Err(error) if cannot_look(&error) => self.blind = Some(error.to_string()),
            // It ended, or the system hides it, as it may those of other users. Looking again would not help.
            Err(_) => {}
        }
    }
}

fn see(process: &Process, mark: &OsStr) -> ProcResult<Seen> {
    let stat = process.stat()?;
    let dead = matches!(stat.state, 'Z' | 'X' | 'x');
    let mark = match process.environ() {
        Ok(mut environment) => environment.remove(mark),
        Err(error) if cannot_look(&error) => return Err(error),
        // Of another user, whom this process could not end either; or it ended just now.
        Err(_) => None,
    };
    Ok(Seen { process: stat.pid, parent: stat.ppid, started: stat.starttime, dead, mark })
}

/// Whether this says something of who looks, and nothing of what is looked at: the process or the system opens all the
/// files that it may, or has no memory left.
pub fn cannot_look(error: &ProcError) -> bool {
    let ProcError::Io(error, _) = error else {
        return false;
    };
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::time::{Duration, Instant};

    #[test]
    fn a_process_is_seen_with_its_mark_while_it_lives() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .env("AIRSIDE_TEST_OF_LOOK", "here")
            .spawn()
            .unwrap();
        let number = i32::try_from(child.id()).unwrap();
        let find = |look: Look| look.seen.into_iter().find(|seen| seen.process == number);
        let until = Instant::now() + Duration::from_secs(10);
        let seen = loop {
            let seen = find(look("AIRSIDE_TEST_OF_LOOK")).unwrap();
            // For a moment a program that has begun has no environment yet.
            if seen.mark.is_some() || Instant::now() > until {
                break seen;
            }
        };
        assert_eq!(seen.mark.as_deref(), Some(OsStr::new("here")));
        assert_eq!(u32::try_from(seen.parent).unwrap(), std::process::id());
        assert!(!seen.dead && seen.started > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(find(look("AIRSIDE_TEST_OF_LOOK")), None);
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_taken_for_dead() {
        let io = |errno: Errno| {
            ProcError::Io(io::Error::from_raw_os_error(errno as i32), Some("/proc/7".into()))
        };
        let blind = |error: ProcError| {
            let mut look = Look::default();
            look.add(Err(error), OsStr::new(""));
            look.blind
        };
        let words = blind(io(Errno::EMFILE)).unwrap();
        assert!(words.contains("Too many open files"), "{words}");
        assert!(blind(io(Errno::ENFILE)).is_some() && blind(io(Errno::ENOMEM)).is_some());
        // These say something of the process: that it is gone, hidden or odd.
        for errno in [Errno::ESRCH, Errno::ENOENT, Errno::EACCES, Errno::EPERM, Errno::EIO] {
            assert_eq!(blind(io(errno)), None, "{errno}");
        }
        for error in [
            ProcError::NotFound(None),
            ProcError::PermissionDenied(None),
            ProcError::Incomplete(None),
            ProcError::Other("a line that is none".into()),
        ] {
            assert_eq!(blind(error), None);
        }
    }
}
