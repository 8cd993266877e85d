//! The executor of command tasks: a small process that runs one command for its agent. [`logic`] decides.

pub mod logic;
