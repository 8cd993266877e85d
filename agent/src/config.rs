//! How an agent is started, and what can be wrong with that.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use containerizer::disk::DiskSettings;
use containerizer::isolator::Isolator;
use containerizer::logger::logic::Logger;
use coordination::election::Detector;
use fetcher::FetcherConfig;
use libactor::SpawnError;
use protocol::ids::Role;
use protocol::resources::Resources;
use protocol::task::Isolation;
use protocol::wishes::FaultDomain;

use crate::checkpoint::CheckpointError;
use crate::containers::ContainerSettings;
use crate::detect::DetectError;
use crate::logic::{self, BadConfig};
use crate::sandboxes::SandboxLimits;

/// The argument by which the program of executors is one that fetches.
pub const FETCH: &str = "fetch";

/// The word behind the program of the agent for the process that keeps what a container prints to a bound.
pub const KEEP_LOG: &str = "keep-log";

/// Everything that can be set about an agent.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Finds who leads.
    pub master: Arc<dyn Detector>,
    /// Where sandboxes and the checkpoint live; one agent each.
    pub work_dir: PathBuf,
    /// The program and first arguments of the command executor: this very binary and `executor`.
    pub executor: Vec<OsString>,
    /// How files of tasks are fetched.
    pub fetcher: FetcherConfig,
    /// What the operator names of the resources; the rest is detected.
    pub resources: Option<String>,
    /// For which role the resources are that are not said to be another's; everybody's: for none.
    pub default_role: Role,
    /// What the operator says of the machine, such as `rack:r1;ssd:true`.
    pub attributes: Option<String>,
    /// Where the machine is, if the operator says.
    pub domain: Option<FaultDomain>,
    /// The machine's name; `None`: what it calls itself.
    pub hostname: Option<String>,
    /// This agent's place among how many that share the machine: it takes that part of what was detected or named.
    pub share: Option<(u32, u32)>,
    /// When old sandboxes go.
    pub sandboxes: SandboxLimits,
    /// Whether this process is the agent alone: then it adopts and kills what dead executors leave behind, even what
    /// cleared its environment. Not for tests, whose process has other children.
    pub adopts_orphans: bool,
    /// What executors, and tasks of commands, find in their environment unless they say otherwise.
    pub executor_environment: BTreeMap<String, String>,
    /// How many files executors and tasks may open, if this process may open more than they are to.
    pub open_files: Option<u64>,
    /// How long executors have to come back after a restart of the agent; `None`: the default.
    pub executor_reregistration_timeout: Option<Duration>,
    /// How long executors wait for an agent that is gone; `None`: the default.
    pub recovery_timeout: Option<Duration>,
    /// How long an executor may take to register; `None`: the default.
    pub executor_registration_timeout: Option<Duration>,
    /// How many executors of each framework are shown after their end; `None`: the default.
    pub max_completed_executors_per_framework: Option<usize>,
    /// How long an executor that does not say may take to end; `None`: the default.
    pub executor_shutdown_grace_period: Option<Duration>,
    /// By which control groups containers are limited, if by any.
    pub groups: Option<GroupSettings>,
    /// Isolators of whoever uses this crate, behind those that the settings name; see [`containerizer::isolator`].
    ///
    /// ```no_run
    /// # use std::error::Error;
    /// # use std::sync::Arc;
    /// use agent::AgentConfig;
    /// use containerizer::isolator::Isolator;
    /// use libactor::{Node, NodeConfig};
    ///
    /// async fn run(own: Arc<dyn Isolator>) -> Result<agent::Running, Box<dyn Error>> {
    ///     let node = Node::start(NodeConfig::loopback()).await?;
    ///     let master = coordination::detect::detector("127.0.0.1:5050")?;
    ///     let executor = vec!["/usr/bin/airside".into(), "executor".into()];
    ///     let mut config = AgentConfig::new(master, "/var/lib/airside".into(), executor);
    ///     config.isolators.push(own);
    ///     Ok(agent::start(&node, config)?)
    /// }
    /// ```
    pub isolators: Vec<Arc<dyn Isolator>>,
    /// How their sandboxes are measured, if they are.
    pub disk: Option<DiskSettings>,
    /// How containers are kept apart beside, if they are.
    pub containers: Option<ContainerSettings>,
    /// A socket on which executors are served as well, if there is one.
    pub executors_socket: Option<PathBuf>,
    /// Whether a damaged checkpoint stops the start.
    pub strict: bool,
    /// What becomes of what a former life left.
    pub recover: logic::Recover,
    /// Which differences to the former life are accepted.
    pub reconfiguration_policy: logic::ReconfigurationPolicy,
    /// How what containers print is kept to a bound; `None`: it is not.
    pub logger: Option<Logger>,
    /// Which boot of the machine this is; `None`: the kernel knows.
    pub boot: Option<String>,
    /// Applied to the settings of the decisions, for tests and for those who know.
    pub adjust: Option<fn(&mut logic::Config)>,
}

/// The control groups of an agent's containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// The folder below which they are, in each tree.
    pub root: String,
    /// What is limited.
    pub isolators: Isolators,
    /// Whether a container gets no more of the processors than it holds, also where they are idle.
    pub hard_cpu: bool,
}

/// What control groups limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Isolators {
    /// The share of the processors.
    pub cpu: bool,
    /// Memory.
    pub memory: bool,
}

impl AgentConfig {
    /// The defaults for an agent of the master that is found so.
    pub fn new(master: Arc<dyn Detector>, work_dir: PathBuf, executor: Vec<OsString>) -> Self {
        let fetches = executor.first().cloned().into_iter().chain([FETCH.into()]).collect();
        Self {
            fetcher: FetcherConfig::new(fetches, work_dir.join("fetched")),
            master,
            work_dir,
            executor,
            resources: None,
            default_role: Role::everybody(),
            attributes: None,
            domain: None,
            hostname: None,
            share: None,
            sandboxes: SandboxLimits::default(),
            adopts_orphans: false,
            executor_environment: BTreeMap::new(),
            open_files: None,
            executor_reregistration_timeout: None,
            recovery_timeout: None,
            executor_registration_timeout: None,
            max_completed_executors_per_framework: None,
            executor_shutdown_grace_period: None,
            groups: None,
            isolators: Vec::new(),
            disk: None,
            containers: None,
            logger: None,
            executors_socket: None,
            strict: true,
            recover: logic::Recover::Reconnect,
            reconfiguration_policy: logic::ReconfigurationPolicy::Any,
            boot: None,
            adjust: None,
        }
    }

    pub(crate) fn set(&self, settings: &mut logic::Config) {
        if let Some(timeout) = self.executor_reregistration_timeout {
            settings.executor_reregistration_timeout = timeout;
        }
        if let Some(timeout) = self.recovery_timeout {
            settings.recovery_timeout = timeout;
        }
        if let Some(timeout) = self.executor_registration_timeout {
            settings.executor_registration_timeout = timeout;
        }
        if let Some(grace) = self.executor_shutdown_grace_period {
            settings.shutdown_grace = grace;
        }
        if let Some(most) = self.max_completed_executors_per_framework {
            settings.past_executors_max = most;
        }
        settings.domain.clone_from(&self.domain);
        if self.groups.is_some() {
            settings.isolation = Isolation::ControlGroup;
        }
        settings.user_namespaces =
            self.containers.as_ref().is_some_and(|containers| containers.users.is_some());
        settings.recover = self.recover;
        settings.reconfiguration_policy = self.reconfiguration_policy;
    }

    /// What it has to give.
    pub(crate) fn give(&self) -> Result<Resources, DetectError> {
        let named = self.resources.as_deref();
        let all = crate::detect::resources(&self.work_dir, named, &self.default_role)?;
        Ok(match self.share {
            Some((index, count)) => crate::detect::part(&all, index, count),
            None => all,
        })
    }
}

/// Why an agent did not start. One line, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The work directory or the checkpoint in it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The machine.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// The attributes.
    #[error("--attributes: {0}")]
    Attributes(#[source] protocol::resources::BadResources),
    /// The settings.
    #[error(transparent)]
    Config(#[from] BadConfig),
    /// Executors could not dial it.
    #[error("an agent's node must listen: executors dial it; give it a port")]
    NotListening,
    /// The kernel gave no chance.
    #[error("read random bytes: {0}")]
    Random(getrandom::Error),
    /// It would not inherit what dead executors leave.
    #[error("become the reaper of what dead executors leave behind")]
    Reaper(#[source] nix::Error),
    /// Its control groups could not be made.
    #[error("--isolation: make the agent's control groups")]
    Groups(#[source] containerizer::cgroups::CgroupError),
    /// Nobody would look at the disk.
    #[error("--isolation: start the thread that looks at what containers take of the disk")]
    Disk(#[source] std::io::Error),
    /// An isolator cannot go on with what a former life left.
    #[error("take over containers of a former life: {0}")]
    Isolators(String),
    /// Its images have no place.
    #[error("--docker_store_dir: open the store of images")]
    Images(#[source] images::OpenError),
    /// Executors would not see that it is gone.
    #[error("open the pipe by which executors see that their agent is gone")]
    Lifeline(#[source] std::io::Error),
    /// An actor could not be made.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}
