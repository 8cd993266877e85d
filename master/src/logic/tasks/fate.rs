//! What becomes of tasks whose agent is given up: what their framework said of each, or else what it knows of partitions.

use protocol::change::What;
use protocol::fate::Fate;
use protocol::framework::Capability;
use protocol::ids::{AgentId, FrameworkId, TaskId};
use protocol::task::{Reason, TaskReport, TaskState, TaskStatus};

use crate::logic::bugs::Bug;
use crate::logic::{Master, Turn};

impl Master {
    /// Its agent is unreachable: it may run on, and keeps what it holds; or it has ended, as far as its framework wants to know.
    pub(in crate::logic) fn task_unreachable(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        id: &TaskId,
    ) {
        let Some(entry) = self.frameworks.get_mut(framework) else { return };
        let knows_partitions = entry.has(Capability::PartitionAware);
        let is_there = entry.pid().is_some();
        let Some(task) = entry.tasks.get_mut(id).filter(|task| !task.state.is_end()) else {
            return;
        };
        let fate = task.spec.fate().filter(|_| !self.config.bugs.has(Bug::FateNotAskedFor));
        let told_lost = match fate {
            Some(Fate::End) => {
                let message = "its agent is unreachable, and it was to end then".to_owned();
                let (state, reason) = (TaskState::Lost, Reason::AgentRemoved);
                return self.end_task(turn, framework, id, state, reason, message);
            }
            Some(Fate::Keep) => false,
            None => !knows_partitions && is_there,
        };
        task.state = TaskState::Unreachable;
        task.told_lost |= told_lost;
        let message = "its agent is unreachable".to_owned();
        let status = task.status(framework, turn.now.wall, Reason::AgentRemoved, message);
        let status = self.since_when(status);
        turn.what.push(What::TaskStatus(status.clone().into()));
        self.tell_status(turn, status);
    }

    /// Whether a framework that knows no partitions said of this task that it is to hear of them.
    pub(super) fn is_told_unreachable(&self, status: &TaskStatus) -> bool {
        status.state == TaskState::Unreachable
            && self
                .task(&status.framework, &status.task)
                .is_some_and(|task| task.spec.fate() == Some(Fate::Keep))
    }

    /// An agent is back from being unreachable, in this reign or an earlier one: what was to end then is killed. Until it has
    /// ended it is a task like any other, and holds what it holds.
    pub(in crate::logic) fn kill_what_was_to_end(
        &mut self,
        turn: &mut Turn,
        agent: &AgentId,
        reports: &[&TaskReport],
    ) {
        for report in reports {
            let (framework, id) = (&report.framework, &report.spec.task);
            let here = self.task(framework, id).is_some_and(|task| task.agent == *agent);
            if self.config.bugs.has(Bug::GivenUpRunsOn) {
                continue;
            }
            if here && !report.state.is_end() && report.spec.fate() == Some(Fate::End) {
                self.kill(turn, framework, id, None);
            }
        }
    }
}
