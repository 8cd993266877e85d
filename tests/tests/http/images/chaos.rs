//! An agent that is killed at random moments of its containers' lives, again and again. `cargo xtask test-chaos` sets how often
//! (`CHAOS_KILLS`) and may set by which lots (`CHAOS_SEED`); it then tells how it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use procfs::process::{Process, all_processes};
use serde_json::{Value, json};
use tests::cluster::{eventually, happens_by};

use super::{Harbour, in_image, mounts_now};
use crate::stage::{Framework, Stage, task};
use tests::groups::Groups;

/// How often it is killed where nobody says anything else.
const KILLS: u64 = 10;
/// At the same time, each of its own cluster: most of the time they wait for their executors to come back.
const AGENTS: u64 = 5;
const AGENTS_AT_LENGTH: u64 = 10;
/// Of each, at once, and each of them somewhere else in its life.
const TASKS: usize = 3;
/// Lots fall on this much of a life; the rest is waiting for what comes after it.
const LIFE_PERMILLE: u64 = 750;
const ISOLATION: &str =
    "--isolation=filesystem/linux,docker/runtime,cgroups/cpu,cgroups/mem,namespaces/pid";
/// What nobody uses is gone at once, so that every round pulls.
const COLLECT: &str = r#"--image_gc_config={"image_disk_headroom":1.0,"image_disk_watch_interval":{"nanoseconds":50000000}}"#;
const KINDS: [&str; 5] = ["mnt", "pid", "ipc", "uts", "cgroup"];
const ENDS: [&str; 6] =
    ["TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_LOST", "TASK_DROPPED", "TASK_GONE"];

fn number(variable: &str) -> Option<u64> {
    std::env::var_os(variable).map(|text| text.to_str().unwrap().parse().unwrap())
}

/// The same lots for the same seed: SplitMix64.
struct Lots(u64);

impl Lots {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }
}

struct Chaos {
    harbour: Harbour,
    groups: Groups,
    data: PathBuf,
    mounts: BTreeSet<String>,
    /// In which tasks were seen.
    namespaces: BTreeSet<(String, u64)>,
    /// How many containers were where in their lives when the agent was killed.
    killed_in: BTreeMap<&'static str, u64>,
    ended: BTreeMap<String, u64>,
}

impl Chaos {
    fn new() -> Self {
        let groups = Groups::own();
        let flags = [ISOLATION, super::PROVIDERS, COLLECT, &groups.flag()];
        let harbour = Harbour {
            stage: Stage::of_master().with_agent_of(&flags),
            layout: tests::images::Layout::made(),
        };
        let data = harbour.stage.home.path("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("payload"), vec![7; 1 << 20]).unwrap();
        let (namespaces, killed_in, ended) = Default::default();
        Self { harbour, groups, data, mounts: mounts_now(), namespaces, killed_in, ended }
    }

    /// Launches tasks that note that they ran.
    fn launches(&self, round: u64) -> (Framework, Vec<String>) {
        let mut framework = self.harbour.framework();
        let offer = framework.offer();
        let place = self.data.display().to_string();
        let ids: Vec<_> = (0..TASKS).map(|task| format!("t-{round}-{task}")).collect();
        let tasks: Vec<_> = ids
            .iter()
            .map(|id| {
                let line = format!(
                    "echo once >> /data/{id}; setsid sleep 1000 & cat payload > /root-file; sleep 0.2; exit 3"
                );
                let mut task = in_image(task(id, &offer, &line), &self.harbour.layout.image("says"));
                task["command"]["uris"] = json!([{ "value": format!("file://{place}/payload"), "cache": false }]);
                task["command"]["environment"] = json!({ "variables": [{ "name": "CHAOS", "value": place }] });
                task["container"]["volumes"] =
                    json!([{ "container_path": "/data", "host_path": place, "mode": "RW" }]);
                task
            })
            .collect();
        framework.launches(&offer, &tasks);
        (framework, ids)
    }

    /// Waits for the end of each, which ran once, or was never told to have run. When the last had ended.
    fn end(&mut self, framework: &mut Framework, ids: &[String]) -> Instant {
        let mut ends: BTreeMap<String, Value> = BTreeMap::new();
        while ends.len() < ids.len() {
            let status = framework.update();
            if ENDS.contains(&status["state"].as_str().unwrap()) {
                ends.insert(status["task_id"]["value"].as_str().unwrap().to_owned(), status);
            }
        }
        let ended = Instant::now();
        framework.says("TEARDOWN", json!({}));
        self.harbour.is_clear(&self.mounts);
        for (id, end) in ends {
            let ran = std::fs::read_to_string(self.data.join(&id)).unwrap_or_default();
            let message = end["message"].as_str().unwrap_or_default();
            let went_on = message == "Command exited with status 3";
            match went_on {
                true => assert_eq!(ran, "once\n", "{end}"),
                false => assert!(["", "once\n"].contains(&ran.as_str()), "{ran}: {end}"),
            }
            let how = if went_on { "as it would have" } else { message };
            *self.ended.entry(format!("{}: {how}", end["state"])).or_default() += 1;
        }
        ended
    }

    /// How far each container has come, by what is on disk of it.
    fn looks(&mut self, ids: &[String]) {
        let records = self.harbour.records();
        let ran = ids.iter().filter(|id| self.data.join(id).exists()).count();
        let without = ids.len().saturating_sub(records.len());
        let mut running = 0;
        for records in records {
            let has = |file: &str| records.join(file).exists();
            let phase = match () {
                () if has("ended") || has("box/task/ended") => {
                    running += 1;
                    "6 destroyed"
                }
                () if has("box/task/process") && running < ran => {
                    running += 1;
                    "5 run"
                }
                () if has("box/task/process") => "4 isolated",
                () if has("box/task/config") => "3 prepared",
                () if has("inside") => "2 provisioned or fetched",
                () => "1 pulled",
            };
            *self.killed_in.entry(phase).or_default() += 1;
        }
        let gone = ran.saturating_sub(running).min(without);
        *self.killed_in.entry("0 launched").or_default() += (without - gone) as u64;
        *self.killed_in.entry("7 gone").or_default() += gone as u64;
    }

    fn round(&mut self, round: u64, after: Duration, at_once: bool) {
        let (mut framework, ids) = self.launches(round);
        happens_by(Instant::now() + after, || false);
        self.looks(&ids);
        self.harbour.stage.kills_agent();
        self.namespaces.extend(namespaces_of(&self.data));
        if !at_once {
            self.harbour.agent_is(false);
        }
        self.harbour.stage.agent_is_back();
        self.end(&mut framework, &ids);
        self.is_bare();
    }

    /// Nothing at all is left of any container.
    fn is_bare(&self) {
        eventually("no process of a task is left", || marked(&self.data).is_empty());
        eventually("no control group is left", || self.groups.count() == 0);
    }
}

/// Processes that have this path in their environment: what tasks started, whatever became of those above it.
fn marked(place: &Path) -> Vec<Process> {
    let place = place.as_os_str();
    let has = |process: &Process| {
        let environment = process.environ().unwrap_or_default();
        environment.get(std::ffi::OsStr::new("CHAOS")).is_some_and(|value| value == place)
    };
    all_processes().unwrap().flatten().filter(has).collect()
}

fn of_process(process: &Process) -> Vec<(String, u64)> {
    let all = process.namespaces().map(|all| all.0).unwrap_or_default();
    let named = all.into_iter().map(|(kind, found)| (kind.to_string_lossy().into_owned(), found));
    named
        .filter(|(kind, _)| KINDS.contains(&kind.as_str()))
        .map(|(kind, found)| (kind, found.identifier))
        .collect()
}

/// Those of tasks, which this process does not share.
fn namespaces_of(place: &Path) -> BTreeSet<(String, u64)> {
    let own: BTreeSet<_> = of_process(&Process::myself().unwrap()).into_iter().collect();
    let all: BTreeSet<_> = marked(place).iter().flat_map(of_process).collect();
    all.difference(&own).cloned().collect()
}

/// On an agent of its own, by lots of its own.
fn kills(count: u64, seed: u64, tell: &(dyn Fn() + Sync)) -> Chaos {
    let mut lots = Lots(seed);
    let mut chaos = Chaos::new();
    // The first is slower than all that come.
    let mut undisturbed = |round| {
        let (mut framework, ids) = chaos.launches(round);
        let begun = Instant::now();
        chaos.end(&mut framework, &ids).duration_since(begun)
    };
    let life = undisturbed(0).min(undisturbed(u64::MAX));
    for kill in 1..=count {
        let after = life.mul_f64(lots.next(LIFE_PERMILLE) as f64 / 1000.0);
        chaos.round(kill, after, lots.next(2) == 0);
        tell();
    }
    chaos
}

#[test]
fn cont_03_an_agent_killed_at_random_moments_runs_nothing_twice_and_leaves_nothing() {
    let at_length = number("CHAOS_KILLS");
    let all = at_length.unwrap_or(KILLS);
    let by_clock = || u64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos());
    let seed = number("CHAOS_SEED").unwrap_or_else(by_clock);
    eprintln!("{all} kills; once more by the same lots: CHAOS_SEED={seed}");
    let (begun, done) = (Instant::now(), AtomicU64::new(0));
    let tell = || {
        let done = done.fetch_add(1, Relaxed) + 1;
        if at_length.is_some() && done.is_multiple_of(10) {
            eprintln!("{done} of {all} kills, {} s", begun.elapsed().as_secs());
        }
    };
    let agents = if at_length.is_some() { AGENTS_AT_LENGTH } else { AGENTS };
    let each = all.div_ceil(agents);
    let all: Vec<_> = std::thread::scope(|scope| {
        let tell = &tell;
        let one = |agent| scope.spawn(move || kills(each, seed.wrapping_add(agent), tell));
        let agents: Vec<_> = (0..agents).map(one).collect();
        agents.into_iter().map(|agent| agent.join().unwrap()).collect()
    });
    let (mut killed_in, mut ended) = (BTreeMap::new(), BTreeMap::new());
    for chaos in &all {
        chaos
            .killed_in
            .iter()
            .for_each(|(phase, count)| *killed_in.entry(phase).or_insert(0) += count);
        chaos.ended.iter().for_each(|(how, count)| *ended.entry(how).or_insert(0) += count);
    }
    if at_length.is_some() {
        // The kernel uses their numbers again: it takes that nobody else has containers.
        eventually("no namespace is left", || {
            let now: Vec<_> = all_processes().unwrap().flatten().collect();
            let now: BTreeSet<_> = now.iter().flat_map(of_process).collect();
            all.iter().all(|chaos| chaos.namespaces.is_disjoint(&now))
        });
    }
    eprintln!("agents were killed when containers were {killed_in:#?}; tasks ended {ended:#?}");
}
