//! Who leads, and what must survive: the traits that a master stands on, and their embedded form for one master. Nothing
//! here knows of masters or agents. Stores and electors may block; their callers give them a thread of their own.

#![warn(missing_docs)]

pub mod detect;
pub mod election;
pub mod export;
pub mod local;
pub mod record;
pub mod store;
pub mod zookeeper;
