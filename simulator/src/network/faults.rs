//! What goes wrong on the network: connections break, processes die and freeze, machines lose sight of each other.

use std::time::Duration;

use super::connection::{ConnectionId, End};
use super::{Brought, Drop, Happening, Host, Life, Network, SILENCE};

const BOTH: [End; 2] = [End::Dialler, End::Listener];

impl<P> Network<P> {
    /// A process has died. `quietly` is how a machine dies: nobody is told, its peers find out by its silence.
    pub fn died(&mut self, now: Duration, life: Life, quietly: bool) {
        self.links.retain(|(watcher, _), _| *watcher != life);
        for id in self.open_at(life) {
            let at = self.connections[&id].end_of(life);
            self.shut(id, at);
            self.cut(now, id, Some(at.other()), !quietly);
            self.forget_if_over(id);
        }
        self.up.remove(&life);
    }

    /// A connection between these two breaks, if there is one.
    pub fn break_between(&mut self, now: Duration, one: Life, other: Life) {
        let ids = self.routes.get(&(one, other)).cloned().unwrap_or_default();
        for id in ids {
            self.cut(now, id, None, true);
        }
    }

    /// From now on nothing comes from `from` to `to`.
    pub fn block(&mut self, now: Duration, from: Host, to: Host) {
        self.blocked.entry((from, to)).or_insert(now);
        for (id, connection) in &self.connections {
            for at in BOTH {
                let (there, here) = (connection.life_at(at.other()), connection.life_at(at));
                let hosts = (self.up.get(&there), self.up.get(&here));
                if let (Some(there), Some(here)) = hosts
                    && (there.host, here.host) == (from, to)
                    && connection.open[at.index()]
                {
                    self.due.push((now + SILENCE, Happening::Listen { connection: *id, at }));
                }
            }
        }
    }

    /// All partitions are over; what was held up and not given up arrives.
    pub fn heal(&mut self, now: Duration) {
        self.blocked.clear();
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            for at in BOTH {
                self.release(now, id, at);
            }
        }
    }

    /// One way is open again.
    pub fn unblock(&mut self, now: Duration, from: Host, to: Host) {
        if self.blocked.remove(&(from, to)).is_none() {
            return;
        }
        let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
        for id in ids {
            for at in BOTH {
                let connection = &self.connections[&id];
                let (there, here) = (connection.life_at(at.other()), connection.life_at(at));
                if !self.is_blocked(there, here) {
                    self.release(now, id, at);
                }
            }
        }
    }

    fn release(&mut self, now: Duration, id: ConnectionId, at: End) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        for (lane, count) in connection.released(at) {
            for n in 0..u32::try_from(count).unwrap_or(u32::MAX) {
                let arrives = now + Duration::from_millis(1) + Duration::from_micros(1) * n;
                self.due.push((arrives, Happening::Arrive { connection: id, at, lane }));
            }
        }
    }

    /// A process stands still: nothing is heard of it. It knows nothing of that.
    pub fn froze(&mut self, now: Duration, life: Life) {
        if let Some(up) = self.up.get_mut(&life) {
            up.frozen = Some(now);
        }
        for id in self.open_at(life) {
            let at = self.connections[&id].end_of(life).other();
            self.due.push((now + SILENCE, Happening::Listen { connection: id, at }));
        }
    }

    /// A process goes on.
    pub fn thawed(&mut self, life: Life) {
        if let Some(up) = self.up.get_mut(&life) {
            up.frozen = None;
        }
    }

    /// From now on so many in a thousand tells find the connection full.
    pub fn fill(&mut self, in_thousand: u64) {
        self.full_in_thousand = in_thousand;
    }

    /// Whether an end has heard nothing for too long, or the peer does not know the connection any more.
    pub(super) fn listen(&mut self, now: Duration, id: ConnectionId, at: End) -> Vec<Brought<P>> {
        let Some(connection) = self.connections.get(&id) else {
            return Vec::new();
        };
        let (there, here) = (connection.life_at(at.other()), connection.life_at(at));
        let frozen = self.up.get(&there).and_then(|up| up.frozen);
        let silent = |since: Option<Duration>| since.is_some_and(|since| now >= since + SILENCE);
        if connection.cut || silent(self.blocked_since(there, here)) || silent(frozen) {
            return self.close(now, id, at);
        }
        Vec::new()
    }

    /// An end is over: whoever watches somebody through it is told, and the other end finds out.
    pub(super) fn close(&mut self, now: Duration, id: ConnectionId, at: End) -> Vec<Brought<P>> {
        let Some(connection) = self.connections.get(&id) else {
            return Vec::new();
        };
        if !connection.open[at.index()] {
            return Vec::new();
        }
        let (here, there) = (connection.life_at(at), connection.life_at(at.other()));
        let reached = connection.reached;
        self.shut(id, at);
        if !self.connections[&id].cut {
            self.cut(now, id, Some(at.other()), true);
        }
        self.forget_if_over(id);
        if self.links.get(&(here, there)) == Some(&Some(id)) {
            self.links.remove(&(here, there));
            return vec![Brought::Down { watcher: here, target: there, reached }];
        }
        Vec::new()
    }

    /// Nothing is sent any more on this end.
    fn shut(&mut self, id: ConnectionId, at: End) {
        let connection = self.connections.get_mut(&id).expect("the caller found it");
        connection.open[at.index()] = false;
        let key = (connection.life_at(at), connection.life_at(at.other()));
        // What is on its way to an end that is shut arrives nowhere.
        let (lost, _) = connection.lose_suffix(at, None);
        let why = if connection.reached { Drop::ConnectionLost } else { Drop::Unreachable };
        self.accounts.dropped(why, lost);
        if let Some(ids) = self.routes.get_mut(&key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.routes.remove(&key);
            }
        }
    }

    /// The connection is broken: a suffix of what is on it is lost, and the ends that are open find out; `only` one of
    /// them, if the other knows.
    fn cut(&mut self, now: Duration, id: ConnectionId, only: Option<End>, aloud: bool) {
        for at in BOTH {
            let connection = self.connections.get_mut(&id).expect("the caller found it");
            if !connection.reached {
                // Its end is booked where the dialling fails.
                let (lost, _) = connection.lose_suffix(at, None);
                self.accounts.dropped(Drop::Unreachable, lost);
                continue;
            }
            connection.cut = true;
            let (there, here) = (connection.life_at(at.other()), connection.life_at(at));
            let open = connection.open[at.index()];
            let kept = open.then_some(&mut self.chance);
            let (lost, last) = connection.lose_suffix(at, kept);
            self.accounts.dropped(Drop::ConnectionLost, lost);
            if !open || only.is_some_and(|only| only != at) {
                continue;
            }
            let blocked = self.is_blocked(there, here);
            let soon = self.chance.span(Duration::from_micros(50), Duration::from_millis(50));
            let after = if aloud && !blocked { soon } else { SILENCE };
            let when = last.max(now + after) + Duration::from_nanos(1);
            self.due.push((when, Happening::Close { connection: id, at }));
        }
    }

    fn open_at(&self, life: Life) -> Vec<ConnectionId> {
        let mut ids: Vec<ConnectionId> = self
            .routes
            .range((life, Life { process: 0, life: 0 })..)
            .take_while(|((from, _), _)| *from == life)
            .flat_map(|(_, ids)| ids.iter().copied())
            .collect();
        ids.sort_unstable();
        ids
    }

    fn forget_if_over(&mut self, id: ConnectionId) {
        let over = self.connections.get(&id).is_some_and(|it| it.open == [false, false]);
        if over && let Some(connection) = self.connections.remove(&id) {
            self.accounts.dropped(Drop::ConnectionLost, connection.in_flight());
        }
    }
}
