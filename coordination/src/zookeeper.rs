//! Election and store in a ZooKeeper ensemble. [`ZooKeeper`] is a connection that knows who leads; [`ZooKeeperStore`] stands
//! for election and keeps the registry.
//!
//! `logic` decides, `shell` is the thread that the client lives on, `requests`, `prepare` and `registry` say it in ZooKeeper's words,
//! `layout` and `member` are what its nodes hold; `model` is an ensemble for tests.

mod errors;
mod layout;
pub mod logic;
mod member;
#[cfg(any(test, feature = "testing"))]
pub mod model;
mod place;
mod prepare;
mod registry;
mod requests;
mod shell;
pub mod url;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};
use zookeeper_client::{Client, Error};

use crate::election::{Candidate, Detector};
use crate::store::StoreError;
use layout::Layout;
pub use registry::{Moved, ZooKeeperStore};
use requests::Context;
use shell::{Message, Shell, Told};
use url::Url;

/// What Mesos's masters and agents use.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// What is elected at a path. Each path is for one office.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Office {
    /// A cluster's leading master, found as clients of Mesos find it.
    #[default]
    Master,
    /// The leading scheduler of the framework of this name.
    Scheduler(String),
}

/// How an ensemble is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is, which path is ours, and who we are there.
    pub url: Url,
    /// What the path is for.
    pub office: Office,
    /// Without a word from us for so long, the ensemble takes us for dead. It may allow less or more.
    pub session_timeout: Duration,
    /// The cluster that this process belongs to, if it does already: the path must be that cluster's.
    pub cluster: Option<String>,
    /// The id of a cluster that is new; not used otherwise.
    pub new_cluster: String,
}

impl Settings {
    /// For those who only want to know who leads.
    pub fn of(url: Url) -> Self {
        Self {
            url,
            office: Office::Master,
            session_timeout: SESSION_TIMEOUT,
            cluster: None,
            new_cluster: String::new(),
        }
    }
}

/// A connection to an ensemble, on a thread of its own. Its clones are the same connection; the last one closes it, and with
/// it goes a candidacy.
#[derive(Clone, Debug)]
pub struct ZooKeeper(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    context: Arc<Context>,
    told: Arc<Told>,
    sender: mpsc::UnboundedSender<Message>,
    runtime: Handle,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl ZooKeeper {
    /// Begins to connect; waits for nobody.
    pub fn start(settings: Settings) -> Result<Self, StoreError> {
        let place = settings.url.to_string();
        let connection = Self::start_thread(settings)
            .map_err(|source| StoreError::Open { place, source: source.into() })?;
        Ok(Self(Arc::new(connection)))
    }

    fn start_thread(settings: Settings) -> std::io::Result<Connection> {
        let layout = Layout::new(&settings.url);
        let context = Arc::new(Context {
            settings,
            layout,
            whose: Mutex::new(None),
            warned: AtomicBool::new(false),
        });
        let told = Arc::new(Told::default());
        let (sender, inbox) = mpsc::unbounded_channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let shell = Shell::new(Arc::clone(&context), Arc::clone(&told), sender.clone());
        let thread = std::thread::Builder::new().name("zookeeper".to_owned());
        let thread = thread.spawn(move || runtime.block_on(shell.run(inbox)));
        let thread = Mutex::new(Some(thread?));
        Ok(Connection { context, told, sender, runtime: handle, thread })
    }

    /// Waits until a session is there, for those who cannot wait for ever. Blocks.
    pub fn wait_until_connected(&self, within: Duration) -> Result<(), StoreError> {
        let mut sessions = self.0.told.session.subscribe();
        let (done, connected) = std::sync::mpsc::channel();
        self.0.runtime.spawn(async move {
            let there = tokio::time::timeout(within, sessions.wait_for(Option::is_some)).await;
            // Whoever asked waits longer than this takes.
            let _ = done.send(matches!(there, Ok(Ok(_))));
        });
        if connected.recv() == Ok(true) {
            return Ok(());
        }
        let reason = self.0.told.trouble.borrow().clone();
        let reason = reason.unwrap_or_else(|| "no attempt has ended yet".to_owned());
        Err(StoreError::Silent { place: self.place(), seconds: within.as_secs(), reason })
    }

    /// Ends the session now, and a candidacy or a reign with it, whoever else still holds the connection. Blocks for as long
    /// as the servers take to hear of it, but no longer than two seconds.
    pub fn close(&self) {
        self.0.close();
    }

    /// What stands for election and keeps the registry. One of them stands at a time.
    pub fn store(&self) -> ZooKeeperStore {
        ZooKeeperStore::new(self.clone())
    }

    /// Why there is no connection, or nobody can be found though there is one, in words; `None` while all is well, and before
    /// the first attempt has failed.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.0.told.trouble.subscribe()
    }

    /// How many requests were not answered in time, since the start.
    pub fn unanswered(&self) -> u64 {
        self.0.told.unanswered.load(Ordering::Relaxed)
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        self.0.context.settings.url.to_string()
    }
}

impl Detector for ZooKeeper {
    fn leader(&self) -> watch::Receiver<Option<Candidate>> {
        self.0.told.leader.subscribe()
    }

    fn trouble(&self) -> Option<String> {
        self.0.told.trouble.borrow().clone()
    }
}

impl Connection {
    fn close(&self) {
        // It may have ended by itself.
        let _ = self.sender.send(Message::End);
        if let Ok(mut thread) = self.thread.lock()
            && let Some(thread) = thread.take()
        {
            let _ = thread.join();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close();
    }
}

impl Context {
    /// One attempt to begin a session, or why it failed.
    async fn connect(&self) -> Result<Client, String> {
        let Settings { url, session_timeout, .. } = &self.settings;
        let mut connector =
            Client::connector().with_session_timeout(*session_timeout).with_fail_eagerly();
        if let Some(credentials) = url.credentials() {
            connector = connector.with_auth("digest", credentials.as_bytes());
        }
        let connected = match url.tls() {
            Some(tls) => connector.with_tls(tls.options()?).secure_connect(&url.hosts()).await,
            None => connector.connect(&url.hosts()).await,
        };
        connected.map_err(|error| {
            if error == Error::AuthFailed {
                return format!("the ZooKeeper servers of {url} refused the credentials");
            }
            if matches!(error, Error::NoHosts | Error::ConnectionLoss | Error::Timeout) {
                let strangers = match url.tls() {
                    Some(_) => ", or do not speak TLS, or are not whom we trust, or do not trust us",
                    None => "",
                };
                return format!(
                    "no ZooKeeper server of {url} serves: none can be reached, or they are no majority{strangers}"
                );
            }
            format!("cannot connect to ZooKeeper at {url}: {error}")
        })
    }
}
