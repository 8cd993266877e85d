//! Decisions of the election: every way in which a reign comes, is doubted and goes.

use super::*;

const TIMEOUT: Duration = Duration::from_secs(10);
const OURS: i64 = 7;
const THEIRS: i64 = 8;

/// An election, what it did since last asked, and the number of its request that is under way.
struct Scenario {
    election: Election,
    did: Vec<String>,
    asked: Number,
    timer: Number,
}

fn seat(sequence: u64, owner: i64, id: &str) -> Seat {
    let id = (!id.is_empty()).then(|| id.to_owned());
    Seat { name: format!("json.info_{sequence:010}"), sequence, owner, id }
}

impl Scenario {
    /// Somebody stands as `m1`, connected, whose survey is under way.
    fn standing() -> Self {
        let mut t = Self { election: Election::default(), did: Vec::new(), asked: 0, timer: 0 };
        t.happens(Event::Stand { id: "m1".into() });
        t.connected(OURS);
        t.answered(Answer::Prepared);
        t.did(["Prepare", "Survey"]);
        t
    }

    /// `m1` leads with epoch 5.
    fn leading() -> Self {
        let mut t = Self::standing();
        t.surveyed(&[seat(3, OURS, "m1"), seat(4, THEIRS, "m2")]);
        t.answered(Answer::Epoch { number: 4, version: 9, by: "m0".into() });
        t.answered(Answer::Raised { version: 10 });
        t.did(["ReadEpoch", "Raise json.info_0000000003 to 5 at 9", "lead 5 at 10"]);
        t
    }

    fn happens(&mut self, event: Event) {
        for effect in self.election.step(event) {
            let line = match effect {
                Effect::Ask(number, request) => {
                    assert!(number > self.asked, "numbers grow");
                    self.asked = number;
                    words(request)
                }
                Effect::StartTimer(number, after) => {
                    self.timer = number;
                    format!("timer {} ms", after.as_millis())
                }
                Effect::Lead { epoch, version } => format!("lead {epoch} at {version}"),
                Effect::Suspend => "suspend".into(),
                Effect::Resume => "resume".into(),
                Effect::Depose(why) => format!("depose: {why}"),
                Effect::Fail(why) => format!("fail: {why}"),
            };
            self.did.push(line);
        }
    }

    fn connected(&mut self, session: i64) {
        self.happens(Event::Connected { session, timeout: TIMEOUT });
    }

    fn answered(&mut self, answer: Answer) {
        self.happens(Event::Answered(self.asked, answer));
    }

    fn surveyed(&mut self, seats: &[Seat]) {
        self.answered(Answer::Surveyed(seats.to_vec()));
    }

    fn changed(&mut self, seats: &[Seat]) {
        self.happens(Event::SeatsChanged);
        self.did(["Survey"]);
        self.surveyed(seats);
    }

    #[track_caller]
    fn did<const N: usize>(&mut self, lines: [&str; N]) {
        assert_eq!(std::mem::take(&mut self.did), lines);
    }
}

fn words(request: Request) -> String {
    match request {
        Request::Prepare => "Prepare".into(),
        Request::Survey => "Survey".into(),
        Request::Create { id } => format!("Create {id}"),
        Request::Delete { name } => format!("Delete {name}"),
        Request::ReadEpoch => "ReadEpoch".into(),
        Request::Raise { seat, to, version, by: _ } => format!("Raise {seat} to {to} at {version}"),
    }
}

#[test]
fn the_first_takes_a_seat_and_leads_once_the_epoch_is_raised() {
    let mut t = Scenario::standing();
    t.surveyed(&[]);
    t.did(["Create m1"]);
    t.answered(Answer::Done);
    t.did(["Survey"]);
    t.surveyed(&[seat(0, OURS, "m1")]);
    t.did(["ReadEpoch"]);
    t.answered(Answer::Epoch { number: 0, version: 0, by: String::new() });
    t.did(["Raise json.info_0000000000 to 1 at 0"]);
    t.answered(Answer::Raised { version: 1 });
    t.did(["lead 1 at 1"]);
}

#[test]
fn a_seat_of_any_label_comes_first_if_its_number_is_lower() {
    for name in ["0000000002", "info_0000000002", "else_0000000002"] {
        let mut t = Scenario::standing();
        let other = Seat { name: name.into(), sequence: 2, owner: THEIRS, id: None };
        t.surveyed(&[seat(3, OURS, "m1"), other]);
        t.did([]);
        t.changed(&[seat(3, OURS, "m1")]);
        t.did(["ReadEpoch"]);
    }
}

#[test]
fn an_epoch_that_another_raised_meanwhile_is_read_again() {
    let mut t = Scenario::standing();
    t.surveyed(&[seat(3, OURS, "m1")]);
    t.answered(Answer::Epoch { number: 4, version: 9, by: "m0".into() });
    t.answered(Answer::Conflict);
    t.surveyed(&[seat(3, OURS, "m1")]);
    t.answered(Answer::Epoch { number: 7, version: 12, by: "m3".into() });
    t.did([
        "ReadEpoch",
        "Raise json.info_0000000003 to 5 at 9",
        "Survey",
        "ReadEpoch",
        "Raise json.info_0000000003 to 8 at 12",
    ]);
}

#[test]
fn an_epoch_whose_raising_is_of_unknown_outcome_is_not_raised_twice() {
    let mut t = Scenario::standing();
    t.surveyed(&[seat(3, OURS, "m1")]);
    t.answered(Answer::Epoch { number: 4, version: 9, by: "m0".into() });
    t.happens(Event::Disconnected);
    t.answered(Answer::Unknown("lost".into()));
    t.connected(OURS);
    t.happens(Event::Timer(t.timer));
    t.surveyed(&[seat(3, OURS, "m1")]);
    t.answered(Answer::Epoch { number: 5, version: 10, by: "m1".into() });
    let raise = "Raise json.info_0000000003 to 5 at 9";
    t.did(["ReadEpoch", raise, "timer 500 ms", "Survey", "ReadEpoch", "lead 5 at 10"]);
}

#[test]
fn a_seat_whose_taking_is_of_unknown_outcome_is_found_again() {
    let mut t = Scenario::standing();
    t.surveyed(&[]);
    t.answered(Answer::Unknown("lost".into()));
    t.did(["Create m1", "timer 500 ms"]);
    t.happens(Event::Disconnected);
    t.connected(OURS);
    t.did([]);
    t.happens(Event::Timer(t.timer));
    t.did(["Survey"]);
    t.surveyed(&[seat(2, THEIRS, "m2"), seat(3, OURS, "m1")]);
    t.did([]);
}

#[test]
fn of_two_seats_of_its_own_the_later_is_given_up() {
    let mut t = Scenario::standing();
    t.surveyed(&[seat(5, OURS, "m1"), seat(3, OURS, "m1"), seat(4, THEIRS, "m2")]);
    t.did(["Delete json.info_0000000005"]);
    t.answered(Answer::Done);
    t.surveyed(&[seat(3, OURS, "m1"), seat(4, THEIRS, "m2")]);
    t.did(["Survey", "ReadEpoch"]);
}

#[test]
fn a_leader_that_is_cut_off_suspends_at_once_and_leads_on_when_all_is_as_it_was() {
    let mut t = Scenario::leading();
    t.happens(Event::Disconnected);
    t.did(["suspend", "timer 5000 ms"]);
    t.connected(OURS);
    t.did(["Survey"]);
    t.surveyed(&[seat(3, OURS, "m1"), seat(4, THEIRS, "m2")]);
    t.did(["ReadEpoch"]);
    t.answered(Answer::Epoch { number: 5, version: 10, by: "m1".into() });
    t.did(["resume"]);
    t.happens(Event::Timer(t.timer));
    t.did([]);
}

#[test]
fn a_leader_that_is_cut_off_for_half_the_time_out_is_deposed_though_its_session_lives() {
    let mut t = Scenario::leading();
    t.happens(Event::Disconnected);
    t.happens(Event::Timer(t.timer));
    let why = "depose: no ZooKeeper server answered for half of the session time-out";
    t.did(["suspend", "timer 5000 ms", why]);
    // Its seat would keep others from leading, and it stands under another name.
    t.happens(Event::Stand { id: "m9".into() });
    t.connected(OURS);
    t.surveyed(&[seat(3, OURS, "m1"), seat(4, THEIRS, "m2")]);
    t.did(["Survey", "Delete json.info_0000000003"]);
    t.answered(Answer::Done);
    t.surveyed(&[seat(4, THEIRS, "m2")]);
    t.did(["Survey", "Create m9"]);
}

#[test]
fn the_patience_of_a_suspended_leader_runs_on_while_it_looks() {
    let mut t = Scenario::leading();
    t.happens(Event::Disconnected);
    let patience = t.timer;
    t.connected(OURS);
    t.answered(Answer::Unknown("lost again".into()));
    t.happens(Event::Disconnected);
    t.happens(Event::Timer(patience));
    let why = "depose: no ZooKeeper server answered for half of the session time-out";
    t.did(["suspend", "timer 5000 ms", "Survey", "timer 500 ms", why]);
}

#[test]
fn a_leader_whose_session_expires_is_deposed_and_its_old_seat_is_cleared_by_the_next() {
    let mut t = Scenario::leading();
    t.happens(Event::Disconnected);
    t.happens(Event::Expired);
    let why = "depose: its session with ZooKeeper expired";
    t.did(["suspend", "timer 5000 ms", why]);
    t.happens(Event::Stand { id: "m9".into() });
    t.connected(11);
    t.answered(Answer::Prepared);
    t.surveyed(&[seat(3, OURS, "m1")]);
    t.did(["Prepare", "Survey", "Delete json.info_0000000003"]);
    t.answered(Answer::Done);
    t.surveyed(&[]);
    t.did(["Survey", "Create m9"]);
}

#[test]
fn another_session_than_the_known_one_means_that_it_expired() {
    let mut t = Scenario::leading();
    t.connected(11);
    t.did(["depose: its session with ZooKeeper expired", "Prepare"]);
}

#[test]
fn a_candidate_whose_session_expires_stands_on_and_gives_up_the_seat_that_will_vanish() {
    let mut t = Scenario::standing();
    t.surveyed(&[seat(2, THEIRS, "m2"), seat(3, OURS, "m1")]);
    t.happens(Event::Disconnected);
    t.happens(Event::Expired);
    t.connected(11);
    t.answered(Answer::Prepared);
    t.surveyed(&[seat(2, THEIRS, "m2"), seat(3, OURS, "m1")]);
    t.did(["Prepare", "Survey", "Delete json.info_0000000003"]);
    t.answered(Answer::Done);
    t.surveyed(&[seat(2, THEIRS, "m2")]);
    t.did(["Survey", "Create m1"]);
}

#[test]
fn a_deleted_seat_deposes_its_leader_and_is_taken_anew_by_who_only_waited() {
    let mut t = Scenario::leading();
    t.changed(&[seat(4, THEIRS, "m2")]);
    t.did(["depose: its node was deleted", "Survey"]);

    let mut t = Scenario::standing();
    t.surveyed(&[seat(2, THEIRS, "m2"), seat(3, OURS, "m1")]);
    t.changed(&[seat(2, THEIRS, "m2")]);
    t.did(["Create m1"]);
}

#[test]
fn a_leader_before_whom_somebody_sits_down_is_deposed() {
    let mut t = Scenario::leading();
    t.changed(&[seat(1, THEIRS, ""), seat(3, OURS, "m1")]);
    t.did(["depose: the node json.info_0000000001 comes before its own", "Survey"]);
}

#[test]
fn a_later_epoch_deposes_however_it_is_noticed() {
    let mut t = Scenario::leading();
    t.happens(Event::Fenced("epoch 6 has begun".into()));
    t.did(["depose: epoch 6 has begun", "Survey"]);

    let mut t = Scenario::leading();
    t.happens(Event::Disconnected);
    t.connected(OURS);
    t.surveyed(&[seat(3, OURS, "m1")]);
    t.answered(Answer::Epoch { number: 6, version: 12, by: "import".into() });
    let last = "depose: epoch 6 has begun";
    t.did(["suspend", "timer 5000 ms", "Survey", "ReadEpoch", last, "Survey"]);
}

#[test]
fn an_ensemble_that_is_away_for_long_is_waited_for() {
    let mut t = Scenario::standing();
    for session in 20..40 {
        t.happens(Event::Disconnected);
        t.answered(Answer::Unknown("away".into()));
        t.happens(Event::Expired);
        t.connected(session);
        t.did(["timer 500 ms", "Prepare"]);
    }
    t.answered(Answer::Prepared);
    t.surveyed(&[]);
    t.did(["Survey", "Create m1"]);
}

#[test]
fn what_no_repetition_mends_ends_the_candidacy_and_it_may_stand_again() {
    let mut t = Scenario::standing();
    t.answered(Answer::Refused("no right".into()));
    t.did(["fail: no right"]);
    t.happens(Event::SeatsChanged);
    t.answered(Answer::Refused("no right".into()));
    t.did(["Survey"]);
    t.happens(Event::Stand { id: "m2".into() });
    t.surveyed(&[]);
    t.did(["Survey", "Create m2"]);
}

#[test]
fn a_path_that_somebody_removed_is_made_again() {
    let mut t = Scenario::standing();
    t.answered(Answer::Missing);
    t.did(["Prepare"]);
    t.answered(Answer::Prepared);
    t.did(["Survey"]);
}

#[test]
fn answers_and_timers_of_an_earlier_session_are_nothing() {
    let mut t = Scenario::standing();
    let (asked, session) = (t.asked, 11);
    t.happens(Event::Expired);
    t.connected(session);
    t.happens(Event::Answered(asked, Answer::Surveyed(vec![seat(1, session, "m1")])));
    t.happens(Event::Timer(99));
    t.did(["Prepare"]);
}

#[cfg(feature = "testing")]
mod mistakes {
    use super::super::bugs::{Bug, Bugs};
    use super::*;

    fn standing(bug: Bug) -> Scenario {
        let mut t = Scenario::standing();
        t.election = std::mem::take(&mut t.election).with_bugs(Bugs::only([bug]));
        t
    }

    fn leading(bug: Bug) -> Scenario {
        let mut t = Scenario::leading();
        t.election = std::mem::take(&mut t.election).with_bugs(Bugs::only([bug]));
        t
    }

    #[test]
    fn who_is_not_the_lowest_leads() {
        let mut t = standing(Bug::LeadsThoughNotLowest);
        t.surveyed(&[seat(2, THEIRS, "m2"), seat(3, OURS, "m1")]);
        t.did(["ReadEpoch"]);
    }

    #[test]
    fn an_epoch_begins_that_nobody_raised() {
        let mut t = standing(Bug::LeadsBeforeRaising);
        t.surveyed(&[seat(3, OURS, "m1")]);
        t.answered(Answer::Epoch { number: 4, version: 9, by: "m0".into() });
        t.did(["ReadEpoch", "lead 5 at 10"]);
    }

    #[test]
    fn a_leader_that_is_cut_off_does_not_suspend() {
        let mut t = leading(Bug::NotSuspendedWhenCutOff);
        t.happens(Event::Disconnected);
        t.did([]);
    }

    #[test]
    fn a_leader_that_is_back_resumes_before_it_has_asked() {
        let mut t = leading(Bug::ResumesWithoutLooking);
        t.happens(Event::Disconnected);
        t.connected(OURS);
        t.did(["suspend", "timer 5000 ms", "resume", "Survey"]);
    }

    #[test]
    fn the_seat_of_a_reign_that_is_over_stays() {
        let mut t = leading(Bug::FormerSeatsStay);
        t.happens(Event::Fenced("epoch 6 has begun".into()));
        t.happens(Event::Stand { id: "m9".into() });
        t.surveyed(&[seat(3, OURS, "m1")]);
        t.did(["depose: epoch 6 has begun", "Survey", "Create m9"]);
    }

    #[test]
    fn a_deposed_leader_leads_again_under_its_old_id() {
        let mut t = leading(Bug::SameCandidateAgain);
        t.happens(Event::Fenced("epoch 6 has begun".into()));
        t.happens(Event::Stand { id: "m9".into() });
        t.surveyed(&[seat(3, OURS, "m1")]);
        t.did(["depose: epoch 6 has begun", "Survey", "ReadEpoch"]);
    }

    #[test]
    fn a_change_does_not_wake_who_waits_for_it() {
        let mut t = standing(Bug::ChangeMissed);
        t.surveyed(&[seat(2, THEIRS, "m2"), seat(3, OURS, "m1")]);
        t.happens(Event::SeatsChanged);
        t.did([]);
    }
}
