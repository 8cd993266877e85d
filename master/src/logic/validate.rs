//! What may not stand: every refusal is a variant with its words.

use std::collections::BTreeSet;

use api::v1;
use protocol::agent::AgentInfo;
use protocol::carried::Carried;
use protocol::container::{BadContainer, Wanted};
use protocol::fate::{BadFate, Fate};
use protocol::framework::FrameworkInfo;
use protocol::ids::{BadId, BadRole, ID_BYTES_MAX, Role, check_id};
use protocol::limits::{BadLimit, TaskLimits};
use protocol::offer::{Constraint, Demand};
use protocol::resources::{Milli, NotNormal, Resources};
use protocol::task::{CommandSpec, ExecutorSpec, Run, TaskSpec};
use protocol::wishes::{AttributeConstraint, Predicate, RoleWishes};

use super::book::BookedExecutor;
use super::constraints::{BadConstraints, Bounds, Constraints};
use crate::config::Config;

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An id that may not be.
    #[error("{of}: {bad}")]
    Id {
        /// What it is the id of.
        of: &'static str,
        /// Why.
        bad: BadId,
    },
    /// Nothing where something is needed.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// A task without resources.
    #[error("Task uses no resources")]
    UsesNothing,
    /// Too much.
    #[error("{what} has {has}, more than {max}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// So much.
        has: usize,
        /// The limit.
        max: usize,
    },
    /// Amounts that there cannot be, terms that make no sense, entries out of order.
    #[error("the resources of {of} are not in their normal form: {why}")]
    NotNormal {
        /// Whose.
        of: &'static str,
        /// Why.
        why: NotNormal,
    },
    /// More than the offers hold.
    #[error(
        "Total resources {needs} required by task and its executor is more than available {left}: of the offered {offered}, {lacking} is missing"
    )]
    MoreThanOffered {
        /// The task with its executor.
        needs: Resources,
        /// By all offers of the call.
        offered: Resources,
        /// After the call's earlier tasks.
        left: Resources,
        /// The first resource of which there is too little.
        lacking: String,
    },
    /// The executor id is in use on the agent with another description.
    #[error("executor '{0}' runs on the agent with another description")]
    OtherExecutor(String),
    /// More files than an agent fetches for one command.
    #[error(
        "{of} names {uris} URIs to fetch, more than {most}; put them into one archive",
        most = URIS_MAX
    )]
    Fetch {
        /// Which command.
        of: &'static str,
        /// How many.
        uris: usize,
    },
    /// It would run outside of what it asks for.
    #[error("{of} {bad}")]
    Container {
        /// Which task or executor.
        of: &'static str,
        /// What is wrong with what it asks for.
        bad: BadContainer,
    },
    /// What it may take at most.
    #[error(transparent)]
    Limit(#[from] BadLimit),
    /// Nobody knows what is to become of it.
    #[error(
        "the task cannot be launched: {0}; 'end' kills it when its agent is back, 'keep' lets it run on"
    )]
    Fate(#[from] BadFate),
    /// A text that names no role.
    #[error(transparent)]
    Role(#[from] BadRole),
    /// One role is named more than once.
    #[error("role '{0}' is named twice; name each role once")]
    RoleTwice(Role),
    /// The framework does not act for it.
    #[error(
        "the framework does not act for role '{role}', but for {roles}; subscribe with '{role}' among its roles first"
    )]
    NotItsRole {
        /// What is named.
        role: Role,
        /// What it acts for.
        roles: String,
    },
    /// What must be true of agents cannot be looked at.
    #[error(transparent)]
    Constraints(#[from] BadConstraints),
    /// The least of an offer is no amount.
    #[error(
        "the least offer for role '{role}' names '{name}:{amount}': it needs a name and an amount of more than zero"
    )]
    LeastOffer {
        /// For which role.
        role: Role,
        /// The resource.
        name: String,
        /// How much of it.
        amount: Milli,
    },
    /// What it carries cannot be read, so that nobody knows what it asks for.
    #[error("{of}: {why}")]
    Carried {
        /// What carries it.
        of: &'static str,
        /// Why.
        why: String,
    },
}

/// Alternatives of a least offer, and amounts in one.
const LEAST_OFFERS_MAX: usize = 16;
/// As many files as an agent fetches for one command.
const URIS_MAX: usize = 64;

/// A refusal of what is said of a role that is none of the framework's, or twice.
fn one_of(role: &Role, info: &FrameworkInfo) -> Result<(), Refusal> {
    if info.roles.contains(role) {
        return Ok(());
    }
    let roles: Vec<&str> = info.roles.iter().map(Role::as_str).collect();
    Err(Refusal::NotItsRole { role: role.clone(), roles: roles.join(", ") })
}

fn each_once<'a>(roles: impl Iterator<Item = &'a Role>) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for role in roles {
        if !seen.insert(role) {
            return Err(Refusal::RoleTwice(role.clone()));
        }
    }
    Ok(())
}

fn text(what: &'static str, text: &str, max: usize) -> Result<(), Refusal> {
    at_most(what, text.len(), max)
}

/// Refuses more than `max`.
pub(super) fn at_most(what: &'static str, has: usize, max: usize) -> Result<(), Refusal> {
    if has > max { Err(Refusal::TooMuch { what, has, max }) } else { Ok(()) }
}

/// Refuses what the algebra takes for granted and a peer did not write so.
pub(super) fn resources(of: &'static str, resources: &Resources) -> Result<(), Refusal> {
    resources.check().map_err(|why| Refusal::NotNormal { of, why })
}

/// What an agent says that something on it holds, and under which role.
pub(super) fn reported(of: &'static str, role: &Role, held: &Resources) -> Result<(), Refusal> {
    role.check()?;
    resources(of, held)
}

/// What an agent says of itself.
pub(super) fn agent(info: &AgentInfo, config: &Config) -> Result<(), Refusal> {
    if info.resources.is_empty() {
        return Err(Refusal::Empty("the agent's list of resources"));
    }
    resources("the agent", &info.resources)?;
    text("the agent's host name", &info.at.hostname, config.text_bytes_max)?;
    text("the agent's address", &info.at.listens, config.text_bytes_max)?;
    text("the agent's version", &info.version, config.text_bytes_max)?;
    text("the agent's boot id", &info.boot, config.text_bytes_max)?;
    let bytes = info.attributes.iter().map(|a| a.name.len() + a.value.len()).sum();
    at_most("the agent's list of attributes", bytes, config.data_bytes_max)
}

/// What a framework says of itself.
pub(super) fn framework(info: &FrameworkInfo, config: &Config) -> Result<(), Refusal> {
    if info.roles.is_empty() {
        return Err(Refusal::Empty("the framework's list of roles"));
    }
    at_most("the framework's list of roles", info.roles.len(), config.roles_max)?;
    for role in &info.roles {
        role.check()?;
    }
    each_once(info.roles.iter())?;
    text("the framework's name", &info.name, config.text_bytes_max)?;
    text("the framework's user", &info.user, config.text_bytes_max)?;
    text("the framework's host name", &info.hostname, config.text_bytes_max)?;
    at_most("the framework's list of capabilities", info.capabilities.len(), config.roles_max)?;
    at_most("the framework's description", info.carried.as_bytes().len(), config.data_bytes_max)
}

/// Roles that are named by a framework which acts for all of them; at least one.
pub(super) fn roles_of(
    roles: &[Role],
    info: &FrameworkInfo,
    config: &Config,
) -> Result<(), Refusal> {
    if roles.is_empty() {
        return Err(Refusal::Empty("the list of roles"));
    }
    at_most("the list of roles", roles.len(), config.roles_max)?;
    roles.iter().try_for_each(|role| one_of(role, info))?;
    each_once(roles.iter())
}

/// What is wanted for the roles of a framework.
pub(super) fn wishes(
    wishes: &[RoleWishes],
    info: &FrameworkInfo,
    config: &Config,
) -> Result<(), Refusal> {
    at_most("the list of wishes", wishes.len(), config.roles_max)?;
    wishes.iter().try_for_each(|wish| one_of(&wish.role, info))?;
    each_once(wishes.iter().map(|wish| &wish.role))?;
    let demands = wishes.iter().map(|wish| wish.demand.len()).sum();
    at_most("the list of demands", demands, config.demands_max)?;
    let bounds = &config.constraints;
    within_all(wishes, bounds)?;
    for wish in wishes {
        demand(&wish.demand, config)?;
        Constraints::compile_within(&wish.constraints, bounds)?;
        least_offer(wish)?;
    }
    Ok(())
}

/// Of all roles and demands together: who says much for each would be looked at for long on every agent.
fn within_all(wishes: &[RoleWishes], bounds: &Bounds) -> Result<(), Refusal> {
    let of_offers = || wishes.iter().flat_map(|wish| wish.constraints.groups.iter().flatten());
    let of_demands =
        || wishes.iter().flat_map(|wish| &wish.demand).flat_map(|demand| &demand.constraints);
    let constraints = of_offers().count() + of_demands().count();
    at_most("the list of all constraints", constraints, bounds.constraints_max)?;
    let in_demands = of_demands().filter_map(|one| match one {
        Constraint::Attribute(one) => Some(one),
        Constraint::Is { .. } | Constraint::IsNot { .. } | Constraint::Ports { .. } => None,
    });
    let is_pattern = |one: &&AttributeConstraint| match one.predicate {
        Predicate::TextMatches(_) | Predicate::TextNotMatches(_) => true,
        Predicate::Exists | Predicate::NotExists => false,
        Predicate::TextEquals(_) | Predicate::TextNotEquals(_) => false,
    };
    let regexes = of_offers().chain(in_demands).filter(is_pattern).count();
    at_most("the list of all regular expressions", regexes, bounds.regexes_max)
}

fn least_offer(wish: &RoleWishes) -> Result<(), Refusal> {
    let least = wish.allocatable.as_deref().unwrap_or_default();
    at_most("the list of least offers", least.len(), LEAST_OFFERS_MAX)?;
    for quantities in least {
        at_most("a least offer", quantities.iter().count(), LEAST_OFFERS_MAX)?;
        for (name, amount) in quantities.iter() {
            text("the name of a resource", name, ID_BYTES_MAX)?;
            if name.is_empty() || amount <= Milli(0) {
                let (role, name) = (wish.role.clone(), name.to_string());
                return Err(Refusal::LeastOffer { role, name, amount });
            }
        }
    }
    Ok(())
}

/// A standing demand.
pub(crate) fn demand(demand: &[Demand], config: &Config) -> Result<(), Refusal> {
    at_most("the list of demands", demand.len(), config.demands_max)?;
    for one in demand {
        if one.each.is_empty() {
            return Err(Refusal::Empty("a demand's list of resources"));
        }
        resources("a demand", &one.each)?;
        Constraints::compile_demand_within(&one.constraints, &config.constraints)?;
    }
    Ok(())
}

fn command(
    what: &'static str,
    command: &CommandSpec,
    wanted: &Wanted,
    config: &Config,
) -> Result<(), Refusal> {
    // An image says what to run, unless it is to be a line for the shell.
    let says_image = wanted.image.is_some() && !command.shell;
    if command.value.trim().is_empty() && !says_image {
        return Err(Refusal::Empty(what));
    }
    let arguments: usize = command.arguments.iter().map(String::len).sum();
    let environment: usize = command.environment.iter().map(|(k, v)| k.len() + v.len()).sum();
    let carried = command.carried.as_bytes().len();
    at_most(what, command.value.len() + arguments + environment + carried, config.data_bytes_max)?;
    // Most carry nothing.
    let info = if carried == 0 { return Ok(()) } else { decode(what, &command.carried)? };
    match info.uris.len() {
        0..=URIS_MAX => Ok(()),
        uris => Err(Refusal::Fetch { of: what, uris }),
    }
}

fn decode<T: prost::Message + Default>(
    of: &'static str,
    carried: &Carried<T>,
) -> Result<T, Refusal> {
    carried.decode().map_err(|bad| Refusal::Carried { of, why: format!("{bad}") })
}

/// A task that runs outside of the container it asks for is worse than one that does not run.
fn container(of: &'static str, info: &v1::TaskInfo) -> Result<Wanted, Refusal> {
    Wanted::of_task(info).map_err(|bad| Refusal::Container { of, bad })
}

fn executor(spec: &ExecutorSpec, wanted: &Wanted, config: &Config) -> Result<(), Refusal> {
    check_id(spec.executor.as_str()).map_err(|bad| Refusal::Id { of: "executor", bad })?;
    text("the executor's name", &spec.name, config.text_bytes_max)?;
    command("the executor's command", &spec.command, wanted, config)?;
    resources("the executor", &spec.resources)
}

/// A task, apart from whether there is room for it. What comes back is what it needs, with its executor if that is to be
/// started.
pub(super) fn task(
    spec: &TaskSpec,
    running: Option<&BookedExecutor>,
    config: &Config,
) -> Result<Resources, Refusal> {
    check_id(spec.task.as_str()).map_err(|bad| Refusal::Id { of: "task", bad })?;
    text("the task's name", &spec.name, config.text_bytes_max)?;
    let carried = spec.carried.as_bytes().len();
    at_most("the task's description", carried, config.data_bytes_max)?;
    let mut wanted = Wanted::default();
    if carried > 0 {
        let info = decode("the task's description", &spec.carried)?;
        wanted = container("the task", &info)?;
        Fate::of(&info)?;
        TaskLimits::of(&info, &spec.resources)?;
    }
    if spec.resources.is_empty() {
        return Err(Refusal::UsesNothing);
    }
    resources("the task", &spec.resources)?;
    match &spec.run {
        Run::Command(to_run) => {
            command("the task's command", to_run, &wanted, config)?;
            Ok(spec.resources.clone())
        }
        Run::Executor { executor: with, data } => {
            executor(with, &wanted, config)?;
            at_most("the task's data", data.len(), config.data_bytes_max)?;
            match running {
                None => Ok(spec.resources.plus(&with.resources)),
                Some(booked) if with.is_as(&booked.spec) => Ok(spec.resources.clone()),
                Some(_) => Err(Refusal::OtherExecutor(with.executor.to_string())),
            }
        }
    }
}
