//! The executor of command tasks: a small process that runs one command for its agent. [`logic`] decides, the actor does.
//!
//! It dials its agent, proves itself by the token in its environment, starts the command as the task's user, tells how it
//! fares, and ends when that is acknowledged. It is a child subreaper: whatever the command leaves behind becomes its
//! child and is killed before the task is said to have ended. It knows nothing of agents but the protocol.

mod actor;
mod environment;
pub mod logic;
mod process;
mod second_start;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libactor::{Accepts, Limits, Node, NodeConfig, Spawn, StartError, Timing};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use protocol::executor::{AgentToExecutor, ENV_GROUPS};
use tokio::sync::Notify;

use actor::{Ended, ExecutorActor};
pub use environment::BadEnvironment;
use environment::Environment;

/// Of the one actor that an executor has: each look wakes a thread.
const WATCHDOG: Duration = Duration::from_secs(10);

/// Why the executor could not begin.
#[derive(Debug, thiserror::Error)]
pub enum MainError {
    /// It was not started by an agent.
    #[error(transparent)]
    Environment(#[from] BadEnvironment),
    /// A runtime could not be made.
    #[error("start the executor's runtime")]
    Runtime(#[source] std::io::Error),
    /// It would not inherit what its task leaves behind.
    #[error("become the reaper of the task's processes")]
    Reaper(#[source] nix::Error),
    /// A node could not be made.
    #[error("start the executor's node")]
    Node(#[from] StartError),
    /// The kernel gave no chance.
    #[error("read random bytes: {0}")]
    Random(getrandom::Error),
    /// An actor could not be made.
    #[error(transparent)]
    Spawn(#[from] libactor::SpawnError),
    /// Signals could not be heard.
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
}

/// The whole process: returns when the task is over and acknowledged, or the agent is lost.
pub fn main() -> ExitCode {
    // Whatever it starts, and all its memory from here on, counts for its container.
    if let Some(files) = std::env::var_os(ENV_GROUPS)
        && let Err(error) = containerizer::cgroups::join(&files)
    {
        complain(&format!("join its control groups {files:?}: {error}"));
        return ExitCode::FAILURE;
    }
    if let Some(file) = second_start::wanted() {
        return second_start::main(&file);
    }
    match run() {
        Ok(code) => code,
        Err(error) => {
            let mut words = error.to_string();
            let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
            while let Some(next) = cause {
                words = format!("{words}: {next}");
                cause = next.source();
            }
            complain(&words);
            ExitCode::FAILURE
        }
    }
}

/// Standard error is the task's sandbox, where its author looks.
pub(crate) fn complain(words: &str) {
    use std::io::Write;
    // There is nobody else to tell.
    let _ = writeln!(std::io::stderr(), "airside executor: {words}");
}

/// For this process and all below it. An agent may open more than its tasks are to.
pub(crate) fn set_open_files(files: u64) {
    let set = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, files.min(hard), hard));
    if let Err(error) = set {
        complain(&format!("allow {files} open files: {error}"));
    }
}

fn run() -> Result<ExitCode, MainError> {
    let environment = Environment::read()?;
    environment.open_files.into_iter().for_each(set_open_files);
    nix::sys::prctl::set_child_subreaper(true).map_err(MainError::Reaper)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(MainError::Runtime)?;
    runtime.block_on(serve(environment))
}

async fn serve(environment: Environment) -> Result<ExitCode, MainError> {
    let source = getrandom::u64().map_err(MainError::Random)?;
    let node = Node::start(NodeConfig {
        secret: environment.secret.clone(),
        // One thread beside the system's and this one, small rings, no calibration and few looks at one actor: there are thousands of
        // executors on a machine.
        threads: 1,
        calibrate: false,
        version: protocol::PROTOCOL_VERSION,
        limits: Limits { chatter_ring: 64 << 10, flow_ring: 256 << 10, ..Limits::default() },
        timing: Timing { watchdog: WATCHDOG, ..Timing::default() },
        ..NodeConfig::default()
    })
    .await?;
    let ended = Arc::new(Ended { code: std::sync::OnceLock::new(), notify: Notify::new() });
    let told = Arc::clone(&ended);
    let recording = environment.sandbox.join(libactor::ringfile::FILE_NAME);
    let accepts = Accepts::new().tells::<AgentToExecutor>().links();
    let spawn = Spawn { accepts, mailbox: 256, ..Spawn::default() };
    node.spawn(spawn, move |ctx| ExecutorActor::new(environment, source, told, ctx))?;
    ended.notify.notified().await;
    // So that a task's flow has this part of it when the process is gone. One of a full disk has none.
    if let Err(error) = node.leave_recording(&recording) {
        tracing::info!(%error, "the recording is not left");
    }
    // The connection ends with the process; there is nothing left to say.
    Ok(ended.code.get().map_or(ExitCode::FAILURE, |code| ExitCode::from(*code)))
}
