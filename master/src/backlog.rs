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
pub enum Next<T, M = ()> {
    /// These, in order.
    Some(Vec<T>),
    /// Everything: some were dropped, and this is what remains of them.
    StartOver(M),
}

/// What remains of what was dropped.
pub trait Missed<T>: Default {
    /// One more is dropped.
    fn see(&mut self, one: &T);
}

/// Nothing: all of it is in what a helper starts over from.
impl<T> Missed<T> for () {
    fn see(&mut self, _: &T) {}
}

/// Waiting in order, with a bound; `M` is kept of what is dropped beyond it.
#[derive(Debug)]
pub struct Backlog<T, M = ()> {
    waiting: VecDeque<T>,
    dropped: Option<M>,
}

impl<T, M> Default for Backlog<T, M> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), dropped: None }
    }
}

impl<T, M: Missed<T>> Backlog<T, M> {
    /// One more waits. Once some are dropped, all are: what the master then knows has them in it.
    pub fn push(&mut self, one: T) {
        if let Some(dropped) = &mut self.dropped {
            return dropped.see(&one);
        }
        self.waiting.push_back(one);
        if self.waiting.len() > WAITING_MAX {
            let mut dropped = M::default();
            std::mem::take(&mut self.waiting).iter().for_each(|one| dropped.see(one));
            self.dropped = Some(dropped);
        }
    }

    /// Whether as much waits as is handed on at once.
    pub fn is_a_message(&self) -> bool {
        self.waiting.len() >= EACH_MAX || self.dropped.is_some()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.dropped.is_none()
    }

    /// There is room for a message.
    pub fn take(&mut self) -> Option<Next<T, M>> {
        if let Some(dropped) = self.dropped.take() {
            return Some(Next::StartOver(dropped));
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
        let mut backlog: Backlog<usize> = Backlog::default();
        for number in 0..EACH_MAX + 2 {
            assert_eq!(backlog.is_a_message(), number >= EACH_MAX);
            backlog.push(number);
        }
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
        let mut backlog: Backlog<usize> = Backlog::default();
        for number in 0..WAITING_MAX * 3 {
            backlog.push(number);
            assert!(backlog.waiting.len() <= WAITING_MAX);
        }
        assert!(!backlog.is_empty());
        assert_eq!(backlog.take(), Some(Next::StartOver(())));
        assert!(backlog.is_empty());
        backlog.push(7);
        assert_eq!(backlog.take(), Some(Next::Some(vec![7])));
    }
}
