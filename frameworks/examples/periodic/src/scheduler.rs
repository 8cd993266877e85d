//! The scheduler of periodic jobs. When a job is due follows from the wall clock that each call shows; it reads none itself, so
//! it runs in the simulator as it is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sdk::prelude::*;

use crate::job::{self, BadJob, Job};

/// As [`Scheduler::input`]: end. Runs that have begun go on.
pub const STOP: &[u8] = b"stop";

/// The timer for the next time that any job is due.
const DUE: u64 = 1;

/// It is looked at the wall clock at least so often: somebody may have set it.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What a watcher is told, when it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A master has taken the framework.
    Subscribed(FrameworkId),
    /// The master is lost; the driver looks for it.
    Disconnected,
    /// A run was launched.
    Launched(TaskId),
    /// A run has ended.
    Ended {
        /// Its task.
        task: TaskId,
        /// How.
        state: TaskState,
    },
    /// A job was due and did not run before it was due again: there was no offer, or nobody knows what came of its launch.
    Missed {
        /// The job.
        job: String,
        /// When it was due, in seconds since 1970.
        due: u64,
    },
}

/// Whom it may concern.
type Watcher = Arc<dyn Fn(&Happening) + Send + Sync>;

/// A job, and how far it is.
#[derive(Clone)]
struct Entry {
    job: Job,
    /// The newest time it was due that is dealt with: it was run then, or it is too late to.
    dealt: Option<u64>,
    /// It is due since then, and no run has been launched.
    waits: Option<u64>,
}

/// The scheduler.
#[derive(Clone)]
pub struct Periodic {
    entries: Vec<Entry>,
    watcher: Watcher,
}

impl Periodic {
    /// Runs these jobs; `watcher` is told what happens.
    pub fn new(
        jobs: Vec<Job>,
        watcher: impl Fn(&Happening) + Send + Sync + 'static,
    ) -> Result<Self, BadJob> {
        job::check(&jobs)?;
        let entry = |job| Entry { job, dealt: None, waits: None };
        Ok(Self { entries: jobs.into_iter().map(entry).collect(), watcher: Arc::new(watcher) })
    }

    fn tell(&self, happening: &Happening) {
        (self.watcher)(happening);
    }

    /// What is due now; what was due before and did not run is missed.
    fn look(&mut self, calls: &mut Calls) {
        let now = calls.now().wall;
        for place in 0..self.entries.len() {
            let entry = &mut self.entries[place];
            let due = entry.job.due(now);
            let Some(dealt) = entry.dealt else {
                // It runs for the first time when it is due the next time.
                entry.dealt = Some(due);
                store(calls, entry);
                continue;
            };
            let missed = entry.waits.filter(|waits| *waits < due);
            if due > dealt {
                entry.waits = Some(due);
            }
            if let Some(due) = missed {
                let job = entry.job.name.clone();
                self.tell(&Happening::Missed { job, due });
            }
        }
        self.state_demand(calls);
    }

    fn state_demand(&self, calls: &mut Calls) {
        let mut counts: BTreeMap<&Resources, u32> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.waits.is_some()) {
            *counts.entry(&entry.job.task.resources).or_default() += 1;
        }
        let need = |(each, count): (&Resources, u32)| Demand {
            each: each.clone(),
            count,
            constraints: Vec::new(),
        };
        calls.demand(counts.into_iter().map(need).collect());
    }

    fn start_timer(&self, calls: &mut Calls) {
        let now = calls.now().wall;
        let next = self.entries.iter().map(|entry| entry.job.until_next(now)).min();
        calls.after(next.unwrap_or(LOOK_EVERY).min(LOOK_EVERY), DUE);
    }

    /// The run that is due, if the offer holds it. That it is dealt with is written before the master is told to launch it:
    /// the next life of this scheduler may not see the task among those that are known, and must not launch another.
    fn run_on(&mut self, calls: &mut Calls, place: usize, offer: &Offer) {
        let entry = &mut self.entries[place];
        let Some(due) = entry.waits else {
            return;
        };
        let run = entry.job.run(due);
        let task = run.task.clone();
        if calls.launch(offer, run).is_err() {
            return;
        }
        (entry.dealt, entry.waits) = (Some(due), None);
        store(calls, entry);
        self.tell(&Happening::Launched(task));
    }

    /// It is certain that nothing came of a launch: it may be tried again, as the same task, while it is due.
    fn take_back(&mut self, calls: &mut Calls, task: &TaskId) {
        let Some((name, due)) = job::parts(task) else {
            return;
        };
        let entry = self.entries.iter_mut().find(|entry| entry.job.name == name);
        if let Some(entry) = entry
            && entry.dealt == Some(due)
        {
            entry.dealt = Some(due.saturating_sub(entry.job.every.as_secs()));
            entry.waits = Some(due);
            store(calls, entry);
            self.look(calls);
        }
    }
}

impl Scheduler for Periodic {
    fn started(&mut self, calls: &mut Calls, stored: BTreeMap<String, Vec<u8>>) {
        for entry in &mut self.entries {
            entry.dealt = stored.get(&entry.job.name).and_then(|kept| read(kept, &entry.job));
        }
        self.look(calls);
        self.start_timer(calls);
    }

    fn subscribed(&mut self, calls: &mut Calls, framework: &FrameworkId) {
        self.tell(&Happening::Subscribed(framework.clone()));
        self.look(calls);
    }

    fn disconnected(&mut self, _: &mut Calls) {
        self.tell(&Happening::Disconnected);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        self.look(calls);
        for offer in &offers {
            for place in 0..self.entries.len() {
                self.run_on(calls, place, offer);
            }
        }
        self.state_demand(calls);
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        if status.state == TaskState::Dropped {
            return self.take_back(calls, &status.task);
        }
        if status.state.is_end() {
            self.tell(&Happening::Ended { task: status.task.clone(), state: status.state });
        }
    }

    fn input(&mut self, calls: &mut Calls, data: &[u8]) {
        if data == STOP {
            calls.stop();
        }
    }

    fn timer(&mut self, calls: &mut Calls, _: u64) {
        self.look(calls);
        self.start_timer(calls);
    }
}

/// With its period: another one begins anew.
fn store(calls: &mut Calls, entry: &Entry) {
    let every = entry.job.every.as_secs();
    let dealt = entry.dealt.unwrap_or(0);
    calls.store(entry.job.name.clone(), [every.to_le_bytes(), dealt.to_le_bytes()].concat());
}

fn read(kept: &[u8], job: &Job) -> Option<u64> {
    let (every, dealt) = kept.split_first_chunk::<8>()?;
    let every = u64::from_le_bytes(*every);
    let dealt = u64::from_le_bytes(dealt.try_into().ok()?);
    (every == job.every.as_secs()).then_some(dealt)
}

#[cfg(test)]
mod tests;
