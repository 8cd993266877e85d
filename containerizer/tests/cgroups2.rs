//! What containers' groups are on a kernel with version 2 only: which files hold what, where processes are, what limits. It
//! needs such a kernel, as root: `cargo xtask test` runs it in a small machine that has one.

#![allow(clippy::unwrap_used, reason = "what helps tests is part of them")]

#[path = "cgroups/place.rs"]
mod place;

#[path = "cgroups2/disk.rs"]
mod disk;

#[path = "cgroups2/limits.rs"]
mod limits;

#[path = "cgroups2/memory.rs"]
mod memory;

#[path = "cgroups2/tree.rs"]
mod tree;

use place::Place;

/// `None`: a host with version 1, where these tests show nothing.
#[allow(clippy::print_stdout, reason = "how a test says that it was skipped")]
fn place_of_v2() -> Option<Place> {
    let place = Place::new();
    if place.is_v1() {
        println!("skipped: this host has version 1; see `cargo xtask test-cgroup2`");
        return None;
    }
    Some(place)
}
