//! The reader of a connection: decodes from its buffer and delivers. It never waits for an actor.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::window::{MANY_WINDOWS, Window};
use super::{Conn, Credit};
use crate::cell::Entry;
use crate::flow;
use crate::hash::IdMap;
use crate::mailbox::one_more;
use crate::message::Lane;
use crate::metrics::CutKind;
use crate::node::Node;
use crate::pid::{Life, Pid};
use crate::wire::{Assembler, From, MAX_FRAME, WireError, next_frame};

/// Frames after which other tasks of the thread get their turn.
const FRAMES_A_TURN: usize = 512;

/// What ended a reader.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadEnd {
    #[error("the peer closed the connection")]
    Closed,
    #[error("the peer left in the middle of a frame")]
    Truncated,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the peer broke the protocol: {0}")]
    Protocol(#[from] WireError),
}

impl ReadEnd {
    /// What the peer did wrong, if it did.
    pub(crate) fn blames(&self) -> Option<CutKind> {
        match self {
            Self::Closed | Self::Io(_) => None,
            Self::Truncated => Some(CutKind::Truncated),
            Self::Protocol(_) => Some(CutKind::Protocol),
        }
    }
}

/// Windows of credit of the pairs that send over a connection. The last pair is at hand: messages come in runs.
#[derive(Default)]
pub(crate) struct Windows {
    all: IdMap<(Life, u64, usize), Arc<Window>>,
    last: Option<Last>,
    /// Where the last answer came from.
    answerer: Option<From>,
}

/// What is known of the last pair.
pub(crate) struct Last {
    window: Arc<Window>,
    receiver: Option<Arc<Entry>>,
    /// The sender as its receiver sees it, and the node it is on.
    pub(crate) sender: Option<Pid>,
    pub(crate) from: From,
}

impl Windows {
    /// The pair of a message.
    pub(crate) fn pair(
        &mut self,
        conn: &Arc<Conn>,
        (sender, receiver, lane): (&Life, &Life, Lane),
        way: impl FnOnce() -> Option<SocketAddr>,
    ) -> &mut Last {
        let known = self.last.as_ref().is_some_and(|Last { window, .. }| {
            window.lane == lane && window.sender == *sender && window.receiver == *receiver
        });
        if !known {
            let window = Arc::clone(self.window(conn, *sender, *receiver, lane));
            let from = From::new(sender.node, way());
            let sender = (!sender.is_nobody()).then(|| sender.via(from.way));
            self.last = Some(Last { window, receiver: None, sender, from });
        }
        self.last.as_mut().expect("it was there or was put there")
    }

    /// Where an answer comes from.
    pub(crate) fn answerer(
        &mut self,
        node: u64,
        way: impl FnOnce() -> Option<SocketAddr>,
    ) -> &From {
        match self.answerer.take().filter(|last| last.node == node) {
            Some(last) => self.answerer.insert(last),
            None => self.answerer.insert(From::new(node, way())),
        }
    }

    fn window(
        &mut self,
        conn: &Arc<Conn>,
        sender: Life,
        receiver: Life,
        lane: Lane,
    ) -> &Arc<Window> {
        if self.all.len() > MANY_WINDOWS {
            self.all.retain(|_, window| Arc::strong_count(window) > 1);
        }
        self.all.entry((sender, receiver.actor, lane.index())).or_insert_with(|| {
            let window = Arc::new(Window::new(Arc::clone(conn), sender, receiver, lane));
            conn.watch.add(&window);
            window
        })
    }
}

impl Last {
    /// The claim of one message, which may be left to one of the next.
    pub(crate) fn claim(&self) -> Option<Credit> {
        self.window.claim()
    }

    /// The receiver.
    pub(crate) fn receiver(
        &mut self,
        find: impl FnOnce() -> Option<Arc<Entry>>,
    ) -> Option<&Arc<Entry>> {
        let entry = &mut self.receiver;
        if entry.as_ref().is_none_or(|entry| entry.meta.stopped.load(Relaxed)) {
            *entry = find();
        }
        entry.as_ref()
    }
}

/// Runs until the connection ends.
pub(crate) async fn read_loop(
    node: &Node,
    conn: &Arc<Conn>,
    mut from: impl AsyncRead + Unpin,
    sofar: BytesMut,
) -> ReadEnd {
    let mut buffer = sofar;
    let mut assembler = Assembler::default();
    let mut windows = Windows::default();
    let limit = conn.limits.message;
    let mut turn = 0;
    loop {
        while turn < FRAMES_A_TURN {
            let frame = match next_frame(&buffer) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return error.into(),
            };
            match assembler.push(&frame, &buffer, limit) {
                Ok(Some(message)) => {
                    if frame.lane != Lane::Control {
                        one_more(&conn.received[frame.lane.index() - 1]);
                    }
                    if let Err(error) =
                        node.arrived(conn, frame.lane, message.bytes(), &mut windows)
                    {
                        return error.into();
                    }
                }
                Ok(None) => (),
                Err(error) => return error.into(),
            }
            buffer.advance(frame.body.end);
            turn += 1;
        }
        if conn.is_closed() {
            return ReadEnd::Closed;
        }
        if turn == FRAMES_A_TURN {
            turn = 0;
            tokio::task::yield_now().await;
            continue;
        }
        buffer.reserve(MAX_FRAME);
        match from.read_buf(&mut buffer).await {
            Ok(0) if buffer.is_empty() => return ReadEnd::Closed,
            Ok(0) => return ReadEnd::Truncated,
            Ok(_) => {
                conn.heard.store(flow::ms_of(flow::stamp_now()), Relaxed);
            }
            Err(error) => return error.into(),
        }
    }
}
