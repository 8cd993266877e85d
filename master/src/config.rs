//! Every setting of a master, its default, its check.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::ids::Role;
use protocol::quantities::Quantities;
use protocol::quota::Weight;
use protocol::resources::Milli;
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

use crate::logic::bugs::Bugs;
use crate::logic::constraints::Bounds;
use crate::logic::roles::fit_one_write;

/// How a master decides. Time-outs are Mesos's defaults where it has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// How often an agent is asked whether it is there.
    pub ping_every: Duration,
    /// How many pings in a row may stay unanswered before the agent counts as unreachable.
    pub ping_misses_max: u32,
    /// How long an agent whose connection was lost, or one that an earlier reign knew, may take to come back.
    pub agent_reregister_timeout: Duration,
    /// Agents that may tell a master what they know at the same time when they return; others wait in line.
    pub returns_at_once_max: usize,
    /// Tasks that they may have together. One agent alone may have more.
    pub returning_tasks_at_once_max: usize,
    /// How long an agent that was told to come may take.
    pub return_within: Duration,
    /// How long an agent that has to wait is not to ask again when very many wait; of few each asks sooner.
    pub return_again_after: Duration,
    /// How fast agents are given up, if there is a limit.
    #[serde(default)]
    pub agent_removal_rate_limit: Option<RateLimit>,
    /// The share of the registry's agents, in percent, that may be given up since they did not return after a fail-over. If
    /// more are missing, the reign ends instead.
    #[serde(default = "all")]
    pub recovery_agent_removal_percent_max: u8,
    /// Until so many percent of the agents of earlier reigns are back, roles with quota are offered nothing: nobody knows what
    /// they hold.
    #[serde(default = "most")]
    pub recovery_agents_percent: u8,
    /// For so long at most.
    #[serde(default = "ten_minutes")]
    pub recovery_timeout: Duration,
    /// How often agents are looked for that were away or gone for too long.
    pub registry_gc_interval: Duration,
    /// For how long the registry remembers an agent that is unreachable or gone.
    pub registry_max_agent_age: Duration,
    /// How many unreachable agents, and how many gone ones, the registry remembers.
    pub registry_max_agent_count: usize,
    /// How long the known holder of an agent id may take to prove that it lives when another claims the id.
    pub contest_timeout: Duration,
    /// How long a framework may think about an offer; then it is rescinded and the framework named in the log.
    pub offer_lease: Duration,
    /// The longest refusal of resources that is remembered.
    pub refuse_max: Duration,
    /// Ended tasks remembered for each framework, so that questions about them get their end as the answer.
    pub ended_tasks_max: usize,
    /// Whether what is counted of each framework is shown.
    #[serde(default = "yes")]
    pub per_framework_metrics: bool,
    /// Removed frameworks that are shown with their ended tasks.
    #[serde(default = "fifty")]
    pub ended_frameworks_max: usize,
    /// Tasks of one framework that are not ended and acknowledged.
    pub tasks_per_framework_max: usize,
    /// Tasks on one agent that are not ended and acknowledged.
    pub tasks_per_agent_max: usize,
    /// Agents in the registry. The oldest unreachable one makes room.
    pub agents_max: usize,
    /// Frameworks in the registry.
    pub frameworks_max: usize,
    /// Offers that one framework holds at a time.
    pub offers_per_framework_max: usize,
    /// Roles of one framework.
    pub roles_max: usize,
    /// Standing demands of one framework.
    pub demands_max: usize,
    /// What schedulers may say of attributes.
    #[serde(default)]
    pub constraints: Bounds,
    /// Offers in one call.
    pub offers_per_call_max: usize,
    /// Tasks in one call.
    pub tasks_per_call_max: usize,
    /// Roles that have a quota, and roles that have a weight.
    pub shares_max: usize,
    /// Roles in one call that sets quota or weights.
    pub roles_per_call_max: usize,
    /// Amounts in one quota: its guarantees, and its limits.
    pub quantities_max: usize,
    /// Weights to begin with, if the registry has none.
    #[serde(default)]
    pub weights: BTreeMap<Role, Weight>,
    /// Bytes of a name, a user, a host name.
    pub text_bytes_max: usize,
    /// Bytes of a task's description, of what is only carried and of a message between scheduler and executor.
    pub data_bytes_max: usize,
    /// What the allocator goes by.
    pub allocator: AllocatorConfig,
    /// Where the master is; see [`Config::located`].
    #[serde(default)]
    pub domain: Option<FaultDomain>,
    /// Whether only agents are taken that say where they are.
    #[serde(default)]
    pub require_agent_domain: bool,
    /// Deliberate bugs, to try the simulator on. Always empty without the feature `testing`.
    #[serde(default)]
    pub bugs: Bugs,
}

fn all() -> u8 {
    100
}

fn most() -> u8 {
    80
}

fn yes() -> bool {
    true
}

fn fifty() -> usize {
    50
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

/// So many within so long, evenly spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// How many.
    pub count: u32,
    /// Within which time.
    pub within: Duration,
}

impl RateLimit {
    /// From one to the next.
    pub fn pause(self) -> Duration {
        self.within / self.count.max(1)
    }
}

/// How it is decided which role, and which framework of it, comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Who has the smallest dominant share: Mesos's `drf`.
    #[default]
    Shares,
    /// By lot, with chances as the weights: Mesos's `random`.
    Lots,
}

/// What the allocator goes by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocatorConfig {
    /// How often refusals that ran out are looked for.
    pub sweep_every: Duration,
    /// An offer holds all of one of these at least; none named: anything.
    pub allocatable: Vec<Quantities>,
    /// Whether agents with GPUs are offered only to frameworks that can use them.
    pub filter_gpu_resources: bool,
    /// Scalars that count in nobody's share.
    pub excluded: Vec<String>,
    /// Who comes next.
    pub order: Order,
    /// Where the master is: only frameworks that know of regions are offered agents of another one.
    pub region: Option<String>,
    /// Refusals remembered; when there are more, those that would run out first are dropped.
    pub refusals_max: usize,
    /// Deliberate bugs; see [`Config::bugs`].
    #[serde(default)]
    pub bugs: Bugs,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(15),
            ping_misses_max: 5,
            agent_reregister_timeout: Duration::from_secs(600),
            returns_at_once_max: 256,
            returning_tasks_at_once_max: 20_000,
            return_within: Duration::from_secs(10),
            return_again_after: Duration::from_secs(10),
            agent_removal_rate_limit: None,
            recovery_agent_removal_percent_max: all(),
            recovery_agents_percent: most(),
            recovery_timeout: ten_minutes(),
            registry_gc_interval: Duration::from_secs(15 * 60),
            registry_max_agent_age: Duration::from_secs(14 * 24 * 3600),
            registry_max_agent_count: 102_400,
            contest_timeout: Duration::from_secs(5),
            offer_lease: Duration::from_secs(300),
            refuse_max: Duration::from_secs(365 * 24 * 3600),
            ended_tasks_max: 1000,
            per_framework_metrics: yes(),
            ended_frameworks_max: fifty(),
            tasks_per_framework_max: 1_000_000,
            tasks_per_agent_max: 10_000,
            agents_max: 100_000,
            frameworks_max: 10_000,
            offers_per_framework_max: 100_000,
            roles_max: 64,
            demands_max: 256,
            constraints: Bounds::default(),
            offers_per_call_max: 10_000,
            tasks_per_call_max: 10_000,
            shares_max: 10_000,
            roles_per_call_max: 1_000,
            quantities_max: 32,
            weights: BTreeMap::new(),
            text_bytes_max: 4096,
            data_bytes_max: 1 << 20,
            allocator: AllocatorConfig::default(),
            domain: None,
            require_agent_domain: false,
            bugs: Bugs::default(),
        }
    }
}

impl Default for AllocatorConfig {
    fn default() -> Self {
        Self {
            sweep_every: Duration::from_secs(1),
            allocatable: vec![
                Quantities::none().with("cpus", Milli(10)),
                Quantities::none().with("mem", Milli::whole(32)),
            ],
            filter_gpu_resources: true,
            excluded: Vec::new(),
            order: Order::Shares,
            region: None,
            refusals_max: 16_000_000,
            bugs: Bugs::default(),
        }
    }
}

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// A time-out or rhythm of nothing.
    #[error("the master's {0} must be longer than nothing")]
    Nothing(&'static str),
    /// A limit that lets nothing through.
    #[error("the master's limit {0} must be at least 1")]
    NoRoom(&'static str),
    /// A share of more than all.
    #[error("the master's {0} is a share in percent, so at most 100")]
    MoreThanAll(&'static str),
    /// A list that is too long.
    #[error(
        "the master's {0} may be {1} at most, or less if they are long; more can be set while it runs"
    )]
    TooMany(&'static str, usize),
}

impl Config {
    /// The same of a master that is there, and counts other regions as far.
    pub fn located(mut self, domain: Option<FaultDomain>) -> Self {
        self.allocator.region = domain.as_ref().map(|domain| domain.region.clone());
        Self { domain, ..self }
    }

    /// The time after which a silent agent counts as unreachable.
    pub fn agent_timeout(&self) -> Duration {
        self.ping_every * self.ping_misses_max
    }

    /// Itself, if it can work.
    pub fn validate(self) -> Result<Self, BadConfig> {
        let spans = [
            ("ping_every", self.ping_every),
            ("agent_reregister_timeout", self.agent_reregister_timeout),
            ("contest_timeout", self.contest_timeout),
            ("registry_gc_interval", self.registry_gc_interval),
            ("registry_max_agent_age", self.registry_max_agent_age),
            ("return_within", self.return_within),
            ("return_again_after", self.return_again_after),
            ("offer_lease", self.offer_lease),
            ("sweep_every", self.allocator.sweep_every),
        ];
        if let Some((name, _)) = spans.iter().find(|(_, span)| span.is_zero()) {
            return Err(BadConfig::Nothing(name));
        }
        let limits = [
            ("ping_misses_max", usize::try_from(self.ping_misses_max).unwrap_or(usize::MAX)),
            ("registry_max_agent_count", self.registry_max_agent_count),
            ("returns_at_once_max", self.returns_at_once_max),
            ("returning_tasks_at_once_max", self.returning_tasks_at_once_max),
            ("tasks_per_framework_max", self.tasks_per_framework_max),
            ("tasks_per_agent_max", self.tasks_per_agent_max),
            ("agents_max", self.agents_max),
            ("frameworks_max", self.frameworks_max),
            ("offers_per_framework_max", self.offers_per_framework_max),
            ("roles_max", self.roles_max),
            ("demands_max", self.demands_max),
            ("offers_per_call_max", self.offers_per_call_max),
            ("tasks_per_call_max", self.tasks_per_call_max),
            ("shares_max", self.shares_max),
            ("roles_per_call_max", self.roles_per_call_max),
            ("quantities_max", self.quantities_max),
            ("text_bytes_max", self.text_bytes_max),
            ("data_bytes_max", self.data_bytes_max),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, limit)| *limit == 0) {
            return Err(BadConfig::NoRoom(name));
        }
        let (weights, max) = (self.weights.len(), self.roles_per_call_max);
        if weights > max || !fit_one_write(self.weights.keys()) {
            return Err(BadConfig::TooMany("weights", max));
        }
        if self.recovery_agent_removal_percent_max > 100 {
            return Err(BadConfig::MoreThanAll("recovery_agent_removal_limit"));
        }
        match self.agent_removal_rate_limit {
            Some(RateLimit { count: 0, .. }) => Err(BadConfig::NoRoom("agent_removal_rate_limit")),
            Some(RateLimit { within: Duration::ZERO, .. }) => {
                Err(BadConfig::Nothing("agent_removal_rate_limit"))
            }
            Some(_) | None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_of_nothing_is_refused_by_name() {
        let silent = Config { ping_every: Duration::ZERO, ..Config::default() };
        assert_eq!(silent.validate(), Err(BadConfig::Nothing("ping_every")));
        let full = Config { roles_max: 0, ..Config::default() };
        assert_eq!(full.validate(), Err(BadConfig::NoRoom("roles_max")));
        assert!(Config::default().validate().is_ok());
        assert_eq!(Config::default().agent_timeout(), Duration::from_secs(75));
    }
}
