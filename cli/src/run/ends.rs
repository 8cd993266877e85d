//! How `airside run` comes to end its task before the task does: asked once it is polite, asked again it is not.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::RunCommandError;
use super::scheduler::{END_TASK, END_TASK_AT_ONCE};
use crate::ending::{Signals, TASKS_END_WITHIN};

/// How long is waited for the end of a task that has no grace any more.
const FORCED_END_WITHIN: Duration = Duration::from_secs(1);

/// `Wanted -> Asked -> Forced`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The task may run.
    Wanted,
    /// It was told to end, with its grace.
    Asked,
    /// It was told to end at once.
    Forced,
}

/// What ends the task, and what the command says of it.
pub(super) struct Ends {
    signals: Signals,
    stage: Stage,
    timeout: Option<Duration>,
    /// When the stage is over, if time ends it.
    until: Option<Instant>,
}

impl Ends {
    /// From now on Ctrl-C ends the task, and so does `timeout`.
    pub(super) fn listen(timeout: Option<Duration>) -> io::Result<Self> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Ok(Self { signals: Signals::listen()?, stage: Stage::Wanted, timeout, until })
    }

    /// Waits until the task is to be told something: what is said of it, and the scheduler's input. May be dropped and
    /// called again.
    pub(super) async fn next(&mut self) -> Result<(String, &'static [u8]), RunCommandError> {
        let until = self.until;
        let time = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let signalled = tokio::select! {
            () = self.signals.next() => true,
            () = time => false,
        };
        let (stage, within, words, input) = match (self.stage, signalled) {
            (Stage::Wanted, true) => {
                let words = "interrupted; ending the task (Ctrl-C again ends it at once)";
                (Stage::Asked, TASKS_END_WITHIN, words.to_owned(), END_TASK)
            }
            (Stage::Wanted, false) => {
                let after = self.timeout.unwrap_or_default();
                let words = format!("still running after {after:?}; ending the task");
                (Stage::Asked, TASKS_END_WITHIN, words, END_TASK)
            }
            (Stage::Asked, true) => {
                let words = "interrupted again; ending the task at once".to_owned();
                (Stage::Forced, FORCED_END_WITHIN, words, END_TASK_AT_ONCE)
            }
            (Stage::Asked, false) => return Err(RunCommandError::NotEnded),
            (Stage::Forced, _) => return Err(RunCommandError::NotEndedAtOnce),
        };
        (self.stage, self.until) = (stage, Some(Instant::now() + within));
        Ok((format!("           {words}\n"), input))
    }
}
