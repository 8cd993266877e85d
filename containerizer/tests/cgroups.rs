//! Containers' groups on the real kernel, as root, the same tests for both versions: `cargo xtask test` runs them on this host
//! as it is, `cargo xtask test-cgroup2` in a small machine that has version 2 only. Each test has a root of its own and leaves
//! nothing.

#![allow(clippy::unwrap_used, reason = "what helps tests is part of them")]

#[path = "cgroups/place.rs"]
mod place;

#[path = "cgroups/delegated.rs"]
mod delegated;

#[path = "cgroups/life.rs"]
mod life;

#[path = "cgroups/limit.rs"]
mod limit;

#[path = "cgroups/memory.rs"]
mod memory;
