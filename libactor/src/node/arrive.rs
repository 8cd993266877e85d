//! What arrives over a connection: delivered here, relayed one hop, or dropped with a reason and word to its sender.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::asks::Outcome;
use super::peers::Way;
use super::{Node, lent, lock, origin};
use crate::cell::Arrival;
use crate::conn::{Conn, Windows};
use crate::control::{Control, DropReason, Failure};
use crate::error::{AskError, TellError};
use crate::flow;
use crate::mailbox::one_more;
use crate::message::{DownReason, Lane, Principal};
use crate::pid::Life;
use crate::recorder::{Record, What};
use crate::reply::Remote;
use crate::wire::{self, Header, Kind, WireError};

impl Node {
    /// One whole message. An error breaks the connection; everything else is counted and survived.
    pub(crate) fn arrived(
        &self,
        conn: &Arc<Conn>,
        lane: Lane,
        message: &[u8],
        windows: &mut Windows,
    ) -> Result<(), WireError> {
        let (header, payload) = match Header::read(message, || flow::ms_of(flow::stamp())) {
            // Its bytes were read just now, and that was stamped.
            Ok(read) => read,
            Err(WireError::UnknownKind(_)) => {
                if lane != Lane::Control {
                    self.0.counters.dropped(DropReason::UnknownVariant, 1);
                }
                return Ok(());
            }
            Err(error) => return Err(self.broken(lane, error)),
        };
        if (header.kind == Kind::Control) != (lane == Lane::Control) {
            let error = WireError::WrongLane { kind: header.kind, lane: lane.word() };
            return Err(self.broken(lane, error));
        }
        let Some(origin) = origin::of(conn, self.0.life, &header) else {
            self.refuse_stranger(conn, &header);
            return Ok(());
        };
        if header.to.node != 0 && header.to.node != self.0.life.node {
            self.relay(conn, lane, &header, message);
            return Ok(());
        }
        match header.kind {
            Kind::Control => self.hear(conn, origin, &header, payload),
            Kind::Answer => {
                let sender = sender_or_node(conn, header.head.sender);
                let from = windows.answerer(sender.node, || self.way_behind(conn, sender));
                let by = (&**conn, origin);
                let heard = wire::coming_from(from, || {
                    self.outcome(by, header.ask, Outcome::Answer(payload))
                });
                match heard {
                    Ok(()) => self.0.counters.answer_delivered(),
                    Err(why) => self.0.counters.dropped(why, 1),
                }
            }
            Kind::Tell | Kind::Ask => {
                if let Err(why) = self.deliver(conn, lane, &header, payload, windows) {
                    self.drop_arrived(conn, lane, &header, why);
                }
            }
        }
        Ok(())
    }

    /// A message that ends its connection: it was received, so it is accounted for.
    fn broken(&self, lane: Lane, error: WireError) -> WireError {
        if lane != Lane::Control {
            self.0.counters.dropped(DropReason::UnknownVariant, 1);
        }
        error
    }

    /// What a peer brought without a right to it goes no further, and the peer is told.
    fn refuse_stranger(&self, conn: &Conn, header: &Header<'_>) {
        let (peer, sender, receiver) = (conn.node(), header.head.sender, header.to);
        // Counted, and at the peer's pace: no warning for each.
        tracing::debug!(peer = %conn.peer_name(), ?sender, kind = ?header.kind, "not the peer's to send: refused");
        let why = DropReason::Stranger;
        match header.kind {
            Kind::Control => {
                self.0.counters.statements_refused.fetch_add(1, Relaxed);
                return;
            }
            Kind::Ask => {
                let error = Failure::Refused("the sender is not of the peer's node".to_owned());
                conn.control(peer, header.ask, &Control::Failed { error });
            }
            Kind::Tell | Kind::Answer => {
                conn.control(peer, 0, &Control::Undelivered { sender, receiver, why });
            }
        }
        self.0.counters.dropped(why, 1);
    }

    fn deliver(
        &self,
        conn: &Arc<Conn>,
        lane: Lane,
        header: &Header<'_>,
        payload: &[u8],
        windows: &mut Windows,
    ) -> Result<(), DropReason> {
        let peer;
        // Not copied, which would wait for what was just written.
        let sender = if header.head.sender.node != 0 {
            &header.head.sender
        } else {
            peer = sender_or_node(conn, Life::NOBODY);
            &peer
        };
        let principal = conn.peer.get().map_or(Principal::Anonymous, |peer| peer.principal);
        let anonymous = principal == Principal::Anonymous;
        let mut arrival = Arrival {
            payload,
            from: None,
            principal,
            here: anonymous && !header.relayed && conn.is_here(),
            head: &header.head,
            credit: None,
            reply: None,
        };
        let windowed = header.name.is_empty() && header.to.incarnation == self.0.life.incarnation;
        let reply = |asked| {
            (header.kind == Kind::Ask)
                .then(|| Remote::new(self.clone(), Arc::clone(conn), *sender, asked, header.ask))
        };
        if windowed {
            let pair = (sender, &header.to, lane);
            let pair = windows.pair(conn, pair, || self.way_behind(conn, *sender));
            // Claimed first: a message that is dropped gives its credit back too.
            arrival.credit = pair.claim();
            arrival.from = pair.sender;
            let from = pair.from;
            let entry = pair.receiver(|| self.actor(header.to.actor)).ok_or(DropReason::Stale)?;
            arrival.reply = reply(entry.meta.pid.life);
            wire::coming_from(&from, || entry.arrive(header.tag, &mut arrival))?;
        } else {
            let named = if header.name.is_empty() { None } else { self.named(header.name) };
            let entry = named.ok_or(DropReason::Stale)?;
            let from = wire::From::new(sender.node, self.way_behind(conn, *sender));
            arrival.from = (!sender.is_nobody()).then(|| sender.via(from.way));
            arrival.reply = reply(entry.meta.pid.life);
            wire::coming_from(&from, || entry.arrive(header.tag, &mut arrival))?;
        }
        one_more(&conn.entered);
        Ok(())
    }

    /// How a third node reaches an actor from which this connection brings something.
    pub(super) fn way_behind(&self, conn: &Conn, life: Life) -> Option<SocketAddr> {
        let peer = conn.peer.get()?;
        if peer.node == life.node {
            peer.advertise.or(self.0.advertise).or_else(|| conn.way.get().copied())
        } else {
            conn.way.get().copied().or(peer.advertise)
        }
    }

    /// A message is dropped before it reached an actor: counted, and its sender is told.
    fn drop_arrived(&self, conn: &Arc<Conn>, lane: Lane, header: &Header<'_>, why: DropReason) {
        self.book_drop(lane, header, why);
        tracing::debug!(reason = why.word(), to = ?header.to, name = header.name, "a message is dropped");
        let sender = sender_or_node(conn, header.head.sender);
        if header.kind == Kind::Ask {
            // What decoded the question has already told its asker.
            if why == DropReason::Stale {
                let error = Failure::Down(DownReason::NoSuchActor);
                conn.control(sender, header.ask, &Control::Failed { error });
            }
            return;
        }
        let receiver = header.to;
        conn.control(sender, 0, &Control::Undelivered { sender, receiver, why });
    }

    /// Counts a drop, and shows it to who looks at the message's flow.
    fn book_drop(&self, lane: Lane, header: &Header<'_>, why: DropReason) {
        self.0.counters.dropped(why, 1);
        let now = flow::stamp();
        let shown = (why.word(), Some(lane));
        let record = Record::new(&header.head, What::Dropped, header.to, shown, [now; 3]);
        self.0.recorder.chatter(record);
    }

    /// Whether a node that nobody here has met listened where this one does now: the way to one that listens is its own address,
    /// or that of a relay, which has met it.
    pub(super) fn took_place_of(&self, life: Life) -> bool {
        life.listens() && !lock(&self.0.peers).has_met(life.node)
    }

    /// For another node: passed on if this one has a connection to it and it has not been passed on before.
    fn relay(&self, from: &Arc<Conn>, lane: Lane, header: &Header<'_>, message: &[u8]) {
        let passes = !header.relayed && lent::may_be_relayed(from);
        let way = lock(&self.0.peers).way_to(header.to);
        let way = match way {
            // Its sender dialled the place where that node listened, and has met this one.
            Way::None if !header.relayed && self.took_place_of(header.to) => Way::OtherLife,
            Way::OtherLife if passes => Way::OtherLife,
            Way::Here(to) if passes && lent::may_be_relayed(&to) => Way::Here(to),
            Way::Here(_) | Way::OtherLife | Way::None => Way::None,
        };
        let no_route = || "no route from the relay".to_owned();
        let route = || Failure::Unreachable(no_route());
        let (why, error, to) = match way {
            Way::Here(to) => {
                lock(&self.0.peers).relayed(from.id, to.id);
                match to.relay(lane, message) {
                    Ok(()) => return,
                    Err(TellError::Full) => (DropReason::RelayFull, Failure::Full, Some(to)),
                    Err(error @ TellError::TooLarge { .. }) => {
                        (DropReason::TooLarge, Failure::Refused(error.to_string()), Some(to))
                    }
                    Err(_) => (DropReason::Unreachable, route(), None),
                }
            }
            Way::OtherLife => (DropReason::Stale, Failure::Down(DownReason::NoSuchActor), None),
            Way::None => (DropReason::Unreachable, route(), None),
        };
        if header.kind != Kind::Control {
            self.book_drop(lane, header, why);
        }
        let (sender, receiver) = (sender_or_node(from, header.head.sender), header.to);
        match header.kind {
            Kind::Ask => from.control(sender, header.ask, &Control::Failed { error }),
            Kind::Tell => from.control(sender, 0, &Control::Undelivered { sender, receiver, why }),
            Kind::Answer => {
                from.control(sender, 0, &Control::Undelivered { sender, receiver, why });
                // Who asked is still there: it would wait until its deadline.
                if let Some(to) = to {
                    to.control(receiver, header.ask, &Control::Failed { error });
                }
            }
            Kind::Control => {
                let payload = message.get(wire::MESSAGE_HEADER..).unwrap_or_default();
                if let Ok(Control::Link { watcher, target }) = wire::decode(payload) {
                    let reason = match error {
                        Failure::Down(reason) => reason,
                        Failure::NoAnswer
                        | Failure::Full
                        | Failure::Unreachable(_)
                        | Failure::Refused(_) => DownReason::Unreachable(no_route()),
                    };
                    from.control(watcher, 0, &Control::Down { watcher, target, reason });
                }
            }
        }
    }

    fn hear_undelivered(&self, conn: &Conn, (sender, receiver): (Life, Life), why: DropReason) {
        self.0.counters.undelivered(why);
        tracing::debug!(reason = why.word(), ?sender, ?receiver, "a peer dropped a message");
        if matches!(why, DropReason::Stale | DropReason::Unreachable) {
            // It reached no window, so nobody gives credit back: else its sender heard `Full` in the end, and never why.
            for lane in [Lane::Normal, Lane::Bulk] {
                conn.credit(lane, sender.actor, receiver, 1);
            }
        }
    }

    /// The other runtime says something, or one behind it does.
    fn hear(&self, conn: &Arc<Conn>, origin: Life, header: &Header<'_>, payload: &[u8]) {
        let Ok(said) = wire::decode::<Control>(payload) else {
            tracing::debug!(
                peer = conn.peer_name(),
                "a statement of the runtime that this version does not know"
            );
            return;
        };
        if !origin::may_say(conn.node(), origin, &said) {
            return self.refuse_stranger(conn, header);
        }
        let by = (&**conn, origin);
        match said {
            Control::Heartbeat { received } => conn.confirm(received),
            Control::Goodbye { why, received } => {
                conn.confirm(received);
                conn.close(&format!("the peer said goodbye: {why}"));
            }
            Control::Link { watcher, target } => self.watched(conn, watcher, target),
            Control::Unlink { watcher, target } => self.unwatched(watcher, target),
            Control::Down { watcher, target, reason } => {
                if !self.hear_down(by, watcher, target, reason) {
                    self.refuse_stranger(conn, header);
                }
            }
            Control::Credit { sender, receiver, lane, handled } => {
                if let Some(lane) = Lane::ALL.get(usize::from(lane)) {
                    conn.credit(*lane, sender.actor, receiver, handled);
                }
            }
            Control::Undelivered { sender, receiver, why } => {
                self.hear_undelivered(conn, (sender, receiver), why);
            }
            Control::Failed { error } => {
                self.hear_outcome(by, header, Outcome::Failed(error.into()));
            }
            Control::Resolve { name } => {
                let actor = self.local(&name).map(|pid| pid.life);
                conn.control(Life::NOBODY, header.ask, &Control::Resolved { actor });
            }
            Control::Resolved { actor } => {
                self.hear_outcome(by, header, Outcome::Resolved(actor));
            }
            Control::PeerLost { node, incarnation } => {
                self.links_behind(conn, node, incarnation);
                let lost = AskError::Down(DownReason::ConnectionLost);
                self.fail_pending(conn, &lost, |to| {
                    to.node == node && to.incarnation == incarnation
                });
            }
        }
    }

    fn hear_outcome(&self, by: (&Conn, Life), header: &Header<'_>, outcome: Outcome<'_>) {
        // That nobody waits any more is no news: it was given up, or has failed already.
        if self.outcome(by, header.ask, outcome) == Err(DropReason::Stranger) {
            self.refuse_stranger(by.0, header);
        }
    }
}

/// The sender of a message, or the runtime of the node whose connection brought it.
fn sender_or_node(conn: &Conn, sender: Life) -> Life {
    if sender.node != 0 {
        return sender;
    }
    conn.node()
}
