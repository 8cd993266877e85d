//! What the network promises, and that it keeps its books when it breaks.

use std::time::Duration;

use super::*;
use crate::queue::Queue;

const A: Life = Life { process: 1, life: 1 };
const B: Life = Life { process: 2, life: 1 };

struct Net {
    network: Network<u32>,
    queue: Queue<Happening>,
    brought: Vec<Brought<u32>>,
}

impl Net {
    fn new(seed: u64) -> Self {
        let mut network = Network::new(Chance::new(seed));
        network.started(A, Host(1), false);
        network.started(B, Host(2), true);
        Self { network, queue: Queue::default(), brought: Vec::new() }
    }

    fn send(&mut self, from: Life, to: Life, payload: u32) -> Sent {
        self.network.send(self.queue.now(), from, to, Lane::Normal, payload)
    }

    fn send_all(&mut self, from: Life, to: Life, payloads: std::ops::Range<u32>) {
        for payload in payloads {
            assert_eq!(self.send(from, to, payload), Sent::Accepted);
        }
    }

    /// Runs for so long.
    fn pass(&mut self, span: Duration) {
        let until = self.queue.now() + span;
        loop {
            for (at, happening) in self.network.take_due() {
                self.queue.at(at, happening);
            }
            let Some(happening) = self.queue.pop_until(until) else {
                break;
            };
            let brought = self.network.happen(self.queue.now(), happening);
            self.brought.extend(brought);
            let in_flight = self.network.in_flight();
            assert!(self.network.accounts().add_up(in_flight), "{:?}", self.network.accounts());
        }
        self.queue.rest_until(until);
    }

    fn heard_by(&self, who: Life) -> Vec<u32> {
        let heard = self.brought.iter().filter_map(|brought| match brought {
            Brought::Message { to, payload, .. } if *to == who => Some(*payload),
            Brought::Message { .. } | Brought::Down { .. } => None,
        });
        heard.collect()
    }

    fn downs_of(&self, who: Life) -> usize {
        let is_down = |brought: &&Brought<u32>| match brought {
            Brought::Down { watcher, .. } => *watcher == who,
            Brought::Message { .. } => false,
        };
        self.brought.iter().filter(is_down).count()
    }
}

#[test]
fn messages_of_a_pair_keep_their_order_and_the_dialler_is_answered() {
    for seed in 0..50 {
        let mut net = Net::new(seed);
        net.send_all(A, B, 0..100);
        net.pass(Duration::from_secs(5));
        net.send_all(B, A, 0..100);
        net.pass(Duration::from_secs(5));
        let all: Vec<u32> = (0..100).collect();
        assert_eq!((net.heard_by(B), net.heard_by(A)), (all.clone(), all));
    }
}

#[test]
fn lanes_do_not_wait_for_each_other() {
    let overtakes = |seed| {
        let mut net = Net::new(seed);
        net.send(A, B, 0);
        net.pass(Duration::from_secs(1));
        net.network.send(net.queue.now(), A, B, Lane::Bulk, 1);
        net.send(A, B, 2);
        net.pass(Duration::from_secs(1));
        net.heard_by(B) == [0, 2, 1]
    };
    assert!((0..50).any(overtakes) && !(0..50).all(overtakes));
}

#[test]
fn a_broken_connection_loses_a_suffix_and_each_side_hears_it_once() {
    let mut lost_some = false;
    for seed in 0..50 {
        let mut net = Net::new(seed);
        net.send(A, B, 0);
        net.pass(Duration::from_secs(1));
        net.network.link(net.queue.now(), A, B);
        net.network.link(net.queue.now(), B, A);
        net.send_all(A, B, 1..20);
        net.network.break_between(net.queue.now(), A, B);
        net.pass(Duration::from_secs(20));
        let heard = net.heard_by(B);
        let prefix: Vec<u32> = (0..u32::try_from(heard.len()).unwrap()).collect();
        assert_eq!(heard, prefix);
        assert_eq!((net.downs_of(A), net.downs_of(B)), (1, 1));
        lost_some |= heard.len() < 20;
        net.send(A, B, 99);
        net.pass(Duration::from_secs(1));
        assert_eq!(net.heard_by(B).last(), Some(&99), "a new conversation begins");
        assert_eq!(net.network.in_flight(), 0);
    }
    assert!(lost_some);
}

#[test]
fn a_short_partition_delays_and_a_long_one_breaks_both_sides() {
    for (seconds, broken) in [(3, 0), (30, 1)] {
        let mut net = Net::new(7);
        net.send(A, B, 0);
        net.pass(Duration::from_secs(1));
        net.network.link(net.queue.now(), A, B);
        net.network.link(net.queue.now(), B, A);
        net.network.block(net.queue.now(), Host(1), Host(2));
        net.send(A, B, 1);
        net.pass(Duration::from_secs(seconds));
        assert_eq!(net.heard_by(B), [0]);
        net.network.heal(net.queue.now());
        net.pass(Duration::from_secs(30));
        assert_eq!((net.downs_of(A), net.downs_of(B)), (broken, broken), "{seconds} s");
        assert_eq!(net.heard_by(B).len(), 2 - broken);
    }
}

#[test]
fn who_only_dials_is_not_dialled_and_the_dead_are_not_reached() {
    let mut net = Net::new(1);
    assert_eq!(net.send(B, A, 1), Sent::Unreachable);
    net.network.link(net.queue.now(), B, A);
    net.network.died(net.queue.now(), B, false);
    net.send(A, B, 2);
    net.pass(Duration::from_secs(1));
    assert_eq!((net.heard_by(A), net.heard_by(B)), (vec![], vec![]));
    assert_eq!(net.network.accounts().dropped_because(Drop::Unreachable), 2);
}

#[test]
fn a_frozen_process_is_given_up_after_the_silence() {
    let mut net = Net::new(3);
    net.send(A, B, 0);
    net.pass(Duration::from_secs(1));
    net.network.link(net.queue.now(), B, A);
    net.network.froze(net.queue.now(), A);
    net.pass(SILENCE - Duration::from_secs(1));
    assert_eq!(net.downs_of(B), 0);
    net.pass(Duration::from_secs(2));
    assert_eq!(net.downs_of(B), 1);
}
