//! Runs a list of tasks to the end.
