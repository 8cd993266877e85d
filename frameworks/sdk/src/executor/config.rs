//! What an agent tells an executor through its environment.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use libactor::Secret;
use protocol::executor::{
    ENV_AGENT, ENV_AGENT_FILE, ENV_CONTAINER, ENV_EXECUTOR, ENV_FRAMEWORK, ENV_RECOVERY_TIMEOUT,
    ENV_SANDBOX, ENV_SECRET_ON_STDIN, ENV_TOKEN, SECRET_BYTES_MAX, Token,
};
use protocol::ids::{ContainerId, ExecutorId, FrameworkId};

use super::ExecutorError;
use super::logic::Identity;

/// Who an executor is and where its agent listens.
#[derive(Clone, Debug)]
pub struct ExecutorConfig {
    /// `host:port` of the agent's node, at the start.
    pub agent: String,
    /// Where the agent says where it is now: another place after a restart.
    pub agent_file: Option<PathBuf>,
    /// How long an agent that was lost is waited for.
    pub recovery_timeout: Duration,
    /// Its ids and its token.
    pub identity: Identity,
    /// Its working directory.
    pub sandbox: PathBuf,
    /// The secret that its agent lent it, if the cluster has one.
    pub secret: Option<Secret>,
}

impl ExecutorConfig {
    /// Reads the environment, and the executor's secret from standard input: that can be done once in a process.
    pub fn from_environment() -> Result<Self, ExecutorError> {
        let required = |name| optional(name).ok_or(ExecutorError::Environment(name));
        let config = Self {
            agent: required(ENV_AGENT)?,
            agent_file: optional(ENV_AGENT_FILE).map(Into::into),
            recovery_timeout: recovery_timeout(optional(ENV_RECOVERY_TIMEOUT))?,
            identity: Identity {
                framework: FrameworkId::new(required(ENV_FRAMEWORK)?),
                executor: ExecutorId::new(required(ENV_EXECUTOR)?),
                container: ContainerId::new(required(ENV_CONTAINER)?),
                token: Token::new(required(ENV_TOKEN)?),
            },
            sandbox: PathBuf::from(required(ENV_SANDBOX)?),
            secret: None,
        };
        let secret = optional(ENV_SECRET_ON_STDIN).map(|_| read_secret(io::stdin().lock()));
        Ok(Self { secret: secret.transpose()?, ..config })
    }
}

/// As its agent says; not at all for one that does not, and would not know it again.
fn recovery_timeout(said: Option<String>) -> Result<Duration, ExecutorError> {
    match said {
        None => Ok(Duration::ZERO),
        Some(text) => match text.parse() {
            Ok(milliseconds) => Ok(Duration::from_millis(milliseconds)),
            Err(_) => Err(ExecutorError::Environment(ENV_RECOVERY_TIMEOUT)),
        },
    }
}

#[allow(clippy::disallowed_methods)] // read once, here
fn optional(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn read_secret(input: impl Read) -> Result<Secret, ExecutorError> {
    let mut bytes = Vec::new();
    match input.take(SECRET_BYTES_MAX).read_to_end(&mut bytes) {
        Ok(_) => Secret::new(&bytes).map_err(|source| ExecutorError::Secret(source.into())),
        Err(error) => Err(ExecutorError::Secret(error.into())),
    }
}
