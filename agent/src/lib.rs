//! The agent: runs tasks on one machine. [`logic`] decides; the actors do. [`start`] puts one on a node.

mod actors;
mod calls;
mod checkpoint;
mod config;
mod containers;
mod counted;
pub mod detect;
mod home;
pub mod http;
mod isolators;
pub mod logic;
mod metrics;
mod places;
mod pulls;
mod sandboxes;
mod usage;
mod users;
mod view;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use containerizer::isolator;
use containerizer::lifeline::Lifeline;
use fetcher::Fetcher;
use libactor::{Accepts, Clock, Handle, Node, Spawn};
use protocol::agent::{AgentAddress, AgentInfo, MasterToAgent};
use protocol::executor::ExecutorToAgent;
use protocol::ids::ContainerId;
use protocol::operator::{ReadExecutors, ReadSandbox};
use protocol::task::ExecutorSpec;

use actors::agent::{AgentActor, Ended, Leave, ReadBooks, ReadCounts, Shown};
use actors::checkpointer::{Checkpointer, Outcome, Write};
use actors::outbox::Outbox;
use actors::process::{FromProcesses, Launching, Processes, ToProcesses};
pub use calls::CallSettings;
pub use checkpoint::CheckpointError;
use checkpoint::CheckpointFile;
#[cfg(feature = "testing")]
pub use checkpoint::bytes as checkpoint_bytes;
pub use config::{AgentConfig, FETCH, GroupSettings, Isolators, KEEP_LOG, StartError};
pub use containers::{
    CapabilitySettings, ContainerSettings, GarbageSettings, ImageSettings, RegistrySetting,
};
pub use counted::COUNTED;
use home::Home;
pub use home::lender;
use http::Subscribes;
use logic::{Checkpoint, End};
pub use sandboxes::SandboxLimits;
use sandboxes::{Sandboxes, Unremoved};

/// The name that the agent's actor has on its node; executors know it.
pub const ACTOR: &str = protocol::executor::AGENT_ACTOR;

/// What waits for the agent's actor at most: the news of thousands of executors that start at once.
const MAILBOX: usize = 65_536;

/// An agent that runs.
#[derive(Clone, Debug)]
pub struct Running {
    handle: Handle<AgentActor>,
    ended: Arc<Ended>,
    info: AgentInfo,
    sandboxes: Sandboxes,
    fetcher: Fetcher,
    images: Option<pulls::Images>,
    isolators: isolator::Isolators,
}

impl Running {
    /// What it says of itself.
    pub fn info(&self) -> &AgentInfo {
        &self.info
    }

    /// Its actor.
    pub fn pid(&self) -> libactor::Pid {
        self.handle.pid()
    }

    /// Ends it in an orderly way: its executors first. Wait for [`Running::ended`].
    pub fn leave(&self) {
        // An agent that has no room for this has ended or will be ended the hard way.
        let _ = self.handle.tell(Leave);
    }

    /// Waits until its life is over, and says why it is.
    pub async fn ended(&self) -> End {
        loop {
            let notified = self.ended.notify.notified();
            if let Some(end) = self.ended.end.get() {
                return end.clone();
            }
            notified.await;
        }
    }

    /// What says what containers use, and what there is to say of them.
    pub(crate) fn isolators(&self) -> &isolator::Isolators {
        &self.isolators
    }

    /// Its books at this moment, and the machine of whoever leads.
    pub(crate) async fn shown(&self) -> Result<Shown, libactor::AskError> {
        self.handle.ask(ReadBooks).await
    }

    /// What it counts, under Mesos's names.
    pub async fn numbers(&self) -> gateway::Snapshot {
        let fetched = self.fetcher.counts();
        let pulled = self.images.as_ref().map(pulls::Images::took).unwrap_or_default();
        let counts = self.handle.ask(ReadCounts).await;
        counts.map(|counts| counts.numbers(&fetched, &pulled)).unwrap_or_default()
    }

    /// What it counts, as Prometheus reads it.
    pub async fn metrics(&self) -> String {
        self.handle.ask(ReadCounts).await.map(|counts| counts.prometheus()).unwrap_or_default()
    }
}

/// Starts an agent on a node that listens. It registers with its master as soon as nothing of a former life runs.
pub fn start(node: &Node, config: AgentConfig) -> Result<Running, StartError> {
    let listens = node.advertised().ok_or(StartError::NotListening)?;
    let (checkpoint, file) = CheckpointFile::open(&config.work_dir, config.strict)?;
    let boot = config.boot.clone().map_or_else(detect::boot_id, Ok)?;
    let info = info(&config, listens, &boot)?;
    let mut settings = logic::Config::new(info.clone());
    config.set(&mut settings);
    if let Some(adjust) = config.adjust {
        adjust(&mut settings);
    }
    settings.validate()?;
    let lifeline = if config.adopts_orphans {
        nix::sys::prctl::set_child_subreaper(true).map_err(StartError::Reaper)?;
        Some(Lifeline::new().map_err(StartError::Lifeline)?)
    } else {
        None
    };
    // Known by the absolute path: executors work elsewhere.
    let work_dir = std::path::absolute(&config.work_dir).unwrap_or(config.work_dir.clone());
    let (home, agent_at) = (Home::at(&work_dir), dialled(node, listens));
    home.say_address(agent_at)?;
    home.drop_records_but(&checkpoint);
    let isolators = isolators::open(&config, &work_dir)?;
    let images = config.containers.as_ref().and_then(|containers| containers.images.as_ref());
    let images = images.map(pulls::Images::open).transpose().map_err(StartError::Images)?;
    let launching = Launching {
        executor: config.executor.clone(),
        sandboxes: Sandboxes::below(&work_dir),
        fetcher: Fetcher::new(config.fetcher.clone()),
        containers: config.containers.clone(),
        images: images.clone(),
        logger: config.logger.clone().map(|logger| (keeper(&config.executor), logger)),
        home,
        agent_at: agent_at.to_string(),
        recovery_timeout: settings.recovery_timeout,
        socket: config.executors_socket.clone(),
        boot,
        lifeline,
        open_files: config.open_files,
        environment: config.executor_environment.clone(),
    };
    let (sandboxes, fetcher) = (launching.sandboxes.clone(), launching.fetcher.clone());
    let processes = processes(&checkpoint, &launching.boot);
    let agent = new_agent(settings, checkpoint)?;
    isolators::recover(&isolators, &known(&agent, &launching, processes))?;
    let ended = Arc::new(Ended::default());
    let all = isolators.clone();
    let helpers = Helpers { launching, isolators: all, file };
    let handle = spawn(node, config, helpers, agent, Arc::clone(&ended))?;
    Ok(Running { handle, ended, info, sandboxes, fetcher, images, isolators })
}

/// What keeps what a container prints to a bound is another word of the same program as the executor of commands.
fn keeper(executor: &[OsString]) -> Vec<OsString> {
    executor.first().cloned().into_iter().chain([KEEP_LOG.into()]).collect()
}

fn info(config: &AgentConfig, listens: SocketAddr, boot: &str) -> Result<AgentInfo, StartError> {
    let attributes = config.attributes.as_deref().unwrap_or_default();
    let hostname = match &config.hostname {
        Some(hostname) => hostname.clone(),
        None => detect::hostname()?,
    };
    Ok(AgentInfo {
        at: AgentAddress { hostname, listens: listens.to_string() }.into(),
        resources: config.give()?,
        attributes: protocol::resources::parse_attributes(attributes)
            .map_err(StartError::Attributes)?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: boot.to_owned(),
    })
}

fn new_agent(settings: logic::Config, checkpoint: Checkpoint) -> Result<logic::Agent, StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(StartError::Random)?;
    Ok(logic::Agent::new(settings, checkpoint, seed))
}

/// Of executors of a former life that began in this boot of the machine.
fn processes(checkpoint: &Checkpoint, boot: &str) -> BTreeMap<ContainerId, Option<u32>> {
    let kept = checkpoint.executors.iter().map(|(container, kept)| {
        let process = kept.process.as_ref().filter(|process| process.boot == boot);
        (container.clone(), process.map(|process| process.process))
    });
    kept.collect()
}

/// Whatever becomes of them: isolators are asked to end what the agent does not keep.
fn known(
    agent: &logic::Agent,
    launching: &Launching,
    processes: BTreeMap<ContainerId, Option<u32>>,
) -> Vec<isolator::Known> {
    let folders = |(container, framework, spec): (&ContainerId, _, &ExecutorSpec)| {
        let sandbox = launching.sandboxes.path(framework, &spec.executor, container);
        let records = launching.home.records(container);
        (container.clone(), isolators::folders(&sandbox, &records).to_vec())
    };
    let mut folders: BTreeMap<_, _> = agent.executors().map(folders).collect();
    let known = processes.into_iter().filter_map(|(container, process)| {
        let allowance = agent.allowance(&container).unwrap_or_default();
        let folders = folders.remove(&container).unwrap_or_default();
        Some(isolator::Known { id: isolators::id(&container).ok()?, process, allowance, folders })
    });
    known.collect()
}

/// What the helpers of an agent's actor have.
struct Helpers {
    launching: Launching,
    isolators: isolator::Isolators,
    file: CheckpointFile,
}

/// The two helpers have threads of their own, since they wait for the disk and for new processes. They are told whom to
/// answer before the agent is there, so its actor comes first and waits for them.
fn spawn(
    node: &Node,
    config: AgentConfig,
    Helpers { launching, isolators, file }: Helpers,
    agent: logic::Agent,
    ended: Arc<Ended>,
) -> Result<Handle<AgentActor>, StartError> {
    let of_processes = isolators.clone();
    let accepts = Accepts::new()
        .tells::<MasterToAgent>()
        .tells::<ExecutorToAgent>()
        .from_lent()
        .asks::<ReadSandbox>()
        .asks::<ReadExecutors>()
        .links();
    let sandboxes = launching.sandboxes.clone();
    let helpers = node.clone();
    let accepts =
        accepts.tells_here::<FromProcesses>().tells_here::<Outcome>().tells_here::<Subscribes>();
    let spawn = Spawn { name: Some(ACTOR), mailbox: MAILBOX, accepts, pinned: false };
    let handle = node.spawn(spawn, move |ctx| {
        let pid = ctx.pid();
        let helper = |what: &str| format!("{what} of an agent starts on a node that runs");
        let spawn = Spawn {
            mailbox: MAILBOX,
            accepts: Accepts::new().tells_here::<ToProcesses>(),
            pinned: true,
            ..Spawn::default()
        };
        let processes = helpers
            .spawn(spawn, move |_| Processes::new(launching, of_processes, pid))
            .unwrap_or_else(|error| panic!("{}: {error}", helper("the process actor")));
        let spawn = Spawn {
            mailbox: MAILBOX,
            accepts: Accepts::new().tells_here::<Write>(),
            pinned: true,
            ..Spawn::default()
        };
        let checkpointer = helpers
            .spawn(spawn, move |_| Checkpointer { file, to_agent: Outbox::to(pid) })
            .unwrap_or_else(|error| panic!("{}: {error}", helper("the checkpointer")));
        AgentActor {
            agent,
            master: config.master,
            to_processes: Outbox::to(processes.pid()),
            to_checkpointer: Outbox::to(checkpointer.pid()),
            sandboxes,
            unremoved: Unremoved::default(),
            limits: config.sandboxes,
            clock: Clock::start(),
            counts: metrics::Counts::default(),
            books: None,
            ended,
            isolators,
        }
    })?;
    Ok(handle)
}

/// An error with what caused it, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let more = std::iter::successors(error.source(), |error| error.source());
    more.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

/// Where the executors of this machine dial: a node that listens everywhere is nearest on loopback.
fn dialled(node: &Node, advertised: SocketAddr) -> SocketAddr {
    let Some(address) = node.address() else {
        return advertised;
    };
    let nearest = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(nearest, address.port())
}
