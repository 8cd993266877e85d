//! Pulls as a whole: from a registry of our own that misbehaves in each way there is, and from Debian's real one.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside them")]

mod crash;
mod fake;
mod made;
mod misbehaving;
mod real;
mod sharing;
mod tokens;
