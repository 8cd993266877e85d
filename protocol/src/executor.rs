//! What executors and their agent say to each other. An executor finds its agent, its ids and its token in its environment.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::framework::FrameworkInfo;
use crate::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId, UpdateId};
use crate::task::{TaskSpec, TaskStatus};

/// `host:port` of the agent's node.
pub const ENV_AGENT: &str = "AIRSIDE_AGENT";
/// The executor's framework.
pub const ENV_FRAMEWORK: &str = "AIRSIDE_FRAMEWORK_ID";
/// The executor's own id.
pub const ENV_EXECUTOR: &str = "AIRSIDE_EXECUTOR_ID";
/// This life of it.
pub const ENV_CONTAINER: &str = "AIRSIDE_CONTAINER_ID";
/// What proves to the agent that it is this container; random, per container.
pub const ENV_TOKEN: &str = "AIRSIDE_EXECUTOR_TOKEN";
/// Its sandbox, also its working directory.
pub const ENV_SANDBOX: &str = "AIRSIDE_SANDBOX";
/// Set when the cluster has a secret: it is to be read from standard input, to its end. So it works for every user, can be
/// read once, and stands in no command line, environment or file.
pub const ENV_SECRET_ON_STDIN: &str = "AIRSIDE_SECRET_ON_STDIN";
/// No secret is longer.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// From an executor to its agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ExecutorToAgent {
    /// First contact. Sent again, with backoff, until `Registered` or `Shutdown` arrives.
    Register {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        executor: ExecutorId,
        /// This life of it.
        container: ContainerId,
        /// From its environment.
        token: String,
    },
    /// A task's news; sent again, with backoff, until `Acknowledge` arrives.
    Updated(TaskStatus),
    /// For its scheduler; unreliable.
    ToScheduler(Vec<u8>),
}

/// From an agent to an executor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AgentToExecutor {
    /// The agent knows it.
    Registered {
        /// The agent's id.
        agent: AgentId,
        /// Whose executor it is.
        framework: FrameworkInfo,
        /// Between the polite and the final signal when `Shutdown` comes.
        shutdown_grace: Duration,
    },
    /// Run this.
    Launch(TaskSpec),
    /// End this task.
    Kill {
        /// Which.
        task: TaskId,
        /// Between the polite and the final signal.
        grace: Duration,
    },
    /// The agent has this news.
    Acknowledge {
        /// Which task's.
        task: TaskId,
        /// The news.
        update: UpdateId,
    },
    /// From its scheduler; unreliable.
    FromScheduler(Vec<u8>),
    /// End all tasks, then yourself.
    Shutdown,
}
