//! How a master shares resources out, in the words of Mesos.

use std::time::Duration;

use clap::{Args, ValueEnum};
use master::config::{Config, Order};
use protocol::quantities::Quantities;

use crate::units;

/// Names and defaults of Mesos, but for the offers' time-out: there, without one, an offer is held for ever.
#[derive(Debug, Args)]
pub(crate) struct AllocatorArguments {
    /// How long a scheduler may hold an offer without an answer; then it is taken back, and the scheduler named [default: 5mins]
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    offer_timeout: Option<Duration>,
    /// How often all agents are looked at; what changes is offered at once. The least time for which a refusal lasts
    #[arg(long, default_value = "1secs", value_name = "TIME", value_parser = units::duration)]
    allocation_interval: Duration,
    /// What an offer holds at least: alternatives, such as 'cpus:0.01|mem:32;disk:10', which a shell needs in quotes; mem and disk
    /// are in MB
    #[arg(long, default_value = "cpus:0.01|mem:32", value_name = "QUANTITIES|…", value_parser = least)]
    min_allocatable_resources: Least,
    /// Resources that count in nobody's share, such as `gpus,licences`
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    fair_sharing_excluded_resource_names: Vec<String>,
    /// Offer agents with GPUs only to frameworks that can use them
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    filter_gpu_resources: bool,
    /// Which role comes next: the one with the smallest dominant share, or one by lot
    #[arg(long, alias = "user-sorter", default_value = "drf", value_name = "ORDER")]
    role_sorter: Sorter,
    /// Which framework of a role comes next; must be as `role_sorter` is
    #[arg(long, default_value = "drf", value_name = "ORDER")]
    framework_sorter: Sorter,
    /// Until this share of the agents is back after a fail-over, roles with quota are offered nothing: nobody knows what they hold
    #[arg(long, default_value = "0.8", value_name = "SHARE", value_parser = percent)]
    allocator_agent_recovery_factor: u8,
    /// For so long at most
    #[arg(long, default_value = "10mins", value_name = "TIME", value_parser = units::duration)]
    allocator_recovery_timeout: Duration,
}

/// As Mesos names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sorter {
    Drf,
    Random,
}

/// Alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Least(Vec<Quantities>);

fn least(text: &str) -> Result<Least, String> {
    let alternatives = text.split('|').map(|one| one.parse::<Quantities>());
    alternatives.collect::<Result<Vec<_>, _>>().map(Least).map_err(|bad| bad.to_string())
}

/// A share of the whole, as whole percents.
fn percent(text: &str) -> Result<u8, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
    let share = share.ok_or_else(|| format!("'{text}' is no share: give a number from 0 to 1"))?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to 100
    Ok((share * 100.0).round() as u8)
}

impl AllocatorArguments {
    /// Refused, in words, if the two sorters are not the same.
    pub(crate) fn check(&self) -> Result<(), String> {
        let same = self.role_sorter == self.framework_sorter;
        let words =
            "--role_sorter and --framework_sorter must be the same: both drf, or both random";
        same.then_some(()).ok_or_else(|| words.to_owned())
    }

    pub(crate) fn apply(&self, config: &mut Config) {
        config.offer_lease = self.offer_timeout.unwrap_or(config.offer_lease);
        config.recovery_agents_percent = self.allocator_agent_recovery_factor;
        config.recovery_timeout = self.allocator_recovery_timeout;
        let allocator = &mut config.allocator;
        allocator.sweep_every = self.allocation_interval;
        allocator.allocatable.clone_from(&self.min_allocatable_resources.0);
        allocator.excluded.clone_from(&self.fair_sharing_excluded_resource_names);
        allocator.filter_gpu_resources = self.filter_gpu_resources;
        allocator.order = match self.role_sorter {
            Sorter::Drf => Order::Shares,
            Sorter::Random => Order::Lots,
        };
    }
}
