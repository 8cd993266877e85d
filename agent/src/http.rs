//! The public HTTP pages of an agent's node.

mod executor;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gateway::{Daemon, Limits, Route, Routes, empty, serve};
use libactor::{Foreign, Node, Pid};

pub(crate) use executor::{Dismiss, FindExecutor, Found, Subscribes};

use crate::Running;
use executor::Gateway;

/// The actor's name in paths, which is Mesos's.
const SLAVE: &str = "slave(1)";

/// What all gateways of an agent's process share. Made before its node, which is told later, as is the agent.
#[derive(Clone)]
pub struct Gateways(Arc<Shared>);

struct Shared {
    daemon: Daemon,
    agent: OnceLock<Running>,
    /// Those of executors that are subscribed, or about to be.
    executors: Mutex<BTreeMap<Pid, Gateway>>,
}

impl Gateways {
    /// Of an agent's daemon.
    pub fn new(daemon: Daemon) -> Self {
        Self(Arc::new(Shared { daemon, agent: OnceLock::new(), executors: Mutex::default() }))
    }

    /// The node on which they are.
    pub fn are_on(&self, node: &Node) {
        self.0.daemon.is_on(node);
    }

    /// The agent that they stand before, once it has begun.
    pub fn stand_before(&self, agent: &Running) {
        // It is said once.
        let _ = self.0.agent.set(agent.clone());
    }

    fn executors(&self) -> MutexGuard<'_, BTreeMap<Pid, Gateway>> {
        self.0.executors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hook for the node: all that is served on an agent's port.
pub fn foreign(gateways: &Gateways) -> Foreign {
    let health = Route::new(SLAVE, "/health", |_| async { empty(200) });
    let routes = gateways.0.daemon.routes().into_iter().chain([health]);
    let routes = routes.chain(executor::routes(gateways));
    serve(Routes::new(SLAVE, routes.collect()), Limits::default())
}
