//! Where a node listens: flags of all that serves.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

use super::LogArguments;
use crate::discovery::{self, NoAddress};

/// Where a node listens, and how it is found from elsewhere. Defaults of Mesos.
#[derive(Clone, Debug, Args)]
pub(crate) struct ListenArguments {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub(crate) ip: IpAddr,
    /// A command that prints the address to listen on, in place of --ip
    #[arg(long, value_name = "COMMAND", conflicts_with = "ip")]
    ip_discovery_command: Option<String>,
    /// Address at which others reach this node, if it is another
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) advertise_ip: Option<IpAddr>,
    /// Port at which others reach this node, if it is another
    #[arg(long, value_name = "PORT")]
    pub(crate) advertise_port: Option<u16>,
    /// Threads that run its actors; else one a core, and two at least
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) num_worker_threads: Option<u16>,
    /// File that holds the cluster's secret; all nodes of a cluster have the same
    #[arg(long, value_name = "FILE")]
    pub(crate) cluster_secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) logs: LogArguments,
    /// End when stdin does: the process that started this one is gone
    #[arg(long, hide = true)]
    pub(crate) end_with_stdin: bool,
    /// Take any free port when the one asked for is taken
    #[arg(long, hide = true)]
    pub(crate) or_any_port: bool,
}

impl ListenArguments {
    /// The same, with the address that the operator's command says, if there is one.
    pub(crate) fn discovered(mut self) -> Result<Self, NoAddress> {
        if let Some(command) = &self.ip_discovery_command {
            self.ip = discovery::address(command)?;
        }
        Ok(self)
    }
}
