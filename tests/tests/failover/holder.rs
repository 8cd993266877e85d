//! A framework that keeps tasks running and remembers what it was told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use protocol::ids::{FrameworkId, TaskId};
use protocol::task::TaskState;
use sdk::prelude::*;
use sdk::{Inputs, Running};

/// What a framework sees of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) framework: Option<FrameworkId>,
    pub(crate) connected: bool,
    /// Tasks as its driver knows them.
    pub(crate) tasks: BTreeMap<TaskId, TaskState>,
    /// Tasks that it was told have ended, or are not reachable.
    pub(crate) lost: Vec<(TaskId, TaskState)>,
}

/// Each task notes its own process in a file, and stays.
pub(crate) struct Holder {
    waiting: Vec<TaskSpec>,
    seen: Arc<Mutex<Seen>>,
}

fn each() -> Resources {
    Resources::cpus_mem(0.1, 16.0)
}

impl Holder {
    fn look(&self, calls: &Calls, note: impl FnOnce(&mut Seen)) {
        let mut seen = self.seen.lock().unwrap();
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

    fn input(&mut self, calls: &mut Calls, _: &[u8]) {
        self.look(calls, |_| ());
    }
}

/// A framework that runs in this process.
pub(crate) struct Held {
    pub(crate) tasks: BTreeSet<TaskId>,
    inputs: Inputs<Holder>,
    seen: Arc<Mutex<Seen>>,
    _running: Running<Holder>,
}

impl Held {
    pub(crate) async fn start(name: &str, master: &str, tasks: usize, notes: &str) -> Self {
        let line = |n| format!("echo {name}-{n} $$ >> {notes}; exec sleep 100000");
        let spec = |n| task::shell(format!("{name}-{n}"), line(n), &each());
        let waiting: Vec<_> = (0..tasks).map(spec).collect();
        let tasks = waiting.iter().map(|spec| spec.task.clone()).collect();
        let seen = Arc::<Mutex<Seen>>::default();
        let holder = Holder { waiting, seen: Arc::clone(&seen) };
        let running = start_scheduler(master, framework(name), holder, Options::default()).await;
        let running = running.unwrap();
        Self { tasks, inputs: running.inputs(), seen, _running: running }
    }

    /// What it saw when it looked last; it is asked to look again.
    pub(crate) fn sees(&self) -> Seen {
        self.inputs.input(Vec::new());
        self.seen.lock().unwrap().clone()
    }
}
