//! The public HTTP pages of an agent's node.

use std::path::Path;

use gateway::{Daemon, Files, Limits, Routes, serve};
use libactor::{Foreign, Node};

use crate::places::SandboxPlaces;

/// The actor's name in paths, which is Mesos's.
const SLAVE: &str = "slave(1)";

/// What all gateways of an agent's process share. Made before its node, which is told later.
#[derive(Clone)]
pub struct Gateways {
    daemon: Daemon,
}

impl Gateways {
    /// Of an agent's daemon.
    pub fn new(daemon: Daemon) -> Self {
        Self { daemon }
    }

    /// The node on which they are.
    pub fn are_on(&self, node: &Node) {
        self.daemon.is_on(node);
    }
}

/// What is in sandboxes may be read from now on.
pub fn attach_sandboxes(files: &Files, work_dir: &Path) {
    files.come_from(SandboxPlaces::below(work_dir));
}

/// A hook for the node: all that is served on an agent's port.
pub fn foreign(gateways: &Gateways) -> Foreign {
    let daemon = &gateways.daemon;
    let own = [daemon.health_of(SLAVE), daemon.flags_of(SLAVE)];
    let routes = own.into_iter().chain(daemon.routes());
    let realms = gateways.daemon.realms().clone();
    serve(Routes::new(SLAVE, realms, routes.collect()), Limits::default())
}
