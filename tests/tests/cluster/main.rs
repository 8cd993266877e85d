//! Stories: what people see, told with real processes of the real binary.

#![allow(clippy::unwrap_used)] // a story fails by panicking

mod bad_input;
mod causes;
mod deaths;
mod demo;
mod descriptors;
mod disks;
mod domains;
mod first_hour;
mod flows;
mod ha;
mod machine;
mod nodes;
mod roles;
mod shares;
mod swarm;
mod tasks;
mod twins;
mod why;
