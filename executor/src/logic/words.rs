//! What the executor tells people: why a command could not be started, how it ended, and why the executor itself ends.

use protocol::task::{Exit, Reason};
use serde::{Deserialize, Serialize};

/// Why the command's process could not be started. Each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SpawnFailure {
    /// No such file.
    #[error(
        "'{0}' was not found on the agent; check the path, or set `shell` to run a command line"
    )]
    NotFound(String),
    /// A file that may not be run.
    #[error(
        "'{program}' may not be executed by user {user}; check its mode and that of the folders above it"
    )]
    NotExecutable {
        /// The file.
        program: String,
        /// Who tried.
        user: String,
    },
    /// Not a program.
    #[error(
        "'{0}' is no program for this machine: neither a binary for it nor a script with a #! line"
    )]
    WrongFormat(String),
    /// The user is not known here.
    #[error("user '{0}' is unknown on the agent; create it there or run the task as another user")]
    UnknownUser(String),
    /// The executor may not become that user.
    #[error(
        "the executor cannot become user '{0}'; an agent that is to run tasks of several users must run as root"
    )]
    MayNotBecome(String),
    /// Output cannot be written.
    #[error(
        "cannot write the sandbox {sandbox}: {cause}; make room in the agent's work dir or fix its rights"
    )]
    Sandbox {
        /// Where.
        sandbox: String,
        /// What the system said.
        cause: String,
    },
    /// Anything else.
    #[error("cannot start '{program}': {cause}")]
    Other {
        /// What was to be started.
        program: String,
        /// What the system said.
        cause: String,
    },
    /// The system does not let root become somebody else here, as in many containers.
    #[error(
        "the executor is root and cannot become user '{user}' ({calls}: operation not permitted); start the agent with {capabilities}, or run the task as root"
    )]
    RootMayNotBecome {
        /// Whom.
        user: String,
        /// What the system refused.
        calls: String,
        /// What it would take.
        capabilities: String,
    },
    /// The system knows a reason of its own.
    #[error(
        "the system does not let user {user} start '{program}' (execve: operation not permitted); look for a security module or a file attribute that forbids it"
    )]
    Forbidden {
        /// The file.
        program: String,
        /// Who tried.
        user: String,
    },
    /// The list of users cannot be read.
    #[error("cannot look up user '{user}' on the agent: {cause}")]
    UserLookUp {
        /// Whom.
        user: String,
        /// What the system said.
        cause: String,
    },
}

impl SpawnFailure {
    /// The reason that goes with it.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::NotFound(_) | Self::NotExecutable { .. } | Self::WrongFormat(_) => {
                Reason::CommandExecutorFailed
            }
            Self::UnknownUser(_) | Self::MayNotBecome(_) | Self::RootMayNotBecome { .. } => {
                Reason::TaskInvalid
            }
            Self::Forbidden { .. } => Reason::CommandExecutorFailed,
            Self::Sandbox { .. } | Self::Other { .. } | Self::UserLookUp { .. } => {
                Reason::ContainerLaunchFailed
            }
        }
    }
}

/// What explains how the task's own process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remark {
    /// Nothing can be written to the sandbox any more.
    SandboxFull,
    /// It was to become its user and then the command, and could not: why.
    NotBegun(String),
}

/// Why the executor ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum End {
    /// All is said and acknowledged.
    #[error("the task has ended and its framework knows")]
    Done,
    /// The agent said so.
    #[error("the agent ended this executor")]
    Told,
    /// By a signal.
    #[error("the executor was told to end by a signal")]
    Terminated,
    /// It waited for its agent as long as it may.
    #[error(
        "the executor lost its agent, which did not come back in time, and has killed its task"
    )]
    AgentLost,
    /// No agent answered.
    #[error("the agent did not answer the executor's registration in time")]
    NotRegistered,
}

impl End {
    /// The status of the executor's process.
    pub fn code(self) -> i32 {
        match self {
            Self::Done | Self::Told | Self::Terminated => 0,
            Self::AgentLost | Self::NotRegistered => 1,
        }
    }
}

/// How the task's process ended.
pub(super) fn words_of_exit(exit: Exit) -> String {
    match exit {
        Exit::Code(126) => {
            "exited with status 126 (a shell's word for: found, but it cannot be executed)"
                .to_owned()
        }
        Exit::Code(127) => {
            "exited with status 127 (a shell's word for: command not found)".to_owned()
        }
        Exit::Code(code) => format!("exited with status {code}"),
        Exit::Signal(signal) => match name_of_signal(signal) {
            Some(name) => format!("was killed by signal {signal} ({name})"),
            None => format!("was killed by signal {signal}"),
        },
    }
}

fn name_of_signal(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}
