//! What a message must satisfy to travel, and the forms in which it reaches an actor.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::pid::Pid;
pub use crate::reply::Reply;

/// The three streams of a connection; a heartbeat never waits behind a large state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// The runtime's own: heartbeats, links, credit. No message of a user may claim it.
    Control,
    /// Everything that is not a stream of bytes.
    Normal,
    /// Streams of bytes that name their transfer.
    Bulk,
}

impl Lane {
    /// All of them, in order of their numbers on the wire.
    pub const ALL: [Self; 3] = [Self::Control, Self::Normal, Self::Bulk];

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Control => 0,
            Self::Normal => 1,
            Self::Bulk => 2,
        }
    }

    /// The word for it in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }
}

/// Ids by which a flow is found: of tasks, offers, frameworks, agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects(Vec<String>);

impl Subjects {
    /// More than this many say nothing about one message.
    const MOST: usize = 16;

    /// Adds an id; what exceeds the bound is left out.
    pub fn add(&mut self, subject: impl Into<String>) {
        if self.0.len() < Self::MOST {
            self.0.push(subject.into());
        }
    }

    /// The ids so far.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Whether there are none: the message is chatter.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A typed value that can be sent to a pid.
pub trait Message: Serialize + DeserializeOwned + Send + 'static {
    /// Its name on the wire: unique among what one actor accepts, never changed once released.
    const NAME: &'static str;
    /// The stream it travels on.
    const LANE: Lane = Lane::Normal;

    /// The version of the protocol that brought this variant; sending one newer than the peer settled on is an error.
    fn since(&self) -> u32 {
        1
    }

    /// The variant's name, for the recorder.
    fn label(&self) -> &'static str {
        Self::NAME
    }

    /// The ids this message is about.
    fn subjects(&self, _out: &mut Subjects) {}

    /// The same without what only its receiver may know, if it has any of that: a recording of payloads keeps this instead.
    fn without_secrets(&self) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

/// A message that expects one answer.
pub trait Question: Message {
    /// What answers it.
    type Answer: Message;
}

/// Who a message's connection authenticated as. Set by the runtime; a payload cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Principal {
    /// An actor of this very process.
    Local,
    /// A node that proved to know the cluster's secret.
    Cluster,
    /// A node on a cluster without a secret.
    Anonymous,
    /// A node that proved to know a secret which this one lent it. It speaks for its own actors alone, and reaches only
    /// those of this node that said so ([`crate::Accepts::from_lent`]).
    Lent,
}

/// A message, as it reaches an actor.
#[derive(Debug, PartialEq, Eq)]
pub struct Received<M> {
    /// The actor that sent it; `None` for what came from outside any actor.
    pub from: Option<Pid>,
    /// Who its connection authenticated as.
    pub principal: Principal,
    /// The message itself.
    pub message: M,
}

impl<M: 'static> actix::Message for Received<M> {
    type Result = ();
}

/// A question, as it reaches an actor.
#[derive(Debug)]
pub struct Asked<Q: Question> {
    /// The actor that asks.
    pub from: Option<Pid>,
    /// Who its connection authenticated as.
    pub principal: Principal,
    /// The question itself.
    pub question: Q,
    /// Takes the answer. Dropped unused, the asker hears [`crate::AskError::NoAnswer`].
    pub reply: Reply<Q::Answer>,
}

impl<Q: Question> actix::Message for Asked<Q> {
    type Result = ();
}

/// The end of a link: delivered exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    /// Whose end it is.
    pub pid: Pid,
    /// Why.
    pub reason: DownReason,
}

impl actix::Message for Down {
    type Result = ();
}

/// Why a link ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DownReason {
    /// The actor stopped.
    #[error("the actor stopped")]
    Stopped,
    /// The connection to its node, or to the node through which it was reached, ended.
    #[error("the connection was lost")]
    ConnectionLost,
    /// There was no way to it.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Its node lives and knows no such actor.
    #[error("no such actor")]
    NoSuchActor,
}

/// Bytes that are encoded in one piece, not one by one: the body of bulk messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl serde::de::Visitor<'_> for Whole {
            type Value = Blob;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Whole)
    }
}
