//! The ends of tasks that are not in the books any more: so many for each framework, the oldest make room.

use std::collections::BTreeMap;

use libactor::Pid;
use protocol::agent::MasterToAgent;
use protocol::ids::{AgentId, FrameworkId, TaskId, UpdateId};
use protocol::task::{TaskReport, TaskState, TaskStatus};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::Task;
use crate::logic::bugs::Bug;
use crate::logic::{Master, Turn};

/// Ends, by task and by age.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::logic) struct Ended {
    newest: u64,
    by_task: BTreeMap<TaskId, End>,
    by_age: BTreeMap<u64, TaskId>,
}

/// The end of one task.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct End {
    age: u64,
    status: TaskStatus,
    heard: Heard,
}

/// Of so many at most who spoke of tasks of one id.
const SOURCES_MAX: usize = 16;

/// The newest news of a task that was heard from each who speaks of it: its executor, and its agent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::logic) struct Heard {
    /// Of one, as a rule.
    newest: SmallVec<[UpdateId; 1]>,
    /// An agent that came back told of its end, and has perhaps not told yet what came before that.
    lacks_some: bool,
}

impl Heard {
    pub(in crate::logic) fn note(&mut self, update: Option<UpdateId>) {
        let Some(update) = update else { return };
        match self.newest.iter_mut().find(|heard| heard.source == update.source) {
            Some(heard) => heard.sequence = heard.sequence.max(update.sequence),
            None => self.newest.push(update),
        }
    }

    /// What an agent that is back says of a task.
    pub(in crate::logic) fn note_report(&mut self, report: &TaskReport) {
        self.note(report.unacknowledged.as_ref().and_then(|news| news.update));
        self.lacks_some |= report.state.is_end();
    }

    /// With what was heard of the next task of the id.
    fn and(mut self, next: Self) -> Self {
        next.newest.into_iter().for_each(|update| self.note(Some(update)));
        let surplus = self.newest.len().saturating_sub(SOURCES_MAX);
        self.newest.drain(..surplus);
        Self { lacks_some: next.lacks_some, ..self }
    }

    fn has(&self, update: UpdateId) -> bool {
        self.newest.iter().any(|at| at.source == update.source && at.sequence >= update.sequence)
    }
}

impl Ended {
    /// Remembers an end; of tasks of one id only the last, with what was heard of any of them.
    pub(in crate::logic) fn remember(&mut self, status: TaskStatus, heard: Heard, most: usize) {
        self.newest += 1;
        let task = status.task.clone();
        let before = self.by_task.get(&task).map(|before| before.heard.clone());
        let heard = before.unwrap_or_default().and(heard);
        let end = End { age: self.newest, status, heard };
        if let Some(before) = self.by_task.insert(task.clone(), end) {
            self.by_age.remove(&before.age);
        }
        self.by_age.insert(self.newest, task);
        while self.by_age.len() > most {
            if let Some((_, oldest)) = self.by_age.pop_first() {
                self.by_task.remove(&oldest);
            }
        }
    }

    /// All that are remembered.
    pub(in crate::logic) fn all(&self) -> impl Iterator<Item = &TaskStatus> {
        self.by_task.values().map(|end| &end.status)
    }

    /// How a task ended.
    pub(in crate::logic) fn end_of(&self, task: &TaskId) -> Option<&TaskStatus> {
        self.by_task.get(task).map(|end| &end.status)
    }
}

impl Master {
    /// Whether news of a task is of one whose end is dealt with; its id may be launched again since. Its agent has not heard
    /// of that.
    pub(in crate::logic) fn is_of_earlier_task(
        &self,
        framework: &FrameworkId,
        task: &TaskId,
        update: Option<UpdateId>,
    ) -> bool {
        let (Some(entry), Some(update)) = (self.frameworks.get(framework), update) else {
            return false;
        };
        let of = |heard: Option<&Heard>| heard.map(|heard| heard.has(update));
        let of_this = of(entry.tasks.get(task).map(|task| &task.heard));
        let of_ended = of(entry.ended.by_task.get(task).map(|end| &end.heard));
        of_this != Some(true) && of_ended == Some(true)
    }

    /// Whether news is, as far as anybody can tell, what the earlier task of the id did before its end, from an agent that told of
    /// that end first and has not heard yet that it is dealt with. Were it of the next task, its end would come after it: then
    /// all that is lost is that it ran before.
    pub(in crate::logic) fn is_what_was_before_the_end(
        &self,
        agent: &AgentId,
        status: &TaskStatus,
        latest: TaskState,
    ) -> bool {
        if status.state.is_end() || !latest.is_end() {
            return false;
        }
        let Some(entry) = self.frameworks.get(&status.framework) else { return false };
        let next = entry.tasks.get(&status.task).filter(|task| task.is_staging());
        let end = entry.ended.by_task.get(&status.task);
        next.zip(end).is_some_and(|(next, end)| {
            next.agent == *agent
                && end.heard.lacks_some
                && (end.status.agent.as_ref(), end.status.state) == (Some(agent), latest)
        })
    }

    /// Whether an agent that is back reports an earlier task in place of the one that was launched since.
    pub(in crate::logic) fn is_report_of_earlier_task(&self, report: &TaskReport) -> bool {
        let (framework, task) = (&report.framework, &report.spec.task);
        let update = report.unacknowledged.as_ref().and_then(|news| news.update);
        update.is_some()
            && self.task(framework, task).is_some_and(Task::is_staging)
            && self.is_of_earlier_task(framework, task, update)
    }

    /// Whether a framework has acknowledged this news of a task that has not ended, of which its agent has not heard.
    pub(in crate::logic) fn is_dealt_with(
        &self,
        framework: &FrameworkId,
        task: &TaskId,
        update: Option<UpdateId>,
    ) -> bool {
        let task =
            self.task(framework, task).filter(|_| !self.config.bugs.has(Bug::AckNotForwarded));
        update.is_some() && task.is_some_and(|task| task.acknowledged == update)
    }

    /// It was dealt with, and must not come again.
    pub(in crate::logic) fn acknowledge_again(&self, turn: &mut Turn, to: Pid, news: &TaskStatus) {
        if let Some(update) = news.update {
            let (epoch, framework, task) =
                (self.epoch(), news.framework.clone(), news.task.clone());
            turn.tell_agent(to, MasterToAgent::Acknowledge { epoch, framework, task, update });
        }
    }
}
