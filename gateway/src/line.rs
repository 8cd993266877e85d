//! A connection, as those who answer on it know it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;
use tokio::sync::watch;

use crate::portions::{Dealt, Framing};

/// A connection.
#[derive(Clone, Default)]
pub(crate) struct Line(Arc<Shared>);

#[derive(Default)]
struct Shared {
    has_closed: watch::Sender<bool>,
    /// Its answer has no end: what the client says besides is thrown away.
    streams: AtomicBool,
    /// After this answer no other follows.
    is_last: AtomicBool,
    /// A request's body has not come to its end.
    has_rest: AtomicBool,
    /// That body.
    body: Mutex<Framing>,
    is_answering: AtomicBool,
    /// How many answers were given.
    answered: AtomicUsize,
    is_cut: AtomicBool,
    /// Nothing more is looked at until this answer is given, or its request's body is asked for.
    is_ahead: AtomicBool,
    waits: AtomicWaker,
}

/// What a connection is about. New -> Answers -> Waits -> Answers -> ... -> Ends
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its first request has not come yet.
    New,
    /// A request is being answered.
    Answers,
    /// So many were, and the next has not come yet.
    Waits(usize),
    /// The last was answered.
    Ends,
}

/// While it is there, a request is being answered.
pub(crate) struct Answering(Line);

impl Line {
    /// Waits until the client sends no more, or the connection has ended.
    pub(crate) async fn closed(self) {
        let mut closed = self.0.has_closed.subscribe();
        drop(self);
        // An error says that the connection was dropped.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// The client sends no more.
    pub(crate) fn has_closed(&self) {
        self.0.has_closed.send_replace(true);
    }

    /// From now on there is one answer, which has no end of its own.
    pub(crate) fn streams(&self) {
        self.0.streams.store(true, Relaxed);
        self.is_last();
    }

    pub(crate) fn is_streaming(&self) -> bool {
        self.0.streams.load(Relaxed)
    }

    /// The connection ends with the answer that is being given.
    pub(crate) fn is_last(&self) {
        self.0.is_last.store(true, Relaxed);
    }

    /// A request with this body is being answered.
    pub(crate) fn has_body(&self, body: Framing) {
        *self.0.body.lock().unwrap_or_else(PoisonError::into_inner) = body;
        let has_rest = body != Framing::Absent;
        self.0.has_rest.store(has_rest, Relaxed);
        if has_rest {
            self.reads_on();
        }
    }

    /// A request's body has come to its end.
    pub(crate) fn leaves_nothing(&self) {
        self.0.has_rest.store(false, Relaxed);
    }

    pub(crate) fn has_rest(&self) -> bool {
        self.0.has_rest.load(Relaxed)
    }

    /// A request has come.
    pub(crate) fn answers(&self) -> Answering {
        *self.0.body.lock().unwrap_or_else(PoisonError::into_inner) = Framing::Absent;
        self.0.is_answering.store(true, Relaxed);
        Answering(self.clone())
    }

    pub(crate) fn stage(&self) -> Stage {
        match (self.0.is_answering.load(Relaxed), self.0.answered.load(Relaxed)) {
            (true, _) => Stage::Answers,
            (false, 0) => Stage::New,
            (false, _) if self.0.is_last.load(Relaxed) => Stage::Ends,
            (false, answered) => Stage::Waits(answered),
        }
    }

    /// How far its requests are dealt with.
    pub(crate) fn dealt(&self) -> Dealt {
        let body = self.0.body.lock().unwrap_or_else(PoisonError::into_inner);
        let body = self.0.is_answering.load(Relaxed).then_some(*body);
        Dealt { answered: self.0.answered.load(Relaxed), body }
    }

    /// Nothing more is looked at until then; whoever looked last at [`Line::is_cut`] is woken when that changes.
    pub(crate) fn is_ahead(&self) {
        self.0.is_ahead.store(true, Relaxed);
    }

    fn reads_on(&self) {
        if self.0.is_ahead.swap(false, Relaxed) {
            self.0.waits.wake();
        }
    }

    /// The client is given up.
    pub(crate) fn cut(&self) {
        self.0.is_cut.store(true, Relaxed);
        self.0.waits.wake();
    }

    /// If not, whoever is polled now is woken when it is.
    pub(crate) fn is_cut(&self, context: &Context<'_>) -> bool {
        self.0.waits.register(context.waker());
        self.0.is_cut.load(Relaxed)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.answered.fetch_add(1, Relaxed);
        self.0.0.is_answering.store(false, Relaxed);
        self.0.reads_on();
    }
}
