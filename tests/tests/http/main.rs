//! Stories of the public HTTP APIs: what clients of Mesos send, to real masters and agents.

#![allow(clippy::unwrap_used)] // a story fails by panicking

mod clients;
mod failover;
mod frameworks;
mod generated;
mod hostile;
mod operators;
mod pages;
mod papers;
mod routes;
mod stage;
mod surface;
mod tongues;
