//! A framework that keeps tasks running and remembers what it was told of them, and what is to be so while it does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use protocol::ids::{FrameworkId, TaskId};
use protocol::task::TaskState;
use sdk::prelude::*;
use sdk::{Inputs, Running};

use crate::cluster::{DEADLINE, Home, eventually, happens_by};

/// What a framework sees of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its id, once it has one.
    pub framework: Option<FrameworkId>,
    /// Whether it has a master.
    pub connected: bool,
    /// Tasks as its driver knows them.
    pub tasks: BTreeMap<TaskId, TaskState>,
    /// Tasks that it was told have ended, or are not reachable.
    pub lost: Vec<(TaskId, TaskState)>,
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each task notes its own process in a file, and stays.
struct Holder {
    waiting: Vec<TaskSpec>,
    notes: PathBuf,
    seen: Arc<Mutex<Seen>>,
}

fn each() -> Resources {
    Resources::cpus_mem(0.1, 16.0)
}

/// It stays, and has noted as which process.
fn stays(task: &str, notes: &Path) -> TaskSpec {
    let line = format!("echo {task} $$ >> {}; exec sleep 100000", notes.display());
    task::shell(task, line, &each())
}

impl Holder {
    fn look(&self, calls: &Calls, note: impl FnOnce(&mut Seen)) {
        let mut seen = lock(&self.seen);
        seen.tasks = calls.tasks().map(|(task, viewed)| (task.clone(), viewed.state)).collect();
        note(&mut seen);
    }
}

impl Scheduler for Holder {
    fn subscribed(&mut self, calls: &mut Calls, framework: &FrameworkId) {
        calls.want(&each(), self.waiting.len());
        self.look(calls, |seen| {
            seen.connected = true;
            seen.framework = Some(framework.clone());
        });
    }

    fn disconnected(&mut self, calls: &mut Calls) {
        self.look(calls, |seen| seen.connected = false);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            self.waiting.retain(|task| calls.launch(offer, task.clone()).is_err());
        }
        calls.want(&each(), self.waiting.len());
        self.look(calls, |_| ());
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        let stays = [TaskState::Staging, TaskState::Starting, TaskState::Running];
        self.look(calls, |seen| {
            if !stays.contains(&status.state) {
                seen.lost.push((status.task.clone(), status.state));
            }
        });
    }

    /// The name of another task that it is to have, or nothing.
    fn input(&mut self, calls: &mut Calls, task: &[u8]) {
        if !task.is_empty() {
            self.waiting.push(stays(&String::from_utf8_lossy(task), &self.notes));
            calls.want(&each(), self.waiting.len());
        }
        self.look(calls, |_| ());
    }
}

/// A framework that runs in this process.
pub struct Held {
    /// What it was started with.
    pub tasks: BTreeSet<TaskId>,
    inputs: Inputs<Holder>,
    seen: Arc<Mutex<Seen>>,
    _running: Running<Holder>,
}

impl Held {
    /// Starts it with so many tasks, which note their processes in the same file as those of others.
    pub async fn start(name: &str, master: &str, tasks: usize, notes: &Path) -> Self {
        let spec = |n| stays(&format!("{name}-{n}"), notes);
        let waiting: Vec<_> = (0..tasks).map(spec).collect();
        let tasks = waiting.iter().map(|spec| spec.task.clone()).collect();
        let seen = Arc::<Mutex<Seen>>::default();
        let holder = Holder { waiting, notes: notes.to_owned(), seen: Arc::clone(&seen) };
        let running = start_scheduler(master, framework(name), holder, Options::default()).await;
        let running = running.expect("a scheduler starts");
        Self { tasks, inputs: running.inputs(), seen, _running: running }
    }

    /// From now on it wants another task.
    pub fn wants(&self, task: &str) {
        self.inputs.input(task.as_bytes().to_vec());
    }

    /// What it was told of losses was expected.
    pub fn forgives(&self) {
        lock(&self.seen).lost.clear();
    }

    /// What it saw when it looked last; it is asked to look again.
    pub fn sees(&self) -> Seen {
        self.inputs.input(Vec::new());
        lock(&self.seen).clone()
    }
}

/// Every task of these frameworks runs, once and as the same process as ever; the leader and every framework see just that,
/// or will soon.
#[track_caller]
pub fn are_whole(home: &Home, frameworks: &[Held], master: &str, notes: &Path) {
    let all: BTreeSet<String> =
        frameworks.iter().flat_map(|held| held.tasks.iter().map(ToString::to_string)).collect();
    eventually("every framework sees its tasks run", || {
        frameworks.iter().all(|held| {
            let Seen { connected, tasks, lost, .. } = held.sees();
            assert!(lost.is_empty(), "no task is lost: {lost:?}");
            let running = tasks.values().all(|state| *state == TaskState::Running);
            connected && running && tasks.keys().eq(held.tasks.iter())
        })
    });
    eventually("the leader sees the same", || master_sees(home, master) == Some(all.clone()));
    let started = noted(notes);
    let ids: BTreeSet<String> = started.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!((started.len(), ids), (all.len(), all), "each started once");
}

/// The tasks that were started, in order, with their processes. All of them live.
#[track_caller]
pub fn noted(notes: &Path) -> Vec<(String, u32)> {
    let text = std::fs::read_to_string(notes).expect("tasks have noted themselves");
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let note = |(task, process): (&str, &str)| {
        let lives = Path::new("/proc").join(process).exists();
        assert!(lives, "{task} runs as process {process}");
        (task.to_owned(), process.parse().expect("a number"))
    };
    lines.map(note).collect()
}

/// The tasks that run, if nothing else is known of any.
pub fn master_sees(home: &Home, master: &str) -> Option<BTreeSet<String>> {
    let listed = home.airside(&["tasks", "--json", "--master", master]);
    let tasks: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).ok()?;
    let running = |task: &serde_json::Value| {
        (task["state"] == "TASK_RUNNING").then(|| task["id"].as_str().map(str::to_owned))?
    };
    tasks.iter().map(running).collect()
}

/// Waits until the master, or whoever leads, has these tasks and no others, and all run; else what it has is printed.
#[track_caller]
pub fn sees_all(home: &Home, master: &str, tasks: &BTreeSet<String>) {
    let sees = || master_sees(home, master).as_ref() == Some(tasks);
    if !happens_by(Instant::now() + DEADLINE, sees) {
        let listed = home.airside(&["tasks", "--json", "--master", master]);
        panic!("not within {DEADLINE:?}: {tasks:?} run, and nothing else: {listed:#?}");
    }
}
