//! Looking at the processes of this machine, one after the other: a look needs a handful of file descriptors, however many
//! processes there are, and says when it could not see all.

use std::ffi::{OsStr, OsString};
use std::io;

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
            // It ended, or the system hides it, as it may those of other users.
            Err(error) if is_gone(&error) || is_barred(&error) => {}
            Err(error) => self.blind = Some(error.to_string()),
        }
    }
}

fn see(process: &Process, mark: &OsStr) -> ProcResult<Seen> {
    let stat = process.stat()?;
    let dead = matches!(stat.state, 'Z' | 'X' | 'x');
    let mark = match process.environ() {
        Ok(mut environment) => environment.remove(mark),
        // Of another user, whom this process could not end either; or it ended just now.
        Err(error) if is_gone(&error) || is_barred(&error) => None,
        Err(error) => return Err(error),
    };
    Ok(Seen { process: stat.pid, parent: stat.ppid, started: stat.starttime, dead, mark })
}

fn is_gone(error: &ProcError) -> bool {
    let no_such = |error: &io::Error| error.raw_os_error() == Some(Errno::ESRCH as i32);
    matches!(error, ProcError::NotFound(_))
        || matches!(error, ProcError::Io(error, _) if no_such(error))
}

fn is_barred(error: &ProcError) -> bool {
    matches!(error, ProcError::PermissionDenied(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_with_its_mark_while_it_lives() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .env("AIRSIDE_TEST_OF_LOOK", "here")
            .spawn()
            .unwrap();
        let number = i32::try_from(child.id()).unwrap();
        let find = |look: Look| look.seen.into_iter().find(|seen| seen.process == number);
        let seen = find(look("AIRSIDE_TEST_OF_LOOK")).unwrap();
        assert_eq!(seen.mark.as_deref(), Some(OsStr::new("here")));
        assert_eq!(u32::try_from(seen.parent).unwrap(), std::process::id());
        assert!(!seen.dead && seen.started > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(find(look("AIRSIDE_TEST_OF_LOOK")), None);
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_taken_for_dead() {
        let error = |errno: Errno| io::Error::from_raw_os_error(errno as i32);
        let blind = |error: ProcError| {
            let mut look = Look::default();
            look.add(Err(error), OsStr::new(""));
            look.blind
        };
        let words = blind(ProcError::Io(error(Errno::EMFILE), Some("/proc/7".into()))).unwrap();
        assert!(words.contains("Too many open files"), "{words}");
        assert_eq!(blind(ProcError::Io(error(Errno::ESRCH), None)), None);
        assert_eq!(blind(ProcError::NotFound(None)), None);
        assert_eq!(blind(ProcError::PermissionDenied(None)), None);
    }
}
