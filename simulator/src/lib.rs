//! Whole clusters in one thread from one seed.

pub mod chance;
pub mod clock;
pub mod disk;
pub mod network;
pub mod queue;
pub mod transcript;
