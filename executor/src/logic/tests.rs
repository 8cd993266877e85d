//! Decisions of an executor, one scenario each.
