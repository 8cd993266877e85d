//! Tasks by how they stand, and the executors that run them.

use ::api::v1;
use ::api::v1::master::response::{GetExecutors, GetTasks, get_executors};
use ::api::wire::{self, Parts};
use protocol::ids::{AgentId, ExecutorId, FrameworkId, TaskId};
use protocol::resources::Resources;
use protocol::task::{Run, TaskState};
use protocol::v1::resources_to_endpoint;

use super::super::{Framework, Task, View};

/// What leads a message of a list: its field and its length.
const KEY_MAX: usize = 6;

impl View {
    /// `GET_TASKS`.
    pub(crate) fn get_tasks(&self) -> GetTasks {
        let mut all = GetTasks::default();
        for task in self.frameworks.values().flat_map(|framework| framework.tasks.values()) {
            let list = if task.is_completed() {
                &mut all.completed_tasks
            } else if task.report.state == TaskState::Unreachable {
                &mut all.unreachable_tasks
            } else {
                &mut all.tasks
            };
            list.push(task.to_v1());
        }
        all
    }

    /// `GET_TASKS`, encoded: tasks are as they were for whoever asked before, unless they have changed.
    pub(crate) fn put_tasks(&self, into: &mut Parts) {
        let [tasks, completed, unreachable] =
            ["tasks", "completed_tasks", "unreachable_tasks"].map(|name| into.field(name));
        let all = || self.frameworks.values().flat_map(|framework| framework.tasks.values());
        into.reserve(all().map(|task| task.encoded().len() + KEY_MAX).sum());
        for task in all() {
            let list = if task.is_completed() {
                completed
            } else if task.report.state == TaskState::Unreachable {
                unreachable
            } else {
                tasks
            };
            into.put(list, task.encoded());
        }
    }

    /// `GET_EXECUTORS`.
    pub(crate) fn get_executors(&self) -> GetExecutors {
        let mut executors = Vec::new();
        for (id, framework) in self.frameworks.iter() {
            for ((agent, executor), (role, resources)) in framework.executors.iter() {
                let resources = resources.allocated_to(role);
                executors.push(get_executors::Executor {
                    executor_info: framework.executor_to_v1(id, agent, executor, &resources),
                    agent_id: agent.to_v1(),
                });
            }
        }
        GetExecutors { executors, ..Default::default() }
    }

    /// One task.
    pub(super) fn one_task(&self, framework: &FrameworkId, task: &TaskId) -> Option<v1::Task> {
        self.frameworks.get(framework)?.tasks.get(task).map(|task| task.to_v1())
    }
}

impl Task {
    /// It has ended, and its framework knows.
    pub(crate) fn is_completed(&self) -> bool {
        self.ended_by.is_some()
    }

    fn encoded(&self) -> &[u8] {
        self.encoded.or_made(|| wire::write(&self.to_v1()).into_boxed_slice())
    }

    /// Without what its executor wrote for its scheduler alone.
    pub(crate) fn to_v1(&self) -> v1::Task {
        let statuses = self.statuses.iter().filter_map(|status| status.to_v1().ok());
        let statuses = statuses.map(|status| v1::TaskStatus { data: None, ..status }).collect();
        let mut task = self.report.to_v1(statuses).unwrap_or_else(|_| v1::Task {
            name: self.report.spec.name.clone(),
            task_id: v1::TaskId { value: self.report.spec.task.to_string() },
            framework_id: self.report.framework.to_v1(),
            agent_id: self.report.agent.to_v1(),
            state: self.report.state.to_v1().into(),
            ..Default::default()
        });
        task.resources.iter_mut().for_each(::api::resources::to_endpoint);
        task
    }
}

impl Framework {
    /// As far as it is known: a task that names it says all of it.
    pub(crate) fn executor_to_v1(
        &self,
        framework: &FrameworkId,
        agent: &AgentId,
        executor: &ExecutorId,
        resources: &Resources,
    ) -> v1::ExecutorInfo {
        let task = self.described.get(&(agent.clone(), executor.clone()));
        let said = task.and_then(|task| match &task.run {
            Run::Command(_) => None,
            Run::Executor { executor, .. } => {
                executor.shown_to_v1(framework, Some(&task.carried)).ok()
            }
        });
        v1::ExecutorInfo {
            framework_id: Some(framework.to_v1()),
            resources: resources_to_endpoint(resources),
            executor_id: executor.to_v1(),
            ..said.unwrap_or_default()
        }
    }
}
