//! The model does what ZooKeeper does.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ensemble() -> (Ensemble, i64, i64) {
    let mut ensemble = Ensemble::new(4 * SECOND);
    let (one, other) = (ensemble.open(Duration::ZERO, 1), ensemble.open(Duration::ZERO, 2));
    let told = ask(&mut ensemble, one, Request::Survey);
    assert_eq!(told, Answer::Missing, "the path is not there yet");
    assert_eq!(ask(&mut ensemble, one, Request::Prepare), Answer::Prepared);
    (ensemble, one, other)
}

fn ask(ensemble: &mut Ensemble, session: i64, request: Request) -> Answer {
    let told = ensemble.perform(session, "1:5050", &Ask::<()>::Elect(request));
    let Told::Elected(answer) = told else {
        panic!("{told:?} answers no candidate");
    };
    answer
}

fn sits(ensemble: &mut Ensemble, session: i64, id: &str) {
    assert_eq!(ask(ensemble, session, Request::Create { id: id.to_owned() }), Answer::Done);
}

fn raise(ensemble: &mut Ensemble, session: i64, seat: &str, to: u64, version: i32) -> Answer {
    let (seat, by) = (seat.to_owned(), "a".to_owned());
    ask(ensemble, session, Request::Raise { seat, by, to, version })
}

#[test]
fn a_session_that_is_not_heard_of_takes_its_seat_with_it_and_watches_fire_once() {
    let (mut ensemble, one, other) = ensemble();
    sits(&mut ensemble, one, "a");
    ask(&mut ensemble, other, Request::Survey);
    assert!(ensemble.hears(3 * SECOND, other, 2));
    ensemble.expire(5 * SECOND);
    assert_eq!(ensemble.take_fired(), [other]);
    assert_eq!(ask(&mut ensemble, other, Request::Survey), Answer::Surveyed(Vec::new()));
    sits(&mut ensemble, other, "b");
    sits(&mut ensemble, other, "c");
    assert_eq!(ensemble.take_fired(), [other], "a watch fires once");
    assert!(!ensemble.go_on(5 * SECOND, one, 3), "the session is over");
}

#[test]
fn after_the_servers_were_away_every_session_has_its_whole_time_again() {
    let (mut ensemble, one, _) = ensemble();
    ensemble.is_back(60 * SECOND);
    ensemble.expire(63 * SECOND);
    assert!(ensemble.go_on(63 * SECOND, one, 3));
    assert!(!ensemble.hears(63 * SECOND, one, 1), "what comes by the old connection is refused");
}

#[test]
fn an_epoch_is_raised_only_as_it_was_read_and_from_a_seat_that_is_there() {
    let (mut ensemble, one, other) = ensemble();
    sits(&mut ensemble, one, "a");
    let seat = "json.info_0000000001";
    assert_eq!(raise(&mut ensemble, one, seat, 1, 0), Answer::Raised { version: 1 });
    assert_eq!(raise(&mut ensemble, one, seat, 1, 0), Answer::Conflict);
    assert_eq!(raise(&mut ensemble, one, "json.info_0000000009", 2, 1), Answer::Conflict);
    assert_eq!(ensemble.raised_by(1), Some("a"));
    assert_eq!(ensemble.take_wrong(), None);
    sits(&mut ensemble, other, "b");
    raise(&mut ensemble, other, "json.info_0000000002", 2, 1);
    assert!(ensemble.take_wrong().is_some(), "it was not the lowest");
}

#[test]
fn a_batch_counts_only_as_the_reign_left_the_epoch_and_the_count() {
    let (mut ensemble, one, _) = ensemble();
    sits(&mut ensemble, one, "a");
    raise(&mut ensemble, one, "json.info_0000000001", 1, 0);
    let write = |fence, version, batches| {
        let link = Link { fence, version, batches };
        Ask::Write(Write { epoch: 1, by: "a".to_owned(), link, what: () })
    };
    let mut perform = |ask| ensemble.perform(one, "1:5050", &ask);
    assert_eq!(perform(write(1, 0, 1)), Told::Wrote);
    assert_eq!(perform(write(1, 0, 1)), Told::NotWritten, "it is made already");
    assert_eq!(perform(write(0, 1, 2)), Told::NotWritten, "another epoch has begun");
    let written = Count { epoch: 1, by: "a".to_owned(), batches: 1, version: 1 };
    let epoch = Epoch { number: 1, version: 1, by: "a".to_owned() };
    assert_eq!(perform(Ask::ReadWritten), Told::Counted(written, epoch));
}

#[test]
fn who_looks_finds_the_lowest_seat() {
    let (mut ensemble, one, other) = ensemble();
    let look = |ensemble: &mut Ensemble| ensemble.perform(other, "", &Ask::<()>::Look);
    assert_eq!(look(&mut ensemble), Told::Found(Found::Nobody));
    sits(&mut ensemble, one, "a");
    sits(&mut ensemble, other, "b");
    assert_eq!(ensemble.take_fired(), [other]);
    let leader = Candidate { id: "a".to_owned(), ..Candidate::at("1:5050") };
    assert_eq!(look(&mut ensemble), Told::Found(Found::Leader(leader)));
    ensemble.delete("json.info_0000000001");
    assert_eq!(ensemble.take_fired(), [other]);
}
