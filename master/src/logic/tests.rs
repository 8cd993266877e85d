//! Decisions of the master, told as stories. The vocabulary is in `tests/scenario.rs`.

mod again;
mod agents;
mod bugs;
mod frameworks;
mod lines;
mod offers;
mod recovery;
pub(crate) mod scenario;
mod snapshot;
mod start_over;
mod tasks;
mod unmet;
