//! `airside why`: why a framework is not offered what it wants, or would not be offered what it might want, or how a task is. A task
//! that has not been launched is known to its framework alone: ask for that.

mod json;

use std::fmt::Write;

use protocol::ids::Role;
use protocol::offer::{Constraint, Demand};
use protocol::operator::{FrameworkView, TaskView};
use protocol::why::{RoleWhy, WantWhy};

use crate::arguments::WhyArguments;
use crate::client::Client;
use crate::cluster::Cluster;
use crate::commands::{CommandError, TASKS};
use crate::environment::Environment;
use crate::lists::frameworks::span;
use crate::lists::task_state;
use crate::output;
use crate::prefix;
use json::{RoleJson, TaskJson};

const FRAMEWORKS: (&str, &str) = ("framework or task", "frameworks");
/// Agents that are told one by one; the rest is in the sums above them.
const AGENTS_SHOWN: usize = 10;

/// What was asked about.
enum Asked {
    Framework(Box<FrameworkView>),
    Task(Box<TaskView>),
}

pub(crate) async fn why(
    arguments: WhyArguments,
    environment: &Environment,
) -> Result<(), CommandError> {
    let demand = arguments.demand.demand().map_err(|()| CommandError::NothingWanted)?;
    let client = Client::start(Cluster::find(&arguments.cluster, environment)).await?;
    let framework = match find(&client, &arguments.id).await? {
        Asked::Task(task) if demand.is_some() || arguments.role.is_some() => {
            return Err(CommandError::NotOfTask(task.report.spec.task.to_string()));
        }
        Asked::Task(task) => {
            output::print(&if arguments.json {
                output::json(&TaskJson::of(&task))
            } else {
                of_task(&task)
            });
            return Ok(());
        }
        Asked::Framework(framework) => framework,
    };
    let (id, role) = (framework.info.framework.clone(), arguments.role);
    let roles = match &demand {
        Some(demand) => client.why_demand(id, role, demand.clone()).await?,
        None => only(client.why(id).await?, role.as_ref())?,
    };
    output::print(&if arguments.json {
        output::json(&roles.iter().map(RoleJson::from).collect::<Vec<_>>())
    } else {
        of_framework(&framework, &roles, demand.is_some())
    });
    Ok(())
}

/// What is said of one role, if one is named.
fn only(roles: Vec<RoleWhy>, role: Option<&Role>) -> Result<Vec<RoleWhy>, CommandError> {
    let Some(role) = role.filter(|_| !roles.is_empty()) else { return Ok(roles) };
    let all: Vec<&str> = roles.iter().map(|of| of.role.as_str()).collect();
    let other = CommandError::NotItsRole { role: role.to_string(), roles: all.join(", ") };
    let mine: Vec<RoleWhy> = roles.iter().filter(|of| of.role == *role).cloned().collect();
    if mine.is_empty() { Err(other) } else { Ok(mine) }
}

/// A framework by its name or id, else a task.
async fn find(client: &Client, id: &str) -> Result<Asked, CommandError> {
    let frameworks = client.frameworks().await?;
    let mut named = frameworks.iter().filter(|framework| framework.info.name == id);
    if let (Some(framework), None) = (named.next(), named.next()) {
        return Ok(Asked::Framework(Box::new(framework.clone())));
    }
    let by_id = |framework: &FrameworkView| framework.info.framework.as_str().to_owned();
    let ids: Vec<(String, &FrameworkView)> =
        frameworks.iter().map(|framework| (by_id(framework), framework)).collect();
    let found = prefix::find(id, FRAMEWORKS, &ids, |(id, _)| id);
    let not_found = match found {
        Ok((_, framework)) => return Ok(Asked::Framework(Box::new((*framework).clone()))),
        Err(error) => error,
    };
    let tasks = client.tasks().await?;
    match prefix::find(id, TASKS, &tasks, |task| task.report.spec.task.as_str()) {
        Ok(task) => Ok(Asked::Task(Box::new(task.clone()))),
        Err(prefix::PrefixError::None { .. }) => Err(not_found.into()),
        Err(several @ prefix::PrefixError::Several { .. }) => Err(several.into()),
    }
}

fn of_task(task: &TaskView) -> String {
    let report = &task.report;
    let (id, state) = (&report.spec.task, task_state(report.state));
    let mut text = format!(
        "task {id} of {} is {state} on agent {}, under role {}\n",
        report.framework, report.agent, report.role
    );
    if let Some(status) = task.statuses.last() {
        let reason = status.reason.map(|reason| format!(", {reason:?}")).unwrap_or_default();
        let said = if status.message.is_empty() { "nothing more" } else { &status.message };
        let _ = writeln!(text, "  {}{reason}: {said}", task_state(status.state));
    }
    text
}

/// `asked`: about what it might want.
fn of_framework(framework: &FrameworkView, roles: &[RoleWhy], asked: bool) -> String {
    let (id, name) = (&framework.info.framework, &framework.info.name);
    if roles.is_empty() {
        return format!(
            "framework {id} ({name}): the allocator does not know it; its scheduler is not there\n"
        );
    }
    let mut text = String::new();
    for role in roles {
        let share = f64::from(role.share) / 10.0;
        let _ = writeln!(text, "framework {id} ({name}), role {}", role.role);
        let _ = writeln!(text, "  holds {}, {share} % of the cluster", role.holds);
        if let Some(quiet) = role.quiet {
            let _ = writeln!(text, "  gets no offers: {quiet}");
        }
        role.wants.iter().for_each(|want| of_want(&mut text, want, asked));
        of_offers(&mut text, role);
    }
    text
}

/// What is with it, or about to be.
fn of_offers(text: &mut String, role: &RoleWhy) {
    if role.offers_of > 0 {
        let _ = writeln!(text, "  offers not answered yet: {}, the oldest first", role.offers_of);
    }
    for offer in role.offers.iter().take(AGENTS_SHOWN) {
        let (agent, host) = (&offer.agent, &offer.hostname);
        let (resources, held_for) = (&offer.resources, span(offer.held_for));
        let _ = writeln!(text, "      {agent} ({host}): {resources}, for {held_for}");
    }
    if role.offers.len() > AGENTS_SHOWN {
        let _ = writeln!(text, "      … `--json` lists more");
    }
}

fn of_want(text: &mut String, want: &WantWhy, asked: bool) {
    let wants = match &want.demand {
        Some(demand) if asked => format!("if it wanted {}", wanted(demand)),
        Some(demand) => {
            let count = demand.count;
            format!("waits for offers for {count} of {}", wanted(demand))
        }
        None => "takes whatever there is".to_owned(),
    };
    let under_way = if want.promised > 0 {
        format!("; {} are under way", want.promised)
    } else {
        String::new()
    };
    let _ = writeln!(text, "  {wants}{under_way}");
    if want.causes.is_empty() {
        let _ = writeln!(text, "    there is no agent");
    }
    for (cause, on) in &want.causes {
        let _ = writeln!(text, "    {cause}  (on {on} of {} agents)", want.of);
    }
    for (agent, hostname, cause) in want.agents.iter().take(AGENTS_SHOWN) {
        let _ = writeln!(text, "      {agent} ({hostname}): {cause}");
    }
    if want.agents.len() > AGENTS_SHOWN {
        let _ = writeln!(text, "      … `--json` lists more");
    }
}

fn wanted(demand: &Demand) -> String {
    let constraints: Vec<String> = demand.constraints.iter().map(condition).collect();
    if constraints.is_empty() {
        demand.each.to_string()
    } else {
        format!("{} where {}", demand.each, constraints.join(" and "))
    }
}

fn condition(constraint: &Constraint) -> String {
    match constraint {
        Constraint::Is { attribute, value } => format!("{attribute} is {value}"),
        Constraint::IsNot { attribute, value } => format!("{attribute} is not {value}"),
        Constraint::Ports { each } => format!("{each} ports are free"),
        Constraint::Attribute(constraint) => format!("{constraint:?}"),
    }
}

#[cfg(test)]
mod tests;
