//! Stories.

pub mod cluster;
