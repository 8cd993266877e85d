//! `airside batch` and the wordcount framework: frameworks of the house, each as a process of its own.

use std::io;
use std::process::ExitCode;

use batch::{BadBatch, Batch, CANCEL, Happening, Limits};
use libactor::Secret;
use protocol::resources::{Milli, Resources};
use sdk::{Options, Outcome, RunError, framework, start_scheduler};

use crate::arguments::{BatchArguments, ClusterArguments};
use crate::cluster::{Cluster, FileError, read_secret};
use crate::demo::progress;
use crate::ending;
use crate::environment::Environment;
use crate::output;

/// A framework that could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameworkError {
    #[error(transparent)]
    Secret(#[from] FileError),
    #[error(transparent)]
    Batch(#[from] BadBatch),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    #[error("the framework ended early: {0}")]
    Ended(Outcome),
}

/// The master and the secret of the cluster that is meant.
fn find(
    arguments: &ClusterArguments,
    environment: &Environment,
) -> Result<(String, Option<Secret>), FileError> {
    let cluster = Cluster::find(arguments, environment);
    let secret = cluster.secret_file.as_deref().map(read_secret).transpose()?;
    Ok((cluster.master, secret))
}

/// `airside batch`: exits 0 if all tasks succeeded.
pub(crate) async fn batch(
    arguments: BatchArguments,
    environment: &Environment,
) -> Result<ExitCode, FrameworkError> {
    let (master, secret) = find(&arguments.cluster, environment)?;
    let mem = i64::try_from(arguments.mem).unwrap_or(i64::MAX);
    let each = Resources::none()
        .with_scalar("cpus", Milli::from_f64(arguments.cpus))
        .with_scalar("mem", Milli::whole(mem));
    let lines = arguments.commands.iter().map(String::as_str);
    let repeat = usize::from(arguments.repeat);
    let total = repeat * arguments.commands.len();
    let jobs = batch::shell_lines("job", lines.cycle().take(total), &each);
    let limits = Limits { attempts: arguments.attempts, ..Limits::default() };
    let for_programs = arguments.progress;
    let watcher = move |happening: &Happening| tell(happening, total, for_programs);
    let scheduler = Batch::new(jobs, limits, watcher)?;
    let options = Options { state_dir: arguments.state_dir, secret, ..Options::default() };
    if for_programs {
        output::print("ready\n");
    }
    let running = start_scheduler(&master, framework("batch"), scheduler, options).await?;
    let inputs = running.inputs();
    let ended = running.ended();
    tokio::pin!(ended);
    let (outcome, batch) = tokio::select! {
        ended = &mut ended => ended?,
        asked = ending::asked(arguments.end_with_stdin) => {
            asked.map_err(FrameworkError::Signals)?;
            inputs.input(CANCEL.to_vec());
            ended.await?
        }
    };
    if let Outcome::Refused(_) | Outcome::FailedOver = outcome {
        return Err(FrameworkError::Ended(outcome));
    }
    let report = batch.report();
    if for_programs {
        tracing::info!("{report}");
    } else {
        output::print(&format!("{report}\n"));
    }
    Ok(if report.all_succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One line for each end, for people or for programs.
fn tell(happening: &Happening, total: usize, for_programs: bool) {
    match happening {
        Happening::Decided { left, .. } if for_programs => {
            output::print(&progress::line(total.saturating_sub(*left), total));
        }
        Happening::Decided { job, verdict, left } => {
            output::narrate(&format!("{job}: {verdict:?}, {left} left\n"));
        }
        Happening::Disconnected => output::narrate("lost the master; looking for it\n"),
        Happening::Refused(why) => output::narrate(&format!("refused by the master: {why}\n")),
        Happening::Subscribed(_) | Happening::Launched { .. } | Happening::Updated(_) => {}
    }
}
