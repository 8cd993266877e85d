//! The watchdog: names handlers that run too long, mailboxes that only grow, and a wall clock that jumps. Lives on a thread that no actor uses.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::cell::Meta;
use crate::clock::{Clock, Reading};
use crate::flow;
use crate::metrics::Counters;
use crate::node::Node;
use crate::pid::Pid;

/// Looks during the patience: growth in each of them is growth only.
const LOOKS: u32 = 4;
/// Fewer messages in a mailbox are nothing to speak of.
const FEW: u64 = 64;
/// Suspects remembered.
const MOST: usize = 64;

/// What an actor does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One of its handlers has been running for longer than it should.
    SlowHandler,
    /// Its mailbox has only grown.
    GrowingMailbox,
}

/// An actor that the watchdog has named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// The actor.
    pub pid: Pid,
    /// Its registered name.
    pub name: Option<String>,
    /// The type of the actor.
    pub kind: &'static str,
    /// What it does wrong.
    pub fault: Fault,
}

/// What was seen of an actor at the last look.
#[derive(Default)]
struct Seen {
    queued: u64,
    grown: u32,
    /// The turn it was in, how long it has been seen in it, and whether it was named for it.
    turn: u64,
    since: u64,
    named: bool,
}

/// The newest suspects.
#[derive(Default)]
pub(crate) struct Suspects(VecDeque<Suspect>);

impl Suspects {
    pub(crate) fn all(&self) -> Vec<Suspect> {
        self.0.iter().cloned().collect()
    }

    fn add(&mut self, suspect: Suspect) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(suspect);
    }
}

/// Looks until the node stops.
pub(crate) async fn watch(node: Node) {
    let patience = node.config().timing.watchdog;
    let mut seen: HashMap<u64, Seen> = HashMap::new();
    let clock = Clock::start();
    let mut before = clock.read();
    while !node.is_stopping() {
        tokio::time::sleep(patience / LOOKS).await;
        let now = clock.read();
        if let Some(words) = look_at_clock(node.counters(), &before, &now) {
            tracing::warn!("{words}");
        }
        before = now;
        let actors = node.metas();
        for meta in &actors {
            look(&node, meta, seen.entry(meta.pid.life.actor).or_default());
        }
        if seen.len() > actors.len() {
            let alive: HashSet<u64> = actors.iter().map(|meta| meta.pid.life.actor).collect();
            seen.retain(|actor, _| alive.contains(actor));
        }
    }
}

/// What is to be said of the wall clock since the last look, if anything; it is counted too.
fn look_at_clock(counters: &Counters, before: &Reading, now: &Reading) -> Option<String> {
    let by_ms = now.jumped_since(before)?;
    counters.clock_jumps.fetch_add(1, Relaxed);
    Some(format!(
        "the wall clock jumped by {by_ms} ms: it was set, or this machine slept; times of logs and flows from before do not compare \
         with those from now on; deadlines and timers go by another clock"
    ))
}

fn look(node: &Node, meta: &Arc<Meta>, seen: &mut Seen) {
    let patience = node.config().timing.watchdog;
    let (now, turn) = (flow::nanos(), meta.begun());
    if turn != seen.turn || !meta.busy.load(Relaxed) {
        (seen.turn, seen.since, seen.named) = (turn, now, false);
    }
    let running = now - seen.since;
    if u128::from(running) >= patience.as_nanos() && !seen.named {
        seen.named = true;
        node.counters().slow_handlers.fetch_add(1, Relaxed);
        let actor = meta.name.as_deref().unwrap_or("unnamed");
        tracing::warn!(actor, pid = %meta.pid, kind = meta.kind, ms = running / 1_000_000, "a handler runs too long");
        suspect(node, meta, Fault::SlowHandler);
    }
    let queued = meta.queued();
    seen.grown = if queued > seen.queued && queued > FEW { seen.grown + 1 } else { 0 };
    seen.queued = queued;
    if seen.grown == LOOKS {
        node.counters().growing_mailboxes.fetch_add(1, Relaxed);
        let actor = meta.name.as_deref().unwrap_or("unnamed");
        tracing::warn!(actor, pid = %meta.pid, kind = meta.kind, queued, "a mailbox only grows");
        suspect(node, meta, Fault::GrowingMailbox);
    }
}

fn suspect(node: &Node, meta: &Meta, fault: Fault) {
    node.suspects_mut().add(Suspect {
        pid: meta.pid,
        name: meta.name.clone(),
        kind: meta.kind,
        fault,
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Timing;
    use crate::metrics::{Living, Metrics};

    #[test]
    fn a_wall_clock_that_jumps_is_said_and_counted_once() {
        let counters = Counters::default();
        let at = |steady, wall| Reading {
            steady: Duration::from_secs(steady),
            wall: Duration::from_secs(wall),
        };
        let readings = [at(0, 1_000), at(1, 1_001), at(2, 4_602), at(3, 4_603), at(4, 1_004)];
        let said: Vec<_> = readings
            .windows(2)
            .map(|pair| look_at_clock(&counters, &pair[0], &pair[1]).unwrap_or_default())
            .collect();
        let spoke: Vec<_> = said.iter().map(|words| !words.is_empty()).collect();
        assert_eq!(spoke, [false, true, false, true]);
        assert!(said[1].contains("jumped by 3600000 ms"), "{}", said[1]);
        assert!(said[3].contains("jumped by -3600000 ms"), "{}", said[3]);
        let metrics = Metrics::new(&counters, Living::default());
        assert_eq!(metrics.clock_jumps, 2);
        assert!(metrics.prometheus().contains("\nlibactor_clock_jumps_total 2\n"));
    }

    #[test]
    fn whoever_is_stuck_is_named_within_two_seconds() {
        let Timing { watchdog: patience, .. } = Timing::default();
        // It begins just after a look, and is named at the first look at which its patience is over. A mailbox is seen to grow
        // for the first time at the next look, and is named after as many as there are in the patience.
        assert!(patience + 2 * (patience / LOOKS) <= Duration::from_secs(2));
    }
}
