//! What `airside run` says of each step: how long it took, and what happened.

use std::fmt::Write;
use std::time::{Duration, Instant};

use libactor::FlowId;
use protocol::ids::{FrameworkId, TaskId};
use protocol::offer::Offer;
use protocol::resources::Resources;
use protocol::task::{Exit, Isolation, TaskState, TaskStatus};
use sdk::Outcome;

/// What the scheduler tells the command.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// The master knows the framework.
    Subscribed(FrameworkId),
    /// The master is lost.
    Disconnected,
    /// Resources that fit, and the task was launched on them.
    Launched { offer: Box<Offer>, task: TaskId },
    /// News of the task.
    Updated(Box<TaskStatus>),
    /// The master refused something, in words.
    Refused(String),
    /// No offer will come, and why: the framework is about to end.
    Unmet(String),
    /// The framework has ended.
    Ended(Outcome),
}

/// Measures each step from the one before.
#[derive(Debug)]
pub(crate) struct Narrator {
    began_at: Instant,
    step_at: Instant,
}

impl Narrator {
    /// The first step begins now.
    pub(crate) fn new(now: Instant) -> Self {
        Self { began_at: now, step_at: now }
    }

    /// The lines for what was said.
    pub(crate) fn tell(&mut self, now: Instant, said: &Said) -> String {
        let took = now.saturating_duration_since(self.step_at);
        self.step_at = now;
        let mut lines = String::new();
        match said {
            Said::Subscribed(framework) => {
                line(&mut lines, took, &format!("subscribed as framework {framework}"))
            }
            Said::Disconnected => line(&mut lines, took, "lost the master; looking for it"),
            Said::Launched { offer, task } => {
                let scalars = without_ports(&offer.resources);
                let agent = format!("agent {} at {}", offer.agent, offer.at.listens);
                line(&mut lines, took, &format!("offered {scalars} of {agent}"));
                line(&mut lines, Duration::ZERO, &format!("accepted; launching task {task}"));
            }
            Said::Updated(status) => line(&mut lines, took, &words(status)),
            Said::Refused(why) => line(&mut lines, took, &format!("refused by the master: {why}")),
            Said::Unmet(_) | Said::Ended(_) => {}
        }
        lines
    }

    /// The last line: the whole of it, and where to see more.
    pub(crate) fn sum(&self, now: Instant, task: &TaskId, flow: Option<FlowId>) -> String {
        let took = now.saturating_duration_since(self.began_at).as_millis();
        let flow = flow.map(|flow| format!("; flow {flow}")).unwrap_or_default();
        format!("{took:>6} ms  in all{flow}; its messages: airside flow --task {task}\n")
    }
}

fn line(lines: &mut String, took: Duration, words: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(lines, "{:>6} ms  {words}", took.as_millis());
}

/// Port ranges of whole agents are long, and nobody chose them.
fn without_ports(resources: &Resources) -> Resources {
    let mut scalars = Resources::none();
    for resource in resources.iter().filter(|resource| resource.amount().is_some()) {
        scalars.add_one(resource.clone());
    }
    scalars
}

/// One status in words.
pub(super) fn words(status: &TaskStatus) -> String {
    let message = if status.message.is_empty() {
        String::new()
    } else {
        format!(": {}", status.message.replace('\n', " "))
    };
    match status.state {
        TaskState::Staging => "staged".into(),
        TaskState::Starting => "starting: the executor has it".into(),
        TaskState::Running => {
            let process = status.process.map(|id| format!(" as process {id}")).unwrap_or_default();
            let apart = match status.isolation {
                Some(Isolation::ProcessGroup) => {
                    "; kept apart by a process group only, no limit is enforced"
                }
                Some(Isolation::ControlGroup) => {
                    "; kept apart by a process group, and limited by a control group"
                }
                Some(Isolation::Container) => "; in a container of its own",
                None => "",
            };
            format!("running{process}{apart}")
        }
        TaskState::Killing => "being ended".into(),
        TaskState::Finished | TaskState::Failed | TaskState::Killed => match status.exit {
            // With a reason it may have been another process that ended so, such as the task's executor.
            Some(exit) if status.reason.is_none() => end(exit, &message),
            Some(_) | None => format!("{}{message}", crate::lists::task_state(status.state)),
        },
        TaskState::Unreachable => "its agent cannot be reached; waiting for it".into(),
        TaskState::Error
        | TaskState::Lost
        | TaskState::Dropped
        | TaskState::Gone
        | TaskState::GoneByOperator
        | TaskState::Unknown => format!("{}{message}", crate::lists::task_state(status.state)),
    }
}

/// How a task's process ended, and what its executor knows beside: it begins with the same in words of its own.
fn end(exit: Exit, message: &str) -> String {
    let (how, same) = match exit {
        Exit::Code(code) => {
            (format!("exited with status {code}"), format!(": exited with status {code}"))
        }
        Exit::Signal(signal) => {
            (format!("ended by signal {signal}"), format!(": was killed by signal {signal}"))
        }
    };
    let beside = message.strip_prefix(&same).filter(|beside| !beside.starts_with(char::is_numeric));
    let Some(beside) = beside else { return how + message };
    // A signal's name is no news to whoever knows its number.
    let name = beside.strip_prefix(" (SIG").and_then(|beside| beside.split_once(')'));
    how + name.map_or(beside, |(_, beside)| beside)
}

#[cfg(test)]
mod tests {
    use protocol::agent::AgentAddress;
    use protocol::ids::{AgentId, OfferId, Role};
    use protocol::task::Reason;

    use super::*;
    use crate::lists::tests::status;

    fn offer() -> Offer {
        Offer {
            offer: OfferId::new("m-O1"),
            framework: FrameworkId::new("c-0000"),
            agent: AgentId::new("c-S0"),
            at: AgentAddress { hostname: "host-1".into(), listens: "127.0.0.1:5051".into() }.into(),
            role: Role::everybody(),
            resources: "cpus:0.666;mem:2500;ports:[31000-31333]".parse().unwrap(),
            attributes: vec![],
            executors: vec![],
        }
    }

    #[test]
    fn each_step_is_told_with_how_long_it_took() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut narrator = Narrator::new(start);
        let starting = TaskStatus { exit: None, ..status(TaskState::Starting, 1) };
        let running = TaskStatus { exit: None, ..status(TaskState::Running, 1) };
        let mut told = String::new();
        for (ms, said) in [
            (3, Said::Subscribed(FrameworkId::new("c-0000"))),
            (5, Said::Launched { offer: Box::new(offer()), task: TaskId::new("run-1") }),
            (15, Said::Updated(Box::new(starting))),
            (18, Said::Updated(Box::new(running))),
            (1020, Said::Disconnected),
            (1044, Said::Updated(Box::new(status(TaskState::Failed, 1)))),
        ] {
            told += &narrator.tell(at(ms), &said);
        }
        told += &narrator.sum(at(1044), &TaskId::new("run-1"), Some(FlowId(0xf10)));
        insta::assert_snapshot!("narration", told);
    }

    #[test]
    fn a_task_that_never_ran_is_told_with_its_reason() {
        let error = TaskStatus {
            exit: None,
            message: "user 'nobody-here' does not exist".into(),
            ..status(TaskState::Error, 1)
        };
        assert_eq!(words(&error), "TASK_ERROR: user 'nobody-here' does not exist");
    }

    fn ended(exit: Exit, message: &str) -> TaskStatus {
        let exit = Some(exit);
        TaskStatus { exit, message: message.into(), ..status(TaskState::Failed, 1) }
    }

    #[test]
    fn an_end_is_told_once_with_what_the_executor_knows_beside() {
        let full = "; the disk of its sandbox is full, so its output may be cut off";
        for (exit, message, told) in [
            (Exit::Code(3), "exited with status 3".to_owned(), "exited with status 3".to_owned()),
            (
                Exit::Code(3),
                format!("exited with status 3{full}"),
                format!("exited with status 3{full}"),
            ),
            (
                Exit::Code(127),
                "exited with status 127 (a shell's word for: command not found)".into(),
                "exited with status 127 (a shell's word for: command not found)".into(),
            ),
            (
                Exit::Signal(9),
                "was killed by signal 9 (SIGKILL)".into(),
                "ended by signal 9".into(),
            ),
            (
                Exit::Signal(9),
                format!("was killed by signal 9 (SIGKILL){full}"),
                format!("ended by signal 9{full}"),
            ),
            (Exit::Signal(35), "was killed by signal 35".into(), "ended by signal 35".into()),
            (
                Exit::Code(1),
                "exited with status 12".into(),
                "exited with status 1: exited with status 12".into(),
            ),
            (Exit::Code(1), "no such table".into(), "exited with status 1: no such table".into()),
            (Exit::Code(1), String::new(), "exited with status 1".into()),
        ] {
            assert_eq!(words(&ended(exit, &message)), told);
        }
    }

    #[test]
    fn the_end_of_an_executor_is_not_told_as_the_end_of_its_task() {
        let message = "executor run-1 was killed by signal 9 (SIGKILL) with the task still in it";
        let reason = Some(Reason::ExecutorTerminated);
        let killed = TaskStatus { reason, ..ended(Exit::Signal(9), message) };
        assert_eq!(words(&killed), format!("TASK_FAILED: {message}"));
    }
}
