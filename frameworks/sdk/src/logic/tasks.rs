//! Tasks: what was launched, what became of it, and what the scheduler was told. An entry of the book lives from its
//! launch until its end was handled; an id in the book, or in the master's, is never launched again.

use std::sync::Arc;
use std::time::Duration;

use protocol::framework::{FrameworkToMaster, shorter_grace};
use protocol::ids::{AgentId, TaskId, UpdateId};
use protocol::task::{Reason, Source, TaskReport, TaskState, TaskStatus};
use protocol::time::Instant;
use serde::{Deserialize, Serialize};

use super::subscription::Snapshot;
use super::view::View;
use super::{Bug, Driver, News, Turn};

/// A task that was launched and has not ended, as far as the scheduler was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedTask {
    /// Where it was launched, or where the master has it.
    pub agent: AgentId,
    /// The newest state that the scheduler was told.
    pub state: TaskState,
    /// Since when nobody has confirmed the launch.
    pub unconfirmed: Option<Instant>,
    /// Nobody knows whether the launch arrived, or the task is still there: the driver keeps asking.
    pub doubt: bool,
    /// The master was asked about it since it was launched.
    pub asked: bool,
    /// It is to be killed, with this grace, the shortest that was asked for; said again after each return to a master.
    pub kill: Option<Option<Duration>>,
}

impl BookedTask {
    pub(super) fn new(agent: AgentId, unconfirmed: Option<Instant>) -> Self {
        let state = TaskState::Staging;
        Self { agent, state, unconfirmed, doubt: false, asked: false, kill: None }
    }
}

impl Driver {
    /// Tasks that were launched and have not ended, as far as the scheduler was told.
    pub fn book(&self) -> impl Iterator<Item = (&TaskId, &BookedTask)> {
        self.book.iter()
    }

    pub(super) fn on_snapshot(&mut self, turn: &mut Turn, snapshot: Snapshot) {
        self.view = View::of(snapshot.change, &snapshot.tasks);
        self.doubt_all_but_viewed(turn);
        for report in snapshot.tasks {
            self.on_report(turn, report);
        }
        let kills = self.book.iter().filter_map(|(id, task)| Some((id.clone(), task.kill?)));
        for (task, grace) in kills.collect::<Vec<_>>() {
            self.tell_kill(turn, &task, grace);
        }
    }

    /// A task of the snapshot: what happened to it while nobody listened is told now.
    fn on_report(&mut self, turn: &mut Turn, report: TaskReport) {
        self.executors.reported(&report);
        if let Some(status) = report.unacknowledged {
            return self.on_updated(turn, Arc::unwrap_or_clone(status));
        }
        let told = self.book.get(&report.spec.task).map(|task| task.state);
        self.confirm(&report);
        self.kill_if_given_up(turn, &report);
        if told == Some(report.state) || report.state.is_end() {
            return;
        }
        self.on_updated(turn, stated(&report, turn));
    }

    pub(super) fn on_updated(&mut self, turn: &mut Turn, status: TaskStatus) {
        if let Some(viewed) = self.view.tasks.get_mut(&status.task)
            && viewed.state.can_become(status.state)
        {
            viewed.state = status.state;
        }
        if self.settled.contains(&status.task) && !self.has(Bug::FilterDuplicatesOff) {
            let is_new = status.update.is_none_or(|update| !self.handled.contains(&update));
            let runs = matches!(
                status.state,
                TaskState::Starting | TaskState::Running | TaskState::Killing
            );
            if is_new && runs {
                // It was given up and runs on, as far as this says, and nobody waits for it.
                let (task, agent) = (status.task.clone(), status.agent.clone());
                self.tell(turn, FrameworkToMaster::Kill { task, agent, grace: None });
            }
            return self.acknowledge(turn, &status);
        }
        match status.update {
            Some(update) => self.on_news(turn, status, update),
            None => self.on_statement(turn, status),
        }
    }

    /// News that is sent again until it is acknowledged, so a repeat is normal.
    fn on_news(&mut self, turn: &mut Turn, status: TaskStatus, update: UpdateId) {
        if self.handled.contains(&update) && !self.has(Bug::FilterDuplicatesOff) {
            return self.acknowledge(turn, &status);
        }
        self.remember_handled(update);
        if let Some(agent) = status.agent.clone() {
            let entry = self.book.entry(status.task.clone());
            entry.or_insert_with(|| BookedTask::new(agent, None));
        }
        let Some(task) = self.book.get_mut(&status.task) else {
            // News without an agent cannot be acknowledged, and of an unknown task means nothing.
            return;
        };
        if status.agent.as_ref() != Some(&task.agent) {
            // Late news of an earlier task of this id, which ran elsewhere.
            return self.acknowledge(turn, &status);
        }
        (task.unconfirmed, task.doubt) = (None, false);
        if task.state.can_become(status.state) {
            task.state = status.state;
            turn.news.push_back(News::Updated(Box::new(status)));
        } else {
            // Newer news overtook it by way of a snapshot; it must still not come again.
            self.acknowledge(turn, &status);
        }
    }

    /// The master's own word, said once: a refused launch, an unreachable agent, an answer to a question.
    fn on_statement(&mut self, turn: &mut Turn, mut status: TaskStatus) {
        let answer = matches!(status.reason, Some(Reason::Reconciliation | Reason::TaskUnknown));
        let in_snapshot = self.view.tasks.contains_key(&status.task);
        if in_snapshot && let Some(agent) = status.agent.clone() {
            let entry = self.book.entry(status.task.clone());
            entry.or_insert_with(|| BookedTask::new(agent, None));
        }
        let Some(task) = self.book.get_mut(&status.task) else {
            return;
        };
        if answer && task.unconfirmed.is_some() && !task.asked {
            // It answers a question about an earlier task of this id.
            return;
        }
        if status.state == TaskState::Unknown {
            // Nobody has it and nobody can bring it back: for the scheduler it never started.
            status.state = TaskState::Dropped;
        }
        let (old, new) = (task.state, status.state);
        // An agent that is out of reach may have it, or may not: only its return or removal settles that.
        let may_have = new == TaskState::Unreachable;
        task.doubt = may_have && status.reason == Some(Reason::TaskUnknown);
        task.unconfirmed = None;
        let repeat = old == new && answer;
        if !repeat && old.can_become(new) {
            task.state = new;
            turn.news.push_back(News::Updated(Box::new(status.clone())));
        }
        if answer && let Some(agent) = status.agent {
            task.agent = agent;
        }
        if new.is_end() {
            self.book.remove(&status.task);
            self.settle(&status.task);
        }
    }

    /// Nothing more of it is told.
    fn settle(&mut self, task: &TaskId) {
        self.settled.insert(task.clone(), self.settings.handled_most);
    }

    /// The scheduler has dealt with the news. A repeat does not come here: it may be of an earlier task of its id, of which
    /// the book has the next one.
    pub(crate) fn on_dealt_with(&mut self, turn: &mut Turn, status: &TaskStatus) {
        let ended = self.book.get(&status.task).is_some_and(|task| task.state.is_end());
        if status.update.is_some() && ended {
            self.book.remove(&status.task);
            self.settle(&status.task);
        }
        self.acknowledge(turn, status);
    }

    fn acknowledge(&mut self, turn: &mut Turn, status: &TaskStatus) {
        let (Some(update), Some(agent)) = (status.update, status.agent.clone()) else {
            return;
        };
        let task = status.task.clone();
        self.tell(turn, FrameworkToMaster::Acknowledge { agent, task, update });
    }

    fn remember_handled(&mut self, update: UpdateId) {
        if !self.handled.insert(update) {
            return;
        }
        self.handled_order.push_back(update);
        if self.handled_order.len() > self.settings.handled_most
            && let Some(oldest) = self.handled_order.pop_front()
        {
            self.handled.remove(&oldest);
        }
    }

    /// The master has the task, and there: its launch arrived. One that ended elsewhere is an earlier task of this id.
    pub(super) fn confirm(&mut self, report: &TaskReport) {
        let earlier = |task: &BookedTask| task.agent != report.agent && report.state.is_end();
        if let Some(task) = self.book.get_mut(&report.spec.task).filter(|task| !earlier(task)) {
            task.agent.clone_from(&report.agent);
            (task.unconfirmed, task.doubt) = (None, false);
        }
    }

    /// A task that was given up, and of which the scheduler was told so, is back and runs: nobody waits for it any more.
    pub(super) fn kill_if_given_up(&mut self, turn: &mut Turn, report: &TaskReport) {
        let (task, agent) = (&report.spec.task, Some(report.agent.clone()));
        if self.settled.contains(task) && !report.state.is_end() {
            self.tell(turn, FrameworkToMaster::Kill { task: task.clone(), agent, grace: None });
        }
    }

    /// Its agent has returned to a master that answered until then that the task is out of reach.
    pub(super) fn is_back_if_unreachable(&mut self, turn: &mut Turn, report: &TaskReport) {
        let told = self.book.get(&report.spec.task).map(|task| task.state);
        let news_will_come = report.unacknowledged.is_some() || report.state.is_end();
        if told == Some(TaskState::Unreachable) && !news_will_come {
            self.on_updated(turn, stated(report, turn));
        }
    }

    pub(crate) fn kill(&mut self, turn: &mut Turn, task: &TaskId, grace: Option<Duration>) {
        if self.take_back_launch(task)
            && let Some(entry) = self.book.remove(task)
        {
            return self.drop_task(turn, task, &entry, "it was killed before it was launched");
        }
        if let Some(task) = self.book.get_mut(task) {
            task.kill = Some(task.kill.map_or(grace, |before| shorter_grace(before, grace)));
        }
        self.tell_kill(turn, task, grace);
    }

    fn tell_kill(&mut self, turn: &mut Turn, task: &TaskId, grace: Option<Duration>) {
        let agent = self.book.get(task).map(|task| task.agent.clone());
        self.tell(turn, FrameworkToMaster::Kill { task: task.clone(), agent, grace });
    }

    /// No master has it, none will ask again: the scheduler may launch it anew.
    pub(super) fn drop_task(
        &mut self,
        turn: &mut Turn,
        task: &TaskId,
        entry: &BookedTask,
        why: &str,
    ) {
        let Some(framework) = self.framework.clone() else {
            return;
        };
        self.settle(task);
        turn.news.push_back(News::Updated(Box::new(TaskStatus {
            framework,
            task: task.clone(),
            agent: Some(entry.agent.clone()),
            executor: None,
            state: TaskState::Dropped,
            source: Source::Master,
            reason: Some(Reason::MasterDisconnected),
            message: why.to_owned(),
            exit: None,
            isolation: None,
            process: None,
            data: Vec::new(),
            at: turn.now.wall,
            update: None,
            carried: Default::default(),
        })));
    }
}

/// What the snapshot says of a task, as a status.
fn stated(report: &TaskReport, turn: &Turn) -> TaskStatus {
    TaskStatus {
        framework: report.framework.clone(),
        task: report.spec.task.clone(),
        agent: Some(report.agent.clone()),
        executor: Some(report.executor.clone()),
        state: report.state,
        source: Source::Master,
        reason: Some(Reason::Reconciliation),
        message: "as the master has it".to_owned(),
        exit: None,
        isolation: None,
        process: None,
        data: Vec::new(),
        at: turn.now.wall,
        update: None,
        carried: Default::default(),
    }
}
