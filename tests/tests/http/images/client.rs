//! The same by somebody else's client, which knows nothing of this project.

use tests::cluster::Process;
use tests::images::{Layout, Registry};

use super::{ISOLATION, PROVIDERS};
use crate::clients::pymesos;
use crate::stage::Stage;
use crate::started::{read, sandbox};

/// One command in the image that is named.
const SCHEDULER: &str = r#"
import sys
from addict import Dict
from pymesos import MesosSchedulerDriver, Scheduler

class InImage(Scheduler):
    launched = False

    def registered(self, driver, framework_id, master_info):
        print("registered", framework_id["value"], flush=True)

    def resourceOffers(self, driver, offers):
        for offer in offers:
            if self.launched:
                driver.declineOffer(offer.id)
                continue
            self.launched = True
            task = Dict(name="in")
            task.task_id.value = "in"
            task.agent_id.value = offer.agent_id.value
            task.command.value = "cat /etc/os-release; id -u; ps -o pid,comm"
            task.container.type = "MESOS"
            task.container.mesos.image = dict(type="DOCKER", docker=dict(name=sys.argv[2]))
            task.resources = [
                dict(name="cpus", type="SCALAR", scalar={"value": 0.1}),
                dict(name="mem", type="SCALAR", scalar={"value": 32}),
            ]
            driver.launchTasks(offer.id, [task])

    def statusUpdate(self, driver, update):
        print(update.task_id.value, update.state, update.message, flush=True)
        if update.state not in ("TASK_STARTING", "TASK_RUNNING"):
            driver.stop()

    def error(self, driver, message):
        print("error", message, flush=True)
        driver.abort()

framework = Dict(user="root", name="images", failover_timeout=600, checkpoint=True)
MesosSchedulerDriver(InImage(), framework, sys.argv[1], use_addict=True).run()
print("over", flush=True)
"#;

#[test]
fn img_01_pymesos_runs_a_task_in_an_image_of_a_registry_with_a_password() {
    let python = pymesos();
    let registry = Registry::start(&Layout::made());
    let logins = format!("--docker_config={}", registry.logins().display());
    let stage = Stage::of_master().with_agent_of(&[ISOLATION, PROVIDERS, &logins]);
    let mut command = python.command();
    command.args(["-c", SCHEDULER, &stage.at, &registry.image("bare")]);
    let mut scheduler = Process::start("pymesos", command.current_dir(stage.home.path("")));
    let id = scheduler.says("registered ").replace("registered ", "");
    scheduler.says("over");
    scheduler.says("in TASK_FINISHED");
    assert!(scheduler.ended().success(), "{:#?}", scheduler.said);
    let printed = read(&sandbox(&stage, id.trim(), "in").join("stdout"));
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[..2], ["NAME=story", "0"], "{printed}");
    // It sees what it started, and nobody else.
    assert!(lines.iter().any(|line| line.trim_start().starts_with("1 ")), "{printed}");
    assert!(!printed.contains("airside-master") && lines.len() <= 8, "{printed}");
}
