//! The public v1 vocabulary: the messages that frameworks, executors and operators know, as Rust
//! types made at build time from `proto/`.
//!
//! Modules follow the protobuf packages: `mesos.v1` is [`v1`], `mesos.v1.scheduler` is
//! [`v1::scheduler`] and so on. A message nested in another lives in a module named after the outer
//! one: `TaskStatus.Reason` is [`v1::task_status::Reason`].
//!
//! What comes from outside is read by [`wire::read`] or [`json::read`], which insist on required
//! fields; prost's own `decode` does not, and gives one that is missing the default of its type.
//! A stream of messages is cut into records by [`recordio`]. [`resources`] are written in three ways,
//! which are made into one another here.
//!
//! Nothing here decides anything, and nothing here does I/O.

pub mod json;
pub mod recordio;
pub mod resources;
#[cfg(test)]
mod round_trips;
#[cfg(any(test, feature = "testing"))]
pub mod samples;
pub mod schema;
pub mod wire;

/// The messages of package `mesos.v1`, and below it one module for each of its packages.
#[allow(clippy::all, unreachable_pub, unused_qualifications)] // written by prost, not by us
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/mesos.v1.rs"));

    /// What operators ask of one agent, and what programs attached to its containers exchange.
    pub mod agent {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.agent.rs"));
    }
    /// How a framework answered the inverse offers it got.
    pub mod allocator {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.allocator.rs"));
    }
    /// What an executor and its agent say to each other.
    pub mod executor {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.executor.rs"));
    }
    /// Planned down time of machines.
    pub mod maintenance {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.maintenance.rs"));
    }
    /// What operators ask of the master, and the events it streams to them.
    pub mod master {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.master.rs"));
    }
    /// How much a role is guaranteed and how much it may hold at most.
    pub mod quota {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.quota.rs"));
    }
    /// What a provider of resources and the manager of its agent say to each other.
    pub mod resource_provider {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.resource_provider.rs"));
    }
    /// What a framework's scheduler and the master say to each other.
    pub mod scheduler {
        include!(concat!(env!("OUT_DIR"), "/mesos.v1.scheduler.rs"));
    }
}

/// The encoded `google.protobuf.FileDescriptorSet` of the whole schema: names, numbers, labels,
/// types and defaults, for whoever has to look at messages without knowing them.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
