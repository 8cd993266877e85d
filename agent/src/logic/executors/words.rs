//! What is said of how executors end.

use protocol::task::{Exit, Reason, TaskState};

use crate::logic::state::{Ending, Executor};
use crate::logic::updates::News;

/// What the end of its executor means for a task that was still in it.
pub(super) fn news_of_end(executor: &Executor, exit: Option<Exit>) -> News {
    let id = &executor.spec.executor;
    let how = exit.map_or_else(|| "ended".to_owned(), words_of);
    let advice = "its sandbox may say why: see `airside logs`";
    let (state, reason, words) = match &executor.ending {
        Some(Ending::Told) => (
            TaskState::Killed,
            Reason::ExecutorTerminated,
            format!("executor {id} was shut down by its framework and {how}"),
        ),
        Some(Ending::FrameworkRemoved) => (
            TaskState::Killed,
            Reason::FrameworkRemoved,
            format!("executor {id} {how} after its framework was removed"),
        ),
        Some(Ending::AgentLeaves) => (
            TaskState::Failed,
            Reason::AgentRemoved,
            format!("executor {id} {how} because the agent was ended by its operator"),
        ),
        Some(Ending::NotRegistered) => (
            TaskState::Failed,
            Reason::ExecutorRegistrationTimeout,
            format!("executor {id} did not register in time and was killed; {advice}"),
        ),
        Some(Ending::NotBack) => (
            TaskState::Failed,
            Reason::ExecutorTerminated,
            format!("executor {id} did not come back to its agent in time, and {how}; {advice}"),
        ),
        Some(Ending::Rebooted) => (
            TaskState::Lost,
            Reason::AgentRestarted,
            "its machine was started anew, and nothing is known of how it ended".to_owned(),
        ),
        Some(Ending::Idle) | None => (
            TaskState::Failed,
            Reason::ExecutorTerminated,
            format!("executor {id} {how} with the task still in it; {advice}"),
        ),
    };
    News::new(state, reason, words)
}

/// How a process ended, as a predicate.
pub(super) fn words_of(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exited with status {code}"),
        Exit::Signal(9) => "was killed by signal 9 (SIGKILL)".to_owned(),
        Exit::Signal(15) => "was killed by signal 15 (SIGTERM)".to_owned(),
        Exit::Signal(signal) => format!("was killed by signal {signal}"),
    }
}
