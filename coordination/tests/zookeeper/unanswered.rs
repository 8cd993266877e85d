//! Servers that keep a session alive and do not answer what the registry asks in it: nobody waits for ever.

use std::thread::JoinHandle;
use std::time::Duration;

use coordination::export::Portable;
use coordination::store::{Change, Store, StoreError};
use coordination::zookeeper::{Settings, ZooKeeper, ZooKeeperStore};

use crate::stage::{Gate, Member, ensemble, eventually, path, settings};

/// A request may be unanswered for three times as long, twice.
const SESSION_TIMEOUT: Duration = Duration::from_secs(2);

fn hasty(url: &str) -> Settings {
    Settings { session_timeout: SESSION_TIMEOUT, ..settings(url) }
}

fn put(key: &str) -> Vec<Change> {
    vec![Change::Put { key: key.into(), value: b"x".to_vec() }]
}

/// Does it where it cannot keep the test from going on.
fn apart<T: Send + 'static>(
    mut store: ZooKeeperStore,
    what: impl FnOnce(&mut ZooKeeperStore) -> T + Send + 'static,
) -> JoinHandle<(ZooKeeperStore, T)> {
    std::thread::spawn(move || {
        let outcome = what(&mut store);
        (store, outcome)
    })
}

#[track_caller]
fn ends<T>(what: JoinHandle<T>) -> T {
    eventually("it ends", || what.is_finished());
    what.join().unwrap()
}

fn keys(store: &mut ZooKeeperStore) -> Vec<String> {
    store.load().unwrap().into_keys().collect()
}

#[test]
fn a_write_whose_answer_is_lost_is_looked_up_and_the_reign_goes_on() {
    let ensemble = ensemble();
    let gate = Gate::before(&ensemble);
    let mut member = Member::with(hasty(&gate.url(&path("answer-lost"))), "m");
    let (mut store, reign) = member.leads();
    store.write(reign.epoch, &put("a")).unwrap();
    gate.is_mute(true);
    let epoch = reign.epoch;
    let writing = apart(store, move |store| store.write_all(epoch, &[put("b"), put("c")]));
    eventually("both answers are lost", || gate.lost() >= 2);
    gate.is_mute(false);
    let (mut store, outcome) = ends(writing);
    outcome.unwrap();
    member.is_leading();
    assert_eq!(keys(&mut store), ["a", "b", "c"]);
    store.write(epoch, &put("d")).unwrap();
}

#[test]
fn a_write_that_is_never_answered_ends_the_reign_and_the_next_one_knows_what_became_of_it() {
    let ensemble = ensemble();
    let gate = Gate::before(&ensemble);
    let mut member = Member::with(hasty(&gate.url(&path("never-answered"))), "m");
    let (mut store, reign) = member.leads();
    store.write(reign.epoch, &put("a")).unwrap();
    gate.is_mute(true);
    let (mut store, outcome) = ends(apart(store, move |store| store.write(reign.epoch, &put("b"))));
    let error = outcome.unwrap_err();
    assert!(matches!(error, StoreError::Lost { .. }), "{error}");
    let words = error.to_string();
    // Two requests, three time-outs each.
    let (_, seconds) = words.split_once("did not answer in it for ").expect(&words);
    let (seconds, _) = seconds.split_once(' ').unwrap();
    assert!(seconds.parse::<u64>().unwrap() >= 12, "{words}");
    assert!(words.contains("may have been written"), "{words}");
    member.is_deposed();
    assert!(member.zookeeper.unanswered() >= 2);
    gate.is_mute(false);
    assert!(store.write(reign.epoch, &put("c")).is_err(), "its reign is over");
    let (mut store, later) = member.leads();
    assert!(later.epoch > reign.epoch);
    assert_eq!(keys(&mut store), ["a", "b"], "it was written, though nobody said so");
}

#[test]
fn a_registry_whose_first_record_is_not_answered_is_read_again() {
    let ensemble = ensemble();
    let gate = Gate::before(&ensemble);
    let mut member = Member::with(hasty(&gate.url(&path("read-again"))), "m");
    let (mut store, reign) = member.leads();
    store.write(reign.epoch, &put("a")).unwrap();
    gate.is_mute(true);
    let before = gate.lost();
    let reading = apart(store, |store| store.load());
    eventually("an answer is lost", || gate.lost() > before);
    gate.is_mute(false);
    let (_, records) = ends(reading);
    assert_eq!(records.unwrap().into_keys().collect::<Vec<_>>(), ["a"]);
    member.is_leading();
}

#[test]
fn who_exports_from_servers_that_answer_nothing_hears_so() {
    let ensemble = ensemble();
    let (path, gate) = (path("mute-export"), Gate::before(&ensemble));
    Member::new(&ensemble.url(&path), "m").leads();
    let reader = ZooKeeper::start(hasty(&gate.url(&path))).unwrap();
    reader.wait_until_connected(Duration::from_secs(20)).unwrap();
    gate.is_mute(true);
    let (mut store, outcome) = ends(apart(reader.store(), |store| store.export()));
    let words = outcome.unwrap_err().to_string();
    assert!(words.contains("no answer from zk://") && words.contains("keep"), "{words}");
    gate.is_mute(false);
    store.export().unwrap();
}
