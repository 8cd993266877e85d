//! A ZooKeeper ensemble as a value, as far as an election and a registry need one: sessions with a time-out, ephemeral and
//! sequential seats, an epoch's node and a count of batches with their versions, batches that check both, and watches that
//! fire once. It is what the servers agree on; how requests and answers come and go is for those who use it to say.

use std::collections::BTreeMap;
use std::time::Duration;

use super::logic::chain::{ANY_VERSION, Count, Epoch, Link};
use super::logic::detection::Found;
use super::logic::{Answer, Request, Seat};
use crate::election::Candidate;

/// Something asked of the ensemble. `W` is what a batch of the registry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask<W> {
    /// By a candidate.
    Elect(Request),
    /// By whoever looks for the leader: the lowest seat, and a watch.
    Look,
    /// By a reign: one batch.
    Write(Write<W>),
    /// By a reign that does not know what became of a batch.
    ReadWritten,
}

/// One batch of the registry, made whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write<W> {
    /// The reign that makes it, by its epoch and by its candidate.
    pub epoch: u64,
    /// See `epoch`.
    pub by: String,
    /// What it has to find.
    pub link: Link,
    /// What it changes.
    pub what: W,
}

/// What came of an ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// To a candidate.
    Elected(Answer),
    /// To whoever looked.
    Found(Found),
    /// The batch is made.
    Wrote,
    /// The batch is not made: a version was another.
    NotWritten,
    /// Both nodes as they are.
    Counted(Count, Epoch),
    /// Nobody can say.
    Unknown,
}

/// The number of no connection.
const CLOSED: u64 = 0;

#[derive(Clone, Debug)]
struct Session {
    heard: Duration,
    /// Requests that come by an older connection are refused.
    connection: u64,
    watches: bool,
}

#[derive(Clone, Debug)]
struct Node {
    seat: Seat,
    address: String,
}

/// What the servers agree on.
#[derive(Clone, Debug)]
pub struct Ensemble {
    timeout: Duration,
    sessions: BTreeMap<i64, Session>,
    sessions_made: i64,
    seats: BTreeMap<u64, Node>,
    seats_made: u64,
    prepared: bool,
    epoch: Epoch,
    written: Count,
    /// Every epoch there was, with the candidate who raised it.
    raised: BTreeMap<u64, String>,
    fired: Vec<i64>,
    wrong: Option<String>,
}

impl Ensemble {
    /// With nothing in it. Sessions that are not heard of for `timeout` end.
    pub fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            sessions: BTreeMap::new(),
            sessions_made: 0,
            seats: BTreeMap::new(),
            seats_made: 0,
            prepared: false,
            epoch: Epoch::default(),
            written: Count::default(),
            raised: BTreeMap::new(),
            fired: Vec::new(),
            wrong: None,
        }
    }

    /// How long a session lasts without being heard of.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The epoch's node.
    pub fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    /// Who raised the epoch to this number.
    pub fn raised_by(&self, epoch: u64) -> Option<&str> {
        self.raised.get(&epoch).map(String::as_str)
    }

    /// A new session.
    pub fn open(&mut self, now: Duration, connection: u64) -> i64 {
        self.sessions_made += 1;
        let session = Session { heard: now, connection, watches: false };
        self.sessions.insert(self.sessions_made, session);
        self.sessions_made
    }

    /// A session goes on by another connection, if it is still there.
    pub fn go_on(&mut self, now: Duration, session: i64, connection: u64) -> bool {
        let Some(session) = self.sessions.get_mut(&session) else {
            return false;
        };
        (session.heard, session.connection, session.watches) = (now, connection, false);
        true
    }

    /// Whether a session is there, and goes on by this connection; it is heard of.
    pub fn hears(&mut self, now: Duration, session: i64, connection: u64) -> bool {
        match self.sessions.get_mut(&session) {
            Some(session) if session.connection == connection => {
                session.heard = now;
                true
            }
            Some(_) | None => false,
        }
    }

    /// The connection of a session is lost, which its client does not know yet.
    pub fn close(&mut self, session: i64) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.connection = CLOSED;
        }
    }

    /// Those of all sessions.
    pub fn close_all(&mut self) {
        self.sessions.values_mut().for_each(|session| session.connection = CLOSED);
    }

    /// The servers were away: every session has its whole time again.
    pub fn is_back(&mut self, now: Duration) {
        self.sessions.values_mut().for_each(|session| session.heard = now);
    }

    /// Ends sessions that were not heard of for too long, and all that hangs on them.
    pub fn expire(&mut self, now: Duration) {
        let timeout = self.timeout;
        self.sessions.retain(|_, session| session.heard + timeout >= now);
        self.drop_seats();
    }

    /// Ends one session before its time.
    pub fn end(&mut self, session: i64) {
        self.sessions.remove(&session);
        self.drop_seats();
    }

    /// Those of sessions that are over.
    fn drop_seats(&mut self) {
        let before = self.seats.len();
        self.seats.retain(|_, node| self.sessions.contains_key(&node.seat.owner));
        if self.seats.len() != before {
            self.seats_changed();
        }
    }

    /// Whether a session is there.
    pub fn has(&self, session: i64) -> bool {
        self.sessions.contains_key(&session)
    }

    /// All seats, the lowest first.
    pub fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.values().map(|node| &node.seat)
    }

    /// Somebody deletes a seat.
    pub fn delete(&mut self, name: &str) {
        let before = self.seats.len();
        self.seats.retain(|_, node| node.seat.name != name);
        if self.seats.len() != before {
            self.seats_changed();
        }
    }

    /// Somebody who is no candidate raises the epoch, as an import does.
    pub fn raise_by_hand(&mut self, by: &str) {
        let (number, version) = (self.epoch.number + 1, self.epoch.version + 1);
        self.epoch = Epoch { number, version, by: by.to_owned() };
        self.raised.insert(number, by.to_owned());
    }

    /// Sessions whose watches fired since this was last asked.
    pub fn take_fired(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.fired)
    }

    /// What was asked for and should never be, since this was last asked.
    pub fn take_wrong(&mut self) -> Option<String> {
        self.wrong.take()
    }

    /// Does what is asked.
    pub fn perform<W>(&mut self, session: i64, address: &str, ask: &Ask<W>) -> Told {
        match ask {
            Ask::Elect(request) => Told::Elected(self.elect(session, address, request)),
            Ask::Look => {
                self.watch(session);
                Told::Found(self.look())
            }
            Ask::Write(write) => self.write(write),
            Ask::ReadWritten => Told::Counted(self.written.clone(), self.epoch.clone()),
        }
    }

    fn elect(&mut self, session: i64, address: &str, request: &Request) -> Answer {
        if !self.prepared && *request != Request::Prepare {
            return Answer::Missing;
        }
        match request {
            Request::Prepare => {
                self.prepared = true;
                Answer::Prepared
            }
            Request::Survey => {
                self.watch(session);
                Answer::Surveyed(self.seats().cloned().collect())
            }
            Request::Create { id } => {
                self.create(session, address, id);
                Answer::Done
            }
            Request::Delete { name } => {
                self.delete(name);
                Answer::Done
            }
            Request::ReadEpoch => {
                let Epoch { number, version, by } = self.epoch.clone();
                Answer::Epoch { number, version, by }
            }
            Request::Raise { seat, by, to, version } => {
                self.raise(session, seat, by, *to, *version)
            }
        }
    }

    fn create(&mut self, session: i64, address: &str, id: &str) {
        self.seats_made += 1;
        let sequence = self.seats_made;
        let seat = Seat {
            name: format!("json.info_{sequence:010}"),
            sequence,
            owner: session,
            id: Some(id.to_owned()),
        };
        self.seats.insert(sequence, Node { seat, address: address.to_owned() });
        self.seats_changed();
    }

    fn raise(&mut self, session: i64, seat: &str, by: &str, to: u64, version: i32) -> Answer {
        let Some(node) = self.seats.values().find(|node| node.seat.name == *seat) else {
            return Answer::Conflict;
        };
        if self.epoch.version != version {
            return Answer::Conflict;
        }
        let lowest = self.seats.values().next().is_some_and(|first| first.seat == node.seat);
        if !lowest || node.seat.owner != session {
            let words =
                format!("{by} raises the epoch from {seat}, which is not the lowest of its own");
            self.wrong.get_or_insert(words);
        }
        self.epoch = Epoch { number: to, version: version + 1, by: by.to_owned() };
        self.raised.insert(to, by.to_owned());
        Answer::Raised { version: version + 1 }
    }

    fn write<W>(&mut self, write: &Write<W>) -> Told {
        let Link { fence, version, batches } = write.link;
        let is_fenced = fence != ANY_VERSION && fence != self.epoch.version;
        if is_fenced || version != self.written.version {
            return Told::NotWritten;
        }
        let (epoch, by) = (write.epoch, write.by.clone());
        self.written = Count { epoch, by, batches, version: version + 1 };
        Told::Wrote
    }

    fn look(&self) -> Found {
        let Some(node) = self.seats.values().next() else {
            return Found::Nobody;
        };
        let id = node.seat.id.clone().unwrap_or_default();
        Found::Leader(Candidate { id, ..Candidate::at(&node.address) })
    }

    fn watch(&mut self, session: i64) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.watches = true;
        }
    }

    fn seats_changed(&mut self) {
        for (id, session) in &mut self.sessions {
            if std::mem::take(&mut session.watches) {
                self.fired.push(*id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
