//! Asking about tasks whose fate is not known, until it is. A master that has just come to reign may not know for a
//! while, so questions are repeated with backoff and only an answer settles them.

use std::time::Duration;

use protocol::framework::FrameworkToMaster;
use protocol::ids::{AgentId, TaskId};
use protocol::time::Instant;

use super::{Bug, Driver, Phase, Timer, Turn};

/// The most tasks that one question names.
const ASKED_AT_ONCE: usize = 500;

/// Few questions are asked every second or two. Of many it takes so long for each until they are asked again, and no longer than
/// `AGAIN_MAX`.
const AGAIN_FOR_EACH: Duration = Duration::from_micros(300);
const AGAIN_MAX: Duration = Duration::from_secs(30);

impl Driver {
    /// What the book has and the master's snapshot has not: a launch may have been lost, or an end that the master
    /// decided by itself.
    pub(super) fn doubt_all_but_viewed(&mut self, turn: &mut Turn) {
        let view = &self.view.tasks;
        let missing: Vec<TaskId> =
            self.book.keys().filter(|task| !view.contains_key(*task)).cloned().collect();
        for task in missing {
            if self.has(Bug::RelaunchesUnacknowledged) {
                if let Some(entry) = self.book.remove(&task) {
                    self.drop_task(turn, &task, &entry, "its launch was lost on the way");
                }
            } else if let Some(entry) = self.book.get_mut(&task) {
                entry.doubt = true;
            }
        }
        self.ask(turn, self.doubtful(turn.now.steady));
        self.doubts = None;
        self.watch_doubts(turn);
    }

    /// The master forgot a task of which the scheduler has not heard the end.
    pub(super) fn doubt_forgotten(&mut self, turn: &mut Turn, task: &TaskId) {
        let Some(entry) = self.book.get_mut(task) else {
            return;
        };
        if entry.unconfirmed.is_none() && !entry.state.is_end() {
            entry.doubt = true;
            self.watch_doubts(turn);
        }
    }

    fn doubtful(&self, now: Instant) -> Vec<TaskId> {
        let overdue = |since: Instant| now.since(since) >= self.settings.doubt_after;
        let doubtful = self
            .book
            .iter()
            .filter(|(_, task)| task.doubt || task.unconfirmed.is_some_and(overdue));
        doubtful.map(|(id, _)| id.clone()).collect()
    }

    /// Starts the timer for doubts, unless it runs or there is nothing to doubt.
    pub(super) fn watch_doubts(&mut self, turn: &mut Turn) {
        if self.doubts.is_some() {
            return;
        }
        let doubt = self.book.values().any(|task| task.doubt);
        let unconfirmed = self.book.values().any(|task| task.unconfirmed.is_some());
        if doubt || unconfirmed {
            let after = if doubt { self.settings.backoff * 4 } else { self.settings.doubt_after };
            self.start_doubts(turn, after, 0);
        }
    }

    fn start_doubts(&mut self, turn: &mut Turn, after: Duration, round: u32) {
        let generation = self.next_generation();
        self.doubts = Some((generation, round));
        turn.start(Timer::Doubts(generation), after);
    }

    pub(super) fn on_doubts_due(&mut self, turn: &mut Turn, due: u64) {
        let round = match self.doubts {
            Some((generation, round)) if generation == due => round + 1,
            Some(_) | None => return,
        };
        self.doubts = None;
        if !matches!(self.phase, Phase::Subscribed { .. }) {
            return; // The next snapshot begins anew.
        }
        let doubtful = self.doubtful(turn.now.steady);
        if doubtful.is_empty() {
            return self.watch_doubts(turn);
        }
        let count = u32::try_from(doubtful.len()).unwrap_or(u32::MAX);
        self.ask(turn, doubtful);
        let most = AGAIN_FOR_EACH.saturating_mul(count).min(AGAIN_MAX);
        let most = most.max(self.settings.backoff_most);
        let after = self.settings.backoff.saturating_mul(4 << round.min(10)).min(most);
        self.start_doubts(turn, after, round);
    }

    fn ask(&mut self, turn: &mut Turn, tasks: Vec<TaskId>) {
        let mut questions: Vec<(TaskId, Option<AgentId>)> = Vec::with_capacity(tasks.len());
        for task in tasks {
            if let Some(entry) = self.book.get_mut(&task) {
                entry.asked = true;
                questions.push((task, Some(entry.agent.clone())));
            }
        }
        for some in questions.chunks(ASKED_AT_ONCE) {
            self.tell(turn, FrameworkToMaster::Reconcile(some.to_vec()));
        }
    }

    /// All tasks are asked about from time to time, so that no mistake of anybody's lasts.
    pub(super) fn start_reconciling(&mut self, turn: &mut Turn) {
        self.reconcile = self.next_generation();
        turn.start(Timer::Reconcile(self.reconcile), self.settings.reconcile_every);
    }

    pub(super) fn on_reconcile_due(&mut self, turn: &mut Turn, due: u64) {
        if self.reconcile != due || !matches!(self.phase, Phase::Subscribed { .. }) {
            return;
        }
        let all = self.book.keys().cloned().collect();
        self.ask(turn, all);
        self.start_reconciling(turn);
    }
}
