//! What a turn changed, for the view.

use protocol::change::{Change, What};

/// Changes, numbered as they come.
pub(super) struct Changes {
    /// The number of the newest one of earlier turns.
    before: u64,
    all: Vec<Change>,
}

impl Changes {
    pub(super) fn after(before: u64) -> Self {
        Self { before, all: Vec::new() }
    }

    pub(super) fn push(&mut self, what: What) {
        let number = self.before + self.len() + 1;
        self.all.push(Change { number, what });
    }

    pub(super) fn extend(&mut self, all: impl IntoIterator<Item = What>) {
        all.into_iter().for_each(|what| self.push(what));
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.all.reserve(more);
    }

    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.all.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn all(&self) -> &[Change] {
        &self.all
    }

    pub(super) fn into_all(self) -> Vec<Change> {
        self.all
    }
}
