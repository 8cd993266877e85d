//! The flags of `registry`: which one, and which file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use coordination::zookeeper::url::Url;

#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// Write the whole registry into a file; masters may run meanwhile if it is in ZooKeeper
    Export(RegistryArguments),
    /// Replace the whole registry by that of a file, with all masters stopped
    Import(RegistryArguments),
    /// Move the registry of an older version to where clients of Mesos do not take it for a master, with all masters stopped
    Move(MoveArguments),
}

#[derive(Debug, Args)]
pub(crate) struct MoveArguments {
    /// The ensemble and path that the masters have, zk://host:port,host:port/path or file:///path/of/a/file
    #[arg(long, value_name = "URL")]
    pub(crate) zk: Url,
}

#[derive(Debug, Args)]
pub(crate) struct RegistryArguments {
    #[command(flatten)]
    pub(crate) place: RegistryPlace,
    /// The export
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct RegistryPlace {
    /// The ensemble and path that the masters have, zk://host:port,host:port/path or file:///path/of/a/file
    #[arg(long, value_name = "URL")]
    pub(crate) zk: Option<Url>,
    /// The work directory of the only master
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<PathBuf>,
}
