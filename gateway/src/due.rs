//! What a client has to do next, and until when. The server itself looks how long the first request's head takes, and how long a
//! client says nothing; that a later head comes drop by drop, or a body which nobody wants, it does not see.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::line::Stage;
use crate::serve::Limits;

/// Of one client.
pub(crate) struct Due {
    limits: Limits,
    stage: Stage,
    /// Something of the next request has come.
    has_begun: bool,
    /// `None`: it has to do nothing.
    until: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Due {
    pub(crate) fn within(limits: Limits) -> Self {
        Self { limits, stage: Stage::New, has_begun: false, until: None, timer: None }
    }

    /// An error once it is too late; else whoever is polled now is woken when it is.
    pub(crate) fn poll(&mut self, stage: Stage, context: &mut Context<'_>) -> io::Result<()> {
        self.is_at(stage);
        let Some(until) = self.until else { return Ok(()) };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }

    /// The client has sent something. However little that is: the next request's time begins with the first of it.
    pub(crate) fn on_read(&mut self, stage: Stage) {
        self.is_at(stage);
        if matches!(stage, Stage::Waits(_)) && !self.has_begun {
            self.has_begun = true;
            self.begin();
        }
    }

    /// The client has taken something, so the answer was not all there yet.
    pub(crate) fn on_written(&mut self, stage: Stage) {
        self.is_at(stage);
        self.begin();
    }

    fn is_at(&mut self, stage: Stage) {
        if self.stage != stage {
            self.stage = stage;
            self.has_begun = false;
            self.begin();
        }
    }

    fn begin(&mut self) {
        self.until = self.span().map(|span| Instant::now() + span);
    }

    fn span(&self) -> Option<Duration> {
        match self.stage {
            Stage::New | Stage::Answers => None,
            Stage::Waits(_) if self.has_begun => Some(self.limits.head),
            // The server ends it politely before. What came before the answer it forgets; this does not.
            Stage::Waits(_) => Some(self.limits.idle + self.limits.head),
            Stage::Ends => Some(self.limits.head),
        }
    }
}
