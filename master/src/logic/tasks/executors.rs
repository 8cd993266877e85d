//! Executors of frameworks' own: whether one is there, and when what it holds is free again.

use protocol::framework::MasterToFramework;
use protocol::ids::{AgentId, ExecutorId, FrameworkId};
use protocol::task::{Exit, Reason, TaskState};

use super::Task;
use crate::logic::{Master, Turn};

impl Master {
    /// A booked executor lives.
    pub(in crate::logic) fn executor_heard(
        &mut self,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) {
        let Some(entry) = self.agents.get_mut(agent) else { return };
        if entry.book.executors.is_empty() {
            return;
        }
        if let Some(booked) = entry.book.executors.get_mut(&(framework.clone(), executor.clone())) {
            booked.heard = true;
        }
    }

    /// A task was killed before its executor had it. With its last task such an executor ends, and holds what it holds until
    /// it has.
    pub(in crate::logic) fn executor_unused(
        &mut self,
        turn: &Turn,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) {
        if self.has_tasks(agent, framework, executor) {
            return;
        }
        let key = (framework.clone(), executor.clone());
        let entry = self.agents.get_mut(agent);
        if let Some(booked) = entry.and_then(|agent| agent.book.executors.get_mut(&key)) {
            booked.ending = Some(turn.now.steady);
        }
    }

    /// What an executor held is free again, once its tasks are known to have ended; a removed framework's tasks end with
    /// their executor.
    pub(in crate::logic) fn on_executor_ended(
        &mut self,
        turn: &mut Turn,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
        exit: Option<Exit>,
    ) {
        if self.frameworks.get(framework).is_some_and(|known| known.is_removed()) {
            let (state, reason) = (TaskState::Killed, Reason::FrameworkRemoved);
            for task in self.tasks_in(agent, framework, executor) {
                let message = "its framework was removed".to_owned();
                self.end_task(turn, framework, &task, state, reason, message);
            }
        }
        let key = (framework.clone(), executor.clone());
        // Of the executor of a command task its framework hears as news of the task.
        if self.agents.get(agent).is_some_and(|agent| agent.book.executors.contains_key(&key)) {
            self.on_own_executor_ended(turn, agent, framework, executor);
            if let Some(pid) = self.scheduler(framework) {
                let (agent, executor) = (agent.clone(), executor.clone());
                let ended = MasterToFramework::ExecutorEnded { agent, executor, exit };
                turn.tell_framework(pid, ended);
            }
        }
        self.forget_removed(framework);
    }

    /// News of a task that has only been launched would have come before this: its launch is on its way, and starts
    /// another life. Other tasks have ended with it, and the news is on its way.
    fn on_own_executor_ended(
        &mut self,
        turn: &mut Turn,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) {
        let tasks = self.tasks_in(agent, framework, executor);
        let tasks = || tasks.iter().filter_map(|id| self.task(framework, id));
        let staged = tasks().any(Task::is_staging);
        if !tasks().any(|task| !task.state.is_end()) {
            return self.unbook_executor(turn, agent, framework, executor);
        }
        let key = (framework.clone(), executor.clone());
        let entry = self.agents.get_mut(agent);
        if let Some(booked) = entry.and_then(|agent| agent.book.executors.get_mut(&key)) {
            booked.ending = None;
            booked.ended = !staged;
            booked.heard &= !staged;
        }
    }
}
