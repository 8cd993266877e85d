//! Servers that die, freeze and come back, one or all of them. Each of these stories has the ensemble alone.

use coordination::election::Detector;
use coordination::store::{Change, Store};

use crate::stage::{Member, Stranger, ensemble_alone, eventually, hears, path};

fn put(key: &str) -> Vec<Change> {
    vec![Change::Put { key: key.into(), value: b"x".to_vec() }]
}

#[test]
fn the_ensembles_own_leader_may_die_or_freeze_and_one_of_ours_leads_on() {
    let mut ensemble = ensemble_alone();
    let url = ensemble.url(&path("their-leader"));
    let mut member = Member::new(&url, "m");
    let mut newest = 0;
    let (mut store, mut reign) = member.leads();
    for kill in [true, false] {
        let theirs = ensemble.leader().expect("all serve");
        if kill {
            ensemble.kill(theirs);
        } else {
            ensemble.freeze(theirs);
        }
        eventually("they elected another", || ensemble.leader().is_some_and(|now| now != theirs));
        // It was suspended for a while, or deposed: then it stands again, and either way it writes in the end.
        eventually("it writes again", || match store.write(reign.epoch, &put("a")) {
            Ok(()) => true,
            Err(_) => {
                member.is_deposed();
                (store, reign) = member.leads();
                false
            }
        });
        assert!(reign.epoch >= newest, "epochs only grow");
        newest = reign.epoch;
        if kill {
            ensemble.restart(theirs).unwrap();
        } else {
            ensemble.thaw(theirs);
            ensemble.wait_until_serving(theirs).unwrap();
        }
    }
}

#[test]
fn an_ensemble_that_is_away_for_long_is_found_again_by_all() {
    let mut ensemble = ensemble_alone();
    let path = path("away");
    let url = ensemble.url(&path);
    let (mut first, mut second) = (Member::new(&url, "first"), Member::new(&url, "second"));
    let (mut store, reign) = first.leads();
    store.write(reign.epoch, &put("a")).unwrap();
    let waits = second.stands();
    second.finds("first-1");
    for number in 1..=3 {
        ensemble.kill(number);
    }
    first.is_suspended();
    first.is_deposed();
    assert!(store.write(reign.epoch, &put("b")).is_err());
    for member in [&first, &second] {
        hears(&member.zookeeper.leader(), "nobody leads", |leader| leader.is_none());
        let trouble = hears(&member.zookeeper.trouble(), "why", |trouble| trouble.is_some());
        assert!(trouble.unwrap().contains("no ZooKeeper server of zk://"));
    }
    let again = first.stands();
    for number in 1..=3 {
        ensemble.start_server(number).unwrap();
    }
    eventually("one of both leads", || !again.waits() || !waits.waits());
    let (leading, (mut store, later)) =
        if again.waits() { (&second, waits.leads()) } else { (&first, again.leads()) };
    assert!(later.epoch > reign.epoch);
    leading.is_leading();
    assert_eq!(store.load().unwrap().into_keys().collect::<Vec<_>>(), ["a"]);
    store.write(later.epoch, &put("c")).unwrap();
    for number in 1..=3 {
        ensemble.wait_until_serving(number).unwrap();
    }
}

#[test]
fn an_ensemble_without_a_majority_is_said_and_waited_for() {
    let mut ensemble = ensemble_alone();
    let path = path("minority");
    for number in [1, 2] {
        ensemble.kill(number);
    }
    let mut member = Member::new(&ensemble.url(&path), "m");
    let waits = member.stands();
    let trouble = hears(&member.zookeeper.trouble(), "why", |trouble| trouble.is_some());
    let trouble = trouble.unwrap();
    assert!(trouble.contains(&path) && trouble.contains("no majority"), "{trouble}");
    assert!(waits.waits());
    for number in [1, 2] {
        ensemble.restart(number).unwrap();
    }
    assert_eq!(waits.leads().1.epoch, 1);
    assert_eq!(Stranger::new(&ensemble.hosts()).seats(&path).len(), 1);
}
