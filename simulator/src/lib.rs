//! Whole clusters in one thread from one seed: the decisions of every component, run against a network that delays,
//! reorders, loses and breaks, disks that forget, clocks that drift and processes that die. [`run`](run::run) takes a seed
//! to its verdict, [`simulate`] is the command line, [`Cluster`] is for authors of schedulers.
//!
//! Nothing here reads a clock, opens a socket or touches a disk (but for [`simulate`], which measures how long it takes):
//! the same seed gives the same run, byte for byte.

mod author;
pub mod bugs;
mod careless;
pub mod chance;
pub mod clock;
mod cluster;
pub mod disk;
pub mod elections;
mod faults;
pub mod healing;
mod life;
mod machines;
pub mod network;
mod office;
mod operator;
mod places;
mod process;
pub mod properties;
pub mod queue;
pub mod run;
mod said;
mod schedulers;
mod shells;
pub mod simulate;
mod system;
pub mod task;
pub mod transcript;
pub mod truth;
mod world;

pub use cluster::{Cluster, View};
