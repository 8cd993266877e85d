//! Runs a list of tasks to the end: each until it succeeds or was tried often enough. Written with nothing but the sdk.
//!
//! ```no_run
//! use batch::{Batch, Happening, Job, Limits};
//! use sdk::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let small = Resources::cpus_mem(0.1, 32.0);
//! let jobs = batch::shell_lines("job", ["echo one", "echo two"], &small);
//! let batch = Batch::new(jobs, Limits::default(), |happening: &Happening| println!("{happening:?}"))?;
//! let (_, batch) = run("127.0.0.1:5050", framework("batch"), batch, Options::default())?;
//! println!("{}", batch.report());
//! # Ok(()) }
//! ```
//!
//! Each try is a task `<job>.<n>`. Whether a try counts depends on whose fault its end was: a task that failed has used up
//! one of its attempts, one that was lost with its agent has not (but of those there is a limit too). With a state
//! directory a batch that is started again goes on where it was.

#![warn(missing_docs)]

mod job;
mod report;
mod scheduler;

pub use job::{BadBatch, Job, Limits, shell_lines};
pub use report::{Attempt, JobReport, Report, Verdict};
pub use scheduler::{Batch, CANCEL, Happening};
