//! Other people's clients, as they come from their registries: they were written for Mesos, and are told another address.

use std::sync::OnceLock;

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

/// An executor, which fetches itself from its scheduler.
const EXECUTOR: &str = r#"
import time, uuid
from pymesos import Executor, MesosExecutorDriver, decode_data, encode_data

class Words(Executor):
    away = False

    def launchTask(self, driver, task):
        driver.sendStatusUpdate(dict(
            task_id=task["task_id"], state="TASK_RUNNING", message="has " + decode_data(task["data"]).decode()))

    def killTask(self, driver, task_id):
        driver.sendStatusUpdate(dict(task_id=task_id, state="TASK_KILLED"))

    def frameworkMessage(self, driver, message):
        driver.sendFrameworkMessage(encode_data(b"heard " + decode_data(message)))
        task = decode_data(message).decode()
        driver.sendStatusUpdate(dict(task_id=dict(value=task), state="TASK_FINISHED"))

    def disconnected(self, driver):
        if self.away:
            return
        self.away = True
        # What it says now it keeps, as Mesos's protocol has it: until its agent is back and knows it.
        id = uuid.uuid4()
        driver.updates[id] = dict(status=dict(
            task_id=dict(value="three"), state="TASK_RUNNING", message="while it was away", source="SOURCE_EXECUTOR",
            timestamp=time.time(), uuid=encode_data(id.bytes)))

driver = MesosExecutorDriver(Words())
driver.run()
"#;

/// Three tasks of one executor: the first is told to end, the second is killed, the third outlives its agent.
const SCHEDULER_OF_EXECUTORS: &str = r##"
import sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from addict import Dict
from pymesos import MesosSchedulerDriver, Scheduler, decode_data, encode_data

program = ("#!%s\n%s" % (sys.executable, sys.argv[2])).encode()

class Files(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(program)))
        self.end_headers()
        self.wfile.write(program)

files = HTTPServer(("127.0.0.1", 0), Files)
threading.Thread(target=files.serve_forever, daemon=True).start()
url = "http://127.0.0.1:%d/executor.py" % files.server_port

def scalar(name, value):
    return dict(name=name, type="SCALAR", scalar=dict(value=value))

class Words(Scheduler):
    launched = False

    def resourceOffers(self, driver, offers):
        for offer in offers:
            if self.launched:
                driver.declineOffer(offer.id)
                continue
            self.launched = True
            executor = Dict()
            executor.executor_id.value = "words"
            executor.command.value = "./executor.py"
            executor.command.uris = [dict(value=url, executable=True)]
            executor.resources = [scalar("cpus", 0.1), scalar("mem", 32)]
            tasks = []
            for name in ["one", "two", "three"]:
                task = Dict()
                task.task_id.value = name
                task.name = name
                task.agent_id.value = offer.agent_id.value
                task.executor = executor
                task.data = encode_data(("data of " + name).encode())
                task.resources = [scalar("cpus", 0.1), scalar("mem", 32)]
                tasks.append(task)
            self.agent = offer.agent_id
            driver.launchTasks(offer.id, tasks)

    def tell(self, driver, word):
        driver.sendFrameworkMessage(dict(value="words"), self.agent, encode_data(word.encode()))

    def statusUpdate(self, driver, update):
        name = update.task_id.value
        print(name, update.state, update.message or "", flush=True)
        if update.state == "TASK_RUNNING":
            if name == "one":
                self.tell(driver, "one")
            if name == "two":
                driver.killTask(update.task_id)
        if (name, update.state) == ("three", "TASK_FINISHED"):
            driver.stop()

    def frameworkMessage(self, driver, executor_id, agent_id, message):
        print(executor_id.value, "says:", decode_data(message).decode(), flush=True)

    def error(self, driver, message):
        print("error", message, flush=True)
        driver.abort()

framework = Dict(user="root", name="words", failover_timeout=600, checkpoint=True)
scheduler = Words()
driver = MesosSchedulerDriver(scheduler, framework, sys.argv[1], use_addict=True)
driver.start()
sys.stdin.read()
scheduler.tell(driver, "three")
driver.join()
print("over", flush=True)
"##;

/// Made once, whichever story comes first.
fn pymesos() -> &'static Python {
    static PYTHON: OnceLock<Python> = OnceLock::new();
    PYTHON.get_or_init(installed)
}

fn installed() -> Python {
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
fn pymesos_runs_its_executor_which_outlives_the_agent() {
    let python = pymesos();
    let mut stage = Stage::of_one_agent();
    let mut command = python.command();
    command.args(["-c", SCHEDULER_OF_EXECUTORS, &stage.at, EXECUTOR]);
    let mut scheduler = Process::start("pymesos", command.current_dir(stage.home.path("")));
    for name in ["one", "two", "three"] {
        scheduler.says(&format!("{name} TASK_RUNNING has data of {name}"));
    }
    scheduler.says("words says: heard one");
    scheduler.says("one TASK_FINISHED");
    scheduler.says("two TASK_KILLED");
    stage.kills_agent();
    stage.agent_is_back();
    scheduler.says("three TASK_RUNNING while it was away");
    scheduler.close_stdin();
    scheduler.says("words says: heard three");
    scheduler.says("three TASK_FINISHED");
    scheduler.says("over");
    assert!(scheduler.ended().success(), "{:#?}", scheduler.said);
    assert!(!scheduler.said.iter().any(|line| line.starts_with("error")), "{:#?}", scheduler.said);
    assert!(!scheduler.said.iter().any(|line| line.contains("TASK_LOST")), "{:#?}", scheduler.said);
}
