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

/// Less is how clocks are kept right, or what it takes to read both.
const JUMP: i128 = 1_000;

impl Reading {
    /// By how many milliseconds the wall clock has jumped since `before`, if it was more than a second.
    pub(crate) fn jumped_since(&self, before: &Self) -> Option<i128> {
        let passed = |now: Duration, then: Duration| millis(now) - millis(then);
        let by = passed(self.wall, before.wall) - passed(self.steady, before.steady);
        (by.abs() > JUMP).then_some(by)
    }
}

fn millis(span: Duration) -> i128 {
    i128::try_from(span.as_millis()).unwrap_or(i128::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_noticed_either_way() {
        let at = |steady, wall| Reading {
            steady: Duration::from_secs(steady),
            wall: Duration::from_secs(wall),
        };
        assert_eq!(at(5, 1_005).jumped_since(&at(0, 1_000)), None);
        assert_eq!(at(5, 1_006).jumped_since(&at(0, 1_000)), None, "a second off is no jump");
        assert_eq!(at(5, 4_605).jumped_since(&at(0, 1_000)), Some(3_600_000));
        assert_eq!(at(5, 905).jumped_since(&at(0, 1_000)), Some(-100_000));
    }
}
