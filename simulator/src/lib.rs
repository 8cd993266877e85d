//! Whole clusters in one thread.
