//! Changes that wait for the view. A view that stands still for long is not kept waiting for: beyond a bound they are
//! dropped, and it starts over from all that the master then knows.

use std::collections::VecDeque;

use protocol::change::Change;

/// The most that wait.
const WAITING_MAX: usize = 100_000;

/// The most that are handed on at once.
const EACH_MAX: usize = 1024;

/// What is to be told to the view next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// These, in order.
    Changes(Vec<Change>),
    /// Everything: changes were dropped.
    StartOver,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Backlog {
    waiting: VecDeque<Change>,
    dropped: bool,
}

impl Backlog {
    /// One more waits. Once some are dropped, all are: what the master then knows has them in it.
    pub fn push(&mut self, change: Change) {
        if self.dropped {
            return;
        }
        self.waiting.push_back(change);
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
    pub fn take(&mut self) -> Option<Next> {
        if std::mem::take(&mut self.dropped) {
            return Some(Next::StartOver);
        }
        let count = self.waiting.len().min(EACH_MAX);
        (count > 0).then(|| Next::Changes(self.waiting.drain(..count).collect()))
    }
}

#[cfg(test)]
mod tests {
    use protocol::change::{AgentState, What};
    use protocol::ids::AgentId;

    use super::*;

    fn change(number: usize) -> Change {
        let (agent, state) = (AgentId::new("a"), AgentState::Active);
        Change { number: number as u64, what: What::AgentState { agent, state } }
    }

    #[test]
    fn changes_are_handed_on_in_order_and_in_pieces() {
        let mut backlog = Backlog::default();
        (0..EACH_MAX + 2).for_each(|number| backlog.push(change(number)));
        let mut numbers = Vec::new();
        while let Some(Next::Changes(some)) = backlog.take() {
            assert!(some.len() <= EACH_MAX);
            numbers.extend(some.iter().map(|change| change.number));
        }
        assert!(backlog.is_empty());
        assert_eq!(numbers, (0..EACH_MAX as u64 + 2).collect::<Vec<_>>());
    }

    #[test]
    fn a_view_that_is_too_far_behind_starts_over() {
        let mut backlog = Backlog::default();
        for number in 0..WAITING_MAX * 3 {
            backlog.push(change(number));
            assert!(backlog.waiting.len() <= WAITING_MAX);
        }
        assert!(!backlog.is_empty());
        assert_eq!(backlog.take(), Some(Next::StartOver));
        assert!(backlog.is_empty());
        backlog.push(change(7));
        assert_eq!(backlog.take(), Some(Next::Changes(vec![change(7)])));
    }
}
