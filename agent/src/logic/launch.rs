//! Taking a task: checked, given an executor, told to it once that is registered.

use protocol::executor::{AgentToExecutor, Token};
use protocol::framework::FrameworkInfo;
use protocol::ids::{ContainerId, Role};
use protocol::task::{ExecutorSpec, Reason, Run, TaskSpec, TaskState};

use super::checkpoint::{ExecutorLaunch, Record, TaskTaken};
use super::notice::Notice;
use super::state::{Executor, Framework, Phase, Task};
use super::updates::News;
use super::validate::{Refusal, check_room, check_words, executor_of, wanted_of};
use super::{Agent, Effect, Program, Turn};
use std::collections::BTreeMap;
use std::sync::Arc;

/// In which life of its executor a task is to run, as the master says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RunIn {
    /// In the one that runs, else in another that is started for it. The books of both agree either way.
    AnyLife,
    /// The scheduler has heard of one that runs: what it meant for that is not given to another.
    TheLifeThatRuns,
}

impl Agent {
    /// A task that is here already is a repeat: its updates say how it is. If it has ended, its end is acknowledged and the
    /// word of that was lost: the master gives an id out again only then.
    pub(super) fn on_launch(
        &mut self,
        turn: &mut Turn,
        framework: FrameworkInfo,
        task: TaskSpec,
        role: Role,
        run_in: RunIn,
    ) {
        let id = framework.framework.clone();
        match self.state.task(&id, &task.task).map(|known| known.state.is_end()) {
            Some(false) => return,
            Some(true) => self.forget(turn, &id, &task.task),
            None => (),
        }
        // Refused tasks are kept until their end is acknowledged, so they are bounded as well.
        let tasks = self.state.task_count();
        if tasks >= self.config.tasks_max.saturating_mul(2) {
            let words = format!("{tasks} tasks wait for acknowledgement");
            turn.note(Notice::TaskRefused { framework: id, task: task.task, words });
            return;
        }
        let executor = executor_of(&task);
        let verdict = self.check(&framework, &task, &executor, run_in);
        let removed = self.state.is_removed(&id);
        self.state.past.framework_came(&id);
        let entry = self.state.frameworks.entry(id.clone()).or_insert_with(|| Framework {
            info: framework.clone(),
            removed: false,
            tasks: BTreeMap::new(),
        });
        if !removed {
            entry.info = framework;
        }
        let name = task.task.clone();
        entry
            .tasks
            .insert(name.clone(), Task::new(Some(Arc::new(task)), role, executor.executor.clone()));
        match verdict {
            Ok(()) => self.give_to_executor(turn, &id, &name, executor),
            Err(refusal) => {
                let (state, reason) = refusal.verdict();
                let words = refusal.to_string();
                let notice = Notice::TaskRefused {
                    framework: id.clone(),
                    task: name.clone(),
                    words: words.clone(),
                };
                turn.note(notice);
                self.report(turn, &id, &name, News::new(state, reason, words));
            }
        }
    }

    /// A framework of which something is here says other things of itself by now: what it runs from now on goes by that, and so does
    /// what a later life knows.
    pub(super) fn on_framework_updated(&mut self, turn: &mut Turn, framework: FrameworkInfo) {
        if let Some(entry) = self.state.frameworks.get_mut(&framework.framework)
            && !entry.removed
            && entry.info != framework
        {
            entry.info = framework.clone();
            turn.push(Effect::Write(Record::FrameworkUpdated(Box::new(framework))));
        }
    }

    fn check(
        &self,
        framework: &FrameworkInfo,
        task: &TaskSpec,
        executor: &ExecutorSpec,
        run_in: RunIn,
    ) -> Result<(), Refusal> {
        if self.membership.is_leaving() {
            return Err(Refusal::AgentLeaves);
        }
        if self.state.is_removed(&framework.framework) {
            return Err(Refusal::FrameworkRemoved);
        }
        check_words(task, &self.config)?;
        let key = (framework.framework.clone(), executor.executor.clone());
        let runs = self
            .state
            .open
            .get(&key)
            .and_then(|container| self.state.executors.get(container))
            .map(|running| (&running.spec, running.is_for_command()));
        if runs.is_none() && run_in == RunIn::TheLifeThatRuns {
            return Err(Refusal::ExecutorEnded(executor.executor.clone()));
        }
        // A task that runs outside of the container it asks for is worse than one that does not run.
        let is_elsewhere = self.state.open.get(&key).is_some_and(|container| {
            let running = &self.state.executors[container];
            let has = self.wanted(running).ok().map(|(wanted, _)| wanted);
            !running.tasks.is_empty() && has != wanted_of(task).ok()
        });
        if is_elsewhere {
            return Err(Refusal::ExecutorDiffers(executor.executor.clone()));
        }
        let takes_over = self.state.to_take_over(&framework.framework, executor).is_some();
        check_room(task, executor, runs, takes_over, &self.state, &self.config)
    }

    /// Reuses an executor that takes tasks, or has one started.
    fn give_to_executor(
        &mut self,
        turn: &mut Turn,
        framework: &protocol::ids::FrameworkId,
        task: &protocol::ids::TaskId,
        spec: ExecutorSpec,
    ) {
        let key = (framework.clone(), spec.executor.clone());
        let container = match self.state.open.get(&key) {
            Some(container) => {
                let container = container.clone();
                self.expect_back(turn, &container);
                container
            }
            None => {
                let container = ContainerId::new(self.chance.token());
                let executor = self.new_executor(framework, task, spec);
                match self.state.to_take_over(framework, &executor.spec).cloned() {
                    Some(old) => {
                        let old = self.state.executors.get_mut(&old).expect("it was just found");
                        old.holds = false;
                    }
                    None => self.state.hold(&executor.spec.resources),
                }
                let launch = Box::new(self.launch_of(&executor));
                self.state.executors.insert(container.clone(), executor);
                self.state.open.insert(key, container.clone());
                let container_id = container.clone();
                turn.push(Effect::Write(Record::ExecutorLaunching {
                    container: container_id,
                    launch,
                }));
                container
            }
        };
        let entry = self.state.task_mut(framework, task).expect("it was just taken");
        entry.container = Some(container.clone());
        let resources = entry.spec.as_ref().expect("it has just come").resources.clone();
        self.state.hold(&resources);
        let executor = self.state.executors.get_mut(&container).expect("found or made above");
        executor.tasks.push(task.clone());
        let heard = executor.heard.remove(task);
        let info = self.state.frameworks[framework].info.clone();
        let entry = self.state.task_mut(framework, task).expect("it was just taken");
        entry.heard = heard;
        let taken = TaskTaken {
            container,
            framework: info,
            spec: entry.spec.clone().expect("it has just come"),
            role: entry.role.clone(),
            executor: entry.executor.clone(),
            state: entry.state,
            heard,
        };
        let container = taken.container.clone();
        turn.push(Effect::Write(Record::TaskTaken(Box::new(taken))));
        self.give_container(turn, &container);
    }

    /// A later life of the agent knows the task: now its executor may be told of it.
    pub(super) fn on_task_noted(&mut self, turn: &mut Turn, taken: &TaskTaken) {
        let framework = &taken.framework.framework;
        if let Some(entry) = self.state.task_mut(framework, &taken.spec.task)
            && entry.container.as_ref() == Some(&taken.container)
        {
            entry.noted = true;
            self.tell_launches(turn, &taken.container);
        }
    }

    /// What a later life would not know is not begun.
    pub(super) fn on_task_not_noted(&mut self, turn: &mut Turn, taken: &TaskTaken, words: &str) {
        let (framework, task) = (&taken.framework.framework, &taken.spec.task);
        let waits = self.state.task(framework, task).is_some_and(|entry| {
            entry.container.as_ref() == Some(&taken.container) && !entry.state.is_end()
        });
        if waits {
            let words = format!("the agent could not note the task in its checkpoint: {words}");
            let news = News::new(TaskState::Failed, Reason::ContainerLaunchFailed, words);
            self.report(turn, framework, task, news);
            self.end_if_unused(turn, &taken.container);
        }
    }

    fn launch_of(&self, executor: &Executor) -> ExecutorLaunch {
        ExecutorLaunch {
            framework: self.state.frameworks[&executor.framework].info.clone(),
            spec: executor.spec.clone(),
            role: executor.role.clone(),
            program: executor.program.clone(),
            user: executor.user.clone(),
            token: executor.token.clone(),
        }
    }

    fn new_executor(
        &mut self,
        framework: &protocol::ids::FrameworkId,
        task: &protocol::ids::TaskId,
        spec: ExecutorSpec,
    ) -> Executor {
        let entry = &self.state.frameworks[framework];
        let task = &entry.tasks[task];
        let (program, user) = match &task.spec.as_ref().expect("it has just come").run {
            Run::Command(command) => (Program::CommandExecutor, command.user.clone()),
            Run::Executor { executor, .. } => {
                (Program::Custom(executor.command.clone()), executor.command.user.clone())
            }
        };
        let user = user.or_else(|| Some(entry.info.user.clone())).filter(|name| !name.is_empty());
        Executor {
            framework: framework.clone(),
            spec,
            role: task.role.clone(),
            program,
            user,
            token: Token::new(self.chance.token()),
            phase: Phase::Recording,
            noted: false,
            pid: None,
            holds: true,
            ending: None,
            tasks: Vec::new(),
            heard: BTreeMap::new(),
            generation: 0,
            losses: 0,
            is_recovered: false,
            has_gateway: false,
        }
    }

    /// Tells a registered executor of its tasks that it has not been told of; all of it is written down.
    pub(super) fn tell_launches(&mut self, turn: &mut Turn, container: &ContainerId) {
        let Some(executor) = self.state.executors.get(container) else {
            return;
        };
        let Some(pid) = executor.pid.filter(|_| executor.noted) else {
            return;
        };
        let (framework, tasks) = (executor.framework.clone(), executor.tasks.clone());
        let mut told_any = false;
        for task in tasks {
            let entry = self.state.task_mut(&framework, &task);
            if let Some(entry) = entry.filter(|entry| entry.noted && !entry.told)
                && let Some(spec) = entry.spec.clone()
            {
                entry.told = true;
                told_any = true;
                turn.tell_executor(pid, AgentToExecutor::Launch(Arc::unwrap_or_clone(spec)));
            }
        }
        if told_any {
            self.watch_executor(turn, container);
        }
    }
}
