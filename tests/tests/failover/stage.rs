//! Three masters, three ZooKeeper servers, four agents, three frameworks: all real, on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coordination::detect::detector;
use coordination::election::{Candidate, Detector};
use ensemble::Ensemble;
use nix::sys::signal::Signal;
use protocol::task::TaskState;
use tests::cluster::{Home, Process, eventually};

use crate::holder::{Held, Seen};

const AGENTS: usize = 4;
const MASTERS: usize = 3;
const FRAMEWORKS: usize = 3;
const TASKS_EACH: usize = 6;

/// How long a leader that says nothing is waited for by ZooKeeper.
const SESSION: Duration = Duration::from_secs(4);

/// And how much longer the next may take.
const LEADS_AFTER: Duration = Duration::from_secs(2);

pub(crate) struct Stage {
    runtime: tokio::runtime::Runtime,
    pub(crate) home: Home,
    pub(crate) ensemble: Ensemble,
    /// By the address at which each is found.
    masters: BTreeMap<String, Process>,
    masters_made: usize,
    _agents: Vec<Process>,
    frameworks: Vec<Held>,
    detector: Arc<dyn Detector>,
    url: String,
    notes: PathBuf,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let home = Home::new();
        let ensemble = Ensemble::start(3).unwrap();
        let url = ensemble.url("/airside");
        let notes = home.path("notes");
        let mut stage = Self {
            runtime,
            ensemble,
            masters: BTreeMap::new(),
            masters_made: 0,
            _agents: Vec::new(),
            frameworks: Vec::new(),
            detector: detector(&url).unwrap(),
            url,
            notes,
            home,
        };
        for _ in 0..MASTERS {
            stage.start_master();
        }
        stage._agents = (0..AGENTS).map(|n| stage.start_agent(n)).collect();
        for n in 0..FRAMEWORKS {
            let name = format!("holder{n}");
            let notes = stage.notes.display().to_string();
            let held = Held::start(&name, &stage.url, TASKS_EACH, &notes);
            let held = stage.runtime.block_on(held);
            stage.frameworks.push(held);
        }
        stage.is_whole();
        stage
    }

    fn process(&self, name: &str, arguments: &[&str]) -> Process {
        let work_dir = self.home.path(name);
        let mut command = self.home.command(arguments);
        command.args(["--port", "0", "--log", "debug"]).arg("--work-dir").arg(work_dir);
        Process::start(name, &mut command)
    }

    pub(crate) fn start_master(&mut self) {
        self.masters_made += 1;
        let name = format!("master-{}", self.masters_made);
        let session = format!("{}secs", SESSION.as_secs());
        let arguments =
            ["master", "--zk", &self.url, "--zk-session-timeout", &session, "--hostname", &name];
        let mut master = self.process(&name, &arguments);
        let ready = master.says("master@");
        let address = ready.trim_start_matches("master@").trim().to_owned();
        self.masters.insert(address, master);
    }

    fn start_agent(&self, n: usize) -> Process {
        let arguments =
            ["agent", "--master", &self.url, "--resources", "cpus:4;mem:2048;disk:1024"];
        let mut agent = self.process(&format!("agent-{n}"), &arguments);
        agent.says("agent@");
        agent
    }

    /// Who leads now.
    pub(crate) fn leader(&self) -> Option<Candidate> {
        self.detector.leader().borrow().clone()
    }

    /// Whoever leads now hears no more: it is killed, and started anew beside the others.
    pub(crate) fn kill_leader(&mut self) {
        let old = self.leader().expect("somebody leads");
        let mut killed = self.masters.remove(&old.address).expect("it is one of ours");
        killed.signal(Signal::SIGKILL);
        let since = Instant::now();
        killed.ended();
        self.another_leads(&old, since);
        self.start_master();
    }

    /// Freezes whoever leads; [`Stage::thaw`] lets it go on.
    pub(crate) fn freeze_leader(&self) -> Candidate {
        let old = self.leader().expect("somebody leads");
        self.masters[&old.address].signal(Signal::SIGSTOP);
        self.another_leads(&old, Instant::now());
        old
    }

    /// Lets a frozen master go on, and waits until it says so.
    #[track_caller]
    pub(crate) fn thaw_master(&mut self, master: &Candidate, words: &str) {
        let master = self.masters.get_mut(&master.address).expect("it is one of ours");
        master.signal(Signal::SIGCONT);
        master.says(words);
    }

    /// For so long everything is looked at again and again, and is well.
    #[track_caller]
    pub(crate) fn stays_whole_for(&self, span: Duration) {
        let until = Instant::now() + span;
        while Instant::now() < until {
            self.is_whole();
        }
    }

    /// Somebody leads, with an ensemble that has to find itself first.
    #[track_caller]
    pub(crate) fn leads_again(&self) {
        eventually("somebody leads and answers", || {
            let mut command = ["agents", "--json", "--master", &self.url].map(str::to_owned);
            self.home.airside(&command.each_mut().map(|word| word.as_str())).code == Some(0)
        });
    }

    /// Another one leads in time.
    #[track_caller]
    fn another_leads(&self, old: &Candidate, since: Instant) {
        let other = |now: &Option<Candidate>| now.as_ref().is_some_and(|now| now.id != old.id);
        let mut leader = self.detector.leader();
        let found = async {
            tokio::time::timeout(SESSION + LEADS_AFTER, leader.wait_for(other)).await.is_ok()
        };
        assert!(self.runtime.block_on(found), "no leader within {:?}", SESSION + LEADS_AFTER);
        eprintln!("another leads after {:?}", since.elapsed());
    }

    /// Every task runs, once and as the same process as ever; the leader and every framework see just that.
    #[track_caller]
    pub(crate) fn is_whole(&self) {
        let all: BTreeSet<String> = self
            .frameworks
            .iter()
            .flat_map(|held| held.tasks.iter().map(ToString::to_string))
            .collect();
        let since = Instant::now();
        eventually("every framework sees its tasks run", || {
            self.frameworks.iter().all(|held| {
                let Seen { connected, tasks, lost, .. } = held.sees();
                assert!(lost.is_empty(), "no task is lost: {lost:?}");
                let running = tasks.values().all(|state| *state == TaskState::Running);
                connected && running && tasks.keys().eq(held.tasks.iter())
            })
        });
        eventually("the leader sees the same", || self.leader_sees() == Some(all.clone()));
        eprintln!("whole after {:?}", since.elapsed());
        let notes = std::fs::read_to_string(&self.notes).unwrap();
        let started: Vec<_> = notes.lines().filter_map(|line| line.split_once(' ')).collect();
        let ids: BTreeSet<String> = started.iter().map(|(id, _)| (*id).to_owned()).collect();
        assert_eq!((started.len(), ids), (all.len(), all), "each started once");
        for (task, process) in started {
            let lives = std::path::Path::new("/proc").join(process).exists();
            assert!(lives, "{task} runs as process {process}");
        }
    }

    /// The tasks that run, if nothing else is known of any.
    fn leader_sees(&self) -> Option<BTreeSet<String>> {
        let listed = self.home.airside(&["tasks", "--json", "--master", &self.url]);
        let tasks: Vec<serde_json::Value> = serde_json::from_str(&listed.stdout).ok()?;
        let running = |task: &serde_json::Value| {
            (task["state"] == "TASK_RUNNING").then(|| task["id"].as_str().map(str::to_owned))?
        };
        tasks.iter().map(running).collect()
    }
}
