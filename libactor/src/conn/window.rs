//! Windows of credit as the receiving side keeps them: what was handled is given back in batches. Where a batch takes long,
//! its sender hears in between that the receiver works.

use std::mem;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Conn;
use crate::control::Control;
use crate::message::Lane;
use crate::pid::Life;

/// A window of credit, as the receiving side keeps it.
pub(super) struct Window {
    conn: Arc<Conn>,
    pub(super) sender: Life,
    pub(super) receiver: Life,
    pub(super) lane: Lane,
    /// Messages that are given back at once.
    batch: u64,
    /// One in so many messages holds the credit of all since the last that did: they are handled in their order.
    every: u32,
    /// Messages whose credit none holds yet. Written by the reader only.
    unclaimed: AtomicU32,
    handled: AtomicU64,
}

/// The claim of messages on their window; gives it back when it goes.
pub(crate) struct Credit(Arc<Window>, u32);

impl Drop for Credit {
    fn drop(&mut self) {
        let more = u64::from(self.1);
        if self.0.handled.fetch_add(more, Relaxed) + more >= self.0.batch {
            self.0.give_back();
        }
    }
}

impl Window {
    pub(super) fn new(conn: Arc<Conn>, sender: Life, receiver: Life, lane: Lane) -> Self {
        let batch = u64::from(conn.window() / 4).max(1);
        // So few that what is not claimed yet adds little to what waits for its batch.
        let every = (conn.window() / 64).clamp(1, 32);
        let (unclaimed, handled) = Default::default();
        Self { conn, sender, receiver, lane, batch, every, unclaimed, handled }
    }

    /// For one more message.
    pub(super) fn claim(self: &Arc<Self>) -> Option<Credit> {
        let claims = self.unclaimed.load(Relaxed) + 1;
        let whole = claims >= self.every;
        self.unclaimed.store(if whole { 0 } else { claims }, Relaxed);
        whole.then(|| Credit(Arc::clone(self), claims))
    }

    fn give_back(&self) {
        let handled = self.handled.swap(0, Relaxed);
        if handled > 0 {
            self.say(handled);
        }
    }

    fn say(&self, handled: u64) {
        let handled = u32::try_from(handled).unwrap_or(u32::MAX);
        let lane = u8::try_from(self.lane.index()).expect("three lanes");
        let (sender, receiver) = (self.sender, self.receiver);
        self.conn.control(sender, 0, &Control::Credit { sender, receiver, lane, handled });
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.handled.fetch_add(u64::from(*self.unclaimed.get_mut()), Relaxed);
        self.give_back();
    }
}

/// Pairs of a connection that are remembered before those that owe nothing are forgotten.
pub(super) const MANY_WINDOWS: usize = 16_384;

/// The windows of a connection, for who looks after slow receivers.
#[derive(Default)]
pub(super) struct Watch(Mutex<Vec<Watched>>);

struct Watched {
    window: Weak<Window>,
    receiver: Progress,
}

impl Watch {
    pub(super) fn add(&self, window: &Arc<Window>) {
        let watched = Watched { window: Arc::downgrade(window), receiver: Progress::default() };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A peer may name another actor in each message: what was thrown out is not kept until somebody looks.
        if all.len() > 2 * MANY_WINDOWS {
            all.retain(|watched| watched.window.strong_count() > 0);
        }
        all.push(watched);
    }

    /// Looks at all windows; `handled` says how many messages an actor has handled, of whomever.
    pub(super) fn look(&self, handled: impl Fn(Life) -> Option<u64>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain_mut(|Watched { window, receiver }| {
            // The reader has two. If no message has another, too few wait to fill the window.
            let waits = window.strong_count() > 2;
            let Some(window) = window.upgrade() else {
                return false;
            };
            if receiver.is_made(waits.then(|| handled(window.receiver)).flatten()) {
                // Perhaps of nothing: it was others' messages, or they are claimed by one that still waits.
                window.say(window.handled.swap(0, Relaxed));
            }
            true
        });
    }
}

/// How many messages a receiver had handled at the last look, if any of the window waited then.
#[derive(Default)]
struct Progress(Option<u64>);

impl Progress {
    /// Whether it has handled some since the last look, while messages wait for it.
    fn is_made(&mut self, handled: Option<u64>) -> bool {
        let before = mem::replace(&mut self.0, handled);
        matches!((before, handled), (Some(before), Some(now)) if now > before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::Bounds;

    /// A connection, and a window on it.
    fn window_of(size: u32) -> (Arc<Conn>, Arc<Window>) {
        let bounds = Bounds { message: 1 << 20, buffer: 1 << 20, window: size, version: 1 };
        let conn = Arc::new(Conn::new(1, Life::NOBODY, None, bounds));
        let life = Life { node: 1, incarnation: 1, actor: 1 };
        (Arc::clone(&conn), Arc::new(Window::new(conn, life, life, Lane::Normal)))
    }

    /// What a window of this size has given back after so many messages that were handled at once.
    fn given_back(window: u32, messages: u32) -> u64 {
        let (_, window) = window_of(window);
        for _ in 0..messages {
            drop(window.claim());
        }
        u64::from(messages)
            - window.handled.load(Relaxed)
            - u64::from(window.unclaimed.load(Relaxed))
    }

    #[test]
    fn a_window_of_any_size_opens_again_before_it_is_used_up() {
        for window in [1, 2, 8, 64, 100, 4096] {
            assert!(given_back(window, window) > 0, "a window of {window} would stay shut");
            let much = window * 10;
            let kept = u64::from(much) - given_back(window, much);
            assert!(kept <= u64::from(window) / 3, "{kept} of a window of {window} are kept back");
        }
    }
    #[test]
    fn who_works_is_told_from_who_is_stuck() {
        let mut receiver = Progress::default();
        assert!(!receiver.is_made(Some(5)), "nobody knows since when");
        assert!(!receiver.is_made(Some(5)), "it is stuck");
        assert!(receiver.is_made(Some(6)));
        assert!(!receiver.is_made(Some(6)));
        assert!(!receiver.is_made(None), "nothing waits");
        assert!(!receiver.is_made(Some(9)), "what it did meanwhile was for others");
    }

    #[test]
    fn a_sender_hears_of_a_receiver_that_works_long_before_a_batch_is_done() {
        // Of the large window 32 messages have one claim.
        for (size, handled) in [(64, 3), (4096, 31), (4096, 40)] {
            let (conn, window) = window_of(size);
            conn.watch.add(&window);
            let said = || conn.lane(Lane::Control).messages;
            let mut waits: Vec<_> = (0..size).map(|_| window.claim()).collect();
            conn.watch.look(|_| Some(0));
            conn.watch.look(|_| Some(0));
            assert_eq!(said(), 0, "it handles nothing");
            waits.drain(..handled);
            conn.watch.look(|_| Some(handled as u64));
            assert_eq!((said(), window.handled.load(Relaxed)), (1, 0), "{handled} of {size}");
            conn.watch.look(|_| Some(handled as u64));
            assert_eq!(said(), 1, "it is stuck now");
            drop(waits);
            let before = said();
            conn.watch.look(|_| Some(u64::from(size)));
            conn.watch.look(|_| Some(u64::from(size) * 2));
            assert_eq!(said(), before, "nothing waits");
            drop(window);
            conn.watch.look(|_| panic!("it is gone"));
        }
    }
}
