//! The parent of a framework's own executor, for its agent: whatever that executor starts becomes this process's child when
//! its own parent ends, and is killed when the executor has ended, also what left its session and cleared its environment.

use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, User, geteuid};
use protocol::executor::StartProgram;
use protocol::task::Exit;

use super::{Failed, NOT_EXECUTABLE, NOT_FOUND, command, needs_groups, wrapped};
use crate::process::{tree, with_huge_pages};
use crate::set_open_files;

/// Starts the program, waits for its end, and ends the same way once nothing of it is left.
pub(super) fn main(start: &StartProgram) -> Result<ExitCode, Failed> {
    let bad = |what: &str, error: nix::Error| (format!("{what}: {error}"), NOT_EXECUTABLE);
    prctl::set_child_subreaper(true)
        .map_err(|error| bad("become the reaper of the executor's processes", error))?;
    if let Some(files) = start.open_files {
        set_open_files(files);
    }
    // They wait until they are asked for below. The standard library gives a child none of this.
    let mut heard = SigSet::empty();
    [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT].into_iter().for_each(|one| heard.add(one));
    heard.thread_block().map_err(|error| bad("listen for signals", error))?;
    let executor = spawn(start)?;
    let exit = loop {
        match heard.wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(exit) = reap(executor) {
                    break exit;
                }
            }
            // It may have ended just now.
            Ok(signal) => drop(kill(executor, signal)),
            Err(error) => return Err(bad("listen for signals", error)),
        }
    };
    clear();
    Ok(end_as(exit))
}

fn spawn(start: &StartProgram) -> Result<Pid, Failed> {
    use std::os::unix::process::CommandExt;
    let failed = |error: &std::io::Error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let code = if missing { NOT_FOUND } else { NOT_EXECUTABLE };
        (format!("start {}: {error}", start.program), code)
    };
    let unknown = |why: String| (format!("start {} as its user: {why}", start.program), 126);
    let user = match &start.user {
        None => None,
        Some(name) => {
            let found = User::from_name(name).map_err(|error| unknown(error.to_string()))?;
            Some(found.ok_or_else(|| unknown(format!("user '{name}' is unknown")))?)
        }
    };
    let user = user.filter(|user| user.uid != geteuid());
    let (mut command, _file) = match &user {
        Some(user) if needs_groups(user) => {
            let (command, file) = wrapped(&StartProgram { stays: false, ..start.clone() })
                .map_err(|error| failed(&error))?;
            (command, Some(file))
        }
        Some(user) => {
            let mut command = command(start);
            command.gid(user.gid.as_raw()).uid(user.uid.as_raw());
            (command, None)
        }
        None => (command(start), None),
    };
    command.process_group(0);
    let child = with_huge_pages(|| command.spawn()).map_err(|error| failed(&error))?;
    Ok(Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)))
}

/// Buries all that has ended; how the executor did, if it is among them.
fn reap(executor: Pid) -> Option<Exit> {
    let mut ended = None;
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
        if status.pid() == Some(executor) {
            ended = exit_of(status).or(ended);
        }
    }
    ended
}

fn exit_of(status: WaitStatus) -> Option<Exit> {
    match status {
        WaitStatus::Exited(_, code) => Some(Exit::Code(code)),
        WaitStatus::Signaled(_, signal, _) => Some(Exit::Signal(signal as i32)),
        WaitStatus::Stopped(..)
        | WaitStatus::PtraceEvent(..)
        | WaitStatus::PtraceSyscall(_)
        | WaitStatus::Continued(_)
        | WaitStatus::StillAlive => None,
    }
}

/// Each that dies may leave children to this process; when there is none, there is nothing.
fn clear() {
    loop {
        tree::signal_all(Signal::SIGKILL);
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

/// As the executor ended, so that the agent, which sees this process, sees that.
fn end_as(exit: Exit) -> ExitCode {
    let number = match exit {
        Exit::Code(code) => return ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Exit::Signal(number) => number,
    };
    if let Ok(signal) = Signal::try_from(number) {
        // The executor may have left a core; this process has none worth keeping.
        let hard = getrlimit(Resource::RLIMIT_CORE).map_or(0, |(_, hard)| hard);
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, hard);
        let _ = SigSet::all().thread_unblock();
        // The standard library's handler of faults takes itself away at the first.
        let _ = raise(signal);
        let _ = raise(signal);
    }
    // Only a signal that this process ignores leads here; shells say it so.
    ExitCode::from(u8::try_from(128 + number).unwrap_or(1))
}
