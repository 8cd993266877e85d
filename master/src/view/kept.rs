//! What readers made of a part of a view, kept until that part changes: of a large cluster that is read again, only what is new is
//! written anew.

use std::sync::OnceLock;

/// Made by the first who needs it.
#[derive(Debug)]
pub(crate) struct Kept<T>(OnceLock<T>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

/// A copy is made to be changed.
impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> Kept<T> {
    /// What is kept, or is from now on.
    pub(crate) fn or_made(&self, make: impl FnOnce() -> T) -> &T {
        self.0.get_or_init(make)
    }

    /// What it is made of changes.
    pub(crate) fn forget(&mut self) {
        self.0.take();
    }
}
