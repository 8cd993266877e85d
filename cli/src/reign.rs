//! A master's process: it stands for election, leads, and stands again under a new id when its reign is over.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coordination::election::Elector;
use coordination::store::{Store, StoreError};
use coordination::zookeeper::ZooKeeper;
use gateway::{Numbers, Snapshot};
use libactor::http::Figures;
use libactor::{DropReason, Node};
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
#[derive(Clone)]
struct Present {
    node: Node,
    now: Arc<Mutex<Now>>,
}

struct Now {
    running: Option<Arc<Running>>,
    unheard: Unheard,
}

/// Messages that came to this node while no master here was to hear them. Other drops of the node are none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unheard {
    /// In all times without a master that are over.
    before: u64,
    /// How many the node had dropped when the last master was no more; `None` while there is one.
    since: Option<u64>,
}

impl Unheard {
    /// A node begins without a master.
    fn from(dropped: u64) -> Self {
        Self { before: 0, since: Some(dropped) }
    }

    /// How many there are when the node has dropped so many.
    fn by(self, dropped: u64) -> u64 {
        self.before + self.since.map_or(0, |since| dropped.saturating_sub(since))
    }

    fn master_comes(self, dropped: u64) -> Self {
        Self { before: self.by(dropped), since: None }
    }

    fn master_goes(self, dropped: u64) -> Self {
        Self { before: self.by(dropped), since: Some(dropped) }
    }
}

impl Present {
    fn on(node: &Node) -> Self {
        let unheard = Unheard::from(dropped(node));
        let now = Arc::new(Mutex::new(Now { running: None, unheard }));
        Self { node: node.clone(), now }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, running: Option<Arc<Running>>) {
        let dropped = dropped(&self.node);
        let mut now = self.lock();
        now.unheard = match &running {
            Some(_) => now.unheard.master_comes(dropped),
            None => now.unheard.master_goes(dropped),
        };
        now.running = running;
    }

    fn counted_by(&self, figures: &Figures, numbers: &Numbers, zookeeper: Option<ZooKeeper>) {
        let present = self.clone();
        numbers.come_from(move || {
            let (running, unheard) = {
                let now = present.lock();
                (now.running.clone(), now.unheard.by(dropped(&present.node)))
            };
            async move {
                let mut all = match running {
                    Some(running) => running.numbers().await,
                    None => Snapshot::new(),
                };
                all.insert("master/dropped_messages".to_owned(), unheard as f64);
                all
            }
        });
        let present = self.clone();
        figures.come_from(move || {
            let (running, zookeeper) = (present.lock().running.clone(), zookeeper.clone());
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

/// Messages that came to this node and that nobody here heard.
fn dropped(node: &Node) -> u64 {
    let reasons = [
        DropReason::Stale,
        DropReason::Stopped,
        DropReason::NotAccepted,
        DropReason::NotAuthorized,
        DropReason::UnknownVariant,
        DropReason::MailboxFull,
    ];
    let metrics = node.metrics();
    reasons.iter().map(|reason| metrics.dropped_for(*reason)).sum()
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
        let present = Present::on(&self.node);
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
mod tests;
