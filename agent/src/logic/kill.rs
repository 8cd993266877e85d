//! Ending tasks, executors and frameworks when the master says so, and answering what it asks about them.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::executor::AgentToExecutor;
use protocol::ids::{ContainerId, ExecutorId, FrameworkId, Role, TaskId};
use protocol::task::{Reason, TaskState};

use super::checkpoint::Record;
use super::config::Bug;
use super::notice::Notice;
use super::state::{Ending, Task};
use super::updates::News;
use super::{Agent, Effect, Turn};

impl Agent {
    pub(super) fn on_kill(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        task: &TaskId,
        grace: Option<Duration>,
    ) {
        let kill_grace = self.config.kill_grace;
        let Some(entry) = self.state.task_mut(framework, task) else {
            self.say_unknown(turn, framework, task);
            return;
        };
        if entry.state.is_end() {
            return;
        }
        let own = entry.spec.as_ref().and_then(|spec| spec.kill_grace);
        let grace = grace.or(own).unwrap_or(kill_grace);
        // Whoever asks next does not lengthen it.
        let grace = entry.kill.map_or(grace, |before| before.min(grace));
        let (told, container) = (entry.told, entry.container.clone());
        if !told && self.config.has(Bug::KillForgottenDuringLaunch) {
            return;
        }
        let repeat = entry.kill.replace(grace) == Some(grace);
        let Some(container) = container else {
            return;
        };
        // The master repeats itself until it hears of the end; to the executor the agent does that.
        if told && repeat {
            return;
        }
        if told {
            let pid = self.state.executors.get(&container).and_then(|executor| executor.pid);
            if let Some(pid) = pid {
                turn.tell_executor(pid, AgentToExecutor::Kill { task: task.clone(), grace });
                self.watch_executor(turn, &container);
            }
            return;
        }
        self.report_never_told(turn, framework, task);
        self.end_if_unused(turn, &container);
    }

    /// A killed task of which its executor has not heard: it will not.
    pub(super) fn report_never_told(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        task: &TaskId,
    ) {
        let words = "killed before its executor was told of it".to_owned();
        let news = News::new(TaskState::Killed, Reason::TaskKilledDuringLaunch, words);
        self.report(turn, framework, task, news);
    }

    /// An executor that was started for tasks which are all over before it had any is not wanted.
    pub(super) fn end_if_unused(&mut self, turn: &mut Turn, container: &ContainerId) {
        let unused = self.state.executors.get(container).is_some_and(|executor| {
            executor.tasks.is_empty() && (executor.pid.is_none() || executor.is_for_command())
        });
        if unused {
            self.end_executor(turn, container, Ending::Idle);
        }
    }

    pub(super) fn on_shutdown_executor(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) {
        let key = (framework.clone(), executor.clone());
        if let Some(container) = self.state.open.get(&key).cloned() {
            self.end_executor(turn, &container, Ending::Told);
        }
    }

    /// What a removed framework holds is the master's to give again from now on; its executors are killed meanwhile.
    pub(super) fn on_shutdown_framework(&mut self, turn: &mut Turn, framework: &FrameworkId) {
        let Some(entry) = self.state.frameworks.get_mut(framework) else {
            return;
        };
        if entry.removed {
            return;
        }
        entry.removed = true;
        turn.push(Effect::Write(Record::FrameworkRemoved(framework.clone())));
        // Ended tasks wait for acknowledgements that will not come.
        let mut freed = Vec::new();
        let all = std::mem::take(&mut entry.tasks).into_iter();
        let (ended, live): (BTreeMap<_, _>, _) = all.partition(|(_, task)| task.state.is_end());
        entry.tasks = live;
        for task in entry.tasks.values_mut() {
            task.updates.clear();
            freed.extend(task.spec.as_ref().map(|spec| spec.resources.clone()));
        }
        ended.values().for_each(|task| self.remember_task(framework, task));
        let mut containers = Vec::new();
        for (container, executor) in &self.state.executors {
            if executor.framework == *framework {
                freed.extend(executor.holds.then(|| executor.spec.resources.clone()));
                containers.push(container.clone());
            }
        }
        for resources in freed {
            self.state.release(&resources);
        }
        for container in containers {
            self.end_executor(turn, &container, Ending::FrameworkRemoved);
        }
        self.state.forget_if_empty(framework);
        self.leave_if_done(turn);
    }

    pub(super) fn shut_all_down(&mut self, turn: &mut Turn) {
        let containers: Vec<ContainerId> = self.state.executors.keys().cloned().collect();
        for container in containers {
            self.end_executor(turn, &container, Ending::AgentLeaves);
        }
    }

    pub(super) fn on_reconcile(&mut self, turn: &mut Turn, tasks: Vec<(FrameworkId, TaskId)>) {
        for (framework, task) in tasks {
            if self.state.task(&framework, &task).is_none() {
                self.say_unknown(turn, &framework, &task);
            }
        }
    }

    /// Said until acknowledged, like all news, but only for as long as this registration lasts: the next one reconciles
    /// anew.
    fn say_unknown(&mut self, turn: &mut Turn, framework: &FrameworkId, task: &TaskId) {
        if self.state.is_removed(framework) || self.state.task_count() >= self.config.tasks_max {
            return;
        }
        let entry = self.state.frameworks.entry(framework.clone());
        let entry = entry.or_insert_with(|| super::updates::unknown_framework(framework));
        let executor = ExecutorId::of_command(task);
        entry.tasks.insert(task.clone(), Task::new(None, Role::everybody(), executor));
        let words = "the agent does not know this task".to_owned();
        self.report(
            turn,
            framework,
            task,
            News::new(TaskState::Dropped, Reason::AgentUnknown, words),
        );
    }

    /// The master that asked is gone, and the next one asks itself.
    pub(super) fn drop_unknown_tasks(&mut self) {
        let unknown: Vec<(FrameworkId, TaskId)> = self
            .state
            .tasks()
            .filter(|(_, _, task)| task.spec.is_none())
            .map(|(framework, task, _)| (framework.clone(), task.clone()))
            .collect();
        for (framework, task) in unknown {
            if let Some(entry) = self.state.frameworks.get_mut(&framework) {
                entry.tasks.remove(&task);
            }
            self.state.forget_if_empty(&framework);
        }
    }

    pub(super) fn on_message_to_executor(
        &mut self,
        turn: &mut Turn,
        framework: FrameworkId,
        executor: ExecutorId,
        data: Vec<u8>,
    ) {
        let key = (framework, executor);
        let open = self.state.open.get(&key).and_then(|id| self.state.executors.get(id));
        let words = match open.map(|executor| executor.pid) {
            _ if data.len() > self.config.data_bytes_max => {
                format!("its {} bytes are too many", data.len())
            }
            None => "no such executor runs here".to_owned(),
            Some(None) => "it has not registered yet".to_owned(),
            Some(Some(pid)) => {
                turn.tell_executor(pid, AgentToExecutor::FromScheduler(data));
                return;
            }
        };
        let (framework, executor) = key;
        turn.note(Notice::MessageDropped { framework, executor, words });
    }
}
