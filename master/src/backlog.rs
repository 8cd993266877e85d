//! What waits for one of the master's helpers: changes for the view, book entries for the allocator. A helper that does not
//! keep up is not waited for without end: beyond a bound all that waits is dropped, and the helper starts over from what
//! the master then knows.

use std::collections::VecDeque;

/// The most that wait.
const WAITING_MAX: usize = 100_000;

/// The most that are handed on at once.
const EACH_MAX: usize = 1024;

/// What is to be told to the helper next.
#[derive(Debug, PartialEq)]
pub enum Next<T> {
    /// These, in order.
    Some(Vec<T>),
    /// Everything: some were dropped.
    StartOver,
}

/// See the module.
#[derive(Debug)]
pub struct Backlog<T> {
    waiting: VecDeque<T>,
    dropped: bool,
}

impl<T> Default for Backlog<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), dropped: false }
    }
}

impl<T> Backlog<T> {
    /// One more waits. Once some are dropped, all are: what the master then knows has them in it.
    pub fn push(&mut self, one: T) {
        if self.dropped {
            return;
        }
        self.waiting.push_back(one);
        if self.waiting.len() > WAITING_MAX {
            self.waiting = VecDeque::new();
            self.dropped = true;
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.dropped
    }

    /// There is room for a message.
    pub fn take(&mut self) -> Option<Next<T>> {
        if std::mem::take(&mut self.dropped) {
            return Some(Next::StartOver);
        }
        let count = self.waiting.len().min(EACH_MAX);
        (count > 0).then(|| Next::Some(self.waiting.drain(..count).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_handed_on_in_order_and_in_pieces() {
        let mut backlog = Backlog::default();
        (0..EACH_MAX + 2).for_each(|number| backlog.push(number));
        let mut numbers = Vec::new();
        while let Some(Next::Some(some)) = backlog.take() {
            assert!(some.len() <= EACH_MAX);
            numbers.extend(some);
        }
        assert!(backlog.is_empty());
        assert_eq!(numbers, (0..EACH_MAX + 2).collect::<Vec<_>>());
    }

    #[test]
    fn a_helper_that_is_too_far_behind_starts_over() {
        let mut backlog = Backlog::default();
        for number in 0..WAITING_MAX * 3 {
            backlog.push(number);
            assert!(backlog.waiting.len() <= WAITING_MAX);
        }
        assert!(!backlog.is_empty());
        assert_eq!(backlog.take(), Some(Next::StartOver));
        assert!(backlog.is_empty());
        backlog.push(7);
        assert_eq!(backlog.take(), Some(Next::Some(vec![7])));
    }
}
