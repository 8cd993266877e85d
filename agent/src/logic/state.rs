//! The agent's books: frameworks with their tasks, executors, and what is free.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use containerizer::isolator::Limitation;
use libactor::Pid;
use protocol::executor::Token;
use protocol::framework::FrameworkInfo;
use protocol::ids::{ContainerId, ExecutorId, FrameworkId, Role, TaskId, UpdateId};
use protocol::resources::Resources;
use protocol::task::{ExecutorSpec, Exit, TaskSpec, TaskState, TaskStatus};
use serde::{Deserialize, Serialize};

use super::checkpoint::ProcessIdentity;
use super::past::Past;
use super::{Program, Signal, Turn};

/// A framework that has tasks or executors here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Framework {
    pub(super) info: FrameworkInfo,
    /// Torn down: nobody waits for its news, its executors are ending, and what they hold is the master's to give again.
    pub(super) removed: bool,
    pub(super) tasks: BTreeMap<TaskId, Task>,
}

/// A task that is not ended and acknowledged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Task {
    /// `None` for a task that the master asked about and that is not known here.
    pub(super) spec: Option<Arc<TaskSpec>>,
    /// Under which the master booked it.
    pub(super) role: Role,
    pub(super) executor: ExecutorId,
    /// The life of the executor that has it; `None` if it was refused.
    pub(super) container: Option<ContainerId>,
    /// The newest.
    pub(super) state: TaskState,
    /// Whether it is written down: before that its executor is not told of it.
    pub(super) noted: bool,
    /// Whether its executor was told of it.
    pub(super) told: bool,
    /// Set once it is to be killed: the grace.
    pub(super) kill: Option<Duration>,
    /// Not acknowledged yet; the first is on its way to the master.
    pub(super) updates: VecDeque<Waiting>,
    /// How often the first was sent.
    pub(super) sent: u32,
    pub(super) generation: u64,
    /// The newest that its executor sent; what is not newer is a repeat.
    pub(super) heard: Option<UpdateId>,
    /// Its news so far, for those who look: of several in one state the newest.
    pub(super) statuses: Vec<Arc<TaskStatus>>,
}

/// News of one task that is shown.
const STATUSES_MAX: usize = 32;

/// News that waits for its acknowledgement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) status: TaskStatus,
    pub(super) kept: Kept,
    /// The state that it follows.
    pub(super) after: TaskState,
}

/// `Writing -> Written` or `Writing -> NotWritten`. What is being written is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kept {
    /// It is on its way to the disk.
    Writing,
    /// The agent's next life has it.
    Written,
    /// The disk did not take it, or it is not worth it: its executor keeps it until its framework has it.
    NotWritten,
}

impl Task {
    pub(super) fn new(spec: Option<Arc<TaskSpec>>, role: Role, executor: ExecutorId) -> Self {
        Self {
            spec,
            role,
            executor,
            container: None,
            state: TaskState::Staging,
            noted: false,
            told: false,
            kill: None,
            updates: VecDeque::new(),
            sent: 0,
            generation: 0,
            heard: None,
            statuses: Vec::new(),
        }
    }

    /// Shows what is said of it from now on; what its executor wrote for its scheduler is shown to nobody else.
    pub(super) fn show(&mut self, status: &TaskStatus) {
        if self.statuses.last().is_some_and(|last| last.state == status.state) {
            self.statuses.pop();
        } else if self.statuses.len() >= STATUSES_MAX {
            self.statuses.remove(1);
        }
        self.statuses.push(Arc::new(TaskStatus { data: Vec::new(), ..status.clone() }));
    }

    /// The newest state that the agent's next life would know as well, and what was said of it: no master is told more.
    pub(super) fn known(&self) -> (TaskState, Option<&TaskStatus>) {
        let written = self.updates.iter().take_while(|waiting| waiting.kept != Kept::Writing);
        let newest = written.last().map(|waiting| &waiting.status);
        let next = self.updates.iter().find(|waiting| waiting.kept == Kept::Writing);
        (next.map_or(self.state, |waiting| waiting.after), newest)
    }
}

/// One life of one executor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Executor {
    pub(super) framework: FrameworkId,
    pub(super) spec: ExecutorSpec,
    /// That of the task it was started for.
    pub(super) role: Role,
    pub(super) program: Program,
    /// Owns the sandbox.
    pub(super) user: Option<String>,
    pub(super) token: Token,
    pub(super) phase: Phase,
    /// Whether its process is written down: before that it is told of no task, so that one of which no process is known
    /// has none.
    pub(super) noted: bool,
    /// Its actor, while it is registered and connected.
    pub(super) pid: Option<Pid>,
    /// Whether this life holds the executor's own resources. The next life takes them over from one that is ending, since to
    /// the master both are one executor.
    pub(super) holds: bool,
    /// Why it is to end, once it is.
    pub(super) ending: Option<Ending>,
    /// Its tasks that have not ended, in the order in which they came.
    pub(super) tasks: Vec<TaskId>,
    /// The last update of each task that it had and that is forgotten: it may say it again, and a new task of that id is
    /// not to be taken for the old one. Bounded by [`HEARD_MAX`].
    pub(super) heard: BTreeMap<TaskId, UpdateId>,
    pub(super) generation: u64,
    /// How often its connection was lost.
    pub(super) losses: u64,
    /// Whether it was started by a former life of the agent.
    pub(super) is_recovered: bool,
    /// Whether a gateway speaks for it: what it is told arrives or its connection ends, and the ids of its updates are in no order.
    pub(super) has_gateway: bool,
}

/// Forgotten tasks of which an executor's last update is kept.
pub(super) const HEARD_MAX: usize = 1024;

/// `Recording -> Starting -> Running -> gone`, and in the agent's next life `Looking -> Running`, or `Looking -> Starting` if it
/// never began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Of a former life, and looked for; as which process, if that is known.
    Looking(Option<ProcessIdentity>),
    /// It is being noted that there will be such a process.
    Recording,
    /// What it needs is being fetched, or the process is being started.
    Starting,
    /// The process runs.
    Running(ProcessIdentity),
}

/// Why an executor is to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ending {
    /// Nothing is left for it to do.
    Idle,
    /// Its scheduler said so.
    Told,
    /// Its framework is removed.
    FrameworkRemoved,
    /// The agent leaves.
    AgentLeaves,
    /// It did not register in time.
    NotRegistered,
    /// It lost its connection, or its agent, and did not come back in time.
    NotBack,
    /// It is gone with an earlier boot of its machine.
    Rebooted,
    /// It went beyond a limit.
    Limited(Box<Limitation>),
    /// It could not be given what it holds; in words.
    NotGiven(String),
}

impl Phase {
    /// Once it runs.
    pub(super) fn process(&self) -> Option<u32> {
        match self {
            Self::Running(identity) => Some(identity.process),
            Self::Looking(_) | Self::Recording | Self::Starting => None,
        }
    }
}

/// An executor that is no more, as the master is told of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct EndedExecutor {
    pub(super) framework: FrameworkId,
    pub(super) executor: ExecutorId,
    pub(super) container: ContainerId,
    pub(super) exit: Option<Exit>,
    /// Whether its end is written down, and so what it meant for its tasks: that is told first.
    pub(super) noted: bool,
}

/// All of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    total: Resources,
    free: Resources,
    pub(super) frameworks: BTreeMap<FrameworkId, Framework>,
    pub(super) executors: BTreeMap<ContainerId, Executor>,
    /// The executors that take new tasks.
    pub(super) open: BTreeMap<(FrameworkId, ExecutorId), ContainerId>,
    pub(super) pids: BTreeMap<Pid, ContainerId>,
    /// Executors that ended while no master was there to hear it. The last report to one may still name them.
    pub(super) untold: Vec<EndedExecutor>,
    /// Containers that agents started which did not outlive themselves: of those nothing is kept but that they end.
    pub(super) strangers: BTreeMap<ContainerId, Option<ProcessIdentity>>,
    /// What has ended, for those who look.
    pub(super) past: Past,
    /// Of the updates that the agent itself makes.
    last_update: UpdateId,
}

impl State {
    pub(super) fn new(total: Resources, source: u64) -> Self {
        Self {
            free: total.clone(),
            total,
            frameworks: BTreeMap::new(),
            executors: BTreeMap::new(),
            open: BTreeMap::new(),
            pids: BTreeMap::new(),
            untold: Vec::new(),
            strangers: BTreeMap::new(),
            past: Past::default(),
            last_update: UpdateId { source, sequence: 0 },
        }
    }

    /// With all there is, of which so much is held already.
    pub(super) fn begin_with(&mut self, total: Resources, used: &Resources) {
        self.free = total.checked_sub(used).expect("the caller says that it is there");
        self.total = total;
    }

    pub(super) fn total(&self) -> &Resources {
        &self.total
    }

    pub(super) fn next_update(&mut self) -> UpdateId {
        self.last_update.sequence += 1;
        self.last_update
    }

    pub(super) fn used(&self) -> Resources {
        self.total.checked_sub(&self.free).expect("what is free is part of the total")
    }

    pub(super) fn free(&self) -> &Resources {
        &self.free
    }

    /// Takes what was checked to be free.
    pub(super) fn hold(&mut self, resources: &Resources) {
        self.free = self.free.checked_sub(resources).expect("only what is free is given to a task");
    }

    pub(super) fn release(&mut self, resources: &Resources) {
        self.free.add(resources);
    }

    /// A life of this executor that takes no more tasks and whose resources the next one can take over.
    pub(super) fn to_take_over(
        &self,
        framework: &FrameworkId,
        spec: &ExecutorSpec,
    ) -> Option<&ContainerId> {
        let key = (framework.clone(), spec.executor.clone());
        let fits = |(container, life): &(&ContainerId, &Executor)| {
            life.holds
                && life.framework == *framework
                && life.spec.executor == spec.executor
                && life.spec.resources == spec.resources
                && self.open.get(&key) != Some(*container)
        };
        self.executors.iter().find(fits).map(|(container, _)| container)
    }

    /// All tasks, also those of removed frameworks.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (&FrameworkId, &TaskId, &Task)> {
        self.frameworks.iter().flat_map(|(framework, entry)| {
            entry.tasks.iter().map(move |(task, entry)| (framework, task, entry))
        })
    }

    pub(super) fn task_count(&self) -> usize {
        self.frameworks.values().map(|entry| entry.tasks.len()).sum()
    }

    pub(super) fn task(&self, framework: &FrameworkId, task: &TaskId) -> Option<&Task> {
        self.frameworks.get(framework)?.tasks.get(task)
    }

    pub(super) fn task_mut(&mut self, framework: &FrameworkId, task: &TaskId) -> Option<&mut Task> {
        self.frameworks.get_mut(framework)?.tasks.get_mut(task)
    }

    pub(super) fn is_removed(&self, framework: &FrameworkId) -> bool {
        self.frameworks.get(framework).is_some_and(|entry| entry.removed)
    }

    /// Those whose tasks and executors are here, but for removed ones.
    pub(super) fn live_frameworks(&self) -> impl Iterator<Item = &FrameworkInfo> {
        self.frameworks.values().filter(|entry| !entry.removed).map(|entry| &entry.info)
    }

    /// Drops a framework of which nothing is left here.
    pub(super) fn forget_if_empty(&mut self, framework: &FrameworkId) {
        let has_tasks = self.frameworks.get(framework).is_some_and(|entry| !entry.tasks.is_empty());
        if !has_tasks && !self.executors.values().any(|executor| executor.framework == *framework) {
            let left = self.frameworks.remove(framework);
            left.into_iter().for_each(|left| self.past.framework_left(left.info));
        }
    }
}

impl Executor {
    /// Whether it is of the agent's making, for one task.
    pub(super) fn is_for_command(&self) -> bool {
        self.program == Program::CommandExecutor
    }

    /// Sends a signal, if there is a process, or may be one: what is fetched for it meanwhile is given up then.
    pub(super) fn signal(&self, turn: &mut Turn, container: &ContainerId, signal: Signal) {
        match self.phase {
            Phase::Starting | Phase::Running(_) => {
                turn.push(super::Effect::SignalExecutor { container: container.clone(), signal })
            }
            // It is signalled as soon as it runs, since it is ending by then, or never started.
            Phase::Looking(_) | Phase::Recording => {}
        }
    }
}
