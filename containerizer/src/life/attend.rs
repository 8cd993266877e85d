//! Staying with a container until it is gone: for a process that has one thread and nothing else to do. What it is sent by others it
//! passes on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::Running;
use crate::launcher::NotStarted;

/// What is passed on to the program when somebody sends it to this process.
const PASSED_ON: [Signal; 8] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCONT,
];

/// Those that are passed on wait from here on until they are.
///
/// # Errors
/// The kernel's.
pub fn listen() -> nix::Result<SignalFd> {
    let mut heard = SigSet::empty();
    PASSED_ON.into_iter().for_each(|signal| heard.add(signal));
    heard.thread_block()?;
    SignalFd::with_flags(&heard, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// Until it is gone, and undone; why its program did not start, if so.
///
/// # Errors
/// The kernel's: it cannot be waited for.
pub fn until_gone(running: &mut Running, signals: &SignalFd) -> io::Result<Option<NotStarted>> {
    let mut not_started = None;
    let mut reported = false;
    while running.termination().is_none() && (not_started.is_none() || !reported) {
        let Some(ready) = wait(running, signals, reported)? else { break };
        if ready.limit {
            running.look();
        }
        let Some(launched) = running.launched() else { break };
        if ready.report {
            reported = true;
            not_started = launched.started().err();
        }
        while let Ok(Some(signal)) = signals.read_signal() {
            // A terminal has told all of its group itself.
            if signal.ssi_code <= 0 {
                pass_on(launched.handle.as_fd(), signal.ssi_signo);
            }
        }
        if ready.end {
            running.ended();
            break;
        }
    }
    if running.termination().is_none() {
        running.destroy();
    }
    Ok(not_started)
}

/// What there is to be seen to.
struct Ready {
    end: bool,
    report: bool,
    limit: bool,
}

/// Until there is something; `None`: nothing was started.
fn wait(running: &Running, signals: &SignalFd, reported: bool) -> io::Result<Option<Ready>> {
    let Some(launched) = &running.launched else { return Ok(None) };
    let poll_fd = |file| PollFd::new(file, PollFlags::POLLIN);
    let mut files = vec![poll_fd(launched.handle.as_fd()), poll_fd(signals.as_fd())];
    files.extend((!reported).then(|| poll_fd(launched.report())));
    let limits_from = files.len();
    files.extend(running.watched().map(poll_fd));
    match poll(&mut files, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let ready: Vec<_> = files.iter().map(|file| file.any().unwrap_or(false)).collect();
    let (report, limit) = ready[2..].split_at(limits_from - 2);
    Ok(Some(Ready { end: ready[0], report: report.contains(&true), limit: limit.contains(&true) }))
}

fn pass_on(handle: BorrowedFd<'_>, signal: u32) {
    let signal = i32::try_from(signal).ok().and_then(rustix::process::Signal::from_named_raw);
    if let Some(signal) = signal {
        // It may have ended just now.
        let _ = rustix::process::pidfd_send_signal(handle, signal);
    }
}
