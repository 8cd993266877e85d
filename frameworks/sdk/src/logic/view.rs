//! The master's book of this framework: a snapshot, then deltas numbered without gaps.

use std::collections::BTreeMap;

use protocol::change::{Change, What};
use protocol::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use protocol::task::{TaskReport, TaskState};
use serde::{Deserialize, Serialize};

use super::{Driver, Turn};

/// A task as the master's book has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewedTask {
    /// Where it is.
    pub agent: AgentId,
    /// By which executor.
    pub executor: ExecutorId,
    /// The newest state that the master knows.
    pub state: TaskState,
}

/// All tasks of the framework that are not ended and acknowledged, as the master has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The number of the newest change in it.
    pub change: u64,
    /// The tasks.
    pub tasks: BTreeMap<TaskId, ViewedTask>,
}

impl View {
    pub(super) fn of(change: u64, tasks: &[TaskReport]) -> Self {
        let tasks = tasks.iter().map(|report| (report.spec.task.clone(), ViewedTask::of(report)));
        Self { change, tasks: tasks.collect() }
    }
}

impl ViewedTask {
    fn of(report: &TaskReport) -> Self {
        Self { agent: report.agent.clone(), executor: report.executor.clone(), state: report.state }
    }
}

impl Driver {
    /// Tasks enter and leave by deltas, and change by updates; the scheduler is told by updates only, but for the return of a task
    /// that it was told is out of reach: a master that had not known that one has no news of it.
    pub(super) fn on_change(&mut self, turn: &mut Turn, change: Change) {
        self.view.change = change.number;
        match change.what {
            What::Task(report) if self.is_ours(&report.framework) => {
                self.executors.reported(&report);
                self.confirm(&report);
                self.view.tasks.insert(report.spec.task.clone(), ViewedTask::of(&report));
                self.kill_if_given_up(turn, &report);
                self.is_back_if_unreachable(turn, &report);
            }
            What::TaskStatus(status) if self.is_ours(&status.framework) => {
                if let Some(task) = self.view.tasks.get_mut(&status.task) {
                    task.state = status.state;
                }
            }
            What::TaskForgotten { framework, task, state: _ } if self.is_ours(&framework) => {
                self.view.tasks.remove(&task);
                self.doubt_forgotten(turn, &task);
            }
            What::Task(_) | What::TaskStatus(_) | What::TaskForgotten { .. } => (),
            What::Agent { .. } | What::AgentState { .. } | What::AgentBook { .. } => (),
            What::Framework { .. } | What::FrameworkState { .. } => (),
            What::OfferConstraints { .. } => (),
            What::OfferMade(_) | What::OfferEnded(_) | What::OfferLeased { .. } => (),
            What::AgentNews { .. } | What::AgentDomain { .. } => (),
            What::Quotas(_) | What::Weights(_) => (),
            What::ExecutorBooked { .. } | What::ExecutorUnbooked { .. } => (),
        }
    }

    fn is_ours(&self, framework: &FrameworkId) -> bool {
        self.framework.as_ref() == Some(framework)
    }
}
