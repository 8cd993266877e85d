//! The executor of command tasks.
