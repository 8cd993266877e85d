//! Other people's clients, as they come from their registries: they were written for Mesos, and are told another address.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use coordination::detect::detector;
use ensemble::Ensemble;
use nix::sys::signal::Signal;
use tests::cluster::{Home, Process, eventually};
use tests::installed::{once, run};
use tests::python::Python;

use crate::stage::{Stage, stands};

/// Pinned, so that a new release cannot turn a clean tree red.
const PYMESOS: [&str; 2] = ["pymesos==0.3.15", "addict==2.4.0"];
/// What it parses HTTP with. Its compiled half is for older Pythons; it goes without.
const HTTP_PARSER: &str = "http-parser==0.9.0";

/// Two commands, one on each of the first two offers.
const SCHEDULER: &str = r#"
import sys
from addict import Dict
from pymesos import MesosSchedulerDriver, Scheduler

class Commands(Scheduler):
    left, next, finished = 2, 1, set()

    def registered(self, driver, framework_id, master_info):
        print("registered", framework_id["value"], flush=True)

    def resourceOffers(self, driver, offers):
        for offer in offers:
            if not self.left:
                driver.declineOffer(offer.id)
                continue
            task = Dict()
            task.task_id.value = "python-%d" % self.next
            self.next += 1
            task.agent_id.value = offer.agent_id.value
            task.name = "task"
            task.command.value = "exit 0"
            task.resources = [
                dict(name="cpus", type="SCALAR", scalar={"value": 0.1}),
                dict(name="mem", type="SCALAR", scalar={"value": 32}),
            ]
            driver.launchTasks(offer.id, [task])
            self.left -= 1

    def statusUpdate(self, driver, update):
        print(update.task_id.value, update.state, flush=True)
        if update.state == "TASK_FINISHED":
            self.finished.add(update.task_id.value)
            if len(self.finished) == 2:
                driver.stop()

    def error(self, driver, message):
        print("error", message, flush=True)
        driver.abort()

framework = Dict(user="root", name="python", failover_timeout=600, checkpoint=True)
MesosSchedulerDriver(Commands(), framework, sys.argv[1], use_addict=True).run()
print("over", flush=True)
"#;

/// One command that ends at once, one that ends when there is a file of this name, and each time that it has found another master
/// one more.
const LASTING: &str = r#"
import sys
from addict import Dict
from pymesos import MesosSchedulerDriver, Scheduler

class Commands(Scheduler):
    wanted, finished = [("before", "exit 0"), ("across", "until [ -e %s ]; do sleep 0.1; done" % sys.argv[2])], set()
    masters = 1

    def registered(self, driver, framework_id, master_info):
        print("registered", framework_id["value"], master_info.port, flush=True)

    def reregistered(self, driver, master_info):
        print("again", driver.framework_id, master_info.port, flush=True)
        self.masters += 1
        self.wanted = [("at-%d" % self.masters, "exit 0")]

    def resourceOffers(self, driver, offers):
        for offer in offers:
            tasks = [self.task(offer, *one) for one in self.wanted]
            self.wanted = []
            if tasks:
                driver.launchTasks(offer.id, tasks)
            else:
                driver.declineOffer(offer.id, dict(refuse_seconds=0.1))

    def task(self, offer, name, command):
        task = Dict(name=name)
        task.task_id.value = name
        task.agent_id.value = offer.agent_id.value
        task.command.value = command
        task.resources = [
            dict(name="cpus", type="SCALAR", scalar={"value": 0.1}),
            dict(name="mem", type="SCALAR", scalar={"value": 32}),
        ]
        return task

    def statusUpdate(self, driver, update):
        print(update.task_id.value, update.state, flush=True)
        # Whoever kills a master may kill the acknowledgement too: then it is said again.
        if update.state == "TASK_FINISHED":
            self.finished.add(update.task_id.value)
        if len(self.finished) == 4:
            driver.stop()

    def error(self, driver, message):
        print("error", message, flush=True)
        driver.abort()

framework = Dict(user="root", name="lasting", failover_timeout=600, checkpoint=True)
MesosSchedulerDriver(Commands(), framework, sys.argv[1], use_addict=True).run()
print("over", flush=True)
"#;

/// Made once, also if two stories want it at the same time.
pub(crate) fn pymesos() -> &'static Python {
    static PYMESOS: OnceLock<Python> = OnceLock::new();
    PYMESOS.get_or_init(install_pymesos)
}

fn install_pymesos() -> Python {
    let install = |python: &Python| {
        python.install_uncompiled(HTTP_PARSER, "http_parser");
        python.install(&["six==1.17.0", "kazoo==2.11.0", "setuptools==80.9.0"]);
        let mut words = vec!["--no-deps"];
        words.extend(PYMESOS);
        python.install(&words);
    };
    let works = "import addict, pymesos";
    Python::with(env!("CARGO_TARGET_TMPDIR"), "pymesos-0.3.15", works, install)
}

#[test]
fn pymesos_runs_its_tasks_to_their_end() {
    let python = pymesos();
    let stage = Stage::of_one_agent();
    let mut command = python.command();
    command.args(["-c", SCHEDULER, &stage.at]).current_dir(stage.home.path(""));
    let mut scheduler = Process::start("pymesos", &mut command);
    scheduler.says("over");
    assert!(scheduler.ended().success(), "{:#?}", scheduler.said);
    let said = |line: &str| scheduler.said.iter().any(|one| one == line);
    for task in ["python-1", "python-2"] {
        for state in ["TASK_RUNNING", "TASK_FINISHED"] {
            assert!(said(&format!("{task} {state}")), "{:#?}", scheduler.said);
        }
    }
    assert!(!scheduler.said.iter().any(|line| line.starts_with("error")), "{:#?}", scheduler.said);
}

#[test]
fn pymesos_finds_the_leader_by_zookeeper_and_when_that_is_killed_the_next_one_where_it_goes_on() {
    let python = pymesos();
    let (home, ensemble) = (Home::new(), Ensemble::start(1).unwrap());
    let url = ensemble.url("/mesos");
    let (mut first, first_at) = stands(&home, "m1", &url);
    first.says(" leads ");
    let (second, second_at) = stands(&home, "m2", &url);
    let work_dir = home.work_dir("a");
    let line = ["agent", "--port=0", "--master", &url, &work_dir, "--resources=cpus:2;mem:512"];
    let _agent = Process::start("agent", &mut home.command(&line));
    let port = |at: &str| at.rsplit_once(':').unwrap().1.to_owned();

    let file = home.path("may end");
    let mut command = python.command();
    command.args(["-c", LASTING, &url]).arg(format!("'{}'", file.display()));
    let mut scheduler = Process::start("pymesos", command.current_dir(home.path("")));
    let registered = scheduler.says("registered ");
    let (id, at) = registered["registered ".len()..].split_once(' ').unwrap();
    assert_eq!(at, port(&first_at));
    scheduler.says("before TASK_FINISHED");
    scheduler.says("across TASK_RUNNING");
    first.signal(Signal::SIGKILL);
    scheduler.says(&format!("again {id} {}", port(&second_at)));
    scheduler.says("at-2 TASK_FINISHED");
    second.signal(Signal::SIGKILL);
    let leader = detector(&url).unwrap();
    eventually("there is nothing at the path but the registry", || {
        leader.leader().borrow().is_none()
    });
    let (_third, third_at) = stands(&home, "m3", &url);
    scheduler.says(&format!("again {id} {}", port(&third_at)));
    scheduler.says("at-3 TASK_FINISHED");
    std::fs::write(&file, "").unwrap();
    scheduler.says("across TASK_FINISHED");
    scheduler.says("over");
    assert!(scheduler.ended().success(), "{:#?}", scheduler.said);
    assert!(!scheduler.said.iter().any(|line| line.starts_with("error")), "{:#?}", scheduler.said);
}

/// A file that stands beside this one.
fn beside(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/http/clients").join(name)
}

/// A scheduler that says what it hears, and `over` when both of its tasks have ended well.
#[track_caller]
fn runs_two_tasks(name: &str, command: &mut Command) {
    let mut scheduler = Process::start(name, command);
    scheduler.says("over");
    assert!(scheduler.ended().success(), "{:#?}", scheduler.said);
    scheduler.says("subscribed ");
    for task in ["1", "2"] {
        for state in ["TASK_RUNNING", "TASK_FINISHED"] {
            let told = format!("-{task} {state}");
            assert!(
                scheduler.said.iter().any(|line| line.ends_with(&told)),
                "{:#?}",
                scheduler.said
            );
        }
    }
    assert!(!scheduler.said.iter().any(|line| line.starts_with("error")), "{:#?}", scheduler.said);
}

#[test]
fn mesos_rxjava_runs_its_tasks_to_their_end() {
    let programs = [
        ("/usr/bin/mvn", "maven"),
        ("/usr/bin/java", "default-jdk-headless"),
        ("/usr/bin/javac", "default-jdk-headless"),
    ];
    let jars = once(env!("CARGO_TARGET_TMPDIR"), "mesos-rxjava-0.1.2", &programs, |folder| {
        let mut copy = Command::new("/usr/bin/mvn");
        copy.args(["--quiet", "--batch-mode", "--file"]).arg(beside("pom.xml"));
        copy.arg("org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies");
        copy.arg(format!("-DoutputDirectory={}", folder.display()));
        run(&mut copy, "mesos-rxjava cannot be had from Maven Central");
    });
    let Some(jars) = jars else { return };
    let stage = Stage::of_one_agent();
    let mut command = Command::new("/usr/bin/java");
    command.arg("-cp").arg(jars.join("*")).arg(beside("Commands.java"));
    command.arg(format!("http://{}/api/v1/scheduler", stage.at)).current_dir(stage.home.path(""));
    runs_two_tasks("java", &mut command);
}

/// The client, and what it uses, none of it newer than what it was written with.
const MESOS_FRAMEWORK: [&str; 7] = [
    "mesos-framework@0.5.3",
    "lodash@4.18.1",
    "node-zookeeper-client@0.2.3",
    "protobufjs@5.0.3",
    "uuid@3.4.0",
    "winston@2.4.7",
    "winston-daily-rotate-file@1.7.2",
];

#[test]
fn mesos_framework_of_npm_runs_its_tasks_to_their_end() {
    let programs = [("/usr/bin/node", "nodejs"), ("/usr/bin/npm", "npm")];
    let modules = once(env!("CARGO_TARGET_TMPDIR"), "mesos-framework-0.5.3", &programs, |folder| {
        let mut install = Command::new("/usr/bin/npm");
        install.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]);
        run(install.arg(folder).args(MESOS_FRAMEWORK), "mesos-framework cannot be had from npm");
    });
    let Some(modules) = modules else { return };
    let stage = Stage::of_one_agent();
    let mut command = Command::new("/usr/bin/node");
    command.arg(beside("commands.js")).arg(&stage.at);
    // It keeps a log where it is started.
    std::fs::create_dir(stage.home.path("logs")).unwrap();
    command.env("NODE_PATH", modules.join("node_modules")).current_dir(stage.home.path(""));
    runs_two_tasks("node", &mut command);
}
