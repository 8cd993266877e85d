//! One connection: two ends, each of which knows for itself whether it is open, and lanes that each keep their order.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Life;
use crate::chance::Chance;

/// What is sent beside each other without waiting for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The runtime's own.
    Control,
    /// What components say.
    Normal,
    /// Streams of bytes.
    Bulk,
}

/// A connection's number; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId(pub(super) u64);

/// One of the two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Who dialled.
    Dialler,
    /// Who was dialled.
    Listener,
}

impl End {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::Dialler => 0,
            Self::Listener => 1,
        }
    }
}

#[derive(Debug)]
struct Way<P> {
    queue: VecDeque<P>,
    /// When the last of them arrives: none overtakes another.
    last: Duration,
    /// Arrivals that a partition holds up.
    stalled: usize,
}

/// Two ends and what is between them.
#[derive(Debug)]
pub(super) struct Connection<P> {
    lives: [Life; 2],
    pub(super) open: [bool; 2],
    /// Whether it ever stood.
    pub(super) reached: bool,
    /// Nothing more arrives but what is still in the lanes.
    pub(super) cut: bool,
    /// Nothing arrives before the handshake is over.
    stands_at: Duration,
    lanes: BTreeMap<(End, Lane), Way<P>>,
}

impl<P> Connection<P> {
    pub(super) fn new(dialler: Life, listener: Life, stands_at: Duration) -> Self {
        Self {
            lives: [dialler, listener],
            open: [true, true],
            reached: true,
            cut: false,
            stands_at,
            lanes: BTreeMap::new(),
        }
    }

    /// One that will never stand: its messages arrive nowhere.
    pub(super) fn in_vain(dialler: Life, listener: Life, fails_at: Duration) -> Self {
        let beyond = fails_at + Duration::from_secs(1);
        Self { open: [true, false], reached: false, ..Self::new(dialler, listener, beyond) }
    }

    pub(super) fn life_at(&self, end: End) -> Life {
        self.lives[end.index()]
    }

    pub(super) fn end_of(&self, life: Life) -> End {
        if self.lives[0] == life { End::Dialler } else { End::Listener }
    }

    /// Puts a message on its way to `at`. Returns when it arrives.
    pub(super) fn put(&mut self, at: End, lane: Lane, arrives: Duration, payload: P) -> Duration {
        let empty = || Way { queue: VecDeque::new(), last: Duration::ZERO, stalled: 0 };
        let way = self.lanes.entry((at, lane)).or_insert_with(empty);
        way.last = arrives.max(way.last + Duration::from_nanos(1)).max(self.stands_at);
        way.queue.push_back(payload);
        way.last
    }

    /// The next message that arrives at `at`.
    pub(super) fn take(&mut self, at: End, lane: Lane) -> Option<P> {
        self.lanes.get_mut(&(at, lane))?.queue.pop_front()
    }

    pub(super) fn stall(&mut self, at: End, lane: Lane) {
        if let Some(way) = self.lanes.get_mut(&(at, lane)) {
            way.stalled += 1;
        }
    }

    /// The lanes to `at` in which arrivals were held up, and how many; they are no longer.
    pub(super) fn released(&mut self, at: End) -> Vec<(Lane, usize)> {
        let lanes = self.lanes.iter_mut().filter(|((end, _), way)| *end == at && way.stalled > 0);
        lanes.map(|((_, lane), way)| (*lane, std::mem::take(&mut way.stalled))).collect()
    }

    /// Loses the end of what is on its way to `at`: what is kept was already in the receiver's kernel. Returns how many
    /// are lost and when the last of the others arrives.
    pub(super) fn lose_suffix(
        &mut self,
        at: End,
        chance: Option<&mut Chance>,
    ) -> (usize, Duration) {
        let (mut lost, mut last, mut chance) = (0, Duration::ZERO, chance);
        for ((end, _), way) in &mut self.lanes {
            if *end != at {
                continue;
            }
            let most = way.queue.len();
            let kept = chance.as_mut().map_or(0, |chance| chance.index(most + 1));
            way.queue.truncate(kept);
            lost += most - kept;
            if kept > 0 {
                last = last.max(way.last);
            }
        }
        (lost, last)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.lanes.values().map(|way| way.queue.len()).sum()
    }
}
