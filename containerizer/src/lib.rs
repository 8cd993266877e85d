//! What runs on a machine: programs that are started by another's hand, containers, processes that are looked at, and
//! how one process sees that another is gone. For agents and executors alike; it knows nothing of offers and masters.

pub mod cgroups;
pub mod confinement;
pub mod container;
pub mod disk;
mod init;
pub mod inside;
pub mod isolation;
pub mod isolator;
pub mod launcher;
pub mod life;
pub mod lifeline;
pub mod limits;
pub mod logger;
pub mod logic;
pub mod look;
pub mod namespaces;
pub mod network;
pub mod records;
pub mod recover;
pub mod remove;
pub mod rlimits;
pub mod runtime;
pub mod start;
pub mod subordinate;
mod system;
pub mod unwritable;
pub mod watch;
