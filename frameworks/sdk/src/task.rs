//! Short ways to describe tasks.
//!
//! What is to become of a task while its agent cannot be reached is said with [`TaskSpec::when_unreachable`]: [`Fate::Keep`],
//! as is so if nothing is said, or [`Fate::End`] for one that is to be started anew elsewhere and may run on beside that until its agent
//! is back.
//!
//! ```
//! # use sdk::prelude::*;
//! let task = task::shell("report", "make report", &Resources::cpus_mem(1.0, 256.0));
//! let task = task.when_unreachable(Fate::End);
//! # assert_eq!(task.fate(), Some(Fate::End));
//! ```
//!
//! [`Fate::Keep`]: protocol::fate::Fate::Keep
//! [`Fate::End`]: protocol::fate::Fate::End

use protocol::ids::{ExecutorId, TaskId};
use protocol::resources::Resources;
use protocol::task::{CommandSpec, ExecutorSpec, Run, TaskSpec};

/// A task that is a line for the shell.
pub fn shell(id: impl AsRef<str>, line: impl Into<String>, resources: &Resources) -> TaskSpec {
    let command = CommandSpec { value: line.into(), shell: true, ..CommandSpec::default() };
    spec(id.as_ref(), resources, Run::Command(command))
}

/// A task that is a program with its arguments.
pub fn command(
    id: impl AsRef<str>,
    program: impl Into<String>,
    arguments: impl IntoIterator<Item = String>,
    resources: &Resources,
) -> TaskSpec {
    let value = program.into();
    let rest = arguments.into_iter();
    let arguments = std::iter::once(value.clone()).chain(rest).collect();
    let command = CommandSpec { value, arguments, ..CommandSpec::default() };
    spec(id.as_ref(), resources, Run::Command(command))
}

/// A task for an executor of the framework's own.
pub fn of_executor(
    id: impl AsRef<str>,
    executor: &ExecutorSpec,
    data: Vec<u8>,
    resources: &Resources,
) -> TaskSpec {
    spec(id.as_ref(), resources, Run::Executor { executor: executor.clone(), data })
}

/// An executor that is started as `command`.
pub fn executor(id: impl AsRef<str>, command: CommandSpec, resources: &Resources) -> ExecutorSpec {
    ExecutorSpec {
        executor: ExecutorId::new(id.as_ref()),
        name: id.as_ref().to_owned(),
        command,
        resources: resources.clone(),
        shutdown_grace: None,
    }
}

fn spec(id: &str, resources: &Resources, run: Run) -> TaskSpec {
    TaskSpec {
        task: TaskId::new(id),
        name: id.to_owned(),
        resources: resources.clone(),
        run,
        kill_grace: None,
        carried: Default::default(),
    }
}
