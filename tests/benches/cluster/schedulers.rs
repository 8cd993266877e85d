//! Schedulers that measure: command tasks with real executors and processes.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use libactor::Secret;
use sdk::prelude::*;

use crate::program::Cluster;
use crate::{Measured, Row, median};

/// One after the other, each once the last has ended.
const SINGLES: usize = 31;
/// At once.
const TOGETHER: usize = 100;

/// The least that a task may ask for, so that all fit at once.
pub(crate) fn little() -> Resources {
    Resources::cpus_mem(0.01, 1.0)
}

pub(crate) fn trues(count: usize) -> Vec<TaskSpec> {
    let one = |n| task::command(format!("true.{n}"), "true", [], &little());
    (0..count).rev().map(one).collect()
}

/// Launches tasks, some at a time, and notes when they were accepted, ran and ended.
pub(crate) struct Timing {
    waiting: Vec<TaskSpec>,
    /// How many may be on their way at once.
    at_once: usize,
    under_way: usize,
    accepted_at: Option<Instant>,
    /// From the acceptance of the last one until it ran, in milliseconds.
    to_running: Vec<f64>,
    /// From the first acceptance to the last end.
    first_at: Option<Instant>,
    last_at: Option<Instant>,
    ended: usize,
    failed: Vec<String>,
}

impl Timing {
    pub(crate) fn of(tasks: Vec<TaskSpec>, at_once: usize) -> Self {
        Self {
            waiting: tasks,
            at_once,
            under_way: 0,
            accepted_at: None,
            to_running: Vec::new(),
            first_at: None,
            last_at: None,
            ended: 0,
            failed: Vec::new(),
        }
    }

    fn want(&self, calls: &mut Calls) {
        calls.want(&little(), self.waiting.len().min(self.at_once - self.under_way));
    }

    /// Tasks a second, from the first acceptance to the last end.
    pub(crate) fn per_second(&self) -> Result<f64, Box<dyn Error>> {
        let (Some(first), Some(last)) = (self.first_at, self.last_at) else {
            return Err("no task ended".into());
        };
        let ended = f64::from(u32::try_from(self.ended)?);
        Ok(ended / last.duration_since(first).as_secs_f64())
    }
}

impl Scheduler for Timing {
    fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
        self.want(calls);
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            while self.under_way < self.at_once {
                let Some(task) = self.waiting.pop() else { break };
                if calls.launch(offer, task.clone()).is_err() {
                    self.waiting.push(task);
                    break;
                }
                self.under_way += 1;
                let now = Instant::now();
                self.accepted_at = Some(now);
                self.first_at.get_or_insert(now);
            }
        }
        self.want(calls);
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        if status.state == TaskState::Running
            && let Some(accepted_at) = self.accepted_at.take()
        {
            self.to_running.push(accepted_at.elapsed().as_secs_f64() * 1e3);
        }
        if !status.state.is_end() {
            return;
        }
        self.under_way -= 1;
        self.ended += 1;
        self.last_at = Some(Instant::now());
        if status.state != TaskState::Finished {
            self.failed.push(format!("{} {:?}: {}", status.task, status.state, status.message));
        }
        self.want(calls);
        if self.waiting.is_empty() && self.under_way == 0 {
            calls.tear_down();
        }
    }
}

/// Runs the tasks to their end.
pub(crate) async fn time(
    master: &str,
    secret: Option<Secret>,
    timing: Timing,
) -> Result<Timing, Box<dyn Error>> {
    let options = Options { secret, ..Options::default() };
    let run = run_scheduler(master, framework("bench"), timing, options);
    let (_, timing) = tokio::time::timeout(Duration::from_secs(120), run).await??;
    if timing.failed.is_empty() { Ok(timing) } else { Err(timing.failed.join("; ").into()) }
}

/// From the answer to an offer until the framework hears that its task runs.
pub(crate) async fn accept_to_running(airside: &Path) -> Measured {
    let cluster = Cluster::up(airside, 1)?;
    let timing =
        time(cluster.master(), Some(cluster.secret()?), Timing::of(trues(SINGLES), 1)).await?;
    let value = median(timing.to_running);
    Ok(Row { name: "accept_to_running_p50", value, unit: "ms" })
}

/// A hundred tasks at once, from the first acceptance to the last end.
pub(crate) async fn command_tasks(airside: &Path) -> Measured {
    let cluster = Cluster::up(airside, 1)?;
    let timing =
        time(cluster.master(), Some(cluster.secret()?), Timing::of(trues(TOGETHER), TOGETHER))
            .await?;
    Ok(Row { name: "command_tasks_per_s", value: timing.per_second()?, unit: "1/s" })
}
