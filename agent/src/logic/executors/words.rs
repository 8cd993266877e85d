//! What is said of how executors end.

use protocol::task::{Exit, Reason, TaskState};

use crate::logic::limits;
use crate::logic::state::{Ending, Executor};
use crate::logic::updates::News;

/// What the end of its executor means for a task that was still in it.
pub(super) fn news_of_end(executor: &Executor, exit: Option<Exit>) -> News {
    let id = &executor.spec.executor;
    let how = exit.map_or_else(|| "ended".to_owned(), words_of);
    let advice = "its sandbox may say why: see `airside logs`";
    let killed = |reason, words| News::new(TaskState::Killed, reason, words);
    let failed = |reason, words| News::new(TaskState::Failed, reason, words);
    match &executor.ending {
        Some(Ending::Told) => {
            let words = format!("executor {id} was shut down by its framework and {how}");
            killed(Reason::ExecutorTerminated, words)
        }
        Some(Ending::FrameworkRemoved) => {
            let words = format!("executor {id} {how} after its framework was removed");
            killed(Reason::FrameworkRemoved, words)
        }
        Some(Ending::AgentLeaves) => {
            let words = format!("executor {id} {how} because the agent was ended by its operator");
            failed(Reason::AgentRemoved, words)
        }
        Some(Ending::NotRegistered) => {
            let words = format!("executor {id} did not register in time and was killed; {advice}");
            failed(Reason::ExecutorRegistrationTimeout, words)
        }
        Some(Ending::NotBack) => {
            let late = "did not come back to its agent in time";
            failed(Reason::ExecutorTerminated, format!("executor {id} {late}, and {how}; {advice}"))
        }
        Some(Ending::Rebooted) => {
            let words = "its machine was started anew, and nothing is known of how it ended";
            News::new(TaskState::Lost, Reason::AgentRestarted, words.to_owned())
        }
        Some(Ending::Limited(limitation)) => limits::news(limitation),
        Some(Ending::NotGiven(words)) => {
            let words = format!("executor {id} {how}: its container could not be changed: {words}");
            failed(Reason::ContainerUpdateFailed, words)
        }
        Some(Ending::Idle) | None => failed(
            Reason::ExecutorTerminated,
            format!("executor {id} {how} with the task still in it; {advice}"),
        ),
    }
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
