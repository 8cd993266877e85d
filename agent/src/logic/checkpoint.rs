//! What an agent remembers beyond its death, as records that are appended one after the other and applied in order. Applied,
//! they are what a new life begins with; see [`super::recovery`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::agent::AgentInfo;
use protocol::executor::Token;
use protocol::framework::FrameworkInfo;
use protocol::ids::{
    AgentId, ClusterId, ContainerId, ExecutorId, FrameworkId, Role, TaskId, UpdateId,
};
use protocol::task::{ExecutorSpec, Source, TaskSpec, TaskState, TaskStatus};
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

use super::Program;
use super::state::HEARD_MAX;

/// One process of one boot of one machine: a process id alone is used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The operating system's number for it.
    pub process: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Which boot.
    pub boot: String,
}

/// An executor of a former life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldExecutor {
    /// Which.
    pub container: ContainerId,
    /// Its process; `None` if the agent died before it could write that down. Then the container's id in the
    /// environment of its processes finds them.
    pub process: Option<ProcessIdentity>,
}

/// An executor as it is to be started. What is reachable from here is on disk: nothing in it moves or changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorLaunch {
    /// Whose.
    pub framework: FrameworkInfo,
    /// What was asked for.
    pub spec: ExecutorSpec,
    /// That of the task it is started for.
    pub role: Role,
    /// What is started.
    pub program: Program,
    /// Owns the sandbox.
    pub user: Option<String>,
    /// What proves that it is this container.
    pub token: Token,
}

/// A task as it was taken, or as it is by now. What is reachable from here is on disk: nothing in it moves or changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskTaken {
    /// The life of the executor that has it.
    pub container: ContainerId,
    /// Whose.
    pub framework: FrameworkInfo,
    /// What was asked for.
    pub spec: Arc<TaskSpec>,
    /// Under which the master booked it.
    pub role: Role,
    /// Of which executor.
    pub executor: ExecutorId,
    /// The newest.
    pub state: TaskState,
    /// The newest update that its executor sent.
    pub heard: Option<UpdateId>,
}

/// One line of the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The agent is a member of a cluster, and this is the highest epoch it has seen.
    Joined {
        /// Its id.
        agent: AgentId,
        /// The cluster.
        cluster: ClusterId,
        /// The highest seen.
        epoch: u64,
    },
    /// The agent is a member no longer: its next life is another agent.
    Left,
    /// An executor is about to be started, as agents noted it that did not outlive themselves.
    ExecutorStarting(ContainerId),
    /// An executor runs as this process.
    ExecutorStarted {
        /// Which.
        container: ContainerId,
        /// As what.
        process: ProcessIdentity,
    },
    /// Nothing of the executor runs any more.
    ExecutorEnded(ContainerId),
    /// The agent is about to say for the first time that it wants to join. A life that dies before it has noted the
    /// answer leaves this to the next, which the master then knows for the same agent.
    Registering {
        /// Names the attempt.
        nonce: u64,
    },
    /// An executor is about to be started.
    ExecutorLaunching {
        /// Which.
        container: ContainerId,
        /// As what.
        launch: Box<ExecutorLaunch>,
    },
    /// A task was taken; its executor may be told of it from here on.
    TaskTaken(Box<TaskTaken>),
    /// News of a task waits for its acknowledgement; the master may be told of it from here on.
    Updated {
        /// The news.
        status: Box<TaskStatus>,
        /// Whether it takes the place of the newest that waited.
        replaces: bool,
    },
    /// A framework has this news.
    Acknowledged {
        /// Whose.
        framework: FrameworkId,
        /// Of which task.
        task: TaskId,
        /// The news.
        update: UpdateId,
    },
    /// A task has ended and its framework knows, or nobody is left to know.
    TaskForgotten {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        task: TaskId,
    },
    /// A framework is torn down: nobody waits for its news.
    FrameworkRemoved(FrameworkId),
    /// The last update of a forgotten task; only in a checkpoint that was written anew.
    Heard {
        /// Of which executor.
        container: ContainerId,
        /// Of which task.
        task: TaskId,
        /// The update.
        update: UpdateId,
    },
    /// What follows is of this boot of the machine: nothing that ran in an earlier one runs any more, and all that meant for
    /// tasks stands before.
    Booted(String),
    /// What the agent says of itself from here on.
    Configured {
        /// But for where it is.
        info: Box<AgentInfo>,
        /// Where it is, if its operator says.
        domain: Option<FaultDomain>,
    },
    /// A framework says other things of itself by now.
    FrameworkUpdated(Box<FrameworkInfo>),
}

impl Record {
    /// Whether it must survive the machine's death. Executors and tasks do not survive that either, and how they ended their
    /// executors have written down; so of them it is enough that the kernel has the record.
    pub fn must_be_synced(&self) -> bool {
        match self {
            Self::Joined { .. } | Self::Left | Self::Registering { .. } => true,
            // What it told its master of itself.
            Self::Configured { .. } => true,
            // With it all that stands before, of which the master is told then.
            Self::Booted(_) => true,
            Self::ExecutorStarting(_) | Self::ExecutorStarted { .. } => false,
            Self::ExecutorEnded(_) | Self::ExecutorLaunching { .. } | Self::TaskTaken(_) => false,
            Self::Updated { .. } | Self::Acknowledged { .. } | Self::TaskForgotten { .. } => false,
            Self::FrameworkRemoved(_) | Self::Heard { .. } => false,
            Self::FrameworkUpdated(_) => false,
        }
    }
}

/// An executor that is not known to have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptExecutor {
    /// Its process, once it is known.
    pub process: Option<ProcessIdentity>,
    /// `None` if it was started by an agent that did not outlive itself.
    pub launch: Option<Box<ExecutorLaunch>>,
    /// The last update of each task that it had and that is forgotten.
    pub heard: BTreeMap<TaskId, UpdateId>,
}

/// A task that is not ended and acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptTask {
    /// As it was taken, but with its newest state.
    pub taken: TaskTaken,
    /// Not acknowledged yet.
    pub updates: VecDeque<TaskStatus>,
}

/// A framework that has tasks or executors here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFramework {
    /// What it says of itself.
    pub info: FrameworkInfo,
    /// Whether nobody waits for its news.
    pub removed: bool,
    /// Its tasks.
    pub tasks: BTreeMap<TaskId, KeptTask>,
}

/// All records so far, applied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The membership, if any.
    pub member: Option<(AgentId, ClusterId)>,
    /// The highest epoch seen.
    pub epoch: u64,
    /// Names the attempt to join that is under way, if one is.
    pub nonce: Option<u64>,
    /// The boot of the machine in which its executors were started, if that was noted.
    pub boot: Option<String>,
    /// What it last said of itself.
    pub info: Option<Box<AgentInfo>>,
    /// Where its operator said then that it is.
    pub domain: Option<FaultDomain>,
    /// Executors that are not known to have ended.
    pub executors: BTreeMap<ContainerId, KeptExecutor>,
    /// Frameworks that have any of these, or tasks that are not ended and acknowledged.
    pub frameworks: BTreeMap<FrameworkId, KeptFramework>,
    /// The executors in the order of their beginning.
    pub order: Vec<ContainerId>,
}

impl Checkpoint {
    /// Takes one record in.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Joined { agent, cluster, epoch } => {
                self.member = Some((agent, cluster));
                self.epoch = self.epoch.max(epoch);
                self.nonce = None;
            }
            Record::Left => {
                self.member = None;
                self.epoch = 0;
                self.nonce = None;
                (self.info, self.domain) = (None, None);
                self.forget_tasks();
            }
            Record::ExecutorStarting(container) => self.add_executor(container, None),
            Record::ExecutorStarted { container, process } => {
                if !self.executors.contains_key(&container) {
                    self.add_executor(container.clone(), None);
                }
                if let Some(kept) = self.executors.get_mut(&container) {
                    kept.process = Some(process);
                }
            }
            Record::ExecutorEnded(container) => {
                self.order.retain(|other| *other != container);
                let ended = self.executors.remove(&container).and_then(|kept| kept.launch);
                if let Some(launch) = ended {
                    self.forget_if_empty(&launch.framework.framework);
                }
            }
            Record::Registering { nonce } => self.nonce = Some(nonce),
            Record::Booted(boot) => self.boot = Some(boot),
            Record::Configured { info, domain } => (self.info, self.domain) = (Some(info), domain),
            Record::ExecutorLaunching { container, launch } => {
                self.framework(&launch.framework);
                self.add_executor(container, Some(launch));
            }
            Record::TaskTaken(taken) => self.take(*taken),
            Record::Updated { status, replaces } => self.update(*status, replaces),
            Record::Acknowledged { framework, task, update } => {
                if let Some(kept) = self.task(&framework, &task) {
                    kept.updates.retain(|waiting| waiting.update != Some(update));
                }
            }
            Record::TaskForgotten { framework, task } => self.forget(&framework, &task),
            Record::FrameworkRemoved(framework) => self.remove(&framework),
            Record::FrameworkUpdated(info) => self.describe(*info),
            Record::Heard { container, task, update } => {
                if let Some(kept) = self.executors.get_mut(&container) {
                    kept.heard.insert(task, update);
                }
            }
        }
    }

    fn add_executor(&mut self, container: ContainerId, launch: Option<Box<ExecutorLaunch>>) {
        self.order.push(container.clone());
        self.executors.insert(container, KeptExecutor { launch, ..KeptExecutor::default() });
    }

    fn framework(&mut self, info: &FrameworkInfo) -> &mut KeptFramework {
        let kept = self.frameworks.entry(info.framework.clone()).or_insert_with(|| KeptFramework {
            info: info.clone(),
            removed: false,
            tasks: BTreeMap::new(),
        });
        if !kept.removed {
            kept.info = info.clone();
        }
        kept
    }

    /// With its executors, by which alone it may be known.
    fn describe(&mut self, info: FrameworkInfo) {
        let Some(kept) = self.frameworks.get_mut(&info.framework).filter(|kept| !kept.removed)
        else {
            return;
        };
        kept.info = info.clone();
        let launches = self.executors.values_mut().filter_map(|kept| kept.launch.as_mut());
        for launch in launches.filter(|launch| launch.framework.framework == info.framework) {
            launch.framework = info.clone();
        }
    }

    fn task(&mut self, framework: &FrameworkId, task: &TaskId) -> Option<&mut KeptTask> {
        self.frameworks.get_mut(framework)?.tasks.get_mut(task)
    }

    fn take(&mut self, taken: TaskTaken) {
        if let Some(executor) = self.executors.get_mut(&taken.container) {
            executor.heard.remove(&taken.spec.task);
        }
        let task = taken.spec.task.clone();
        let kept = self.framework(&taken.framework.clone());
        kept.tasks.insert(task, KeptTask { taken, updates: VecDeque::new() });
    }

    fn update(&mut self, status: TaskStatus, replaces: bool) {
        let (framework, task) = (status.framework.clone(), status.task.clone());
        if let Some(kept) = self.task(&framework, &task) {
            kept.taken.state = status.state;
            if status.source == Source::Executor {
                kept.taken.heard = status.update;
            }
            if replaces {
                kept.updates.pop_back();
            }
            kept.updates.push_back(status);
        }
    }

    fn forget(&mut self, framework: &FrameworkId, task: &TaskId) {
        let kept = self.frameworks.get_mut(framework).and_then(|kept| kept.tasks.remove(task));
        if let Some(TaskTaken { container, heard: Some(update), .. }) = kept.map(|kept| kept.taken)
            && let Some(executor) = self.executors.get_mut(&container)
        {
            executor.heard.insert(task.clone(), update);
            if executor.heard.len() > HEARD_MAX {
                executor.heard.pop_first();
            }
        }
        self.forget_if_empty(framework);
    }

    fn remove(&mut self, framework: &FrameworkId) {
        if let Some(kept) = self.frameworks.get_mut(framework) {
            kept.removed = true;
            kept.tasks.retain(|_, task| !task.taken.state.is_end());
            kept.tasks.values_mut().for_each(|task| task.updates.clear());
        }
        self.forget_if_empty(framework);
    }

    /// They were a former agent's: to the next one nobody gave them.
    fn forget_tasks(&mut self) {
        let frameworks: Vec<FrameworkId> = self.frameworks.keys().cloned().collect();
        for framework in frameworks {
            if let Some(kept) = self.frameworks.get_mut(&framework) {
                kept.tasks.clear();
            }
            self.forget_if_empty(&framework);
        }
    }

    /// Nothing of what its executors were for.
    pub(super) fn keep_only_processes(&mut self) {
        for kept in self.executors.values_mut() {
            kept.launch = None;
        }
        self.frameworks.clear();
    }

    fn forget_if_empty(&mut self, framework: &FrameworkId) {
        let has_executors = self.executors.values().any(|kept| {
            kept.launch.as_ref().is_some_and(|launch| launch.framework.framework == *framework)
        });
        let has_tasks = self.frameworks.get(framework).is_some_and(|kept| !kept.tasks.is_empty());
        if !has_executors && !has_tasks {
            self.frameworks.remove(framework);
        }
    }

    /// The fewest records that say the same.
    pub fn records(&self) -> Vec<Record> {
        let joined = self.member.iter().map(|(agent, cluster)| Record::Joined {
            agent: agent.clone(),
            cluster: cluster.clone(),
            epoch: self.epoch,
        });
        let registering = self.nonce.map(|nonce| Record::Registering { nonce });
        let booted = self.boot.clone().map(Record::Booted);
        let domain = self.domain.clone();
        let configured = self.info.clone().map(|info| Record::Configured { info, domain });
        let of_agent = joined.chain(registering).chain(booted).chain(configured);
        let mut records: Vec<Record> = of_agent.collect();
        for container in &self.order {
            self.executors[container].add_records(container, &mut records);
        }
        for (framework, kept) in &self.frameworks {
            // Whoever is removed has no news that waits, so the order of the two does not matter.
            for task in kept.tasks.values() {
                records.push(Record::TaskTaken(Box::new(TaskTaken {
                    framework: kept.info.clone(),
                    ..task.taken.clone()
                })));
                records.extend(task.updates.iter().map(|status| Record::Updated {
                    status: Box::new(status.clone()),
                    replaces: false,
                }));
            }
            records.extend(kept.removed.then(|| Record::FrameworkRemoved(framework.clone())));
        }
        records
    }
}

impl KeptExecutor {
    fn add_records(&self, id: &ContainerId, records: &mut Vec<Record>) {
        let container = || id.clone();
        match &self.launch {
            Some(launch) => {
                let launch = launch.clone();
                records.push(Record::ExecutorLaunching { container: container(), launch });
            }
            None => records.push(Record::ExecutorStarting(container())),
        }
        if let Some(process) = self.process.clone() {
            records.push(Record::ExecutorStarted { container: container(), process });
        }
        records.extend(self.heard.iter().map(|(task, update)| Record::Heard {
            container: container(),
            task: task.clone(),
            update: *update,
        }));
    }
}
