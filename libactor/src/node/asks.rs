//! Asks that wait for an answer from another node, and the deadline of each.
//!
//! No ask has a timer of its own: a runtime with a timer makes every wait of its thread dearer, and the threads of a node
//! wait between any two messages. One task beside them looks when the earliest deadline is due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Node, lock};
use crate::conn::Conn;
use crate::control::DropReason;
use crate::error::AskError;
use crate::flow;
use crate::hash::IdMap;
use crate::message::DownReason;
use crate::pid::Life;

/// Deadlines of asks that are over, beyond as many as there are of those that wait, before they are thrown out.
const STALE: usize = 1024;

/// What became of an ask.
pub(super) enum Outcome<'a> {
    /// The answer's bytes.
    Answer(&'a [u8]),
    /// Who bears the name.
    Resolved(Option<Life>),
    Failed(AskError),
}

/// An ask that waits for its answer.
pub(super) struct Pending {
    /// The connection it went through.
    conn: u64,
    /// Who was asked; nobody if by name.
    to: Life,
    done: Box<dyn FnOnce(Outcome<'_>) + Send>,
}

/// Asks by their number, and when they are due.
pub(super) struct Table<T> {
    waiting: IdMap<u64, T>,
    /// Deadline in ms of the node's clock, and the ask; also of some that are over.
    due: BinaryHeap<Reverse<(u64, u64)>>,
    /// When somebody looks next.
    look: u64,
    /// Nobody looks any more.
    closed: bool,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { waiting: IdMap::default(), due: BinaryHeap::new(), look: u64::MAX, closed: false }
    }
}

impl<T> Table<T> {
    /// One more that waits; whether somebody has to look earlier than was meant.
    fn insert(&mut self, ask: u64, what: T, due: u64) -> bool {
        self.waiting.insert(ask, what);
        self.due.push(Reverse((due, ask)));
        let earlier = due < self.look;
        self.look = self.look.min(due);
        earlier
    }

    fn remove(&mut self, ask: u64) -> Option<T> {
        let over = self.waiting.remove(&ask)?;
        self.throw_out();
        Some(over)
    }

    fn throw_out(&mut self) {
        if self.due.len() > 2 * self.waiting.len() + STALE {
            self.due.retain(|Reverse((_, ask))| self.waiting.contains_key(ask));
        }
    }

    /// Takes those whose deadline has come; and says when to look again, if any waits.
    fn expire(&mut self, now: u64) -> (Vec<T>, Option<u64>) {
        let mut late = Vec::new();
        let mut next = None;
        while let Some(&Reverse((due, ask))) = self.due.peek() {
            if due > now && self.waiting.contains_key(&ask) {
                next = Some(due);
                break;
            }
            self.due.pop();
            late.extend(self.waiting.remove(&ask));
        }
        self.look = next.unwrap_or(u64::MAX);
        (late, next)
    }
}

/// Forgets an ask whose future is dropped.
pub(super) struct Forget {
    node: Node,
    conn: Arc<Conn>,
    pub(super) ask: u64,
    /// Whether it is still in the table.
    pub(super) waits: bool,
}

impl Drop for Forget {
    fn drop(&mut self) {
        if self.waits {
            lock(&self.node.0.asks).remove(self.ask);
        }
        self.conn.asks_out.fetch_sub(1, Relaxed);
    }
}

impl Node {
    /// Puts an ask into the table; it fails at `due`, unless it is over before.
    pub(super) fn wait_for(
        &self,
        conn: &Arc<Conn>,
        to: Life,
        due: u64,
        done: Box<dyn FnOnce(Outcome<'_>) + Send>,
    ) -> Result<Forget, AskError> {
        let ask = self.0.next_ask.fetch_add(1, Relaxed);
        let earlier = {
            let mut asks = lock(&self.0.asks);
            if asks.closed {
                return Err(AskError::Down(DownReason::Stopped));
            }
            if asks.waiting.len() >= self.0.config.limits.asks {
                return Err(AskError::Full);
            }
            asks.insert(ask, Pending { conn: conn.id, to, done }, due)
        };
        if earlier {
            self.0.earlier.notify_one();
        }
        conn.asks_out.fetch_add(1, Relaxed);
        Ok(Forget { node: self.clone(), conn: Arc::clone(conn), ask, waits: true })
    }

    /// The connection may have ended before the ask was in the table.
    pub(super) fn check_pending(&self, conn: &Conn, ask: u64) {
        if let Some(why) = conn.reason() {
            let error = if conn.peer.get().is_some() {
                AskError::Down(DownReason::ConnectionLost)
            } else {
                AskError::Unreachable(why)
            };
            self.fail_ask(ask, error);
        }
    }

    /// Fails an ask that nobody answers, if it still waits.
    pub(super) fn fail_ask(&self, ask: u64, error: AskError) {
        let pending = lock(&self.0.asks).remove(ask);
        if let Some(pending) = pending {
            (pending.done)(Outcome::Failed(error));
        }
    }

    /// A peer says how an ask is over, if anybody still waits for it and it was asked.
    pub(super) fn outcome(
        &self,
        (conn, origin): (&Conn, Life),
        ask: u64,
        outcome: Outcome<'_>,
    ) -> Result<(), DropReason> {
        let pending = {
            let mut asks = lock(&self.0.asks);
            let Entry::Occupied(entry) = asks.waiting.entry(ask) else {
                return Err(DropReason::LateAnswer);
            };
            let Pending { conn: through, to, .. } = *entry.get();
            let peer = conn.node();
            let asked = if to.node == 0 { peer } else { Life { actor: 0, ..to } };
            // Of a failure a relay speaks too: there is no way beyond it.
            let may = origin == asked || origin == peer && matches!(outcome, Outcome::Failed(_));
            if !may || !self.is_way(through, conn) {
                return Err(DropReason::Stranger);
            }
            let pending = entry.remove();
            asks.throw_out();
            pending
        };
        (pending.done)(outcome);
        Ok(())
    }

    /// Whether what went out over one connection may come back over the other: they are the same, or lead to the same
    /// node. Two nodes may have dialled each other.
    pub(super) fn is_way(&self, through: u64, conn: &Conn) -> bool {
        through == conn.id
            || lock(&self.0.peers)
                .by_id(through)
                .is_some_and(|through| through.node() == conn.node())
    }

    /// Fails all asks that went through a connection and to whom `whom` holds.
    pub(super) fn fail_pending(&self, conn: &Conn, error: &AskError, whom: impl Fn(Life) -> bool) {
        let lost: Vec<_> = {
            let mut asks = lock(&self.0.asks);
            let through = |pending: &Pending| pending.conn == conn.id && whom(pending.to);
            let lost = asks.waiting.extract_if(|_, pending| through(pending)).collect();
            asks.throw_out();
            lost
        };
        for (_, pending) in lost {
            (pending.done)(Outcome::Failed(error.clone()));
        }
    }

    /// Fails all that still wait, since nobody will: the node's threads end. No more are taken.
    pub(super) fn close_asks(&self) {
        let waiting = {
            let mut asks = lock(&self.0.asks);
            asks.closed = true;
            std::mem::take(&mut asks.waiting)
        };
        for pending in waiting.into_values() {
            (pending.done)(Outcome::Failed(AskError::Down(DownReason::Stopped)));
        }
    }

    /// Fails asks whose deadline has come, as long as the node's threads run.
    pub(super) async fn expire_asks(self) {
        loop {
            let now = flow::now_ms();
            let (late, next) = lock(&self.0.asks).expire(now);
            for pending in late {
                (pending.done)(Outcome::Failed(AskError::Deadline));
            }
            let earlier = self.0.earlier.notified();
            match next {
                None => earlier.await,
                Some(next) => {
                    let wait = Duration::from_millis(next.saturating_sub(now));
                    let _ = tokio::time::timeout(wait, earlier).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_are_late_at_their_deadline_and_not_before() {
        let mut asks = Table::default();
        assert!(asks.insert(1, 'a', 500), "nobody meant to look");
        assert!(!asks.insert(2, 'b', 900), "somebody looks before");
        assert!(asks.insert(3, 'c', 100), "somebody has to look earlier");
        assert_eq!(asks.expire(99), (vec![], Some(100)));
        assert_eq!(asks.expire(100), (vec!['c'], Some(500)));
        assert_eq!(asks.remove(1), Some('a'));
        assert_eq!(asks.expire(500), (vec![], Some(900)), "one that is over is not late");
        assert_eq!(asks.expire(1_000), (vec!['b'], None));
        assert!(asks.insert(4, 'd', 2_000), "nobody looks any more");
    }

    #[test]
    fn what_is_over_is_forgotten_long_before_its_deadline() {
        let mut asks = Table::default();
        for ask in 0..100_000 {
            asks.insert(ask, (), 1_000_000 + ask);
            if ask >= 10 {
                assert_eq!(asks.remove(ask - 10), Some(()));
            }
            assert!(asks.due.len() <= 2 * 11 + STALE + 1);
        }
        let (late, _) = asks.expire(u64::MAX);
        assert_eq!(late.len(), 10, "those that wait were kept");
    }
}
