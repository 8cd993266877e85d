//! Leaders that are cut off: from ZooKeeper, from agents, from everybody; in both directions, or in one. And lines that are slow,
//! late and break.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use coordination::election::Candidate;
use protocol::task::TaskState;
use tests::cluster::eventually;
use tests::holder::Held;
use tests::line::Weather;
use tests::network::{Cut, EVERYBODY, Others, Room, SERVERS, here, in_own_network};

use crate::at_length;
use crate::stage::{AGENTS_APART, LEADS_WITHIN, SESSION, Stage};

const ZOOKEEPER: Others = Others::only(SERVERS);

impl Stage<'_> {
    /// Nothing passes any more between the leader and others.
    fn cut_leader(&mut self, others: Others, how: Cut) -> Candidate {
        let leader = self.leader().expect("somebody leads");
        eprintln!("the leader at {} is cut from {others:?}: {how:?}", leader.address);
        self.room_of(&leader).cut(others, how);
        leader
    }

    fn room_of(&mut self, master: &Candidate) -> &Room {
        self.master(master).room.as_ref().expect("masters have rooms here")
    }

    /// All can talk to all again: one leads, every task is what it was, and all are of one mind.
    fn heals(&mut self, cut_off: &Candidate) {
        self.room_of(cut_off).heal();
        let since = Instant::now();
        self.one_leads();
        self.is_whole();
        eprintln!("healed after {:?}", since.elapsed());
    }

    /// Whoever cannot reach ZooKeeper leads no longer, and all go to another one meanwhile.
    fn follows_the_one_cut_from(&mut self, others: Others, how: Cut) {
        let since = Instant::now();
        let old = self.cut_leader(others, how);
        // What a deaf one says is heard until it gives its connection up.
        let heard = if how == Cut::Deaf { SESSION / 2 } else { Duration::ZERO };
        self.another_leads(&old, since, heard + LEADS_WITHIN);
        self.master(&old).process.says("stands for election again");
        self.is_whole();
        self.lasts();
        self.heals(&old);
        assert_ne!(self.leader().map(|leader| leader.id), Some(old.id), "its reign is over");
    }

    /// Whoever reaches ZooKeeper leads on, and agents that it lost come back to it.
    fn keeps_the_one_cut_from(&mut self, others: Others, how: Cut) {
        let leader = self.cut_leader(others, how);
        let since = Instant::now();
        eventually("its agents are lost", || self.agents_of(&leader.address) == Some(0));
        eprintln!("all agents are lost after {:?}", since.elapsed());
        self.lasts();
        self.heals(&leader);
        assert_eq!(self.leader(), Some(leader), "it leads on");
    }

    /// Nothing changes for a while, if there is time to look.
    fn lasts(&self) {
        if at_length() {
            self.stays_whole_for(Duration::from_secs(10));
        }
    }
}

#[test]
fn a_leader_cut_from_zookeeper_is_followed_by_another_and_all_is_one_again_after_healing() {
    in_own_network(|network| {
        let mut stage = Stage::set_apart(network);
        stage.follows_the_one_cut_from(ZOOKEEPER, Cut::Both);
        if at_length() {
            for how in [Cut::Deaf, Cut::Mute, Cut::Unroutable] {
                stage.follows_the_one_cut_from(ZOOKEEPER, how);
            }
            for how in [Cut::Both, Cut::Deaf, Cut::Mute, Cut::Unroutable] {
                stage.follows_the_one_cut_from(EVERYBODY, how);
            }
        }
    });
}

#[test]
fn a_leader_cut_from_its_agents_leads_on_and_has_them_and_their_tasks_back_after_healing() {
    in_own_network(|network| {
        let mut stage = Stage::set_apart(network);
        stage.keeps_the_one_cut_from(AGENTS_APART, Cut::Mute);
        if at_length() {
            for how in [Cut::Both, Cut::Deaf, Cut::Unroutable] {
                stage.keeps_the_one_cut_from(AGENTS_APART, how);
            }
        }
    });
}

/// Three pings in a row, a second each, come before connections count as lost.
const IMPATIENT: [&str; 4] = ["--agent-ping-timeout", "1secs", "--max-agent-ping-timeouts", "3"];

#[test]
fn part_01_part_04_agents_behind_a_cut_become_unreachable_and_their_tasks_come_back_as_it_heals() {
    in_own_network(|network| {
        let mut stage = Stage::set_apart_with(network, &IMPATIENT);
        let since = Instant::now();
        let leader = stage.cut_leader(AGENTS_APART, Cut::Both);
        eventually("every framework hears that all its tasks are unreachable", || {
            stage.frameworks.iter().all(|held| {
                held.sees().tasks.values().all(|state| *state == TaskState::Unreachable)
            })
        });
        eprintln!("unreachable after {:?}", since.elapsed());
        stage.frameworks.iter().for_each(Held::forgives);
        stage.heals(&leader);
        assert_eq!(stage.leader(), Some(leader), "it leads on");
    });
}

#[test]
fn over_lines_that_are_slow_and_break_a_killed_leader_is_followed_and_no_task_notices() {
    in_own_network(|network| {
        let weather = Weather {
            delay: Duration::from_millis(20),
            bytes_a_tick: 512,
            breaks_after: 128 << 10,
        };
        let mut stage = Stage::set_in_bad_weather(network, weather);
        for _ in 0..if at_length() { 3 } else { 1 } {
            stage.kill_leader();
            stage.is_whole();
        }
        stage.one_leads();
    });
}

/// Networks that some process or thread of this machine is in.
fn networks() -> BTreeSet<PathBuf> {
    let processes = procfs::process::all_processes().unwrap().flatten();
    let threads = processes.filter_map(|process| process.tasks().ok()).flatten().flatten();
    let of = |task: procfs::process::Task| {
        std::fs::read_link(format!("/proc/{}/task/{}/ns/net", task.pid, task.tid)).ok()
    };
    threads.filter_map(of).collect()
}

#[test]
fn a_story_that_fails_leaves_nothing_of_its_network() {
    let (told, made) = std::sync::mpsc::channel();
    let story = std::panic::AssertUnwindSafe(|| {
        in_own_network(|network| {
            let room = network.room([10, 77, 0, 16].into());
            let _process = room.start("sleeps", Command::new("sleep").arg("1000"));
            told.send([here(), room.network()]).unwrap();
            panic!("on purpose");
        });
    });
    let failed = std::panic::catch_unwind(story).is_err();
    drop(told);
    // Nothing was made where that is not possible, which was said.
    let made = made.iter().flatten().collect::<BTreeSet<_>>();
    assert_eq!((failed, made.len()), if failed { (true, 2) } else { (false, 0) });
    assert!(!made.contains(&here()));
    eventually("nobody is in it", || networks().is_disjoint(&made));
}
