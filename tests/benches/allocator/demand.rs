//! How soon a demand is met: a real master process, ten thousand agents on a real network, and a scheduler that states what it
//! needs while nothing else happens. The agents are emulated (`tests::swarm`): their logic is real, their disks and executors are not.

use std::path::Path;
use std::time::{Duration, Instant};

use sdk::prelude::*;
use tests::leader::Leader;
use tests::swarm::{Counts, Swarm, each};

use measure::{Measured, Row};

const AGENTS: u64 = 10_000;
const WITHIN: Duration = Duration::from_secs(300);

/// How often it is measured.
const DEMANDS: usize = 500;

/// Between two demands; what the last one set off is over by then.
const IDLE_FOR: Duration = Duration::from_millis(50);

/// Demands, is offered, returns the offer, and wants nothing for a while.
struct Asking {
    stated_at: Option<Instant>,
    /// From the call that states a demand to the one that brings the offer, in milliseconds.
    took: Vec<f64>,
}

impl Scheduler for Asking {
    fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
        calls.want(&each(), 0);
        calls.after(IDLE_FOR, 0);
    }

    fn timer(&mut self, calls: &mut Calls, _: u64) {
        self.stated_at = Some(Instant::now());
        calls.want(&each(), 1);
    }

    fn offers(&mut self, calls: &mut Calls, _: Vec<Offer>) {
        // What was on its way when the demand was taken back is returned, and is no answer to the next one.
        let Some(stated_at) = self.stated_at.take() else { return };
        self.took.push(stated_at.elapsed().as_secs_f64() * 1e3);
        calls.want(&each(), 0);
        if self.took.len() < DEMANDS {
            calls.after(IDLE_FOR, 0);
        } else {
            calls.tear_down();
        }
    }
}

pub(crate) async fn to_offer(airside: &Path) -> Measured {
    let leader = Leader::start(airside).await?;
    let swarm = Swarm::start(leader.address(), AGENTS, 1).await?;
    let joined = |counts: &Counts| counts.registered.get(&1) == Some(&AGENTS);
    swarm.until(WITHIN, "all agents have joined", joined).await?;
    let asking = Asking { stated_at: None, took: Vec::new() };
    let run = run_scheduler(leader.address(), framework("asking"), asking, Options::default());
    let (_, asking) = tokio::time::timeout(WITHIN, run).await??;
    swarm.shutdown().await;
    let mut took = asking.took;
    took.sort_by(f64::total_cmp);
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or(f64::NAN);
    Ok(vec![
        Row::of("demand_to_offer_p99", at(99), "ms"),
        Row::of("demand_to_offer_p50", at(50), "ms"),
    ])
}
