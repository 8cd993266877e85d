//! Files that tasks need, fetched before they start. [`Fetcher`] is the agent's half: which file comes from where, what is
//! kept for the next task, and when it is enough. What reads, downloads and unpacks is a process of its own, which [`main`] is
//! the whole of, with the rights of the task's user: a user gets nothing by a URI that it could not read itself.
//!
//! [`logic`] decides; it is pure. It is deliberately not here what a task is.

mod fetcher;
mod helper;
pub mod logic;
mod order;

pub use fetcher::{Counts, Fetcher, FetcherConfig, ForSandbox};
pub use helper::main;
pub use order::{Hadoop, Limits};
