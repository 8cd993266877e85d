//! Running a scheduler: from a plain `main`, or beside other actors on a node that is there already.

use std::path::PathBuf;
use std::time::Duration;

use coordination::detect::{BadMaster, detector};
use coordination::zookeeper::url::{BadUrl, Url};
use libactor::{Accepts, Handle, Node, NodeConfig, Pid, Secret, Spawn, SpawnError, StartError};
use nix::unistd::{User, geteuid};
use protocol::PROTOCOL_VERSION;
use protocol::framework::{Capability, FrameworkInfo, MasterToFramework};
use protocol::ids::{FrameworkId, Role};
use tokio::sync::oneshot;

use crate::actor::{Ended, FrameworkActor, Input};
use crate::chance::random;
use crate::election::{Elected, Election, ElectionError};
use crate::keeper::Keeper;
use crate::logic::{Driver, Framework, Outcome, Scheduler, Settings};
use crate::state::StateError;

/// How long a framework's tasks outlive the loss of its scheduler, if its author says nothing.
pub const FAILOVER_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Before a scheduler that was deposed stands again.
const AGAIN: Duration = Duration::from_secs(1);

/// The most bytes of the name under which a scheduler's actor is found.
const NAME_BYTES: usize = 128;

/// Why a scheduler could not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The master's address cannot be read.
    #[error("run a scheduler")]
    Master(#[source] BadMaster),
    /// The node did not start.
    #[error("run a scheduler: start its node")]
    Node(#[source] StartError),
    /// The actor did not start.
    #[error("run a scheduler: start its actor")]
    Actor(#[source] SpawnError),
    /// Its state cannot be read or kept.
    #[error("run a scheduler: its state cannot be read or kept")]
    State(#[source] StateError),
    /// It says where it is elected in a way that cannot be read.
    #[error("run an elected scheduler")]
    Url(#[from] BadUrl),
    /// It cannot be elected.
    #[error("run an elected scheduler")]
    Election(#[from] ElectionError),
    /// The kernel gave no random number.
    #[error("run a scheduler: draw a random number: {0}")]
    Random(String),
    /// This thread cannot wait.
    #[error("run a scheduler: start a runtime")]
    Runtime(#[source] std::io::Error),
    /// Its node was shut down under it.
    #[error("run a scheduler: its node was shut down")]
    Shutdown,
}

/// How a scheduler is run; the default suits most.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the framework's id and what its scheduler stores are kept. Without one, a scheduler that is started anew
    /// is a new framework.
    pub state_dir: Option<PathBuf>,
    /// Where this scheduler stands for election among others of its framework, and keeps what it would keep in a state
    /// directory. Its scheduler hears nothing before it leads.
    pub elect: Option<Election>,
    /// The cluster's secret, if it has one.
    pub secret: Option<Secret>,
    /// How patient the driver is.
    pub settings: Settings,
    /// The node to live on; `None`: one of its own, that ends with it.
    pub node: Option<Node>,
}

impl Options {
    /// Elected at `zk://[user:password@]host:port,…/path`, or at what `file:///…` holds. The path is this framework's alone.
    pub fn elect(self, url: &str) -> Result<Self, RunError> {
        let elect = Some(Election::at(url.parse::<Url>()?));
        Ok(Self { elect, ..self })
    }
}

/// What a framework says of itself if it says no more than its name: this machine, this user, everybody's role, tasks
/// that outlive their scheduler by a week.
pub fn framework(name: &str) -> FrameworkInfo {
    let user = User::from_uid(geteuid()).ok().flatten();
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    FrameworkInfo {
        framework: FrameworkId::new("new"),
        name: name.to_owned(),
        user: user.map_or_else(|| geteuid().to_string(), |user| user.name),
        roles: vec![Role::everybody()],
        failover_timeout: FAILOVER_TIMEOUT,
        hostname: hostname.trim().to_owned(),
        capabilities: vec![Capability::PartitionAware, Capability::StatesDemand],
        carried: Default::default(),
    }
}

/// A scheduler that runs.
pub struct Running<S: Scheduler + Send + Unpin + 'static> {
    handle: Handle<FrameworkActor<S>>,
    ended: oneshot::Receiver<Ended<S>>,
    /// Of its own, to be ended with it.
    node: Option<Node>,
}

/// Says something to a scheduler that runs; clones are the same.
pub struct Inputs<S: Scheduler + Send + Unpin + 'static>(Handle<FrameworkActor<S>>);

impl<S: Scheduler + Send + Unpin + 'static> Clone for Inputs<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Scheduler + Send + Unpin + 'static> Inputs<S> {
    /// For [`Scheduler::input`]. Lost if the scheduler has ended.
    pub fn input(&self, data: Vec<u8>) {
        if let Err(error) = self.0.tell(Input(data)) {
            tracing::debug!(%error, "input for a scheduler is lost");
        }
    }
}

impl<S: Scheduler + Send + Unpin + 'static> Running<S> {
    /// The scheduler's actor.
    pub fn pid(&self) -> Pid {
        self.handle.pid()
    }

    /// A way to say something to the scheduler.
    pub fn inputs(&self) -> Inputs<S> {
        Inputs(self.handle.clone())
    }

    /// Waits for the end; gives the scheduler back.
    pub async fn ended(self) -> Result<(Outcome, S), RunError> {
        let ended = self.ended.await.map_err(|_| RunError::Shutdown);
        drop(self.handle);
        if let Some(node) = self.node {
            node.shutdown().await;
        }
        ended?.map_err(RunError::State)
    }
}

/// Starts a scheduler for a framework that is `info`, in the cluster whose leader `master` finds: `host:port`, or
/// `zk://host:port,…/path`. With [`Options::elect`] it is started once it leads, and until then this waits; whoever stops
/// to wait stops to stand.
pub async fn start_scheduler<S: Scheduler + Send + Unpin + 'static>(
    master: &str,
    info: FrameworkInfo,
    scheduler: S,
    options: Options,
) -> Result<Running<S>, RunError> {
    let detector = detector(master).map_err(RunError::Master)?;
    let (kept, standing) = match &options.elect {
        None => (Keeper::open(options.state_dir.as_deref()).map_err(RunError::State)?, None),
        Some(election) => {
            election.check(&info, options.state_dir.as_deref())?;
            let Elected { keeper, stored, standing } = election.stand(&info).await?;
            ((keeper, stored), Some(standing))
        }
    };
    let mut name = format!("scheduler/{}", info.name);
    name.truncate(name.floor_char_boundary(NAME_BYTES));
    let nonce = random().map_err(RunError::Random)?;
    let driver = Driver::new(info, kept.1.framework.clone(), nonce, options.settings);
    let framework = Framework::new(driver, scheduler);
    let own = options.node.is_none();
    let node = match options.node {
        Some(node) => node,
        None => {
            let config = NodeConfig {
                secret: options.secret,
                version: PROTOCOL_VERSION,
                ..NodeConfig::default()
            };
            Node::start(config).await.map_err(RunError::Node)?
        }
    };
    let (ends, ended) = oneshot::channel();
    let accepts = Accepts::new().tells::<MasterToFramework>().links();
    let spawn = Spawn::named(&name).accepts(accepts);
    let handle = node
        .spawn(spawn, move |_| {
            FrameworkActor::new(framework, detector, kept, ends).elected(standing)
        })
        .map_err(RunError::Actor)?;
    Ok(Running { handle, ended, node: own.then_some(node) })
}

/// Starts a scheduler and waits until it ends; gives it back with how it ended.
pub async fn run_scheduler<S: Scheduler + Send + Unpin + 'static>(
    master: &str,
    info: FrameworkInfo,
    scheduler: S,
    options: Options,
) -> Result<(Outcome, S), RunError> {
    start_scheduler(master, info, scheduler, options).await?.ended().await
}

/// The same from a plain `main`.
pub fn run<S: Scheduler + Send + Unpin + 'static>(
    master: &str,
    info: FrameworkInfo,
    scheduler: S,
    options: Options,
) -> Result<(Outcome, S), RunError> {
    block_on(run_scheduler(master, info, scheduler, options))
}

/// Stands for election ([`Options::elect`]) and runs a scheduler that `make` made whenever it leads, until that ends by
/// itself; stands again, with a new one, when another has taken over.
pub async fn run_elected_scheduler<S: Scheduler + Send + Unpin + 'static>(
    master: &str,
    info: FrameworkInfo,
    mut make: impl FnMut() -> S,
    options: Options,
) -> Result<(Outcome, S), RunError> {
    loop {
        let running = run_scheduler(master, info.clone(), make(), options.clone());
        let (outcome, scheduler) = running.await?;
        let goes_on = matches!(outcome, Outcome::Deposed(_) | Outcome::FailedOver);
        if !goes_on || options.elect.is_none() {
            return Ok((outcome, scheduler));
        }
        tracing::warn!(framework = info.name, "{outcome}; stands for election again");
        tokio::time::sleep(AGAIN).await;
    }
}

/// The same from a plain `main`.
pub fn run_elected<S: Scheduler + Send + Unpin + 'static>(
    master: &str,
    info: FrameworkInfo,
    make: impl FnMut() -> S,
    options: Options,
) -> Result<(Outcome, S), RunError> {
    block_on(run_elected_scheduler(master, info, make, options))
}

fn block_on<T>(running: impl Future<Output = Result<T, RunError>>) -> Result<T, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(RunError::Runtime)?.block_on(running)
}
