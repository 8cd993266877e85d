//! Stories of the public HTTP APIs: what clients of Mesos send, to real masters and agents.

#![allow(clippy::unwrap_used)] // a story fails by panicking

mod agents;
mod authentication;
mod clients;
mod counted;
mod daemon;
mod endings;
mod executors;
mod failover;
mod fetched;
mod flags;
mod frameworks;
mod fuzzed;
mod generated;
mod hostile;
mod images;
mod limited;
mod logged;
mod operators;
mod pages;
mod papers;
mod routes;
mod stage;
mod started;
mod surface;
mod tongues;
mod unwelcome;
mod used;
