//! An executor as its author writes it, and its process.

mod actor;
mod config;
pub mod logic;

use std::path::{Path, PathBuf};
use std::time::Duration;

use libactor::{Accepts, Node, NodeConfig, Spawn};
use protocol::PROTOCOL_VERSION;
use protocol::executor::{AgentAt, AgentToExecutor};
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, TaskId};
use protocol::task::{Run, TaskSpec, TaskState};
use tokio::sync::{mpsc, oneshot};

use crate::chance::random;
use actor::ExecutorActor;
pub use actor::{ExecutorEnded, Reporter};
pub use config::ExecutorConfig;
use logic::{Ending, ExecutorDriver, Report, Word};

/// Reports of other threads that wait for the actor; more make those threads wait.
const REPORTS: usize = 64;
/// The most bytes of the name under which an executor's actor is found.
const NAME_BYTES: usize = 128;

/// What the author of an executor writes. Methods are called one after the other and must return soon: work belongs in
/// a process or thread of the task's, which speaks through a [`Reporter`].
#[allow(unused_variables)]
pub trait Executor {
    /// The agent knows the executor; tasks follow.
    fn registered(
        &mut self,
        calls: &mut ExecutorCalls,
        agent: &AgentId,
        framework: &FrameworkInfo,
    ) {
    }

    /// Run this task. Its news is due from here on: it runs, and how it ended.
    fn launch(&mut self, calls: &mut ExecutorCalls, task: &TaskSpec);

    /// End this task within the grace. Its end is reported like any other.
    fn kill(&mut self, calls: &mut ExecutorCalls, task: &TaskId, grace: Duration);

    /// The scheduler says something.
    fn message(&mut self, calls: &mut ExecutorCalls, data: &[u8]) {}

    /// All tasks are to end now: the process does as soon as each has reported its end, or its grace is over. When an
    /// agent that was lost does not come back in time the process ends when this returns.
    fn shutdown(&mut self, calls: &mut ExecutorCalls);
}

/// Given to each method of an executor.
pub struct ExecutorCalls {
    reports: Vec<Report>,
    reporter: Reporter,
    sandbox: PathBuf,
}

impl ExecutorCalls {
    /// News of a task.
    pub fn update(&mut self, task: &TaskId, state: TaskState, message: &str, data: Vec<u8>) {
        let (task, message) = (task.clone(), message.to_owned());
        self.reports.push(Report::Task { task, state, message, data });
    }

    /// Says something to the scheduler; may be lost.
    pub fn message(&mut self, data: Vec<u8>) {
        self.reports.push(Report::Message(data));
    }

    /// Ends this executor once its tasks have ended and their news has arrived.
    pub fn stop(&mut self) {
        self.reports.push(Report::Stop);
    }

    /// For threads: the same, from anywhere.
    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// Where files belong; removed by the agent some time after the end.
    pub fn sandbox(&self) -> &Path {
        &self.sandbox
    }
}

/// What a task's launch gave to its executor; nothing for a command.
pub fn task_data(task: &TaskSpec) -> &[u8] {
    match &task.run {
        Run::Executor { data, .. } => data,
        Run::Command(_) => &[],
    }
}

/// Why an executor could not run.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// It was not started by an agent.
    #[error("run an executor: {0} is not set; executors are started by an agent")]
    Environment(&'static str),
    /// The agent's address cannot be read.
    #[error("run an executor: its agent's address")]
    Agent(#[source] libactor::BadName),
    /// The secret that its agent lent it cannot be read.
    #[error("run an executor: read its secret from standard input, where the agent leaves it")]
    Secret(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The node did not start.
    #[error("run an executor: start its node")]
    Node(#[source] libactor::StartError),
    /// The actor did not start.
    #[error("run an executor: start its actor")]
    Actor(#[source] libactor::SpawnError),
    /// The kernel gave no random number.
    #[error("run an executor: draw a random number: {0}")]
    Random(String),
}

/// Runs an executor in this process, which an agent started, until it has to end.
pub async fn run_executor<E: Executor + Send + Unpin + 'static>(
    executor: E,
) -> Result<Ending, ExecutorError> {
    run_executor_as(ExecutorConfig::from_environment()?, executor).await
}

/// The same with settings of one's own, for tests.
pub async fn run_executor_as<E: Executor + Send + Unpin + 'static>(
    config: ExecutorConfig,
    executor: E,
) -> Result<Ending, ExecutorError> {
    let agent = AgentAt::new(&config.agent, config.agent_file).map_err(ExecutorError::Agent)?;
    let mut name = format!("executor/{}", config.identity.executor);
    name.truncate(name.floor_char_boundary(NAME_BYTES));
    let source = random().map_err(ExecutorError::Random)?;
    let driver = ExecutorDriver::new(config.identity, source, config.recovery_timeout);
    let node = NodeConfig {
        secret: config.secret,
        version: PROTOCOL_VERSION,
        threads: 1,
        ..NodeConfig::default()
    };
    let node = Node::start(node).await.map_err(ExecutorError::Node)?;
    let (reports, waiting) = mpsc::channel(REPORTS);
    let calls = ExecutorCalls {
        reports: Vec::new(),
        reporter: Reporter::new(reports),
        sandbox: config.sandbox,
    };
    let (ends, ended) = oneshot::channel();
    let accepts = Accepts::new().tells::<AgentToExecutor>().links();
    node.spawn(Spawn::named(&name).accepts(accepts), move |_| {
        ExecutorActor::new(driver, executor, calls, agent, waiting, ends)
    })
    .map_err(ExecutorError::Actor)?;
    let ending = ended.await.unwrap_or(Ending::ShutDown);
    node.shutdown().await;
    Ok(ending)
}

/// Hands a word to the author's executor; what it says comes back.
fn hand<E: Executor>(executor: &mut E, calls: &mut ExecutorCalls, word: Word) -> Vec<Report> {
    match word {
        Word::Registered(agent, framework) => executor.registered(calls, &agent, &framework),
        Word::Launch(task) => executor.launch(calls, &task),
        Word::Kill(task, grace) => executor.kill(calls, &task, grace),
        Word::Message(data) => executor.message(calls, &data),
        Word::Shutdown => executor.shutdown(calls),
    }
    std::mem::take(&mut calls.reports)
}
