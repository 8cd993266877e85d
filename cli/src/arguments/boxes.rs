//! The flags of `airside box`: a container without a cluster.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::units;

#[derive(Debug, Subcommand)]
pub(crate) enum BoxCommand {
    /// Run one program in a root file system, isolated; exits as it does, with nothing left behind
    Run(BoxArguments),
}

#[derive(Debug, Args)]
pub(crate) struct BoxArguments {
    /// The root: a folder, which is not written to; `/` runs the program in the host's own
    #[arg(value_name = "ROOTFS")]
    pub(crate) root: PathBuf,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// A folder to lay over the root; again for one that goes on top of it
    #[arg(long = "layer", value_name = "DIR")]
    pub(crate) layers: Vec<PathBuf>,
    /// At most so many cores
    #[arg(long, value_parser = units::amount)]
    pub(crate) cpus: Option<f64>,
    /// At most so much memory, such as 64MB or 1GB; a bare number counts megabytes
    #[arg(long, value_parser = units::megabytes)]
    pub(crate) memory: Option<u64>,
    /// At most so many processes and threads
    #[arg(long, value_name = "COUNT")]
    pub(crate) pids: Option<u64>,
    /// The host's network, or one with a loopback only
    #[arg(long, value_enum, default_value = "none")]
    pub(crate) net: Net,
    /// Who the program is, by names of the root's /etc/passwd or by numbers
    #[arg(long, value_name = "USER[:GROUP]")]
    pub(crate) user: Option<String>,
    /// A variable of its environment; without a value, as it is here
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// A file or folder of the host's, and where it is in the root; with `:ro`, to be read only
    #[arg(long, value_name = "HOST:CONTAINER[:ro]")]
    pub(crate) volume: Vec<String>,
    /// The name of its machine
    #[arg(long, value_name = "NAME")]
    pub(crate) hostname: Option<String>,
    /// Nothing can be written into the root
    #[arg(long)]
    pub(crate) read_only: bool,
    /// Where the program begins
    #[arg(long, value_name = "DIR")]
    pub(crate) workdir: Option<PathBuf>,
    /// A capability that root has beside the usual ones, or ALL
    #[arg(long, value_name = "NAME")]
    pub(crate) cap_add: Vec<String>,
    /// A usual capability that root has not, or ALL
    #[arg(long, value_name = "NAME")]
    pub(crate) cap_drop: Vec<String>,
    /// Which system calls it may make: `default`, `unconfined`, or a file in Docker's format
    #[arg(long, default_value = "default", value_name = "FILE")]
    pub(crate) seccomp: String,
    /// Programs get no more rights by the bits of their files
    #[arg(long)]
    pub(crate) no_new_privileges: bool,
    /// Where it is kept what runs [default: /run/airside/boxes, or below the user's runtime folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) runtime_dir: Option<PathBuf>,
    /// Say which isolation is real
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Net {
    Host,
    None,
}
