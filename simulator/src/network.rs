//! The network between simulated processes. It keeps what libactor promises and no more: at most once, in order per pair
//! and lane, and loss only as a broken connection (a lost suffix, then `Down`) or as a counted drop.

mod account;
mod connection;
mod faults;

use std::collections::BTreeMap;
use std::time::Duration;

pub use account::{Accounts, Drop};
pub use connection::Lane;

use crate::chance::Chance;
use connection::{Connection, ConnectionId, End};

/// Silence after which an end gives its connection up; libactor's default.
pub const SILENCE: Duration = Duration::from_secs(10);
/// How long dialling a machine that does not answer takes; libactor's default.
pub const DIAL: Duration = Duration::from_secs(5);

/// One life of one simulated process. A process that returns is another life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    /// Which process.
    pub process: u32,
    /// Which life of it, from 1.
    pub life: u32,
}

/// A simulated machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(pub u32);

/// What is to happen on the network later; given back to [`Network::happen`] when it is due.
#[derive(Clone, Debug)]
pub enum Happening {
    /// The next message of a lane arrives.
    Arrive {
        /// On which connection.
        connection: ConnectionId,
        /// At which end.
        at: End,
        /// On which lane.
        lane: Lane,
    },
    /// An end learns that its connection is over.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Which end.
        at: End,
    },
    /// An end looks at how long it has heard nothing.
    Listen {
        /// Which.
        connection: ConnectionId,
        /// Which end.
        at: End,
    },
    /// A link to somebody who cannot be reached ends.
    NoRoute {
        /// Who watches.
        watcher: Life,
        /// Whom.
        target: Life,
    },
}

/// What the network brings to a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought<P> {
    /// A message.
    Message {
        /// From whom.
        from: Life,
        /// To whom.
        to: Life,
        /// What.
        payload: P,
    },
    /// The end of a link.
    Down {
        /// Who is told.
        watcher: Life,
        /// Whose end, or whose connection's.
        target: Life,
        /// Whether there ever was a connection.
        reached: bool,
    },
}

/// What a tell comes to at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way, and may still be lost.
    Accepted,
    /// There is no way to the receiver.
    Unreachable,
    /// The connection takes nothing more for the moment.
    Full,
}

/// A process that is up.
#[derive(Clone, Debug)]
struct Up {
    host: Host,
    /// Whether others can dial it.
    listens: bool,
    /// Since when it is frozen.
    frozen: Option<Duration>,
}

/// All connections and what is on them.
#[derive(Debug)]
pub struct Network<P> {
    chance: Chance,
    up: BTreeMap<Life, Up>,
    connections: BTreeMap<ConnectionId, Connection<P>>,
    /// From each open end to the life at the other, the oldest first: that one is used.
    routes: BTreeMap<(Life, Life), Vec<ConnectionId>>,
    links: BTreeMap<(Life, Life), Option<ConnectionId>>,
    /// One-way: from, to, since.
    blocked: BTreeMap<(Host, Host), Duration>,
    /// So many in a thousand tells find the connection full.
    full_in_thousand: u64,
    accounts: Accounts,
    next: u64,
    due: Vec<(Duration, Happening)>,
}

impl<P> Network<P> {
    /// A network without faults; delays come from `chance`.
    pub fn new(chance: Chance) -> Self {
        Self {
            chance,
            up: BTreeMap::new(),
            connections: BTreeMap::new(),
            routes: BTreeMap::new(),
            links: BTreeMap::new(),
            blocked: BTreeMap::new(),
            full_in_thousand: 0,
            accounts: Accounts::default(),
            next: 0,
            due: Vec::new(),
        }
    }

    /// A process has started.
    pub fn started(&mut self, life: Life, host: Host, listens: bool) {
        self.up.insert(life, Up { host, listens, frozen: None });
    }

    /// What is to happen since this was last asked, and when.
    pub fn take_due(&mut self) -> Vec<(Duration, Happening)> {
        std::mem::take(&mut self.due)
    }

    /// Every message there ever was.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Messages on their way, counted one by one.
    pub fn in_flight(&self) -> u64 {
        let count: usize = self.connections.values().map(Connection::in_flight).sum();
        u64::try_from(count).expect("memory holds fewer than 2^64 messages")
    }

    /// Sends a message; never waits.
    pub fn send(&mut self, now: Duration, from: Life, to: Life, lane: Lane, payload: P) -> Sent {
        self.accounts.sent += 1;
        let Some(id) = self.route(now, from, to) else {
            self.accounts.dropped(Drop::Unreachable, 1);
            return Sent::Unreachable;
        };
        if self.full_in_thousand > 0 && self.chance.in_thousand(self.full_in_thousand) {
            self.accounts.dropped(Drop::Full, 1);
            return Sent::Full;
        }
        let delay = self.delay(from, to);
        let connection = self.connections.get_mut(&id).expect("routes lead to connections");
        if connection.cut {
            // The sender does not know yet that nothing arrives any more.
            self.accounts.dropped(Drop::ConnectionLost, 1);
            return Sent::Accepted;
        }
        let at = connection.end_of(from).other();
        let arrives = connection.put(at, lane, now + delay, payload);
        self.due.push((arrives, Happening::Arrive { connection: id, at, lane }));
        Sent::Accepted
    }

    /// `watcher` will be told once of the end of `target` or of the connection to it.
    pub fn link(&mut self, now: Duration, watcher: Life, target: Life) {
        if self.links.contains_key(&(watcher, target)) {
            return;
        }
        let route = self.route(now, watcher, target);
        self.links.insert((watcher, target), route);
        if route.is_none() {
            self.due.push((now, Happening::NoRoute { watcher, target }));
        }
    }

    /// `watcher` will not be told.
    pub fn unlink(&mut self, watcher: Life, target: Life) {
        self.links.remove(&(watcher, target));
    }

    /// Whose turn it is when this happens: a frozen process's turn comes later.
    pub fn receiver(&self, happening: &Happening) -> Option<Life> {
        match happening {
            Happening::Arrive { connection, at, .. }
            | Happening::Close { connection, at }
            | Happening::Listen { connection, at } => {
                self.connections.get(connection).map(|it| it.life_at(*at))
            }
            Happening::NoRoute { watcher, .. } => Some(*watcher),
        }
    }

    /// Something is due. Returns what it brings, in order.
    pub fn happen(&mut self, now: Duration, happening: Happening) -> Vec<Brought<P>> {
        match happening {
            Happening::Arrive { connection, at, lane } => {
                self.arrive(connection, at, lane).into_iter().collect()
            }
            Happening::Close { connection, at } => self.close(now, connection, at),
            Happening::Listen { connection, at } => self.listen(now, connection, at),
            Happening::NoRoute { watcher, target } => match self.links.get(&(watcher, target)) {
                Some(None) => {
                    self.links.remove(&(watcher, target));
                    vec![Brought::Down { watcher, target, reached: false }]
                }
                Some(Some(_)) | None => Vec::new(),
            },
        }
    }

    fn arrive(&mut self, id: ConnectionId, at: End, lane: Lane) -> Option<Brought<P>> {
        let connection = self.connections.get(&id)?;
        let (from, to) = (connection.life_at(at.other()), connection.life_at(at));
        let blocked = self.is_blocked(from, to);
        let lives = self.up.contains_key(&to);
        let connection = self.connections.get_mut(&id)?;
        if blocked {
            // It waits in the sender's kernel; see `heal`.
            connection.stall(at, lane);
            return None;
        }
        let payload = connection.take(at, lane)?;
        if !connection.open[at.index()] || !lives {
            self.accounts.dropped(Drop::ConnectionLost, 1);
            return None;
        }
        self.accounts.delivered += 1;
        Some(Brought::Message { from, to, payload })
    }

    /// The connection that leads there: one that stands, or a new one if it can be dialled.
    fn route(&mut self, now: Duration, from: Life, to: Life) -> Option<ConnectionId> {
        if let Some(id) = self.routes.get(&(from, to)).and_then(|ids| ids.first()) {
            return Some(*id);
        }
        self.up.get(&from)?;
        match self.up.get(&to) {
            Some(up) if !up.listens => None,
            Some(_) => Some(self.dial(now, from, to)),
            // Nobody knows yet that it is gone.
            None => Some(self.dial_in_vain(now, from, to, Duration::from_millis(1))),
        }
    }

    fn dial(&mut self, now: Duration, from: Life, to: Life) -> ConnectionId {
        if self.is_blocked(from, to) || self.is_blocked(to, from) {
            return self.dial_in_vain(now, from, to, DIAL);
        }
        let delay = self.delay(from, to) * 3;
        let id = self.insert(Connection::new(from, to, now + delay));
        self.routes.entry((from, to)).or_default().push(id);
        self.routes.entry((to, from)).or_default().push(id);
        id
    }

    /// What is told meanwhile is kept until the dialling has failed.
    fn dial_in_vain(
        &mut self,
        now: Duration,
        from: Life,
        to: Life,
        within: Duration,
    ) -> ConnectionId {
        let id = self.insert(Connection::in_vain(from, to, now + within));
        self.routes.entry((from, to)).or_default().push(id);
        self.due.push((now + within, Happening::Close { connection: id, at: End::Dialler }));
        id
    }

    fn insert(&mut self, connection: Connection<P>) -> ConnectionId {
        self.next += 1;
        let id = ConnectionId(self.next);
        self.connections.insert(id, connection);
        id
    }

    /// Mostly quick, sometimes not; quickest on one machine.
    fn delay(&mut self, from: Life, to: Life) -> Duration {
        let host = |life| self.up.get(&life).map(|up| up.host);
        let near = host(from) == host(to);
        match self.chance.below(100) {
            0 => self.chance.millis(50, 400),
            1..10 => self.chance.millis(2, 50),
            _ if near => self.chance.span(Duration::from_micros(20), Duration::from_millis(1)),
            _ => self.chance.span(Duration::from_micros(200), Duration::from_millis(5)),
        }
    }

    fn is_blocked(&self, from: Life, to: Life) -> bool {
        self.blocked_since(from, to).is_some()
    }

    fn blocked_since(&self, from: Life, to: Life) -> Option<Duration> {
        if self.blocked.is_empty() {
            return None;
        }
        let (from, to) = (self.up.get(&from)?.host, self.up.get(&to)?.host);
        self.blocked.get(&(from, to)).copied()
    }
}

#[cfg(test)]
mod tests;
