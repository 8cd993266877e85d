//! Decisions of the master, told as stories. The vocabulary is in `tests/scenario.rs`.

mod again;
mod agents;
mod bugs;
mod collection;
mod contained;
mod counted;
mod domains;
mod endings;
mod entrance;
mod frameworks;
mod giving_up;
mod hoarding;
mod lines;
mod offers;
mod partitions;
mod recovery;
mod roles;
pub(crate) mod scenario;
mod shown;
mod snapshot;
mod start_over;
mod tasks;
mod unmet;
mod updating;
mod whole_calls;
mod wishes;
