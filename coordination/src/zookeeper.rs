//! Election and store in a ZooKeeper ensemble.

pub mod logic;
pub mod url;
