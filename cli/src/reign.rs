//! A master's process: it stands for election, leads, and stands again under a new id when its reign is over.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coordination::election::Elector;
use coordination::store::{Store, StoreError};
use coordination::zookeeper::ZooKeeper;
use gateway::{Numbers, Snapshot};
use libactor::Node;
use libactor::http::Figures;
use master::http::Gateways;
use master::{Elected, End, MasterConfig, Running};
use tokio::sync::oneshot;

use crate::serve::{self, ServeError};

/// Between the end of a reign and the next candidacy.
const AGAIN: Duration = Duration::from_secs(1);

/// Reigns in a row that may end because agents have seen a later one. Each begins above all that the registry ever saw, so
/// that by the last of them it is the registry that is too old.
const OUTSEEN_MAX: u32 = 3;

/// The reign that lasts, for those who count.
#[derive(Clone, Default)]
struct Present(Arc<Mutex<Option<Arc<Running>>>>);

impl Present {
    fn lock(&self) -> MutexGuard<'_, Option<Arc<Running>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, running: Option<Arc<Running>>) {
        *self.lock() = running;
    }

    fn counted_by(&self, figures: &Figures, numbers: &Numbers, zookeeper: Option<ZooKeeper>) {
        let present = self.clone();
        numbers.come_from(move || {
            let running = present.lock().clone();
            async move {
                match running {
                    Some(running) => running.numbers().await,
                    None => Snapshot::new(),
                }
            }
        });
        let present = self.clone();
        figures.come_from(move || {
            let (running, zookeeper) = (present.lock().clone(), zookeeper.clone());
            async move {
                let of_reign = match running {
                    Some(running) => running.metrics().await,
                    None => String::new(),
                };
                of_reign + &zookeeper.map(|zookeeper| unanswered(&zookeeper)).unwrap_or_default()
            }
        });
    }
}

/// Requests that ZooKeeper did not answer in time, whoever led.
fn unanswered(zookeeper: &ZooKeeper) -> String {
    let name = "airside_zookeeper_unanswered_requests_total";
    format!("# TYPE {name} counter\n{name} {}\n", zookeeper.unanswered())
}

/// What a master of this process stands on.
pub(crate) struct Throne<S> {
    pub(crate) node: Node,
    pub(crate) hostname: Option<String>,
    pub(crate) store: S,
    pub(crate) config: MasterConfig,
    /// What elects it, if anything does.
    pub(crate) zookeeper: Option<ZooKeeper>,
    /// The work directory, if the registry is elsewhere. There are other candidates then: it stands again when a reign is over.
    pub(crate) led_from: Option<PathBuf>,
    /// What clients of HTTP reach.
    pub(crate) gateways: Gateways,
}

impl<S> Throne<S>
where
    S: Store + Elector<Error = StoreError> + Clone + 'static,
{
    /// Leads whenever elected, until `asked` or until nothing more can be done.
    pub(crate) async fn hold(
        self,
        figures: &Figures,
        numbers: &Numbers,
        asked: impl Future<Output = std::io::Result<()>>,
    ) -> Result<(), ServeError> {
        let present = Present::default();
        present.counted_by(figures, numbers, self.zookeeper.clone());
        // A candidate among others is ready when it stands; the only one, when it leads.
        let mut ready = Some(|| serve::say_ready(&self.node, master::MASTER));
        if self.led_from.is_some()
            && let Some(say) = ready.take()
        {
            say();
        }
        tokio::pin!(asked);
        let mut outseen = 0;
        loop {
            let Some(elected) = self.elected(&mut asked).await? else { return Ok(()) };
            if let Some(work_dir) = &self.led_from {
                master::belongs_to(work_dir, elected.cluster())?;
            }
            let running = Arc::new(elected.start(&self.node, self.config.clone())?);
            let (epoch, id) = (running.cluster().epoch, &running.cluster().master);
            tracing::info!(epoch, %id, "leads");
            present.is(Some(Arc::clone(&running)));
            self.gateways.leads(Some(Arc::clone(&running)));
            if let Some(say) = ready.take() {
                say();
            }
            let (end, was_asked) = tokio::select! {
                end = running.ended() => (end, false),
                asked = &mut asked => {
                    asked.map_err(ServeError::Signals)?;
                    // No call may hear of the end but by its connection's.
                    self.gateways.leads(None);
                    running.stop();
                    (running.ended().await, true)
                }
            };
            present.is(None);
            self.gateways.leads(None);
            // It may have been deposed before it could stop: it is asked once only.
            if was_asked || end == End::Stopped {
                return Ok(());
            }
            outseen = if matches!(end, End::SteppedDown(_)) { outseen + 1 } else { 0 };
            // There is nobody else who could have led from a registry on disk.
            let alone = self.led_from.is_none();
            if outseen == if alone { 1 } else { OUTSEEN_MAX } {
                return Err(ServeError::Outseen(end));
            }
            if alone {
                return Err(ServeError::MasterEnded(end));
            }
            tracing::warn!("{end}; stands for election again");
            if is_asked_meanwhile(&mut asked).await? {
                return Ok(());
            }
        }
    }

    /// Stands until it is elected and knows its registry; nothing if it is asked to end first.
    async fn elected(
        &self,
        mut asked: impl Future<Output = std::io::Result<()>> + Unpin,
    ) -> Result<Option<Elected>, ServeError> {
        loop {
            let elected = tokio::select! {
                elected = self.stand() => elected,
                asked = &mut asked => return asked.map(|()| None).map_err(ServeError::Signals),
            };
            match elected {
                Err(error) if self.led_from.is_some() && is_over_at_once(&error) => {
                    tracing::warn!("{error}; stands for election again");
                    if is_asked_meanwhile(&mut asked).await? {
                        return Ok(None);
                    }
                }
                elected => return elected.map(Some),
            }
        }
    }

    /// On a thread that goes with the process: nobody may be elected for as long as it lives.
    async fn stand(&self) -> Result<Elected, ServeError> {
        let (send, elected) = oneshot::channel();
        let (node, hostname, store) =
            (self.node.clone(), self.hostname.clone(), self.store.clone());
        let stand = move || {
            // Whoever asked may have gone.
            let _ = send.send(master::stand(&node, hostname.as_deref(), store));
        };
        std::thread::Builder::new()
            .name("election".to_owned())
            .spawn(stand)
            .map_err(ServeError::Thread)?;
        let elected = elected.await.map_err(|_| ServeError::ElectionBroken)?;
        Ok(elected?)
    }
}

/// Waits before the next candidacy. Whether it was asked to end meanwhile: that is asked once only.
async fn is_asked_meanwhile(
    asked: impl Future<Output = std::io::Result<()>>,
) -> Result<bool, ServeError> {
    tokio::select! {
        () = tokio::time::sleep(AGAIN) => Ok(false),
        asked = asked => asked.map(|()| true).map_err(ServeError::Signals),
    }
}

/// It was elected, and its reign was over before it had read the registry.
fn is_over_at_once(error: &ServeError) -> bool {
    matches!(error, ServeError::MasterStart(master::StartError::Store(StoreError::Lost { .. })))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use coordination::election::{Candidate, Reign, Standing};
    use coordination::local::LocalStore;
    use coordination::store::Change;
    use gateway::{Daemon, Files, Logging, Parts, Realms};
    use libactor::NodeConfig;
    use tokio::sync::{mpsc, watch};

    use super::*;

    /// Elects whoever stands, and takes it back when the test says so.
    #[derive(Clone)]
    struct Elects {
        store: Arc<Mutex<LocalStore>>,
        standing: Arc<watch::Sender<Standing>>,
        /// So many reigns are over before their registry is read.
        too_short: Arc<Mutex<u32>>,
        elected: mpsc::UnboundedSender<u64>,
    }

    impl Elector for Elects {
        type Error = StoreError;

        fn stand(&mut self, candidate: &Candidate) -> Result<Reign, StoreError> {
            let reign = self.store.stand(candidate)?;
            self.standing.send_replace(Standing::Leads);
            let _ = self.elected.send(reign.epoch);
            Ok(reign)
        }

        fn standing(&self) -> watch::Receiver<Standing> {
            self.standing.subscribe()
        }
    }

    impl Store for Elects {
        fn load(&mut self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
            let mut too_short = self.too_short.lock().unwrap();
            if *too_short > 0 {
                *too_short -= 1;
                let (place, reason) = ("zk://h/x".to_owned(), "nobody answered".to_owned());
                return Err(StoreError::Lost { place, reason });
            }
            self.store.load()
        }

        fn write(&mut self, epoch: u64, changes: &[Change]) -> Result<(), StoreError> {
            self.store.write(epoch, changes)
        }
    }

    /// One of which nothing is shown.
    fn nobodys_daemon() -> Daemon {
        Daemon::new(Parts {
            version: serde_json::Map::new(),
            flags: BTreeMap::new(),
            figures: Figures::default(),
            numbers: Numbers::default(),
            uptime: "master/uptime_secs",
            realms: Realms::of("master"),
            logging: Logging::new(|_| ()),
            files: Files::default(),
        })
    }

    /// A throne, what elects whoever sits on it, and the epochs that begin. The folder lasts as long as the test.
    async fn throne(
        too_short: u32,
    ) -> (Throne<Elects>, Elects, mpsc::UnboundedReceiver<u64>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&folder.path().join("registry"), "c").unwrap();
        let (elected, epochs) = mpsc::unbounded_channel();
        let elects = Elects {
            store: Arc::new(Mutex::new(store)),
            standing: Arc::new(watch::Sender::new(Standing::Leads)),
            too_short: Arc::new(Mutex::new(too_short)),
            elected,
        };
        let throne = Throne {
            node: Node::start(NodeConfig::loopback()).await.unwrap(),
            hostname: None,
            store: elects.clone(),
            config: MasterConfig::default(),
            zookeeper: None,
            led_from: Some(folder.path().to_owned()),
            gateways: Gateways::new(nobodys_daemon(), None),
        };
        (throne, elects, epochs, folder)
    }

    #[tokio::test]
    async fn who_is_asked_to_end_in_the_moment_of_its_deposition_ends() {
        // It may be stopped before it hears that it was deposed: not each time.
        for _ in 0..10 {
            let (throne, elects, _epochs, _folder) = throne(0).await;
            let asked = async {
                // Its master and its view look how the reign goes.
                while elects.standing.receiver_count() < 2 {
                    tokio::task::yield_now().await;
                }
                elects.standing.send_replace(Standing::Deposed("another leads".to_owned()));
                Ok(())
            };
            let (figures, numbers) = (Figures::default(), Numbers::default());
            let held = throne.hold(&figures, &numbers, asked);
            tokio::time::timeout(Duration::from_secs(30), held).await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn who_loses_its_reign_while_it_reads_the_registry_stands_again() {
        let (throne, _elects, mut epochs, _folder) = throne(1).await;
        let asked = async {
            assert_eq!((epochs.recv().await, epochs.recv().await), (Some(1), Some(2)));
            Ok(())
        };
        let (figures, numbers) = (Figures::default(), Numbers::default());
        let held = throne.hold(&figures, &numbers, asked);
        tokio::time::timeout(Duration::from_secs(30), held).await.unwrap().unwrap();
    }
}
