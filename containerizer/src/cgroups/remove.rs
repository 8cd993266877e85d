//! Removes groups beside everything else: the kernel takes its time with each, and a launch must not wait for it. What does
//! not become empty is killed and tried again, for as long as it takes, and can be shown.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::error::CgroupError;
use super::group::Group;
use super::hierarchies::Hierarchies;
use super::kill::again_after;
use super::logic::path::GroupPath;

/// A thread that removes groups. When it is dropped what is still there is tried once more; what is left then is found by the
/// next life's janitor.
#[derive(Debug)]
pub struct Remover {
    to_worker: Option<Sender<Job>>,
    backlog: Shared,
    worker: Option<JoinHandle<()>>,
}

/// Of a group that is to be removed and is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// When it was to be removed.
    pub since: Instant,
    /// How often that was tried.
    pub tries: u32,
    /// Why it is still there, with all causes; `None` before the first try.
    pub why: Option<String>,
}

type Shared = Arc<Mutex<BTreeMap<GroupPath, Waiting>>>;

struct Job {
    path: GroupPath,
    done: oneshot::Sender<()>,
}

struct Pending {
    done: Vec<oneshot::Sender<()>>,
    tries: u32,
    due: Instant,
}

struct Worker {
    hierarchies: Hierarchies,
    pending: BTreeMap<GroupPath, Pending>,
    backlog: Shared,
}

impl Remover {
    /// Starts the thread.
    pub fn start(hierarchies: Hierarchies) -> io::Result<Self> {
        let (to_worker, jobs) = channel();
        let backlog = Shared::default();
        let worker = Worker { hierarchies, pending: BTreeMap::new(), backlog: backlog.clone() };
        let worker = Builder::new().name("groups".into()).spawn(move || worker.run(&jobs))?;
        Ok(Self { to_worker: Some(to_worker), backlog, worker: Some(worker) })
    }

    /// Kills what is in a group and removes it with all that is nested in it. The answer comes when it is gone; nobody needs
    /// to wait for it. A group that is not there is gone.
    pub fn remove(&self, path: GroupPath) -> oneshot::Receiver<()> {
        let (done, answer) = oneshot::channel();
        let since = Instant::now();
        lock(&self.backlog).entry(path.clone()).or_insert(Waiting { since, tries: 0, why: None });
        if let Some(to_worker) = &self.to_worker {
            // It listens for as long as this exists.
            let _ = to_worker.send(Job { path, done });
        }
        answer
    }

    /// All that is to be removed and is still there.
    pub fn backlog(&self) -> BTreeMap<GroupPath, Waiting> {
        lock(&self.backlog).clone()
    }
}

impl Drop for Remover {
    fn drop(&mut self) {
        self.to_worker = None;
        if let Some(worker) = self.worker.take() {
            // Had it panicked, there would be nothing to do about it.
            let _ = worker.join();
        }
    }
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let first_due = self.pending.values().map(|pending| pending.due).min();
            let job = match first_due {
                Some(due) => jobs.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match job {
                Ok(job) => self.add(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Ok(job) = jobs.try_recv() {
                self.add(job);
            }
            self.try_those_due(Instant::now());
        }
        self.try_those_due(Instant::now() + Duration::from_secs(3600));
    }

    fn add(&mut self, job: Job) {
        let now = Instant::now();
        let fresh = || Pending { done: Vec::new(), tries: 0, due: now };
        let pending = self.pending.entry(job.path).or_insert_with(fresh);
        pending.done.push(job.done);
        pending.due = now;
    }

    fn try_those_due(&mut self, now: Instant) {
        let due = self.pending.iter().filter(|(_, pending)| pending.due <= now);
        let due: Vec<_> = due.map(|(path, _)| path.clone()).collect();
        for path in due {
            let result = attempt(&self.hierarchies, &path);
            match result {
                Ok(()) => {
                    lock(&self.backlog).remove(&path);
                    let done = self.pending.remove(&path).map(|pending| pending.done);
                    for done in done.into_iter().flatten() {
                        // Who asked may not wait any more.
                        let _ = done.send(());
                    }
                }
                Err(error) => self.later(&path, &error),
            }
        }
    }

    fn later(&mut self, path: &GroupPath, error: &CgroupError) {
        let Some(pending) = self.pending.get_mut(path) else {
            return;
        };
        pending.due = Instant::now() + again_after(pending.tries);
        pending.tries = pending.tries.saturating_add(1);
        if let Some(waiting) = lock(&self.backlog).get_mut(path) {
            waiting.tries = pending.tries;
            waiting.why = Some(error.with_causes());
        }
    }
}

/// Once: most are empty, as their processes have just ended.
fn attempt(hierarchies: &Hierarchies, path: &GroupPath) -> Result<(), CgroupError> {
    let group = Group { hierarchies: hierarchies.clone(), path: path.clone() };
    if group.remove_if_empty()? {
        return Ok(());
    }
    group.kill()?;
    if group.remove_if_empty()? { Ok(()) } else { Err(group.busy()?) }
}

/// What is behind it is whole after each change.
fn lock(shared: &Shared) -> MutexGuard<'_, BTreeMap<GroupPath, Waiting>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
