//! Masters that are elected, and what becomes of a cluster when its leader goes. `cargo xtask test-failover` sets
//! `FAILOVER_LONG`: then leaders are killed ten times, and what is frozen is so for a minute.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // all of this is a test

mod asker;
mod bad_input;
mod chronos;
mod deposed;
mod kazoo;
mod moving;
mod partitions;
mod seats;
mod stage;

use std::time::{Duration, Instant};

use asker::Asker;
use seats::Stranger;
use stage::{LEADS_WITHIN, PATH, Stage};
use tests::cluster::eventually;

/// Whether the stories are told at length.
fn at_length() -> bool {
    std::env::var_os("FAILOVER_LONG").is_some()
}

#[test]
fn a_killed_leader_is_followed_by_another_and_no_task_notices() {
    let mut stage = Stage::set();
    for kill in 0..if at_length() { 10 } else { 2 } {
        if at_length() {
            // Between nothing and two seconds after all was well: at no moment in particular.
            stage.stays_whole_for(Duration::from_millis(kill * 7919 % 2000));
        }
        stage.kill_leader();
        stage.is_whole();
    }
}

#[test]
fn a_frozen_leader_is_followed_by_another_and_harms_nobody_when_it_wakes() {
    let mut stage = Stage::set();
    let asker = Asker::of_leader(&stage);
    let old = stage.freeze_leader();
    stage.is_whole();
    // It will find these when it wakes up, perhaps before it hears that it leads no more.
    stage.frameworks.iter().for_each(|held| asker.asks_to_kill_all_of(held));
    if at_length() {
        stage.stays_whole_for(Duration::from_secs(60));
    }
    stage.thaw_master(&old, "stands for election again");
    stage.is_whole();
}

#[test]
fn a_frozen_zookeeper_server_is_no_more_than_a_pause() {
    let mut stage = Stage::set();
    let leader = stage.ensemble.leader().unwrap();
    for frozen in [leader, leader % 3 + 1] {
        stage.ensemble.freeze(frozen);
        stage.leads_without(frozen, Instant::now(), LEADS_WITHIN);
        stage.is_whole();
        if at_length() {
            stage.stays_whole_for(Duration::from_secs(60));
        }
        stage.ensemble.thaw(frozen);
        stage.is_whole();
        // Until it is one of them again, the others have nobody to spare.
        stage.ensemble.wait_until_serving(frozen).unwrap();
    }
}

#[test]
fn ha_03_a_leader_whose_node_is_deleted_drops_its_state_and_stands_again_under_another_id() {
    let mut stage = Stage::set();
    let stranger = stage.waits(Stranger::new(&stage.ensemble.hosts()));
    let old = stage.leader().unwrap();
    let seats = || stage.waits(stranger.seats(PATH));
    assert_eq!(seats()[0].1["id"], old.id.as_str());
    stage.waits(stranger.deletes(&seats()[0].0));
    stage.another_leads(&old, Instant::now(), LEADS_WITHIN);
    stage.is_whole();
    let again = format!("master@{}", old.address);
    eventually("it stands again", || {
        let seats = seats();
        let last = seats.last().filter(|_| seats.len() == 3);
        last.is_some_and(|(_, master)| {
            master["pid"] == again.as_str() && master["id"] != old.id.as_str()
        })
    });
    assert_eq!(stage.agents_of(&old.address), None, "it has nothing of its reign");
    stage.one_leads();
    // Both before it have to stand again too: its next reign learns everything anew.
    for (node, _) in &seats()[..2] {
        stage.waits(stranger.deletes(node));
    }
    eventually("it leads", || {
        stage.leader().is_some_and(|now| now.address == old.address && now.id != old.id)
    });
    stage.is_whole();
    stage.one_leads();
    stage.master(&old).process.says("stands for election again");
}
