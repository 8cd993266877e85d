//! Virtual time: what is due and when. Nothing waits; the clock jumps to the next thing that happens.

use std::collections::BTreeMap;
use std::time::Duration;

/// Things that are due, in order; of those due at one moment, the first that was put in comes first.
#[derive(Debug)]
pub struct Queue<T> {
    now: Duration,
    next: u64,
    due: BTreeMap<(Duration, u64), T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { now: Duration::ZERO, next: 0, due: BTreeMap::new() }
    }
}

impl<T> Queue<T> {
    /// Since the beginning of the simulation.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Puts something in for so long after now.
    pub fn after(&mut self, span: Duration, what: T) {
        self.at(self.now + span, what);
    }

    /// Puts something in for a moment; what is past is due at once.
    pub fn at(&mut self, moment: Duration, what: T) {
        self.next += 1;
        self.due.insert((moment.max(self.now), self.next), what);
    }

    /// When the next thing is due.
    pub fn next_at(&self) -> Option<Duration> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Jumps to the next thing, unless that is due after `until`.
    pub fn pop_until(&mut self, until: Duration) -> Option<T> {
        let (at, _) = *self.due.keys().next()?;
        if at > until {
            return None;
        }
        self.now = at;
        self.due.pop_first().map(|(_, what)| what)
    }

    /// Moves the clock on when nothing is due before `moment`.
    pub fn rest_until(&mut self, moment: Duration) {
        assert!(self.next_at().is_none_or(|at| at >= moment), "something is due before that");
        self.now = self.now.max(moment);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_the_clock_jumps_there() {
        let mut queue = Queue::default();
        queue.after(Duration::from_secs(2), "late");
        queue.after(Duration::from_secs(1), "first");
        queue.after(Duration::from_secs(1), "second");
        let until = Duration::from_secs(1);
        assert_eq!(queue.pop_until(until), Some("first"));
        assert_eq!(queue.pop_until(until), Some("second"));
        assert_eq!((queue.pop_until(until), queue.now()), (None, until));
        queue.rest_until(Duration::from_secs(2));
        assert_eq!(queue.pop_until(Duration::from_secs(9)), Some("late"));
    }
}
