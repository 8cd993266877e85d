//! What the components of Airside say to one another. One enum per direction, the ids, the `Resources` algebra and
//! nothing that does I/O.
//!
//! | from | to | enum | lane |
//! |---|---|---|---|
//! | agent | master | [`agent::AgentToMaster`] | normal |
//! | master | agent | [`agent::MasterToAgent`] | normal |
//! | scheduler | master | [`framework::FrameworkToMaster`] | normal |
//! | master | scheduler | [`framework::MasterToFramework`] | normal |
//! | executor | agent | [`executor::ExecutorToAgent`] | normal |
//! | agent | executor | [`executor::AgentToExecutor`] | normal |
//! | anyone | master, agent | the questions of [`operator`] and [`why`] | normal |
//!
//! **The append-only rule.** A released variant never moves, vanishes or changes its fields, and neither does any struct
//! reachable from a message. What must change becomes a new variant at the end of its enum, with the version that brought
//! it in `Message::since`. `tests/wire_format.rs` holds the bytes of one sample of every variant.

#![warn(missing_docs)]

pub mod agent;
pub mod carried;
pub mod change;
pub mod container;
pub mod domain;
pub mod executor;
pub mod fate;
pub mod framework;
pub mod ids;
pub mod legacy;
pub mod limits;
mod messages;
pub mod offer;
pub mod operator;
pub mod quantities;
pub mod quota;
pub mod resources;
mod secrets;
mod since;
pub mod task;
pub mod time;
pub mod v1;
pub mod why;
pub mod wishes;

/// The version of everything in this crate; the handshake settles on the older of two.
pub const PROTOCOL_VERSION: u32 = 2;
