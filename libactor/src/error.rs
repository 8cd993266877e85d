//! What can go wrong when a node is started, an actor spawned or a message sent.

use std::io;
use std::net::SocketAddr;

use crate::message::DownReason;

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TellError {
    /// The receiver's mailbox, its window of credit, or the connection's buffer is full.
    #[error("the receiver is full")]
    Full,
    /// Larger than a message may be.
    #[error("a message of more than {limit} bytes")]
    TooLarge {
        /// The limit it broke.
        limit: usize,
    },
    /// The peer speaks an older version of the protocol.
    #[error("the message needs version {needs} of the protocol, the peer speaks {speaks}")]
    TooNew {
        /// The version that brought the message.
        needs: u32,
        /// The version settled with the peer.
        speaks: u32,
    },
    /// There is no way to the receiver.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The receiver has stopped.
    #[error("the receiver has stopped")]
    Stopped,
    /// The receiver does not accept messages of this type.
    #[error("the receiver does not accept {0}")]
    NotAccepted(&'static str),
    /// The message cannot be written as bytes.
    #[error("encode {0}")]
    Encode(&'static str),
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No answer came in time.
    #[error("no answer before the deadline")]
    Deadline,
    /// The receiver ended before it answered.
    #[error("the receiver is down: {0}")]
    Down(DownReason),
    /// There is no way to the receiver.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The receiver dropped the question.
    #[error("the receiver did not answer")]
    NoAnswer,
    /// The receiver's mailbox or a buffer on the way is full.
    #[error("the receiver is full")]
    Full,
    /// The question or its answer could not be sent or understood.
    #[error("refused: {0}")]
    Refused(String),
}

impl From<TellError> for AskError {
    fn from(error: TellError) -> Self {
        match error {
            TellError::Full => Self::Full,
            TellError::Unreachable(why) => Self::Unreachable(why),
            TellError::Stopped => Self::Down(DownReason::Stopped),
            TellError::TooLarge { .. }
            | TellError::TooNew { .. }
            | TellError::NotAccepted(_)
            | TellError::Encode(_) => Self::Refused(error.to_string()),
        }
    }
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address to listen on cannot be had.
    #[error("listen on {address}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// A thread or runtime could not be started.
    #[error("start the node's threads")]
    Threads(#[source] io::Error),
    /// The work directory cannot be written.
    #[error("open the recording {path}")]
    Recording {
        /// The ring file.
        path: std::path::PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel gave no random bytes.
    #[error("draw random bytes: {0}")]
    Random(String),
}

/// Why an actor was not spawned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// Another actor of this node has the name.
    #[error("spawn an actor named {0:?}: the name is taken on this node")]
    NameTaken(String),
    /// Names are short and not empty.
    #[error("spawn an actor named {0:?}: a name has 1 to 255 bytes")]
    BadName(String),
    /// The node is shutting down.
    #[error("spawn an actor: the node is shutting down")]
    ShuttingDown,
    /// Two accepted types have one name on the wire.
    #[error("spawn an actor: it accepts two types named {0:?}")]
    TwoTypes(&'static str),
    /// A thread of its own could not be started for a pinned actor.
    #[error("spawn an actor: start a thread of its own: {0}")]
    Thread(String),
}
