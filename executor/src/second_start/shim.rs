//! The shim: between an agent and a framework's own executor, of which it knows nothing but that it is a process. Whatever
//! that executor starts becomes this process's child when its own parent ends, and is killed when the executor has ended,
//! also what left its session and cleared its environment; how it ended is written down first. When the agent is lost the executor
//! runs on, and the agent's next life, which finds this process, sends it a signal. If none does in time, the executor is asked to
//! end and then made to: it may be hung, or not know that executors must not run on without an agent.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use containerizer::records::{self, Ended};
use containerizer::start::{Handed, Told};
use containerizer::watch::Watched;
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
use crate::{complain, environment, set_open_files};

/// Between the first two looks at what is to die; doubles up to [`LOOK_AGAIN_MAX`]. The end of a child comes in between.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(10);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(500);
/// [`protocol::executor::AGENT_IS_BACK`], as the system calls it.
const AGENT_IS_BACK: Signal = Signal::SIGUSR1;
/// A longer one ends when the machine does; the clock cannot count all that a framework may ask for.
const TIME_MAX: Duration = Duration::from_secs(1 << 32);

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
    let recovery_timeout = environment::recovery_timeout()
        .map_err(|error| bad("know how long to wait for an agent", &error))?;
    let signals = signals().map_err(|error| bad("listen for signals", &error))?;
    if let Some(files) = start.open_files {
        set_open_files(files);
    }
    let (executor, handed) = spawn(start)?;
    let mut watch = Watch { executor: Some(executor), signals, tree: Tree::default() };
    let exit = watch.until_ended(Agent::Here(lifeline.into()), recovery_timeout, shim.grace);
    watch.clear();
    match (handed.why_not(), environment::records()) {
        // What was to become it could not.
        (Some(why_not), _) => drop(told.leave(&why_not)),
        (None, Some(folder)) => {
            if let Err(error) = records::write(&folder, &Ended::Executor(exit)) {
                complain(&format!("write down how the executor ended: {error}"));
            }
        }
        (None, None) => {}
    }
    Ok(end_as(exit))
}

/// They wait until they are asked for. A child begins with this too: see `spawn`.
fn signals() -> nix::Result<SignalFd> {
    let mut heard = SigSet::empty();
    let mine = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, AGENT_IS_BACK];
    mine.into_iter().for_each(|one| heard.add(one));
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

/// The agent, as this process sees it. `Here -> Lost -> Here`, and `Lost -> GivenUp`, from which there is no way back.
enum Agent {
    /// Ready to be read once it is gone.
    Here(OwnedFd),
    /// Until then it may come back.
    Lost(Instant),
    /// Until then the executor may end by itself.
    GivenUp(Instant),
}

impl Agent {
    fn watched(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Here(file) => Some(file.as_fd()),
            Self::Lost(_) | Self::GivenUp(_) => None,
        }
    }

    fn rest(&self) -> Option<Duration> {
        match self {
            Self::Here(_) => None,
            Self::Lost(until) | Self::GivenUp(until) => {
                Some(until.saturating_duration_since(Instant::now()))
            }
        }
    }
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
    fn until_ended(
        &mut self,
        mut agent: Agent,
        recovery_timeout: Duration,
        grace: Duration,
    ) -> Exit {
        let killed = Exit::Signal(Signal::SIGKILL as i32);
        loop {
            let lost = match self.wait(agent.watched(), agent.rest()) {
                Ok(lost) => lost,
                // What cannot be watched may not run.
                Err(error) => {
                    complain(&format!("wait for the executor and its agent: {error}"));
                    return killed;
                }
            };
            let back = self.pass_signals_on();
            if let Some(exit) = self.bury().executor {
                return exit;
            }
            let now = Instant::now();
            if lost {
                agent = Agent::Lost(now + recovery_timeout.min(TIME_MAX));
            }
            agent = match (agent, back.and_then(|number| Watched::present(number).ok().flatten())) {
                // As soon as it has sent its signal it may be gone again: then that is seen at once.
                (Agent::Here(_) | Agent::Lost(_), Some(next)) => Agent::Here(next.into()),
                (Agent::Lost(until), None) if until <= now => {
                    complain(&format!(
                        "the agent is lost and did not come back within {recovery_timeout:?}: the executor is asked to end, and killed in {grace:?} at the latest"
                    ));
                    self.tree.signal_all(Signal::SIGTERM);
                    Agent::GivenUp(now + grace.min(TIME_MAX))
                }
                (Agent::GivenUp(until), _) if until <= now => return killed,
                (agent, _) => agent,
            };
        }
    }

    /// Until there is a signal, the agent is lost, or the time is over; whether the agent is lost.
    fn wait(&self, agent: Option<BorrowedFd<'_>>, at_most: Option<Duration>) -> nix::Result<bool> {
        let mut waited_for = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        waited_for.extend(agent.map(|file| PollFd::new(file, PollFlags::POLLIN)));
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

    /// What this process is told to do, the executor is. The agent that says that it is back, if one does.
    fn pass_signals_on(&self) -> Option<u32> {
        let mut back = None;
        while let Ok(Some(heard)) = self.signals.read_signal() {
            let number = i32::try_from(heard.ssi_signo).map(Signal::try_from);
            match (number, self.executor) {
                (Ok(Ok(AGENT_IS_BACK)), _) => back = Some(heard.ssi_pid),
                (Ok(Ok(signal @ (Signal::SIGTERM | Signal::SIGINT))), Some(executor)) => {
                    // It may have ended just now.
                    let _ = kill(executor, signal);
                }
                (Ok(_) | Err(_), _) => {}
            }
        }
        back
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
pub(super) fn end_as(exit: Exit) -> ExitCode {
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
