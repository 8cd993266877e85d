//! How one process stands for election among others, as a value: what happened in, what to do out. It has no clock and no
//! connection; a request that it makes comes back as an answer with the request's number, and one is under way at a time.
//!
//! What is known of the election comes from one request only, the *survey*: all seats (numeric children of the path) with their
//! owners. It is asked for whenever something may be different, so an outcome that is unknown needs no special care: the
//! next survey shows what came of it. It never gives up; only what no repetition can mend (wrong credentials, another
//! cluster's path) ends a candidacy.

pub mod bugs;
pub mod chain;
pub mod detection;
pub mod root;
mod terms;

use std::collections::VecDeque;
use std::time::Duration;

use bugs::{Bug, Bugs};
pub use terms::{Answer, Effect, Event, Request, Seat};

/// Numbers requests and timers, so that late answers are known.
pub type Number = u64;

/// Before something is tried again whose outcome is unknown although the connection stands.
pub const RETRY: Duration = Duration::from_millis(500);

/// Candidates of earlier reigns whose seats are still looked for. What was created long ago is long gone.
const FORMER_MAX: usize = 16;

/// What is under way or waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing is known: a survey or what it needs is the next thing.
    Lost,
    /// Our seat is not the lowest, or nobody stands: for a change of the seats.
    Waits,
    /// The epoch is read, and then raised, from this seat.
    Rises { seat: String, to: Option<u64> },
    /// We lead.
    Reigns { epoch: u64, suspended: bool },
}

/// One process in an election.
#[derive(Clone, Debug)]
pub struct Election {
    candidate: Option<String>,
    former: VecDeque<String>,
    session: Option<(i64, Duration)>,
    connected: bool,
    prepared: bool,
    stage: Stage,
    /// What was seen is out of date.
    stale: bool,
    numbers: Number,
    under_way: Option<Number>,
    /// Runs while a reign is suspended: its end is the reign's.
    patience: Option<Number>,
    /// Runs before something is tried again.
    pause: Option<Number>,
    bugs: Bugs,
}

impl Default for Election {
    fn default() -> Self {
        Self {
            candidate: None,
            former: VecDeque::new(),
            session: None,
            connected: false,
            prepared: false,
            stage: Stage::Lost,
            stale: true,
            numbers: 0,
            under_way: None,
            patience: None,
            pause: None,
            bugs: Bugs::default(),
        }
    }
}

impl Election {
    /// With mistakes switched on.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_bugs(self, bugs: Bugs) -> Self {
        Self { bugs, ..self }
    }

    /// Takes in what happened.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Stand { id } => self.on_stand(id),
            Event::Connected { session, timeout } => {
                self.on_connected(session, timeout, &mut effects);
            }
            Event::Disconnected => self.on_disconnected(&mut effects),
            Event::Expired => self.on_expired(&mut effects),
            Event::Answered(number, answer) if self.under_way == Some(number) => {
                self.under_way = None;
                self.on_answered(answer, &mut effects);
            }
            // Of a session that is over.
            Event::Answered(..) => {}
            Event::SeatsChanged => {
                let waits = matches!(self.stage, Stage::Waits);
                self.stale |= !(waits && self.bugs.has(Bug::ChangeMissed));
            }
            Event::Timer(number) if self.patience == Some(number) => {
                let why = "no ZooKeeper server answered for half of the session time-out";
                self.depose(why.to_owned(), &mut effects);
            }
            Event::Timer(number) if self.pause == Some(number) => self.pause = None,
            Event::Timer(_) => {}
            Event::Fenced(why) => self.depose(why, &mut effects),
        }
        self.go_on(&mut effects);
        effects
    }

    fn on_stand(&mut self, id: String) {
        if self.candidate.is_some() && self.bugs.has(Bug::SameCandidateAgain) {
            return;
        }
        if let Some(earlier) = self.candidate.replace(id) {
            self.forget(earlier);
        }
        self.stage = Stage::Lost;
        self.stale = true;
    }

    fn on_connected(&mut self, session: i64, timeout: Duration, effects: &mut Vec<Effect>) {
        if self.session.is_some_and(|(known, _)| known != session) {
            self.on_expired(effects);
        }
        self.session = Some((session, timeout));
        self.connected = true;
        // Whoever reigns is not resumed before a survey shows that nothing has changed.
        self.stale = true;
        if let Stage::Reigns { suspended: suspended @ true, .. } = &mut self.stage
            && self.bugs.has(Bug::ResumesWithoutLooking)
        {
            *suspended = false;
            self.patience = None;
            effects.push(Effect::Resume);
        }
    }

    fn on_disconnected(&mut self, effects: &mut Vec<Effect>) {
        self.connected = false;
        let half = self.session.map_or(Duration::ZERO, |(_, timeout)| timeout / 2);
        if let Stage::Reigns { suspended: suspended @ false, .. } = &mut self.stage
            && !self.bugs.has(Bug::NotSuspendedWhenCutOff)
        {
            *suspended = true;
            effects.push(Effect::Suspend);
            self.patience = Some(self.start_timer(half, effects));
        }
    }

    fn on_expired(&mut self, effects: &mut Vec<Effect>) {
        self.session = None;
        self.connected = false;
        self.prepared = false;
        self.under_way = None;
        self.pause = None;
        self.stale = true;
        self.depose("its session with ZooKeeper expired".to_owned(), effects);
        self.stage = Stage::Lost;
    }

    fn on_answered(&mut self, answer: Answer, effects: &mut Vec<Effect>) {
        match answer {
            Answer::Prepared => self.prepared = true,
            Answer::Surveyed(seats) => self.on_surveyed(seats, effects),
            Answer::Epoch { number, version, by } => self.on_epoch(number, version, &by, effects),
            Answer::Raised { version } => self.on_raised(version, effects),
            Answer::Done | Answer::Conflict => self.look_again(),
            Answer::Missing => {
                self.prepared = false;
                self.look_again();
            }
            Answer::Unknown(_) => {
                self.look_again();
                self.pause = Some(self.start_timer(RETRY, effects));
            }
            Answer::Refused(why) => self.fail(why, effects),
        }
    }

    fn look_again(&mut self) {
        self.stale = true;
        if !matches!(self.stage, Stage::Reigns { .. }) {
            self.stage = Stage::Lost;
        }
    }

    /// All that is decided about seats. One thing at a time: what is done makes the next survey.
    fn on_surveyed(&mut self, seats: Vec<Seat>, effects: &mut Vec<Effect>) {
        let Some((session, _)) = self.session else { return };
        if let Some(seat) = self.seat_to_clear(&seats, session) {
            self.look_again();
            return self.ask(Request::Delete { name: seat }, effects);
        }
        let Some(id) = self.candidate.clone() else {
            self.stage = Stage::Waits;
            return;
        };
        let own = seats.iter().find(|seat| seat.id.as_deref() == Some(&*id));
        let lowest = match self.bugs.has(Bug::LeadsThoughNotLowest) {
            true => own,
            false => seats.iter().min_by_key(|seat| seat.sequence),
        };
        let reigns = matches!(self.stage, Stage::Reigns { .. });
        match (own, lowest) {
            (None, _) if reigns => self.depose("its node was deleted".to_owned(), effects),
            (None, _) => {
                self.look_again();
                self.ask(Request::Create { id }, effects);
            }
            (Some(own), Some(lowest)) if own == lowest => self.on_lowest(own.name.clone(), effects),
            (Some(_), lowest) if reigns => {
                let lowest = lowest.map_or("another", |seat| &*seat.name);
                self.depose(format!("the node {lowest} comes before its own"), effects);
            }
            (Some(_), _) => self.stage = Stage::Waits,
        }
    }

    fn on_lowest(&mut self, seat: String, effects: &mut Vec<Effect>) {
        match &self.stage {
            Stage::Reigns { suspended: false, .. } => return,
            // It is read once more: somebody may have raised it without an election.
            Stage::Reigns { suspended: true, .. } => {}
            Stage::Lost | Stage::Waits | Stage::Rises { .. } => {
                self.stage = Stage::Rises { seat, to: None };
            }
        }
        self.ask(Request::ReadEpoch, effects);
    }

    /// A seat of ours that is not the candidate's, or not of this session, or one too many: it would stand in the way.
    fn seat_to_clear(&self, seats: &[Seat], session: i64) -> Option<String> {
        let is_candidates = |seat: &Seat| seat.id.is_some() && seat.id == self.candidate;
        let stay = self.bugs.has(Bug::FormerSeatsStay);
        let is_former =
            |seat: &Seat| !stay && seat.id.as_ref().is_some_and(|id| self.former.contains(id));
        let in_the_way = |seat: &&Seat| {
            let (ours, current) = (seat.owner == session, is_candidates(seat));
            is_former(seat) || ours != current
        };
        let ours = |seat: &Seat| {
            (seat.owner == session && !stay) || is_candidates(seat) || is_former(seat)
        };
        if let Some(seat) = seats.iter().filter(|seat| ours(seat)).find(in_the_way) {
            return Some(seat.name.clone());
        }
        let own = seats.iter().filter(|seat| is_candidates(seat));
        let mut own: Vec<_> = own.collect();
        own.sort_by_key(|seat| seat.sequence);
        own.get(1).map(|seat| seat.name.clone())
    }

    fn on_epoch(&mut self, number: u64, version: i32, by: &str, effects: &mut Vec<Effect>) {
        let raised_by_us = self.candidate.as_deref() == Some(by);
        match &mut self.stage {
            Stage::Rises { seat, to } => {
                let (seat, next) = (seat.clone(), number + 1);
                if raised_by_us {
                    // It was raised with an outcome that was unknown.
                    return self.reign(number, version, effects);
                }
                *to = Some(next);
                if self.bugs.has(Bug::LeadsBeforeRaising) {
                    return self.reign(next, version + 1, effects);
                }
                let by = self.candidate.clone().unwrap_or_default();
                self.ask(Request::Raise { seat, by, to: next, version }, effects);
            }
            Stage::Reigns { epoch, suspended } => {
                if !raised_by_us || number != *epoch {
                    return self.depose(format!("epoch {number} has begun"), effects);
                }
                // A connection that was lost again since the question was asked is not there.
                if self.connected && *suspended {
                    *suspended = false;
                    self.patience = None;
                    effects.push(Effect::Resume);
                }
            }
            Stage::Lost | Stage::Waits => self.look_again(),
        }
    }

    fn on_raised(&mut self, version: i32, effects: &mut Vec<Effect>) {
        match self.stage {
            Stage::Rises { to: Some(epoch), .. } => self.reign(epoch, version, effects),
            Stage::Rises { .. } | Stage::Lost | Stage::Waits | Stage::Reigns { .. } => {
                self.look_again();
            }
        }
    }

    fn reign(&mut self, epoch: u64, version: i32, effects: &mut Vec<Effect>) {
        if !self.connected {
            // The next survey shows what is left of it.
            return self.look_again();
        }
        self.stage = Stage::Reigns { epoch, suspended: false };
        effects.push(Effect::Lead { epoch, version });
    }

    /// Ends the reign, if there is one. Its candidate never stands again: a deposed leader comes back under another id.
    fn depose(&mut self, why: String, effects: &mut Vec<Effect>) {
        if !matches!(self.stage, Stage::Reigns { .. }) {
            return;
        }
        self.stage = Stage::Lost;
        self.stale = true;
        self.patience = None;
        if !self.bugs.has(Bug::SameCandidateAgain)
            && let Some(id) = self.candidate.take()
        {
            self.forget(id);
        }
        effects.push(Effect::Depose(why));
    }

    fn fail(&mut self, why: String, effects: &mut Vec<Effect>) {
        if matches!(self.stage, Stage::Reigns { .. }) {
            return self.depose(why, effects);
        }
        let stood = self.candidate.take();
        // Until somebody stands again: whatever was refused would be refused again.
        self.stage = Stage::Waits;
        self.stale = false;
        if let Some(id) = stood {
            self.forget(id);
            effects.push(Effect::Fail(why));
        }
    }

    fn forget(&mut self, id: String) {
        self.former.push_back(id);
        if self.former.len() > FORMER_MAX {
            self.former.pop_front();
        }
    }

    /// Asks for what is needed next, if anything can be asked.
    fn go_on(&mut self, effects: &mut Vec<Effect>) {
        let waits = self.under_way.is_some() || self.pause.is_some();
        if !self.connected || !self.stale || waits {
            return;
        }
        if self.candidate.is_none() && self.former.is_empty() {
            return;
        }
        if !self.prepared {
            return self.ask(Request::Prepare, effects);
        }
        self.stale = false;
        self.ask(Request::Survey, effects);
    }

    fn ask(&mut self, request: Request, effects: &mut Vec<Effect>) {
        self.numbers += 1;
        self.under_way = Some(self.numbers);
        effects.push(Effect::Ask(self.numbers, request));
    }

    fn start_timer(&mut self, after: Duration, effects: &mut Vec<Effect>) -> Number {
        self.numbers += 1;
        effects.push(Effect::StartTimer(self.numbers, after));
        self.numbers
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
