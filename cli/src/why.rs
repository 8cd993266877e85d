//! `airside why`: why a framework is not offered what it wants, or would not be offered what it might want, or how a task is. A task
//! that has not been launched is known to its framework alone: ask for that.

mod json;

use std::fmt::Write;

use protocol::change::FrameworkState;
use protocol::ids::Role;
use protocol::offer::Demand;
use protocol::operator::{FrameworkView, TaskView};
use protocol::why::{RoleWhy, WantWhy};

use crate::arguments::WhyArguments;
use crate::client::{Client, ClientError};
use crate::cluster::Cluster;
use crate::commands::{CommandError, TASKS};
use crate::doubt;
use crate::environment::Environment;
use crate::lists::frameworks::span;
use crate::lists::task_state;
use crate::output;
use crate::prefix::{self, PrefixError};
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
    let framework = match doubt::list(&client, find(&client, &arguments.id)).await?? {
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
async fn find(client: &Client, id: &str) -> Result<Result<Asked, PrefixError>, ClientError> {
    let frameworks = client.frameworks().await?;
    let not_found = match framework(&frameworks, id) {
        Ok(framework) => return Ok(Ok(Asked::Framework(Box::new(framework.clone())))),
        Err(error @ PrefixError::SeveralNamed { .. }) => return Ok(Err(error)),
        Err(error @ (PrefixError::None { .. } | PrefixError::Several { .. })) => error,
    };
    let tasks = client.tasks().await?;
    Ok(match prefix::find(id, TASKS, &tasks, |task| task.report.spec.task.as_str()) {
        Ok(task) => Ok(Asked::Task(Box::new(task.clone()))),
        Err(PrefixError::None { .. }) => Err(not_found),
        Err(error @ (PrefixError::Several { .. } | PrefixError::SeveralNamed { .. })) => Err(error),
    })
}

/// By its name, or else by its id. Those that are removed are meant only if no other can be, or by the whole id.
fn framework<'a>(all: &'a [FrameworkView], id: &str) -> Result<&'a FrameworkView, PrefixError> {
    fn id_of<'a>(framework: &'a &FrameworkView) -> &'a str {
        framework.info.framework.as_str()
    }
    if let Some(whole) = all.iter().find(|framework| id_of(framework) == id) {
        return Ok(whole);
    }
    let (removed, living): (Vec<_>, Vec<_>) =
        all.iter().partition(|framework| framework.state == FrameworkState::Removed);
    for some in [&living, &removed] {
        let named: Vec<&FrameworkView> =
            some.iter().copied().filter(|framework| framework.info.name == id).collect();
        match named[..] {
            [] => (),
            [one] => return Ok(one),
            _ => return Err(PrefixError::several_named(FRAMEWORKS.1, id, named.iter().map(id_of))),
        }
    }
    match prefix::find(id, FRAMEWORKS, &living, id_of) {
        Err(PrefixError::None { .. }) => prefix::find(id, FRAMEWORKS, &removed, id_of),
        found => found,
    }
    .copied()
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
        let others = usize::try_from(role.wants_of).unwrap_or(0).saturating_sub(role.wants.len());
        if others > 0 {
            let _ =
                writeln!(text, "  and waits for {others} more; ask of one by --cpus and the like");
        }
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
    let constraints: Vec<String> = demand.constraints.iter().map(ToString::to_string).collect();
    if constraints.is_empty() {
        demand.each.to_string()
    } else {
        format!("{} with {}", demand.each, constraints.join(" and "))
    }
}

#[cfg(test)]
mod tests;
