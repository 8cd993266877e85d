//! Facts for the log, and the ways in which an agent's life ends. Their texts are for operators.

use libactor::Pid;
use protocol::ids::{AgentId, ClusterId, ContainerId, ExecutorId, FrameworkId, TaskId};
use protocol::task::TaskState;
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

/// A fact that an operator may ask for later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Notice {
    /// Executors of a former life still run.
    #[error("waiting for {0} executors of this agent's former life to come back")]
    OldExecutors(usize),
    /// Some of them are gone with an earlier boot.
    #[error(
        "this machine was started anew: {0} executors that ran before are gone, and their tasks are lost"
    )]
    Rebooted(usize),
    /// All of them are back or gone.
    #[error("all executors of this agent's former life are back or have ended")]
    Recovered,
    /// An executor did not come back.
    #[error("executor {executor} in {container} did not come back in time; killing it")]
    ExecutorNotBack {
        /// Which.
        executor: ExecutorId,
        /// Its life.
        container: ContainerId,
    },
    /// Not answered yet.
    #[error("no answer from the master to {attempts} attempts to register; trying on")]
    MasterSilent {
        /// So far.
        attempts: u32,
    },
    /// It knows of no domains.
    #[error(
        "the master is of an older version, which takes no agent that says where it is, as this one does, in {0}: upgrade all \
         masters first, or start the agent without --domain; trying on"
    )]
    MasterIsOlder(FaultDomain),
    /// A member now.
    #[error("registered as {agent} with the master of epoch {epoch}")]
    Registered {
        /// The agent.
        agent: AgentId,
        /// The reign.
        epoch: u64,
    },
    /// The master is gone.
    #[error("lost the master: {0}; registering again, tasks run on")]
    MasterLost(String),
    /// The master removed this agent.
    #[error("the master removed this agent, so its tasks end: {0}")]
    Removed(String),
    /// A deposed master gave a command.
    #[error("refused a command of epoch {epoch}: epoch {seen} has begun")]
    EpochRefused {
        /// The command's.
        epoch: u64,
        /// The highest seen.
        seen: u64,
    },
    /// Somebody who is not the master speaks like one.
    #[error("ignored what {0} said, which is not the master this agent is registered with")]
    NotTheMaster(Pid),
    /// Too much came while the registration was being written.
    #[error(
        "dropped a command that came before the registration was written: {0} are held already"
    )]
    HeldFull(usize),
    /// A task was not taken.
    #[error("refused task {task} of framework {framework}: {words}")]
    TaskRefused {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        task: TaskId,
        /// Why.
        words: String,
    },
    /// An executor could not prove itself.
    #[error("turned away an executor that calls itself {container}: {words}")]
    ExecutorTurnedAway {
        /// Who it says it is.
        container: ContainerId,
        /// Why.
        words: String,
    },
    /// An executor's connection is lost.
    #[error(
        "executor {executor} in {container} lost its connection: {words}; it runs on, and has to come back"
    )]
    ExecutorLost {
        /// Which.
        executor: ExecutorId,
        /// Its life.
        container: ContainerId,
        /// Why.
        words: String,
    },
    /// An executor did not end when it was told to.
    #[error("executor {executor} in {container} did not end in time; killing it")]
    ExecutorOverdue {
        /// Which.
        executor: ExecutorId,
        /// Its life.
        container: ContainerId,
    },
    /// An executor said what makes no sense.
    #[error("ignored an update of task {task} from executor {executor}: {words}")]
    UpdateIgnored {
        /// Which.
        task: TaskId,
        /// By whom.
        executor: ExecutorId,
        /// Why.
        words: String,
    },
    /// A message was not passed on.
    #[error("dropped a message for executor {executor} of framework {framework}: {words}")]
    MessageDropped {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        executor: ExecutorId,
        /// Why.
        words: String,
    },
    /// The checkpoint could not be written, and that could be survived.
    #[error("could not write to the checkpoint: {0}")]
    NotWritten(String),
    /// A task is over and its framework knows.
    #[error("task {task} of framework {framework} is {state:?} and acknowledged")]
    TaskForgotten {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        task: TaskId,
        /// Its end.
        state: TaskState,
    },
}

/// Why an agent's life is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum End {
    /// The operator ended it.
    #[error("the agent was ended by its operator")]
    Left,
    /// The master does not want it.
    #[error("the master refused this agent: {0}")]
    Refused(String),
    /// It belongs elsewhere.
    #[error(
        "this agent belongs to cluster {mine}, but the master leads cluster {theirs}; give the agent another --work_dir to join that one"
    )]
    OtherCluster {
        /// The agent's.
        mine: ClusterId,
        /// The master's.
        theirs: ClusterId,
    },
    /// It was started to clean up.
    #[error(
        "nothing of this agent's former life is left, nor of who it was; without --recover=cleanup it starts as a new agent"
    )]
    CleanedUp,
    /// Its operator does not want that.
    #[error(
        "the agent is not as it was: {0}; start it as before, allow the difference with --reconfiguration-policy=any, or begin anew with --recover=cleanup"
    )]
    Reconfigured(String),
    /// What must not run beside new tasks still runs.
    #[error(
        "{0} executors of this agent's former life do not end even when killed; end them by hand, then start the agent again"
    )]
    OldExecutorsLive(usize),
    /// What cannot be remembered must not be promised.
    #[error(
        "the agent cannot write its checkpoint: {0}; make room in its --work_dir or choose another one"
    )]
    CannotRemember(String),
    /// Its node was shut down, or its actor broke: as if the process had been killed.
    #[error("the agent's node has ended")]
    NodeEnded,
}
