//! The agent's books as they are shown to operators: as messages of the v1 API and as Mesos's older JSON. Pure.

mod containers;
pub(crate) mod legacy;
pub(crate) mod v1;

use protocol::limits::TaskLimits;
use protocol::resources::{Milli, Resource, Resources, Value};
use protocol::task::{CommandSpec, Run};

use crate::logic::{ExecutorSeen, Stage, TaskSeen};

pub(crate) use containers::{Container, Filter, Said, containers};

/// A tenth of a processor, and MB of memory.
const OVERHEAD: [(&str, Milli); 2] = [("cpus", Milli(100)), ("mem", Milli::whole(32))];

/// Characters of a command that are shown.
const COMMAND_MAX: usize = 15;

impl ExecutorSeen {
    /// Of one that is the framework's, its own name; else it names its task and its command.
    fn name(&self) -> String {
        match self.command() {
            Some((task, command)) => {
                let id = &task.report.spec.task;
                format!("Command Executor (Task: {id}) (Command: {})", shortened(command))
            }
            None => self.spec.name.clone(),
        }
    }

    fn command(&self) -> Option<(&TaskSeen, &CommandSpec)> {
        let mut commands = self.tasks.iter().filter_map(|task| match &task.report.spec.run {
            Run::Command(command) => Some((&**task, command)),
            Run::Executor { .. } => None,
        });
        commands.next().filter(|_| self.is_for_command)
    }

    /// What it needs itself. One of the agent's making needs a little, which no master counts.
    fn own_resources(&self) -> Resources {
        match self.is_for_command {
            true => overhead(),
            false => self.spec.resources.clone(),
        }
    }

    /// With what its tasks hold.
    fn all_resources(&self) -> Resources {
        let mut all = self.own_resources();
        let live = self.tasks.iter().filter(|task| is_live(task.stage));
        live.for_each(|task| all.add(&task.report.spec.resources));
        all
    }

    /// What they may take beside that.
    fn limits(&self) -> TaskLimits {
        let live = self.tasks.iter().filter(|task| is_live(task.stage));
        TaskLimits::together(&self.own_resources(), live.map(|task| &*task.report.spec))
    }
}

fn is_live(stage: Stage) -> bool {
    match stage {
        Stage::Queued | Stage::Launched => true,
        Stage::Terminated | Stage::Completed => false,
    }
}

/// What the executor of a command needs beside its task.
fn overhead() -> Resources {
    let mut all = Resources::none();
    for (name, amount) in OVERHEAD {
        all.add_one(Resource::unreserved(name, Value::Scalar(amount)));
    }
    all
}

fn shortened(command: &CommandSpec) -> String {
    let cut = |text: String, before: &str, after: &str| {
        let whole = text.chars().count() <= COMMAND_MAX;
        let shown: String = text.chars().take(COMMAND_MAX - 3).collect();
        if whole { format!("{before}{text}{after}") } else { format!("{before}{shown}...{after}") }
    };
    if command.shell {
        cut(command.value.clone(), "sh -c '", "'")
    } else {
        let all = std::iter::once(&command.value).chain(&command.arguments);
        cut(all.cloned().collect::<Vec<_>>().join(", "), "[", "]")
    }
}
