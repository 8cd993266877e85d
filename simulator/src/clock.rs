//! The clocks of simulated machines: each runs a little too fast or too slow, its wall clock is wrong and jumps, and while the
//! machine is suspended its steady clock stands still.

use std::time::Duration;

use protocol::time::{Instant, Now, WallTime};

use crate::chance::Chance;

/// When the wall clocks of all machines would begin if they were right: 2026-01-01 00:00 UTC.
const WALL_AT_START: Duration = Duration::from_secs(1_767_225_600);
/// The most that a clock is too fast or too slow, in millionths. Real ones stay below 200.
const DRIFT_MAX: u64 = 2_000;

/// The two clocks of one machine.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Of the steady clock, at the beginning.
    boot: Duration,
    /// Millionths of a second that pass on this machine in one second.
    rate: u64,
    wall: Duration,
    /// From when to when the machine was suspended, one after the other.
    stops: Vec<(Duration, Duration)>,
}

impl Clock {
    /// A clock with faults of its own.
    pub fn drifting(chance: &mut Chance) -> Self {
        let boot = chance.span(Duration::from_secs(1), Duration::from_secs(1_000_000));
        let rate = chance.between(1_000_000 - DRIFT_MAX, 1_000_000 + DRIFT_MAX);
        let wall = WALL_AT_START + chance.millis(0, 10_000);
        Self { boot, rate, wall, stops: Vec::new() }
    }

    /// A clock that shows the simulation's own time.
    pub fn right() -> Self {
        let (boot, wall) = (Duration::ZERO, WALL_AT_START);
        Self { boot, rate: 1_000_000, wall, stops: Vec::new() }
    }

    /// What the machine's clocks show at this moment of the simulation.
    pub fn show(&self, moment: Duration) -> Now {
        let passed = scaled(moment, self.rate, 1_000_000);
        let stood = |(from, until): &(Duration, Duration)| moment.min(*until).saturating_sub(*from);
        let stood: Duration = self.stops.iter().map(stood).sum();
        let counted = scaled(moment - stood, self.rate, 1_000_000);
        let nanos = |span: Duration| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Now {
            steady: Instant(nanos(self.boot + counted)),
            wall: WallTime(nanos(self.wall + passed)),
        }
    }

    /// How long the simulation takes to what the machine takes for `span`; timers never fire early.
    pub fn real(&self, span: Duration) -> Duration {
        let up = u128::from(self.rate) - 1;
        let nanos = (span.as_nanos() * 1_000_000 + up) / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The machine is suspended from now until then: what shows how long it is up stands still, the time of day does not.
    /// Nothing, if it is suspended already.
    pub fn stop(&mut self, now: Duration, until: Duration) -> bool {
        let goes = self.stopped_until(now).is_none();
        if goes {
            self.stops.push((now, until));
        }
        goes
    }

    /// Until when the machine is suspended, if it is.
    pub fn stopped_until(&self, now: Duration) -> Option<Duration> {
        self.stops.last().map(|(_, until)| *until).filter(|until| *until > now)
    }

    /// Somebody sets the wall clock.
    pub fn set_wall(&mut self, chance: &mut Chance) {
        self.wall = WALL_AT_START + chance.millis(0, 86_400_000);
    }
}

/// `span * by / over` in whole nanoseconds.
fn scaled(span: Duration, by: u64, over: u64) -> Duration {
    let nanos = span.as_nanos() * u128::from(by) / u128::from(over);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_shows_more_and_its_timers_fire_early() {
        let fast = Clock { rate: 1_001_000, ..Clock::right() };
        let shown = fast.show(Duration::from_secs(1000)).steady;
        assert_eq!(shown, Instant(1_001_000_000_000));
        assert!(fast.real(Duration::from_secs(1000)) < Duration::from_secs(1000));
    }

    #[test]
    fn while_the_machine_is_suspended_only_the_time_of_day_goes_on() {
        let second = Duration::from_secs(1);
        let mut clock = Clock::right();
        assert!(clock.stop(10 * second, 70 * second));
        assert!(!clock.stop(20 * second, 90 * second));
        assert_eq!(clock.stopped_until(69 * second), Some(70 * second));
        assert_eq!(clock.stopped_until(70 * second), None);
        let shown = |seconds: u32| clock.show(seconds * second).steady.0 / 1_000_000_000;
        assert_eq!([10, 40, 70, 75].map(shown), [10, 10, 10, 15]);
        let wall = clock.show(75 * second).wall.0 - Clock::right().show(Duration::ZERO).wall.0;
        assert_eq!(wall, 75_000_000_000);
    }

    #[test]
    fn setting_the_wall_clock_does_not_move_the_steady_one() {
        let mut clock = Clock::right();
        let before = clock.show(Duration::from_secs(5)).steady;
        clock.set_wall(&mut Chance::new(1));
        assert_eq!(clock.show(Duration::from_secs(5)).steady, before);
    }
}
