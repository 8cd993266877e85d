//! `airside batch`, `airside periodic` and the wordcount framework: frameworks of the house, each as a process of its own.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use batch::{BadBatch, Batch, CANCEL, Happening, Limits, Report};
use periodic::{BadJob, Job, Periodic};
use protocol::ids::FrameworkId;
use protocol::task::CommandSpec;
use sdk::executor::ExecutorError;
use sdk::{Options, Outcome, RunError, framework, run_executor, start_scheduler};
use wordcount::{Counter, Plan, PlanError, Setup, WordCount};

use crate::arguments::{BatchArguments, PeriodicArguments, WordcountArguments};
use crate::client::ClientError;
use crate::cluster::FileError;
use crate::demo::progress;
use crate::ending;
use crate::environment::Environment;
use crate::lead::{Led, find, lead, meet};
use crate::output;

/// A framework that could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameworkError {
    #[error(transparent)]
    Secret(#[from] FileError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Batch(#[from] BadBatch),
    #[error(transparent)]
    Periodic(#[from] BadJob),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    #[error("the framework ended early: {0}")]
    Ended(Outcome),
    #[error(
        "the tasks were not seen to end within {} s of being told to; the cluster ends them once the framework was away for its fail-over time-out",
        ending::TASKS_END_WITHIN.as_secs()
    )]
    NotEnded,
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("cannot find this program's own file, which executors are started from")]
    Program(#[source] io::Error),
    #[error("cannot write the counts to {path}")]
    Counts { path: PathBuf, source: io::Error },
    #[error("{0} jobs could not be counted; the last: {1}")]
    GivenUp(usize, String),
    #[error(transparent)]
    Executor(#[from] ExecutorError),
}

/// `airside batch`: exits 0 if all tasks succeeded, or if it stood by until another process had run them.
pub(crate) async fn batch(
    arguments: BatchArguments,
    environment: &Environment,
) -> Result<ExitCode, FrameworkError> {
    let cluster = find(&arguments.cluster, environment)?;
    if arguments.progress {
        output::print("ready\n");
    }
    let make = || Ok(all_jobs(&arguments)?);
    match lead(arguments.acts.framework("batch"), cluster, &arguments.state, make, CANCEL).await? {
        Led::Ended(_, batch) => Ok(told(&batch.report(), &arguments)),
        Led::Elsewhere => {
            output::narrate("another process has run the batch to its end\n");
            Ok(ExitCode::SUCCESS)
        }
        Led::Asked => Ok(ExitCode::FAILURE),
    }
}

/// `airside periodic`: until it is asked to end. Runs that have begun go on.
pub(crate) async fn periodic(
    arguments: PeriodicArguments,
    environment: &Environment,
) -> Result<(), FrameworkError> {
    let cluster = find(&arguments.cluster, environment)?;
    let each = arguments.each.resources();
    let job = |(name, every, line): &(String, Duration, String)| Job {
        name: name.clone(),
        every: *every,
        task: sdk::task::shell(name, line, &each),
    };
    let jobs = arguments.jobs.iter().map(job).collect();
    let scheduler = Periodic::new(jobs, tell_periodic)?;
    let make = || Ok(scheduler.clone());
    match lead(
        arguments.acts.framework("periodic"),
        cluster,
        &arguments.state,
        make,
        periodic::STOP,
    )
    .await?
    {
        Led::Ended(Outcome::Stopped, _) | Led::Asked => Ok(()),
        Led::Ended(outcome, _) => Err(FrameworkError::Ended(outcome)),
        Led::Elsewhere => Err(FrameworkError::Ended(Outcome::TornDown)),
    }
}

fn tell_periodic(happening: &periodic::Happening) {
    use periodic::Happening as H;
    match happening {
        H::Launched(task) => output::narrate(&format!("{task}: launched\n")),
        H::Ended { task, state } => output::narrate(&format!("{task}: {state:?}\n")),
        H::Missed { job, due } => output::narrate(&format!("{job}.{due}: missed\n")),
        H::Disconnected => output::narrate("lost the master; looking for it\n"),
        H::Subscribed(framework) => subscribed(framework),
    }
}

/// Also how a search comes to its end that was said to have begun.
fn subscribed(framework: &FrameworkId) {
    output::narrate(&format!("subscribed as framework {framework}\n"));
}

/// What is to be run, of which nothing has been.
fn all_jobs(arguments: &BatchArguments) -> Result<Batch, BadBatch> {
    let each = arguments.each.resources();
    let lines = arguments.commands.iter().map(String::as_str);
    let total = usize::from(arguments.repeat) * arguments.commands.len();
    let jobs = batch::shell_lines("job", lines.cycle().take(total), &each);
    let limits = Limits { attempts: arguments.attempts, ..Limits::default() };
    let for_programs = arguments.progress;
    Batch::new(jobs, limits, move |happening| tell(happening, total, for_programs))
}

fn told(report: &Report, arguments: &BatchArguments) -> ExitCode {
    if arguments.progress {
        tracing::info!("{report}");
    } else {
        output::print(&format!("{report}\n"));
    }
    if report.all_succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
        Happening::Subscribed(framework) => subscribed(framework),
        Happening::Launched { .. } | Happening::Updated(_) => {}
    }
}

/// About so much is counted by one task.
const JOB_BYTES: u64 = 1024 * 1024;

/// What wordcount will count: the same each time, as long as the files are.
pub(crate) fn plan(input: &[PathBuf], megabytes_most: u64) -> Result<Plan, PlanError> {
    // Executors read the files, and work elsewhere.
    let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let folders: Vec<PathBuf> = input.iter().map(absolute).collect();
    wordcount::plan(&folders, megabytes_most.saturating_mul(1024 * 1024), JOB_BYTES)
}

/// The wordcount framework's process.
pub(crate) async fn wordcount_scheduler(
    arguments: WordcountArguments,
    environment: &Environment,
) -> Result<(), FrameworkError> {
    let asked = ending::asked(arguments.end_with_stdin);
    tokio::pin!(asked);
    let (master, secret) = find(&arguments.cluster, environment)?;
    output::print("ready\n");
    if !meet(&master, secret.as_ref(), Some(&arguments.state_dir), &mut asked).await? {
        return Ok(());
    }
    let plan = plan(&arguments.input, arguments.input_max)?;
    let program = std::env::current_exe().map_err(FrameworkError::Program)?;
    let program = program.to_string_lossy().into_owned();
    let executor = CommandSpec {
        arguments: vec![program.clone(), "wordcount-executor".into()],
        value: program,
        ..CommandSpec::default()
    };
    let setup = Setup { intervals: arguments.intervals, ..Setup::new(executor) };
    let scheduler = WordCount::new(plan, setup, say_progress);
    let state_dir = Some(arguments.state_dir);
    let options = Options { state_dir, secret, ..Options::default() };
    let running = start_scheduler(&master, framework("wordcount"), scheduler, options).await?;
    let (outcome, wordcount) = tokio::select! {
        ended = running.ended() => ended?,
        // Its tasks run on, and are there for the next life of this scheduler.
        asked = &mut asked => {
            return asked.map_err(FrameworkError::Signals);
        }
    };
    if let Some((_, why)) = wordcount.given_up().last() {
        return Err(FrameworkError::GivenUp(wordcount.given_up().len(), (*why).to_owned()));
    }
    if !wordcount.is_complete() {
        return Err(FrameworkError::Ended(outcome));
    }
    let mut lines = String::new();
    for (word, count) in wordcount.counts() {
        lines += &format!("{word} {count}\n");
    }
    let path = arguments.counts;
    std::fs::write(&path, lines).map_err(|source| FrameworkError::Counts { path, source })
}

fn say_progress(happening: &wordcount::Happening) {
    use wordcount::Happening as H;
    match happening {
        H::Done { done, all, .. } => output::print(&progress::line(*done, *all)),
        H::Again { job, why } => tracing::info!(job, why, "a try came to nothing; tried again"),
        H::GivenUp { job, why } => tracing::warn!(job, why, "given up"),
        H::Disconnected => tracing::info!("lost the master; looking for it"),
        H::Restored { done } => tracing::info!(done, "goes on where an earlier life was"),
        H::Subscribed(framework) => tracing::info!(%framework, "subscribed"),
        H::Launched { .. } | H::Updated(_) => {}
    }
}

/// The wordcount framework's executor, as agents start it.
pub(crate) async fn wordcount_executor() -> Result<(), FrameworkError> {
    let ending = run_executor(Counter::default()).await?;
    tracing::info!("{ending}");
    Ok(())
}
