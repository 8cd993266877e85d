//! The commands that ask the cluster one thing and print the answer.

use std::time::Duration;

use libactor::ringfile::ReadError;
use protocol::operator::TaskView;

use crate::arguments::{FrameworksArguments, KillArguments, ListArguments, LogsArguments};
use crate::client::{Client, ClientError};
use crate::cluster::Cluster;
use crate::doubt;
use crate::environment::Environment;
use crate::lists::frameworks::{FrameworkJson, Held, frameworks_table, offers_table};
use crate::lists::{self, TaskJson};
use crate::output;
use crate::prefix::{self, PrefixError};
use crate::tail::{Part, Tail};

/// What tasks are called in errors about their ids.
pub(crate) const TASKS: (&str, &str) = ("task", "tasks");

/// How soon to look again for more of a file that may grow.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A command that has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    #[error(
        "'{0}' is no flow's id: expected up to 32 hexadecimal digits, as `airside flow --task` prints them"
    )]
    Trace(String),
    #[error(
        "no flow begins with '{prefix}', as far as the nodes that can be asked remember{blind}"
    )]
    NoFlow {
        /// What was looked for.
        prefix: String,
        /// Which nodes could not look everywhere, and why; nothing if all could.
        blind: String,
    },
    #[error(
        "nothing is wanted: say how much with --cpus, --mem, --disk or --gpus, beside --ports and --on"
    )]
    NothingWanted,
    #[error(
        "{0} is a task, which has been launched: --role and what might be wanted are asked about a framework"
    )]
    NotOfTask(String),
    #[error("the framework does not act for role '{role}', but for {roles}")]
    NotItsRole { role: String, roles: String },
    #[error("no node keeps payloads now")]
    NoPayloads,
    #[error(transparent)]
    Recording(ReadError),
    #[error("nothing in this recording is about an id that begins with '{0}'")]
    NotRecorded(String),
}

async fn client(
    arguments: &crate::arguments::ClusterArguments,
    environment: &Environment,
) -> Result<Client, ClientError> {
    Client::start(Cluster::find(arguments, environment)).await
}

/// `airside agents`.
pub(crate) async fn agents(
    arguments: ListArguments,
    environment: &Environment,
) -> Result<(), CommandError> {
    let client = client(&arguments.cluster, environment).await?;
    let agents = doubt::list(&client, client.agents()).await?;
    let domains = client.domains().await?;
    output::print(&if arguments.json {
        output::json(&lists::agents_json(&agents, &domains))
    } else {
        lists::agents_table(&agents, &domains)
    });
    Ok(())
}

/// `airside frameworks`.
pub(crate) async fn frameworks(
    arguments: FrameworksArguments,
    environment: &Environment,
) -> Result<(), CommandError> {
    let FrameworksArguments { list, offers } = arguments;
    let client = client(&list.cluster, environment).await?;
    let frameworks = doubt::list(&client, client.frameworks()).await?;
    let held = Held::of(client.offers().await?);
    output::print(&if list.json {
        let all = frameworks.iter().map(|framework| FrameworkJson::of(framework, &held, offers));
        output::json(&all.collect::<Vec<_>>())
    } else if offers {
        offers_table(&frameworks, &held)
    } else {
        frameworks_table(&frameworks, &held)
    });
    Ok(())
}

/// `airside tasks`.
pub(crate) async fn tasks(
    arguments: ListArguments,
    environment: &Environment,
) -> Result<(), CommandError> {
    let client = client(&arguments.cluster, environment).await?;
    let tasks = doubt::list(&client, client.tasks()).await?;
    output::print(&if arguments.json {
        output::json(&tasks.iter().map(TaskJson::from).collect::<Vec<_>>())
    } else {
        lists::tasks_table(&tasks)
    });
    Ok(())
}

/// The task that `prefix` names.
pub(crate) async fn task(client: &Client, prefix: &str) -> Result<TaskView, CommandError> {
    let tasks = doubt::list(client, client.tasks()).await?;
    Ok(prefix::find(prefix, TASKS, &tasks, |task| task.report.spec.task.as_str())?.clone())
}

/// `airside kill`.
pub(crate) async fn kill(
    arguments: KillArguments,
    environment: &Environment,
) -> Result<(), CommandError> {
    let client = client(&arguments.cluster, environment).await?;
    let task = task(&client, &arguments.task).await?;
    client.kill(&task).await?;
    output::print(&format!("Ending task {}\n", task.report.spec.task));
    Ok(())
}

/// `airside logs`.
pub(crate) async fn logs(
    arguments: LogsArguments,
    environment: &Environment,
) -> Result<(), CommandError> {
    let client = client(&arguments.cluster, environment).await?;
    let task = task(&client, &arguments.task).await?;
    let agents = client.agents().await?;
    let agent = agents
        .iter()
        .find(|agent| agent.agent == task.report.agent)
        .ok_or_else(|| ClientError::AgentGone(task.report.agent.to_string()))?;
    let file = if arguments.stderr { "stderr" } else { "stdout" };
    let report = &task.report;
    let mut tail =
        Tail::of_output(&agent.info.at.listens, &report.framework, &report.executor, file);
    loop {
        match tail.next(&client).await? {
            Part::Bytes(bytes) => output::print_bytes(&bytes),
            Part::Nothing if arguments.follow => tokio::time::sleep(LOOK_AGAIN_AFTER).await,
            Part::Nothing | Part::End => return Ok(()),
        }
    }
}
