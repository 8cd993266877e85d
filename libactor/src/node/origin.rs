//! For whom a peer may speak: for itself, and, if it listens, for those behind it. Pure; what arrives is held against it.

use crate::conn::Conn;
use crate::control::Control;
use crate::pid::Life;
use crate::wire::Header;

/// The node whose message it is, as the runtime of that node. `None`: the peer has no right to bring it.
#[inline]
pub(super) fn of(conn: &Conn, me: Life, header: &Header<'_>) -> Option<Life> {
    let peer = conn.node();
    // Word by word: a copy would wait for what was just written.
    let sender = &header.head.sender;
    if sender.node == peer.node && sender.incarnation == peer.incarnation {
        return Some(peer);
    }
    not_of_peer(conn, me, header)
}

#[cold]
#[inline(never)]
fn not_of_peer(conn: &Conn, me: Life, header: &Header<'_>) -> Option<Life> {
    let listens = || conn.peer.get().is_some_and(|peer| peer.advertise.is_some());
    behind(conn.node(), me, header.head.sender, header.relayed, listens)
}

/// A sender that is not of the peer's life: nobody, which is the peer itself, or a node that the peer relays for. Only
/// who listens is asked to relay, and nobody brings back what this node said.
fn behind(
    peer: Life,
    me: Life,
    sender: Life,
    relayed: bool,
    listens: impl Fn() -> bool,
) -> Option<Life> {
    if sender.node == 0 {
        return (!relayed).then_some(peer);
    }
    let may = relayed && sender.node != me.node && sender.node != peer.node && listens();
    may.then_some(Life { actor: 0, ..sender })
}

/// Whether the runtime `origin` may say that over the connection to `peer`. Who may end an ask or a link is up to what is
/// kept of those.
pub(super) fn may_say(peer: Life, origin: Life, said: &Control) -> bool {
    let its = |life: &Life| life.node == origin.node && life.incarnation == origin.incarnation;
    match said {
        Control::Heartbeat { .. }
        | Control::Goodbye { .. }
        | Control::Resolve { .. }
        | Control::Resolved { .. }
        | Control::PeerLost { .. } => origin == peer,
        Control::Link { watcher, .. } | Control::Unlink { watcher, .. } => its(watcher),
        Control::Credit { receiver, .. } => its(receiver),
        Control::Down { .. } | Control::Undelivered { .. } | Control::Failed { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(node: u64) -> Life {
        Life { node, incarnation: node, actor: 0 }
    }

    fn actor(of: u64) -> Life {
        Life { actor: 7, ..node(of) }
    }

    const ME: u64 = 1;
    const PEER: u64 = 2;
    const FAR: u64 = 3;

    fn behind_peer(sender: Life, relayed: bool, listens: bool) -> Option<Life> {
        behind(node(PEER), node(ME), sender, relayed, || listens)
    }

    #[test]
    fn a_peer_speaks_for_itself_and_for_those_it_relays_for() {
        assert_eq!(behind_peer(Life::NOBODY, false, false), Some(node(PEER)));
        assert_eq!(behind_peer(actor(FAR), true, true), Some(node(FAR)));
    }

    #[test]
    fn a_peer_speaks_for_nobody_else() {
        assert_eq!(behind_peer(actor(FAR), false, true), None, "it was not relayed");
        assert_eq!(
            behind_peer(actor(FAR), true, false),
            None,
            "it listens nowhere, who would ask it"
        );
        assert_eq!(behind_peer(actor(ME), true, true), None, "this node's own words");
        assert_eq!(behind_peer(Life::NOBODY, true, true), None, "nobody is behind it");
        let former = Life { incarnation: 9, ..actor(PEER) };
        assert_eq!(behind_peer(former, true, true), None, "another life of the peer");
    }

    #[test]
    fn each_runtime_makes_its_own_statements() {
        let (watcher, target) = (actor(FAR), actor(ME));
        let link = Control::Link { watcher, target };
        assert!(may_say(node(PEER), node(FAR), &link));
        assert!(!may_say(node(PEER), node(PEER), &link), "a watcher of another node");
        let credit =
            Control::Credit { sender: actor(ME), receiver: actor(FAR), lane: 1, handled: 1 };
        assert!(may_say(node(PEER), node(FAR), &credit));
        assert!(!may_say(node(PEER), node(PEER), &credit), "credit of another node");
        let lost = Control::PeerLost { node: 9, incarnation: 9 };
        assert!(may_say(node(PEER), node(PEER), &lost));
        assert!(!may_say(node(PEER), node(FAR), &lost), "of the peer's own connections");
    }
}
