//! The public HTTP pages of an agent's node.

use gateway::{Daemon, Limits, Realm, Route, Routes, empty, serve};
use libactor::{Foreign, Node};

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

/// A hook for the node: all that is served on an agent's port.
pub fn foreign(gateways: &Gateways) -> Foreign {
    let health = Route::new(SLAVE, "/health", |_| async { empty(200) }).realm(Realm::Open);
    let routes = gateways.daemon.routes().into_iter().chain([health]);
    let realms = gateways.daemon.realms().clone();
    serve(Routes::new(SLAVE, realms, routes.collect()), Limits::default())
}
