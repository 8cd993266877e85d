//! Tasks: what became of each, who was told and who took note.

mod commands;
mod ended;
mod executors;
mod fate;

use std::sync::Arc;
use std::time::Duration;

use libactor::Pid;
use protocol::agent::MasterToAgent;
use protocol::change::What;
use protocol::framework::{Capability, MasterToFramework};
use protocol::ids::{AgentId, ExecutorId, FrameworkId, Role, TaskId, UpdateId};
use protocol::task::{Reason, Source, TaskReport, TaskSpec, TaskState, TaskStatus};
use protocol::time::{Instant, WallTime};
use serde::{Deserialize, Serialize};

use super::book::executor_of;
use super::bugs::Bug;
use super::{Master, Turn, validate};
pub(super) use ended::{Ended, Heard};

/// A task that is not ended and acknowledged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) spec: Arc<TaskSpec>,
    pub(super) agent: AgentId,
    pub(super) executor: ExecutorId,
    /// Under which its resources were offered.
    pub(super) role: Role,
    /// The newest state that anybody reported; what it holds is free again once this is an end.
    pub(super) state: TaskState,
    /// What its framework was told last, in the order of its news.
    told: TaskState,
    /// The newest news that its framework has not acknowledged.
    unacknowledged: Option<Arc<TaskStatus>>,
    /// The newest news that its framework has acknowledged.
    acknowledged: Option<UpdateId>,
    pub(super) launched_at: Instant,
    /// It is to be ended, with this grace. Said to its agent until it has.
    pub(super) kill: Option<Option<Duration>>,
    heard: Heard,
    /// Its framework knows no partitions and was told that it is lost: nothing more is told until its agent is back.
    pub(super) told_lost: bool,
}

impl Task {
    pub(super) fn launched(spec: Arc<TaskSpec>, agent: AgentId, role: Role, now: Instant) -> Self {
        Self {
            executor: executor_of(&spec),
            spec,
            agent,
            role,
            state: TaskState::Staging,
            told: TaskState::Staging,
            unacknowledged: None,
            acknowledged: None,
            launched_at: now,
            kill: None,
            heard: Heard::default(),
            told_lost: false,
        }
    }

    /// What its framework was told of it, so that it hears its news in order; that it cannot be reached is told at once.
    fn as_told(&self) -> TaskState {
        if self.state == TaskState::Unreachable { self.state } else { self.told }
    }

    /// Whether nothing was heard of it since its launch.
    pub(super) fn is_staging(&self) -> bool {
        self.state == TaskState::Staging
    }

    pub(super) fn report(&self, framework: &FrameworkId) -> TaskReport {
        TaskReport {
            framework: framework.clone(),
            spec: self.spec.clone(),
            agent: self.agent.clone(),
            executor: self.executor.clone(),
            state: self.state,
            unacknowledged: self.unacknowledged.clone(),
            role: self.role.clone(),
        }
    }

    /// What is said of it, with the ids that are in the books already: each of a message is a copy of its own, and a million
    /// tasks would keep four of them.
    fn with_own_ids(&self, framework: &FrameworkId, said: &TaskStatus) -> TaskStatus {
        let mut said = TaskStatus { framework: framework.clone(), ..said.clone() };
        said.task = self.spec.task.clone();
        if said.agent.as_ref() == Some(&self.agent) {
            said.agent = Some(self.agent.clone());
        }
        if said.executor.as_ref() == Some(&self.executor) {
            said.executor = Some(self.executor.clone());
        }
        said
    }

    /// How it is, as the master knows it. Needs no acknowledgement.
    pub(super) fn status(
        &self,
        framework: &FrameworkId,
        at: WallTime,
        reason: Reason,
        message: String,
    ) -> TaskStatus {
        let (agent, executor) = (Some(self.agent.clone()), Some(self.executor.clone()));
        let said = own_status(framework, &self.spec.task, agent, self.state, reason, message, at);
        TaskStatus { executor, ..said }
    }
}

/// A statement of the master's own.
fn own_status(
    framework: &FrameworkId,
    task: &TaskId,
    agent: Option<AgentId>,
    state: TaskState,
    reason: Reason,
    message: String,
    at: WallTime,
) -> TaskStatus {
    TaskStatus {
        agent,
        reason: Some(reason),
        message,
        at,
        ..TaskStatus::plain(framework.clone(), task.clone(), state, Source::Master)
    }
}

/// What a framework that does not know of partitions is told instead.
fn as_lost(state: TaskState) -> TaskState {
    match state {
        TaskState::Unreachable | TaskState::Gone | TaskState::GoneByOperator => TaskState::Lost,
        TaskState::Dropped | TaskState::Unknown | TaskState::Lost => TaskState::Lost,
        TaskState::Staging | TaskState::Starting | TaskState::Running | TaskState::Killing => state,
        TaskState::Finished | TaskState::Failed | TaskState::Killed | TaskState::Error => state,
    }
}

impl Master {
    /// A task that is not ended and acknowledged.
    pub(super) fn task(&self, framework: &FrameworkId, id: &TaskId) -> Option<&Task> {
        self.frameworks.get(framework)?.tasks.get(id)
    }

    fn task_mut(&mut self, framework: &FrameworkId, id: &TaskId) -> Option<&mut Task> {
        self.frameworks.get_mut(framework)?.tasks.get_mut(id)
    }

    /// To its framework, in words that it knows.
    pub(super) fn tell_status(&self, turn: &mut Turn, mut status: TaskStatus) {
        let Some(framework) = self.frameworks.get(&status.framework) else { return };
        let Some(pid) = framework.pid() else { return };
        if !framework.has(Capability::PartitionAware) && !self.is_told_unreachable(&status) {
            status.state = as_lost(status.state);
        }
        turn.tell_framework(pid, MasterToFramework::Updated(status));
    }

    /// A task that never came into the books.
    #[allow(clippy::too_many_arguments)] // a statement about a task has so many parts
    pub(super) fn refuse_task(
        &self,
        turn: &mut Turn,
        framework: &FrameworkId,
        task: &TaskId,
        agent: Option<AgentId>,
        state: TaskState,
        reason: Reason,
        message: String,
    ) {
        let at = turn.now.wall;
        self.tell_status(turn, own_status(framework, task, agent, state, reason, message, at));
    }

    /// News from an agent. It comes again until acknowledged, and is passed on each time: the last time may have been
    /// lost. So may the acknowledgement, with the process that had it.
    pub(super) fn on_updated(
        &mut self,
        turn: &mut Turn,
        agent: &AgentId,
        from: Pid,
        status: TaskStatus,
        latest: TaskState,
    ) {
        let (framework, id) = (status.framework.clone(), status.task.clone());
        if let Some(agent) = self.agents.get_mut(agent) {
            let key = (framework.clone(), id.clone());
            agent.doubted.remove(&key);
            if latest.is_end() {
                agent.strays.remove(&key);
            }
        }
        let removed = self.frameworks.get(&framework).is_none_or(|known| known.is_removed());
        if removed {
            return self.on_news_for_nobody(turn, from, &status, latest);
        }
        let mine = self.task(&framework, &id).is_some_and(|task| task.agent == *agent);
        if self.is_of_earlier_task(&framework, &id, status.update)
            || self.is_what_was_before_the_end(agent, &status, latest)
        {
            return self.acknowledge_again(turn, from, &status);
        }
        if mine {
            let on_the_way = status.reason == Some(Reason::TaskKilledDuringLaunch);
            // The end of a task that was heard of before may come late, when its life of the executor is no more.
            let of_this_life =
                !latest.is_end() || self.task(&framework, &id).is_some_and(Task::is_staging);
            if let Some(executor) = &status.executor
                && of_this_life
                && (status.source == Source::Executor || on_the_way)
            {
                self.executor_heard(agent, &framework, executor);
            }
            if !latest.is_end() {
                self.executor_lives(agent, &framework, &id);
            }
            self.set_state(turn, &framework, &id, latest);
            if self.is_dealt_with(&framework, &id, status.update) {
                return self.acknowledge_again(turn, from, &status);
            }
            if let Some(task) = self.task_mut(&framework, &id) {
                task.heard.note(status.update);
                task.told = status.state;
            }
            if let Some(entry) = self.frameworks.get_mut(&framework)
                && let Some(task) = entry.tasks.get_mut(&id)
                && status.update.is_some()
                && task.unacknowledged.as_deref() != Some(&status)
            {
                let status = Arc::new(task.with_own_ids(&entry.info.framework, &status));
                turn.what.push(What::TaskStatus(status.clone()));
                task.unacknowledged = Some(status);
            }
            if let (true, Some(executor)) = (on_the_way, &status.executor) {
                self.executor_unused(turn, agent, &framework, executor);
            }
        }
        let settled = mine && status.update.is_none() && latest.is_end();
        self.tell_status(turn, status);
        if settled {
            self.forget(turn, &framework, &id);
        }
    }

    /// A task that runs on after its executor's end was reported is in a second life of it: its launch crossed the report.
    fn executor_lives(&mut self, agent: &AgentId, framework: &FrameworkId, task: &TaskId) {
        let Some(executor) = self.task(framework, task).map(|task| task.executor.clone()) else {
            return;
        };
        if let Some(entry) = self.agents.get_mut(agent)
            && let Some(booked) = entry.book.executors.get_mut(&(framework.clone(), executor))
        {
            booked.ended = false;
        }
    }

    /// Nobody else will acknowledge.
    fn on_news_for_nobody(
        &mut self,
        turn: &mut Turn,
        from: Pid,
        status: &TaskStatus,
        latest: TaskState,
    ) {
        let (framework, task) = (&status.framework, &status.task);
        self.acknowledge_again(turn, from, status);
        self.set_state(turn, framework, task, latest);
        if latest.is_end() {
            self.forget(turn, framework, task);
        }
    }

    /// Moves a task forward; what it held is free at its end.
    fn set_state(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        id: &TaskId,
        state: TaskState,
    ) {
        let Some(task) = self.task_mut(framework, id) else { return };
        if !task.state.can_become(state) || task.state == state {
            return;
        }
        task.state = state;
        if !state.is_end() {
            return;
        }
        let (agent, executor) = (task.agent.clone(), task.executor.clone());
        let (role, resources) = (task.role.clone(), task.spec.resources.clone());
        self.release(turn, &agent, framework, &role, &resources);
        let entry = self.agents.get(&agent);
        let booked =
            entry.and_then(|a| a.book.executors.get(&(framework.clone(), executor.clone())));
        let may_be_gone = booked.is_some_and(|booked| booked.ended || !booked.heard);
        if may_be_gone && !self.has_tasks(&agent, framework, &executor) {
            self.unbook_executor(turn, &agent, framework, &executor);
        }
    }

    /// The master itself knows that a task has ended. Its framework is told once; it may ask again.
    pub(super) fn end_task(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        id: &TaskId,
        state: TaskState,
        reason: Reason,
        message: String,
    ) {
        let Some(task) = self.task(framework, id) else { return };
        let is_untold = !task.told_lost && !task.told.is_end();
        if task.state.is_end() && is_untold {
            // Its agent told of it beside older news, which its framework had not acknowledged.
            let status = task.status(framework, turn.now.wall, reason, message);
            self.tell_status(turn, status);
        } else if !task.state.is_end() {
            self.set_state(turn, framework, id, state);
            if let Some(task) = self.task(framework, id) {
                let told_lost = task.told_lost;
                let status = Arc::new(task.status(framework, turn.now.wall, reason, message));
                turn.what.push(What::TaskStatus(status.clone()));
                if !told_lost {
                    self.tell_status(turn, TaskStatus::clone(&status));
                }
                if let Some(task) = self.task_mut(framework, id) {
                    task.unacknowledged = Some(status);
                }
            }
        }
        self.forget(turn, framework, id);
    }

    /// A task is ended and needs no more notice: its end is remembered, for who asks.
    pub(super) fn forget(&mut self, turn: &mut Turn, framework: &FrameworkId, id: &TaskId) {
        let ended_max = self.config.ended_tasks_max;
        let Some(entry) = self.frameworks.get_mut(framework) else { return };
        let Some(task) = entry.tasks.remove(id) else { return };
        let state = task.state;
        let end = task.status(framework, turn.now.wall, Reason::Reconciliation, String::new());
        let end = match task.unacknowledged {
            Some(said) if said.state == state => {
                TaskStatus { update: None, data: Vec::new(), ..Arc::unwrap_or_clone(said) }
            }
            Some(_) | None => end,
        };
        entry.ended.remember(end, task.heard, ended_max);
        if let Some(agent) = self.agents.get_mut(&task.agent) {
            let key = (framework.clone(), id.clone());
            agent.book.tasks.remove(&key);
            agent.doubted.remove(&key);
        }
        let (framework, task) = (framework.clone(), id.clone());
        turn.what.push(What::TaskForgotten { framework: framework.clone(), task, state });
        self.forget_removed(&framework);
    }

    pub(super) fn on_acknowledge(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        agent: &AgentId,
        id: &TaskId,
        update: UpdateId,
    ) {
        // Without its agent nothing is acknowledged: the news comes again when the agent is back.
        let Some(pid) = self.agents.get(agent).and_then(|agent| agent.pid()) else { return };
        if !self.config.bugs.has(Bug::AckNotForwarded) {
            let (epoch, framework, task) = (self.epoch(), framework.clone(), id.clone());
            turn.tell_agent(pid, MasterToAgent::Acknowledge { epoch, framework, task, update });
        }
        let Some(task) = self.task_mut(framework, id).filter(|task| task.agent == *agent) else {
            return;
        };
        if let Some(said) = task.unacknowledged.take_if(|said| said.update == Some(update)) {
            task.acknowledged = said.update;
            if said.state.is_end() {
                task.unacknowledged = Some(said);
                self.forget(turn, framework, id);
            }
        }
    }

    /// An agent that joins has this task.
    pub(super) fn learn_task(
        &mut self,
        turn: &mut Turn,
        agent: &AgentId,
        from: Pid,
        report: &TaskReport,
    ) {
        let (framework, id) = (&report.framework, &report.spec.task);
        let epoch = self.epoch();
        let known = self.task(framework, id).map(|task| task.agent == *agent);
        let is_sound = validate::reported("a task", &report.role, &report.spec.resources).is_ok();
        if known == Some(false) || !is_sound {
            // The id runs somewhere else already, and may not run twice.
            let (framework, task) = (framework.clone(), id.clone());
            if let Some(agent) = self.agents.get_mut(agent) {
                agent.strays.insert((framework.clone(), task.clone()));
            }
            return turn
                .tell_agent(from, MasterToAgent::Kill { epoch, framework, task, grace: None });
        }
        if known.is_some() {
            return self.learn_state(turn, from, report);
        }
        let Some(entry) = self.frameworks.get_mut(framework) else { return };
        let mut heard = Heard::default();
        heard.note_report(report);
        let task = Task {
            heard,
            spec: report.spec.clone(),
            agent: agent.clone(),
            executor: report.executor.clone(),
            role: report.role.clone(),
            state: report.state,
            told: report.unacknowledged.as_ref().map_or(report.state, |said| said.state),
            unacknowledged: report.unacknowledged.clone(),
            acknowledged: None,
            launched_at: turn.now.steady,
            kill: None,
            told_lost: false,
        };
        turn.what.push(What::Task(task.report(framework).into()));
        entry.tasks.insert(id.clone(), task);
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.book.tasks.insert((framework.clone(), id.clone()));
        }
    }

    /// The state of a known task, from its agent that is back. What changed meanwhile without news of its own is told.
    fn learn_state(&mut self, turn: &mut Turn, from: Pid, report: &TaskReport) {
        let (framework, id) = (&report.framework, &report.spec.task);
        let Some(before) = self.task(framework, id).map(|task| task.state) else { return };
        self.set_state(turn, framework, id, report.state);
        let epoch = self.epoch();
        let Some(entry) = self.frameworks.get_mut(framework) else { return };
        let Some(task) = entry.tasks.get_mut(id) else { return };
        let was_told_lost = std::mem::take(&mut task.told_lost);
        task.unacknowledged.clone_from(&report.unacknowledged);
        task.told = report.unacknowledged.as_ref().map_or(task.state, |said| said.state);
        task.heard.note_report(report);
        if let Some(grace) = task.kill.filter(|_| !task.state.is_end()) {
            let (framework, task) = (framework.clone(), id.clone());
            turn.tell_agent(from, MasterToAgent::Kill { epoch, framework, task, grace });
        }
        if was_told_lost {
            // Who subscribed meanwhile was not told of it.
            turn.what.push(What::Task(task.report(framework).into()));
        }
        if task.state != before {
            let reason = if before == TaskState::Unreachable {
                Reason::AgentReregistered
            } else {
                Reason::Reconciliation
            };
            let message = "its agent is back".to_owned();
            let status = task.status(framework, turn.now.wall, reason, message);
            turn.what.push(What::TaskStatus(status.clone().into()));
            if report.unacknowledged.is_none() {
                self.tell_status(turn, status);
            }
        }
    }
}
