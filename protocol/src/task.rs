//! Tasks: what is asked for, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use api::v1;
use serde::{Deserialize, Serialize};

use crate::carried::Carried;
use crate::ids::{AgentId, ExecutorId, FrameworkId, Role, TaskId, UpdateId};
use crate::resources::Resources;
use crate::since::Since as _;
use crate::time::WallTime;

/// What a scheduler wants run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Unique within the framework while the task is not ended and acknowledged.
    pub task: TaskId,
    /// For people.
    pub name: String,
    /// What the task itself uses; its executor's are in [`ExecutorSpec`].
    pub resources: Resources,
    /// What to run.
    pub run: Run,
    /// Between the polite and the final signal when the task is killed; `None`: the agent's default.
    pub kill_grace: Option<Duration>,
    /// Labels, health check, discovery, container and whatever else only travels.
    pub carried: Carried<v1::TaskInfo>,
}

/// How a task runs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Run {
    /// As a command, under the executor that comes with the agent; its executor id is the task's id.
    Command(CommandSpec),
    /// By an executor of the framework's, which is started unless it already runs on that agent.
    Executor {
        /// The executor.
        executor: ExecutorSpec,
        /// For the executor; at most a message long.
        data: Vec<u8>,
    },
}

/// What is for the executor may be a secret: logs show how much it is.
impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Command(command) => f.debug_tuple("Command").field(command).finish(),
            Self::Executor { executor, data } => {
                let data = format_args!("{} bytes", data.len());
                let mut text = f.debug_struct("Executor");
                text.field("executor", executor).field("data", &data).finish()
            }
        }
    }
}

/// A process to start.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandSpec {
    /// Given to `/bin/sh -c` when `shell`, else the path of the executable.
    pub value: String,
    /// Whether `value` is a line for the shell.
    pub shell: bool,
    /// Everything from `argv[0]` on, when not `shell`; empty means just `value`.
    pub arguments: Vec<String>,
    /// Added to the agent's environment for tasks.
    pub environment: Vec<(String, String)>,
    /// Who it runs as; `None`: the framework's user.
    pub user: Option<String>,
    /// URIs and what else only travels.
    pub carried: Carried<v1::CommandInfo>,
}

/// For logs: of its environment the names alone, since people put passwords there.
impl std::fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.environment.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("CommandSpec")
            .field("value", &self.value)
            .field("shell", &self.shell)
            .field("arguments", &self.arguments)
            .field("environment", &names)
            .field("user", &self.user)
            .field("carried", &self.carried)
            .finish()
    }
}

/// An executor of a framework's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorSpec {
    /// Unique within framework and agent.
    pub executor: ExecutorId,
    /// For people.
    pub name: String,
    /// How it is started. It finds the agent and its own ids in its environment.
    pub command: CommandSpec,
    /// What it uses beside its tasks.
    pub resources: Resources,
    /// Between the polite and the final signal when it is shut down; `None`: the agent's default.
    pub shutdown_grace: Option<Duration>,
}

impl ExecutorSpec {
    /// Whether it is the same as one that runs. On what that was started, reserved or not, whoever asks for it need not know.
    pub fn is_as(&self, runs: &Self) -> bool {
        let amounts = |spec: &Self| spec.resources.flattened();
        let runs = Self { resources: amounts(runs), ..runs.clone() };
        Self { resources: amounts(self), ..self.clone() } == runs
    }
}

/// `Staging -> Starting -> Running -> Killing ->` one of the ends. Names are Mesos's, so that people find them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskState {
    /// Accepted by the master, not yet in its executor.
    Staging,
    /// Its executor has it.
    Starting,
    /// Its process runs.
    Running,
    /// It was told to end.
    Killing,
    /// Ended well. An end.
    Finished,
    /// Ended badly. An end.
    Failed,
    /// Ended because it was told to. An end.
    Killed,
    /// Could never have run: its description is wrong. An end.
    Error,
    /// Not known to have ended, given up. An end, for frameworks without partition awareness.
    Lost,
    /// Never started, and never will be. An end.
    Dropped,
    /// Its agent cannot be reached; it may run on, and come back.
    Unreachable,
    /// Its agent was removed with all on it. An end.
    Gone,
    /// An operator said so. An end.
    GoneByOperator,
    /// Nobody knows this task.
    Unknown,
}

impl TaskState {
    /// Whether nothing can follow.
    pub fn is_end(self) -> bool {
        match self {
            Self::Finished | Self::Failed | Self::Killed | Self::Error => true,
            Self::Lost | Self::Dropped | Self::Gone | Self::GoneByOperator => true,
            Self::Staging | Self::Starting | Self::Running | Self::Killing => false,
            Self::Unreachable | Self::Unknown => false,
        }
    }

    /// Whether a task in this state may be reported in `next`. Repeats are legal; ends are final; what was unreachable
    /// may turn up anywhere.
    pub fn can_become(self, next: Self) -> bool {
        let order = |state: Self| match state {
            Self::Staging => Some(0),
            Self::Starting => Some(1),
            Self::Running => Some(2),
            Self::Killing => Some(3),
            Self::Finished
            | Self::Failed
            | Self::Killed
            | Self::Error
            | Self::Lost
            | Self::Dropped => None,
            Self::Unreachable | Self::Gone | Self::GoneByOperator | Self::Unknown => None,
        };
        if self.is_end() {
            return self == next;
        }
        match (order(self), order(next)) {
            (Some(before), Some(after)) => before <= after,
            (None, _) | (_, None) => true,
        }
    }
}

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The master, of its own knowledge.
    Master,
    /// The agent, of its own knowledge.
    Agent,
    /// The executor.
    Executor,
}

/// Why a task is in its state. Names are Mesos's `REASON_…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// The agent lost its connection or was removed from the books before the task was there.
    AgentDisconnected,
    /// The agent was removed.
    AgentRemoved,
    /// The agent came back without it.
    AgentRestarted,
    /// The agent does not know it.
    AgentUnknown,
    /// The command's executor failed.
    CommandExecutorFailed,
    /// The executor could not be started.
    ContainerLaunchFailed,
    /// The executor did not register in time.
    ExecutorRegistrationTimeout,
    /// The executor ended with tasks still in it.
    ExecutorTerminated,
    /// The executor lost its agent.
    ExecutorUnregistered,
    /// The framework was removed.
    FrameworkRemoved,
    /// An offer was not, or no longer, the framework's.
    InvalidOffers,
    /// The answer to a question about it.
    Reconciliation,
    /// What it needs is more than was offered, or was wrongly given.
    ResourcesUnknown,
    /// Its description is wrong.
    TaskInvalid,
    /// Its principal may not do this.
    TaskUnauthorized,
    /// Nobody knows it.
    TaskUnknown,
    /// It was killed before it was launched.
    TaskKilledDuringLaunch,
    /// The master was lost with it on the way.
    MasterDisconnected,
    /// It was refused by the agent.
    InvalidFrameworkId,
    /// Its agent was unreachable and is back, the task with it.
    AgentReregistered,
    /// It needed more memory than its container may have. Since version 2.
    ContainerLimitationMemory,
    /// It needed more disk than its container may have. Since version 2.
    ContainerLimitationDisk,
    /// It went beyond another limit of its container. Since version 2.
    ContainerLimitation,
    /// Its container could not be given what it may have from then on. Since version 2.
    ContainerUpdateFailed,
}

/// What a task is really kept apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Isolation {
    /// A session and process group of its own, and its user; no limit is enforced and nothing is hidden.
    ProcessGroup,
    /// The same, and a control group with limits of its container. Since version 2.
    ControlGroup,
    /// Namespaces and a root of its own, that of an image; and a control group where the agent has them. Since version 2.
    Container,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A statement about one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    /// Whose task.
    pub framework: FrameworkId,
    /// Which.
    pub task: TaskId,
    /// Where, if it is anywhere.
    pub agent: Option<AgentId>,
    /// By which executor.
    pub executor: Option<ExecutorId>,
    /// The state it is in.
    pub state: TaskState,
    /// Who says so.
    pub source: Source,
    /// Why.
    pub reason: Option<Reason>,
    /// For people.
    pub message: String,
    /// How its process ended.
    pub exit: Option<Exit>,
    /// Given with `Running`.
    pub isolation: Option<Isolation>,
    /// The process, given with `Running` for command tasks.
    pub process: Option<u32>,
    /// From the executor to its scheduler.
    pub data: Vec<u8>,
    /// When the statement was made.
    pub at: WallTime,
    /// Set if it is to be acknowledged; sent again until it is.
    pub update: Option<UpdateId>,
    /// Health, network and whatever else only travels.
    pub carried: Carried<v1::TaskStatus>,
}

impl TaskStatus {
    /// The same in words of version 1, if it has others.
    pub fn in_older_words(self) -> Option<Self> {
        if self.since() == 1 {
            return None;
        }
        let reason = self.reason.map(|reason| match reason.since() {
            1 => reason,
            // By its own doing: whoever reads it need not think that it may be tried again.
            _ => Reason::CommandExecutorFailed,
        });
        let isolation = self.isolation.map(|_| Isolation::ProcessGroup);
        Some(Self { reason, isolation, ..self })
    }

    /// Only that a task is in this state, and who says so. It is not to be acknowledged.
    pub fn plain(framework: FrameworkId, task: TaskId, state: TaskState, source: Source) -> Self {
        Self {
            framework,
            task,
            agent: None,
            executor: None,
            state,
            source,
            reason: None,
            message: String::new(),
            exit: None,
            isolation: None,
            process: None,
            data: Vec::new(),
            at: WallTime::default(),
            update: None,
            carried: Carried::default(),
        }
    }
}

/// A task as an agent or the master knows it, for whoever has to learn of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    /// Whose.
    pub framework: FrameworkId,
    /// What was asked for.
    pub spec: Arc<TaskSpec>,
    /// Where.
    pub agent: AgentId,
    /// By which executor.
    pub executor: ExecutorId,
    /// The newest state known.
    pub state: TaskState,
    /// The newest status that its framework has not acknowledged, if any.
    pub unacknowledged: Option<Arc<TaskStatus>>,
    /// Under which its resources were offered.
    pub role: Role,
}

impl TaskReport {
    /// The same in words of version 1, where that is about what is not acknowledged.
    pub fn in_older_words(&self) -> Option<Self> {
        let older = self.unacknowledged.as_deref()?.clone().in_older_words()?;
        Some(Self { unacknowledged: Some(Arc::new(older)), ..self.clone() })
    }
}

// About how many bytes something is long beside its ids, numbers and short words: for whoever has to bound how much of it is kept or told.

impl TaskSpec {
    /// Of what is to run, and what only travels.
    pub fn long_bytes(&self) -> usize {
        let run = match &self.run {
            Run::Command(command) => command.long_bytes(),
            Run::Executor { executor, data } => executor.command.long_bytes() + data.len(),
        };
        run + self.carried.as_bytes().len()
    }
}

impl CommandSpec {
    /// Of all its words, and what only travels.
    pub fn long_bytes(&self) -> usize {
        let arguments: usize = self.arguments.iter().map(String::len).sum();
        let environment: usize = self.environment.iter().map(|(k, v)| k.len() + v.len()).sum();
        self.value.len() + arguments + environment + self.carried.as_bytes().len()
    }
}

impl TaskStatus {
    /// Of what it says to people and to its scheduler.
    pub fn long_bytes(&self) -> usize {
        self.message.len() + self.data.len() + self.carried.as_bytes().len()
    }
}

#[cfg(test)]
mod tests {
    use super::TaskState::*;
    use super::{CommandSpec, ExecutorSpec, Run};

    #[test]
    fn what_is_in_a_commands_environment_is_in_no_log() {
        let environment = vec![("PASSWORD".to_owned(), "open sesame".to_owned())];
        let shown = format!("{:?}", CommandSpec { environment, ..CommandSpec::default() });
        assert!(shown.contains("PASSWORD") && !shown.contains("sesame"), "{shown}");
    }

    #[test]
    fn what_is_for_an_executor_is_in_no_log() {
        let executor = ExecutorSpec {
            executor: crate::ids::ExecutorId::new("e"),
            name: String::new(),
            command: CommandSpec::default(),
            resources: Default::default(),
            shutdown_grace: None,
        };
        let shown = format!("{:?}", Run::Executor { executor, data: b"open sesame".to_vec() });
        assert!(shown.ends_with("data: 11 bytes }"), "{shown}");
        let environment = vec![(b"TOKEN".to_vec(), b"open sesame".to_vec())];
        let start = crate::executor::StartProgram { environment, ..Default::default() };
        let shown = format!("{start:?}");
        assert!(shown.contains("[\"TOKEN\"]") && !shown.contains("111"), "{shown}");
    }

    #[test]
    fn states_only_move_forward_and_ends_are_final() {
        assert!(Staging.can_become(Running) && Running.can_become(Running));
        assert!(!Running.can_become(Starting) && !Killing.can_become(Running));
        assert!(Running.can_become(Unreachable) && Unreachable.can_become(Running));
        assert!(
            !Finished.can_become(Failed) && !Lost.can_become(Running) && Killed.can_become(Killed)
        );
    }
}
