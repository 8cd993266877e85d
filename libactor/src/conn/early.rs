//! What was taken while the peer's version was unknown: once it is known, what needs a newer one goes, and nothing else.

use super::{Conn, LaneBuffer, Outgoing, Pair};
use crate::message::Lane;
use crate::wire::Kind;

/// One such message, in the order of its lane.
pub(super) struct Early {
    since: u32,
    /// Of its frames.
    bytes: usize,
    ask: Option<u64>,
    pair: Option<Pair>,
}

impl Early {
    pub(super) fn new<T>(message: &Outgoing<'_, T>, bytes: usize) -> Self {
        let ask = (message.kind == Kind::Ask).then_some(message.ask);
        Self { since: message.since, bytes, ask, pair: message.pair() }
    }
}

/// What was thrown away.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct TooNew {
    pub(crate) messages: u64,
    /// The asks among them, and which version each needs.
    pub(crate) asks: Vec<(u64, u32)>,
}

impl Conn {
    /// The peer speaks this version. To be called once `peer` says so too: from here on each sender looks there.
    pub(crate) fn settle(&self, speaks: u32) -> TooNew {
        let mut gone = TooNew::default();
        for lane in Lane::ALL {
            let mut lane = self.lane(lane);
            lane.settled = true;
            let early = std::mem::take(&mut lane.early);
            if early.iter().any(|one| one.since > speaks) {
                lane.keep(&early, speaks);
            }
            for Early { since, bytes, ask, pair } in early {
                if since <= speaks {
                    continue;
                }
                gone.messages += 1;
                gone.asks.extend(ask.map(|ask| (ask, since)));
                lane.messages = lane.messages.saturating_sub(1);
                lane.waiting = lane.waiting.saturating_sub(bytes);
                if let Some(pair) = pair {
                    lane.outstanding.give(pair, 1);
                }
            }
        }
        gone
    }
}

impl LaneBuffer {
    /// Keeps the frames of those messages that the peer understands. Nobody has fetched any yet.
    fn keep(&mut self, early: &[Early], speaks: u32) {
        let mut notes = early.iter();
        for frames in self.before.iter_mut().chain([&mut self.bytes]) {
            let (mut kept, mut at) = (Vec::new(), 0);
            while at < frames.len()
                && let Some(one) = notes.next()
            {
                let end = at + one.bytes;
                if one.since <= speaks {
                    kept.extend_from_slice(&frames[at..end]);
                }
                at = end;
            }
            *frames = kept;
        }
        self.before.retain(|frames| !frames.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::Bounds;
    use crate::conn::write::messages_in;
    use crate::error::TellError;
    use crate::flow::Head;
    use crate::message::{Blob, Principal};
    use crate::pid::Life;
    use crate::session::Peer;
    use crate::wire::{Header, next_frame};

    const TO: Life = Life { node: 1, incarnation: 1, actor: 1 };

    fn conn() -> Conn {
        let bounds = Bounds { message: 1 << 20, buffer: 4 << 20, window: 3, version: 2 };
        Conn::new(1, Life::NOBODY, None, bounds)
    }

    fn send(
        conn: &Conn,
        lane: Lane,
        (ask, since): (u64, u32),
        length: usize,
    ) -> Result<(), TellError> {
        let (kind, name, head, tag, to, label) = (Kind::Ask, "", Head::default(), 0, TO, "x");
        let value = &Blob(vec![9; length]);
        conn.send(&Outgoing { kind, lane, to, name, head, tag, ask, since, label, value })
    }

    /// The numbers of the messages that wait in a lane, in their order.
    fn waiting(conn: &Conn, lane: Lane) -> Vec<u64> {
        let lane = conn.lane(lane);
        let all = [lane.before.iter().flatten().copied().collect(), lane.bytes.clone()].concat();
        assert_eq!((all.len(), messages_in(&all)), (lane.waiting, lane.messages));
        let (mut rest, mut asks) = (&all[..], Vec::new());
        while let Some(frame) = next_frame(rest).unwrap() {
            if frame.first {
                asks.push(Header::read(&rest[frame.body.clone()], || 0).unwrap().0.ask);
            }
            rest = &rest[frame.body.end..];
        }
        asks
    }

    fn settle(conn: &Conn, version: u32) -> TooNew {
        let (advertise, window, principal) = (None, 3, Principal::Anonymous);
        let peer = Peer { node: 1, incarnation: 1, advertise, version, window, principal };
        conn.peer.set(peer).unwrap();
        conn.settle(version)
    }

    #[test]
    fn only_what_is_newer_than_the_peer_goes_and_the_rest_keeps_its_order() {
        let conn = conn();
        for (ask, since) in [(1, 1), (2, 2), (3, 1)] {
            send(&conn, Lane::Normal, (ask, since), 10).unwrap();
        }
        for (ask, since, length) in [(4, 2, 10), (5, 2, 200_000), (6, 1, 100_000)] {
            send(&conn, Lane::Bulk, (ask, since), length).unwrap();
        }
        assert_eq!(
            send(&conn, Lane::Normal, (7, 1), 10),
            Err(TellError::Full),
            "the window is used up"
        );
        let asks = vec![(2, 2), (4, 2), (5, 2)];
        assert_eq!(settle(&conn, 1), TooNew { messages: 3, asks });
        assert_eq!(waiting(&conn, Lane::Normal), [1, 3]);
        assert_eq!(waiting(&conn, Lane::Bulk), [6]);
        send(&conn, Lane::Normal, (8, 1), 10).unwrap();
        let late = send(&conn, Lane::Normal, (9, 2), 10);
        assert_eq!(late, Err(TellError::TooNew { needs: 2, speaks: 1 }));
        assert_eq!(waiting(&conn, Lane::Normal), [1, 3, 8]);
    }

    #[test]
    fn a_peer_that_is_as_new_gets_everything() {
        let conn = conn();
        for (ask, since) in [(1, 1), (2, 2)] {
            send(&conn, Lane::Normal, (ask, since), 10).unwrap();
        }
        assert_eq!(settle(&conn, 2), TooNew::default());
        assert_eq!(waiting(&conn, Lane::Normal), [1, 2]);
    }
}
