//! What executors and their agent say to each other. An executor finds its agent, its ids and its token in its environment.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libactor::wire::{self, WireError};
use libactor::{BadName, Name};
use serde::{Deserialize, Serialize};

use crate::container::SecretValue;
use crate::framework::FrameworkInfo;
use crate::ids::{AgentId, ContainerId, ExecutorId, FrameworkId, TaskId, UpdateId};
use crate::task::{CommandSpec, TaskSpec, TaskState, TaskStatus};

/// The name that an agent's actor has on its node.
pub const AGENT_ACTOR: &str = "agent";

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
/// The file in which its agent says where it is now: `host:port`, another after a restart. Read at each contact; where it cannot
/// be read, [`ENV_AGENT`] counts.
pub const ENV_AGENT_FILE: &str = "AIRSIDE_AGENT_FILE";
/// How long, in milliseconds, it waits for its agent to come back.
pub const ENV_RECOVERY_TIMEOUT: &str = "AIRSIDE_RECOVERY_TIMEOUT_MS";
/// For the executor of command tasks and for shims: the folder in which they write down how what they ran has ended. Only the
/// agent's own user can.
pub const ENV_RECORDS: &str = "AIRSIDE_EXECUTOR_RECORDS";
/// Set when control groups limit its container: the files by which it joins them before it does anything else, with colons between.
pub const ENV_GROUPS: &str = "AIRSIDE_CGROUPS";
/// Set when what it starts is to be shut into an image, or behind mounts and namespaces: the file that says how. Only the agent's own
/// user can read it.
pub const ENV_INSIDE: &str = "AIRSIDE_INSIDE";
/// Begins the names by which a [`StartProgram`] that is to be shut in has what its secret volumes hold, numbered from 0 on: what says
/// how it is shut in is a file, and holds no secrets. Whoever shuts it in takes them out.
pub const SECRET_VOLUME: &str = "AIRSIDE_SECRET_VOLUME_";
/// Set when the cluster has a secret: the executor's own, lent by its agent, is to be read from standard input, to its end. So
/// it works for every user, can be read once, and stands in no command line, environment or file.
pub const ENV_SECRET_ON_STDIN: &str = "AIRSIDE_SECRET_ON_STDIN";
/// No secret is longer.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Where an agent is, as what it started knows: another place in another life of it.
#[derive(Clone, Debug)]
pub struct AgentAt {
    first: Name,
    file: Option<PathBuf>,
}

impl AgentAt {
    /// From what [`ENV_AGENT`] and [`ENV_AGENT_FILE`] say.
    pub fn new(address: &str, file: Option<PathBuf>) -> Result<Self, BadName> {
        Ok(Self { first: name_of_agent(address)?, file })
    }

    /// As the agent says now, in the file that is read by `read`; or said at the start.
    pub fn name<'a>(&'a self, read: impl FnOnce(&'a Path) -> io::Result<String>) -> Name {
        let said = self.file.as_deref().and_then(|file| read(file).ok());
        let name = said.and_then(|address| name_of_agent(address.trim()).ok());
        name.unwrap_or_else(|| self.first.clone())
    }
}

fn name_of_agent(address: &str) -> Result<Name, BadName> {
    format!("{AGENT_ACTOR}@{address}").parse()
}

/// What proves to an agent that an executor is the container that it started. Logs do not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token(String);

impl Token {
    /// Takes what was drawn or found in the environment.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For the environment, and to be compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// The names, a line each, of what else of its environment the executor hands down to its task: what the agent's operator gives
/// to all.
pub const ENV_PASSED: &str = "AIRSIDE_EXECUTOR_PASSED";
/// How many files the executor and its tasks may open, if that is not what its agent may: programs that still use `select`
/// break where they may open more than they were made for.
pub const ENV_OPEN_FILES: &str = "AIRSIDE_EXECUTOR_OPEN_FILES";
/// The number of an open file with a [`StartProgram`]; its presence makes the executor's program do that and nothing else.
pub const ENV_STARTS: &str = "AIRSIDE_EXECUTOR_STARTS";

/// What the executor's program does on the way to another program: for an agent, as a shim, to keep the processes of a
/// framework's own executor together; for an executor or a shim, to become a user with all its groups. It comes in an open
/// file and not in the environment, because whoever reads it still has the rights of root and must not heed a word of what
/// is for the program.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartProgram {
    /// A path, or a name that is looked up in the environment's `PATH`.
    pub program: String,
    /// From the zeroth on.
    pub arguments: Vec<String>,
    /// All of it.
    pub environment: Vec<(OsBytes, OsBytes)>,
    /// Who it runs as; `None`: as its starter.
    pub user: Option<String>,
    /// How many files it may open; `None`: as many as its starter.
    pub open_files: Option<u64>,
    /// Set for a shim, which stays as the program's parent, ends when it does and as it did, and leaves nothing of it alive.
    /// Without, the starter becomes the program.
    pub shim: Option<Shim>,
}

/// By this signal the next life of an agent tells a shim that it is there: from then on the shim watches the sender.
pub const AGENT_IS_BACK: i32 = 10;

/// What a shim knows of the agent that it works for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shim {
    /// The number of an open pipe to which nothing is written, and which ends when the agent does, however that comes.
    pub lifeline: i32,
    /// How long the program has to end by itself once its agent is lost and did not come back.
    pub grace: Duration,
}

/// What the system takes for a name or a value; usually text.
pub type OsBytes = Vec<u8>;

/// A larger one is no [`StartProgram`]: the system takes no such environment.
pub const START_PROGRAM_BYTES_MAX: usize = 16 << 20;

/// Without the values of the environment: a token is among them.
impl std::fmt::Debug for StartProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.environment.iter().map(|(name, _)| String::from_utf8_lossy(name));
        f.debug_struct("StartProgram")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .field("environment", &names.collect::<Vec<_>>())
            .field("user", &self.user)
            .field("open_files", &self.open_files)
            .field("shim", &self.shim)
            .finish()
    }
}

impl StartProgram {
    /// The program and arguments of a command; its environment and its user are for the caller to say.
    pub fn of(command: &CommandSpec) -> Self {
        let (program, arguments) = if command.shell {
            let shell = ["/bin/sh", "-c", &command.value].map(str::to_owned).into_iter();
            let rest = command.arguments.iter().skip(1).cloned();
            ("/bin/sh".to_owned(), shell.chain(rest).collect())
        } else if command.arguments.is_empty() {
            (command.value.clone(), vec![command.value.clone()])
        } else {
            (command.value.clone(), command.arguments.clone())
        };
        Self { program, arguments, ..Self::default() }
    }

    /// Adds what secret volumes hold, for whoever shuts the program in.
    pub fn add_secrets<'s>(&mut self, secrets: impl IntoIterator<Item = &'s SecretValue>) {
        // A framework may have said such a name, too.
        self.environment.retain(|(name, _)| !name.starts_with(SECRET_VOLUME.as_bytes()));
        let numbered = secrets.into_iter().enumerate();
        let named = numbered.map(|(number, SecretValue(value))| {
            (format!("{SECRET_VOLUME}{number}").into_bytes(), value.clone())
        });
        self.environment.extend(named);
    }

    /// Takes them out again.
    pub fn take_secrets(&mut self) -> Vec<SecretValue> {
        let is_secret = |(name, _): &(OsBytes, OsBytes)| name.starts_with(SECRET_VOLUME.as_bytes());
        let (secrets, rest) =
            std::mem::take(&mut self.environment).into_iter().partition(is_secret);
        self.environment = rest;
        let secrets: Vec<(OsBytes, OsBytes)> = secrets;
        secrets.into_iter().map(|(_, value)| SecretValue(value)).collect()
    }

    /// As the file holds it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WireError> {
        wire::encode(self, START_PROGRAM_BYTES_MAX)
    }

    /// What the file holds.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        wire::decode(bytes)
    }
}

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
        token: Token,
    },
    /// A task's news; sent again, with backoff, until `Acknowledge` arrives.
    Updated(TaskStatus),
    /// For its scheduler; unreliable.
    ToScheduler(Vec<u8>),
    /// Contact of an executor that lost its agent: it runs on. Sent again, with backoff, until `Reregistered` or `Shutdown`
    /// arrives.
    Reregister {
        /// Whose.
        framework: FrameworkId,
        /// Which.
        executor: ExecutorId,
        /// This life of it.
        container: ContainerId,
        /// From its environment.
        token: Token,
        /// All its tasks that have not ended, and those whose end is not acknowledged.
        tasks: Vec<TaskHeld>,
        /// News that is not acknowledged, in order. What there is no room for follows as `Updated`.
        unacknowledged: Vec<TaskStatus>,
    },
}

/// A task as its executor knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskHeld {
    /// Which.
    pub task: TaskId,
    /// The newest state.
    pub state: TaskState,
}

/// Who an executor is: what its environment says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its framework.
    pub framework: FrameworkId,
    /// Its own id.
    pub executor: ExecutorId,
    /// This life of it.
    pub container: ContainerId,
    /// What proves this to the agent.
    pub token: Token,
}

impl Identity {
    /// What it says to an agent that started it.
    pub fn register(&self) -> ExecutorToAgent {
        let Self { framework, executor, container, token } = self.clone();
        ExecutorToAgent::Register { framework, executor, container, token }
    }

    /// What it says to the next life of an agent that it lost.
    pub fn reregister(
        &self,
        tasks: Vec<TaskHeld>,
        unacknowledged: Vec<TaskStatus>,
    ) -> ExecutorToAgent {
        let Self { framework, executor, container, token } = self.clone();
        ExecutorToAgent::Reregister { framework, executor, container, token, tasks, unacknowledged }
    }
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
    /// The agent has written this news down.
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
    /// Answer to `Reregister`: the agent has it again.
    Reregistered {
        /// The agent's id.
        agent: AgentId,
        /// Between the polite and the final signal when `Shutdown` comes.
        shutdown_grace: Duration,
    },
}

impl AgentToExecutor {
    /// What is said in its place to an executor of an older version, if anything can be.
    pub fn in_older_words(self) -> Option<Self> {
        if let Self::Registered { agent, framework, shutdown_grace } = self {
            let older = framework.in_older_words();
            older.map(|framework| Self::Registered { agent, framework, shutdown_grace })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_where_its_file_says_and_else_where_it_was() {
        let named = |read: io::Result<String>| {
            let at = AgentAt::new("10.0.0.1:5051", Some("agent.address".into())).unwrap();
            at.name(|file| {
                assert_eq!(file, Path::new("agent.address"));
                read
            })
        };
        let (now, first) = ("agent@10.0.0.1:7".parse().unwrap(), "agent@10.0.0.1:5051");
        assert_eq!(named(Ok("10.0.0.1:7\n".to_owned())), now);
        assert_eq!(named(Ok("half a wo".to_owned())), first.parse().unwrap());
        assert_eq!(named(Err(io::ErrorKind::NotFound.into())), first.parse().unwrap());
        assert!(AgentAt::new("nowhere", None).is_err());
    }
}
