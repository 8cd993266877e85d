//! Jobs that run again and again, as `cron` has them, on a cluster instead of a machine: each is due at whole multiples of its
//! period since 1970, and runs once between then and the next time it is due.
//!
//! It never runs twice in that window, whatever becomes of masters, agents, networks and this scheduler: that it is about to
//! be launched is written down before that is said, and the same task id is tried again only if it is certain that nothing
//! came of it. So a window may stay without its run if all of this goes wrong within it; the next one does not.
//!
//! A run that takes longer than its period does not hold up the next. A clock that is set back pauses jobs until it shows what
//! it had shown before.

#![warn(missing_docs)]

mod job;
mod scheduler;

pub use job::{BadJob, Job};
pub use scheduler::{Happening, Periodic, STOP};
