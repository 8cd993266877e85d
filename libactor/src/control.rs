//! What runtimes say to one another on the control lane. Append only.

use serde::{Deserialize, Serialize};

use crate::message::DownReason;
use crate::pid::Life;

/// One statement between two runtimes. The header's receiver says for which node it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Control {
    /// Sent in a fixed rhythm: the peer lives, and this is what it received on the normal and the bulk lane.
    Heartbeat { received: [u64; 2] },
    /// The peer closes the connection on purpose.
    Goodbye { why: String, received: [u64; 2] },
    /// `watcher` wants to hear of the receiver's end.
    Link { watcher: Life, target: Life },
    /// And no longer.
    Unlink { watcher: Life, target: Life },
    /// The end of `target`, for the receiver.
    Down { watcher: Life, target: Life, reason: DownReason },
    /// `receiver` has handled `handled` more messages of `sender` on that lane.
    Credit { sender: Life, receiver: Life, lane: u8, handled: u32 },
    /// A message of `sender` was dropped before it reached `receiver`.
    Undelivered { sender: Life, receiver: Life, why: DropReason },
    /// The ask of the header's number has no answer.
    Failed { error: Failure },
    /// Who bears the name? Answered by `Resolved` with the same number.
    Resolve { name: String },
    /// This actor, or none.
    Resolved { actor: Option<Life> },
    /// The relay lost its connection to that node.
    PeerLost { node: u64, incarnation: u64 },
}

/// Why an ask failed, on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    /// The question was dropped by its receiver.
    NoAnswer,
    /// The receiver is gone.
    Down(DownReason),
    /// The receiver's mailbox, or a buffer on the way, is full.
    Full,
    /// No route from the relay.
    Unreachable(String),
    /// Not understood or not accepted.
    Refused(String),
}

/// Why a message was dropped: the label of the metric, and what its sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DropReason {
    /// The receiver's mailbox was full.
    MailboxFull,
    /// The receiver, or the life of its node, has ended.
    Stale,
    /// The receiver stopped with the message in its mailbox.
    Stopped,
    /// The receiver does not accept messages of that type.
    NotAccepted,
    /// The payload is not of its type: a variant this version does not know, or damage.
    UnknownVariant,
    /// No way to the receiver: dialling failed, or a relay has no route.
    Unreachable,
    /// Still in the connection's buffer when it ended.
    ConnectionLost,
    /// Buffered while dialling a peer that turned out to be older.
    TooNew,
    /// The buffer of the connection to which it should have been relayed was full.
    RelayFull,
    /// An answer to an ask that nobody waits for any more.
    LateAnswer,
    /// Its peer had no right to it: another node's sender, or an answer to what was asked of another node.
    Stranger,
    /// Longer than the next connection on its way takes.
    TooLarge,
    /// Only those who know the cluster's secret may send it.
    NotAuthorized,
}

impl DropReason {
    /// All of them, in the order of the metric's samples.
    pub const ALL: [Self; 13] = [
        Self::MailboxFull,
        Self::Stale,
        Self::Stopped,
        Self::NotAccepted,
        Self::UnknownVariant,
        Self::Unreachable,
        Self::ConnectionLost,
        Self::TooNew,
        Self::RelayFull,
        Self::LateAnswer,
        Self::Stranger,
        Self::TooLarge,
        Self::NotAuthorized,
    ];

    /// Its word in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::MailboxFull => "mailbox_full",
            Self::Stale => "stale",
            Self::Stopped => "stopped",
            Self::NotAccepted => "not_accepted",
            Self::UnknownVariant => "unknown_variant",
            Self::Unreachable => "unreachable",
            Self::ConnectionLost => "connection_lost",
            Self::TooNew => "too_new",
            Self::RelayFull => "relay_full",
            Self::LateAnswer => "late_answer",
            Self::Stranger => "stranger",
            Self::TooLarge => "too_large",
            Self::NotAuthorized => "not_authorized",
        }
    }
}

#[cfg(test)]
mod tests;
