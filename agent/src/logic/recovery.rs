//! What a new life of an agent makes of what the former one left: its books, from the checkpoint; its executors, which are
//! looked for and have to come back; and what they say when they do.

use std::collections::BTreeMap;

use libactor::Pid;
use protocol::agent::AgentInfo;
use protocol::executor::{AgentToExecutor, TaskHeld};
use protocol::ids::{ContainerId, FrameworkId, TaskId};
use protocol::resources::Resources;
use protocol::task::{Reason, TaskState, TaskStatus};

use super::checkpoint::{Checkpoint, KeptExecutor, KeptTask, OldExecutor, ProcessIdentity, Record};
use super::config::{Bug, Config};
use super::notice::Notice;
use super::state::{Ending, Executor, Framework, Kept, Phase, State, Task, Waiting};
use super::updates::News;
use super::{Agent, Effect, Signal, Timer, Turn};

impl State {
    /// The books as the checkpoint has them. What tasks and executors hold they keep, even if there is less by now.
    pub(super) fn recovered(info: &AgentInfo, source: u64, checkpoint: Checkpoint) -> Self {
        let Checkpoint { order, mut executors, frameworks, boot, .. } = checkpoint;
        let mut state = Self::new(Resources::none(), source);
        for (id, kept) in frameworks {
            let tasks = kept.tasks.into_iter().map(|(task, kept)| (task, recovered_task(kept)));
            let (info, removed) = (kept.info, kept.removed);
            state.frameworks.insert(id, Framework { info, removed, tasks: tasks.collect() });
        }
        for container in order {
            let process = executors.remove(&container).unwrap_or_default();
            let earlier = process.process.as_ref().map(|process| &process.boot).or(boot.as_ref());
            let rebooted = earlier.is_some_and(|earlier| *earlier != info.boot);
            match recovered_executor(process) {
                Ok(executor) => state.add_recovered(container, executor, rebooted),
                Err(process) => drop(state.strangers.insert(container, process)),
            }
        }
        let used = state.held();
        state.begin_with(info.resources.at_least(&used), &used);
        state
    }

    fn add_recovered(&mut self, id: ContainerId, mut executor: Executor, rebooted: bool) {
        let framework = &self.frameworks[&executor.framework];
        let mine = framework
            .tasks
            .iter()
            .filter(|(_, task)| task.container.as_ref() == Some(&id) && !task.state.is_end());
        executor.tasks = mine.map(|(id, _)| id.clone()).collect();
        if framework.removed {
            executor.ending = Some(Ending::FrameworkRemoved);
        } else if rebooted {
            executor.ending = Some(Ending::Rebooted);
        }
        let key = (executor.framework.clone(), executor.spec.executor.clone());
        // A later life was begun because the former one took no more tasks; to the master both are one executor.
        if let Some(former) = self.open.insert(key, id.clone())
            && let Some(former) = self.executors.get_mut(&former)
        {
            former.ending.get_or_insert(Ending::Told);
            former.holds &= former.spec.resources != executor.spec.resources;
        }
        self.executors.insert(id, executor);
    }

    /// What is held of a framework that is torn down is the master's to give again.
    fn held(&self) -> Resources {
        let mut held = Resources::none();
        for executor in self.executors.values() {
            let framework = &self.frameworks[&executor.framework];
            if framework.removed {
                continue;
            }
            if executor.holds {
                held.add(&executor.spec.resources);
            }
            let tasks =
                executor.tasks.iter().filter_map(|task| framework.tasks[task].spec.as_ref());
            tasks.for_each(|spec| held.add(&spec.resources));
        }
        held
    }
}

/// What a new life remembers: everything, but for what was not to outlive the former one, and for deliberate bugs. Nobody waits for news
/// of the former: with its agent's connection it was lost.
pub(super) fn remembered(config: &Config, mut checkpoint: Checkpoint) -> Checkpoint {
    if config.has(Bug::EpochForgotten) {
        checkpoint.epoch = 0;
    }
    if config.has(Bug::NewsNotReplayed) {
        let tasks = checkpoint.frameworks.values_mut().flat_map(|kept| kept.tasks.values_mut());
        tasks.for_each(|task| task.updates.clear());
    }
    let all = checkpoint.frameworks.iter();
    let passing = all.filter(|(_, kept)| !kept.info.outlives_agents()).map(|(id, _)| id.clone());
    for framework in passing.collect::<Vec<_>>() {
        checkpoint.apply(Record::FrameworkRemoved(framework));
    }
    checkpoint
}

fn recovered_task(kept: KeptTask) -> Task {
    let KeptTask { taken, updates } = kept;
    let waiting = |status: TaskStatus| {
        let after = status.state;
        Waiting { status, kept: Kept::Written, after }
    };
    let mut task = Task {
        container: Some(taken.container),
        state: taken.state,
        noted: true,
        // Of what has not been heard of since it was staged, its executor says whether it has it.
        told: taken.state != TaskState::Staging,
        updates: updates.into_iter().map(waiting).collect(),
        heard: taken.heard,
        ..Task::new(Some(taken.spec), taken.role, taken.executor)
    };
    let known: Vec<TaskStatus> =
        task.updates.iter().map(|waiting| waiting.status.clone()).collect();
    known.iter().for_each(|status| task.show(status));
    task
}

/// Or the process of one that was started by an agent which did not outlive itself.
fn recovered_executor(kept: KeptExecutor) -> Result<Executor, Option<ProcessIdentity>> {
    let KeptExecutor { process, launch, heard } = kept;
    let launch = launch.ok_or_else(|| process.clone())?;
    Ok(Executor {
        framework: launch.framework.framework,
        spec: launch.spec,
        role: launch.role,
        program: launch.program,
        user: launch.user,
        token: launch.token,
        noted: process.is_some(),
        phase: Phase::Looking(process),
        pid: None,
        holds: true,
        ending: None,
        tasks: Vec::new(),
        heard,
        generation: 0,
        losses: 0,
        is_recovered: true,
        has_gateway: false,
    })
}

impl Agent {
    /// Looks for all that a former life started. Those that live are to come back, and are ended if they do not.
    pub(super) fn look_for_executors(&mut self, turn: &mut Turn) {
        for (container, process) in &self.state.strangers {
            let old = OldExecutor { container: container.clone(), process: process.clone() };
            turn.push(Effect::EndOldExecutor(old));
        }
        for (container, executor) in &self.state.executors {
            let Phase::Looking(process) = &executor.phase else { continue };
            let old = OldExecutor { container: container.clone(), process: process.clone() };
            turn.push(Effect::FindExecutor(old));
        }
        let gone = self.state.executors.values().filter(|e| e.ending == Some(Ending::Rebooted));
        match gone.count() {
            0 => {}
            gone => turn.note(Notice::Rebooted(gone)),
        }
        turn.start(Timer::ExecutorsBack, self.config.executor_reregistration_timeout);
    }

    /// What was not to outlive the former life ends with its executors, for later lives as well.
    pub(super) fn forsake_what_is_passing(&self, turn: &mut Turn) {
        for (id, framework) in &self.state.frameworks {
            if framework.removed && !framework.info.outlives_agents() {
                turn.push(Effect::Write(Record::FrameworkRemoved(id.clone())));
            }
        }
    }

    /// A task whose executor is known to have ended, but not what became of the task: the disk was full.
    pub(super) fn report_orphans(&mut self, turn: &mut Turn) {
        let orphaned = |(_, _, task): &(&FrameworkId, &TaskId, &Task)| {
            let lives =
                task.container.as_ref().is_some_and(|c| self.state.executors.contains_key(c));
            !task.state.is_end() && !lives
        };
        let orphans = self.state.tasks().filter(orphaned);
        let orphans: Vec<_> = orphans.map(|(f, t, _)| (f.clone(), t.clone())).collect();
        for (framework, task) in orphans {
            let words = "its executor had ended when its agent came back".to_owned();
            let news = News::new(TaskState::Failed, Reason::AgentRestarted, words);
            self.report(turn, &framework, &task, news);
        }
    }

    pub(super) fn on_old_executor_ended(&mut self, turn: &mut Turn, container: &ContainerId) {
        if self.state.strangers.remove(container).is_some() {
            turn.push(Effect::Write(Record::ExecutorEnded(container.clone())));
        }
    }

    pub(super) fn on_executor_found(
        &mut self,
        turn: &mut Turn,
        container: ContainerId,
        process: ProcessIdentity,
    ) {
        let unwanted = |executor: &Executor| {
            matches!(executor.ending, Some(Ending::NotBack | Ending::Rebooted))
        };
        match self.runs_as(turn, &container, &process, unwanted).map(|executor| executor.noted) {
            Some(true) => self.tell_launches(turn, &container),
            Some(false) => {
                turn.push(Effect::Write(Record::ExecutorStarted { container, process }));
            }
            None => {}
        }
    }

    /// Its tasks cannot have begun, so nobody is told anything: it begins now.
    pub(super) fn on_never_began(&mut self, turn: &mut Turn, container: &ContainerId) {
        let Some(executor) = self.state.executors.get_mut(container) else {
            return;
        };
        executor.phase = Phase::Recording;
        if executor.tasks.is_empty() {
            executor.ending.get_or_insert(Ending::Idle);
        }
        self.start_executor(turn, container);
        // If it has to end instead, that is written down first.
        if self.state.executors.contains_key(container) {
            self.executor_is_back(turn, container);
        }
    }

    pub(super) fn on_executors_back_due(&mut self, turn: &mut Turn) {
        let awaited = match self.membership.is_leaving() {
            // It starts no others, so whoever is not connected is of the former life.
            true => {
                let absent = self.state.executors.iter().filter(|(_, e)| e.pid.is_none());
                absent.map(|(container, _)| container.clone()).collect()
            }
            false => self.membership.executors_awaited(),
        };
        for container in awaited {
            self.end_what_is_not_back(turn, &container);
        }
        // Only now: an agent that stood still meanwhile has not heard yet who is back.
        turn.start(Timer::OldExecutorsLate, self.config.old_executors_within);
    }

    /// One that lost its connection while it had nothing to do is waited for only once it is to do something.
    pub(super) fn expect_back(&self, turn: &mut Turn, container: &ContainerId) {
        if let Some(executor) = self.state.executors.get(container)
            && executor.pid.is_none()
            && executor.losses > 0
        {
            let (container, losses) = (container.clone(), executor.losses);
            turn.start(Timer::ExecutorBack { container, losses }, self.config.recovery_timeout);
        }
    }

    pub(super) fn on_executor_back_due(
        &mut self,
        turn: &mut Turn,
        container: &ContainerId,
        losses: u64,
    ) {
        let lost = self
            .state
            .executors
            .get(container)
            .is_some_and(|executor| executor.losses == losses && executor.pid.is_none());
        if lost {
            self.end_what_is_not_back(turn, container);
        }
    }

    fn end_what_is_not_back(&mut self, turn: &mut Turn, container: &ContainerId) {
        self.close(container);
        if let Some(executor) = self.state.executors.get_mut(container)
            && executor.ending != Some(Ending::Rebooted)
        {
            let (id, container) = (executor.spec.executor.clone(), container.clone());
            turn.note(Notice::ExecutorNotBack { executor: id, container: container.clone() });
            executor.ending = Some(Ending::NotBack);
            executor.signal(turn, &container, Signal::Kill);
        }
    }

    pub(super) fn on_executor_reregistered(
        &mut self,
        turn: &mut Turn,
        from: Pid,
        container: &ContainerId,
        tasks: &[TaskHeld],
        unacknowledged: Vec<TaskStatus>,
    ) {
        let default = self.config.shutdown_grace;
        let (Some(agent), Some(executor)) =
            (self.membership.agent().cloned(), self.state.executors.get(container))
        else {
            return;
        };
        let shutdown_grace = executor.spec.shutdown_grace.unwrap_or(default);
        self.connect(turn, from, container);
        turn.tell_executor(from, AgentToExecutor::Reregistered { agent, shutdown_grace });
        for status in unacknowledged {
            self.on_executor_update(turn, container, status);
        }
        self.compare_tasks(turn, from, container, tasks);
        if let Some(ending) = self.state.executors.get(container).and_then(|e| e.ending.clone()) {
            self.end_again(turn, container, ending);
        } else {
            self.tell_launches(turn, container);
            self.end_if_unused(turn, container);
        }
        self.executor_is_back(turn, container);
    }

    /// What it was told and does not have it is told again, unless it was to be killed meanwhile: that never begins. What it
    /// has and should not have, it is to end.
    fn compare_tasks(
        &mut self,
        turn: &mut Turn,
        pid: Pid,
        container: &ContainerId,
        held: &[TaskHeld],
    ) {
        let Some(executor) = self.state.executors.get(container) else {
            return;
        };
        let (framework, mine) = (executor.framework.clone(), executor.tasks.clone());
        let held: BTreeMap<&TaskId, TaskState> = held.iter().map(|h| (&h.task, h.state)).collect();
        for task in &mine {
            let Some(entry) = self.state.task_mut(&framework, task) else { continue };
            entry.told = held.contains_key(task);
            match (entry.told, entry.kill) {
                (true, Some(grace)) => {
                    turn.tell_executor(pid, AgentToExecutor::Kill { task: task.clone(), grace });
                }
                (false, Some(_)) => self.report_never_told(turn, &framework, task),
                (_, None) => {}
            }
        }
        let grace = self.config.kill_grace;
        for (task, _) in
            held.into_iter().filter(|(task, state)| !state.is_end() && !mine.contains(task))
        {
            turn.tell_executor(pid, AgentToExecutor::Kill { task: task.clone(), grace });
        }
    }

    /// It may not have heard it before.
    pub(super) fn end_again(&mut self, turn: &mut Turn, container: &ContainerId, ending: Ending) {
        if let Some(executor) = self.state.executors.get_mut(container) {
            executor.ending = None;
        }
        self.end_executor(turn, container, ending);
    }
}
