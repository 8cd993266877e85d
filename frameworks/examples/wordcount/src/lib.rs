//! Counts words.
