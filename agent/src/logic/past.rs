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

/// What is remembered of executors and tasks may have about so many bytes: a few words each, and room for some that are longer.
const BYTES_MAX: usize = 64 << 20;

/// Bytes of one of them, or of a status, beside its longer words.
const OF_THE_REST: usize = 512;

/// All of it. What is of frameworks that are here is kept beside them, and goes with them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Past {
    /// By framework; those that ended last are last.
    executors: BTreeMap<FrameworkId, VecDeque<Ended<ExecutorSeen>>>,
    /// By executor, whether it lives or not.
    tasks: BTreeMap<ContainerId, VecDeque<Ended<TaskSeen>>>,
    /// Of the tasks.
    count: usize,
    /// Of all of it, but for frameworks.
    bytes: usize,
    /// All that ever ended.
    ended: u64,
    /// Those of which nothing is here any more.
    gone: VecDeque<FrameworkInfo>,
}

/// An executor or a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ended<T> {
    seen: Arc<T>,
    bytes: usize,
    /// How many had ended when it did.
    number: u64,
}

impl Past {
    /// A task has ended and its framework knows; its executor lives, or is remembered.
    pub(super) fn task_ended(&mut self, container: &ContainerId, mut task: TaskSeen) {
        task.report.spec = task.report.spec.without_data();
        let statuses = task.statuses.iter().map(|status| OF_THE_REST + status.long_bytes());
        let bytes = OF_THE_REST + task.report.spec.long_bytes() + statuses.sum::<usize>();
        let ended = self.ended(task, bytes);
        let of_executor = self.tasks.entry(container.clone()).or_default();
        of_executor.push_back(ended);
        self.count += 1;
        if of_executor.len() > TASKS_MAX {
            self.drop_task(container);
        }
        self.keep_within_bounds();
    }

    /// Of each framework at most so many are remembered.
    pub(super) fn executor_ended(
        &mut self,
        framework: &FrameworkId,
        executor: ExecutorSeen,
        most: usize,
    ) {
        let bytes = OF_THE_REST + executor.spec.command.long_bytes();
        let ended = self.ended(executor, bytes);
        let of_framework = self.executors.entry(framework.clone()).or_default();
        of_framework.push_back(ended);
        while self.executors.get(framework).is_some_and(|all| all.len() > most) {
            self.drop_executor(framework);
        }
        self.keep_within_bounds();
    }

    /// Nothing of it is here any more. One of which nothing has ended is not remembered, and of one that had left before only a question
    /// came: it stays as it was.
    pub(super) fn framework_left(&mut self, framework: FrameworkInfo) {
        let id = &framework.framework;
        if !self.has_left(id) && self.executors.contains_key(id) {
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

    /// Whether it is a framework of which only this is left.
    pub(super) fn has_left(&self, framework: &FrameworkId) -> bool {
        self.gone.iter().any(|gone| gone.framework == *framework)
    }

    /// Whether it is an executor that is remembered.
    pub(super) fn has(&self, framework: &FrameworkId, container: &ContainerId) -> bool {
        self.executors_of(framework).any(|executor| executor.container == *container)
    }

    pub(super) fn executors_of(
        &self,
        framework: &FrameworkId,
    ) -> impl Iterator<Item = &Arc<ExecutorSeen>> {
        self.executors.get(framework).into_iter().flatten().map(|ended| &ended.seen)
    }

    pub(super) fn tasks_of(&self, container: &ContainerId) -> impl Iterator<Item = &Arc<TaskSeen>> {
        self.tasks.get(container).into_iter().flatten().map(|ended| &ended.seen)
    }

    pub(super) fn frameworks(&self) -> impl Iterator<Item = &FrameworkInfo> {
        self.gone.iter()
    }

    fn ended<T>(&mut self, seen: T, bytes: usize) -> Ended<T> {
        self.ended += 1;
        self.bytes += bytes;
        Ended { seen: Arc::new(seen), bytes, number: self.ended }
    }

    /// Its oldest one, with its tasks. Whether there was one.
    fn drop_executor(&mut self, framework: &FrameworkId) -> bool {
        let Some(of_framework) = self.executors.get_mut(framework) else { return false };
        let oldest = of_framework.pop_front();
        if of_framework.is_empty() {
            self.executors.remove(framework);
        }
        let Some(oldest) = oldest else { return false };
        self.bytes -= oldest.bytes;
        while self.drop_task(&oldest.seen.container) {}
        true
    }

    /// Its oldest one. Whether there was one.
    fn drop_task(&mut self, container: &ContainerId) -> bool {
        let Some(of_executor) = self.tasks.get_mut(container) else { return false };
        let oldest = of_executor.pop_front();
        if of_executor.is_empty() {
            self.tasks.remove(container);
        }
        let Some(oldest) = oldest else { return false };
        self.count -= 1;
        self.bytes -= oldest.bytes;
        true
    }

    fn keep_within_bounds(&mut self) {
        while (self.count > ALL_TASKS_MAX || self.bytes > BYTES_MAX) && self.shrink() {}
    }

    /// Whether there was anything to forget: executors of frameworks that left first, then whichever executor of the others ended first,
    /// then whichever task did.
    fn shrink(&mut self) -> bool {
        let gone = self.gone.front().map(|gone| gone.framework.clone());
        if let Some(gone) = gone {
            if !self.drop_executor(&gone) {
                self.gone.pop_front();
            }
            return true;
        }
        if let Some(framework) = oldest(&self.executors) {
            return self.drop_executor(&framework);
        }
        oldest(&self.tasks).is_some_and(|container| self.drop_task(&container))
    }
}

/// Whose ended first of all.
fn oldest<Id: Clone, T>(all: &BTreeMap<Id, VecDeque<Ended<T>>>) -> Option<Id> {
    let first = all.iter().filter_map(|(id, ended)| Some((ended.front()?.number, id)));
    first.min_by_key(|(number, _)| *number).map(|(_, id)| id.clone())
}

#[cfg(test)]
mod tests {
    use api::v1;
    use protocol::carried::Carried;
    use protocol::ids::{AgentId, ExecutorId, Role, TaskId};
    use protocol::resources::Resources;
    use protocol::task::{
        CommandSpec, ExecutorSpec, Run, Source, TaskReport, TaskSpec, TaskState, TaskStatus,
    };

    use super::super::books::{Life, Stage};
    use super::*;

    fn task(id: usize) -> TaskSeen {
        let spec = TaskSpec {
            task: TaskId::new(id.to_string()),
            name: String::new(),
            resources: Resources::none(),
            run: Run::Command(CommandSpec::default()),
            kill_grace: None,
            carried: Carried::default(),
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
    fn what_is_for_executors_and_schedulers_is_not_remembered() {
        let info = v1::TaskInfo {
            data: Some(vec![1; 1000]),
            labels: Some(v1::Labels::default()),
            ..Default::default()
        };
        let mut ended = task(0);
        let run = Run::Executor { executor: executor("c").spec, data: vec![1; 1000] };
        let spec = TaskSpec { run, carried: Carried::new(&info), ..(*ended.report.spec).clone() };
        ended.report.spec = Arc::new(spec);
        let mut past = Past::default();
        past.task_ended(&ContainerId::new("c"), ended);
        let seen = past.tasks_of(&ContainerId::new("c")).next().unwrap();
        let Run::Executor { data, .. } = &seen.report.spec.run else { panic!("it had one") };
        assert!(data.is_empty());
        let came = seen.report.spec.carried.decode().unwrap();
        assert_eq!(came, v1::TaskInfo { data: None, ..info }, "the rest is shown");
        assert!(past.bytes < 1000);
    }

    #[test]
    fn what_is_remembered_has_a_bound_in_bytes() {
        let mut past = Past::default();
        let c = ContainerId::new("c");
        for n in 0..TASKS_MAX {
            let mut long = task(n);
            let message = "x".repeat(BYTES_MAX / 100);
            let (framework, id) = (FrameworkId::new("f"), long.report.spec.task.clone());
            let plain = TaskStatus::plain(framework, id, TaskState::Finished, Source::Executor);
            long.statuses.push(Arc::new(TaskStatus { message, ..plain }));
            past.task_ended(&c, long);
            assert!(past.bytes <= BYTES_MAX);
        }
        let names = names(&past, "c");
        assert_eq!((names.len(), past.count), (99, 99));
        assert_eq!(names[0], (TASKS_MAX - 99).to_string(), "the newest are kept");
        let f = FrameworkId::new("f");
        past.executor_ended(&f, executor("c"), 150);
        past.executor_ended(&f, executor("d"), 1);
        let left = OF_THE_REST + executor("d").spec.command.long_bytes();
        assert_eq!((past.count, past.bytes), (0, left), "what is dropped does not count");
    }

    #[test]
    fn of_what_is_remembered_that_goes_first_which_ended_first() {
        let mut past = Past::default();
        let ids = [FrameworkId::new("a"), FrameworkId::new("b")];
        let ends = |past: &mut Past, framework: usize, container: &str| {
            past.executor_ended(&ids[framework], executor(container), 150);
            past.task_ended(&ContainerId::new(container), task(0));
        };
        for (framework, container) in [(1, "1"), (0, "2"), (1, "3")] {
            ends(&mut past, framework, container);
        }
        // Of executors that live.
        for container in ["z", "y"] {
            past.task_ended(&ContainerId::new(container), task(0));
        }
        let mut left = Vec::new();
        while past.shrink() {
            let of = |container: &&str| past.tasks_of(&ContainerId::new(*container)).count() == 1;
            left.push(["1", "2", "3", "z", "y"].into_iter().filter(of).collect::<String>());
        }
        assert_eq!(left, ["23zy", "3zy", "zy", "y", ""]);
        assert_eq!((past.count, past.bytes), (0, 0));
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
