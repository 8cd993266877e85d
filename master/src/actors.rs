//! What does what the logic decides: four actors, of which the master's alone talks to other processes.

pub(crate) mod allocator;
mod log;
pub(crate) mod master;
pub(crate) mod registrar;
pub(crate) mod view;
