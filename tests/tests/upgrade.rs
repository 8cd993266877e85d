//! The version that `tests/upgrade-from` names beside today's: masters and agents of both together, and one after the other
//! replaced while tasks run. `cargo xtask test-upgrade` builds that version and says where it is.

#![allow(clippy::unwrap_used)] // all of this is a test

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use tests::cluster::{Home, Outcome, Process, airside, eventually};
use tests::holder::{Held, are_whole};
use tokio::runtime::Runtime;

/// Which program a process is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Former,
    Todays,
}

use Version::{Former, Todays};

/// A master with its registry on disk, agents, and frameworks of today's version whose tasks stay.
struct Cluster {
    runtime: Runtime,
    home: Home,
    former: PathBuf,
    master: Option<Process>,
    address: String,
    agents: Vec<Process>,
    held: Vec<Held>,
    notes: PathBuf,
}

const TASKS_EACH: usize = 4;

impl Cluster {
    fn of(former: &Path, master: Version, agents: &[Version]) -> Self {
        let home = Home::new();
        // Whoever follows a master is found at the same place.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut cluster = Self {
            runtime: Runtime::new().unwrap(),
            notes: home.path("notes"),
            home,
            former: former.into(),
            master: None,
            address: port.to_string(),
            agents: Vec::new(),
            held: Vec::new(),
        };
        cluster.start_master(master);
        for (n, version) in agents.iter().enumerate() {
            let agent = cluster.start_agent(n, *version);
            cluster.agents.push(agent);
        }
        cluster
    }

    fn program(&self, version: Version) -> PathBuf {
        match version {
            Former => self.former.clone(),
            Todays => airside().to_owned(),
        }
    }

    fn start(&self, version: Version, name: &str, arguments: &[&str]) -> Process {
        let mut command = self.home.command_of(&self.program(version), arguments);
        command.args(["--log", "debug"]).arg("--work-dir").arg(self.home.path(name));
        Process::start(&format!("{name} ({version:?})"), &mut command)
    }

    fn start_master(&mut self, version: Version) {
        let (_, port) = self.address.rsplit_once(':').unwrap();
        let mut master = self.start(version, "master", &["master", "--port", port]);
        master.says("master@");
        self.master = Some(master);
    }

    fn start_agent(&self, n: usize, version: Version) -> Process {
        // Tasks of the two frameworks do not find room on one agent alone.
        let resources = "cpus:0.5;mem:2048;disk:1024";
        let arguments =
            ["agent", "--port", "0", "--master", &self.address, "--resources", resources];
        let mut agent = self.start(version, &format!("agent-{n}"), &arguments);
        agent.says("agent@");
        agent
    }

    /// Frameworks come, and all their tasks run.
    fn holds_tasks(&mut self) {
        for name in ["one", "two"] {
            let held = Held::start(name, &self.address, TASKS_EACH, &self.notes);
            let held = self.runtime.block_on(held);
            self.held.push(held);
        }
        self.is_whole();
    }

    /// The master is ended as an operator ends it, and another version of it goes on with what it left.
    fn replaces_master(&mut self, version: Version) {
        let mut ended = self.master.take().unwrap();
        ended.signal(Signal::SIGTERM);
        assert!(ended.ended().success(), "{}", ended.said.join("\n"));
        self.start_master(version);
    }

    /// The agent is ended, by the signal of supervisors or by force, and another version of it goes on with what it left.
    fn replaces_agent(&mut self, n: usize, signal: Signal, version: Version) {
        self.agents[n].signal(signal);
        self.agents[n].ended();
        self.agents[n] = self.start_agent(n, version);
    }

    #[track_caller]
    fn is_whole(&self) {
        are_whole(&self.home, &self.held, &self.address, &self.notes);
    }

    fn run(&self, version: Version, arguments: &[&str]) -> Outcome {
        let mut command = self.home.command_of(&self.program(version), arguments);
        self.home.run(command.args(["--master", &self.address]))
    }

    /// A line for the shell as a task.
    fn runs(&self, version: Version, line: &str) -> Outcome {
        let arguments = ["run", "--cpus", "0.1", "--master", &self.address, "--", "sh", "-c", line];
        self.home.run(&mut self.home.command_of(&self.program(version), &arguments))
    }

    /// Names of the tasks that run on one agent.
    fn tasks_on(&self, agent: &str) -> BTreeSet<String> {
        let is_there =
            |task: &&serde_json::Value| task["agent"] == agent && task["state"] == "TASK_RUNNING";
        let tasks = self.read("tasks");
        tasks.iter().filter(is_there).map(|task| task["id"].as_str().unwrap().to_owned()).collect()
    }

    fn read(&self, list: &str) -> Vec<serde_json::Value> {
        serde_json::from_str(&self.run(Todays, &[list, "--json"]).stdout).unwrap_or_default()
    }
}

/// Tells a story if it is known where the former version is.
fn with_former(story: impl FnOnce(&Path)) {
    match std::env::var_os("UPGRADE_FROM") {
        Some(former) => story(Path::new(&former)),
        None => tests::skipped("`cargo xtask test-upgrade` builds the version that this needs"),
    }
}

#[test]
fn a_master_is_replaced_above_agents_of_the_former_version_and_no_task_notices() {
    with_former(|former| {
        let mut cluster = Cluster::of(former, Former, &[Former, Former]);
        cluster.holds_tasks();
        cluster.replaces_master(Todays);
        cluster.is_whole();
        let agent = cluster.start_agent(2, Todays);
        cluster.agents.push(agent);
        eventually("a new agent joins them", || cluster.read("agents").len() == 3);
        cluster.is_whole();
    });
}

#[test]
fn agents_of_todays_version_keep_their_tasks_below_a_former_master_and_below_the_next() {
    with_former(|former| {
        let mut cluster = Cluster::of(former, Former, &[Todays, Todays]);
        cluster.holds_tasks();
        cluster.replaces_agent(0, Signal::SIGTERM, Todays);
        cluster.is_whole();
        cluster.replaces_master(Todays);
        cluster.is_whole();
        cluster.replaces_agent(1, Signal::SIGKILL, Todays);
        cluster.is_whole();
    });
}

/// Executors of the former version end their tasks when they lose their agent. Nobody else's end, and all is told.
#[test]
fn an_agent_of_the_former_version_is_replaced_and_only_its_own_tasks_end_and_are_told_so() {
    with_former(|former| {
        only_its_own_tasks_end(former, Signal::SIGTERM);
        only_its_own_tasks_end(former, Signal::SIGKILL);
    });
}

fn only_its_own_tasks_end(former: &Path, by: Signal) {
    let mut cluster = Cluster::of(former, Todays, &[Former, Todays]);
    cluster.holds_tasks();
    let agents = cluster.read("agents");
    let at = |agent: &&serde_json::Value| agent["address"].as_str().unwrap().to_owned();
    let old = cluster.agents[0].says("agent@").trim().replace("agent@", "");
    let id = agents.iter().find(|agent| at(agent) == old).unwrap()["id"].clone();
    let there = cluster.tasks_on(id.as_str().unwrap());
    let all = 2 * TASKS_EACH;
    assert!(!there.is_empty() && there.len() < all, "both agents have tasks: {there:?}");
    cluster.replaces_agent(0, by, Todays);
    let lost = || {
        let lost = cluster.held.iter().flat_map(|held| held.sees().lost);
        let lost = lost.filter(|(_, state)| state.is_end());
        lost.map(|(task, _)| task.to_string()).collect::<Vec<_>>()
    };
    eventually("each lost task is told", || lost().len() >= there.len());
    assert_eq!(lost().into_iter().collect::<BTreeSet<_>>(), there);
    assert_eq!(lost().len(), there.len(), "each is told once");
    eventually("an agent is there again", || {
        // One that was asked to end by its signal has left, and comes as a new one.
        let agents = cluster.read("agents");
        agents.iter().filter(|agent| agent["state"] == "active").count() == 2
    });
    let running = cluster.read("tasks");
    let running = running.iter().filter(|task| task["state"] == "TASK_RUNNING").count();
    assert_eq!(running, all - there.len(), "no other task ended");
}

#[test]
fn commands_masters_and_agents_of_both_versions_run_a_task_together() {
    with_former(|former| {
        for (master, agent) in [(Former, Todays), (Todays, Former)] {
            let cluster = Cluster::of(former, master, &[agent]);
            for command in [Former, Todays] {
                let outcome = cluster.runs(command, "echo together; exit 3");
                assert_eq!(outcome.code, Some(3), "{command:?} {master:?} {agent:?}: {outcome:#?}");
                assert!(outcome.stdout.contains("together"), "{outcome:#?}");
                for list in ["tasks", "agents", "frameworks"] {
                    let outcome = cluster.run(command, &[list]);
                    assert_eq!(outcome.code, Some(0), "{command:?} {master:?}: {outcome:#?}");
                }
            }
        }
    });
}

/// A file that is replaced while its agent runs: from then on the agent's executors are those of the new one.
#[test]
fn an_agent_of_the_former_version_whose_file_was_replaced_runs_tasks_under_todays_executors() {
    with_former(|former| {
        let home = Home::new();
        let installed = home.path("airside");
        std::fs::copy(former, &installed).unwrap();
        let cluster = Cluster::of(&installed, Todays, &[Former]);
        let beside = home.path("airside.new");
        std::fs::copy(airside(), &beside).unwrap();
        std::fs::rename(&beside, &installed).unwrap();
        let outcome = cluster.runs(Todays, "echo under another; exit 3");
        assert_eq!(outcome.code, Some(3), "{outcome:#?}");
        assert_eq!(outcome.stdout, "under another\n", "{outcome:#?}");
    });
}
