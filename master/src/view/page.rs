//! Tasks may be many: they are read page by page, each of which fits into one message.

use std::ops::Bound;

use protocol::ids::{FrameworkId, TaskId};
use protocol::operator::{ReadAnswer, TaskView};
use protocol::task::{CommandSpec, Run};

use super::{Task, View};

/// The most tasks on a page.
const TASKS_MAX: usize = 5_000;

/// About so many bytes are on a page at most; a task that is larger has one of its own.
const BYTES_MAX: usize = 4 << 20;

/// Of a task or a status: its ids, numbers and short words.
const BYTES_OF_THE_REST: usize = 256;

impl View {
    /// The tasks behind this one, by framework and id; from the first one on, if none is named.
    pub(super) fn page(&self, behind: Option<(FrameworkId, TaskId)>) -> ReadAnswer {
        let (from, behind) = match &behind {
            None => (Bound::Unbounded, Bound::Unbounded),
            Some((framework, task)) => (Bound::Included(framework), Bound::Excluded(task)),
        };
        let frameworks = self.frameworks.range::<FrameworkId, _>((from, Bound::Unbounded));
        let (mut tasks, mut bytes) = (Vec::new(), 0);
        for (id, framework) in frameworks {
            let is_first = matches!(from, Bound::Included(first) if first == id);
            let behind = if is_first { behind } else { Bound::Unbounded };
            for task in framework.tasks.range::<TaskId, _>((behind, Bound::Unbounded)) {
                bytes += size(task.1);
                if !tasks.is_empty() && (tasks.len() == TASKS_MAX || bytes > BYTES_MAX) {
                    return ReadAnswer::SomeTasks(tasks);
                }
                let Task { report, statuses, .. } = task.1.clone();
                tasks.push(TaskView { report, statuses });
            }
        }
        ReadAnswer::Tasks(tasks)
    }
}

/// About as many bytes as it has in a message.
fn size(task: &Task) -> usize {
    let command = |command: &CommandSpec| {
        let arguments: usize = command.arguments.iter().map(String::len).sum();
        let environment: usize = command.environment.iter().map(|(k, v)| k.len() + v.len()).sum();
        command.value.len() + arguments + environment + command.carried.as_bytes().len()
    };
    let spec = &task.report.spec;
    let run = match &spec.run {
        Run::Command(spec) => command(spec),
        Run::Executor { executor, data } => command(&executor.command) + data.len(),
    };
    let unacknowledged = task.report.unacknowledged.iter();
    let statuses = task.statuses.iter().chain(unacknowledged).map(|status| {
        let words = status.message.len() + status.data.len();
        BYTES_OF_THE_REST + words + status.carried.as_bytes().len()
    });
    BYTES_OF_THE_REST + spec.carried.as_bytes().len() + run + statuses.sum::<usize>()
}
