//! What a master's view lets the gateways of its process see: its newest state as a whole, which costs nothing to take and is
//! written out on other threads, and what happens from then on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use api::v1::master::Event;
use bytes::Bytes;
use gateway::Encoding;
use tokio::sync::{OnceCell, broadcast};

use crate::view::View;

/// Events that may wait for those who pass them on; who is further behind is given up.
const EVENTS: usize = 16_384;

/// Shared by a master, its view and its gateways.
#[derive(Debug)]
pub(crate) struct Published {
    /// The newest change of which anybody can have heard.
    heard: AtomicU64,
    newest: Mutex<Arc<Snapshot>>,
    events: broadcast::Sender<Arc<Told>>,
}

/// A state, and what was written of it. Whoever asks for the same while it is the newest gets the same bytes.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) view: View,
    written: Mutex<BTreeMap<String, Arc<OnceCell<Bytes>>>>,
}

/// Something that operators are told.
#[derive(Debug)]
pub(crate) enum Told {
    /// By the change of this number.
    Event {
        /// Its place in the order.
        number: u64,
        /// What happened.
        event: Box<Event>,
        /// As it is written, once somebody needs it so.
        json: OnceLock<Bytes>,
        /// Likewise.
        protobuf: OnceLock<Bytes>,
    },
    /// The view missed changes: what happened in between nobody knows.
    StartOver,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Published {
    pub(crate) fn new(view: View) -> Self {
        let newest = Mutex::new(Arc::new(Snapshot::of(view)));
        Self { heard: AtomicU64::new(0), newest, events: broadcast::Sender::new(EVENTS) }
    }

    /// Of this change others hear now.
    pub(crate) fn hears(&self, change: u64) {
        self.heard.fetch_max(change, Relaxed);
    }

    /// No reader may see less than this.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Relaxed)
    }

    /// The state from now on.
    pub(crate) fn publish(&self, view: &View) {
        let mut newest = lock(&self.newest);
        if !newest.view.is_as(view) {
            *newest = Arc::new(Snapshot::of(view.clone()));
        }
    }

    pub(crate) fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(&lock(&self.newest))
    }

    /// Whether anybody wants to hear what happens.
    pub(crate) fn has_listeners(&self) -> bool {
        self.events.receiver_count() > 0
    }

    pub(crate) fn tell(&self, told: Told) {
        // Nobody may listen.
        let _ = self.events.send(Arc::new(told));
    }

    /// What happens from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Told>> {
        self.events.subscribe()
    }
}

impl Snapshot {
    fn of(view: View) -> Self {
        Self { view, written: Mutex::default() }
    }

    /// What `write` makes of it, on a thread that may take its time; what has the same name is made once.
    ///
    /// # Errors
    ///
    /// In words, if that thread failed.
    pub(crate) async fn written(
        self: &Arc<Self>,
        name: String,
        write: impl FnOnce(&View) -> Vec<u8> + Send + 'static,
    ) -> Result<Bytes, String> {
        let cell = Arc::clone(lock(&self.written).entry(name).or_default());
        let make = async || {
            let snapshot = Arc::clone(self);
            let made = tokio::task::spawn_blocking(move || write(&snapshot.view)).await;
            made.map(Bytes::from)
                .map_err(|error| format!("the answer could not be written: {error}"))
        };
        cell.get_or_try_init(make).await.cloned()
    }
}

impl Told {
    pub(crate) fn event(number: u64, event: Event) -> Self {
        Self::Event {
            number,
            event: Box::new(event),
            json: OnceLock::new(),
            protobuf: OnceLock::new(),
        }
    }
}

/// An event as its readers take it.
pub(crate) fn encoded(
    event: &Event,
    encoding: Encoding,
    (json, protobuf): (&OnceLock<Bytes>, &OnceLock<Bytes>),
) -> Bytes {
    match encoding {
        Encoding::Json => json.get_or_init(|| api::json::write(event).into()).clone(),
        Encoding::Protobuf => protobuf.get_or_init(|| api::wire::write(event).into()).clone(),
    }
}
