//! The agent as actors: one that does what the logic decides, one that starts and buries processes, one that writes the
//! checkpoint. None of them decides anything.

pub(crate) mod agent;
pub(crate) mod checkpointer;
mod limits;
pub(crate) mod outbox;
pub(crate) mod process;
