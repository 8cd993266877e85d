//! The news of tasks: one ordered stream per task, of which one update at a time is on its way to the master, said again
//! until acknowledged. Each is written down before it is told; then it is acknowledged to the executor that said it.

use std::collections::BTreeMap;

use api::v1;
use protocol::agent::AgentToMaster;
use protocol::carried::Carried;
use protocol::executor::AgentToExecutor;
use protocol::framework::FrameworkInfo;
use protocol::ids::{ContainerId, FrameworkId, TaskId, UpdateId};
use protocol::task::{Exit, Isolation, Reason, Source, TaskState, TaskStatus};

use super::books::Stage;
use super::checkpoint::Record;
use super::config::Bug;
use super::membership::backoff;
use super::notice::Notice;
use super::state::{Ending, Framework, HEARD_MAX, Kept, Task, Waiting};
use super::{Agent, Effect, Timer, Turn, container, limits};

/// Something the agent itself says of a task.
pub(super) struct News {
    state: TaskState,
    reason: Reason,
    message: String,
    exit: Option<Exit>,
    carried: Carried<v1::TaskStatus>,
}

impl News {
    pub(super) fn new(state: TaskState, reason: Reason, message: String) -> Self {
        Self { state, reason, message, exit: None, carried: Carried::default() }
    }

    pub(super) fn carrying(mut self, carried: Carried<v1::TaskStatus>) -> Self {
        self.carried = carried;
        self
    }

    pub(super) fn with_exit(mut self, exit: Option<Exit>) -> Self {
        self.exit = exit;
        self
    }
}

/// A framework of which nothing but its id is known.
pub(super) fn unknown_framework(framework: &FrameworkId) -> Framework {
    let info = FrameworkInfo::plain(framework.clone());
    Framework { info, removed: false, tasks: BTreeMap::new() }
}

impl Agent {
    /// Says something of a task of the agent's own knowledge.
    pub(super) fn report(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        task: &TaskId,
        news: News,
    ) {
        // A task that was refused never had one, and there will be no word of its end.
        let taken = self.state.task(framework, task).filter(|entry| entry.container.is_some());
        let executor = taken.map(|entry| entry.executor.clone());
        let status = TaskStatus {
            agent: self.membership.agent().cloned(),
            executor,
            reason: Some(news.reason),
            message: news.message,
            exit: news.exit,
            carried: news.carried,
            at: turn.now.wall,
            update: Some(self.state.next_update()),
            ..TaskStatus::plain(framework.clone(), task.clone(), news.state, Source::Agent)
        };
        self.queue_update(turn, status);
    }

    /// What an executor says of one of its tasks.
    pub(super) fn on_executor_update(
        &mut self,
        turn: &mut Turn,
        container: &ContainerId,
        status: TaskStatus,
    ) {
        let executor = &self.state.executors[container];
        let (framework, executor_id) = (executor.framework.clone(), executor.spec.executor.clone());
        let in_order = !executor.has_gateway;
        let task = status.task.clone();
        let ignore = |turn: &mut Turn, words: String| {
            let (task, executor) = (task.clone(), executor_id.clone());
            turn.note(Notice::UpdateIgnored { task, executor, words });
        };
        let Some(update) = status.update else {
            ignore(turn, "it cannot be acknowledged since it has no update id".to_owned());
            return;
        };
        let entry = self.state.task_mut(&framework, &task);
        let Some(entry) = entry.filter(|entry| entry.container.as_ref() == Some(container)) else {
            // Most often a repeat whose acknowledgement got lost.
            self.acknowledge_to_executor(turn, container, &task, update);
            return;
        };
        let waits = entry.updates.iter().find(|waiting| waiting.status.update == Some(update));
        let repeat = entry.heard.is_some_and(|heard| {
            let later = heard.source == update.source && heard.sequence >= update.sequence;
            heard == update || in_order && later
        });
        if repeat || waits.is_some() {
            match waits.map(|waiting| waiting.kept) {
                Some(Kept::Written) | None => {
                    self.acknowledge_to_executor(turn, container, &task, update);
                }
                Some(Kept::Writing | Kept::NotWritten) => {}
            }
            return;
        }
        entry.heard = Some(update);
        let before = entry.state;
        if !may_be_said(status.state, in_order)
            || before.is_end()
            || !before.can_become(status.state)
        {
            ignore(turn, format!("it cannot be {:?} after {before:?}", status.state));
            self.acknowledge_to_executor(turn, container, &task, update);
            return;
        }
        if status.state.is_end() && self.config.has(Bug::TerminalUpdateDropped) {
            self.acknowledge_to_executor(turn, container, &task, update);
            self.settle_end(&framework, &task);
            self.forget(turn, &framework, &task);
            return;
        }
        let status = self.complete(status, &framework, container);
        self.queue_update(turn, status);
    }

    /// What an executor may not decide is overwritten, what is too large is cut.
    fn complete(
        &self,
        mut status: TaskStatus,
        framework: &FrameworkId,
        container: &ContainerId,
    ) -> TaskStatus {
        let executor = &self.state.executors[container];
        status.framework = framework.clone();
        status.agent = self.membership.agent().cloned();
        status.executor = Some(executor.spec.executor.clone());
        status.source = Source::Executor;
        if status.state == TaskState::Running {
            self.say_how_apart(&mut status, executor);
        }
        let (bytes, limit) = (status.data.len(), self.config.data_bytes_max);
        if bytes > limit {
            status.data = Vec::new();
            status.message =
                format!("its data of {bytes} bytes was dropped: more than the {limit} allowed");
        }
        if status.message.len() > limit {
            let end = status.message.floor_char_boundary(limit);
            status.message.truncate(end);
        }
        let killed_for_agent = executor.ending == Some(Ending::AgentLeaves)
            && status.state == TaskState::Killed
            && self.state.task(framework, &status.task).is_some_and(|task| task.kill.is_none());
        if killed_for_agent {
            status.state = TaskState::Failed;
            status.reason = Some(Reason::AgentRemoved);
            status.message = "killed because the agent was ended by its operator".to_owned();
        }
        let status = match &executor.ending {
            Some(Ending::Limited(limitation)) => limits::explain(limitation, status),
            Some(_) | None => status,
        };
        container::described(
            status,
            container,
            &self.config.info.at.listens,
            executor.phase.process(),
        )
    }

    /// What a task is really kept apart by, which its executor may not know.
    fn say_how_apart(&self, status: &mut TaskStatus, executor: &super::state::Executor) {
        status.isolation = Some(self.config.isolation);
        let wanted = self.wanted(executor).ok().and_then(|(wanted, _)| wanted.image);
        if let Some(image) = wanted {
            status.isolation = Some(Isolation::Container);
            if executor.is_for_command() {
                let whose = match self.config.user_namespaces {
                    true => ", as root of them and the agent's user outside",
                    false => "",
                };
                status.message =
                    format!("in the image {}, in namespaces of its own{whose}", image.name);
            }
        }
    }

    fn queue_update(&mut self, turn: &mut Turn, status: TaskStatus) {
        let (framework, task) = (status.framework.clone(), status.task.clone());
        let room = self.config.updates_max.max(2);
        let newest_first = self.config.has(Bug::UpdateReordered);
        let told_again = status.state.is_end() && !self.config.has(Bug::LostUpdateNotResent);
        let told_at_once = self.config.has(Bug::NewsToldBeforeWritten);
        let removed = self.state.is_removed(&framework);
        let Some(entry) = self.state.task_mut(&framework, &task) else {
            return;
        };
        let after = std::mem::replace(&mut entry.state, status.state);
        entry.show(&status);
        let container = entry.container.clone();
        let update = status.update;
        let is_end = status.state.is_end();
        let mut replaced = None;
        // What the agent does not have, its next life need not know.
        let worth_it = container.is_some();
        let waits = worth_it && !told_at_once;
        let kept = if waits { Kept::Writing } else { Kept::NotWritten };
        if !removed {
            if entry.updates.len() >= room {
                replaced = entry.updates.pop_back();
            }
            if worth_it {
                let status = Box::new(status.clone());
                let replaces = replaced.is_some();
                turn.push(Effect::Write(Record::Updated { status, replaces }));
            }
            entry.updates.push_back(Waiting { status, kept, after });
        }
        let first = entry.updates.len() == 1;
        if is_end {
            self.settle_end(&framework, &task);
            if let Some(container) = &container {
                self.give_container(turn, container);
            }
        }
        let replaced = replaced.and_then(|old| old.status.update);
        if let (Some(old), Some(container)) = (replaced, &container) {
            self.acknowledge_to_executor(turn, container, &task, old);
        }
        if removed {
            if let (Some(update), Some(container)) = (update, &container) {
                self.acknowledge_to_executor(turn, container, &task, update);
            }
            if is_end {
                self.forget(turn, &framework, &task);
            }
        } else if kept == Kept::NotWritten && (first || newest_first || told_again) {
            self.send_update(turn, &framework, &task);
        }
    }

    /// The disk has the news, or has refused it: now it may be told.
    pub(super) fn on_update_kept(&mut self, turn: &mut Turn, status: &TaskStatus, kept: Kept) {
        let newest_first = self.config.has(Bug::UpdateReordered);
        let (framework, task) = (&status.framework, &status.task);
        let Some(entry) = self.state.task_mut(framework, task) else {
            return;
        };
        let waiting = entry.updates.iter_mut().find(|w| w.status.update == status.update);
        if let Some(waiting) = waiting {
            waiting.kept = kept;
        }
        let container = entry.container.clone();
        let first = entry.updates.front().is_some_and(|w| w.status.update == status.update);
        if let (Kept::Written, Source::Executor, Some(update), Some(container)) =
            (kept, status.source, status.update, &container)
        {
            self.acknowledge_to_executor(turn, container, task, update);
            if status.state.is_end() {
                self.expect_end_of_command(turn, container);
            }
        }
        // What older news waits for may take long; with it the master hears of the end, and what the task held is free.
        let told_again = status.state.is_end() && !self.config.has(Bug::LostUpdateNotResent);
        if first || newest_first || told_again {
            self.send_update(turn, framework, task);
        }
    }

    /// An executor of the agent's making ends by itself when the end of its task is acknowledged.
    fn expect_end_of_command(&mut self, turn: &mut Turn, container: &ContainerId) {
        let executor = self.state.executors.get(container);
        if executor.is_some_and(super::state::Executor::is_for_command) {
            self.expect_end(turn, container);
        }
    }

    /// An ended task holds nothing and is its executor's no longer.
    fn settle_end(&mut self, framework: &FrameworkId, task: &TaskId) {
        let removed = self.state.is_removed(framework);
        let Some(entry) = self.state.task(framework, task) else {
            return;
        };
        let Some(container) = entry.container.clone() else {
            return;
        };
        let resources = entry.spec.as_ref().map(|spec| spec.resources.clone());
        if let Some(executor) = self.state.executors.get_mut(&container)
            && let Some(at) = executor.tasks.iter().position(|mine| mine == task)
        {
            executor.tasks.remove(at);
            if let (Some(resources), false) = (resources, removed) {
                self.state.release(&resources);
            }
        }
    }

    /// Sends the oldest update that is not acknowledged, if there is a master to hear it.
    fn send_update(&mut self, turn: &mut Turn, framework: &FrameworkId, task: &TaskId) {
        let (min, max) = (self.config.update_backoff_min, self.config.update_backoff_max);
        let newest_first = self.config.has(Bug::UpdateReordered);
        let never_again = self.config.has(Bug::LostUpdateNotResent);
        let chance = self.chance.draw();
        let (Some(to), agent) = (self.membership.master(), self.membership.agent().cloned()) else {
            return;
        };
        let Some(entry) = self.state.task_mut(framework, task) else {
            return;
        };
        let next = if newest_first { entry.updates.back() } else { entry.updates.front() };
        let Some(mut status) =
            next.filter(|next| next.kept != Kept::Writing).map(|next| next.status.clone())
        else {
            return;
        };
        // What was said before the agent had an id.
        status.agent = agent;
        let after = backoff(min, max, entry.sent, chance);
        entry.sent += 1;
        entry.generation += 1;
        let generation = entry.generation;
        let message = AgentToMaster::Updated { status, latest: entry.known().0 };
        turn.push(Effect::TellMaster { to, message });
        if !never_again {
            let (framework, task) = (framework.clone(), task.clone());
            turn.start(Timer::UpdateAgain { framework, task, generation }, after);
        }
    }

    pub(super) fn on_update_due(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        task: &TaskId,
        generation: u64,
    ) {
        let current = self.state.task(framework, task).is_some_and(|t| t.generation == generation);
        if current {
            self.send_update(turn, framework, task);
        }
    }

    /// A new registration: all that waits is said at once.
    pub(super) fn send_waiting_updates(&mut self, turn: &mut Turn) {
        let waiting: Vec<(FrameworkId, TaskId)> = self
            .state
            .tasks()
            .filter(|(_, _, task)| !task.updates.is_empty())
            .map(|(framework, task, _)| (framework.clone(), task.clone()))
            .collect();
        for (framework, task) in waiting {
            if let Some(entry) = self.state.task_mut(&framework, &task) {
                entry.sent = 0;
            }
            self.send_update(turn, &framework, &task);
        }
    }

    /// The framework has the update: its executor may forget it, and the next one goes.
    pub(super) fn on_acknowledge(
        &mut self,
        turn: &mut Turn,
        framework: &FrameworkId,
        task: &TaskId,
        update: UpdateId,
    ) {
        if self.config.has(Bug::AckedUpdateResentForever) {
            return;
        }
        let any_place = self.config.has(Bug::UpdateReordered);
        let Some(entry) = self.state.task_mut(framework, task) else {
            return;
        };
        let at = entry.updates.iter().position(|waiting| waiting.status.update == Some(update));
        let Some(Waiting { status, kept, .. }) =
            at.filter(|at| *at == 0 || any_place).and_then(|at| entry.updates.remove(at))
        else {
            return;
        };
        entry.sent = 0;
        // The timer of what is acknowledged no longer counts.
        entry.generation += 1;
        let over = entry.state.is_end() && entry.updates.is_empty();
        if let (Kept::NotWritten, Source::Executor, Some(container)) =
            (kept, status.source, entry.container.clone())
        {
            self.acknowledge_to_executor(turn, &container, task, update);
        }
        if over {
            self.forget(turn, framework, task);
        } else {
            let (framework, task) = (framework.clone(), task.clone());
            turn.push(Effect::Write(Record::Acknowledged {
                framework: framework.clone(),
                task: task.clone(),
                update,
            }));
            self.send_update(turn, &framework, &task);
        }
    }

    /// The task has ended and its framework knows. An executor of the agent's making ends by itself then.
    pub(super) fn forget(&mut self, turn: &mut Turn, framework: &FrameworkId, task: &TaskId) {
        let Some(entry) = self.state.frameworks.get_mut(framework) else {
            return;
        };
        let Some(task_entry) = entry.tasks.remove(task) else {
            return;
        };
        self.remember_task(framework, &task_entry);
        if task_entry.container.is_some() {
            let (framework, task) = (framework.clone(), task.clone());
            turn.push(Effect::Write(Record::TaskForgotten { framework, task }));
        }
        if let (Some(container), Some(heard)) = (&task_entry.container, task_entry.heard)
            && let Some(executor) = self.state.executors.get_mut(container)
        {
            executor.heard.insert(task.clone(), heard);
            if executor.heard.len() > HEARD_MAX {
                executor.heard.pop_first();
            }
        }
        let state = task_entry.state;
        turn.note(Notice::TaskForgotten {
            framework: framework.clone(),
            task: task.clone(),
            state,
        });
        if let Some(container) = task_entry.container {
            self.expect_end_of_command(turn, &container);
        }
        self.state.forget_if_empty(framework);
        self.leave_if_done(turn);
    }

    /// Whoever looks sees it for a while.
    pub(super) fn remember_task(&mut self, framework: &FrameworkId, task: &Task) {
        let (Some(agent), Some(container)) = (self.membership.agent(), &task.container) else {
            return;
        };
        let executor_is_known = self.state.executors.contains_key(container)
            || self.state.past.has(framework, container);
        if executor_is_known && let Some(seen) = task.seen(agent, framework, Stage::Completed) {
            self.state.past.task_ended(container, seen);
        }
    }

    fn acknowledge_to_executor(
        &self,
        turn: &mut Turn,
        container: &ContainerId,
        task: &TaskId,
        update: UpdateId,
    ) {
        if let Some(pid) = self.state.executors.get(container).and_then(|executor| executor.pid) {
            turn.tell_executor(pid, AgentToExecutor::Acknowledge { task: task.clone(), update });
        }
    }
}

/// What an executor can know of its task. One of the v1 API may give it up in more words than ours.
fn may_be_said(state: TaskState, is_ours: bool) -> bool {
    match state {
        TaskState::Starting | TaskState::Running | TaskState::Killing => true,
        TaskState::Finished | TaskState::Failed | TaskState::Killed | TaskState::Error => true,
        TaskState::Lost | TaskState::Dropped | TaskState::Gone => !is_ours,
        TaskState::Staging | TaskState::Unreachable => false,
        TaskState::GoneByOperator | TaskState::Unknown => false,
    }
}
