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
//! What a scheduler needs it states once, and is offered what fits as soon as that is free. One that acts for several roles
//! states it for each, and may say on which agents ([`Calls::require_for`]), how much at least ([`Calls::least_offer_for`]),
//! and for which role it wants nothing just now ([`Calls::suppress_for`]):
//!
//! ```
//! # use sdk::prelude::*;
//! # struct Web;
//! impl Scheduler for Web {
//!     fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
//!         let (front, each) = ("web/front".parse().expect("a role"), Resources::cpus_mem(1.0, 512.0));
//!         let here = Constraint::Is { attribute: "rack".into(), value: "r1".into() };
//!         if let Err(refused) = calls.want_for(&front, 3, &each, vec![here]) {
//!             calls.warn(refused.to_string());
//!         }
//!     }
//! }
//! ```
//!
//! One scheduler may stand by for another, as a process of its own, if both are told where they are elected. Only one leads at a
//! time; the next one finds the framework's id and what was stored ([`Calls::store`]) in ZooKeeper, also on another machine:
//!
//! ```no_run
//! # use sdk::prelude::*;
//! # #[derive(Default)]
//! # struct Hello;
//! # impl Scheduler for Hello {}
//! # fn main() -> Result<(), RunError> {
//! let options = Options::default().elect("zk://z1:2181,z2:2181,z3:2181/frameworks/hello")?;
//! run_elected("zk://z1:2181,z2:2181,z3:2181/airside", framework("hello"), Hello::default, options)?;
//! # Ok(())
//! # }
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
pub mod election;
pub mod executor;
mod keeper;
pub mod logic;
pub mod prelude;
mod run;
pub mod state;
pub mod task;
pub mod typed;

pub use election::{Election, ElectionError};
pub use executor::{Executor, ExecutorCalls, Reporter, run_executor, task_data};
pub use logic::{Calls, NotItsRole, NotLaunched, Outcome, Scheduler, Settings};
pub use protocol;
pub use run::{
    FAILOVER_TIMEOUT, Inputs, Options, RunError, Running, framework, run, run_elected,
    run_elected_scheduler, run_scheduler, start_scheduler,
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
