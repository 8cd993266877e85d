//! What Jepsen asked of Chronos in 2015: periodic jobs, and a network that falls apart for ten minutes again and again. Nothing
//! may run twice for the time it was due, ever; and once the network is whole again, everything that is due must run.

#![allow(clippy::unwrap_used)] // all of this is a test

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use periodic::{Job, Periodic};
use sdk::prelude::*;
use simulator::Cluster;

const SEEDS: u64 = 1_000;
const PARTITIONS: Duration = Duration::from_secs(600);
/// An agent that was away waits up to a minute before it registers again, and a scheduler looks at its doubts by and by.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(90);
/// For so long everything is due.
const WATCHED: Duration = Duration::from_secs(120);
/// What the simulated clocks show at the beginning.
const BEGINS: u64 = 1_767_225_600;

fn jobs() -> Vec<Job> {
    let job = |name: &str, every, line: &str| Job {
        name: name.into(),
        every: Duration::from_secs(every),
        task: task::shell(name, line, &Resources::cpus_mem(0.5, 64.0)),
    };
    // The third takes longer than its period.
    vec![
        job("often", 10, "sleep 2"),
        job("fails", 30, "sleep 1; exit 3"),
        job("long", 20, "sleep 45"),
    ]
}

/// A cluster that has not begun.
fn cluster(seed: u64) -> Cluster {
    let periodic = Periodic::new(jobs(), |_| ()).unwrap();
    Cluster::new(seed).masters(3).agents(4).with_scheduler(periodic)
}

/// One history; how many runs there were, or what was wrong.
fn chronos(mut cluster: Cluster, seed: u64) -> Result<usize, String> {
    cluster.run_until(|view| view.starts().next().is_some());
    cluster.partitions_for(PARTITIONS);
    let healed = cluster.view().now();
    cluster.advance(COMES_BACK_WITHIN + WATCHED);
    let view = cluster.view();
    let starts: BTreeMap<&str, &[Duration]> = view.starts().collect();
    if let Some((task, times)) = starts.iter().find(|(_, times)| times.len() != 1) {
        return Err(format!("seed {seed}: {task} was started at {times:?}"));
    }
    for Job { name, every, .. } in jobs() {
        let first = (healed + COMES_BACK_WITHIN).as_secs().next_multiple_of(every.as_secs());
        for due in (first..).step_by(usize::try_from(every.as_secs()).unwrap()) {
            let window = Duration::from_secs(due)..Duration::from_secs(due) + every;
            if window.end > view.now() {
                break;
            }
            let task = format!("{name}.{}", BEGINS + due);
            let ran = starts.get(&*task).is_some_and(|times| window.contains(&times[0]));
            if !ran {
                let times = starts.get(&*task);
                return Err(format!(
                    "seed {seed}: {task} due at {due} s: {times:?}, healed {healed:?}"
                ));
            }
        }
    }
    Ok(starts.len())
}

#[test]
fn after_partitions_every_job_that_is_due_runs_and_none_ever_ran_twice_for_its_time() {
    let (next, ran) = (AtomicU64::new(1), AtomicU64::new(0));
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > SEEDS {
                        return;
                    }
                    match chronos(cluster(seed), seed) {
                        Ok(runs) => {
                            ran.fetch_add(runs as u64, Ordering::Relaxed);
                        }
                        Err(words) => wrong.lock().unwrap().push(words),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {SEEDS}: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    let ran = ran.into_inner();
    assert!(ran > SEEDS * 50, "only {ran} runs in all");
}

/// Whatever nobody has heard of since a fail-over is taken for not launched. That a run which is at work is told to be dropped
/// is seen before it runs once more.
#[test]
fn a_driver_that_guesses_what_was_launched_is_caught() {
    let told = |seed: &u64| {
        let guessing = cluster(*seed).with_mistake(sdk::logic::Bug::RelaunchesUnacknowledged);
        let seed = *seed;
        match std::panic::catch_unwind(AssertUnwindSafe(|| chronos(guessing, seed))) {
            Ok(Ok(_)) => None,
            Ok(Err(words)) => Some(words),
            Err(panic) => panic.downcast_ref::<String>().cloned(),
        }
    };
    let caught = (1..=200).find_map(|seed| told(&seed)).expect("it is caught");
    let first = caught.lines().next().unwrap_or_default();
    let either = ["is told to be Dropped", "was started at"];
    assert!(either.iter().any(|words| first.contains(words)), "{first}");
}
