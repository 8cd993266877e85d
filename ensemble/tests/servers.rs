//! Real servers, killed, frozen and started again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ensemble::Ensemble;

#[track_caller]
fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < until, "not within a minute: {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn three_servers_have_a_leader_and_another_one_when_it_is_killed() {
    let mut ensemble = Ensemble::start(3).unwrap();
    assert_eq!(ensemble.hosts().split(',').count(), 3);
    let first = ensemble.leader().expect("all serve");
    ensemble.kill(first);
    eventually("another one leads", || ensemble.leader().is_some_and(|now| now != first));
    ensemble.restart(first).unwrap();
    let second = ensemble.leader().expect("a majority was there all the time");
    ensemble.freeze(second);
    eventually("a third reign", || ensemble.leader().is_some_and(|now| now != second));
    ensemble.thaw(second);
    ensemble.wait_until_serving(second).unwrap();
}

#[test]
fn one_server_is_an_ensemble_and_nothing_is_left_of_it() {
    let ensemble = Ensemble::start(1).unwrap();
    assert_eq!(ensemble.leader(), Some(1));
    let folder = ensemble.log(1).parent().unwrap().parent().unwrap().to_owned();
    let mut client = TcpStream::connect(ensemble.address(1)).unwrap();
    client.write_all(b"ruok").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "imok");
    let address = ensemble.address(1);
    drop(ensemble);
    assert!(TcpStream::connect(address).is_err(), "the port is free");
    assert!(!folder.exists(), "the folder is gone");
}
