//! Windows of credit as the receiving side keeps them: what was handled is given back in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

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
        let handled = u32::try_from(self.handled.swap(0, Relaxed)).unwrap_or(u32::MAX);
        if handled == 0 {
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::Bounds;

    /// What a window of this size has given back after so many messages that were handled at once.
    fn given_back(window: u32, messages: u32) -> u64 {
        let bounds = Bounds { message: 1 << 20, buffer: 1 << 20, window, version: 1 };
        let conn = Arc::new(Conn::new(1, Life::NOBODY, None, bounds));
        let life = Life { node: 1, incarnation: 1, actor: 1 };
        let window = Arc::new(Window::new(conn, life, life, Lane::Normal));
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
}
