//! `airside why`: why a framework is not offered what it wants, or how a task is. A task that has not been launched is known to
//! its framework alone: ask for that.

use std::fmt::Write;

use protocol::offer::Demand;
use protocol::operator::{FrameworkView, TaskView};
use protocol::why::{RoleWhy, WantWhy};
use serde::Serialize;

use crate::arguments::WhyArguments;
use crate::client::Client;
use crate::cluster::Cluster;
use crate::commands::{CommandError, TASKS};
use crate::environment::Environment;
use crate::lists::task_state;
use crate::output;
use crate::prefix;

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
    let client = Client::start(Cluster::find(&arguments.cluster, environment)).await?;
    let framework = match find(&client, &arguments.id).await? {
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
    let roles = client.why(framework.info.framework.clone()).await?;
    output::print(&if arguments.json {
        output::json(&roles.iter().map(RoleJson::from).collect::<Vec<_>>())
    } else {
        of_framework(&framework, &roles)
    });
    Ok(())
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

fn of_framework(framework: &FrameworkView, roles: &[RoleWhy]) -> String {
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
        role.wants.iter().for_each(|want| of_want(&mut text, want));
    }
    text
}

fn of_want(text: &mut String, want: &WantWhy) {
    let wants = match &want.demand {
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
    let constraints: Vec<String> =
        demand.constraints.iter().map(|constraint| format!("{constraint:?}")).collect();
    if constraints.is_empty() {
        demand.each.to_string()
    } else {
        format!("{} where {}", demand.each, constraints.join(" and "))
    }
}

#[derive(Serialize)]
struct TaskJson {
    task: String,
    framework: String,
    agent: String,
    state: &'static str,
    reason: Option<String>,
    message: Option<String>,
}

impl TaskJson {
    fn of(task: &TaskView) -> Self {
        let last = task.statuses.last();
        Self {
            task: task.report.spec.task.to_string(),
            framework: task.report.framework.to_string(),
            agent: task.report.agent.to_string(),
            state: task_state(task.report.state),
            reason: last.and_then(|last| last.reason).map(|reason| format!("{reason:?}")),
            message: last.map(|last| last.message.clone()),
        }
    }
}

#[derive(Serialize)]
struct RoleJson {
    role: String,
    /// Of the cluster, dominant.
    share: f64,
    holds: String,
    quiet: Option<String>,
    wants: Vec<WantJson>,
}

#[derive(Serialize)]
struct WantJson {
    each: Option<String>,
    count: Option<u32>,
    promised: u32,
    agents: u32,
    causes: Vec<CauseJson>,
    by_agent: Vec<AgentJson>,
}

#[derive(Serialize)]
struct CauseJson {
    kind: &'static str,
    words: String,
    agents: u32,
}

#[derive(Serialize)]
struct AgentJson {
    agent: String,
    hostname: String,
    kind: &'static str,
    words: String,
}

impl From<&RoleWhy> for RoleJson {
    fn from(why: &RoleWhy) -> Self {
        Self {
            role: why.role.to_string(),
            share: f64::from(why.share) / 1000.0,
            holds: why.holds.to_string(),
            quiet: why.quiet.map(|quiet| quiet.to_string()),
            wants: why.wants.iter().map(WantJson::from).collect(),
        }
    }
}

impl From<&WantWhy> for WantJson {
    fn from(want: &WantWhy) -> Self {
        let causes = want.causes.iter().map(|(cause, agents)| CauseJson {
            kind: cause.kind(),
            words: cause.to_string(),
            agents: *agents,
        });
        let by_agent = want.agents.iter().map(|(agent, hostname, cause)| AgentJson {
            agent: agent.to_string(),
            hostname: hostname.clone(),
            kind: cause.kind(),
            words: cause.to_string(),
        });
        Self {
            each: want.demand.as_ref().map(|demand| demand.each.to_string()),
            count: want.demand.as_ref().map(|demand| demand.count),
            promised: want.promised,
            agents: want.of,
            causes: causes.collect(),
            by_agent: by_agent.collect(),
        }
    }
}
