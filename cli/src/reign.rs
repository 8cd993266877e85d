//! A master's process: it stands for election, leads, and stands again under a new id when its reign is over.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coordination::election::Elector;
use coordination::store::{Store, StoreError};
use libactor::Node;
use libactor::http::Figures;
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

    fn counted_by(&self, figures: &Figures) {
        let present = self.clone();
        figures.come_from(move || {
            let running = present.lock().clone();
            async move {
                match running {
                    Some(running) => running.metrics().await,
                    None => String::new(),
                }
            }
        });
    }
}

/// What a master of this process stands on.
pub(crate) struct Throne<S> {
    pub(crate) node: Node,
    pub(crate) hostname: Option<String>,
    pub(crate) store: S,
    pub(crate) config: MasterConfig,
    /// The work directory, if the registry is elsewhere. There are other candidates then: it stands again when a reign is over.
    pub(crate) led_from: Option<PathBuf>,
}

impl<S> Throne<S>
where
    S: Store + Elector<Error = StoreError> + Clone + 'static,
{
    /// Leads whenever elected, until `asked` or until nothing more can be done.
    pub(crate) async fn hold(
        self,
        figures: &Figures,
        asked: impl Future<Output = std::io::Result<()>>,
    ) -> Result<(), ServeError> {
        let present = Present::default();
        present.counted_by(figures);
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
            let elected = tokio::select! {
                elected = self.stand() => elected?,
                asked = &mut asked => return asked.map_err(ServeError::Signals),
            };
            if let Some(work_dir) = &self.led_from {
                master::belongs_to(work_dir, elected.cluster())?;
            }
            let running = Arc::new(elected.start(&self.node, self.config.clone())?);
            let (epoch, id) = (running.cluster().epoch, &running.cluster().master);
            tracing::info!(epoch, %id, "leads");
            present.is(Some(Arc::clone(&running)));
            if let Some(say) = ready.take() {
                say();
            }
            let (end, was_asked) = tokio::select! {
                end = running.ended() => (end, false),
                asked = &mut asked => {
                    asked.map_err(ServeError::Signals)?;
                    running.stop();
                    (running.ended().await, true)
                }
            };
            present.is(None);
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
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                asked = &mut asked => return asked.map_err(ServeError::Signals),
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
