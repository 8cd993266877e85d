//! When a command that would run for ever is to end: Ctrl-C, a polite signal, or the end of the parent.

use std::io::{self, Read};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// How long a framework waits for its tasks to end when it is to end itself: more than the grace they have. There may be no
/// master any more that could say so.
pub(crate) const TASKS_END_WITHIN: Duration = Duration::from_secs(15);

/// Ctrl-C and the polite signals, from when this is made on.
pub(crate) struct Signals([Signal; 3]);

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) {
        let Self([interrupt, terminate, hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Waits for the first of them; what comes between this call and the waiting counts. With `end_with_stdin`, the end of stdin
/// counts too: the parent holds the other end and is gone when it closes.
pub(crate) fn asked(end_with_stdin: bool) -> impl Future<Output = io::Result<()>> {
    let signals = Signals::listen();
    async move {
        let mut signals = signals?;
        let parent = async {
            if !end_with_stdin || end_of_stdin().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = signals.next() => {}
            () = parent => {}
        }
        Ok(())
    }
}

/// Read by a thread of its own, since a blocking read of stdin cannot be given up; the thread goes with the process.
async fn end_of_stdin() -> Result<(), oneshot::error::RecvError> {
    let (ended, at_end) = oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0u8; 256];
        while io::stdin().read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
        // Nobody waits any more when the process ends for another reason.
        let _ = ended.send(());
    });
    at_end.await
}

#[cfg(test)]
mod tests {
    use nix::sys::signal;

    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_before_anybody_waits_counts() {
        let asked = asked(false);
        // Were nobody listening yet, it would end this process.
        signal::raise(signal::Signal::SIGHUP).unwrap();
        asked.await.unwrap();
    }
}
