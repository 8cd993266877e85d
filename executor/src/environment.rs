//! What the agent gave to this process in its environment.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use containerizer::inside::Inside;
use libactor::Secret;
use protocol::executor::{
    AgentAt, ENV_AGENT, ENV_AGENT_FILE, ENV_CONTAINER, ENV_EXECUTOR, ENV_FRAMEWORK, ENV_INSIDE,
    ENV_OPEN_FILES, ENV_PASSED, ENV_RECORDS, ENV_RECOVERY_TIMEOUT, ENV_SANDBOX,
    ENV_SECRET_ON_STDIN, ENV_TOKEN, SECRET_BYTES_MAX, Token,
};

use crate::logic::Identity;

/// A process that no agent started.
#[derive(Debug, thiserror::Error)]
pub enum BadEnvironment {
    /// Something is missing.
    #[error("{0} is not set: executors are started by an agent, not by hand")]
    Missing(&'static str),
    /// Something cannot be read.
    #[error("{name} is {value:?}, which is not what an agent sets")]
    Bad {
        /// Which variable.
        name: &'static str,
        /// What it holds.
        value: OsString,
    },
    /// The secret cannot be read.
    #[error("read the executor's secret from standard input, where the agent leaves it")]
    Secret(#[source] io::Error),
    /// What the task is to be shut into is not known.
    #[error("read {path}, which says what the task is shut into")]
    Inside {
        /// Where it is said.
        path: PathBuf,
        /// Why it cannot be read.
        source: io::Error,
    },
    /// The secret is none.
    #[error(transparent)]
    NoSecret(#[from] libactor::session::ShortSecret),
}

/// All that the executor is told at its start.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) agent: AgentAt,
    /// How long it waits for its agent to come back; not at all for one that does not say so, and would not know it again.
    pub(crate) recovery_timeout: Duration,
    /// Where it writes down how its task ended.
    pub(crate) records: Option<PathBuf>,
    pub(crate) identity: Identity,
    pub(crate) sandbox: PathBuf,
    pub(crate) secret: Option<Secret>,
    /// Handed down to the task.
    pub(crate) path: OsString,
    /// What programs written for Mesos look for; handed down to the task.
    pub(crate) mesos: Vec<(String, String)>,
    /// Of this process and its task; `None`: as many as the agent.
    pub(crate) open_files: Option<u64>,
    /// What the task is shut into, if it is.
    pub(crate) inside: Option<Inside>,
}

impl Environment {
    pub(crate) fn read() -> Result<Self, BadEnvironment> {
        let agent = text(ENV_AGENT)?;
        let bad = |_| BadEnvironment::Bad { name: ENV_AGENT, value: agent.clone().into() };
        let identity = Identity {
            framework: id(ENV_FRAMEWORK)?,
            executor: id(ENV_EXECUTOR)?,
            container: id(ENV_CONTAINER)?,
            token: Token::new(text(ENV_TOKEN)?),
        };
        let sandbox = PathBuf::from(text(ENV_SANDBOX)?);
        let secret = match std::env::var_os(ENV_SECRET_ON_STDIN) {
            None => None,
            Some(_) => {
                let mut bytes = Vec::new();
                let mut input = io::stdin().lock().take(SECRET_BYTES_MAX);
                input.read_to_end(&mut bytes).map_err(BadEnvironment::Secret)?;
                Some(Secret::new(&bytes)?)
            }
        };
        let path = std::env::var_os("PATH").unwrap_or_else(|| {
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()
        });
        let file = std::env::var_os(ENV_AGENT_FILE).map(Into::into);
        let agent = AgentAt::new(&agent, file).map_err(bad)?;
        let open_files = number(ENV_OPEN_FILES)?;
        let recovery_timeout = recovery_timeout()?;
        let records = records();
        let mesos = mesos();
        let inside = inside()?;
        Ok(Self {
            agent,
            recovery_timeout,
            records,
            identity,
            sandbox,
            secret,
            path,
            mesos,
            open_files,
            inside,
        })
    }
}

fn inside() -> Result<Option<Inside>, BadEnvironment> {
    let path = std::env::var_os(ENV_INSIDE).map(PathBuf::from);
    let read = path
        .map(|path| Inside::read(&path).map_err(|source| BadEnvironment::Inside { path, source }));
    read.transpose()
}

/// What the agent, which gives nothing else by such names, has set of them, and what its operator gives to all executors.
fn mesos() -> Vec<(String, String)> {
    let passed = std::env::var_os(ENV_PASSED).unwrap_or_default();
    let passed = passed.to_string_lossy();
    let all = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let is_mesos = name.starts_with("MESOS_") || name == "LIBPROCESS_PORT";
        let is_meant = is_mesos || passed.lines().any(|passed| passed == name);
        is_meant.then_some(())?;
        Some((name, value.into_string().ok()?))
    });
    all.collect()
}

/// How long what an agent started waits for it to come back.
pub(crate) fn recovery_timeout() -> Result<Duration, BadEnvironment> {
    Ok(Duration::from_millis(number(ENV_RECOVERY_TIMEOUT)?.unwrap_or_default()))
}

/// Where is written down how what runs here has ended, if the agent says so.
pub(crate) fn records() -> Option<PathBuf> {
    std::env::var_os(ENV_RECORDS).map(Into::into)
}

fn number(name: &'static str) -> Result<Option<u64>, BadEnvironment> {
    std::env::var_os(name).map(|_| id(name)).transpose()
}

fn text(name: &'static str) -> Result<String, BadEnvironment> {
    let value = std::env::var_os(name).ok_or(BadEnvironment::Missing(name))?;
    value.into_string().map_err(|value| BadEnvironment::Bad { name, value })
}

fn id<T: std::str::FromStr>(name: &'static str) -> Result<T, BadEnvironment> {
    let value = text(name)?;
    value.parse().map_err(|_| BadEnvironment::Bad { name, value: value.into() })
}
