//! Schedulers of which one is elected: what changes when nobody can say whether this one still leads, and when it does not.
//! Until it is elected there is no driver at all.

use super::{Driver, Outcome, Phase, Turn};

impl Driver {
    /// What was withheld meanwhile goes when its store is done; only a subscription was not even tried.
    pub(super) fn on_resumed(&mut self, turn: &mut Turn) {
        self.suspended = false;
        if matches!(self.phase, Phase::Subscribing { .. }) {
            self.attempts = 0;
            self.subscribe(turn);
        }
    }

    /// Nothing more is said. What was withheld was never said, and who leads now will learn from the master what was.
    pub(super) fn on_deposed(&mut self, turn: &mut Turn, why: String) {
        (self.withheld, self.full) = (Default::default(), None);
        self.end(turn, Outcome::Deposed(why));
    }
}
