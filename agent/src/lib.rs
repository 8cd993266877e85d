//! The agent: runs tasks on one machine. [`logic`] decides, [`actors`] do.

pub mod logic;
