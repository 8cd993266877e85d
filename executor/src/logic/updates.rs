//! The executor's news of its task: sent at once, in order, and again until acknowledged.

use std::collections::VecDeque;

use protocol::executor::ExecutorToAgent;
use protocol::ids::{TaskId, UpdateId};
use protocol::task::{Exit, Isolation, Reason, Source, TaskState, TaskStatus};
use serde::{Deserialize, Serialize};

use super::words::{Remark, SpawnFailure, words_of_exit};
use super::{Bug, Effect, Executor, Timer, Turn};

/// What is not acknowledged yet, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Updates {
    last: UpdateId,
    waiting: VecDeque<TaskStatus>,
    sent: u32,
    generation: u64,
}

/// What is said of a task.
pub(super) struct Saying {
    state: TaskState,
    reason: Option<Reason>,
    message: String,
    exit: Option<Exit>,
    process: Option<u32>,
}

impl Saying {
    fn plain(state: TaskState, message: impl Into<String>) -> Self {
        Self { state, reason: None, message: message.into(), exit: None, process: None }
    }

    pub(super) fn refused(message: String) -> Self {
        Self { reason: Some(Reason::TaskInvalid), ..Self::plain(TaskState::Error, message) }
    }

    pub(super) fn starting() -> Self {
        Self::plain(TaskState::Starting, "its executor starts the command")
    }

    pub(super) fn running(process: u32) -> Self {
        let message =
            "isolated by a process group only: no limit on cpu, memory or disk is enforced";
        Self { process: Some(process), ..Self::plain(TaskState::Running, message) }
    }

    pub(super) fn killing() -> Self {
        Self::plain(TaskState::Killing, "told to end by SIGTERM")
    }

    pub(super) fn not_spawned(failure: &SpawnFailure) -> Self {
        let reason = Some(failure.reason());
        Self { reason, ..Self::plain(TaskState::Failed, failure.to_string()) }
    }

    pub(super) fn ended(exit: Exit, killed: bool, remark: Option<&Remark>) -> Self {
        let state = match (killed, exit) {
            (true, _) => TaskState::Killed,
            (false, Exit::Code(0)) => TaskState::Finished,
            (false, Exit::Code(_) | Exit::Signal(_)) => TaskState::Failed,
        };
        let full = "; the disk of its sandbox is full, so its output may be cut off";
        let (words, reason) = match remark.filter(|_| state != TaskState::Finished) {
            None => (words_of_exit(exit), None),
            Some(Remark::SandboxFull) => (words_of_exit(exit) + full, None),
            Some(Remark::NotBegun(why)) => {
                let reason = (!killed).then_some(Reason::CommandExecutorFailed);
                (format!("cannot {why}"), reason)
            }
        };
        Self { exit: Some(exit), reason, ..Self::plain(state, words) }
    }
}

impl Updates {
    pub(super) fn new(source: u64) -> Self {
        let last = UpdateId { source, sequence: 0 };
        Self { last, waiting: VecDeque::new(), sent: 0, generation: 0 }
    }

    /// What was drawn for this executor.
    pub(super) fn source(&self) -> u64 {
        self.last.source
    }

    pub(super) fn waiting(&self) -> impl DoubleEndedIterator<Item = &TaskStatus> {
        self.waiting.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether it was waiting for this one.
    pub(super) fn acknowledge(&mut self, task: &TaskId, update: UpdateId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|status| status.task != *task || status.update != Some(update));
        self.waiting.len() < before
    }
}

impl Executor {
    pub(super) fn say(&mut self, turn: &mut Turn, task: &TaskId, saying: Saying) {
        self.updates.last.sequence += 1;
        let isolation = saying.process.map(|_| Isolation::ProcessGroup);
        let (framework, executor) = (self.identity.framework.clone(), &self.identity.executor);
        let status = TaskStatus {
            agent: self.agent_id.clone(),
            executor: Some(executor.clone()),
            reason: saying.reason,
            message: saying.message,
            exit: saying.exit,
            isolation,
            process: saying.process,
            at: turn.now.wall,
            update: Some(self.updates.last),
            ..TaskStatus::plain(framework, task.clone(), saying.state, Source::Executor)
        };
        self.updates.waiting.push_back(status.clone());
        let late = self.config.has(Bug::EndToldBeforeNoted);
        if status.state.is_end() && !late {
            turn.push(Effect::NoteEnd(Box::new(status.clone())));
        }
        if let Some(to) = self.agent {
            let message = ExecutorToAgent::Updated(status.clone());
            turn.push(Effect::TellAgent { to, message });
        }
        if status.state.is_end() && late {
            turn.push(Effect::NoteEnd(Box::new(status)));
        }
        self.updates.sent = 0;
        self.start_updates_timer(turn);
    }

    fn start_updates_timer(&mut self, turn: &mut Turn) {
        self.updates.generation += 1;
        let generation = self.updates.generation;
        let after = self.config.update_backoff(self.updates.sent);
        turn.start(Timer::UpdatesAgain { generation }, after);
    }

    pub(super) fn on_updates_due(&mut self, turn: &mut Turn, generation: u64) {
        if generation != self.updates.generation || self.updates.is_empty() {
            return;
        }
        if let Some(to) = self.agent {
            for status in &self.updates.waiting {
                let message = ExecutorToAgent::Updated(status.clone());
                turn.push(Effect::TellAgent { to, message });
            }
        }
        self.updates.sent += 1;
        self.start_updates_timer(turn);
    }
}
