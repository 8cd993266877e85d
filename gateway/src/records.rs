//! Streams of records: an answer without end, to which its owner adds whole records. What waits for a slow reader has a bound;
//! who is beyond it is cut off and costs others nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::task::{Context, Poll};

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::{mpsc, watch};

use crate::answer::Call;
use crate::backlog::{Backlog, Hold, Queue};
use crate::line::Line;
use crate::negotiate::Encoding;

/// Bytes of a record that are written at once: the server copies what it writes, for each reader anew.
const PART: usize = 64 << 10;

/// The writing end. Dropping the last of its clones ends the answer.
#[derive(Clone)]
pub struct Records {
    send: mpsc::UnboundedSender<Record>,
    waiting: Arc<Waiting>,
    most: usize,
    gone: watch::Receiver<()>,
    line: Option<Line>,
    queue: Arc<Queue>,
}

/// One that waits for its reader. However many wait for it, all share its bytes until they are written.
struct Record {
    bytes: Bytes,
    /// Its part of what waits.
    counts: usize,
    /// Its part of what waits in all streams.
    _hold: Hold,
}

/// What waits for a reader.
#[derive(Default)]
struct Waiting {
    records: AtomicUsize,
    /// Without those before which nothing waited.
    bytes: AtomicUsize,
}

/// The reader is gone, or so far behind that it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// Its connection has ended.
    #[error("the reader is gone")]
    Gone,
    /// More waits for it than may.
    #[error("the reader is too slow")]
    TooSlow,
}

impl Records {
    /// Both ends of a stream of which at most `most` bytes wait for its reader.
    pub fn pipe(most: usize) -> (Self, impl Stream<Item = Result<Bytes, actix_web::Error>>) {
        Self::to(None, most)
    }

    fn to(line: Option<Line>, most: usize) -> (Self, Body) {
        let (send, records) = mpsc::unbounded_channel();
        let (here, gone) = watch::channel(());
        let waiting = Arc::<Waiting>::default();
        let queue = Backlog::of_process().enter(line.clone());
        let body = Body { records, waiting: Arc::clone(&waiting), begun: None, _here: here };
        (Self { send, waiting, most, gone, line, queue }, body)
    }

    /// One record more: its length, a line feed, its bytes. Before which nothing waits, that one counts for nothing until it is
    /// taken, however long it is: else whoever is told a long state first would hear nothing after it.
    ///
    /// # Errors
    ///
    /// See [`NotSent`]; after the first, drop this.
    pub fn send(&self, record: impl Into<Bytes>) -> Result<(), NotSent> {
        // Its connection may serve something else by now.
        if self.send.is_closed() {
            return Err(NotSent::Gone);
        }
        let bytes = record.into();
        let is_first = self.waiting.records.fetch_add(1, AcqRel) == 0;
        let counts = if is_first { 0 } else { size_of::<Record>() + bytes.len() };
        let waits = self.waiting.bytes.fetch_add(counts, AcqRel);
        if waits > 0 && waits + counts > self.most {
            self.line.iter().for_each(Line::cut);
            return Err(NotSent::TooSlow);
        }
        let Some(hold) = self.queue.hold(&bytes) else {
            self.line.iter().for_each(Line::cut);
            return Err(NotSent::TooSlow);
        };
        self.send.send(Record { bytes, counts, _hold: hold }).map_err(|_| NotSent::Gone)
    }

    /// Waits until the reader is gone; what waits does not keep the answer open.
    pub fn gone(&self) -> impl Future<Output = ()> + use<> {
        let (mut gone, line) = (self.gone.clone(), self.line.clone());
        let closes = async move {
            match line {
                Some(line) => line.closed().await,
                None => std::future::pending().await,
            }
        };
        async move {
            tokio::select! {
                // Nothing is ever said: the other end is dropped with the body.
                _ = gone.changed() => (),
                () = closes => (),
            }
        }
    }
}

struct Body {
    records: mpsc::UnboundedReceiver<Record>,
    waiting: Arc<Waiting>,
    /// The record of which a part was taken.
    begun: Option<Record>,
    _here: watch::Sender<()>,
}

impl Body {
    /// The next part of what was begun.
    fn part(&mut self) -> Option<Bytes> {
        let record = self.begun.as_mut()?;
        let part = record.bytes.split_to(PART.min(record.bytes.len()));
        let is_whole = record.bytes.is_empty();
        let counted = if is_whole { record.counts } else { record.counts.min(part.len()) };
        record.counts -= counted;
        self.waiting.bytes.fetch_sub(counted, AcqRel);
        if is_whole {
            self.begun = None;
            self.waiting.records.fetch_sub(1, AcqRel);
        }
        Some(part)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(part) = self.part() {
            return Poll::Ready(Some(Ok(part)));
        }
        let next = self.records.poll_recv(context);
        next.map(|record| {
            record.map(|record| {
                // In one piece with what follows: clients of Mesos's are used to that, and some rely on it.
                let mut first = api::recordio::length(&record.bytes);
                self.begun = Some(record);
                first.extend_from_slice(&self.part().unwrap_or_default());
                Ok(first.into())
            })
        })
    }
}

/// An answer of records, and its writing end. `headers` are added; at most `most` bytes wait for its reader.
pub fn stream(
    call: &Call,
    encoding: Encoding,
    headers: &[(&'static str, String)],
    most: usize,
) -> (HttpResponse, Records) {
    let line = call.request.conn_data::<Line>().cloned();
    let (records, body) = Records::to(line, most);
    let mut response = HttpResponseBuilder::new(StatusCode::OK);
    response.content_type(encoding.media_type());
    for header in headers {
        response.insert_header((header.0, header.1.as_str()));
    }
    let mut response = response.streaming(body);
    response.extensions_mut().insert(IsStream);
    (response, records)
}

/// Marks an answer of records: only the one that is sent is one, and not every one that was made.
pub(crate) struct IsStream;

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};

    use super::*;

    const MOST: usize = 1000;

    /// What there is to take by now.
    fn taken(body: &mut Body) -> Vec<Bytes> {
        let next = || body.next().now_or_never().flatten().map(Result::unwrap);
        std::iter::from_fn(next).collect()
    }

    fn record(length: usize) -> Bytes {
        vec![b'r'; length].into()
    }

    #[test]
    fn a_state_longer_than_what_may_wait_is_followed_by_what_happens() {
        let (records, mut body) = Records::to(None, MOST);
        let first = record(10 * MOST);
        for _ in 0..2 {
            assert_eq!(records.send(first.clone()), Ok(()));
            assert_eq!(records.send(record(MOST / 2)), Ok(()));
            assert_eq!(records.send(record(MOST / 4)), Ok(()));
            let all =
                [(&b"10000\n"[..], &first), (b"500\n", &record(500)), (b"250\n", &record(250))];
            assert_eq!(taken(&mut body), all.map(|(length, record)| [length, record].concat()));
        }
        assert_eq!(records.send(first), Ok(()));
        assert_eq!(records.send(record(MOST / 2)), Ok(()));
        assert_eq!(records.send(record(MOST / 2)), Err(NotSent::TooSlow), "too much beside it");
    }

    #[test]
    fn of_a_long_record_a_little_is_taken_at_once() {
        let (records, mut body) = Records::to(None, MOST);
        assert_eq!(records.send(record(PART + 1)), Ok(()));
        let parts: Vec<usize> = taken(&mut body).iter().map(Bytes::len).collect();
        assert_eq!(parts, [6 + PART, 1]);
        assert_eq!(records.send(record(0)), Ok(()));
        assert_eq!(taken(&mut body).concat(), b"0\n");
    }

    #[test]
    fn a_long_record_fits_behind_one_that_was_not_taken_yet() {
        let (records, mut body) = Records::to(None, MOST);
        assert_eq!(records.send(record(1)), Ok(()));
        assert_eq!(records.send(record(10 * MOST)), Ok(()));
        assert_eq!(taken(&mut body).len(), 2);
        assert_eq!(records.send(record(1)), Ok(()));
        assert_eq!(records.send(record(10 * MOST)), Ok(()));
        assert_eq!(records.send(record(1)), Err(NotSent::TooSlow));
    }

    #[test]
    fn readers_share_the_bytes_of_a_long_record() {
        let (shared, mut all) = (record(PART + 100), Vec::new());
        for _ in ["one", "another", "a third"] {
            let (records, mut body) = Records::to(None, MOST);
            assert_eq!(records.send(shared.clone()), Ok(()));
            all.extend(taken(&mut body).pop());
        }
        assert!(
            all.iter().all(|taken| taken.as_ptr() == shared[PART..].as_ptr()),
            "none was copied"
        );
    }
}
