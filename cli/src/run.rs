//! `airside run`: one command as a task, narrated. What the task prints is what this prints, and it exits as the task does.

mod ends;
mod image;
mod narration;
mod scheduler;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::agent::AgentAddress;
use protocol::framework::FrameworkInfo;
use protocol::ids::{ExecutorId, FrameworkId, TaskId};
use protocol::operator::AgentView;
use protocol::resources::{Milli, Resources};
use protocol::task::{CommandSpec, Exit, Run, TaskSpec, TaskState, TaskStatus};
use sdk::{Options, Outcome, RunError, Running, start_scheduler};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::NOT_RUN;
use crate::arguments::RunArguments;
use crate::client::{Client, ClientError};
use crate::cluster::Cluster;
use crate::ending;
use crate::environment::Environment;
use crate::flow;
use crate::output;
use crate::tail::{Part, Tail};
use ends::Ends;
use narration::{Narrator, Said};
use scheduler::OneTask;

/// How soon to look again for more of what the task prints.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// After the end of a task it is not waited for longer that all that it printed is in its files.
const KEPT_AFTER_MAX: Duration = Duration::from_secs(5);
/// Without an offer for so long, it is said that the task waits.
const PATIENCE: Duration = Duration::from_secs(3);

/// A task that could not be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunCommandError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot run the framework of this task")]
    Framework(#[from] RunError),
    #[error("{0}; ask for less")]
    TooMuch(String),
    #[error("the command is empty; give one after `--`, such as `airside run -- echo hi`")]
    EmptyCommand,
    #[error(
        "the task was not seen to end within {} s of being told to; the cluster ends it if its master is there",
        ending::TASKS_END_WITHIN.as_secs()
    )]
    NotEnded,
    #[error("the task was not seen to end; the cluster ends it if its master is there")]
    NotEndedAtOnce,
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
    #[error("the framework ended before its task: {0}")]
    Ended(Outcome),
    #[error("cannot draw a random number for the task's id: {0}")]
    Random(String),
}

/// Runs the command; the task's exit code.
pub(crate) async fn run(
    arguments: RunArguments,
    environment: &Environment,
) -> Result<ExitCode, RunCommandError> {
    let mut narrator = Narrator::new(Instant::now());
    let client = Client::start(Cluster::find(&arguments.cluster, environment)).await?;
    let task = spec(&arguments)?;
    let agents = client.agents().await?;
    let (say, mut hear) = unbounded_channel();
    let scheduler = OneTask::new(task.clone(), arguments.ports.unwrap_or(0), say);
    let options = Options { node: Some(client.node()), ..Options::default() };
    let info = info(&arguments, &task);
    let running = start_scheduler(client.master(), info, scheduler, options).await?;
    let inputs = running.inputs();
    let narrate = |text: String| {
        if !arguments.quiet {
            output::narrate(&text);
        }
    };
    let mut ends = Ends::listen(arguments.timeout).map_err(RunCommandError::Signals)?;
    let mut state = Progress::default();
    let end = loop {
        let pause = state.pause();
        tokio::select! {
            said = hear.recv() => {
                let Some(said) = said else { break Err(RunCommandError::Ended(Outcome::Stopped)) };
                narrate(narrator.tell(Instant::now(), &said));
                if let Some(end) = state.hear(said) {
                    break end;
                }
            }
            asked = ends.next() => {
                let (words, input) = asked?;
                narrate(words);
                inputs.input(input.to_vec());
            }
            () = tokio::time::sleep(pause) => {
                if let Some(words) = state.waits(&agents) {
                    narrate(words);
                }
                state.stream(&client).await;
            }
        }
    };
    let status = end?;
    state.drain(&client).await;
    let flow = flow::id_of_task(&client, task.task.as_str()).await;
    narrate(narrator.sum(Instant::now(), &task.task, flow));
    let code = exit_code(&status);
    if let Some(words) = why_not_run(&status).filter(|_| arguments.quiet) {
        output::narrate(&words);
    }
    wind_down(&client, &mut hear, running).await?;
    Ok(ExitCode::from(code))
}

/// The framework of this task alone.
fn info(arguments: &RunArguments, task: &TaskSpec) -> FrameworkInfo {
    let mut info = arguments.acts.framework(&format!("run {}", task.name));
    // The task is of no use to anybody once this process is gone.
    info.failover_timeout = Duration::ZERO;
    info
}

/// The end is acknowledged, the framework torn down, and every list shows it; unless there is no master any more.
async fn wind_down(
    client: &Client,
    hear: &mut UnboundedReceiver<Said>,
    running: Running<OneTask>,
) -> Result<(), RunCommandError> {
    let all_told = async {
        acknowledged(hear).await;
        running.ended().await
    };
    match tokio::time::timeout(ending::TASKS_END_WITHIN, all_told).await {
        Ok(ended) => drop(ended?),
        Err(_) => {
            tracing::warn!("the master did not take note of the end");
            return Ok(());
        }
    }
    if let Err(error) = client.settle().await {
        tracing::warn!(%error, "lists may not show yet how the task ended");
    }
    Ok(())
}

/// Until the framework has ended: then the end of its task is acknowledged.
async fn acknowledged(hear: &mut UnboundedReceiver<Said>) {
    while let Some(said) = hear.recv().await {
        if matches!(said, Said::Ended(_)) {
            return;
        }
    }
}

/// What is known of the task so far.
#[derive(Default)]
struct Progress {
    framework: Option<FrameworkId>,
    placed: Option<(Arc<AgentAddress>, TaskId)>,
    tails: Option<[Tail; 2]>,
    /// It was said that it waits.
    waited: bool,
    /// What no agent has, in the master's words.
    unmet: Option<String>,
}

impl Progress {
    /// Takes what the scheduler says; the end, if it is one.
    fn hear(&mut self, said: Said) -> Option<Result<TaskStatus, RunCommandError>> {
        match said {
            Said::Subscribed(framework) => self.framework = Some(framework),
            Said::Launched { offer, task } => self.placed = Some((offer.at, task)),
            Said::Updated(status) => {
                if status.state == TaskState::Running || status.state.is_end() {
                    self.open();
                }
                if status.state.is_end() {
                    return Some(Ok(*status));
                }
            }
            Said::Unmet(why) => self.unmet = Some(why),
            Said::Ended(outcome) => {
                let unmet = self.unmet.take().map(RunCommandError::TooMuch);
                return Some(Err(unmet.unwrap_or(RunCommandError::Ended(outcome))));
            }
            Said::Disconnected | Said::Refused(_) => {}
        }
        None
    }

    /// What the task prints can be read now.
    fn open(&mut self) {
        let (Some(framework), Some((at, task))) = (&self.framework, &self.placed) else { return };
        let executor = ExecutorId::of_command(task);
        let tail = |file| Tail::of_output(&at.listens, framework, &executor, file);
        self.tails.get_or_insert_with(|| [tail("stdout"), tail("stderr")]);
    }

    fn pause(&self) -> Duration {
        if self.tails.is_some() || self.waited { LOOK_AGAIN_AFTER } else { PATIENCE }
    }

    /// Said once, when no offer comes.
    fn waits(&mut self, agents: &[AgentView]) -> Option<String> {
        if self.placed.is_some() || std::mem::replace(&mut self.waited, true) {
            return None;
        }
        let why =
            if agents.is_empty() { "the cluster has no agents" } else { "all that fits is in use" };
        Some(format!("           waiting for an offer: {why}\n"))
    }

    /// Prints what there is now. Whether there was anything.
    async fn stream(&mut self, client: &Client) -> bool {
        let Some(tails) = &mut self.tails else { return false };
        let mut any = false;
        for (tail, print) in tails.iter_mut().zip([output::print_bytes, output::narrate_bytes]) {
            match tail.next(client).await {
                Ok(Part::Bytes(bytes)) => {
                    print(&bytes);
                    any = true;
                }
                Ok(Part::Nothing | Part::End) => {}
                Err(error) => tracing::warn!(%error, "what the task prints cannot be read"),
            }
        }
        any
    }

    /// Prints all that is left.
    async fn drain(&mut self, client: &Client) {
        // What is kept to a bound comes through one process more, which ends when the executor has.
        let until = Instant::now() + KEPT_AFTER_MAX;
        loop {
            while self.stream(client).await {}
            let behind = self.tails.iter().flatten().any(Tail::is_behind);
            if !behind || Instant::now() >= until {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }
}

/// The task as the arguments describe it.
fn spec(arguments: &RunArguments) -> Result<TaskSpec, RunCommandError> {
    let said = arguments.command.first().map(String::as_str).unwrap_or_default();
    let program = match (said, &arguments.image) {
        ("", None) => return Err(RunCommandError::EmptyCommand),
        (program, _) => program,
    };
    let called = if program.is_empty() { arguments.image.as_deref() } else { Some(program) };
    let called = called.unwrap_or_default();
    let number = getrandom::u32().map_err(|error| RunCommandError::Random(error.to_string()))?;
    let mut resources = Resources::none().with_scalar("cpus", Milli::from_f64(arguments.cpus));
    for (name, megabytes) in [("mem", Some(arguments.mem)), ("disk", arguments.disk)] {
        let megabytes = i64::try_from(megabytes.unwrap_or(0)).unwrap_or(i64::MAX);
        resources = resources.with_scalar(name, Milli::whole(megabytes));
    }
    Ok(TaskSpec {
        task: TaskId::new(format!("run-{number:08x}")),
        name: arguments.name.clone().unwrap_or_else(|| called.to_owned()),
        resources,
        run: Run::Command(CommandSpec {
            value: program.to_owned(),
            shell: false,
            arguments: arguments.command.clone(),
            environment: arguments.env.clone(),
            user: arguments.user.clone(),
            ..CommandSpec::default()
        }),
        kill_grace: None,
        carried: image::carried(arguments),
    })
}

/// The task's own, or 128 and its signal, or that it did not run.
fn exit_code(status: &TaskStatus) -> u8 {
    match status.exit {
        Some(Exit::Code(code)) => u8::try_from(code & 0xff).unwrap_or(NOT_RUN),
        Some(Exit::Signal(signal)) => u8::try_from(128 + (signal & 0x7f)).unwrap_or(NOT_RUN),
        None if status.state == TaskState::Finished => 0,
        None => NOT_RUN,
    }
}

/// What is said also where nothing is to be narrated: otherwise nobody would know why there is nothing.
fn why_not_run(status: &TaskStatus) -> Option<String> {
    let ran = status.exit.is_some() || status.state == TaskState::Finished;
    (!ran).then(|| format!("airside: the task did not run: {}\n", narration::words(status)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::tests::status;

    #[test]
    fn why_a_task_did_not_run_is_said_and_how_it_ended_is_not() {
        let message = "user 'nobody-here' does not exist".to_owned();
        let with = |state, exit| TaskStatus { exit, message: message.clone(), ..status(state, 1) };
        assert_eq!(
            why_not_run(&with(TaskState::Error, None)).as_deref(),
            Some("airside: the task did not run: TASK_ERROR: user 'nobody-here' does not exist\n")
        );
        assert_eq!(why_not_run(&with(TaskState::Failed, Some(Exit::Code(1)))), None);
        assert_eq!(why_not_run(&with(TaskState::Finished, None)), None);
    }

    #[test]
    fn the_exit_code_is_the_tasks() {
        let with = |state, exit| TaskStatus { exit, ..status(state, 1) };
        assert_eq!(exit_code(&with(TaskState::Failed, Some(Exit::Code(3)))), 3);
        assert_eq!(exit_code(&with(TaskState::Killed, Some(Exit::Signal(9)))), 137);
        assert_eq!(exit_code(&with(TaskState::Finished, Some(Exit::Code(0)))), 0);
        assert_eq!(exit_code(&with(TaskState::Error, None)), NOT_RUN);
    }

    #[test]
    fn what_no_agent_has_ends_the_run_with_the_masters_words() {
        let mut state = Progress::default();
        assert!(
            state.hear(Said::Unmet("no agent has cpus:64".into())).is_none(),
            "not torn down yet"
        );
        let end = state.hear(Said::Ended(Outcome::TornDown));
        let Some(Err(error)) = end else { panic!("{end:?}") };
        assert_eq!(error.to_string(), "no agent has cpus:64; ask for less");
        let end = Progress::default().hear(Said::Ended(Outcome::TornDown));
        assert!(matches!(end, Some(Err(RunCommandError::Ended(Outcome::TornDown)))), "{end:?}");
    }
}
