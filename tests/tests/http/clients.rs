//! Other people's clients, as they come from their registries: they were written for Mesos, and are told another address.

use tests::cluster::Process;
use tests::python::Python;

use crate::stage::Stage;

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

fn pymesos() -> Python {
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
