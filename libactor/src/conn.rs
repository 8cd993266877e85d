//! One connection as its senders see it: three lane buffers into which messages are encoded by whoever sends them.
//!
//! It exists from the moment somebody dials: what is sent before the handshake is over waits in the buffers.

mod early;
mod outstanding;
mod read;
mod window;
mod write;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::control::Control;
use crate::error::TellError;
use crate::flow::{self, Head};
use crate::message::Lane;
use crate::metrics::CutKind;
use crate::pid::Life;
use crate::session::Peer;
use crate::wire::{FLAGS_AT, FrameWriter, Header, Kind, MAX_FRAME, RELAYED, WireError};

use early::Early;
use outstanding::{Outstanding, Pair};
pub(crate) use read::{Windows, read_loop};
pub(crate) use window::Credit;
use window::Watch;
use write::Writing;
pub(crate) use write::write_loop;

#[derive(Default)]
struct LaneBuffer {
    /// Whole frames that the writer has not fetched; before them those of long messages, in their order.
    bytes: Vec<u8>,
    before: VecDeque<Vec<u8>>,
    /// Bytes here and with the writer.
    waiting: usize,
    /// Messages of this node that ever were encoded here.
    accepted: u64,
    /// Messages here and with the writer, not yet handed to the kernel.
    messages: u64,
    outstanding: Outstanding,
    /// Whether the peer's version is known here, and what was taken before it was.
    settled: bool,
    early: Vec<Early>,
    /// Why nothing more is taken.
    closed: Option<String>,
}

/// A connection, or the attempt at one.
pub(crate) struct Conn {
    pub(crate) id: u64,
    /// This node's runtime: who makes the statements that go out here.
    me: Life,
    /// What was dialled; `None` if the peer dialled.
    pub(crate) dialled: Option<String>,
    /// Known once the handshake is over.
    pub(crate) peer: OnceLock<Peer>,
    /// Where a third node reaches the peer, and what is behind it.
    pub(crate) way: OnceLock<SocketAddr>,
    /// Whether the peer is on this machine, over loopback.
    here: OnceLock<bool>,
    lanes: [Mutex<LaneBuffer>; 3],
    /// Whether a lane has something for the writer, which need not lock the others. Written under the lane's lock, and before
    /// the writer is woken.
    waits: [AtomicBool; 3],
    wake: Notify,
    writing: Mutex<Writing>,
    /// Rung when a buffer that was full is half empty, or credit came back.
    room: Notify,
    /// Questions under way in each direction: the only one is written at once, many are written together.
    pub(crate) asks_out: AtomicU64,
    pub(crate) asks_in: AtomicU64,
    closed: AtomicBool,
    /// What the peer did that ended it, if that is why.
    pub(crate) cut_for: OnceLock<CutKind>,
    /// Bytes that the writer has given to the kernel; shows progress.
    written: AtomicU64,
    limits: Bounds,
    /// Per lane (normal, bulk): what was handed to the kernel, what the peer confirmed, what was received.
    pub(crate) handed: [AtomicU64; 2],
    pub(crate) confirmed: [AtomicU64; 2],
    pub(crate) received: [AtomicU64; 2],
    /// Of what was received, what entered a mailbox. This and `received` are written by the reader only.
    pub(crate) entered: AtomicU64,
    pub(crate) heard: AtomicU64,
    /// The windows on which the peer sends.
    watch: Watch,
}

/// The bounds that matter here.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) message: usize,
    pub(crate) buffer: usize,
    pub(crate) window: u32,
    /// The version this process speaks: what counts until the peer's is known.
    pub(crate) version: u32,
}

/// One message of a user, ready to be encoded.
pub(crate) struct Outgoing<'a, T> {
    pub(crate) kind: Kind,
    pub(crate) lane: Lane,
    pub(crate) to: Life,
    pub(crate) name: &'a str,
    pub(crate) head: Head,
    pub(crate) tag: u64,
    pub(crate) ask: u64,
    pub(crate) since: u32,
    pub(crate) label: &'static str,
    pub(crate) value: &'a T,
}

impl<T> Outgoing<'_, T> {
    /// Whose window of credit it takes from.
    fn pair(&self) -> Option<Pair> {
        let windowed = self.kind != Kind::Answer && !self.to.is_nobody();
        windowed.then_some((self.head.sender.actor, self.to))
    }
}

impl LaneBuffer {
    /// Frames that were encoded elsewhere: taken as they are if there are many of them.
    fn put_long(&mut self, frames: Vec<u8>) {
        if frames.len() < MAX_FRAME {
            self.bytes.extend_from_slice(&frames);
        } else if self.bytes.is_empty() {
            self.before.push_back(frames);
        } else {
            let earlier = std::mem::take(&mut self.bytes);
            self.before.extend([earlier, frames]);
        }
    }
}

impl Conn {
    pub(crate) fn new(id: u64, me: Life, dialled: Option<String>, limits: Bounds) -> Self {
        Self {
            id,
            me,
            dialled,
            peer: OnceLock::new(),
            way: OnceLock::new(),
            here: OnceLock::new(),
            lanes: Default::default(),
            waits: Default::default(),
            wake: Notify::new(),
            writing: Mutex::default(),
            room: Notify::new(),
            asks_out: AtomicU64::new(0),
            asks_in: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            cut_for: OnceLock::new(),
            written: AtomicU64::new(0),
            limits,
            handed: Default::default(),
            confirmed: Default::default(),
            received: Default::default(),
            entered: AtomicU64::new(0),
            heard: AtomicU64::new(flow::now_ms()),
            watch: Watch::default(),
        }
    }

    /// The other end of its stream is there.
    pub(crate) fn leads_to(&self, address: SocketAddr) {
        let _ = self.here.set(address.ip().to_canonical().is_loopback());
    }

    /// Whether the peer is on this machine, over loopback.
    pub(crate) fn is_here(&self) -> bool {
        self.here.get().is_some_and(|here| *here)
    }

    fn lane(&self, lane: Lane) -> MutexGuard<'_, LaneBuffer> {
        self.lanes[lane.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// The peer's runtime; nobody while it is not known.
    #[inline]
    pub(crate) fn node(&self) -> Life {
        self.peer.get().map_or(Life::NOBODY, |peer| Life {
            node: peer.node,
            incarnation: peer.incarnation,
            actor: 0,
        })
    }

    /// What people call the other side.
    pub(crate) fn peer_name(&self) -> String {
        let node = || self.peer.get().map(|peer| format!("node {:016x}", peer.node));
        self.dialled.clone().or_else(node).unwrap_or_else(|| "a peer".to_owned())
    }

    /// Encodes a message of a user into its lane's buffer, or says why not.
    pub(crate) fn send<T: Serialize>(&self, message: &Outgoing<'_, T>) -> Result<(), TellError> {
        let mut lane = self.open_lane(message)?;
        let bytes = if message.lane == Lane::Bulk {
            // Megabytes are encoded beside the lane: the writer, and through it the control lane, must not wait for it.
            drop(lane);
            let mut long = Vec::new();
            let bytes = self.encode(message, &mut long)?;
            lane = self.open_lane(message)?;
            lane.put_long(long);
            bytes
        } else {
            self.encode(message, &mut lane.bytes)?
        };
        if !lane.settled {
            lane.early.push(Early::new(message, bytes));
        }
        if let Some(pair) = message.pair() {
            lane.outstanding.one_more(pair, self.window());
        }
        lane.accepted += 1;
        let alone = match message.kind {
            Kind::Ask => self.asks_out.load(Relaxed) == 1,
            Kind::Answer => self.asks_in.load(Relaxed) == 1,
            Kind::Tell | Kind::Control => false,
        };
        if self.added(message.lane, lane, bytes) && !(alone && self.write_at_once()) {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// A message's lane, if it has room for it and the peer is not too old, as far as that is known.
    fn open_lane<T>(
        &self,
        message: &Outgoing<'_, T>,
    ) -> Result<MutexGuard<'_, LaneBuffer>, TellError> {
        let mut lane = self.lane(message.lane);
        if let Some(why) = &lane.closed {
            return Err(TellError::Unreachable(why.clone()));
        }
        let peer = self.peer.get().filter(|_| lane.settled);
        let speaks = peer.map_or(self.limits.version, |peer| peer.version);
        if message.since > speaks {
            return Err(TellError::TooNew { needs: message.since, speaks });
        }
        if lane.waiting >= self.limits.buffer {
            return Err(TellError::Full);
        }
        match message.pair() {
            Some(pair) if *lane.outstanding.of(pair) >= self.window() => {
                // Behind a relay it is not the peer that takes nothing.
                if self.peer.get().is_some_and(|peer| peer.node == message.to.node) {
                    lane.outstanding.refused(pair, flow::now_ms());
                }
                Err(TellError::Full)
            }
            Some(_) | None => Ok(lane),
        }
    }

    /// Appends a message's frames; how many bytes.
    fn encode<T: Serialize>(
        &self,
        message: &Outgoing<'_, T>,
        out: &mut Vec<u8>,
    ) -> Result<usize, TellError> {
        let Outgoing { kind, to, name, head, tag, ask, .. } = *message;
        let header = Header { kind, relayed: false, to, name, head, tag, ask }.bytes(flow::now_ms);
        let mut writer = FrameWriter::new(out, message.lane, self.limits.message);
        let encoded = writer.put(&header).and_then(|()| writer.put(name.as_bytes()));
        let encoded = encoded.and_then(|()| match message.lane {
            Lane::Bulk => writer.long_payload(message.value),
            Lane::Control | Lane::Normal => writer.payload(message.value),
        });
        if let Err(error) = encoded {
            writer.undo();
            return Err(match error {
                WireError::TooLarge { limit } => TellError::TooLarge { limit },
                WireError::FrameLength(_)
                | WireError::FrameHeader { .. }
                | WireError::ChunkOrder(_)
                | WireError::ShortMessage(_)
                | WireError::UnknownKind(_)
                | WireError::WrongLane { .. }
                | WireError::Decode(_) => TellError::Encode(message.label),
            });
        }
        Ok(writer.finish())
    }

    /// The window of credit: this node's until the peer's is known, then the smaller.
    fn window(&self) -> u32 {
        self.peer.get().map_or(self.limits.window, |peer| peer.window)
    }

    /// Passes on a message of another node, as it came but for the mark that it was relayed.
    pub(crate) fn relay(&self, on: Lane, message: &[u8]) -> Result<(), TellError> {
        let mut lane = self.lane(on);
        if let Some(why) = &lane.closed {
            return Err(TellError::Unreachable(why.clone()));
        }
        if on == Lane::Control {
            // What runtimes say to one another is not lost while the connection lives.
            lane = self.room_for_control(lane)?;
        } else if lane.waiting >= self.limits.buffer {
            return Err(TellError::Full);
        }
        let (before, rest) = message.split_at(FLAGS_AT);
        let mut writer = FrameWriter::new(&mut lane.bytes, on, self.limits.message);
        let encoded = writer
            .put(before)
            .and_then(|()| writer.put(&[rest[0] | RELAYED]))
            .and_then(|()| writer.put(&rest[1..]));
        if encoded.is_err() {
            writer.undo();
            return Err(TellError::TooLarge { limit: self.limits.message });
        }
        let bytes = writer.finish();
        if self.added(on, lane, bytes) {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// A statement of the runtime for node `to`. Its lane has room for what the bounded tables of the node can cause;
    /// a peer that lets it grow beyond that is cut.
    pub(crate) fn control(&self, to: Life, ask: u64, what: &Control) {
        let lane = self.lane(Lane::Control);
        if lane.closed.is_some() {
            return;
        }
        let Ok(mut lane) = self.room_for_control(lane) else {
            return;
        };
        let head = Head { sender: self.me, ..Head::default() };
        let header =
            Header { kind: Kind::Control, relayed: false, to, name: "", head, tag: 0, ask };
        let mut writer = FrameWriter::new(&mut lane.bytes, Lane::Control, self.limits.message);
        let encoded = writer.put(&header.bytes(flow::now_ms)).and_then(|()| writer.payload(what));
        if encoded.is_err() {
            writer.undo();
            return;
        }
        let bytes = writer.finish();
        if self.added(Lane::Control, lane, bytes) {
            self.wake.notify_one();
        }
    }

    /// Counts what was encoded into a lane; whether nothing else waited there, so that nobody comes for it yet.
    fn added(&self, on: Lane, mut lane: MutexGuard<'_, LaneBuffer>, bytes: usize) -> bool {
        lane.waiting += bytes;
        lane.messages += 1;
        self.waits[on.index()].store(true, Relaxed);
        let fetchable: usize = lane.before.iter().map(Vec::len).sum();
        fetchable + lane.bytes.len() == bytes
    }

    /// The control lane, unless there is too much in it: then the peer is cut.
    fn room_for_control<'a>(
        &self,
        lane: MutexGuard<'a, LaneBuffer>,
    ) -> Result<MutexGuard<'a, LaneBuffer>, TellError> {
        if lane.waiting < self.limits.buffer.saturating_mul(16) {
            return Ok(lane);
        }
        drop(lane);
        let why = "the peer does not read: its control lane is full";
        self.cut(CutKind::Full, why);
        Err(TellError::Unreachable(why.to_owned()))
    }

    /// The peer handled more messages of a pair.
    pub(crate) fn credit(&self, lane: Lane, sender: u64, receiver: Life, handled: u32) {
        self.lane(lane).outstanding.give((sender, receiver), handled);
        self.room.notify_waiters();
    }

    /// Tells senders whose messages wait for an actor that it works, if it has handled some since the last call.
    pub(crate) fn show_progress(&self, handled: impl Fn(Life) -> Option<u64>) {
        self.watch.look(handled);
    }

    /// Nothing more is taken or read. The tasks of the connection notice and end.
    pub(crate) fn close(&self, why: &str) {
        for lane in Lane::ALL {
            self.lane(lane).closed.get_or_insert_with(|| why.to_owned());
        }
        self.closed.store(true, Relaxed);
        self.wake.notify_one();
        self.room.notify_waiters();
    }

    /// Closed for what the peer did.
    pub(crate) fn cut(&self, kind: CutKind, why: &str) {
        let _ = self.cut_for.set(kind);
        self.close(why);
    }

    /// Comes when it is worth trying again what was refused as `Full`; to be made before it was.
    pub(crate) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// So many bytes of a lane were given to the kernel.
    fn drained(&self, lane: Lane, bytes: usize) {
        let mut lane = self.lane(lane);
        let before = lane.waiting;
        lane.waiting = before.saturating_sub(bytes);
        let half = self.limits.buffer / 2;
        if before > half && lane.waiting <= half {
            drop(lane);
            self.room.notify_waiters();
        }
    }

    /// Why it is closed.
    pub(crate) fn reason(&self) -> Option<String> {
        self.lane(Lane::Control).closed.clone()
    }

    /// Whether a lane of users is full, and how far the writer has come: no progress while full means a stuck peer.
    pub(crate) fn fullness(&self) -> (bool, u64) {
        let full = [Lane::Normal, Lane::Bulk]
            .into_iter()
            .any(|lane| self.lane(lane).waiting >= self.limits.buffer);
        (full, self.written.load(Relaxed))
    }

    /// An actor of the peer that has given no credit back since before then, though a sender was refused for want of it.
    pub(crate) fn stuck_since(&self, before: u64) -> Option<Life> {
        [Lane::Normal, Lane::Bulk]
            .into_iter()
            .find_map(|lane| self.lane(lane).outstanding.full_since(before))
    }

    /// Messages of users that wait here and with the writer.
    pub(crate) fn queued(&self) -> u64 {
        [Lane::Normal, Lane::Bulk].into_iter().map(|lane| self.lane(lane).messages).sum()
    }

    /// Messages of users that this node ever encoded here.
    pub(crate) fn accepted(&self) -> u64 {
        Lane::ALL.into_iter().map(|lane| self.lane(lane).accepted).sum()
    }

    /// Throws away what users' lanes hold; how many messages.
    pub(crate) fn discard(&self) -> u64 {
        let mut dropped = 0;
        for lane in [Lane::Normal, Lane::Bulk] {
            let mut lane = self.lane(lane);
            dropped += std::mem::take(&mut lane.messages);
            lane.bytes = Vec::new();
            lane.before.clear();
            lane.waiting = 0;
            lane.outstanding = Outstanding::default();
        }
        dropped
    }

    /// Handed to the kernel and confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed.iter().map(|count| count.load(Relaxed)).sum()
    }

    /// Handed to the kernel and not confirmed.
    pub(crate) fn unconfirmed(&self) -> u64 {
        let handed: u64 = self.handed.iter().map(|count| count.load(Relaxed)).sum();
        handed.saturating_sub(self.confirmed())
    }

    /// What was received, for heartbeats.
    pub(crate) fn received(&self) -> [u64; 2] {
        [self.received[0].load(Relaxed), self.received[1].load(Relaxed)]
    }

    /// What the peer says it received. A peer cannot confirm more than it got.
    pub(crate) fn confirm(&self, received: [u64; 2]) {
        for (at, count) in received.into_iter().enumerate() {
            let most = self.handed[at].load(Relaxed);
            self.confirmed[at].fetch_max(count.min(most), Relaxed);
        }
    }
}
