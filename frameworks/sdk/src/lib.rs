//! Schedulers and executors as actors: what a framework on Airside is written with.
//!
//! A framework is a [`Scheduler`]: a value whose methods are called when something happens and which says what it wants
//! to [`Calls`]. The rest is done for it. The driver subscribes and comes back after each loss; keeps the framework's id
//! (`Options::state_dir`); keeps a view of all tasks; tells each update once and acknowledges it; never launches an id
//! twice; asks about tasks whose fate is unknown; returns unused offers. A complete framework:
//!
//! ```no_run
//! use sdk::prelude::*;
//!
//! struct Hello {
//!     waiting: Vec<TaskSpec>,
//!     left: usize,
//! }
//!
//! impl Scheduler for Hello {
//!     fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
//!         calls.want(&Resources::cpus_mem(0.1, 16.0), self.waiting.len());
//!     }
//!
//!     fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
//!         for offer in &offers {
//!             self.waiting.retain(|task| calls.launch(offer, task.clone()).is_err());
//!         }
//!         calls.want(&Resources::cpus_mem(0.1, 16.0), self.waiting.len());
//!     }
//!
//!     fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
//!         println!("{} is {:?}", status.task, status.state);
//!         self.left -= usize::from(status.state.is_end());
//!         if self.left == 0 {
//!             calls.tear_down();
//!         }
//!     }
//! }
//!
//! fn main() -> Result<(), RunError> {
//!     let small = Resources::cpus_mem(0.1, 16.0);
//!     let hello = |n| task::shell(format!("hello.{n}"), "echo hello", &small);
//!     let scheduler = Hello { waiting: (0..3).map(hello).collect(), left: 3 };
//!     run("127.0.0.1:5050", framework("hello"), scheduler, Options::default())?;
//!     Ok(())
//! }
//! ```
//!
//! Nothing in a scheduler needs a cluster: [`logic::Framework::step`] takes one event and returns what would be done, and
//! the `simulator` crate runs any [`Scheduler`] in a simulated cluster, with loss of masters and agents, in a unit test.
//!
//! Tasks are commands, or are run by an [`Executor`] of the framework's own, a process that [`run_executor`] is the main
//! of. Scheduler and executor send each other bytes; [`typed`] makes them of values.

#![warn(missing_docs)]

mod actor;
mod chance;
pub mod executor;
mod keeper;
pub mod logic;
pub mod prelude;
mod run;
pub mod state;
pub mod task;
pub mod typed;

pub use executor::{Executor, ExecutorCalls, Reporter, run_executor, task_data};
pub use logic::{Calls, NotLaunched, Outcome, Scheduler, Settings};
pub use protocol;
pub use run::{
    FAILOVER_TIMEOUT, Inputs, Options, RunError, Running, framework, run, run_scheduler,
    start_scheduler,
};

#[cfg(test)]
mod tests {
    /// The promise: a complete framework in under forty lines, `use` included, blank lines not counted.
    #[test]
    fn a_complete_framework_has_under_forty_lines() {
        let example = include_str!("lib.rs").split("```").nth(1).unwrap();
        let lines = example.lines().skip(1).map(|line| line.trim_start_matches("//!").trim());
        let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
        assert!(lines.iter().any(|line| line.contains("fn main")), "{lines:#?}");
        assert!(lines.iter().all(|line| !line.starts_with("# ")), "hidden lines: {lines:#?}");
        assert!(lines.len() < 40, "{} lines", lines.len());
    }
}
