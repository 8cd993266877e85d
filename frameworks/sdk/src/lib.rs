//! Schedulers and executors as actors: what a framework on Airside is written with.
//!
//! A framework is a [`Scheduler`]: a value whose methods are called when something happens and which says what it wants
//! to [`Calls`]. The rest is done for it. The driver subscribes and comes back after each loss; keeps the framework's id
//! (`Options::state_dir`); keeps a view of all tasks; tells each update once and acknowledges it; never launches an id
//! twice; asks about tasks whose fate is unknown; returns unused offers. A complete framework:
//!
#![doc = "```no_run"]
#![doc = include_str!("../examples/hello.rs")]
#![doc = "```"]
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
        let example = include_str!("../examples/hello.rs");
        let lines: Vec<_> = example.lines().filter(|line| !line.trim().is_empty()).collect();
        assert!(lines.iter().any(|line| line.contains("fn main")), "{lines:#?}");
        assert!(lines.iter().all(|line| !line.starts_with("# ")), "hidden lines: {lines:#?}");
        assert!(lines.len() < 40, "{} lines", lines.len());
    }
}
