//! What a master's view lets the gateways of its process see: its newest state as a whole, which costs nothing to take and is
//! written out on other threads, and what happens from then on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use api::v1::master::Event;
use bytes::Bytes;
use coordination::store::Change;
use gateway::{Encoding, Spans};
use protocol::legacy::Written;
use tokio::sync::{OnceCell, broadcast};

use crate::tally::Tally;
use crate::underway::Underway;
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
    tally: Mutex<Tally>,
    stored: Mutex<Stored>,
    /// How often somebody got what was written for another.
    shared: Arc<AtomicU64>,
    underway: Underway,
}

/// What is counted of the registry.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    /// How long it took to read it.
    pub(crate) fetched: Spans,
    /// How long it took to write to it.
    pub(crate) written: Spans,
    /// Of each record.
    pub(crate) bytes: BTreeMap<String, usize>,
}

/// A state, and what was written of it. Whoever asks for the same while it is the newest gets the same bytes.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) view: View,
    written: Mutex<BTreeMap<String, Arc<OnceCell<Bytes>>>>,
    shared: Arc<AtomicU64>,
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
    pub(crate) fn new(view: View, stored: Stored) -> Self {
        let shared = Arc::default();
        let newest = Mutex::new(Arc::new(Snapshot::of(view, Arc::clone(&shared))));
        Self {
            heard: AtomicU64::new(0),
            newest,
            events: broadcast::Sender::new(EVENTS),
            tally: Mutex::default(),
            stored: Mutex::new(stored),
            shared,
            underway: Underway::default(),
        }
    }

    /// Calls of schedulers that were answered and that the master may not have dealt with.
    pub(crate) fn underway(&self) -> &Underway {
        &self.underway
    }

    /// Counts, or reads what is counted of messages.
    pub(crate) fn tally<T>(&self, act: impl FnOnce(&mut Tally) -> T) -> T {
        act(&mut lock(&self.tally))
    }

    /// How often somebody got what was written for another.
    pub(crate) fn shared(&self) -> u64 {
        self.shared.load(Relaxed)
    }

    /// Counts, or reads what is counted of the registry.
    pub(crate) fn stored<T>(&self, act: impl FnOnce(&mut Stored) -> T) -> T {
        act(&mut lock(&self.stored))
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
            *newest = Arc::new(Snapshot::of(view.clone(), Arc::clone(&self.shared)));
        }
    }

    pub(crate) fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(&lock(&self.newest))
    }

    /// How many want to hear what happens.
    pub(crate) fn listeners(&self) -> usize {
        self.events.receiver_count()
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

impl Stored {
    /// This was written.
    pub(crate) fn keep(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put { key, value } => {
                    self.bytes.insert(key.clone(), value.len());
                }
                Change::Delete { key } => {
                    self.bytes.remove(key);
                }
            }
        }
    }

    /// Under Mesos's names.
    pub(crate) fn numbers(&self) -> Vec<(String, f64)> {
        let mut all = self.fetched.milliseconds("registrar/state_fetch_ms");
        all.extend(self.written.milliseconds("registrar/state_store_ms"));
        let bytes: usize = self.bytes.iter().map(|(key, value)| key.len() + value).sum();
        all.push(("registrar/registry_size_bytes".to_owned(), bytes as f64));
        all.push(("registrar/log/recovered".to_owned(), 1.0));
        all
    }
}

impl Snapshot {
    fn of(view: View, shared: Arc<AtomicU64>) -> Self {
        Self { view, written: Mutex::default(), shared }
    }

    /// What `write` makes of it, on a thread that may take its time. What has the same name is made once, and kept as long as this:
    /// there are only so many names. What has none is made anew.
    ///
    /// # Errors
    ///
    /// In words, if that thread failed, or what it was to write.
    pub(crate) async fn written(
        self: &Arc<Self>,
        name: Option<String>,
        write: impl FnOnce(&View) -> Written + Send + 'static,
    ) -> Result<Bytes, String> {
        let page = name.clone();
        let not_written = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, page, "an answer could not be written");
            format!("the answer could not be written: {error}")
        };
        let make = async || {
            let snapshot = Arc::clone(self);
            let made = tokio::task::spawn_blocking(move || write(&snapshot.view)).await;
            match made {
                Ok(Ok(written)) => Ok(Bytes::from(written)),
                Ok(Err(error)) => Err(not_written(&error)),
                Err(error) => Err(not_written(&error)),
            }
        };
        let Some(name) = name else { return make().await };
        let (cell, is_shared) = {
            let mut written = lock(&self.written);
            let is_shared = written.contains_key(&name);
            (Arc::clone(written.entry(name.clone()).or_default()), is_shared)
        };
        if is_shared {
            self.shared.fetch_add(1, Relaxed);
        }
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
