//! The shim: between an agent and a framework's own executor, of which it knows nothing but that it is a process. Whatever
//! that executor starts becomes this process's child when its own parent ends, and is killed when the executor has ended,
//! also what left its session and cleared its environment. And when the agent is lost, the executor is asked to end and
//! then made to: it may be hung, or not know that executors must not outlive their agent.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use containerizer::start::{Handed, Told};
use containerizer::{lifeline, start};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, User, geteuid};
use protocol::executor::{Shim, StartProgram};
use protocol::task::Exit;

use super::{Failed, NOT_EXECUTABLE, not_started, wrapped};
use crate::process::tree::Tree;
use crate::process::with_huge_pages;
use crate::{complain, set_open_files};

/// Between the first two looks at what is to die; doubles up to [`LOOK_AGAIN_MAX`]. The end of a child comes in between.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(10);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(500);
/// A longer one ends when the machine does; the clock cannot count all that a framework may ask for.
const GRACE_MAX: Duration = Duration::from_secs(1 << 32);

/// Starts the program, waits for its end, and ends the same way once nothing of it is left.
pub(super) fn main(start: &StartProgram, shim: &Shim, told: &Told) -> Result<ExitCode, Failed> {
    let bad = |what: &str, error: &dyn std::fmt::Display| Failed {
        words: format!("{what}: {error}"),
        code: NOT_EXECUTABLE,
    };
    prctl::set_child_subreaper(true)
        .map_err(|error| bad("become the reaper of the executor's processes", &error))?;
    let lifeline = lifeline::take(shim.lifeline)
        .map_err(|error| bad("watch the agent that the executor works for", &error))?;
    let signals = signals().map_err(|error| bad("listen for signals", &error))?;
    if let Some(files) = start.open_files {
        set_open_files(files);
    }
    let (executor, handed) = spawn(start)?;
    let mut watch = Watch { executor: Some(executor), signals, tree: Tree::default() };
    let exit = watch.until_ended(lifeline, shim.grace);
    watch.clear();
    // What was to become it could not.
    if let Some(why_not) = handed.why_not() {
        let _ = told.leave(&why_not);
    }
    Ok(end_as(exit))
}

/// They wait until they are asked for. A child begins with this too: see `spawn`.
fn signals() -> nix::Result<SignalFd> {
    let mut heard = SigSet::empty();
    [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT].into_iter().for_each(|one| heard.add(one));
    heard.thread_block()?;
    SignalFd::with_flags(&heard, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// By one more start, also where no other user is to be: it begins with the signals that are blocked here, and gives the
/// program none of that.
fn spawn(program: &StartProgram) -> Result<(Pid, Handed), Failed> {
    let unknown = |why: &dyn std::fmt::Display| Failed {
        words: format!("start {} as its user: {why}", program.program),
        code: NOT_EXECUTABLE,
    };
    let user = match &program.user {
        None => None,
        Some(name) => {
            let found = User::from_name(name).map_err(|error| unknown(&error))?;
            Some(found.ok_or_else(|| unknown(&format!("user '{name}' is unknown")))?)
        }
    };
    let user = user.filter(|user| user.uid != geteuid());
    let failed = |error: std::io::Error| not_started(&program.program, &error);
    let user = user.map(|user| user.name);
    let (mut command, handed) =
        wrapped(&StartProgram { shim: None, user, ..program.clone() }).map_err(failed)?;
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = start::inherited(&[handed.as_fd()], || with_huge_pages(|| command.spawn()))
        .map_err(failed)?;
    Ok((Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)), handed))
}

/// An executor that runs, and all that comes of it.
struct Watch {
    /// Until it is buried: then its number may be another's.
    executor: Option<Pid>,
    signals: SignalFd,
    tree: Tree,
}

/// What was buried.
#[derive(Default)]
struct Buried {
    /// How the executor ended, if it is among them.
    executor: Option<Exit>,
    /// Whether there is no child left.
    all: bool,
}

impl Watch {
    /// Until the executor has ended, or has had its time to end; how it did.
    fn until_ended(&mut self, lifeline: File, grace: Duration) -> Exit {
        let killed = Exit::Signal(Signal::SIGKILL as i32);
        let mut lifeline = Some(lifeline);
        // Once the agent is lost: when the executor has had its time.
        let mut ends: Option<Instant> = None;
        loop {
            let rest = ends.map(|ends| ends.saturating_duration_since(Instant::now()));
            let lost = match self.wait(lifeline.as_ref(), rest) {
                Ok(lost) => lost,
                // What cannot be watched may not run.
                Err(error) => {
                    complain(&format!("wait for the executor and its agent: {error}"));
                    return killed;
                }
            };
            self.pass_signals_on();
            if let Some(exit) = self.bury().executor {
                return exit;
            }
            if lost {
                lifeline = None;
                ends = Some(Instant::now() + grace.min(GRACE_MAX));
                complain(&format!(
                    "the agent is lost: the executor is asked to end, and killed in {grace:?} at the latest"
                ));
                self.tree.signal_all(Signal::SIGTERM);
            }
            if ends.is_some_and(|ends| ends <= Instant::now()) {
                return killed;
            }
        }
    }

    /// Until there is a signal, the agent is lost, or the time is over; whether the agent is lost.
    fn wait(&self, lifeline: Option<&File>, at_most: Option<Duration>) -> nix::Result<bool> {
        let mut waited_for = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        waited_for.extend(lifeline.map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)));
        let at_most = at_most.map_or(PollTimeout::NONE, |time| {
            // Rounded up, so that it does not turn in circles before its time.
            let time = time + Duration::from_millis(1);
            PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut waited_for, at_most) {
            // Nothing is ever written to it, so whatever happens to it is its end.
            Ok(_) => Ok(waited_for.get(1).and_then(PollFd::any).unwrap_or(false)),
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What this process is told to do, the executor is.
    fn pass_signals_on(&self) {
        while let Ok(Some(heard)) = self.signals.read_signal() {
            let heard = i32::try_from(heard.ssi_signo).map(Signal::try_from);
            if let (Ok(Ok(signal @ (Signal::SIGTERM | Signal::SIGINT))), Some(executor)) =
                (heard, self.executor)
            {
                // It may have ended just now.
                let _ = kill(executor, signal);
            }
        }
    }

    /// Buries all that has ended.
    fn bury(&mut self) -> Buried {
        let mut buried = Buried::default();
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return buried,
                Ok(status) => {
                    if let (true, Some(exit)) = (status.pid() == self.executor, exit_of(status)) {
                        self.executor = None;
                        buried.executor = Some(exit);
                    }
                }
                Err(Errno::EINTR) => {}
                Err(error) => {
                    buried.all = error == Errno::ECHILD;
                    return buried;
                }
            }
        }
    }

    /// Each that dies may leave children to this process; when it has none, there is nothing. Only that says so: what cannot
    /// be seen may live.
    fn clear(&mut self) {
        let mut wait = LOOK_AGAIN_MIN;
        while !self.bury().all {
            self.tree.signal_all(Signal::SIGKILL);
            // Woken by the next that ends.
            let _ = self.wait(None, Some(wait));
            self.pass_signals_on();
            wait = (wait * 2).min(LOOK_AGAIN_MAX);
        }
    }
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
