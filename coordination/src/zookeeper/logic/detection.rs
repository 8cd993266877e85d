//! Who leads, as a process learns it that does not stand: the node with the lowest number, whatever its label. Pure, as the
//! election is.

use std::time::Duration;

use super::bugs::{Bug, Bugs};
use super::{Number, RETRY};
use crate::election::Candidate;

/// Before it is looked again after a refusal, which only a person can mend.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// What came of looking for the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This is the lowest seat's candidate.
    Leader(Candidate),
    /// Nobody has a seat, or the path is not there.
    Nobody,
    /// The lowest seat was gone before it could be read.
    Vanished,
    /// The lowest seat holds what nobody can read, in words.
    Garbage(String),
    /// Nobody can say.
    Unknown,
    /// We may not look, in words.
    Refused(String),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session began, or answers again.
    Connected,
    /// The session is over.
    Expired,
    /// What was asked for with this number was found.
    Found(Number, Found),
    /// There are other seats than when we looked.
    SeatsChanged,
    /// A timer ran down.
    Timer(Number),
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Look for the lowest seat, watch for a change of the seats, and answer with this number.
    Look(Number),
    /// Look again after a pause.
    StartTimer(Number, Duration),
    /// This is the leader now.
    Name(Option<Candidate>),
    /// Somebody should know this.
    Warn(String),
}

/// Knows the leader.
#[derive(Clone, Debug, Default)]
pub struct Detection {
    connected: bool,
    known: Option<Candidate>,
    numbers: Number,
    under_way: Option<Number>,
    pause: Option<Number>,
    stale: bool,
    bugs: Bugs,
}

impl Detection {
    /// With mistakes switched on.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn with_bugs(self, bugs: Bugs) -> Self {
        Self { bugs, ..self }
    }

    /// Takes in what happened. While nobody answers, who led before is still named: it may well lead on.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Connected => {
                self.connected = true;
                self.stale = true;
            }
            Event::Expired => {
                (self.connected, self.under_way, self.pause) = (false, None, None);
                self.name(None, &mut effects);
            }
            Event::SeatsChanged => self.stale = true,
            Event::Timer(number) if self.pause == Some(number) => self.pause = None,
            Event::Timer(_) => {}
            Event::Found(number, found) if self.under_way == Some(number) => {
                self.under_way = None;
                self.on_found(found, &mut effects);
            }
            // Of a session that is over.
            Event::Found(..) => {}
        }
        if self.connected && self.stale && self.under_way.is_none() && self.pause.is_none() {
            self.stale = false;
            self.numbers += 1;
            self.under_way = Some(self.numbers);
            effects.push(Effect::Look(self.numbers));
        }
        effects
    }

    fn on_found(&mut self, found: Found, effects: &mut Vec<Effect>) {
        match found {
            Found::Leader(candidate) => self.name(Some(candidate), effects),
            Found::Nobody => self.name(None, effects),
            Found::Vanished => {
                self.name(None, effects);
                self.stale = true;
            }
            Found::Unknown => self.look_again_after(RETRY, effects),
            // It changes only with the seats.
            Found::Garbage(words) => {
                self.name(None, effects);
                effects.push(Effect::Warn(words));
            }
            // Nothing is watched then.
            Found::Refused(words) => {
                self.name(None, effects);
                effects.push(Effect::Warn(words));
                self.look_again_after(REFUSED_FOR, effects);
            }
        }
    }

    fn look_again_after(&mut self, pause: Duration, effects: &mut Vec<Effect>) {
        self.stale = true;
        self.numbers += 1;
        self.pause = Some(self.numbers);
        effects.push(Effect::StartTimer(self.numbers, pause));
    }

    fn name(&mut self, leader: Option<Candidate>, effects: &mut Vec<Effect>) {
        let keeps = self.known.is_some() && leader.is_some();
        if self.known != leader && !(keeps && self.bugs.has(Bug::StaleLeaderKept)) {
            self.known.clone_from(&leader);
            effects.push(Effect::Name(leader));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leader(address: &str) -> Candidate {
        Candidate::at(address)
    }

    #[test]
    fn a_leader_is_known_until_the_session_is_over() {
        let mut detection = Detection::default();
        assert_eq!(detection.step(Event::Connected), [Effect::Look(1)]);
        let effects = detection.step(Event::Found(1, Found::Leader(leader("h:1"))));
        assert_eq!(effects, [Effect::Name(Some(leader("h:1")))]);
        // The same after a blip is no news.
        assert_eq!(detection.step(Event::Connected), [Effect::Look(2)]);
        assert_eq!(detection.step(Event::Found(2, Found::Leader(leader("h:1")))), []);
        assert_eq!(detection.step(Event::Expired), [Effect::Name(None)]);
        assert_eq!(detection.step(Event::Found(2, Found::Leader(leader("h:1")))), []);
    }

    #[test]
    fn a_node_that_vanished_or_holds_garbage_is_no_leader_and_the_search_goes_on() {
        let mut detection = Detection::default();
        detection.step(Event::Connected);
        detection.step(Event::Found(1, Found::Leader(leader("h:1"))));
        detection.step(Event::SeatsChanged);
        let effects = detection.step(Event::Found(2, Found::Vanished));
        assert_eq!(effects, [Effect::Name(None), Effect::Look(3)]);
        let effects = detection.step(Event::Found(3, Found::Garbage("bad".into())));
        assert_eq!(effects, [Effect::Warn("bad".into())]);
        assert_eq!(detection.step(Event::SeatsChanged), [Effect::Look(4)]);
    }

    #[test]
    fn an_unknown_outcome_is_asked_again_after_a_pause_and_changes_meanwhile_are_not_lost() {
        let mut detection = Detection::default();
        detection.step(Event::Connected);
        assert_eq!(detection.step(Event::SeatsChanged), []);
        let effects = detection.step(Event::Found(1, Found::Unknown));
        assert_eq!(effects, [Effect::StartTimer(2, RETRY)]);
        assert_eq!(detection.step(Event::SeatsChanged), []);
        assert_eq!(detection.step(Event::Timer(1)), []);
        assert_eq!(detection.step(Event::Timer(2)), [Effect::Look(3)]);
    }

    #[test]
    fn a_refusal_is_not_for_ever_though_nothing_that_is_watched_changes() {
        let mut detection = Detection::default();
        detection.step(Event::Connected);
        let effects = detection.step(Event::Found(1, Found::Refused("no".into())));
        assert_eq!(effects, [Effect::Warn("no".into()), Effect::StartTimer(2, REFUSED_FOR)]);
        assert_eq!(detection.step(Event::Timer(2)), [Effect::Look(3)]);
        let effects = detection.step(Event::Found(3, Found::Leader(leader("h:1"))));
        assert_eq!(effects, [Effect::Name(Some(leader("h:1")))]);
    }

    #[cfg(feature = "testing")]
    #[test]
    fn with_the_mistake_the_first_leader_is_kept() {
        let mut detection = Detection::default().with_bugs(Bugs::only([Bug::StaleLeaderKept]));
        detection.step(Event::Connected);
        detection.step(Event::Found(1, Found::Leader(leader("h:1"))));
        detection.step(Event::SeatsChanged);
        assert_eq!(detection.step(Event::Found(2, Found::Leader(leader("h:2")))), []);
    }
}
