//! The clocks of a process, for actors whose logic is handed the time: read once for each step.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A steady clock that begins when it is started, and the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    begun: Instant,
}

/// What both clocks showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Since the clock was started; it never goes back.
    pub steady: Duration,
    /// Since the beginning of 1970; it goes wherever somebody sets it.
    pub wall: Duration,
}

impl Clock {
    /// A clock whose steady time begins now.
    pub fn start() -> Self {
        Self { begun: Instant::now() }
    }

    /// Reads both.
    #[expect(clippy::disallowed_methods, reason = "the shells read the clock for the logic, here")]
    pub fn read(&self) -> Reading {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Reading { steady: self.begun.elapsed(), wall }
    }
}
