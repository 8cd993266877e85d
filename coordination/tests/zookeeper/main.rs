//! Election and registry against a real ensemble of three servers, which all tests of this file share. Whoever kills or
//! freezes servers has it alone for as long. Every test has a path of its own.

#![allow(clippy::unwrap_used, reason = "a story that cannot go on ends")]

mod access;
mod bad_input;
mod election;
mod moving;
mod outages;
mod registry;
mod stage;
mod tls;
mod transfer;
mod unanswered;
