//! Decisions of the driver, one step at a time.
