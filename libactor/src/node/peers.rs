//! The connections of a node, found by number, by the node at their other end, and by what was dialled.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::conn::Conn;
use crate::hash::IdMap;
use crate::pid::Life;

/// What the table says about the way to a node.
pub(super) enum Way {
    /// This connection leads to that life of it.
    Here(Arc<Conn>),
    /// There is a connection, but to another life.
    OtherLife,
    /// Nothing.
    None,
}

#[derive(Default)]
pub(super) struct Peers {
    by_number: IdMap<u64, Arc<Conn>>,
    /// Connections to a node, the oldest first: that one is used.
    by_node: IdMap<u64, Vec<u64>>,
    by_dialled: HashMap<String, u64>,
    /// For a connection: those to whose nodes it had messages relayed, and who will be told of its end.
    relays: HashMap<u64, HashSet<u64>>,
    /// Nodes that there were connections to.
    met: HashSet<u64>,
}

/// Nodes that are remembered at most once they are gone.
const MET_MAX: usize = 65_536;

impl Peers {
    pub(super) fn insert(&mut self, conn: &Arc<Conn>) {
        self.by_number.insert(conn.id, Arc::clone(conn));
        if let Some(dialled) = &conn.dialled {
            self.by_dialled.insert(dialled.clone(), conn.id);
        }
    }

    /// The handshake is over.
    pub(super) fn established(&mut self, conn: &Conn, node: u64) {
        self.by_node.entry(node).or_default().push(conn.id);
        if self.met.len() >= MET_MAX {
            let by_node = &self.by_node;
            self.met.retain(|node| by_node.contains_key(node));
        }
        self.met.insert(node);
    }

    /// Whether there is or was a connection to a node, of which it remembers many.
    pub(super) fn has_met(&self, node: u64) -> bool {
        self.met.contains(&node)
    }

    /// Who is to be told that `conn` is lost.
    pub(super) fn remove(&mut self, conn: &Conn) -> Vec<Arc<Conn>> {
        self.by_number.remove(&conn.id);
        if let Some(dialled) = &conn.dialled
            && self.by_dialled.get(dialled) == Some(&conn.id)
        {
            self.by_dialled.remove(dialled);
        }
        if let Some(peer) = conn.peer.get()
            && let Some(conns) = self.by_node.get_mut(&peer.node)
        {
            conns.retain(|id| *id != conn.id);
            if conns.is_empty() {
                self.by_node.remove(&peer.node);
            }
        }
        let partners = self.relays.remove(&conn.id).unwrap_or_default();
        for partner in &partners {
            if let Some(theirs) = self.relays.get_mut(partner) {
                theirs.remove(&conn.id);
            }
        }
        partners.iter().filter_map(|id| self.by_number.get(id)).cloned().collect()
    }

    pub(super) fn by_id(&self, id: u64) -> Option<Arc<Conn>> {
        self.by_number.get(&id).cloned()
    }

    pub(super) fn way_to(&self, to: Life) -> Way {
        let Some(conns) = self.by_node.get(&to.node) else {
            return Way::None;
        };
        let mut known = conns.iter().filter_map(|id| self.by_number.get(id));
        let right = |conn: &&Arc<Conn>| {
            conn.peer.get().is_some_and(|peer| peer.incarnation == to.incarnation)
        };
        known.find(right).map_or(Way::OtherLife, |conn| Way::Here(Arc::clone(conn)))
    }

    /// The connection to what was dialled; once its peer is known, the one that all messages to that node take.
    pub(super) fn dialled(&self, at: &str) -> Option<Arc<Conn>> {
        let conn = self.by_number.get(self.by_dialled.get(at)?)?;
        let first = conn.peer.get().and_then(|peer| self.by_node.get(&peer.node)?.first());
        Some(Arc::clone(first.and_then(|id| self.by_number.get(id)).unwrap_or(conn)))
    }

    /// The nodes behind two connections talk through this one.
    pub(super) fn relayed(&mut self, one: u64, other: u64) {
        if self.relays.entry(one).or_default().insert(other) {
            self.relays.entry(other).or_default().insert(one);
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Conn>> {
        self.by_number.values()
    }

    pub(super) fn count(&self) -> usize {
        self.by_number.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }
}
