//! The scheduler of a batch. Reads no clock and draws no chance, so it runs in the simulator as it is.

use std::collections::{BTreeMap, VecDeque};

use sdk::prelude::*;
use sdk::protocol::time::Instant;
use sdk::typed;

use crate::job::{self, BadBatch, Job, Limits};
use crate::report::{Attempt, JobReport, Report, Verdict};

/// As [`Scheduler::input`]: start nothing more and kill what runs.
pub const CANCEL: &[u8] = b"cancel";

/// What a watcher is told, when it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A master has taken the framework.
    Subscribed(FrameworkId),
    /// The master is lost; the driver looks for it.
    Disconnected,
    /// A try was launched on an offer.
    Launched {
        /// Its task.
        task: TaskId,
        /// Which try it is, from 1.
        attempt: u32,
        /// Where.
        offer: Box<Offer>,
    },
    /// News of a try.
    Updated(Box<TaskStatus>),
    /// A job has its verdict.
    Decided {
        /// Which.
        job: String,
        /// What it is.
        verdict: Verdict,
        /// How many jobs have none yet.
        left: usize,
    },
    /// The master refused something, in words.
    Refused(String),
}

/// Whom it may concern.
type Watcher = Box<dyn FnMut(&Happening) + Send>;

/// A job, and how it stands.
struct Entry {
    job: Job,
    /// Its place among the needs of the batch.
    need: usize,
    verdict: Verdict,
    attempts: Vec<Attempt>,
    /// When the try at work was launched, if this life did that.
    launched: Option<Instant>,
}

/// The scheduler.
pub struct Batch {
    entries: Vec<Entry>,
    by_name: BTreeMap<String, usize>,
    /// What jobs need, each once: needs that are alike are one demand.
    needs: Vec<Resources>,
    /// Those that wait for a try, by their place.
    waiting: VecDeque<usize>,
    /// How many are being tried, and how many have no verdict.
    trying: usize,
    left: usize,
    limits: Limits,
    cancelled: bool,
    watcher: Watcher,
}

impl Batch {
    /// A batch of these jobs; `watcher` is told what happens.
    pub fn new(
        jobs: Vec<Job>,
        limits: Limits,
        watcher: impl FnMut(&Happening) + Send + 'static,
    ) -> Result<Self, BadBatch> {
        job::check(&jobs)?;
        let mut needs = BTreeMap::new();
        let mut entries = Vec::with_capacity(jobs.len());
        for job in jobs {
            let next = needs.len();
            let need = *needs.entry(job.task.resources.clone()).or_insert(next);
            let (verdict, attempts) = (Verdict::Waiting, Vec::new());
            entries.push(Entry { job, need, verdict, attempts, launched: None });
        }
        let mut by_place: Vec<(usize, Resources)> =
            needs.into_iter().map(|(need, place)| (place, need)).collect();
        by_place.sort();
        let names = entries.iter().enumerate().map(|(n, entry)| (entry.job.name.clone(), n));
        Ok(Self {
            by_name: names.collect(),
            needs: by_place.into_iter().map(|(_, need)| need).collect(),
            trying: 0,
            left: entries.len(),
            waiting: (0..entries.len()).collect(),
            entries,
            limits,
            cancelled: false,
            watcher: Box::new(watcher),
        })
    }

    /// How it stands with all jobs.
    pub fn report(&self) -> Report {
        let jobs = self.entries.iter().map(|entry| JobReport {
            name: entry.job.name.clone(),
            verdict: entry.verdict,
            attempts: entry.attempts.clone(),
        });
        Report { jobs: jobs.collect() }
    }

    /// The only place where verdicts change, so that the counts hold.
    fn set(&mut self, place: usize, verdict: Verdict) {
        let before = std::mem::replace(&mut self.entries[place].verdict, verdict);
        self.trying += usize::from(verdict == Verdict::Trying);
        self.trying -= usize::from(before == Verdict::Trying);
        self.left += usize::from(!verdict.is_final());
        self.left -= usize::from(!before.is_final());
    }

    fn tell(&mut self, happening: &Happening) {
        (self.watcher)(happening);
    }

    fn state_demand(&self, calls: &mut Calls) {
        let room = self.limits.at_once.saturating_sub(self.trying);
        let mut counts = vec![0; self.needs.len()];
        for place in self.waiting.iter().take(room) {
            counts[self.entries[*place].need] += 1;
        }
        let needs = self.needs.iter().zip(counts).filter(|(_, count)| *count > 0);
        let demand = needs.map(|(each, count)| Demand {
            each: each.clone(),
            count,
            constraints: Vec::new(),
        });
        calls.demand(demand.collect());
    }

    /// The next try of a job on an offer, if it holds it.
    fn try_on(&mut self, calls: &mut Calls, place: usize, offer: &Offer) -> bool {
        let entry = &mut self.entries[place];
        let last = entry.attempts.last().and_then(|last| job::parts(&last.task));
        let attempt = last.map_or(1, |(_, number)| number + 1);
        let task = TaskId::new(format!("{}.{attempt}", entry.job.name));
        let mut spec = entry.job.task.clone();
        spec.task = task.clone();
        if calls.launch(offer, spec).is_err() {
            return false;
        }
        entry.launched = Some(calls.now().steady);
        entry.attempts.push(begun(task.clone(), Some(offer.agent.clone())));
        self.set(place, Verdict::Trying);
        self.tell(&Happening::Launched { task, attempt, offer: Box::new(offer.clone()) });
        true
    }

    /// What is known of a job is written down at each end, so that the next life does not try too often.
    fn store(&self, calls: &mut Calls, entry: &Entry) {
        let kept = (entry.verdict, &entry.attempts);
        if let Ok(bytes) = typed::encode(&kept) {
            calls.store(entry.job.name.clone(), bytes);
        }
    }

    fn restore(&mut self, stored: &BTreeMap<String, Vec<u8>>) {
        for place in 0..self.entries.len() {
            let kept = stored.get(&self.entries[place].job.name);
            if let Some((verdict, attempts)) = kept.and_then(|bytes| typed::decode(bytes).ok()) {
                self.set(place, verdict);
                self.entries[place].attempts = attempts;
            }
        }
        let waits = |(_, entry): &(usize, &Entry)| !entry.verdict.is_final();
        self.waiting = self.entries.iter().enumerate().filter(waits).map(|(n, _)| n).collect();
    }

    /// Tries of an earlier life are at work: they are this one's now.
    fn adopt(&mut self, task: &TaskId, agent: &AgentId) {
        let Some((name, _)) = job::parts(task) else {
            return;
        };
        let Some(place) = self.by_name.get(name).copied() else {
            return;
        };
        let entry = &mut self.entries[place];
        if entry.verdict == Verdict::Waiting && !entry.attempts.iter().any(|a| a.task == *task) {
            entry.attempts.push(begun(task.clone(), Some(agent.clone())));
            self.set(place, Verdict::Trying);
            self.waiting.retain(|waiting| *waiting != place);
        }
    }

    /// The verdict after a try has ended.
    fn judge(&self, entry: &Entry, status: &TaskStatus) -> Verdict {
        let lost = is_clusters_fault(status);
        if status.state == TaskState::Finished {
            return Verdict::Succeeded;
        }
        if self.cancelled || (status.state == TaskState::Killed && !lost) {
            return Verdict::Cancelled;
        }
        let losses = entry.attempts.iter().filter(|attempt| attempt.lost).count();
        let faults = entry.attempts.len() - losses;
        let reached = |most: u32, count| usize::try_from(most).is_ok_and(|most| count >= most);
        let hopeless = status.state == TaskState::Error && !lost;
        if hopeless
            || reached(self.limits.attempts.max(1), faults)
            || reached(self.limits.losses.saturating_add(1), losses)
        {
            Verdict::GivenUp
        } else {
            Verdict::Waiting
        }
    }

    fn decide(&mut self, calls: &mut Calls, place: usize, status: &TaskStatus) {
        let verdict = self.judge(&self.entries[place], status);
        self.set(place, verdict);
        self.entries[place].launched = None;
        if verdict == Verdict::Waiting {
            self.waiting.push_back(place);
        }
        self.store(calls, &self.entries[place]);
        if verdict.is_final() {
            let job = self.entries[place].job.name.clone();
            self.tell(&Happening::Decided { job, verdict, left: self.left });
        }
    }

    fn go_on(&mut self, calls: &mut Calls) {
        self.state_demand(calls);
        if self.left == 0 {
            calls.tear_down();
        }
    }
}

impl Scheduler for Batch {
    fn started(&mut self, calls: &mut Calls, stored: BTreeMap<String, Vec<u8>>) {
        self.restore(&stored);
        self.go_on(calls);
    }

    fn subscribed(&mut self, calls: &mut Calls, framework: &FrameworkId) {
        self.tell(&Happening::Subscribed(framework.clone()));
        let running: Vec<_> = calls.tasks().map(|(id, t)| (id.clone(), t.agent.clone())).collect();
        for (task, agent) in running {
            self.adopt(&task, &agent);
        }
        self.go_on(calls);
    }

    fn disconnected(&mut self, _: &mut Calls) {
        self.tell(&Happening::Disconnected);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            // One pass: what this offer does not hold now, the next may.
            for _ in 0..self.waiting.len() {
                if self.trying >= self.limits.at_once {
                    break;
                }
                let Some(place) = self.waiting.pop_front() else {
                    break;
                };
                if !self.try_on(calls, place, offer) {
                    self.waiting.push_back(place);
                }
            }
        }
        self.state_demand(calls);
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        self.tell(&Happening::Updated(Box::new(status.clone())));
        let place = job::parts(&status.task).and_then(|(name, _)| self.by_name.get(name).copied());
        let Some(place) = place else {
            if !status.state.is_end() {
                // Of an earlier list: nobody wants it.
                calls.kill(&status.task);
            }
            return;
        };
        let now = calls.now().steady;
        let entry = &mut self.entries[place];
        let launched = entry.launched;
        let Some(attempt) = entry.attempts.iter_mut().find(|a| a.task == status.task) else {
            return;
        };
        if attempt.state.is_end() {
            if !status.state.is_end() {
                // It was given up and turned up again; its successor may be at work.
                calls.kill(&status.task);
            }
            return;
        }
        note(attempt, status, launched.map(|launched| now.since(launched)));
        if status.state.is_end() && entry.verdict == Verdict::Trying {
            self.decide(calls, place, status);
            self.go_on(calls);
        }
    }

    fn input(&mut self, calls: &mut Calls, data: &[u8]) {
        if data != CANCEL {
            return;
        }
        self.cancelled = true;
        self.waiting.clear();
        for place in 0..self.entries.len() {
            match self.entries[place].verdict {
                Verdict::Waiting => self.set(place, Verdict::Cancelled),
                Verdict::Trying => {
                    if let Some(attempt) = self.entries[place].attempts.last() {
                        calls.kill(&attempt.task);
                    }
                }
                Verdict::Succeeded | Verdict::GivenUp | Verdict::Cancelled => (),
            }
        }
        self.go_on(calls);
    }

    fn error(&mut self, _: &mut Calls, reason: &str) {
        self.tell(&Happening::Refused(reason.to_owned()));
    }
}

fn begun(task: TaskId, agent: Option<AgentId>) -> Attempt {
    Attempt {
        task,
        agent,
        state: TaskState::Staging,
        exit: None,
        message: String::new(),
        lost: false,
        started_after: None,
        ended_after: None,
    }
}

fn note(attempt: &mut Attempt, status: &TaskStatus, since_launch: Option<std::time::Duration>) {
    attempt.state = status.state;
    attempt.exit = status.exit.or(attempt.exit);
    attempt.agent = status.agent.clone().or(attempt.agent.take());
    if status.state == TaskState::Running && attempt.started_after.is_none() {
        attempt.started_after = since_launch;
    }
    if status.state.is_end() {
        attempt.ended_after = since_launch;
        attempt.message = status.message.clone();
        attempt.lost = is_clusters_fault(status);
    }
}

/// Whether a task ended by no fault of its own.
fn is_clusters_fault(status: &TaskStatus) -> bool {
    match status.state {
        TaskState::Lost | TaskState::Dropped | TaskState::Gone | TaskState::GoneByOperator => true,
        TaskState::Failed | TaskState::Killed | TaskState::Error => matches!(
            status.reason,
            Some(
                Reason::AgentDisconnected
                    | Reason::AgentRemoved
                    | Reason::AgentRestarted
                    | Reason::ExecutorRegistrationTimeout
                    | Reason::ExecutorTerminated
                    | Reason::ExecutorUnregistered
                    | Reason::InvalidOffers
                    | Reason::MasterDisconnected
            )
        ),
        TaskState::Staging | TaskState::Starting | TaskState::Running | TaskState::Killing => false,
        TaskState::Finished | TaskState::Unreachable | TaskState::Unknown => false,
    }
}

#[cfg(test)]
mod tests;
