//! A master's state as Mesos's older endpoints show it. Nothing is put together before it is written: each list is walked as its
//! JSON is made.

mod agents;
mod frameworks;
mod roles;
mod state;
mod summary;
mod tasks;

pub use state::About;
pub(crate) use tasks::{Order, TaskQuery};
