//! Schedulers and executors as actors.

#![warn(missing_docs)]

pub mod executor;
pub mod logic;

pub use logic::{Calls, NotLaunched, Outcome, Scheduler};
