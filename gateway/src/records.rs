//! Streams of records: an answer without end, to which its owner adds whole records. What waits for a slow reader has a bound;
//! who is beyond it is cut off and costs others nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::{mpsc, watch};

use crate::answer::Call;
use crate::line::Line;
use crate::negotiate::Encoding;

/// The writing end. Dropping the last of its clones ends the answer.
#[derive(Clone)]
pub struct Records {
    send: mpsc::UnboundedSender<Bytes>,
    waiting: Arc<AtomicUsize>,
    most: usize,
    gone: watch::Receiver<()>,
    line: Option<Line>,
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
        let waiting = Arc::new(AtomicUsize::new(0));
        let body = Body { records, waiting: Arc::clone(&waiting), _here: here };
        (Self { send, waiting, most, gone, line }, body)
    }

    /// One record more: its length, a line feed, its bytes.
    ///
    /// # Errors
    ///
    /// See [`NotSent`]; after the first, drop this.
    pub fn send(&self, record: &[u8]) -> Result<(), NotSent> {
        // Its connection may serve something else by now.
        if self.send.is_closed() {
            return Err(NotSent::Gone);
        }
        let framed = api::recordio::encode(record);
        let bytes = framed.len();
        // One record always fits, however long it is.
        let waits = self.waiting.fetch_add(bytes, Relaxed);
        if waits > 0 && waits + bytes > self.most {
            self.line.iter().for_each(Line::cut);
            return Err(NotSent::TooSlow);
        }
        self.send.send(framed.into()).map_err(|_| NotSent::Gone)
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
    records: mpsc::UnboundedReceiver<Bytes>,
    waiting: Arc<AtomicUsize>,
    _here: watch::Sender<()>,
}

impl Stream for Body {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = self.records.poll_recv(context);
        next.map(|record| {
            record.map(|record| {
                self.waiting.fetch_sub(record.len(), Relaxed);
                Ok(record)
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
