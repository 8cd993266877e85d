//! The scheduler: a task for each job until its whole result came. Reads no clock and no file, so it runs in the
//! simulator as it is.

use std::collections::{BTreeMap, VecDeque};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use sdk::prelude::*;
use sdk::typed;

use crate::plan::{Job, Plan};
use crate::result::{BadResult, Piece, Pieces, Whole, Work, read};
use crate::words::Counts;

/// The id of the one executor on each agent.
const EXECUTOR: &str = "counter";

/// How the tasks are run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Starts a process that runs [`crate::Counter`].
    pub executor: CommandSpec,
    /// What the executor takes on each agent.
    pub executor_resources: Resources,
    /// What each task takes.
    pub task_resources: Resources,
    /// Where each try notes when it was at work.
    pub intervals: Option<PathBuf>,
    /// The most tries of a job that fail by their own fault.
    pub attempts: u32,
    /// The most tries of a job that are lost with an agent, an executor or part of their result.
    pub losses: u32,
}

impl Setup {
    /// What suits a small cluster.
    pub fn new(executor: CommandSpec) -> Self {
        Self {
            executor,
            executor_resources: Resources::cpus_mem(0.1, 32.0),
            task_resources: Resources::cpus_mem(0.2, 16.0),
            intervals: None,
            attempts: 3,
            losses: 200,
        }
    }
}

/// What a watcher is told, when it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A master has taken the framework.
    Subscribed(FrameworkId),
    /// The master is lost; the driver looks for it.
    Disconnected,
    /// Results of an earlier life were found.
    Restored {
        /// Of how many jobs.
        done: usize,
    },
    /// A try was launched.
    Launched {
        /// Its task.
        task: TaskId,
        /// Where.
        agent: AgentId,
    },
    /// News of a try.
    Updated(Box<TaskStatus>),
    /// A job is done: its whole result came.
    Done {
        /// Which.
        job: String,
        /// How many have been so far.
        done: usize,
        /// How many there are.
        all: usize,
    },
    /// A try came to nothing; the job is tried again.
    Again {
        /// Which.
        job: String,
        /// Why.
        why: String,
    },
    /// A job was tried often enough.
    GivenUp {
        /// Which.
        job: String,
        /// Why the last try came to nothing.
        why: String,
    },
}

/// `Waiting -> Trying -> Waiting | Done | GivenUp`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Trying { task: TaskId, pieces: Pieces },
    Done,
    GivenUp(String),
}

struct Entry {
    job: Job,
    state: State,
    /// The number of the newest try.
    attempt: u32,
    faults: u32,
    losses: u32,
}

/// Whom it may concern.
type Watcher = Box<dyn FnMut(&Happening) + Send>;

/// The scheduler.
pub struct WordCount {
    entries: Vec<Entry>,
    by_name: BTreeMap<String, usize>,
    waiting: VecDeque<usize>,
    setup: Setup,
    counts: Counts,
    watcher: Watcher,
}

impl WordCount {
    /// Counts what is planned; `watcher` is told what happens.
    pub fn new(plan: Plan, setup: Setup, watcher: impl FnMut(&Happening) + Send + 'static) -> Self {
        let entry = |job| Entry { job, state: State::Waiting, attempt: 0, faults: 0, losses: 0 };
        let entries: Vec<Entry> = plan.jobs.into_iter().map(entry).collect();
        let names = entries.iter().enumerate().map(|(n, entry)| (entry.job.name.clone(), n));
        Self {
            by_name: names.collect(),
            waiting: (0..entries.len()).collect(),
            entries,
            setup,
            counts: Counts::new(),
            watcher: Box::new(watcher),
        }
    }

    /// How often each word occurs, in all jobs that are done.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many jobs are done, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        let done = self.entries.iter().filter(|entry| entry.state == State::Done).count();
        (done, self.entries.len())
    }

    /// Whether all jobs are done, so that the counts are those of all input.
    pub fn is_complete(&self) -> bool {
        let (done, all) = self.progress();
        done == all
    }

    /// The jobs that were given up, and why.
    pub fn given_up(&self) -> Vec<(&str, &str)> {
        let given_up = self.entries.iter().filter_map(|entry| match &entry.state {
            State::GivenUp(why) => Some((entry.job.name.as_str(), why.as_str())),
            State::Waiting | State::Trying { .. } | State::Done => None,
        });
        given_up.collect()
    }

    fn tell(&mut self, happening: &Happening) {
        (self.watcher)(happening);
    }

    fn go_on(&self, calls: &mut Calls) {
        let each = self.setup.task_resources.plus(&self.setup.executor_resources);
        calls.want(&each, self.waiting.len());
        let over = |entry: &Entry| matches!(entry.state, State::Done | State::GivenUp(_));
        if self.entries.iter().all(over) {
            calls.tear_down();
        }
    }

    fn spec(&self, place: usize, attempt: u32) -> Result<TaskSpec, typed::TypedError> {
        let job = &self.entries[place].job;
        let setup = &self.setup;
        let work = Work {
            job: job.name.clone(),
            attempt,
            parts: job.parts.clone(),
            intervals: setup.intervals.clone().map(|path| path.into_os_string().into_vec()),
        };
        let executor = task::executor(EXECUTOR, setup.executor.clone(), &setup.executor_resources);
        let id = format!("{}.{attempt}", job.name);
        Ok(task::of_executor(id, &executor, typed::encode(&work)?, &setup.task_resources))
    }

    /// The next try of a job on an offer, if it holds it.
    fn try_on(&mut self, calls: &mut Calls, place: usize, offer: &Offer) -> bool {
        let attempt = self.entries[place].attempt + 1;
        let spec = match self.spec(place, attempt) {
            Ok(spec) => spec,
            Err(error) => {
                self.give_up(place, error.to_string());
                return true;
            }
        };
        let task = spec.task.clone();
        if calls.launch(offer, spec).is_err() {
            return false;
        }
        let state = State::Trying { task: task.clone(), pieces: Pieces::default() };
        let entry = &mut self.entries[place];
        (entry.state, entry.attempt) = (state, attempt);
        self.tell(&Happening::Launched { task, agent: offer.agent.clone() });
        true
    }

    /// The job of which this task is the try at work.
    fn place_of(&self, task: &TaskId) -> Option<usize> {
        let (name, _) = task.as_str().rsplit_once('.')?;
        let place = *self.by_name.get(name)?;
        match &self.entries[place].state {
            State::Trying { task: at_work, .. } if at_work == task => Some(place),
            State::Trying { .. } | State::Waiting | State::Done | State::GivenUp(_) => None,
        }
    }

    /// Tries of an earlier life are this one's now. What they sent to that life is lost with it, so most are tried again.
    fn adopt(&mut self, task: &TaskId) {
        let Some((name, number)) = task.as_str().rsplit_once('.') else {
            return;
        };
        let (Some(place), Ok(attempt)) = (self.by_name.get(name).copied(), number.parse()) else {
            return;
        };
        let entry = &mut self.entries[place];
        if entry.state == State::Waiting && attempt > entry.attempt {
            entry.attempt = attempt;
            entry.state = State::Trying { task: task.clone(), pieces: Pieces::default() };
            self.waiting.retain(|waiting| *waiting != place);
        }
    }

    fn finish(&mut self, calls: &mut Calls, place: usize, status: &TaskStatus) {
        let entry = &mut self.entries[place];
        let State::Trying { pieces, .. } = std::mem::replace(&mut entry.state, State::Waiting)
        else {
            return;
        };
        let whole = typed::decode::<Whole>(&status.data).map_err(|_| BadResult::Unreadable);
        let result = whole.and_then(|whole| pieces.join(whole));
        match result.and_then(|pieces| Ok((read(&pieces)?, pieces))) {
            Ok((words, pieces)) => {
                // Written before the task's end is acknowledged: then it is never sent again.
                if let Ok(bytes) = typed::encode(&pieces) {
                    calls.store(entry.job.name.clone(), bytes);
                }
                self.take(place, words);
                let (done, all) = self.progress();
                let job = self.entries[place].job.name.clone();
                self.tell(&Happening::Done { job, done, all });
            }
            Err(error) => self.lose(place, error.to_string()),
        }
    }

    fn take(&mut self, place: usize, words: Vec<(String, u64)>) {
        self.entries[place].state = State::Done;
        for (word, count) in words {
            *self.counts.entry(word).or_default() += count;
        }
    }

    fn lose(&mut self, place: usize, why: String) {
        self.entries[place].losses += 1;
        self.again(place, why);
    }

    fn again(&mut self, place: usize, why: String) {
        let entry = &mut self.entries[place];
        if entry.faults >= self.setup.attempts.max(1) || entry.losses > self.setup.losses {
            return self.give_up(place, why);
        }
        entry.state = State::Waiting;
        let job = entry.job.name.clone();
        self.waiting.push_back(place);
        self.tell(&Happening::Again { job, why });
    }

    fn give_up(&mut self, place: usize, why: String) {
        let entry = &mut self.entries[place];
        entry.state = State::GivenUp(why.clone());
        let job = entry.job.name.clone();
        self.tell(&Happening::GivenUp { job, why });
    }
}

impl Scheduler for WordCount {
    fn started(&mut self, calls: &mut Calls, stored: BTreeMap<String, Vec<u8>>) {
        for place in 0..self.entries.len() {
            let kept = stored.get(&self.entries[place].job.name);
            let pieces = kept.and_then(|bytes| typed::decode::<Vec<Vec<u8>>>(bytes).ok());
            if let Some(words) = pieces.and_then(|pieces| read(&pieces).ok()) {
                self.take(place, words);
            }
        }
        let entries = &self.entries;
        self.waiting.retain(|place| entries[*place].state == State::Waiting);
        let (done, _) = self.progress();
        if done > 0 {
            self.tell(&Happening::Restored { done });
        }
        self.go_on(calls);
    }

    fn subscribed(&mut self, calls: &mut Calls, framework: &FrameworkId) {
        self.tell(&Happening::Subscribed(framework.clone()));
        let tasks: Vec<TaskId> = calls.tasks().map(|(task, _)| task.clone()).collect();
        for task in tasks {
            self.adopt(&task);
        }
        self.go_on(calls);
    }

    fn disconnected(&mut self, _: &mut Calls) {
        self.tell(&Happening::Disconnected);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            while let Some(place) = self.waiting.pop_front() {
                if !self.try_on(calls, place, offer) {
                    // All jobs need the same: what does not hold this holds none.
                    self.waiting.push_front(place);
                    break;
                }
            }
        }
        self.go_on(calls);
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        self.tell(&Happening::Updated(Box::new(status.clone())));
        let Some(place) = self.place_of(&status.task) else {
            if !status.state.is_end() {
                calls.kill(&status.task); // Nobody waits for it any more.
            }
            return;
        };
        match status.state {
            TaskState::Finished => self.finish(calls, place, status),
            TaskState::Error => self.give_up(place, status.message.clone()),
            TaskState::Failed
                if matches!(status.reason, None | Some(Reason::ContainerLaunchFailed)) =>
            {
                self.entries[place].faults += 1;
                self.again(place, status.message.clone());
            }
            TaskState::Failed | TaskState::Killed | TaskState::Lost | TaskState::Dropped => {
                self.lose(place, words_for(status));
            }
            TaskState::Gone | TaskState::GoneByOperator => self.lose(place, words_for(status)),
            TaskState::Staging | TaskState::Starting | TaskState::Running | TaskState::Killing => {
                return;
            }
            TaskState::Unreachable | TaskState::Unknown => return,
        }
        self.go_on(calls);
    }

    fn message(&mut self, _: &mut Calls, _: &AgentId, executor: &ExecutorId, data: &[u8]) {
        let Ok(piece) = typed::decode::<Piece>(data) else {
            return; // Not from our executor's version; its job will be tried again.
        };
        if executor.as_str() != EXECUTOR {
            return;
        }
        if let Some(place) = self.place_of(&piece.task)
            && let State::Trying { pieces, .. } = &mut self.entries[place].state
        {
            pieces.add(piece.number, piece.words);
        }
    }
}

fn words_for(status: &TaskStatus) -> String {
    let reason = status.reason.map(|reason| format!(" ({reason:?})")).unwrap_or_default();
    format!("its task is {:?}{reason}: {}", status.state, status.message)
}

#[cfg(test)]
mod tests;
