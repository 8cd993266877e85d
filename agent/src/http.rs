//! The public HTTP pages of an agent's node.

mod books;
mod executor;
mod legacy;
mod looks;
mod operator;
mod pace;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use gateway::{BadSocket, Daemon, Files, Limits, Routes, serve, serve_on};
use libactor::{Clock, Foreign, Node, Pid};
use protocol::time::{Now, WallTime};

pub(crate) use books::{ReadRecovery, Recovery};
pub(crate) use executor::{Dismiss, FindExecutor, Found, Subscribes};

use crate::Running;
use executor::Gateway;
use looks::Looks;
use pace::Pace;

use crate::places::SandboxPlaces;

/// The actor's name in paths, which is Mesos's.
const SLAVE: &str = "slave(1)";

/// What all gateways of an agent's process share. Made before its node, which is told later, as is the agent.
#[derive(Clone)]
pub struct Gateways(Arc<Shared>);

struct Shared {
    daemon: Daemon,
    agent: OnceLock<Running>,
    /// Once it has found again what a former life started, nobody need be asked whether it has.
    has_recovered: AtomicBool,
    /// When the process began.
    started: WallTime,
    statistics: Pace,
    looks: Looks,
    /// Those of executors that are subscribed, or about to be.
    executors: Mutex<BTreeMap<Pid, Gateway>>,
}

impl Gateways {
    /// Of an agent's daemon.
    pub fn new(daemon: Daemon) -> Self {
        Self(Arc::new(Shared {
            daemon,
            agent: OnceLock::new(),
            has_recovered: AtomicBool::new(false),
            started: Now::from(Clock::start().read()).wall,
            statistics: Pace::default(),
            looks: Looks::default(),
            executors: Mutex::default(),
        }))
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

/// Executors are also served on a socket of this machine, at this path.
pub fn listen_for_executors(
    gateways: &Gateways,
    node: &Node,
    path: &Path,
) -> Result<(), BadSocket> {
    let realms = gateways.0.daemon.realms().clone();
    let routes = Routes::new(SLAVE, realms, executor::routes(gateways));
    serve_on(path, node, routes, Limits::default())
}

/// What is in sandboxes may be read from now on.
pub fn attach_sandboxes(files: &Files, work_dir: &Path) {
    files.come_from(SandboxPlaces::below(work_dir));
}

/// A hook for the node: all that is served on an agent's port.
pub fn foreign(gateways: &Gateways) -> Foreign {
    let daemon = &gateways.0.daemon;
    let own = [daemon.health_of(SLAVE), daemon.flags_of(SLAVE)];
    let routes = own.into_iter().chain(daemon.routes()).chain(executor::routes(gateways));
    let routes = routes.chain(operator::routes(gateways)).chain(legacy::routes(gateways));
    serve(Routes::new(SLAVE, daemon.realms().clone(), routes.collect()), Limits::default())
}
