//! What one agent has, what of it is used and what is offered. Only the master's logic writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::change::What;
use protocol::ids::{AgentId, ExecutorId, FrameworkId, Role, TaskId};
use protocol::resources::Resources;
use protocol::task::{ExecutorSpec, Run, TaskSpec};
use protocol::time::Instant;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::allocator::BookEntry;
use super::bugs::Bug;
use super::{Master, TaskKey, Turn};

/// One agent's book.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Book {
    pub(super) total: Resources,
    /// Held by executors and by tasks that have not ended.
    pub(super) used: Resources,
    /// Held by open offers.
    pub(super) offered: Resources,
    /// Open offers, by number: one, as a rule.
    pub(super) offers: SmallVec<[u64; 2]>,
    /// It has changed in this turn.
    pub(super) is_untold: bool,
    /// Tasks that are not ended and acknowledged.
    pub(super) tasks: BTreeSet<TaskKey>,
    /// Executors of frameworks' own; those of command tasks hold nothing of their own.
    pub(super) executors: BTreeMap<(FrameworkId, ExecutorId), BookedExecutor>,
}

/// An executor in the book.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BookedExecutor {
    pub(super) spec: ExecutorSpec,
    pub(super) role: Role,
    /// Its end was reported while the book still had tasks in it: news of them is on its way, or a second life was
    /// started by a launch that crossed the report. It leaves the book with its last task.
    pub(super) ended: bool,
    /// Whether this life of it has ever said something. One that has not may never have been started: it leaves the book
    /// with its last task.
    pub(super) heard: bool,
    /// Since when it is being shut down, if it is: another life is not started beside it.
    pub(super) ending: Option<Instant>,
}

/// For so long at most an executor that is being shut down takes no tasks; agents kill after a few seconds, unless the
/// command was lost.
const SHUTDOWN_MAX: Duration = Duration::from_secs(60);

impl BookedExecutor {
    pub(super) fn is_ending(&self, now: Instant) -> bool {
        self.ending.is_some_and(|since| now.since(since) < SHUTDOWN_MAX)
    }
}

impl Book {
    pub(super) fn of(total: Resources) -> Self {
        Self { total, ..Self::default() }
    }

    /// What can be offered. More may be used of something than there is: an agent may come back with less than its tasks have.
    pub(super) fn free(&self) -> Resources {
        self.total.minus(&self.used.plus(&self.offered))
    }

    /// Whether so much can be offered.
    pub(super) fn has_free(&self, resources: &Resources) -> bool {
        if self.used.is_empty() && self.offered.is_empty() {
            return self.total.contains(resources);
        }
        self.free().contains(resources)
    }

    /// The executors of one framework.
    pub(super) fn executors_of<'b>(
        &'b self,
        framework: &'b FrameworkId,
    ) -> impl Iterator<Item = (&'b ExecutorId, &'b BookedExecutor)> {
        self.executors.iter().filter(move |((f, _), _)| f == framework).map(|((_, e), b)| (e, b))
    }
}

/// A framework, and what it holds under a role.
pub(super) type Holder = (FrameworkId, Role, Resources);

/// What they hold together.
pub(super) fn sum_of(holders: &[Holder]) -> Resources {
    let mut all = Resources::none();
    holders.iter().for_each(|(_, _, resources)| all.add(resources));
    all
}

/// The executor that a task runs in: its own, of a command task, has the task's id.
pub(super) fn executor_of(spec: &TaskSpec) -> ExecutorId {
    match &spec.run {
        Run::Command(_) => ExecutorId::of_command(&spec.task),
        Run::Executor { executor, .. } => executor.executor.clone(),
    }
}

impl Master {
    /// Puts a framework's executor into an agent's book, if it is not there.
    pub(super) fn book_executor(
        &mut self,
        turn: &mut Turn,
        agent: &AgentId,
        framework: &FrameworkId,
        spec: &ExecutorSpec,
        role: &Role,
    ) {
        let Some(entry) = self.agents.get_mut(agent) else { return };
        let key = (framework.clone(), spec.executor.clone());
        if let Some(known) = entry.book.executors.get_mut(&key) {
            known.ended = false;
            known.ending = None;
            return;
        }
        entry.book.used.add(&spec.resources);
        turn.what.push(What::ExecutorBooked {
            agent: agent.clone(),
            framework: framework.clone(),
            executor: spec.executor.clone(),
            role: role.clone(),
            resources: spec.resources.clone(),
        });
        let (spec_, role) = (spec.clone(), role.clone());
        let booked = BookedExecutor { spec: spec_, role, ended: false, heard: false, ending: None };
        entry.book.executors.insert(key, booked);
        if let Some(framework) = self.frameworks.get_mut(framework) {
            framework.executors.insert((agent.clone(), spec.executor.clone()));
        }
        turn.book_of(entry);
    }

    /// Takes an executor out of its agent's book.
    pub(super) fn unbook_executor(
        &mut self,
        turn: &mut Turn,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) {
        let Some(entry) = self.agents.get_mut(agent) else { return };
        let Some(booked) = entry.book.executors.remove(&(framework.clone(), executor.clone()))
        else {
            return;
        };
        if let Some(entry) = self.frameworks.get_mut(framework) {
            entry.executors.remove(&(agent.clone(), executor.clone()));
        }
        turn.what.push(What::ExecutorUnbooked {
            agent: agent.clone(),
            framework: framework.clone(),
            executor: executor.clone(),
        });
        self.release(turn, agent, framework, &booked.role, &booked.spec.resources);
    }

    /// What a task or executor held is free again.
    pub(super) fn release(
        &mut self,
        turn: &mut Turn,
        agent: &AgentId,
        framework: &FrameworkId,
        role: &Role,
        resources: &Resources,
    ) {
        if resources.is_empty() || !self.agents.contains_key(agent) {
            return;
        }
        let twice = self.config.bugs.has(Bug::ResourcesReturnedTwice);
        for _ in 0..=usize::from(twice) {
            let left = self.agents.get(agent).and_then(|a| a.book.used.checked_sub(resources));
            // An agent may report tasks that together hold one port twice. Then the sum is no guide: count anew.
            let used = left.unwrap_or_else(|| self.used_on(agent));
            let Some(entry) = self.agents.get_mut(agent) else { return };
            entry.book.used = used;
            if entry.counts() {
                turn.entries.push(BookEntry::Released {
                    agent: agent.clone(),
                    framework: framework.clone(),
                    role: match self.config.bugs.has(Bug::ReleasedUnderAnotherRole) {
                        true => Role::everybody(),
                        false => role.clone(),
                    },
                    resources: resources.clone(),
                });
            }
        }
        if let Some(entry) = self.agents.get_mut(agent) {
            turn.book_of(entry);
        }
    }

    /// Counts what executors and tasks that have not ended hold on an agent.
    pub(super) fn used_on(&self, agent: &AgentId) -> Resources {
        sum_of(&self.holders_on(agent))
    }

    /// Who holds what on an agent, offers left out: one entry for each framework and role.
    pub(super) fn holders_on(&self, agent: &AgentId) -> Vec<Holder> {
        let Some(entry) = self.agents.get(agent) else { return Vec::new() };
        let mut held: BTreeMap<(FrameworkId, Role), Resources> = BTreeMap::new();
        for ((framework, _), booked) in &entry.book.executors {
            let key = (framework.clone(), booked.role.clone());
            held.entry(key).or_default().add(&booked.spec.resources);
        }
        for (framework, id) in &entry.book.tasks {
            if let Some(task) = self.task(framework, id).filter(|task| !task.state.is_end()) {
                let key = (framework.clone(), task.role.clone());
                held.entry(key).or_default().add(&task.spec.resources);
            }
        }
        held.into_iter().map(|((framework, role), all)| (framework, role, all)).collect()
    }

    /// Whether an executor has tasks that have not ended.
    pub(super) fn has_tasks(
        &self,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) -> bool {
        self.tasks_in(agent, framework, executor)
            .into_iter()
            .any(|id| self.task(framework, &id).is_some_and(|task| !task.state.is_end()))
    }

    /// The tasks of one executor.
    pub(super) fn tasks_in(
        &self,
        agent: &AgentId,
        framework: &FrameworkId,
        executor: &ExecutorId,
    ) -> Vec<TaskId> {
        let Some(entry) = self.agents.get(agent) else { return Vec::new() };
        let first = (framework.clone(), TaskId::new(""));
        let all = entry.book.tasks.range(first..).take_while(|(f, _)| f == framework);
        all.filter(|(f, id)| self.task(f, id).is_some_and(|task| task.executor == *executor))
            .map(|(_, id)| id.clone())
            .collect()
    }
}
