//! The master of a cluster: who is there, who gets what, and what became of it.
//!
//! Reading order: [`logic`] is the index of all that a master reacts to; below it one file for each peer and each book.
//! [`logic::allocator`] proposes, the master decides; [`logic::registry`] is what survives. [`view`] serves every read.
//! The actors do: `actors/master.rs` performs, `actors/allocator.rs` and `actors/registrar.rs` work beside it,
//! `actors/view.rs` answers; [`backlog`] is what waits for a helper. [`start()`] puts all four on a node.

mod actors;
pub mod backlog;
mod belonging;
pub mod config;
mod counted;
mod exposition;
pub mod http;
pub mod logic;
mod published;
pub mod records;
mod sizes;
mod start;
mod tally;
mod underway;
pub mod view;

pub use belonging::{belongs_to, cluster_of};
pub use counted::COUNTED;
pub use start::{
    ALLOCATOR, Elected, End, MASTER, MasterConfig, Running, StartError, VIEW, local_store, stand,
    start, zookeeper,
};
