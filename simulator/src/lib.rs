//! Whole clusters in one thread from one seed.

mod author;
pub mod bugs;
pub mod chance;
pub mod clock;
pub mod disk;
mod faults;
mod life;
pub mod network;
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
