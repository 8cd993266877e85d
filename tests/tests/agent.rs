//! Stories of one agent with real executors and real processes, told by a master that does what the story says.
// A story fails where it stands, and names only what it looks at.
#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

#[path = "agent/boundaries.rs"]
mod boundaries;
#[path = "agent/descriptors.rs"]
mod descriptors;
#[path = "agent/disks.rs"]
mod disks;
#[path = "agent/endings.rs"]
mod endings;
#[path = "agent/files.rs"]
mod files;
#[path = "agent/full.rs"]
mod full;
#[path = "agent/isolated.rs"]
mod isolated;
#[path = "agent/look.rs"]
mod look;
#[path = "agent/own_executors.rs"]
mod own_executors;
#[path = "agent/rights.rs"]
mod rights;
#[path = "agent/running.rs"]
mod running;
#[path = "agent/stage.rs"]
mod stage;
#[path = "agent/surviving.rs"]
mod surviving;
