//! Counts words in files, as a scheduler and an executor of its own: the example of a framework whose tasks send typed
//! results back.
//!
//! [`plan()`] cuts the files below some folders into jobs of bounded size. [`WordCount`] launches a task for each on any
//! agent that has room; one executor per agent ([`Counter`]) counts them in threads and sends the counts in pieces, and
//! with the end of the task how many pieces there were and their checksum. A job is done only when all of that came
//! through; else it is tried again. Done jobs are kept in the state directory, so a scheduler that is killed goes on.

#![warn(missing_docs)]

mod executor;
mod intervals;
mod plan;
mod result;
mod scheduler;
mod words;

pub use executor::Counter;
pub use intervals::{Interval, Sign, at_once, read_intervals};
pub use plan::{Job, Part, Plan, PlanError, plan};
pub use scheduler::{Happening, Setup, WordCount};
pub use words::{Counts, count};
