//! The words of an election: what there is, what can be asked and answered, what happens and what is to be done.

use std::time::Duration;

use super::Number;

/// A numeric child of the election's path, whatever its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The name of the node.
    pub name: String,
    /// The lowest of all leads.
    pub sequence: u64,
    /// The session that it vanishes with; 0 if it does not say.
    pub owner: i64,
    /// The candidate that it names, if one can be read from it.
    pub id: Option<String>,
}

/// Something to be asked of the ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Make the path and what is ours below it, unless it is there. `Prepared`.
    Prepare,
    /// Read all seats, as new as the ensemble's leader has them, and watch for another or a lost one. `Surveyed`.
    Survey,
    /// Take a seat: an ephemeral and sequential child. `Done`.
    Create {
        /// The candidate.
        id: String,
    },
    /// Give up a seat. `Done`, also if it was not there.
    Delete {
        /// Of the node.
        name: String,
    },
    /// Read the epoch. `Epoch`.
    ReadEpoch,
    /// Raise the epoch, if it still has this version and the seat is still there. `Raised`, or `Conflict`.
    Raise {
        /// The name of our seat.
        seat: String,
        /// The candidate who raises it.
        by: String,
        /// To what.
        to: u64,
        /// Of the epoch's node as it was read.
        version: i32,
    },
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All that is needed is there.
    Prepared,
    /// These seats there are.
    Surveyed(Vec<Seat>),
    /// It is done.
    Done,
    /// This is the epoch.
    Epoch {
        /// Its number.
        number: u64,
        /// Of its node.
        version: i32,
        /// The candidate who raised it.
        by: String,
    },
    /// The epoch is raised.
    Raised {
        /// Of its node.
        version: i32,
    },
    /// Something else was so than the request supposed; nothing happened.
    Conflict,
    /// The path is not there.
    Missing,
    /// Nobody can say whether it happened.
    Unknown(String),
    /// It did not happen and never will, in words.
    Refused(String),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This candidate wants to lead. An earlier one of this process does not want to any more.
    Stand {
        /// Unique for all time.
        id: String,
    },
    /// A session began, or answers again.
    Connected {
        /// Its id.
        session: i64,
        /// As it was negotiated: so long the ensemble keeps the session without hearing from us.
        timeout: Duration,
    },
    /// No server answers. The session may still be there.
    Disconnected,
    /// The session is over; what it owned vanishes sooner or later.
    Expired,
    /// A request was answered.
    Answered(Number, Answer),
    /// There are other seats than in the last survey.
    SeatsChanged,
    /// A timer ran down.
    Timer(Number),
    /// A write of this reign was refused since a later epoch has begun.
    Fenced(String),
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask this.
    Ask(Number, Request),
    /// Start a timer.
    StartTimer(Number, Duration),
    /// The reign begins.
    Lead {
        /// Its number.
        epoch: u64,
        /// Of the epoch's node: the first write must find it.
        version: i32,
    },
    /// Nobody can say whether we lead.
    Suspend,
    /// We still lead.
    Resume,
    /// The reign is over.
    Depose(String),
    /// The candidacy is over before it came to a reign.
    Fail(String),
}
