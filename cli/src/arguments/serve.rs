//! The flags of what serves: master, agent, node, and the commands that start several of them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use coordination::zookeeper::url::Url;
use libactor::Name;
use master::MasterConfig;
use master::config::RateLimit;
use master::logic::constraints::Bounds;
use protocol::ids::Role;
use protocol::resources::{Milli, Resources};
use protocol::wishes::FaultDomain;

use super::allocator::AllocatorArguments;
use super::authentication::{AgentAuthentication, MasterAuthentication};
use super::fetcher::FetcherArguments;
use super::isolation::IsolationArguments;
use super::logger::LoggerArguments;
use super::variables::{Variables, variables};
use super::{ClusterArguments, ListenArguments, RoleArguments};
use crate::amounts::{self, Weights};
use crate::domains::domain;
use crate::units;

#[derive(Debug, Args)]
pub(crate) struct MasterArguments {
    /// Port to listen on; 0 takes any
    #[arg(long, default_value_t = 5050)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) listen: ListenArguments,
    /// Name of this machine, for people
    #[arg(long)]
    pub(crate) hostname: Option<String>,
    /// Folder for what must survive
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: PathBuf,
    /// ZooKeeper, for several masters of which one leads: `zk://[user:password@]host:port,…/path`, or `file:///…` that holds this
    #[arg(long, value_name = "URL", value_parser = units::zookeeper)]
    pub(crate) zk: Option<Url>,
    /// After so long without a word from it, ZooKeeper takes a master for dead
    #[arg(long, default_value = "10secs", value_parser = units::duration, value_name = "TIME")]
    pub(crate) zk_session_timeout: Duration,
    /// Operators that may listen to the stream of events at once; when there are more, the one who came first goes
    #[arg(long, default_value_t = 1000, value_name = "COUNT")]
    pub(crate) max_operator_event_stream_subscribers: usize,
    /// Weights of roles, such as `eng=2,ops=0.5`, if the registry has none; `airside weights set` says them while it runs
    #[arg(long, value_name = "ROLE=WEIGHT,…", value_parser = amounts::weights)]
    pub(crate) weights: Option<Weights>,
    /// Where this master is, as `{"fault_domain":{"region":{"name":"eu"},"zone":{"name":"eu-1"}}}`, or `file:///path` of a file
    /// with that. Agents of other regions are offered to frameworks that know of regions; all masters of a cluster say the same
    /// region
    #[arg(long, value_name = "JSON", value_parser = domain)]
    domain: Option<FaultDomain>,
    /// Whether to take only agents that say where they are
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    require_agent_domain: bool,
    #[command(flatten)]
    pub(crate) authentication: MasterAuthentication,
    /// Name of the cluster, for people
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    /// How many ended tasks of each framework are remembered
    #[arg(long, default_value_t = 1000, value_name = "COUNT")]
    max_completed_tasks_per_framework: usize,
    /// How many ended frameworks are shown
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    max_completed_frameworks: usize,
    /// Whether /metrics/snapshot has what is counted of each framework
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    publish_per_framework_metrics: bool,
    #[command(flatten)]
    patience: PatienceArguments,
    #[command(flatten)]
    constraints: ConstraintArguments,
    #[command(flatten)]
    allocator: AllocatorArguments,
}

/// How much a regular expression may be by which schedulers choose agents. Names and defaults of Mesos.
#[derive(Debug, Args)]
pub(crate) struct ConstraintArguments {
    /// Memory that one regular expression of a scheduler may need, as RE2 counts it
    #[arg(long, default_value = "4KB", value_name = "SIZE", value_parser = units::bytes)]
    offer_constraints_re2_max_mem: usize,
    /// Instructions that one regular expression of a scheduler may have, as RE2 counts them
    #[arg(long, default_value_t = 100, value_name = "COUNT")]
    offer_constraints_re2_max_program_size: usize,
}

impl MasterArguments {
    /// Flags that do not go together are refused in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.allocator.check()
    }

    pub(crate) fn config(&self) -> MasterConfig {
        let mut config = self.patience.config();
        let flags = &self.constraints;
        config.logic.constraints = Bounds {
            offer_constraints_re2_max_mem: flags.offer_constraints_re2_max_mem,
            offer_constraints_re2_max_program_size: flags.offer_constraints_re2_max_program_size,
            ..Bounds::default()
        };
        config.logic.weights = self.weights.clone().unwrap_or_default().0;
        self.allocator.apply(&mut config.logic);
        config.logic.require_agent_domain = self.require_agent_domain;
        config.logic.ended_tasks_max = self.max_completed_tasks_per_framework;
        config.logic.ended_frameworks_max = self.max_completed_frameworks;
        config.logic.per_framework_metrics = self.publish_per_framework_metrics;
        config.logic = config.logic.located(self.domain.clone());
        config
    }
}

/// How long a master waits for agents, and how fast it gives them up. Names and defaults of Mesos.
#[derive(Debug, Args)]
pub(crate) struct PatienceArguments {
    /// How long an agent may take to answer a ping, and how often it is pinged
    #[arg(long, alias = "slave-ping-timeout", default_value = "15secs", value_name = "TIME", value_parser = units::duration)]
    agent_ping_timeout: Duration,
    /// Pings in a row that may stay unanswered before an agent counts as unreachable
    #[arg(long, alias = "max-slave-ping-timeouts", default_value_t = 5, value_name = "COUNT")]
    max_agent_ping_timeouts: u32,
    /// How long an agent may take to come back when its connection is lost, or after a fail-over
    #[arg(long, alias = "slave-reregister-timeout", default_value = "10mins", value_name = "TIME", value_parser = units::duration)]
    agent_reregister_timeout: Duration,
    /// How fast agents may be given up, such as `1/10mins`; no limit if it is not set
    #[arg(long, alias = "slave-removal-rate-limit", value_name = "COUNT/TIME", value_parser = units::rate)]
    agent_removal_rate_limit: Option<RateLimit>,
    /// Share of the agents that may be given up since they do not return after a fail-over; if more are missing, the reign ends
    #[arg(long, alias = "recovery-slave-removal-limit", default_value = "100%", value_name = "SHARE", value_parser = units::percent)]
    recovery_agent_removal_limit: u8,
    /// How often agents are looked for that were unreachable or gone for too long
    #[arg(long, default_value = "15mins", value_name = "TIME", value_parser = units::duration)]
    registry_gc_interval: Duration,
    /// How long an unreachable or gone agent is remembered
    #[arg(long, default_value = "2weeks", value_name = "TIME", value_parser = units::duration)]
    registry_max_agent_age: Duration,
    /// How many unreachable agents, and how many gone ones, are remembered
    #[arg(long, default_value_t = 102_400, value_name = "COUNT")]
    registry_max_agent_count: usize,
}

impl PatienceArguments {
    fn config(&self) -> MasterConfig {
        let logic = master::config::Config {
            ping_every: self.agent_ping_timeout,
            ping_misses_max: self.max_agent_ping_timeouts,
            agent_reregister_timeout: self.agent_reregister_timeout,
            agent_removal_rate_limit: self.agent_removal_rate_limit,
            recovery_agent_removal_percent_max: self.recovery_agent_removal_limit,
            registry_gc_interval: self.registry_gc_interval,
            registry_max_agent_age: self.registry_max_agent_age,
            registry_max_agent_count: self.registry_max_agent_count,
            ..Default::default()
        };
        MasterConfig { logic }
    }
}

#[derive(Debug, Args)]
pub(crate) struct AgentArguments {
    /// Port to listen on; 0 takes any
    #[arg(long, default_value_t = 5051)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) listen: ListenArguments,
    /// Name of this machine, for people and constraints
    #[arg(long)]
    pub(crate) hostname: Option<String>,
    /// Whether the machine's own name is taken if --hostname says none; else its address is
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) hostname_lookup: bool,
    /// Folder for sandboxes and for what must survive
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: PathBuf,
    /// The master to join, or the ZooKeeper that knows it: `zk://host:port,…/path`
    #[arg(long, value_name = "HOST:PORT|ZK", value_parser = units::master)]
    pub(crate) master: String,
    /// What to offer instead of all that is found, such as 'cpus:2;mem(eng/web):1024;ports:[31000-32000]', where `eng/web` is the
    /// role that it is reserved for, and mem and disk are in MB; or a list of v1 resources in JSON; or `file:///path` of a file
    /// with either. A shell needs the quotes
    #[arg(long, value_parser = units::resources)]
    pub(crate) resources: Option<String>,
    /// The role that resources are reserved for that are not said to be another's; `*` reserves them for none
    #[arg(long, default_value = "*", value_parser = units::role, value_name = "ROLE")]
    pub(crate) default_role: Role,
    /// What to say of this machine, such as 'rack:a;zone:1', in quotes
    #[arg(long, value_parser = units::attributes)]
    pub(crate) attributes: Option<String>,
    /// Where this machine is, as `{"fault_domain":{"region":{"name":"eu"},"zone":{"name":"eu-1"}}}`, or `file:///path` of a file
    /// with that; only with masters that say where they are
    #[arg(long, value_name = "JSON", value_parser = domain)]
    pub(crate) domain: Option<FaultDomain>,
    /// How long executors have to come back after a restart of this agent; at most 15 s
    #[arg(long, default_value = "2secs", value_parser = units::duration, value_name = "TIME")]
    pub(crate) executor_reregistration_timeout: Duration,
    /// How long executors and their tasks run on without an agent before they end
    #[arg(long, default_value = "15mins", value_parser = units::duration, value_name = "TIME")]
    pub(crate) recovery_timeout: Duration,
    /// What becomes of what a former life of this agent left; `cleanup` kills it, forgets who the agent was, and ends
    #[arg(long, default_value = "reconnect", value_name = "WHAT")]
    pub(crate) recover: RecoverArgument,
    /// Which differences to its former life this agent starts with: `any`; `additive`, resources, attributes and a domain may be added; `equal`, none
    #[arg(long, default_value = "any", value_name = "WHICH")]
    pub(crate) reconfiguration_policy: PolicyArgument,
    /// Whether a damaged checkpoint stops the start; if not, what can be read of it is taken
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) strict: bool,
    /// How long an executor may take to register after its launch
    #[arg(long, default_value = "1mins", value_parser = units::duration, value_name = "TIME")]
    pub(crate) executor_registration_timeout: Duration,
    /// How long an executor may take to end that is told to, if its framework says nothing else
    #[arg(long, default_value = "5secs", value_parser = units::duration, value_name = "TIME")]
    pub(crate) executor_shutdown_grace_period: Duration,
    /// Whether executors of Mesos's API may reach this agent by a UNIX domain socket, too, whose path is their MESOS_DOMAIN_SOCKET
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) http_executor_domain_sockets: bool,
    /// The path of that socket; `agent.sock` in the --work-dir if it is not said
    #[arg(long, value_name = "PATH", value_parser = units::socket)]
    pub(crate) domain_socket_location: Option<PathBuf>,
    /// What each executor, and each command, finds in its environment unless it says otherwise: a JSON object of texts by name
    #[arg(long, value_name = "JSON", value_parser = variables)]
    pub(crate) executor_environment_variables: Option<Variables>,
    /// How many executors of each framework are shown after their end
    #[arg(long, default_value_t = 150, value_name = "COUNT")]
    pub(crate) max_completed_executors_per_framework: usize,
    #[command(flatten)]
    pub(crate) isolation: IsolationArguments,
    #[command(flatten)]
    pub(crate) logger: LoggerArguments,
    #[command(flatten)]
    pub(crate) authentication: AgentAuthentication,
    #[command(flatten)]
    pub(crate) sandboxes: SandboxArguments,
    #[command(flatten)]
    pub(crate) fetcher: FetcherArguments,
}

/// What an agent does with what its former life left.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RecoverArgument {
    Reconnect,
    Cleanup,
}

impl From<RecoverArgument> for agent::logic::Recover {
    fn from(argument: RecoverArgument) -> Self {
        match argument {
            RecoverArgument::Reconnect => Self::Reconnect,
            RecoverArgument::Cleanup => Self::Cleanup,
        }
    }
}

/// Which differences to its former life an agent starts with.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PolicyArgument {
    Any,
    Additive,
    Equal,
}

impl From<PolicyArgument> for agent::logic::ReconfigurationPolicy {
    fn from(argument: PolicyArgument) -> Self {
        match argument {
            PolicyArgument::Any => Self::Any,
            PolicyArgument::Additive => Self::Additive,
            PolicyArgument::Equal => Self::Equal,
        }
    }
}

/// How long sandboxes of ended executors are kept. Names and defaults of Mesos.
#[derive(Debug, Args)]
pub(crate) struct SandboxArguments {
    /// How long a sandbox is kept at most after its executor has ended; less, the fuller the disk is
    #[arg(long, default_value = "1weeks", value_name = "TIME", value_parser = units::duration)]
    gc_delay: Duration,
    /// The share of the disk that is to stay free
    #[arg(long, default_value_t = 0.1, value_name = "SHARE", value_parser = units::part)]
    gc_disk_headroom: f64,
    /// How often the disk is looked at
    #[arg(long, default_value = "1mins", value_name = "TIME", value_parser = units::duration)]
    disk_watch_interval: Duration,
}

impl SandboxArguments {
    pub(crate) fn limits(&self) -> agent::SandboxLimits {
        agent::SandboxLimits {
            delay: self.gc_delay,
            headroom: self.gc_disk_headroom,
            watch_every: self.disk_watch_interval,
            ..Default::default()
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct NodeArguments {
    /// Actors to host; none: a node that only passes messages on
    #[arg(value_name = "ACTOR")]
    pub(crate) actors: Vec<Hosted>,
    /// Ask `echo` elsewhere, through any relays named before it, and end
    #[arg(long, value_name = "NAME", num_args = 1.., conflicts_with = "actors")]
    pub(crate) ask: Vec<Name>,
    /// Port to listen on; 0 takes any
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    #[command(flatten)]
    pub(crate) listen: ListenArguments,
    /// Folder for the recording of flows
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<PathBuf>,
}

/// The actors that `airside node` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Hosted {
    /// Answers each ask with what it was sent
    Echo,
    /// Passes a question on to the next name of its way, and brings the answer back
    Relay,
}

#[derive(Debug, Args)]
pub(crate) struct UpArguments {
    /// How many agents to start
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) agents: u16,
    /// Folder for everything the cluster writes [default: airside/up in the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<PathBuf>,
    /// Port of the master; the agents take the next ones, and any that are free when these are taken
    #[arg(long, default_value_t = 5050)]
    pub(crate) port: u16,
    /// What each process logs, into a file below the work dir
    #[arg(long, default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
    /// End when stdin does
    #[arg(long, hide = true)]
    pub(crate) end_with_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Folder of texts to count words in; may be given more than once
    #[arg(long, value_name = "DIR", default_values = ["/usr/share/common-licenses", "/usr/share/doc"])]
    pub(crate) input: Vec<PathBuf>,
    /// Read at most so much of it
    #[arg(long, default_value = "64MB", value_parser = units::megabytes, value_name = "SIZE")]
    pub(crate) input_max: u64,
    /// How many agents to start
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) agents: u16,
    /// Show instead how tasks run on while the leading one of three masters is killed
    #[arg(long, conflicts_with_all = ["input", "input_max", "batch_tasks", "counts", "intervals"])]
    pub(crate) ha: bool,
    /// With --ha: the ZooKeeper in which the masters are elected, with a path that is not there and is gone with the demo
    /// [default: one that is started for the demo, from Debian's package]
    #[arg(long, value_name = "URL", value_parser = units::zookeeper_url, requires = "ha")]
    pub(crate) zk: Option<String>,
    /// Where to make the folder that is gone with the demo [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<PathBuf>,
    /// How many shell tasks to run beside
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    pub(crate) batch_tasks: u16,
    /// Write the counts here as well, as `word count` lines
    #[arg(long, value_name = "FILE")]
    pub(crate) counts: Option<PathBuf>,
    /// What each process logs, into a file that is gone with the demo
    #[arg(long, default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
    /// End when stdin does
    #[arg(long, hide = true)]
    pub(crate) end_with_stdin: bool,
    /// Each task adds (task, attempt, start, end on the boot clock) to this file, else to one that is gone with the demo
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) intervals: Option<PathBuf>,
}

/// What the demo tells the wordcount framework's process.
#[derive(Debug, Args)]
pub(crate) struct WordcountArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Folder of texts to count words in
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) input: Vec<PathBuf>,
    /// Read at most so much of it
    #[arg(long, default_value = "64MB", value_parser = units::megabytes, value_name = "SIZE")]
    pub(crate) input_max: u64,
    /// Folder for what must survive this process
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: PathBuf,
    /// Write the counts here, as `word count` lines
    #[arg(long, value_name = "FILE")]
    pub(crate) counts: PathBuf,
    /// Each task adds (task, attempt, start, end on the boot clock) to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) intervals: Option<PathBuf>,
    /// End when stdin does
    #[arg(long, hide = true)]
    pub(crate) end_with_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BatchArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    #[command(flatten)]
    pub(crate) acts: RoleArguments,
    /// Lines for the shell, one task each
    #[arg(value_name = "COMMAND", required = true)]
    pub(crate) commands: Vec<String>,
    /// Run the list so many times
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) repeat: u16,
    /// How often to try a task that fails
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) attempts: u32,
    #[command(flatten)]
    pub(crate) each: EachArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
    /// Say on stdout how far it is, in lines for programs
    #[arg(long, hide = true)]
    pub(crate) progress: bool,
}

/// What a task is given.
#[derive(Debug, Args)]
pub(crate) struct EachArguments {
    /// Cores for each task
    #[arg(long, default_value = "0.1", value_parser = units::amount)]
    cpus: f64,
    /// Memory for each task
    #[arg(long, default_value = "32MB", value_parser = units::megabytes)]
    mem: u64,
}

impl EachArguments {
    pub(crate) fn resources(&self) -> Resources {
        let mem = i64::try_from(self.mem).unwrap_or(i64::MAX);
        Resources::none()
            .with_scalar("cpus", Milli::from_f64(self.cpus))
            .with_scalar("mem", Milli::whole(mem))
    }
}

/// Where a scheduler keeps what must survive it.
#[derive(Debug, Args)]
pub(crate) struct StateArguments {
    /// Folder for what must survive this process; with it, what was cut short goes on
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// Stand by for other processes that were given the same, of which one leads, and keep there what must survive: a path of
    /// ZooKeeper for this alone, `zk://[user:password@]host:port,…/path`
    #[arg(long, value_name = "URL", value_parser = units::zookeeper, conflicts_with = "state_dir")]
    pub(crate) elect: Option<Url>,
    /// End when stdin does
    #[arg(long, hide = true)]
    pub(crate) end_with_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PeriodicArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    #[command(flatten)]
    pub(crate) acts: RoleArguments,
    /// Lines for the shell, each with a name and a period: `backup=1hr ./backup.sh`. Due at whole multiples of it since 1970
    #[arg(value_name = "NAME=TIME COMMAND", required = true, value_parser = units::job)]
    pub(crate) jobs: Vec<(String, Duration, String)>,
    #[command(flatten)]
    pub(crate) each: EachArguments,
    #[command(flatten)]
    pub(crate) state: StateArguments,
}
