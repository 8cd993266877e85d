//! What has ended here and is still shown: the tasks of executors, the executors of frameworks, and frameworks. Of each the oldest go
//! first; a new life of the agent begins with none of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::framework::FrameworkInfo;
use protocol::ids::{ContainerId, FrameworkId};
use serde::{Deserialize, Serialize};

use super::books::{ExecutorSeen, TaskSeen};

/// Frameworks that are remembered.
const FRAMEWORKS_MAX: usize = 50;

/// Ended tasks of one executor that are remembered.
const TASKS_MAX: usize = 200;

/// Ended tasks that are remembered of all together.
const ALL_TASKS_MAX: usize = 20_000;

/// All of it. What is of frameworks that are here is kept beside them, and goes with them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Past {
    /// By framework; those that ended last are last.
    executors: BTreeMap<FrameworkId, VecDeque<Arc<ExecutorSeen>>>,
    /// By executor, whether it lives or not.
    tasks: BTreeMap<ContainerId, VecDeque<Arc<TaskSeen>>>,
    count: usize,
    /// Those of which nothing is here any more.
    gone: VecDeque<FrameworkInfo>,
}

impl Past {
    /// A task has ended and its framework knows; its executor lives, or is remembered.
    pub(super) fn task_ended(&mut self, container: &ContainerId, task: TaskSeen) {
        let of_executor = self.tasks.entry(container.clone()).or_default();
        of_executor.push_back(Arc::new(task));
        self.count += 1;
        if of_executor.len() > TASKS_MAX {
            of_executor.pop_front();
            self.count -= 1;
        }
        while self.count > ALL_TASKS_MAX && self.shrink() {}
    }

    /// Of each framework at most so many are remembered.
    pub(super) fn executor_ended(
        &mut self,
        framework: &FrameworkId,
        executor: ExecutorSeen,
        most: usize,
    ) {
        let of_framework = self.executors.entry(framework.clone()).or_default();
        of_framework.push_back(Arc::new(executor));
        while self.executors.get(framework).is_some_and(|all| all.len() > most) {
            self.drop_executor(framework);
        }
    }

    /// Nothing of it is here any more. One of which nothing has ended is not remembered.
    pub(super) fn framework_left(&mut self, framework: FrameworkInfo) {
        let id = framework.framework.clone();
        self.framework_came(&id);
        if self.executors.contains_key(&id) {
            self.gone.push_back(framework);
        }
        if self.gone.len() > FRAMEWORKS_MAX
            && let Some(oldest) = self.gone.pop_front()
        {
            while self.drop_executor(&oldest.framework) {}
        }
    }

    /// Something of it is here, again or for the first time.
    pub(super) fn framework_came(&mut self, framework: &FrameworkId) {
        self.gone.retain(|gone| gone.framework != *framework);
    }

    /// Whether it is an executor that is remembered.
    pub(super) fn has(&self, framework: &FrameworkId, container: &ContainerId) -> bool {
        self.executors_of(framework).any(|executor| executor.container == *container)
    }

    pub(super) fn executors_of(
        &self,
        framework: &FrameworkId,
    ) -> impl Iterator<Item = &Arc<ExecutorSeen>> {
        self.executors.get(framework).into_iter().flatten()
    }

    pub(super) fn tasks_of(&self, container: &ContainerId) -> impl Iterator<Item = &Arc<TaskSeen>> {
        self.tasks.get(container).into_iter().flatten()
    }

    pub(super) fn frameworks(&self) -> impl Iterator<Item = &FrameworkInfo> {
        self.gone.iter()
    }

    /// Its oldest one, with its tasks. Whether there was one.
    fn drop_executor(&mut self, framework: &FrameworkId) -> bool {
        let Some(of_framework) = self.executors.get_mut(framework) else { return false };
        let oldest = of_framework.pop_front();
        if of_framework.is_empty() {
            self.executors.remove(framework);
        }
        let tasks = oldest.as_ref().and_then(|oldest| self.tasks.remove(&oldest.container));
        self.count -= tasks.map_or(0, |tasks| tasks.len());
        oldest.is_some()
    }

    /// Whether there was anything to forget: executors of frameworks that left first, then of others, then the tasks of whichever has
    /// most.
    fn shrink(&mut self) -> bool {
        let gone = self.gone.front().map(|gone| gone.framework.clone());
        if let Some(gone) = gone {
            if !self.drop_executor(&gone) {
                self.gone.pop_front();
            }
            return true;
        }
        let first = self.executors.keys().next().cloned();
        if let Some(first) = first {
            return self.drop_executor(&first);
        }
        let most = self.tasks.values_mut().max_by_key(|tasks| tasks.len());
        let dropped = most.and_then(VecDeque::pop_front).is_some();
        self.count -= usize::from(dropped);
        dropped
    }
}

#[cfg(test)]
mod tests {
    use protocol::ids::{AgentId, ExecutorId, Role, TaskId};
    use protocol::resources::Resources;
    use protocol::task::{CommandSpec, ExecutorSpec, Run, TaskReport, TaskSpec, TaskState};

    use super::super::books::{Life, Stage};
    use super::*;

    fn task(id: usize) -> TaskSeen {
        let spec = TaskSpec {
            task: TaskId::new(id.to_string()),
            name: String::new(),
            resources: Resources::none(),
            run: Run::Command(CommandSpec::default()),
            kill_grace: None,
            carried: Default::default(),
        };
        TaskSeen {
            report: TaskReport {
                framework: FrameworkId::new("f"),
                executor: ExecutorId::of_command(&spec.task),
                spec: Arc::new(spec),
                agent: AgentId::new("a"),
                state: TaskState::Finished,
                unacknowledged: None,
                role: Role::everybody(),
            },
            statuses: Vec::new(),
            stage: Stage::Completed,
        }
    }

    fn executor(container: &str) -> ExecutorSeen {
        ExecutorSeen {
            container: ContainerId::new(container),
            spec: ExecutorSpec {
                executor: ExecutorId::new(container),
                name: String::new(),
                command: CommandSpec::default(),
                resources: Resources::none(),
                shutdown_grace: None,
            },
            role: Role::everybody(),
            is_for_command: true,
            life: Life::Ended,
            tasks: Vec::new(),
        }
    }

    fn framework(id: impl ToString) -> FrameworkInfo {
        FrameworkInfo::plain(FrameworkId::new(id.to_string()))
    }

    fn names(tasks: &Past, container: &str) -> Vec<String> {
        let container = ContainerId::new(container);
        tasks.tasks_of(&container).map(|task| task.report.spec.task.to_string()).collect()
    }

    #[test]
    fn agent_24_the_last_200_tasks_of_an_executor_are_remembered() {
        let mut past = Past::default();
        (0..TASKS_MAX + 3).for_each(|id| past.task_ended(&ContainerId::new("c"), task(id)));
        let names = names(&past, "c");
        assert_eq!((names.len(), names[0].as_str()), (TASKS_MAX, "3"));
        assert_eq!(past.count, TASKS_MAX);
    }

    #[test]
    fn agent_24_the_last_150_executors_of_a_framework_are_remembered_with_their_tasks() {
        let mut past = Past::default();
        let f = FrameworkId::new("f");
        for n in 0..152 {
            let container = format!("c{n}");
            past.task_ended(&ContainerId::new(&container), task(n));
            past.executor_ended(&f, executor(&container), 150);
        }
        let left: Vec<_> = past.executors_of(&f).map(|one| one.container.to_string()).collect();
        assert_eq!((left.len(), left[0].as_str()), (150, "c2"));
        assert!(names(&past, "c1").is_empty(), "its tasks go with it");
        assert_eq!((names(&past, "c2"), past.count), (vec!["2".to_owned()], 150));
    }

    #[test]
    fn agent_24_the_last_50_frameworks_are_remembered_and_who_comes_back_is_none_of_them() {
        let mut past = Past::default();
        for n in 0..FRAMEWORKS_MAX + 2 {
            let info = framework(n);
            past.executor_ended(&info.framework, executor(&format!("c{n}")), 150);
            past.framework_left(info);
        }
        past.framework_left(framework("had nothing"));
        let ids = |past: &Past| -> Vec<_> {
            past.frameworks().map(|info| info.framework.to_string()).collect()
        };
        assert_eq!((ids(&past).len(), ids(&past)[0].as_str()), (FRAMEWORKS_MAX, "2"));
        assert_eq!(past.executors_of(&FrameworkId::new("1")).count(), 0);
        past.framework_came(&FrameworkId::new("2"));
        assert_eq!(ids(&past)[0], "3");
        assert_eq!(past.executors_of(&FrameworkId::new("2")).count(), 1, "what it had is kept");
    }

    #[test]
    fn what_is_remembered_of_all_together_has_a_bound() {
        let mut past = Past::default();
        let gone = framework("gone");
        past.task_ended(&ContainerId::new("old"), task(0));
        past.executor_ended(&gone.framework, executor("old"), 150);
        past.framework_left(gone);
        for n in 0..ALL_TASKS_MAX {
            past.task_ended(&ContainerId::new(format!("c{}", n / TASKS_MAX)), task(n));
        }
        assert_eq!(past.count, ALL_TASKS_MAX);
        assert!(names(&past, "old").is_empty(), "who is gone is forgotten first");
        past.task_ended(&ContainerId::new("new"), task(0));
        assert_eq!(past.count, ALL_TASKS_MAX);
        assert_eq!(names(&past, "new"), ["0"]);
    }
}
