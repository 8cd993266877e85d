//! The agent's half: one process for each file, one after the other, what is kept for the next task, and what is counted.
//! Whoever drops a fetch ends it: its process is killed, and whoever waited for the same file goes on.

mod child;
mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::logic::cache::{Cache, Who};
use crate::logic::{Fetch, Source};
use crate::order::{ByHadoop, From, Hadoop, Limits, Order, To};
use kept::Turn;

/// How files are fetched.
#[derive(Clone, Debug)]
pub struct FetcherConfig {
    /// The program and first arguments of the process that calls [`crate::main`].
    pub program: Vec<OsString>,
    /// Where files are kept for later tasks. The folder is this fetcher's alone: what lies there is removed at the start.
    pub cache_dir: PathBuf,
    /// How many bytes of them are kept; 0: none.
    pub cache_size: u64,
    /// When nothing comes for so long a file is given up; zero: never.
    pub stall_timeout: Duration,
    /// Who vouches for servers of https, as PEM; `None`: whoever the system trusts.
    pub authorities: Option<String>,
    /// Who gets what has an address of Hadoop's.
    pub hadoop: Hadoop,
    /// What one file may take.
    pub limits: Limits,
}

impl FetcherConfig {
    /// The defaults, of Mesos where it has any.
    pub fn new(program: Vec<OsString>, cache_dir: PathBuf) -> Self {
        Self {
            program,
            cache_dir,
            cache_size: 2 << 30,
            stall_timeout: Duration::from_secs(60),
            authorities: None,
            hadoop: Hadoop::default(),
            limits: Limits::default(),
        }
    }
}

/// Where files are to lie.
#[derive(Debug)]
pub struct ForSandbox {
    /// The sandbox, which is the user's.
    pub path: PathBuf,
    /// Its `stderr`, in which it is said how it goes.
    pub stderr: File,
    /// As whom they are fetched; `None`: the agent's own user.
    pub user: Option<String>,
}

/// What is counted since the start, and what is there now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sandboxes whose files were all had.
    pub succeeded: u64,
    /// Sandboxes that lacked one.
    pub failed: u64,
    /// Bytes that the cache may have.
    pub cache_total: u64,
    /// Bytes that it has.
    pub cache_used: u64,
}

/// Fetches for all sandboxes of one agent. A copy is the same fetcher.
#[derive(Clone, Debug)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: FetcherConfig,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cache: Cache,
    waiting: BTreeMap<Who, oneshot::Sender<Turn>>,
    next_who: Who,
    /// The processes that fetch now.
    processes: BTreeSet<i32>,
    succeeded: u64,
    failed: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in there is half done when somebody panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetcher {
    /// Removes what an earlier life kept.
    pub fn new(config: FetcherConfig) -> Self {
        match std::fs::remove_dir_all(&config.cache_dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %config.cache_dir.display(), %error, "cannot clear the fetcher's cache");
            }
            Ok(()) | Err(_) => {}
        }
        let state = State {
            cache: Cache::new(config.cache_size),
            waiting: BTreeMap::new(),
            next_who: 0,
            processes: BTreeSet::new(),
            succeeded: 0,
            failed: 0,
        };
        Self { shared: Arc::new(Shared { config, state: Mutex::new(state) }) }
    }

    /// What it counts.
    pub fn counts(&self) -> Counts {
        let state = self.shared.state();
        Counts {
            succeeded: state.succeeded,
            failed: state.failed,
            cache_total: state.cache.capacity(),
            cache_used: state.cache.used(),
        }
    }

    /// The processes that fetch now, children of this one.
    pub fn processes(&self) -> BTreeSet<i32> {
        self.shared.state().processes.clone()
    }

    /// All of them, one after the other. In words, what could not be had and why. No other thread may start processes meanwhile.
    pub async fn fetch(&self, sandbox: &ForSandbox, all: &[Fetch]) -> Result<(), String> {
        let mut done = Ok(());
        for one in all {
            done = self.fetch_one(sandbox, one).await;
            if done.is_err() {
                break;
            }
        }
        let mut state = self.shared.state();
        match done {
            Ok(()) => state.succeeded += 1,
            Err(_) => state.failed += 1,
        }
        done
    }

    async fn fetch_one(&self, sandbox: &ForSandbox, one: &Fetch) -> Result<(), String> {
        let failed = |words: String| format!("cannot fetch '{}': {words}", one.uri);
        if one.cache {
            match self.keep(sandbox, one).await.map_err(failed)? {
                Turn::Kept(kept) => {
                    sandbox.says(&format!("'{}' is in the agent's cache", one.uri));
                    let file = kept.open().map_err(failed)?;
                    let order = self.order(sandbox, one, From::Given, sandbox.takes(one));
                    return self.run(sandbox, &order, Some(file)).await.map_err(failed);
                }
                Turn::Yours(_) | Turn::Bypass => {
                    sandbox.says(&format!("'{}' has no room in the agent's cache", one.uri));
                }
                Turn::Failed(words) => return Err(failed(words)),
            }
        }
        let from = From::Source(one.source.clone());
        let order = self.order(sandbox, one, from, sandbox.takes(one));
        self.run(sandbox, &order, None).await.map_err(failed)
    }

    /// Where there is nothing to be kept, no room is asked for.
    async fn run(
        &self,
        sandbox: &ForSandbox,
        order: &Order,
        given: Option<File>,
    ) -> Result<(), String> {
        let done = child::run(&self.shared, sandbox, order, given, |_| false).await;
        done.map(drop).map_err(|failure| match failure {
            crate::helper::Failure::Words(words) => words,
            crate::helper::Failure::NoRoom => "it asked for room in the cache".to_owned(),
        })
    }

    fn order(&self, sandbox: &ForSandbox, one: &Fetch, from: From, to: To) -> Order {
        let config = &self.shared.config;
        let https = matches!(&one.source, Source::Http(_));
        let is_hadoops = matches!(&one.source, Source::Hadoop(_));
        let by_hadoop = || ByHadoop {
            client: config.hadoop.clone(),
            sandbox: sandbox.path.to_string_lossy().into_owned(),
        };
        Order {
            uri: one.uri.clone(),
            from,
            to,
            user: sandbox.user.clone(),
            stall: config.stall_timeout,
            limits: config.limits,
            authorities: config.authorities.clone().filter(|_| https),
            hadoop: is_hadoops.then(by_hadoop),
        }
    }
}

impl ForSandbox {
    fn takes(&self, one: &Fetch) -> To {
        To::Sandbox {
            path: self.path.to_string_lossy().into_owned(),
            name: one.name.clone(),
            executable: one.executable,
            unpack: one.unpack,
        }
    }

    /// Where the task's author looks.
    fn says(&self, words: &str) {
        // A full disk is said by what needs it.
        let _ = writeln!(&self.stderr, "airside: {words}");
    }
}
