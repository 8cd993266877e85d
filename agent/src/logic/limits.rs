//! What containers may take, and what becomes of those that took more. What each may take is what its executor and its tasks hold;
//! who enforces it is in [`crate::actors`].

use api::v1;
use containerizer::isolator::{Allowance, Limitation};
use protocol::carried::Carried;
use protocol::ids::ContainerId;
use protocol::limits::TaskLimits;
use protocol::task::{Source, TaskState, TaskStatus};

use super::state::{Ending, Executor, Phase};
use super::updates::News;
use super::{Agent, Effect, Program, Signal, Turn};

fn carried(limitation: &Limitation) -> Carried<v1::TaskStatus> {
    let limitation = v1::TaskResourceLimitation { resources: limitation.resources.to_v1() };
    Carried::new(&v1::TaskStatus { limitation: Some(limitation), ..Default::default() })
}

/// What a limit means for a task that was still in the container.
pub(super) fn news(limitation: &Limitation) -> News {
    let words = limitation.words.clone();
    News::new(TaskState::Failed, limitation.reason, words).carrying(carried(limitation))
}

/// A task that ended because of a limit: the kernel ended a process of it, and its executor does not know why.
pub(super) fn explain(limitation: &Limitation, status: TaskStatus) -> TaskStatus {
    match status.state {
        TaskState::Failed | TaskState::Killed => TaskStatus {
            state: TaskState::Failed,
            source: Source::Agent,
            reason: Some(limitation.reason),
            message: limitation.words.clone(),
            carried: carried(limitation),
            ..status
        },
        TaskState::Staging | TaskState::Starting | TaskState::Running => status,
        TaskState::Killing | TaskState::Finished | TaskState::Error => status,
        TaskState::Lost | TaskState::Dropped | TaskState::Unreachable => status,
        TaskState::Gone | TaskState::GoneByOperator | TaskState::Unknown => status,
    }
}

impl Executor {
    /// Whether it is, or is about to be, a container that something can be given to.
    fn is_there(&self) -> bool {
        match self.phase {
            Phase::Starting | Phase::Running(_) => true,
            Phase::Looking(_) | Phase::Recording => false,
        }
    }
}

impl Agent {
    /// What the container of an executor and its tasks may take.
    pub fn allowance(&self, container: &ContainerId) -> Option<Allowance> {
        self.state.executors.get(container).map(|executor| self.allowed(executor))
    }

    pub(super) fn allowed(&self, executor: &Executor) -> Allowance {
        let tasks = executor.tasks.iter().filter_map(|task| {
            let entry = self.state.task(&executor.framework, task)?;
            entry.spec.as_deref()
        });
        let own = &executor.spec.resources;
        Allowance {
            holds: tasks.clone().fold(own.clone(), |all, one| all.plus(&one.resources)),
            limits: TaskLimits::together(own, tasks),
        }
    }

    /// A task came or left: its container may take something else from now on.
    pub(super) fn give_container(&mut self, turn: &mut Turn, container: &ContainerId) {
        let Some(executor) = self.state.executors.get(container) else { return };
        // What was made for a task that has ended is about to end.
        let is_over = executor.tasks.is_empty() && executor.program == Program::CommandExecutor;
        if executor.is_there() && executor.ending.is_none() && !is_over {
            let allowance = self.allowed(executor);
            turn.push(Effect::GiveContainer { container: container.clone(), allowance });
        }
    }

    pub(super) fn on_container_not_given(
        &mut self,
        turn: &mut Turn,
        container: &ContainerId,
        words: String,
    ) {
        self.kill_container(turn, container, Ending::NotGiven(words));
    }

    /// The kernel has ended something in it, or would have to: all of it ends.
    pub(super) fn on_container_limited(
        &mut self,
        turn: &mut Turn,
        container: &ContainerId,
        limitation: Limitation,
    ) {
        self.kill_container(turn, container, Ending::Limited(Box::new(limitation)));
    }

    fn kill_container(&mut self, turn: &mut Turn, container: &ContainerId, ending: Ending) {
        self.close(container);
        let Some(executor) = self.state.executors.get_mut(container) else { return };
        // Whatever else it is to end for, this is how it ends.
        if let Some(Ending::Limited(_)) = executor.ending {
            return;
        }
        executor.ending = Some(ending);
        executor.signal(turn, container, Signal::Kill);
    }
}
