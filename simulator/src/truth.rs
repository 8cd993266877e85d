//! What really happened, as nobody in the cluster can know it: which task's process ran when, and what each scheduler was
//! told. Properties compare it with what the components believe.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use protocol::fate::Fate;
use protocol::ids::{AgentId, FrameworkId, TaskId};
use protocol::task::{Exit, TaskState};
use protocol::time::Instant;

use crate::network::Life;

/// Something that must be true and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which property.
    pub property: &'static str,
    /// What was seen.
    pub words: String,
    /// The ids and processes that it concerns.
    pub subjects: Vec<String>,
    /// When, since the beginning of the simulation.
    pub at: Duration,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is broken at {:.6} s: {}", self.property, self.at.as_secs_f64(), self.words)
    }
}

/// A task's name in the cluster.
pub(crate) type TaskKey = (FrameworkId, TaskId);

/// What one scheduler process knows of a task, by what it did and was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// The newest state told.
    pub(crate) state: TaskState,
    /// Whether the scheduler launches it and has not told the master so yet.
    pub(crate) launching: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Task processes that live.
    pub(crate) running: BTreeMap<TaskKey, u64>,
    /// How the last process of a task ended.
    pub(crate) ended: BTreeMap<TaskKey, Exit>,
    /// By scheduler process.
    pub(crate) known: BTreeMap<(u32, TaskId), Known>,
    /// Processes that are lives of one scheduler, by the first of them.
    pub(crate) families: BTreeMap<u32, u32>,
    /// Which scheduler process launched each task last.
    pub(crate) launched_by: BTreeMap<TaskKey, u32>,
    /// Tasks that a life of an agent was told to kill, and when by its own clock.
    pub(crate) kills: BTreeMap<(Life, TaskKey), Instant>,
    /// When each process of each task was started.
    pub(crate) starts: BTreeMap<TaskKey, Vec<Duration>>,
    /// What each task was launched with, if anything was said of it.
    pub(crate) fates: BTreeMap<TaskKey, Fate>,
    /// Tasks that were to end when their agent could not be reached, and were given up then.
    pub(crate) given_up: BTreeSet<TaskKey>,
    /// The membership that each agent's process acted by last, and the highest epoch.
    pub(crate) members: BTreeMap<u32, (AgentId, u64)>,
    /// How many processes of tasks there ever were.
    pub(crate) tasks_run: u64,
    /// How often any property was looked at.
    pub(crate) checks: u64,
}
