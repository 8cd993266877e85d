//! An unmodified executor of pymesos, which fetches itself from its scheduler.

use tests::cluster::Process;

use crate::clients::pymesos;
use crate::stage::Stage;

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
