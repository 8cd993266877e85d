//! The flags of what is about roles: quota and weights.

use clap::{Args, Subcommand};
use protocol::ids::Role;
use protocol::quantities::{Limits, Quantities};
use protocol::quota::Weight;

use super::{ClusterArguments, ListArguments};
use crate::{amounts, units};

/// Lists, unless it is told to set something.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct QuotaArguments {
    #[command(subcommand)]
    pub(crate) set: Option<QuotaCommand>,
    #[command(flatten)]
    pub(crate) list: ListArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuotaCommand {
    /// Say what a role and those below it are guaranteed and may have at most. It replaces all that was said before: with --limit
    /// alone an earlier guarantee ends, and with --guarantee alone an earlier limit
    Set(QuotaSetArguments),
    /// End the quota of a role
    Clear(QuotaClearArguments),
}

#[derive(Debug, Args)]
pub(crate) struct QuotaSetArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// The role; one without a slash
    #[arg(value_name = "ROLE", value_parser = units::role, allow_hyphen_values = true)]
    pub(crate) role: Role,
    /// What is held back for it while it has less, such as 'cpus:2;mem:1024', which a shell needs in quotes; mem and disk are in MB.
    /// Not given: nothing, whatever it was before
    #[arg(long, value_name = "AMOUNTS", value_parser = amounts::guarantees, allow_hyphen_values = true, required_unless_present = "limit")]
    pub(crate) guarantee: Option<Quantities>,
    /// What it gets at most, such as 'cpus:4;gpus:0'; of what is not named as much as there is
    #[arg(long, value_name = "AMOUNTS", value_parser = amounts::limits, allow_hyphen_values = true)]
    pub(crate) limit: Option<Limits>,
    /// Even if the cluster has less than is guaranteed, or the role has more than the limit
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct QuotaClearArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// The role
    #[arg(value_name = "ROLE", value_parser = units::role, allow_hyphen_values = true)]
    pub(crate) role: Role,
}

/// Lists, unless it is told to set something.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct WeightsArguments {
    #[command(subcommand)]
    pub(crate) set: Option<WeightsCommand>,
    #[command(flatten)]
    pub(crate) list: ListArguments,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WeightsCommand {
    /// Say how much the share of a role weighs: with 2 it gets twice what one with 1 gets
    Set(WeightSetArguments),
}

#[derive(Debug, Args)]
pub(crate) struct WeightSetArguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// The role
    #[arg(value_name = "ROLE", value_parser = units::role, allow_hyphen_values = true)]
    pub(crate) role: Role,
    /// The weight, such as 2 or 0.5; that of a role of which nothing is said is 1
    #[arg(value_name = "NUMBER", value_parser = amounts::weight, allow_hyphen_values = true)]
    pub(crate) weight: Weight,
}

impl QuotaArguments {
    /// Where to ask.
    pub(crate) fn cluster(&self) -> &ClusterArguments {
        match &self.set {
            None => &self.list.cluster,
            Some(QuotaCommand::Set(set)) => &set.cluster,
            Some(QuotaCommand::Clear(clear)) => &clear.cluster,
        }
    }
}

impl WeightsArguments {
    /// Where to ask.
    pub(crate) fn cluster(&self) -> &ClusterArguments {
        match &self.set {
            None => &self.list.cluster,
            Some(WeightsCommand::Set(set)) => &set.cluster,
        }
    }
}
