//! The command line: what may be typed, with its defaults. Nothing here does anything, but for reading the files that stand for values.

mod allocator;
mod authentication;
mod boxes;
mod client;
mod fetcher;
mod images;
mod isolation;
mod listen;
mod logger;
mod logging;
mod mesos;
mod registry;
mod roles;
mod serve;
mod spelling;
mod told;
mod variables;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use authentication::NoRealms;
pub(crate) use boxes::{BoxArguments, BoxCommand, Net};
pub(crate) use client::{
    ClusterArguments, FlowArguments, FrameworksArguments, KillArguments, ListArguments,
    LogsArguments, RoleArguments, RunArguments, WhyArguments,
};
pub(crate) use listen::ListenArguments;
pub(crate) use logging::LogArguments;
pub(crate) use mesos::Unused;
pub(crate) use registry::{MoveArguments, RegistryArguments, RegistryCommand, RegistryPlace};
pub(crate) use roles::{QuotaArguments, QuotaCommand, WeightsArguments, WeightsCommand};
pub(crate) use serve::{
    AgentArguments, BatchArguments, DemoArguments, Hosted, MasterArguments, NodeArguments,
    PeriodicArguments, StateArguments, UpArguments, WordcountArguments,
};
pub(crate) use told::Told;

use crate::environment::Environment;

/// A cluster that offers its machines to frameworks.
#[derive(Debug, Parser)]
#[command(
    name = "airside",
    version,
    propagate_version = true,
    after_help = "First hour: `airside up --agents 3`, then `airside run -- echo hi` from another shell."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What a master or an agent was told, flag by flag.
    #[arg(skip)]
    pub(crate) told: Told,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a cluster on this machine: a master and agents, each a process of its own
    Up(UpArguments),
    /// Show what Airside does: count words on a cluster that is gone afterwards
    Demo(DemoArguments),
    /// Run one command on the cluster; exits as the command does
    Run(RunArguments),
    /// List the agents, with what they have and what is used
    Agents(ListArguments),
    /// List the frameworks, with what they run and the offers that they hold
    Frameworks(FrameworksArguments),
    /// List the tasks
    Tasks(ListArguments),
    /// List the roles, with who acts for them and what they hold
    Roles(ListArguments),
    /// List what roles are guaranteed and may have at most, or say so
    Quota(QuotaArguments),
    /// List how much the shares of roles weigh, or say so
    Weights(WeightsArguments),
    /// End a task
    Kill(KillArguments),
    /// Say why a framework is not offered what it wants, or how a task is
    Why(WhyArguments),
    /// Print what a task writes
    Logs(LogsArguments),
    /// Draw the messages that one cause set off
    Flow(FlowArguments),
    /// Run a list of shell commands as tasks, to the end
    Batch(BatchArguments),
    /// Run shell commands again and again, each once whenever it is due
    Periodic(PeriodicArguments),
    /// Run a program in a container on this machine, without a cluster
    #[command(subcommand)]
    Box(BoxCommand),
    /// Save or bring back what the masters of a cluster must not forget
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// Be the master of a cluster
    Master(MasterArguments),
    /// Be an agent: run tasks on this machine
    Agent(AgentArguments),
    /// Host the actors named, to try the wire between machines
    Node(NodeArguments),
    /// Print the version
    Version,
    /// The executor of the wordcount framework; started by agents
    #[command(hide = true)]
    WordcountExecutor,
    /// The wordcount framework: count the words of all texts below folders
    #[command(hide = true)]
    WordcountScheduler(WordcountArguments),
}

impl Command {
    /// Flags that do not go together are refused in words, as those are that make no sense, and before anything is done.
    fn check(&self) -> Result<(), String> {
        if let Self::Agent(arguments) = self {
            return arguments.isolation.check();
        }
        if let Self::Master(arguments) = self { arguments.check() } else { Ok(()) }
    }

    /// What the command itself logs; those that start processes tell these what to log.
    pub(crate) fn log(&self) -> Option<LogArguments> {
        let filter = match self {
            Self::Run(arguments) => &arguments.cluster.log,
            Self::Agents(list) | Self::Tasks(list) | Self::Roles(list) => &list.cluster.log,
            Self::Frameworks(arguments) => &arguments.list.cluster.log,
            Self::Quota(arguments) => &arguments.cluster().log,
            Self::Weights(arguments) => &arguments.cluster().log,
            Self::Kill(arguments) => &arguments.cluster.log,
            Self::Why(arguments) => &arguments.cluster.log,
            Self::Logs(arguments) => &arguments.cluster.log,
            Self::Flow(arguments) => &arguments.cluster.log,
            Self::Batch(arguments) => &arguments.cluster.log,
            Self::Periodic(arguments) => &arguments.cluster.log,
            Self::WordcountScheduler(arguments) => &arguments.cluster.log,
            Self::Master(arguments) => return Some(arguments.listen.logs.clone()),
            Self::Agent(arguments) => return Some(arguments.listen.logs.clone()),
            Self::Node(arguments) => return Some(arguments.listen.logs.clone()),
            Self::Up(_) | Self::Demo(_) | Self::Registry(_) | Self::Box(_) => "error",
            Self::Version | Self::WordcountExecutor => return None,
        };
        Some(LogArguments::of(filter))
    }

    /// The word that names a daemon; what runs as one is told as operators of Mesos tell it.
    pub(crate) fn is_daemon(line: &[OsString]) -> bool {
        line.get(1).is_some_and(|word| word == "master" || word == "agent")
    }
}

/// Reads the command line and, for the master and agents, their settings from the environment.
pub(crate) fn parse(
    line: impl IntoIterator<Item = OsString>,
    environment: &Environment,
) -> Result<Arguments, clap::Error> {
    let mut known = Arguments::command();
    let line = spelling::dashes(line.into_iter().collect());
    let mut line = spelling::with_environment(line, &known, environment);
    let added = mesos::from_environment(&line, environment);
    let place = line.len().min(2);
    line.splice(place..place, added);
    let name = line.get(1).and_then(|word| word.to_str()).unwrap_or_default().to_owned();
    let taken = mesos::taken_off(line)
        .and_then(|(line, unused)| Ok((spelling::values(line, &known)?, unused)));
    let (line, unused) = match taken {
        Ok(taken) => taken,
        Err(words) => return Err(refusal(&mut known, &name, &words)),
    };
    let matches = known.try_get_matches_from_mut(line)?;
    let mut arguments = Arguments::from_arg_matches(&matches)?;
    arguments.told = Told::of(&known, &matches, unused);
    match arguments.command.check() {
        Ok(()) => Ok(arguments),
        Err(words) => Err(refusal(&mut known, &name, &words)),
    }
}

/// With how the command is used.
fn refusal(known: &mut clap::Command, name: &str, words: &str) -> clap::Error {
    known.build();
    match known.find_subcommand_mut(name) {
        Some(command) => command.error(ErrorKind::ArgumentConflict, words),
        None => known.error(ErrorKind::ArgumentConflict, words),
    }
}

#[cfg(test)]
mod tests;
