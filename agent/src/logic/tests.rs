//! Decisions of an agent, one scenario each.
