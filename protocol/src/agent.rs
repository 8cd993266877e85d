//! What agents and the master say to each other. Every command carries the epoch of the master's reign; an agent refuses
//! lower ones than it has seen.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::framework::FrameworkInfo;
use crate::ids::{
    AgentId, ClusterId, ContainerId, ExecutorId, FrameworkId, MasterId, Role, TaskId, UpdateId,
};
use crate::resources::{Attribute, Resources};
use crate::task::{ExecutorSpec, Exit, TaskReport, TaskSpec, TaskStatus};
use crate::wishes::FaultDomain;

/// Where an agent is to be found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentAddress {
    /// The machine's name, for people and constraints.
    pub hostname: String,
    /// `host:port` of its node.
    pub listens: String,
}

/// What an agent says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// Where it is.
    pub at: Arc<AgentAddress>,
    /// All it has to give.
    pub resources: Resources,
    /// What its operator says of it.
    pub attributes: Vec<Attribute>,
    /// Its program's version.
    pub version: String,
    /// Changes when the machine restarts.
    pub boot: String,
}

/// An executor as its agent knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorReport {
    /// Whose.
    pub framework: FrameworkId,
    /// What was asked for; of a command task, the executor that the agent made for it.
    pub spec: ExecutorSpec,
    /// This life of it.
    pub container: ContainerId,
    /// Under which it holds its resources.
    pub role: Role,
}

/// From an agent to the master.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AgentToMaster {
    /// First contact of an agent that has no id. Sent again, with backoff, until `Registered` or `Refused` arrives; `ReturnLater`
    /// says that it is being written down.
    Register {
        /// Chosen at random by the agent for this attempt to join; makes repeats harmless.
        nonce: u64,
        /// What it is.
        info: AgentInfo,
    },
    /// Contact of an agent that has an id: after a lost connection, its own or the master's restart. Sent again, with
    /// backoff, until `Registered` or `Refused` arrives.
    Reregister {
        /// The id it was given.
        agent: AgentId,
        /// What it is.
        info: AgentInfo,
        /// All its tasks that are not ended and acknowledged.
        tasks: Vec<TaskReport>,
        /// All its executors.
        executors: Vec<ExecutorReport>,
        /// Those whose tasks and executors it has.
        frameworks: Vec<FrameworkInfo>,
        /// The highest epoch it has seen.
        epoch: u64,
        /// The cluster that gave it its id: only of that one does the epoch say anything.
        cluster: ClusterId,
    },
    /// Answer to `Ping`; with sequence 0 to a `ReturnNow` for which it is too late, since the agent is there.
    Pong {
        /// The ping's number.
        sequence: u64,
    },
    /// A task's news; sent again, with backoff, until `Acknowledge` arrives.
    Updated {
        /// The news; its `update` is set.
        status: TaskStatus,
        /// The newest state of the task, which the news may trail.
        latest: crate::task::TaskState,
    },
    /// An executor has ended.
    ExecutorEnded {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        executor: ExecutorId,
        /// This life of it.
        container: ContainerId,
        /// How; `None` if it never started.
        exit: Option<Exit>,
    },
    /// An executor's message for its scheduler; unreliable.
    FromExecutor {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        executor: ExecutorId,
        /// What it says.
        data: Vec<u8>,
    },
    /// A command of a lower epoch than the agent has seen was not obeyed.
    EpochRefused {
        /// The command's epoch.
        epoch: u64,
        /// The highest seen.
        seen: u64,
    },
    /// The agent goes, for good, with all its tasks ended.
    Unregister,
    /// An agent that has an id would like to say `Reregister`, which is large: answered by `ReturnNow` or `ReturnLater`. Sent
    /// again, with backoff, until it is. Since version 2; a master of version 1 answers none, and is told all.
    MayReturn {
        /// The id it was given.
        agent: AgentId,
        /// The cluster that gave it.
        cluster: ClusterId,
        /// The highest epoch it has seen.
        epoch: u64,
        /// Of how many tasks it will tell.
        tasks: u32,
    },
    /// As `Register`, of an agent whose operator says where it is. Since version 2; a master of version 1 is not told.
    RegisterAt {
        /// Where.
        domain: FaultDomain,
        /// As in `Register`.
        nonce: u64,
        /// What it is.
        info: AgentInfo,
    },
    /// As `Reregister`, of an agent whose operator says where it is. Since version 2.
    ReregisterAt {
        /// Where.
        domain: FaultDomain,
        /// As in `Reregister`, and so is all that follows.
        agent: AgentId,
        /// What it is.
        info: AgentInfo,
        /// All its tasks that are not ended and acknowledged.
        tasks: Vec<TaskReport>,
        /// All its executors.
        executors: Vec<ExecutorReport>,
        /// Those whose tasks and executors it has.
        frameworks: Vec<FrameworkInfo>,
        /// The highest epoch it has seen.
        epoch: u64,
        /// The cluster that gave it its id.
        cluster: ClusterId,
    },
}

impl AgentToMaster {
    /// The same from an agent that says where it is, if it does.
    #[must_use]
    pub fn at(self, place: Option<FaultDomain>) -> Self {
        let Some(domain) = place else {
            return self;
        };
        if let Self::Register { nonce, info } = self {
            Self::RegisterAt { domain, nonce, info }
        } else if let Self::Reregister {
            agent,
            info,
            tasks,
            executors,
            frameworks,
            epoch,
            cluster,
        } = self
        {
            Self::ReregisterAt { domain, agent, info, tasks, executors, frameworks, epoch, cluster }
        } else {
            self
        }
    }

    /// What is said in its place to a master of an older version, if anything can be.
    pub fn in_older_words(self) -> Option<Self> {
        if let Self::Reregister { agent, info, tasks, executors, frameworks, epoch, cluster } = self
        {
            let older_tasks: Vec<_> = tasks.iter().map(TaskReport::in_older_words).collect();
            let older: Vec<_> = frameworks.iter().map(FrameworkInfo::in_older_words).collect();
            let newer =
                older_tasks.iter().any(Option::is_some) || older.iter().any(Option::is_some);
            let tasks =
                older_tasks.into_iter().zip(tasks).map(|(older, task)| older.unwrap_or(task));
            let frameworks = older.into_iter().zip(frameworks).map(|(older, f)| older.unwrap_or(f));
            let (tasks, frameworks) = (tasks.collect(), frameworks.collect());
            let message =
                Self::Reregister { agent, info, tasks, executors, frameworks, epoch, cluster };
            newer.then_some(message)
        } else if let Self::Updated { status, latest } = self {
            status.in_older_words().map(|status| Self::Updated { status, latest })
        } else {
            None
        }
    }
}

/// From the master to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum MasterToAgent {
    /// The registry holds the agent.
    Registered {
        /// Of the master's reign.
        epoch: u64,
        /// The agent's id from now on.
        agent: AgentId,
        /// The cluster it belongs to.
        cluster: ClusterId,
        /// Who leads.
        master: MasterId,
        /// How often to expect a `Ping`.
        ping_every: Duration,
        /// How long without one means that the master has given the agent up.
        silent_after: Duration,
    },
    /// The agent may not join; it says why and ends.
    Refused {
        /// Of the master's reign.
        epoch: u64,
        /// In words.
        reason: String,
        /// The cluster that the master leads. An agent of another one has counted other epochs.
        cluster: ClusterId,
    },
    /// Are you there?
    Ping {
        /// Of the master's reign.
        epoch: u64,
        /// Comes back in `Pong`.
        sequence: u64,
    },
    /// Run this task.
    Launch {
        /// Of the master's reign.
        epoch: u64,
        /// Whose task.
        framework: FrameworkInfo,
        /// What to run.
        task: TaskSpec,
        /// Under which its resources were offered; the agent keeps it for a later master.
        role: Role,
    },
    /// End this task.
    Kill {
        /// Of the master's reign.
        epoch: u64,
        /// Whose.
        framework: FrameworkId,
        /// Which.
        task: TaskId,
        /// Between the polite and the final signal; `None`: the task's own.
        grace: Option<Duration>,
    },
    /// The scheduler has this news.
    Acknowledge {
        /// Of the master's reign.
        epoch: u64,
        /// Whose.
        framework: FrameworkId,
        /// Which.
        task: TaskId,
        /// The news.
        update: UpdateId,
    },
    /// A scheduler's message for its executor; unreliable.
    ToExecutor {
        /// Of the master's reign.
        epoch: u64,
        /// Whose.
        framework: FrameworkId,
        /// Which.
        executor: ExecutorId,
        /// What it says.
        data: Vec<u8>,
    },
    /// End this executor and all its tasks.
    ShutdownExecutor {
        /// Of the master's reign.
        epoch: u64,
        /// Whose.
        framework: FrameworkId,
        /// Which.
        executor: ExecutorId,
    },
    /// The framework is removed: end all its executors and tasks.
    ShutdownFramework {
        /// Of the master's reign.
        epoch: u64,
        /// Which.
        framework: FrameworkId,
    },
    /// What the master thinks the agent runs. The agent answers each task it does not know with `Updated` to `Dropped`.
    Reconcile {
        /// Of the master's reign.
        epoch: u64,
        /// Whose and which.
        tasks: Vec<(FrameworkId, TaskId)>,
    },
    /// Answer to `MayReturn`: there is room, say `Reregister`. Since version 2.
    ReturnNow {
        /// Of the master's reign.
        epoch: u64,
        /// The cluster that the master leads.
        cluster: ClusterId,
    },
    /// Answer to `MayReturn`: others come first. The agent is called by `ReturnNow` when it is its turn, and asks again if it
    /// was not for this long. Said to a new agent, too, that asks again while it is being written down. Since version 2.
    ReturnLater {
        /// Of the master's reign.
        epoch: u64,
        /// The cluster that the master leads.
        cluster: ClusterId,
        /// How long not to ask again.
        after: Duration,
    },
    /// The master has lost its connection with this agent, which may not know: it is to register again. Since version 2.
    RegisterAgain {
        /// Of the master's reign.
        epoch: u64,
    },
    /// The agent was removed: it ends its executors with all their tasks, and then itself. Since version 2.
    Shutdown {
        /// Of the master's reign.
        epoch: u64,
        /// In words.
        reason: String,
        /// The cluster that the master leads.
        cluster: ClusterId,
    },
    /// A framework that the agent runs something of says other things of itself by now. Not answered: the agent hears it with each launch
    /// and whenever it returns, too. Since version 2.
    FrameworkUpdated {
        /// Of the master's reign.
        epoch: u64,
        /// As it is now.
        framework: FrameworkInfo,
    },
    /// Run this task in its executor, which has been heard of and is not known to have ended. If it has, the task is dropped: it was
    /// meant for what that executor held, and its framework hears of the end. Since version 2; agents of version 1 hear `Launch`, and
    /// start another life of it.
    LaunchInRunning {
        /// Of the master's reign.
        epoch: u64,
        /// Whose task.
        framework: FrameworkInfo,
        /// What to run.
        task: TaskSpec,
        /// Under which its resources were offered.
        role: Role,
    },
}

impl MasterToAgent {
    /// Of the reign that the command belongs to.
    pub fn epoch(&self) -> u64 {
        match self {
            Self::Registered { epoch, .. }
            | Self::Refused { epoch, .. }
            | Self::Ping { epoch, .. } => *epoch,
            Self::Launch { epoch, .. }
            | Self::LaunchInRunning { epoch, .. }
            | Self::Kill { epoch, .. }
            | Self::Acknowledge { epoch, .. } => *epoch,
            Self::ToExecutor { epoch, .. } | Self::ShutdownExecutor { epoch, .. } => *epoch,
            Self::ShutdownFramework { epoch, .. } | Self::Reconcile { epoch, .. } => *epoch,
            Self::ReturnNow { epoch, .. } | Self::ReturnLater { epoch, .. } => *epoch,
            Self::RegisterAgain { epoch } | Self::Shutdown { epoch, .. } => *epoch,
            Self::FrameworkUpdated { epoch, .. } => *epoch,
        }
    }

    /// What is said in its place to an agent of an older version, if anything can be.
    pub fn in_older_words(self) -> Option<Self> {
        if let Self::LaunchInRunning { epoch, framework, task, role } = self {
            let framework = framework.in_older_words().unwrap_or(framework);
            Some(Self::Launch { epoch, framework, task, role })
        } else if let Self::Launch { epoch, framework, task, role } = self {
            let older = framework.in_older_words();
            older.map(|framework| Self::Launch { epoch, framework, task, role })
        } else {
            None
        }
    }
}
