//! Election and storage.
