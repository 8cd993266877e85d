//! Schedulers that stand by for one another: real processes, a real ensemble, and a cluster that notices nothing.

#![allow(clippy::unwrap_used)] // all of this is a test

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ensemble::Ensemble;
use nix::sys::signal::Signal;
use tests::cluster::{Home, Process, TestCluster, eventually};

/// How long a framework may be without a leader.
const TAKES_OVER_WITHIN: Duration = Duration::from_secs(15);

/// Tasks that end early, and as many that end late.
const EACH: usize = 3;

/// A batch of which every process has the same list. Its tasks note what they do, and end when a gate is opened.
struct Stage {
    ensemble: Ensemble,
    cluster: TestCluster,
}

impl Stage {
    fn set() -> Self {
        Self { ensemble: Ensemble::start(3).unwrap(), cluster: TestCluster::up(2) }
    }

    fn path(&self, name: &str) -> String {
        self.cluster.home.path(name).display().to_string()
    }

    fn list(&self) -> Vec<String> {
        let line = |gate: &str| {
            let (notes, gate) = (self.path("notes"), self.path(gate));
            format!(
                "echo $AIRSIDE_TASK_ID starts $$ >> {notes}; while [ ! -e {gate} ]; do sleep 0.1; done; \
                 echo $AIRSIDE_TASK_ID ends $$ >> {notes}"
            )
        };
        ["early", "late"].iter().flat_map(|gate| vec![line(gate); EACH]).collect()
    }

    fn opens(&self, gate: &str) {
        std::fs::write(self.path(gate), "").unwrap();
    }

    /// One more process, on a machine that has nothing of the others.
    fn scheduler(&self, name: &str, machine: &Home) -> Process {
        let elect = format!("--elect={}", self.ensemble.url("/frameworks/batch"));
        let secret = format!("--cluster-secret-file={}", self.path("work/secret"));
        let master = format!("--master={}", self.master());
        let arguments = ["batch", "--log=info", "--mem=16MB", &elect, &secret, &master];
        let mut command: Command = machine.command(&arguments);
        let mut process = Process::start(name, command.args(self.list()));
        // As its log has it; a framework that is torn down before that is not its own.
        process.says("INFO sdk::election: stands for election");
        process
    }

    fn master(&self) -> String {
        let file = std::fs::read(self.cluster.home.path("cache/airside/cluster.json")).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
        file["master"].as_str().unwrap().to_owned()
    }

    /// The processes of tasks that noted this, by task.
    fn noted(&self, what: &str) -> Vec<(String, String)> {
        let notes = std::fs::read_to_string(self.path("notes")).unwrap_or_default();
        let words = notes.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let of = words.filter(|words| words.get(1) == Some(&what));
        of.map(|words| (words[0].to_owned(), words[2].to_owned())).collect()
    }

    #[track_caller]
    fn all_run(&self) {
        eventually("all tasks run", || self.noted("starts").len() == 2 * EACH);
    }

    fn frameworks(&self) -> Vec<String> {
        let listed = self.cluster.airside(&["frameworks", "--json"]);
        let listed: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).unwrap();
        listed.iter().map(|framework| framework["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Every task was started once, and those that have not ended run as the processes that they were.
    #[track_caller]
    fn is_unharmed(&self) {
        let (started, ended) = (self.noted("starts"), self.noted("ends"));
        let by_task: BTreeMap<_, _> = started.iter().cloned().collect();
        assert_eq!((started.len(), by_task.len()), (2 * EACH, 2 * EACH), "{started:?}");
        for (task, process) in by_task {
            let lives = Path::new("/proc").join(&process).exists();
            assert!(lives || ended.contains(&(task.clone(), process)), "{task} runs on");
        }
    }

    /// Whoever leads now runs the batch to its end: every task once.
    #[track_caller]
    fn ends_well(&self, leader: &mut Process) {
        self.opens("early");
        self.opens("late");
        assert!(leader.ended().success(), "{:#?}", leader.said);
        let all = format!("{0} of {0} succeeded, in {0} attempts", 2 * EACH);
        assert!(leader.said.contains(&all), "{:#?}", leader.said);
        self.is_unharmed();
        assert_eq!(self.noted("ends").len(), 2 * EACH);
    }
}

#[test]
fn a_killed_leading_scheduler_is_followed_by_who_stands_by_and_no_task_or_update_is_lost() {
    let stage = Stage::set();
    let machines = [Home::new(), Home::new(), Home::new()];
    let mut first = stage.scheduler("first", &machines[0]);
    first.says("leads");
    let mut second = stage.scheduler("second", &machines[1]);
    stage.all_run();
    let framework = stage.frameworks();
    first.signal(Signal::SIGKILL);
    let since = Instant::now();
    first.ended();
    // Nobody leads, and nobody hears that these end.
    stage.opens("early");
    eventually("some tasks have ended", || stage.noted("ends").len() == EACH);
    second.says("leads");
    let took = since.elapsed();
    assert!(took < TAKES_OVER_WITHIN, "it took {took:?}");
    stage.is_unharmed();
    let mut third = stage.scheduler("third", &machines[2]);
    stage.ends_well(&mut second);
    assert_eq!(stage.frameworks(), framework);
    // There is nothing left to lead.
    third.says("another process has run the batch to its end");
    assert!(third.ended().success());
}

#[test]
fn a_scheduler_that_starts_with_an_empty_disk_resumes() {
    let stage = Stage::set();
    let (burned, new) = (Home::new(), Home::new());
    let mut first = stage.scheduler("first", &burned);
    first.says("leads");
    stage.all_run();
    let framework = stage.frameworks();
    first.signal(Signal::SIGKILL);
    first.ended();
    drop(burned);
    let mut second = stage.scheduler("second", &new);
    second.says("leads");
    stage.is_unharmed();
    stage.ends_well(&mut second);
    assert_eq!(stage.frameworks(), framework);
}
