//! What a node counts. At rest: accepted + received = delivered + handed over + dropped + queued, exactly.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::control::DropReason;

/// Why a connection was refused or not made: the label of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// Not the actor protocol, and nobody else wanted it.
    NotOurs,
    /// It said nothing, or too little, in time.
    Silent,
    /// A handshake that cannot be read.
    Garbled,
    /// No common version.
    Version,
    /// A missing or a wrong secret.
    Secret,
    /// The peer refused.
    ByPeer,
    /// More connections than allowed.
    TooMany,
    /// Dialling failed.
    Dial,
}

impl RefusalKind {
    /// All of them, in the order of the metric's samples.
    pub const ALL: [Self; 8] = [
        Self::NotOurs,
        Self::Silent,
        Self::Garbled,
        Self::Version,
        Self::Secret,
        Self::ByPeer,
        Self::TooMany,
        Self::Dial,
    ];

    /// Its word in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::Silent => "silent",
            Self::Garbled => "garbled",
            Self::Version => "version",
            Self::Secret => "secret",
            Self::ByPeer => "by_peer",
            Self::TooMany => "too_many",
            Self::Dial => "dial",
        }
    }
}

/// Why this node ended a connection that stood, for what its peer did: the label of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutKind {
    /// Frames or messages that break the protocol.
    Protocol,
    /// It left in the middle of a frame.
    Truncated,
    /// Nothing came from it, not even a heartbeat.
    Silent,
    /// It did not read, or an actor of it took nothing: it stayed full.
    Full,
}

impl CutKind {
    /// All of them, in the order of the metric's samples.
    pub const ALL: [Self; 4] = [Self::Protocol, Self::Truncated, Self::Silent, Self::Full];

    /// Its word in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Protocol => "protocol",
            Self::Truncated => "truncated",
            Self::Silent => "silent",
            Self::Full => "full",
        }
    }
}

/// The counters that belong to no single actor or connection.
#[derive(Default)]
pub(crate) struct Counters {
    answers_delivered: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    undelivered: [AtomicU64; DropReason::ALL.len()],
    refused: [AtomicU64; RefusalKind::ALL.len()],
    cut: [AtomicU64; CutKind::ALL.len()],
    /// Of connections that have ended.
    pub(crate) accepted: AtomicU64,
    pub(crate) handed: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) entered: AtomicU64,
    pub(crate) confirmed: AtomicU64,
    pub(crate) unconfirmed: AtomicU64,
    pub(crate) opened: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
    pub(crate) statements_refused: AtomicU64,
    pub(crate) links_refused: AtomicU64,
    pub(crate) slow_handlers: AtomicU64,
    pub(crate) growing_mailboxes: AtomicU64,
    pub(crate) clock_jumps: AtomicU64,
    /// Of actors that have ended and are forgotten.
    pub(crate) enqueued: AtomicU64,
    pub(crate) handled: AtomicU64,
}

impl Counters {
    pub(crate) fn answer_delivered(&self) {
        self.answers_delivered.fetch_add(1, Relaxed);
    }

    pub(crate) fn dropped(&self, why: DropReason, count: u64) {
        self.dropped[why as usize].fetch_add(count, Relaxed);
    }

    /// A peer dropped what this node had sent.
    pub(crate) fn undelivered(&self, why: DropReason) {
        self.undelivered[why as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self, kind: RefusalKind) {
        self.refused[kind as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn cut(&self, kind: CutKind) {
        self.cut[kind as usize].fetch_add(1, Relaxed);
    }
}

/// What actors and connections add to the counters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Living {
    pub(crate) actors: u64,
    pub(crate) connections: u64,
    pub(crate) enqueued: u64,
    pub(crate) handled: u64,
    pub(crate) in_mailboxes: u64,
    pub(crate) in_buffers: u64,
    pub(crate) lost_in_mailboxes: u64,
    /// Encoded for peers.
    pub(crate) accepted: u64,
    pub(crate) handed: u64,
    pub(crate) confirmed: u64,
    pub(crate) received: u64,
    /// Of what was received, what entered a mailbox.
    pub(crate) entered: u64,
}

/// A node's counts at one moment. While messages move, the moment differs a little from field to field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Taken from local senders: for local mailboxes and for the wire.
    pub accepted: u64,
    /// Received over the wire.
    pub received: u64,
    /// Handled by an actor, or handed to who asked.
    pub delivered: u64,
    /// Handed to the kernel for a peer.
    pub handed: u64,
    /// Of that, what the peer has said that it received.
    pub confirmed: u64,
    /// Handed over and not confirmed when the connection ended.
    pub unconfirmed: u64,
    /// Dropped, by reason.
    pub dropped: Vec<(DropReason, u64)>,
    /// Dropped by a peer after this node had sent it, by reason.
    pub undelivered: Vec<(DropReason, u64)>,
    /// In mailboxes and in buffers of connections.
    pub queued: u64,
    /// Connections refused, by reason.
    pub refused: Vec<(RefusalKind, u64)>,
    /// Connections that stood and that this node ended for what the peer did, by reason.
    pub cut: Vec<(CutKind, u64)>,
    /// Actors alive.
    pub actors: u64,
    /// Connections that stand.
    pub connections: u64,
    /// Connections that ever stood.
    pub opened: u64,
    /// Connections that ended.
    pub lost: u64,
    /// Times that the kernel gave no connection, for want of file descriptors above all.
    pub accept_errors: u64,
    /// What peers' runtimes said and had no right to say.
    pub statements_refused: u64,
    /// Links of peers for which there was no room.
    pub links_refused: u64,
    /// Handlers that ran too long.
    pub slow_handlers: u64,
    /// Mailboxes that only grew.
    pub growing_mailboxes: u64,
    /// Times that the wall clock jumped.
    pub clock_jumps: u64,
}

impl Metrics {
    pub(crate) fn new(counters: &Counters, living: Living) -> Self {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        let by_reason = |counts: &[AtomicU64; DropReason::ALL.len()]| {
            DropReason::ALL
                .iter()
                .zip(counts)
                .map(|(why, count)| (*why, of(count)))
                .collect::<Vec<_>>()
        };
        let mut dropped = by_reason(&counters.dropped);
        for (why, count) in &mut dropped {
            if *why == DropReason::Stopped {
                *count += living.lost_in_mailboxes;
            }
        }
        let from_wire = of(&counters.entered) + living.entered;
        let enqueued = of(&counters.enqueued) + living.enqueued;
        Self {
            accepted: enqueued.saturating_sub(from_wire) + of(&counters.accepted) + living.accepted,
            received: of(&counters.received) + living.received,
            delivered: of(&counters.handled) + living.handled + of(&counters.answers_delivered),
            handed: of(&counters.handed) + living.handed,
            confirmed: of(&counters.confirmed) + living.confirmed,
            unconfirmed: of(&counters.unconfirmed),
            dropped,
            undelivered: by_reason(&counters.undelivered),
            queued: living.in_mailboxes + living.in_buffers,
            refused: RefusalKind::ALL
                .iter()
                .zip(&counters.refused)
                .map(|(kind, count)| (*kind, of(count)))
                .collect(),
            cut: CutKind::ALL
                .iter()
                .zip(&counters.cut)
                .map(|(kind, count)| (*kind, of(count)))
                .collect(),
            actors: living.actors,
            connections: living.connections,
            opened: of(&counters.opened),
            lost: of(&counters.lost),
            accept_errors: of(&counters.accept_errors),
            statements_refused: of(&counters.statements_refused),
            links_refused: of(&counters.links_refused),
            slow_handlers: of(&counters.slow_handlers),
            growing_mailboxes: of(&counters.growing_mailboxes),
            clock_jumps: of(&counters.clock_jumps),
        }
    }

    /// Dropped for one reason.
    pub fn dropped_for(&self, reason: DropReason) -> u64 {
        self.dropped.iter().find(|(why, _)| *why == reason).map_or(0, |(_, count)| *count)
    }

    /// Dropped for any reason.
    pub fn dropped_all(&self) -> u64 {
        self.dropped.iter().map(|(_, count)| count).sum()
    }

    /// Refused for one reason.
    pub fn refused_for(&self, kind: RefusalKind) -> u64 {
        self.refused.iter().find(|(why, _)| *why == kind).map_or(0, |(_, count)| *count)
    }

    /// Cut for one reason.
    pub fn cut_for(&self, kind: CutKind) -> u64 {
        self.cut.iter().find(|(why, _)| *why == kind).map_or(0, |(_, count)| *count)
    }

    /// What went in and what became of it; equal at rest.
    pub fn balance(&self) -> (u64, u64) {
        (
            self.accepted + self.received,
            self.delivered + self.handed + self.dropped_all() + self.queued,
        )
    }

    /// The text form of Prometheus.
    pub fn prometheus(&self) -> String {
        let mut out = String::with_capacity(4096);
        for (name, help, value) in [
            ("messages_accepted_total", "Taken from local senders.", self.accepted),
            ("messages_received_total", "Received over the wire.", self.received),
            ("messages_delivered_total", "Handled by an actor or an asker.", self.delivered),
            ("messages_handed_total", "Handed to the kernel for a peer.", self.handed),
            ("messages_confirmed_total", "Handed over, and confirmed since.", self.confirmed),
            ("messages_unconfirmed_total", "Handed over, never confirmed.", self.unconfirmed),
            ("messages_queued", "In mailboxes and buffers.", self.queued),
            ("actors", "Actors alive.", self.actors),
            ("connections", "Connections that stand.", self.connections),
            ("connections_opened_total", "Connections that ever stood.", self.opened),
            ("connections_lost_total", "Connections that ended.", self.lost),
            ("accept_errors_total", "Times the kernel gave no connection.", self.accept_errors),
            (
                "statements_refused_total",
                "Said by a peer's runtime without a right to it.",
                self.statements_refused,
            ),
            ("links_refused_total", "Links of peers without room.", self.links_refused),
            ("slow_handlers_total", "Handlers that ran too long.", self.slow_handlers),
            ("growing_mailboxes_total", "Mailboxes that only grew.", self.growing_mailboxes),
            ("clock_jumps_total", "Times the wall clock jumped.", self.clock_jumps),
        ] {
            family(&mut out, name, help, [("", value)]);
        }
        let words = |counts: &[(DropReason, u64)]| -> Vec<_> {
            counts.iter().map(|(why, count)| (why.word(), *count)).collect()
        };
        let refused = self.refused.iter().map(|(kind, count)| (kind.word(), *count));
        family(&mut out, "messages_dropped_total", "Dropped here.", words(&self.dropped));
        family(
            &mut out,
            "messages_undelivered_total",
            "Dropped by a peer.",
            words(&self.undelivered),
        );
        family(&mut out, "connections_refused_total", "Refused or not made.", refused);
        let cut = self.cut.iter().map(|(kind, count)| (kind.word(), *count));
        family(&mut out, "connections_cut_total", "Ended for what the peer did.", cut);
        out
    }
}

/// One metric with its samples, by reason if there are reasons.
fn family<'a>(
    out: &mut String,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (&'a str, u64)>,
) {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# HELP libactor_{name} {help}\n# TYPE libactor_{name} {kind}");
    for (reason, value) in samples {
        let _ = match reason {
            "" => writeln!(out, "libactor_{name} {value}"),
            reason => writeln!(out, "libactor_{name}{{reason=\"{reason}\"}} {value}"),
        };
    }
}
