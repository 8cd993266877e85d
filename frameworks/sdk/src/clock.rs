//! The clocks of a process, for its steps. The logic is handed what is read here.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use protocol::time::{Instant as Steady, Now, WallTime};

/// A steady clock that begins with the process, and the wall clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    begun: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        let nanos = |span: std::time::Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        #[allow(clippy::disallowed_methods)] // here it is read once for each step
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { steady: Steady(nanos(self.begun.elapsed())), wall: WallTime(nanos(wall)) }
    }
}

/// A number from the kernel that nobody else has.
pub(crate) fn random() -> Result<u64, String> {
    getrandom::u64().map_err(|error| error.to_string())
}
