//! The flags of what talks to a cluster.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use libactor::PayloadFilter;
use protocol::framework::FrameworkInfo;
use protocol::ids::Role;
use protocol::limits::Most;
use protocol::offer::{Constraint, Demand};
use protocol::resources::{Milli, Resources};

use crate::units;

/// Which cluster. What is not given is looked for in `AIRSIDE_MASTER` and `AIRSIDE_CLUSTER_SECRET_FILE`, then in what
/// `airside up` left in the cache folder, and is `127.0.0.1:5050` without a secret in the end.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ClusterArguments {
    /// The master to talk to, or where masters are elected, zk://host:port,host:port/path [default: that of `airside up`, else
    /// 127.0.0.1:5050]
    #[arg(long, value_name = "HOST:PORT|ZK", value_parser = units::master)]
    pub(crate) master: Option<String>,
    /// File that holds the cluster's secret [default: that of `airside up`]
    #[arg(long, value_name = "FILE")]
    pub(crate) cluster_secret_file: Option<PathBuf>,
    /// What to log on stderr: a level, or a filter such as `warn,libactor=debug`
    #[arg(long, default_value = "error", value_name = "FILTER")]
    pub(crate) log: String,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FrameworksArguments {
    #[command(flatten)]
    pub(crate) list: ListArguments,
    /// List each offer that they hold instead: on which agent, for how long, and until when
    #[arg(long)]
    pub(crate) offers: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WhyArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Print JSON instead of words
    #[arg(long)]
    pub(crate) json: bool,
    /// A framework, by its id or its name, or a task; ids may be cut short
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Only under this role of the framework
    #[arg(long, value_name = "ROLE", value_parser = units::role, allow_hyphen_values = true)]
    pub(crate) role: Option<Role>,
    #[command(flatten)]
    pub(crate) demand: DemandArguments,
}

/// What a framework might want, instead of what it does.
#[derive(Debug, Args)]
pub(crate) struct DemandArguments {
    /// Ask about a task of so many cores, instead of what the framework waits for
    #[arg(long, value_parser = units::amount, allow_hyphen_values = true)]
    pub(crate) cpus: Option<f64>,
    /// Of so much memory, such as 64MB or 1GB; a bare number counts megabytes
    #[arg(long, value_parser = units::megabytes, allow_hyphen_values = true)]
    pub(crate) mem: Option<u64>,
    /// Of so much disk
    #[arg(long, value_parser = units::megabytes, allow_hyphen_values = true)]
    pub(crate) disk: Option<u64>,
    /// Of so many GPUs
    #[arg(long, value_parser = units::amount, allow_hyphen_values = true)]
    pub(crate) gpus: Option<f64>,
    /// With so many ports
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) ports: Option<u16>,
    /// On agents of which this attribute is that; `hostname` counts as one. May be given more than once
    #[arg(long, value_name = "ATTRIBUTE=VALUE", value_parser = units::variable)]
    pub(crate) on: Vec<(String, String)>,
}

impl DemandArguments {
    /// One such task, if anything is said of it; an error if that is not how much.
    pub(crate) fn demand(&self) -> Result<Option<Demand>, ()> {
        let whole = |amount: Option<u64>| {
            amount.map(|amount| Milli::whole(i64::try_from(amount).unwrap_or(i64::MAX / 1000)))
        };
        let scalars = [
            ("cpus", self.cpus.map(Milli::from_f64)),
            ("mem", whole(self.mem)),
            ("disk", whole(self.disk)),
            ("gpus", self.gpus.map(Milli::from_f64)),
        ];
        let named = scalars.into_iter().filter_map(|(name, amount)| Some((name, amount?)));
        let each =
            named.fold(Resources::none(), |all, (name, amount)| all.with_scalar(name, amount));
        match (each.is_empty(), self.on.is_empty() && self.ports.is_none()) {
            (true, true) => return Ok(None),
            (true, false) => return Err(()),
            (false, _) => (),
        }
        let on = self.on.iter().cloned();
        let on = on.map(|(attribute, value)| Constraint::Is { attribute, value });
        let ports = self.ports.map(|each| Constraint::Ports { each });
        Ok(Some(Demand { each, count: 1, constraints: on.chain(ports).collect() }))
    }
}

/// For whom a framework of the house acts.
#[derive(Debug, Args)]
pub(crate) struct RoleArguments {
    /// The role under which tasks are run: what it is guaranteed is for them, and its limit and weight count
    #[arg(long, default_value = "*", value_name = "ROLE", value_parser = units::role, allow_hyphen_values = true)]
    pub(crate) role: Role,
}

impl RoleArguments {
    /// The framework of this name.
    pub(crate) fn framework(&self, name: &str) -> FrameworkInfo {
        FrameworkInfo { roles: vec![self.role.clone()], ..sdk::framework(name) }
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    #[command(flatten)]
    pub(crate) acts: RoleArguments,
    /// Cores
    #[arg(long, default_value = "0.1", value_parser = units::amount, allow_hyphen_values = true)]
    pub(crate) cpus: f64,
    /// Memory, such as 64MB or 1GB; a bare number counts megabytes
    #[arg(long, default_value = "32MB", value_parser = units::megabytes, allow_hyphen_values = true)]
    pub(crate) mem: u64,
    /// Disk, such as 64MB or 1GB
    #[arg(long, value_parser = units::megabytes, allow_hyphen_values = true)]
    pub(crate) disk: Option<u64>,
    /// The most cores that it gets where some are idle, or `none` for all [default: as agents are told]
    #[arg(long, value_name = "CORES|none", value_parser = units::most_cpus, allow_hyphen_values = true)]
    pub(crate) cpus_limit: Option<Most>,
    /// The most memory that it may take before it is ended, or `none` for all [default: what it holds]
    #[arg(long, value_name = "SIZE|none", value_parser = units::most_memory, allow_hyphen_values = true)]
    pub(crate) mem_limit: Option<Most>,
    /// How many ports; the task finds them in PORTS
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) ports: Option<u16>,
    /// Name of the task, for people [default: the command]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Set in the task's environment; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_parser = units::variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Run the command in this image: `registry:port/name:tag`, or one that lies on the agents' machines: `oci:FOLDER[:tag]`,
    /// `docker-archive:FILE`
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// A file or folder of the agent's machine that the task sees, read-only with `:ro`; may be given more than once
    #[arg(long, short, value_name = "HOST:TASK[:ro]", value_parser = units::volume)]
    pub(crate) volume: Vec<(String, String, bool)>,
    /// Who the task runs as [default: you]
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// End the task when it has not ended by then, such as 10s or 5mins
    #[arg(long, value_parser = units::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Print only what the command prints
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// The command and its arguments, after `--`; of an image, what that says, if there is none
    #[arg(last = true, required_unless_present = "image", value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct KillArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// The task: its id, or the beginning of it
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// The task: its id, or the beginning of it
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
    /// Go on until the task ends
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// What it writes to stderr instead
    #[arg(long)]
    pub(crate) stderr: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FlowArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// The flow of a task: its id, or the beginning of it
    #[arg(long, value_name = "TASK", required_unless_present_any = ["trace", "recording", "payloads"])]
    pub(crate) task: Option<String>,
    /// A flow by its own id, or the beginning of it
    #[arg(long, value_name = "FLOW", conflicts_with = "task")]
    pub(crate) trace: Option<String>,
    /// Read what one node recorded, which may be dead, instead of asking the cluster: `flow.ring` in its work dir
    #[arg(long, value_name = "PATH")]
    pub(crate) recording: Option<PathBuf>,
    /// Print what messages say, as they come, instead: `message=Launch`, `about=ID`, or both with a comma between
    #[arg(long, value_name = "FILTER", value_parser = crate::flow::payloads::filter, conflicts_with_all = ["task", "trace", "recording"])]
    pub(crate) payloads: Option<PayloadFilter>,
    /// With --payloads: for so long, 10 minutes at most
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = crate::flow::payloads::time)]
    pub(crate) time: Duration,
    /// With --payloads: so much from each node at most, up to 16
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=16))]
    pub(crate) megabytes: u64,
    /// Print JSON, one record a line, instead of a drawing
    #[arg(long)]
    pub(crate) json: bool,
}
