//! Stories of the public HTTP APIs: what clients of Mesos send, to real masters and agents.

#![allow(clippy::unwrap_used)] // a story fails by panicking

mod authentication;
mod clients;
mod daemon;
mod failover;
mod flags;
mod frameworks;
mod hostile;
mod papers;
mod routes;
mod stage;
