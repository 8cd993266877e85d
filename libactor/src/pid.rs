//! Addresses: nodes, pids (one life of one actor) and names (what people write).

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One OS process that hosts actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub(crate) u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One life of one actor; dead for ever once its process is.
///
/// `via` says through which listening node a third node reaches it. Whoever receives a pid of a node that does not
/// listen from that node writes itself in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid {
    pub(crate) life: Life,
    pub(crate) via: Option<SocketAddr>,
}

/// Set in the number of each node that listens.
const LISTENS: u64 = 1 << 63;

/// A node's number, of random bits.
pub(crate) fn number_of(drawn: u64, listens: bool) -> u64 {
    if listens { drawn | LISTENS } else { (drawn & !LISTENS).max(1) }
}

/// The part of a pid that says who it is, without the way there.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(crate) struct Life {
    pub(crate) node: u64,
    pub(crate) incarnation: u64,
    pub(crate) actor: u64,
}

impl Life {
    /// Nobody: what messages from outside any actor have as their sender.
    pub(crate) const NOBODY: Self = Self { node: 0, incarnation: 0, actor: 0 };

    pub(crate) fn is_nobody(self) -> bool {
        self.actor == 0
    }

    /// Whether its node listens. The way to such a one is its own address, so whoever else is met there has taken its place.
    pub(crate) fn listens(self) -> bool {
        self.node & LISTENS != 0
    }

    pub(crate) fn via(self, via: Option<SocketAddr>) -> Pid {
        Pid { life: self, via }
    }
}

impl Pid {
    /// The node that hosts the actor.
    pub fn node(&self) -> NodeId {
        NodeId(self.life.node)
    }

    /// Which life of that node.
    pub fn incarnation(&self) -> u64 {
        self.life.incarnation
    }

    /// The actor's number on its node.
    pub fn actor(&self) -> u64 {
        self.life.actor
    }

    /// The listening node through which it is reached.
    pub fn via(&self) -> Option<SocketAddr> {
        self.via
    }

    /// A pid that no node has, for tests of pure code.
    pub fn invented(node: u64, actor: u64) -> Self {
        Life { node, incarnation: 1, actor }.via(None)
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Life { node, incarnation, actor } = self.life;
        write!(f, "{actor}.{node:016x}.{incarnation:016x}")?;
        self.via.map_or(Ok(()), |via| write!(f, "@{via}"))
    }
}

impl Serialize for Pid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.life, self.via).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Pid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (life, via) = <(Life, Option<SocketAddr>)>::deserialize(deserializer)?;
        Ok(Self { life, via: via.or_else(|| crate::wire::way_of(life)) })
    }
}

/// What people write: `master@10.0.0.1:5050`. Resolved to a pid at each send.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// The actor's registered name.
    pub actor: String,
    /// `host:port`, IPv6 in brackets.
    pub at: String,
}

/// A name that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read {0:?} as an actor's name: it must be actor@host:port")]
pub struct BadName(String);

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName(text.to_owned());
        let (actor, at) = text.rsplit_once('@').ok_or_else(bad)?;
        let (host, port) = at.rsplit_once(':').ok_or_else(bad)?;
        let host_is_whole = !host.is_empty()
            && (!host.contains(':') || host.starts_with('[') && host.ends_with(']'));
        if actor.is_empty()
            || actor.len() > MAX_NAME
            || !host_is_whole
            || port.parse::<u16>().is_err()
        {
            return Err(bad());
        }
        Ok(Self { actor: actor.to_owned(), at: at.to_owned() })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.actor, self.at)
    }
}

/// Bytes a registered name may have: it travels in a header.
pub(crate) const MAX_NAME: usize = 255;

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Address {
    /// One life of one actor.
    Pid(Pid),
    /// Whoever bears the name when the message arrives.
    Name(Name),
}

impl From<Pid> for Address {
    fn from(pid: Pid) -> Self {
        Self::Pid(pid)
    }
}

impl From<&Pid> for Address {
    fn from(pid: &Pid) -> Self {
        Self::Pid(*pid)
    }
}

impl From<Name> for Address {
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

impl From<&Name> for Address {
    fn from(name: &Name) -> Self {
        Self::Name(name.clone())
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Self {
        address.clone()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => pid.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_whether_its_node_listens_and_is_never_none() {
        for drawn in [1, 77, LISTENS, u64::MAX] {
            for listens in [true, false] {
                let node = number_of(drawn, listens);
                assert_eq!(Life { node, incarnation: 1, actor: 1 }.listens(), listens);
                assert_ne!(node, 0);
            }
        }
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        for good in ["master@10.0.0.1:5050", "scheduler/kafka@[::1]:1", "a@b@host:80"] {
            assert_eq!(good.parse::<Name>().unwrap().to_string(), good);
        }
        for bad in ["", "master", "@h:1", "m@h", "m@:1", "m@::1:80", "m@h:99999"] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
