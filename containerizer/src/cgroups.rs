//! Control groups of both versions: what the host has, one group a container with its limits, what it uses, whether it ran
//! out of memory, and its end. [`logic`] decides what is written where and reads what the kernel says; the other modules do it.
//!
//! ```text
//! <mount>/[own group/]<root>/<agent>/<container>[/nested/<container>]...
//! ```
//!
//! In version 2 the processes of a container are in `leaf` below its group: a group that has processes may not give
//! controllers to groups below it, which those of nested containers need.

mod bpf;
mod error;
mod files;
pub mod group;
pub mod hierarchies;
mod join;
pub mod kill;
pub mod logic;
pub mod oom;
pub mod pressure;
pub mod remove;
pub mod usage;

pub use error::CgroupError;
pub use group::Group;
pub use hierarchies::Hierarchies;
pub use join::join;
