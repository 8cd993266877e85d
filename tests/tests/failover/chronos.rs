//! What Jepsen asked of Chronos in 2015: periodic jobs while the network falls apart again and again, with two schedulers of
//! which one is elected, and killed amid all that. Nothing runs twice for the time it was due, ever; once the network is whole
//! again, everything that is due runs. The simulator does the same in a thousand histories
//! (`frameworks/examples/periodic/tests/chronos.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use tests::cluster::{Process, eventually};
use tests::network::{Cut, EVERYBODY, Others, SERVERS, in_own_network};

use crate::at_length;
use crate::stage::{AGENTS_APART, Stage};

/// Seconds from one time a job is due to the next, by job.
const JOBS: [(&str, u64); 2] = [("often", 3), ("seldom", 7)];

/// Beside them one job is due once, so many seconds after the schedulers' start, and not again for as many years as have passed
/// since 1970: whoever follows the leader finds it still due, and has to know that it has run.
const ONCE_AFTER: u64 = 4;

/// After healing: an agent that was away waits before it registers again, and so does a scheduler.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(30);

/// For so long everything is due then.
const WATCHED: Duration = Duration::from_secs(16);

/// What a scheduler says when it is elected.
const LEADS: &str = "INFO sdk::election: leads";

const MILLI: Duration = Duration::from_millis(1);

/// A generator of its own, so that every telling cuts the same.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// Lets a moment pass, in which nothing is waited for.
fn passes(span: Duration) {
    let until = Instant::now() + span;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|l| !l.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// As tasks have it from `date`.
#[expect(clippy::disallowed_methods, reason = "jobs are due by the wall clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// It stands for election, behind all that do so already.
fn scheduler(stage: &Stage, name: &str, runs: &Path, once: u64) -> Process {
    let elect = format!("--elect={}", stage.ensemble.url("/frameworks/periodic"));
    let master = format!("--master={}", stage.url());
    let mut command =
        stage.home.command(&["periodic", "--log=info", "--mem=16MB", &elect, &master]);
    for (job, every) in JOBS.into_iter().chain([("once", once)]) {
        let note = format!("echo $AIRSIDE_TASK_ID $(date +%s) >> {}", runs.display());
        command.arg(format!("{job}={every}s {note}"));
    }
    let mut process = Process::start(name, &mut command);
    process.says("INFO sdk::election: stands for election");
    process
}

/// When each run was begun, in seconds since 1970.
fn begun(runs: &Path) -> BTreeMap<String, Vec<u64>> {
    let mut begun = BTreeMap::<String, Vec<u64>>::new();
    for line in std::fs::read_to_string(runs).unwrap_or_default().lines() {
        let (task, at) = line.split_once(' ').unwrap();
        begun.entry(task.to_owned()).or_default().push(at.parse().unwrap());
    }
    begun
}

/// One room or two are cut from others in any way, again and again.
fn falls_apart(stage: &Stage, seed: u64, span: Duration) {
    let mut chance = Chance(seed);
    let mut one_of =
        |count: usize| usize::try_from(chance.below(u64::try_from(count).unwrap())).unwrap();
    let rooms = stage.rooms();
    let until = Instant::now() + span;
    while Instant::now() < until {
        let (first, second) = (one_of(rooms.len()), one_of(rooms.len()));
        for room in BTreeSet::from([first, second]).into_iter().map(|place| rooms[place]) {
            let others = [Others::only(SERVERS), AGENTS_APART, EVERYBODY, EVERYBODY][one_of(4)];
            let how = [Cut::Both, Cut::Deaf, Cut::Mute, Cut::Unroutable][one_of(4)];
            eprintln!("{} is cut from {others:?}: {how:?}", room.address);
            room.cut(others, how);
        }
        passes(Duration::from_secs(1) + MILLI * u32::try_from(one_of(9_000)).unwrap());
        rooms.iter().for_each(|room| room.heal());
        passes(MILLI * u32::try_from(one_of(3_000)).unwrap());
    }
}

#[test]
fn periodic_jobs_run_once_whenever_they_are_due_after_a_network_that_fell_apart_is_whole() {
    in_own_network(|network| {
        let stage = Stage::set_apart(network);
        let runs = stage.home.path("runs");
        let once = now() + ONCE_AFTER;
        let mut first = scheduler(&stage, "first", &runs, once);
        first.says(LEADS);
        let mut second = scheduler(&stage, "second", &runs, once);
        eventually("jobs run", || begun(&runs).contains_key(&format!("once.{once}")));
        let half = Duration::from_secs(if at_length() { 60 } else { 8 });
        falls_apart(&stage, 2015, half);
        // Amid all that: whoever follows has to know what was begun.
        first.signal(Signal::SIGKILL);
        falls_apart(&stage, 2016, half);
        second.says(LEADS);
        let watched_from = now() + COMES_BACK_WITHIN.as_secs();
        stage.one_leads();
        passes(COMES_BACK_WITHIN + WATCHED);
        let (begun, until) = (begun(&runs), now());
        let twice: Vec<_> = begun.iter().filter(|(_, times)| times.len() != 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
        eprintln!("{} runs in all", begun.len());
        for (job, every) in JOBS {
            let first = watched_from.next_multiple_of(every);
            for due in (first..until - every).step_by(usize::try_from(every).unwrap()) {
                let ran = begun.get(&format!("{job}.{due}")).map(|times| times[0]);
                let in_time = ran.is_some_and(|at| (due..due + every).contains(&at));
                assert!(in_time, "{job} was due at {due} and ran at {ran:?}: {begun:#?}");
            }
        }
    });
}
