//! The first process of a container: made by copying a launcher, it sets the container up, waits until it is let go, starts
//! the program, reaps what is left to it, passes signals on, and writes down how the program ended before it ends the same way.
//! What it started is gone by then: with its process namespace, or killed by it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, setresgid, setresuid, setsid};

use crate::confinement::{ConfineError, Tried};
use crate::container::Container;
use crate::look;
use crate::namespaces::UserMap;
use crate::runtime::{Exit, write_exit};
use crate::system::{self, Cloned};

/// Said through the gate once the users of the namespace are mapped.
pub(crate) const MAPPED: u8 = b'm';
/// Said through the gate to let the program go.
pub(crate) const GO: u8 = b'g';

/// Of a report; the rest is cut off.
const REPORT_BYTES_MAX: usize = 16 << 10;

/// What an init has from outside.
pub(crate) struct Files {
    /// Standard input, output and error of the program.
    pub(crate) stdio: [OwnedFd; 3],
    /// Where it is let go; at its end nobody is there any more who would.
    pub(crate) gate: OwnedFd,
    /// Where it says why the program did not start; at its end it did.
    pub(crate) report: OwnedFd,
    /// Where it leaves how the program ended.
    pub(crate) folder: OwnedFd,
    /// Ends when the container is to, with whoever holds the other end.
    pub(crate) lifeline: Option<OwnedFd>,
    /// User and group of whoever makes this process; in a namespace of its own it cannot see them any more.
    pub(crate) starter: (u32, u32),
}

/// The whole process.
pub(crate) fn main(container: &Container, files: Files) -> ! {
    let Files { stdio, gate, report, folder, lifeline, starter } = files;
    let mut kept = vec![gate.as_raw_fd(), report.as_raw_fd(), folder.as_raw_fd()];
    kept.extend(stdio.iter().map(AsRawFd::as_raw_fd));
    kept.extend(lifeline.iter().map(AsRawFd::as_raw_fd));
    system::close_all_but(&kept);
    // A launcher may not care for its children; this process does.
    system::default_signals();
    for (number, file) in (0..).zip(&stdio) {
        // It cannot fail: both are numbers of descriptors.
        let _ = system::inherit_as(file, number);
    }
    drop(stdio);
    let mut init = Init { container, report: Some(report), folder, lifeline, starter };
    match init.run(&gate) {
        Ok(exit) => system::end(exit.shell_code()),
        Err(error) => {
            init.complain(&error);
            system::end(error.code())
        }
    }
}

struct Init<'a> {
    container: &'a Container,
    report: Option<OwnedFd>,
    folder: OwnedFd,
    lifeline: Option<OwnedFd>,
    starter: (u32, u32),
}

impl Init<'_> {
    fn run(&mut self, gate: &OwnedFd) -> Result<Exit, ConfineError> {
        let signals = self.begin(gate)?;
        self.container.confinement.enter_world()?;
        wait(gate, GO)?;
        if self.container.namespaces.groups {
            unshare(CloneFlags::CLONE_NEWCGROUP)
                .tried(|| "have control groups of its own".into())?;
        }
        let program = self.start()?;
        self.report = None;
        let exit = self.watch(program, &signals)?;
        if !self.container.namespaces.processes {
            end_all();
        }
        write_exit(&self.folder, exit).tried(|| "write down how the program ended".into())?;
        Ok(exit)
    }

    /// All that comes before the file system.
    fn begin(&self, gate: &OwnedFd) -> Result<SignalFd, ConfineError> {
        let signals = listen().tried(|| "listen for signals".into())?;
        match &self.container.namespaces.users {
            Some(UserMap::One) => map_one(self.starter)?,
            Some(UserMap::Ranges { .. }) => {
                wait(gate, MAPPED)?;
                become_root()?;
            }
            None => {}
        }
        if self.container.session {
            // It leads none yet: it was just made.
            setsid().tried(|| "begin a session".into())?;
        }
        if !self.container.namespaces.processes {
            prctl::set_child_subreaper(true)
                .tried(|| "become the reaper of what the program leaves".into())?;
        }
        if self.container.namespaces.network {
            system::start_loopback().tried(|| "start the loopback device".into())?;
        }
        Ok(signals)
    }

    /// Nothing of this process is the program's: neither its memory, nor, from here on, its files through `/proc`.
    fn start(&self) -> Result<Pid, ConfineError> {
        prctl::set_dumpable(false).tried(|| "hide this process from the program".into())?;
        let forked = system::clone(CloneFlags::empty(), None);
        match forked.tried(|| "start a process for the program".into())? {
            Cloned::Parent { process, .. } => Ok(process),
            Cloned::Child => {
                // They would be closed when the program is there; what leads to it may be of the image's choice.
                let mut kept = vec![0, 1, 2];
                kept.extend(self.report.iter().map(AsRawFd::as_raw_fd));
                system::close_all_but(&kept);
                let ready = SigSet::all().thread_unblock().tried(|| "unblock signals".into());
                let confinement = &self.container.confinement;
                let error = match ready
                    .and_then(|()| confinement.become_program(&self.container.arguments))
                {
                    Ok(never) => match never {},
                    Err(error) => error,
                };
                self.complain(&error);
                system::end(error.code())
            }
        }
    }

    /// Until the program has ended. Whatever else ends is buried.
    fn watch(&self, program: Pid, signals: &SignalFd) -> Result<Exit, ConfineError> {
        loop {
            let mut files = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            let lifeline =
                self.lifeline.iter().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN));
            files.extend(lifeline);
            match poll(&mut files, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error).tried(|| "wait for the program".into()),
            }
            let ended = |file: &PollFd<'_>| file.any().unwrap_or(false);
            if files.get(1).is_some_and(ended) {
                return Ok(self.kill(program));
            }
            while let Ok(Some(signal)) = signals.read_signal() {
                pass_on(program, &signal);
            }
            if let Some(exit) = bury(program) {
                return Ok(exit);
            }
        }
    }

    /// Whoever it ran for is gone.
    fn kill(&self, program: Pid) -> Exit {
        let _ = kill(program, Signal::SIGKILL);
        Exit::Signal(Signal::SIGKILL as i32)
    }

    fn complain(&self, error: &ConfineError) {
        let mut words = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            words = format!("{words}: {next}");
            cause = next.source();
        }
        let Some(report) = &self.report else { return };
        let mut line = vec![error.code()];
        line.extend(words.bytes().take(REPORT_BYTES_MAX));
        // Whoever would read it may be gone.
        if let Ok(copy) = report.try_clone() {
            let _ = File::from(copy).write_all(&line);
        }
    }
}

/// They wait until they are asked for; also those that nobody handles, which the first of a namespace would never see.
fn listen() -> nix::Result<SignalFd> {
    let all = SigSet::all();
    all.thread_set_mask()?;
    SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

fn wait(gate: &OwnedFd, word: u8) -> Result<(), ConfineError> {
    let shown = || "wait to be let go".to_owned();
    let mut said = [0];
    let mut gate = File::from(gate.try_clone().tried(shown)?);
    match gate.read_exact(&mut said) {
        Ok(()) if said[0] == word => Ok(()),
        Ok(()) => Err(ConfineError::Refused("what was said at the gate is unknown".into())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(ConfineError::Refused("whoever started the container is gone".into()))
        }
        Err(error) => Err(error).tried(shown),
    }
}

/// Whoever starts a namespace may do this much without any right: be its root, alone.
fn map_one((user, group): (u32, u32)) -> Result<(), ConfineError> {
    let write = |path: &str, text: String| {
        std::fs::write(path, &text).tried(|| format!("write '{text}' to {path}"))
    };
    write("/proc/self/setgroups", "deny".into())?;
    write("/proc/self/gid_map", format!("0 {group} 1"))?;
    write("/proc/self/uid_map", format!("0 {user} 1"))?;
    become_root()
}

fn become_root() -> Result<(), ConfineError> {
    let shown = || "become root of the namespace".to_owned();
    setresgid(0.into(), 0.into(), 0.into()).tried(shown)?;
    setresuid(0.into(), 0.into(), 0.into()).tried(shown)
}

/// A terminal has told the program itself.
fn pass_on(program: Pid, signal: &siginfo) {
    let number = i32::try_from(signal.ssi_signo).unwrap_or(0);
    let by_kernel = signal.ssi_code > 0;
    match Signal::try_from(number) {
        Ok(Signal::SIGCHLD) => {}
        Ok(_) if by_kernel => {}
        Ok(signal) => drop(kill(program, signal)),
        Err(_) => {}
    }
}

fn bury(program: Pid) -> Option<Exit> {
    let mut exit = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(process, code)) if process == program => {
                exit = Some(Exit::Code(u8::try_from(code & 0xff).unwrap_or(u8::MAX)));
            }
            Ok(WaitStatus::Signaled(process, signal, _)) if process == program => {
                exit = Some(Exit::Signal(signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return exit,
            Ok(_) => {}
        }
    }
}

/// Without a process namespace: kills all children, and what becomes one when its parent dies, until there is none.
fn end_all() {
    // Most leave nothing: then there is nothing to look for among all processes of the machine.
    while !matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Err(nix::errno::Errno::ECHILD)) {
        let own = std::process::id().cast_signed();
        let all = look::look("").seen;
        for child in all.iter().filter(|seen| seen.parent == own && !seen.dead) {
            let _ = kill(Pid::from_raw(child.process), Signal::SIGKILL);
        }
        match waitpid(None, None) {
            Ok(_) => {}
            Err(_) => return,
        }
    }
}
