//! The stream of events: first the state as it is, then what happens, in order and without gaps. Whoever reads too slowly is cut off
//! and costs others nothing; when there are too many, the one who came first goes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpResponse;
use api::v1::master::event::Type;
use api::v1::master::{Event, event};
use bytes::Bytes;
use gateway::{Call, Encoding, NotSent, Records, Refused, stream, written};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;

use crate::http::Gateways;
use crate::published::{Snapshot, Told, encoded};
use crate::start::Running;

/// As Mesos's.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Bytes that may wait for an operator that reads slowly, beside the state itself.
const WAITING_MAX: usize = 16 << 20;

/// Those who listen, the oldest first. Dropping what is kept of one ends its stream.
pub(crate) struct Subscribers {
    most: AtomicUsize,
    all: Mutex<VecDeque<oneshot::Sender<()>>>,
}

/// Operators that may listen at once unless somebody says otherwise, as in Mesos.
const MOST: usize = 1000;

impl Default for Subscribers {
    fn default() -> Self {
        Self { most: AtomicUsize::new(MOST), all: Mutex::default() }
    }
}

impl Subscribers {
    /// So many may listen at once, and one always.
    pub(crate) fn may_be(&self, most: usize) {
        self.most.store(most.max(1), Relaxed);
    }

    /// One more; what it returns says that its stream must end.
    fn join(&self) -> oneshot::Receiver<()> {
        let (keep, ends) = oneshot::channel();
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| !one.is_closed());
        while all.len() >= self.most.load(Relaxed) {
            all.pop_front();
        }
        all.push_back(keep);
        ends
    }
}

pub(super) async fn begin(
    gateways: &Gateways,
    reign: &Arc<Running>,
    call: &Call,
    encoding: Encoding,
) -> Result<HttpResponse, Refused> {
    // Before the state is taken: nothing may happen between the two.
    let events = reign.published().listen();
    let snapshot = reign.newest().await?;
    let (response, records) = stream(call, encoding, &[], WAITING_MAX);
    let ends = gateways.subscribers().join();
    let reign = Arc::clone(reign);
    actix_rt::spawn(async move {
        let why = listen(&records, snapshot, events, ends, encoding, &reign).await;
        tracing::info!(why, "an operator's stream of events ends");
    });
    Ok(response)
}

/// Passes on what happens, until it says why it does so no longer.
async fn listen(
    records: &Records,
    snapshot: Arc<Snapshot>,
    mut events: Receiver<Arc<Told>>,
    mut ends: oneshot::Receiver<()>,
    encoding: Encoding,
    reign: &Running,
) -> &'static str {
    let from = snapshot.view.moment().change;
    let first = snapshot.written(Some(format!("SUBSCRIBED {encoding:?}")), move |view| {
        let subscribed = event::Subscribed {
            get_state: Some(view.get_state()),
            heartbeat_interval_seconds: Some(HEARTBEAT.as_secs_f64()),
        };
        let subscribed = Event { subscribed: Some(subscribed), ..of_type(Type::Subscribed) };
        Ok(written(encoding, &subscribed))
    });
    let Ok(first) = first.await else { return "its state could not be written" };
    drop(snapshot);
    let beat = Bytes::from(written(encoding, &of_type(Type::Heartbeat)));
    if let Err(error) = records.send(first).and_then(|()| records.send(beat.clone())) {
        return words(error);
    }
    let gone = records.gone();
    let reign_ends = reign.ended();
    tokio::pin!(gone, reign_ends);
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.reset();
    loop {
        let sent = tokio::select! {
            () = &mut gone => return "its reader is gone",
            _ = &mut reign_ends => return "the reign is over",
            _ = &mut ends => return "there are too many, and it is the oldest",
            _ = heartbeat.tick() => records.send(beat.clone()),
            told = events.recv() => match told.as_deref() {
                Ok(Told::Event { number, .. }) if *number <= from => Ok(()),
                Ok(Told::Event { event, json, protobuf, .. }) => {
                    records.send(encoded(event, encoding, (json, protobuf)))
                }
                Ok(Told::StartOver) => return "the master's view missed what happened",
                Err(RecvError::Lagged(_)) => return "its reader is too slow",
                Err(RecvError::Closed) => return "the reign is over",
            },
        };
        if let Err(error) = sent {
            return words(error);
        }
    }
}

fn words(error: NotSent) -> &'static str {
    match error {
        NotSent::Gone => "its reader is gone",
        NotSent::TooSlow => "its reader is too slow",
    }
}

fn of_type(r#type: Type) -> Event {
    Event { r#type: Some(r#type.into()), ..Event::default() }
}
