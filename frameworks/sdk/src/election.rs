//! Several schedulers of one framework, each a process of its own, of which one leads: how it is elected, and how it comes to
//! the framework's id and to what those before it stored. Both are kept in ZooKeeper, and written by the leader alone: a
//! write of one who was deposed is refused by the servers. What is decided about it is in [`logic`].

pub mod logic;

use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use coordination::election::{Candidate, Elector, Standing};
use coordination::store::{Store, StoreError};
use coordination::zookeeper::url::Url;
use coordination::zookeeper::{Office, Settings, ZooKeeper, ZooKeeperStore};
use protocol::framework::FrameworkInfo;
use tokio::sync::{oneshot, watch};

use crate::chance::random;
use crate::keeper::{Done, Job, Keep, Keeper};
use crate::state::logic::Shared;
use crate::state::{StateError, Stored};
use logic::{Read, Succession};

/// A leader of which nothing is heard for so long is taken for dead. Another one leads soon after.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(8);

/// What is written at once while more waits.
const JOBS_AT_ONCE: usize = 256;

/// What nobody needs any more is deleted in batches of so many: their keys fit into one request.
const LEFT_AT_ONCE: usize = 500;

/// Where the schedulers of one framework elect one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// The ensemble, and a path of it that is this framework's alone.
    pub url: Url,
    /// See [`SESSION_TIMEOUT`]. The servers may allow less or more.
    pub session_timeout: Duration,
}

/// Why a scheduler cannot stand for election, or not lead.
#[derive(Debug, thiserror::Error)]
pub enum ElectionError {
    /// It would have two truths.
    #[error(
        "an elected scheduler keeps its state where it is elected, {url}, and not in a state directory as well: leave out one of the two"
    )]
    TwoStates {
        /// Where.
        url: String,
    },
    /// Its tasks would be gone before the next one leads.
    #[error(
        "a framework with a fail-over time-out of {} s loses its tasks before another scheduler leads: it needs at least {} s", .given.as_secs_f64(), .needed.as_secs_f64()
    )]
    TooHasty {
        /// Of the framework.
        given: Duration,
        /// Twice the session's time-out.
        needed: Duration,
    },
    /// ZooKeeper, or the path in it, is of no use.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is kept there cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// There is nothing left to lead.
    #[error("the framework was torn down while this scheduler stood by")]
    TornDown,
    /// The kernel gave no random number.
    #[error("draw a random number: {0}")]
    Random(String),
    /// There is no thread to wait on.
    #[error("start a thread")]
    Thread(#[source] io::Error),
}

/// A scheduler that was elected.
pub(crate) struct Elected {
    pub(crate) keeper: Keeper,
    pub(crate) stored: Stored,
    pub(crate) standing: watch::Receiver<Standing>,
}

impl Election {
    /// At a URL.
    pub fn at(url: Url) -> Self {
        Self { url, session_timeout: SESSION_TIMEOUT }
    }

    /// Whether these can work together.
    pub(crate) fn check(
        &self,
        info: &FrameworkInfo,
        state_dir: Option<&Path>,
    ) -> Result<(), ElectionError> {
        if state_dir.is_some() {
            return Err(ElectionError::TwoStates { url: self.url.to_string() });
        }
        let (given, needed) = (info.failover_timeout, 2 * self.session_timeout);
        if given < needed {
            return Err(ElectionError::TooHasty { given, needed });
        }
        Ok(())
    }

    /// Waits until it leads, which may take for ever. Who waits no longer does not stand any more.
    pub(crate) async fn stand(&self, info: &FrameworkInfo) -> Result<Elected, ElectionError> {
        let settings = Settings {
            office: Office::Scheduler(info.name.clone()),
            session_timeout: self.session_timeout,
            new_cluster: info.name.clone(),
            ..Settings::of(self.url.clone())
        };
        let hostname = info.hostname.clone();
        let zookeeper = ZooKeeper::start(settings)?;
        let candidacy = Candidacy(Some(zookeeper.clone()));
        let (done, waits) = oneshot::channel();
        std::thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || lead(zookeeper, &hostname, done))
            .map_err(ElectionError::Thread)?;
        let elected = waits.await.map_err(|_| ElectionError::State(StateError::Closed))?;
        candidacy.has_ended();
        if elected.is_ok() {
            tracing::info!(url = %self.url, framework = info.name, "leads");
        }
        elected
    }
}

/// Ends with whoever waits for its outcome.
struct Candidacy(Option<ZooKeeper>);

impl Candidacy {
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Candidacy {
    /// Or those behind it would wait for its session to expire.
    fn drop(&mut self) {
        if let Some(zookeeper) = &self.0 {
            zookeeper.close();
        }
    }
}

/// What a thread does for a scheduler: stands, and keeps what is to be kept until it is over.
fn lead(
    zookeeper: ZooKeeper,
    hostname: &str,
    done: oneshot::Sender<Result<Elected, ElectionError>>,
) {
    let (lead, stored) = match Lead::begin(zookeeper, hostname) {
        Ok(begun) => begun,
        Err(error) => {
            // Whoever no longer waits does not stand any more.
            let _ = done.send(Err(error));
            return;
        }
    };
    let (jobs, todo) = mpsc::channel();
    let standing = lead.standing.clone();
    if done.send(Ok(Elected { keeper: Keeper::to(jobs), stored, standing })).is_ok() {
        lead.keep(&todo);
    }
}

fn candidate(hostname: &str) -> Result<Candidate, ElectionError> {
    Ok(Candidate {
        id: format!("{:016x}", random().map_err(ElectionError::Random)?),
        address: String::new(),
        hostname: hostname.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// The leader's side of the state.
struct Lead {
    zookeeper: ZooKeeper,
    store: ZooKeeperStore,
    epoch: u64,
    succession: Succession,
    shared: Shared,
    standing: watch::Receiver<Standing>,
}

impl Lead {
    fn begin(zookeeper: ZooKeeper, hostname: &str) -> Result<(Self, Stored), ElectionError> {
        let mut store = zookeeper.store();
        let before = loop {
            match read(&zookeeper, &mut store) {
                Ok((before, ..)) => break before,
                // Whoever stands by waits for ever, for servers as for its turn.
                Err(ElectionError::Store(silent @ StoreError::Silent { .. })) => {
                    tracing::warn!("{silent}; trying on");
                }
                Err(error) => return Err(error),
            }
        };
        let succession = Succession::new(&before);
        tracing::info!(place = %zookeeper.place(), "stands for election");
        loop {
            // Another one each time: under the id of a reign that was lost it would only be cleared away.
            let epoch = store.stand(&candidate(hostname)?)?.epoch;
            let standing = store.standing();
            let read = match read(&zookeeper, &mut store) {
                Err(ElectionError::Store(StoreError::Lost { .. })) => continue,
                outcome => outcome?,
            };
            let Ok((shared, stored, left)) = succession.begins(read) else {
                zookeeper.close();
                return Err(ElectionError::TornDown);
            };
            let deleted = left.chunks(LEFT_AT_ONCE).try_for_each(|left| store.write(epoch, left));
            match deleted {
                Err(StoreError::Lost { .. } | StoreError::Fenced { .. }) => continue,
                deleted => deleted?,
            }
            return Ok((Self { zookeeper, store, epoch, succession, shared, standing }, stored));
        }
    }

    fn keep(mut self, todo: &mpsc::Receiver<Job>) {
        while let Ok(first) = todo.recv() {
            let more = todo.try_iter().take(JOBS_AT_ONCE - 1);
            let jobs: Vec<Job> = std::iter::once(first).chain(more).collect();
            if let Some(closed) = self.keep_all(jobs) {
                self.zookeeper.close();
                // Whoever no longer waits has ended.
                let _ = closed.send(Ok(()));
                return;
            }
        }
    }

    /// In order, and as much at once as the servers take. Returns who wants to hear that all is closed.
    fn keep_all(&mut self, jobs: Vec<Job>) -> Option<Done> {
        let (mut batches, mut waiting, mut closed) = (Vec::new(), Vec::new(), None);
        for (keep, done) in jobs {
            let changes = match keep {
                Keep::Remember(framework) => Ok(self.shared.remember(&framework)),
                Keep::Store(entries) => self.shared.store(entries),
                Keep::Forget => Ok(self.shared.forget()),
                Keep::Close => {
                    closed = Some(done);
                    break;
                }
            };
            match changes {
                Ok(changes) if self.succession.needs_write(&changes, self.leads()) => {
                    batches.push(changes);
                }
                Ok(_) => (),
                Err(refused) => {
                    let _ = done.send(Err(refused.into()));
                    continue;
                }
            }
            waiting.push((batches.len(), done));
        }
        let mut error = None;
        let mut written = batches.len();
        if let Err(stopped) = self.store.write_all(self.epoch, &batches) {
            (written, error) = (stopped.done, Some(stopped.error));
        }
        for (needs, done) in waiting {
            let outcome = match error.take() {
                Some(failed) if needs > written => Err(state_error(failed)),
                failed => {
                    error = failed;
                    if needs > written { Err(StateError::Closed) } else { Ok(()) }
                }
            };
            let _ = done.send(outcome);
        }
        closed
    }

    fn leads(&self) -> bool {
        *self.standing.borrow() == Standing::Leads
    }
}

fn read(zookeeper: &ZooKeeper, store: &mut ZooKeeperStore) -> Result<Read, ElectionError> {
    let read = Shared::read(store.load()?);
    let unreadable = |source| StateError::Unreadable { place: zookeeper.place(), source };
    Ok(read.map_err(unreadable)?)
}

fn state_error(error: StoreError) -> StateError {
    match error {
        StoreError::Fenced { .. } | StoreError::Lost { .. } => {
            StateError::Deposed(error.to_string())
        }
        StoreError::InUse { .. }
        | StoreError::Open { .. }
        | StoreError::Read { .. }
        | StoreError::Write { .. }
        | StoreError::Refused { .. }
        | StoreError::Silent { .. }
        | StoreError::Damaged { .. }
        | StoreError::TooLarge { .. }
        | StoreError::BatchTooLarge { .. } => StateError::Store(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::framework;

    #[test]
    fn one_truth_and_enough_patience_are_asked_for_in_words() {
        let election = Election::at("zk://jake:s3cret@h:1/frameworks/x".parse().unwrap());
        let info = framework("x");
        election.check(&info, None).unwrap();
        let error = election.check(&info, Some(Path::new("/state"))).unwrap_err().to_string();
        assert!(error.contains("leave out one") && !error.contains("s3cret"), "{error}");
        let hasty = FrameworkInfo { failover_timeout: Duration::from_secs(15), ..info };
        let error = election.check(&hasty, None).unwrap_err().to_string();
        assert!(error.contains("15 s") && error.contains("16 s"), "{error}");
    }
}
