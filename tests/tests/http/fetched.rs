//! Files that tasks ask for: each kind, once for many, as their users, and not for ever; and an unmodified executor of pymesos,
//! which fetches itself from its scheduler.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tests::cluster::{Process, eventually};
use tests::http;

use crate::clients::pymesos;
use crate::stage::{Stage, task};
use crate::started::{end_of, read, sandbox, subscribes};

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

/// Archives of each kind, of one file `KIND/KIND.txt` which says its kind.
const ARCHIVES: &str = r#"
import io, sys, tarfile, zipfile, gzip
for kind, mode in [("tar", "w"), ("tgz", "w:gz"), ("tbz2", "w:bz2"), ("txz", "w:xz")]:
    with tarfile.open("a." + kind, mode) as archive:
        entry = tarfile.TarInfo(kind + "/" + kind + ".txt")
        entry.size = len(kind)
        archive.addfile(entry, io.BytesIO(kind.encode()))
with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("zip/zip.txt", "zip")
with gzip.open("one.txt.gz", "wb") as archive:
    archive.write(b"gz")
"#;

/// Serves a folder, and notes what it was asked for. What is called `endless` begins, and then nothing comes.
#[derive(Clone)]
struct Server {
    at: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn of(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let server = Self { at, asked: Arc::default() };
        let (serves, folder) = (server.clone(), folder.to_owned());
        std::thread::spawn(move || {
            // Those who wait for more.
            let mut open = Vec::new();
            for stream in listener.incoming().flatten() {
                open.extend(serves.serve(stream, &folder));
            }
        });
        server
    }

    fn serve(&self, stream: TcpStream, folder: &Path) -> Option<TcpStream> {
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while stream.read_line(&mut head).is_ok_and(|bytes| bytes > 2) {}
        let path = head.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
        self.asked.lock().unwrap().push(path.clone());
        let mut stream = stream.into_inner();
        let ok = |length: usize| {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
        };
        if path == "endless" {
            let _ = stream.write_all(format!("{}begins", ok(1000)).as_bytes());
            return Some(stream);
        }
        let body = std::fs::read(folder.join(path)).unwrap_or_default();
        let _ = stream.write_all(&[ok(body.len()).as_bytes(), &body].concat());
        None
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.at)
    }

    fn asked(&self, path: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|one| *one == path).count()
    }
}

/// Where any user may go, as an agent's folder is to be.
fn opens(stage: &Stage) {
    let home = stage.home.path("");
    std::fs::set_permissions(home, PermissionsExt::from_mode(0o755)).unwrap();
}

fn counts(stage: &Stage) -> Value {
    http::ask(stage.agent_at(), "GET /metrics/snapshot", &[], b"").json()
}

#[test]
fn fetch_01_a_task_finds_each_kind_of_file_as_its_users_own() {
    let stage = Stage::of_one_agent();
    opens(&stage);
    let folder = stage.home.path("files");
    std::fs::create_dir(&folder).unwrap();
    let made = Command::new("python3").args(["-c", ARCHIVES]).current_dir(&folder).status();
    assert!(made.unwrap().success());
    std::fs::write(folder.join("run.sh"), "#!/bin/sh\nexec cat */*.txt *.txt dir/below/plain\n")
        .unwrap();
    std::fs::write(folder.join("plain"), " plain\n").unwrap();
    let server = Server::of(&folder);
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let mut all = task("all", &offer, "./run.sh && ! test -x dir/below/plain");
    all["command"]["user"] = json!("nobody");
    let path = |name: &str| folder.join(name).display().to_string();
    all["command"]["uris"] = json!([
        { "value": path("run.sh"), "executable": true },
        { "value": format!("file://{}", path("plain")), "output_file": "dir/below/plain" },
        { "value": server.url("a.tar") },
        { "value": server.url("a.tgz"), "cache": true },
        { "value": format!("file://{}", path("a.tbz2")) },
        { "value": path("a.txz"), "cache": true },
        { "value": server.url("a.zip") },
        { "value": server.url("one.txt.gz") },
        { "value": server.url("a.zip"), "extract": false, "output_file": "kept/a.zip" },
    ]);
    framework.launches(&offer, &[all]);
    let end = end_of(&mut framework);
    assert_eq!(end["state"], "TASK_FINISHED", "{end}");
    let sandbox = sandbox(&stage, &framework.id, "all");
    assert_eq!(read(&sandbox.join("stdout")), "tartbz2tgztxzzipgz plain\n");
    let said = read(&sandbox.join("stderr"));
    assert!(said.contains(&format!("fetched '{}' as 'a.zip'", server.url("a.zip"))), "{said}");
    let nobody = sandbox.metadata().unwrap().uid();
    assert_ne!(nobody, 0);
    for name in ["run.sh", "dir", "dir/below/plain", "tgz/tgz.txt", "one.txt", "kept/a.zip"] {
        assert_eq!(sandbox.join(name).metadata().unwrap().uid(), nobody, "{name}");
    }
    assert!(!sandbox.join("kept/zip").exists());
}

/// Brings what lies in the folder that the address names, if whoever asks may read it.
const HADOOP: &str = "#!/bin/sh
case $1 in version) exit 0 ;; esac
exec cp \"${3#hdfs://cluster}\" \"$4\"
";

#[test]
fn img_09_fetch_01_a_task_has_files_of_hadoops_by_its_client_with_its_users_rights() {
    let home = tests::cluster::Home::new();
    let bin = home.path("hadoop").join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("hadoop"), HADOOP).unwrap();
    for path in [home.path(""), bin.join("hadoop")] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let flag = format!("--hadoop_home={}", home.path("hadoop").display());
    let stage = Stage::of_master().with_agent_of(&[&flag]);
    opens(&stage);
    let (open, closed) = (home.path("open"), home.path("closed"));
    for (path, mode) in [(&open, 0o644), (&closed, 0o600)] {
        std::fs::write(path, "by hadoop").unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let with = |id: &str, path: &Path, cache: bool| {
        let mut task = task(id, &offer, &format!("cat {id}"));
        task["command"]["user"] = json!("nobody");
        let uri = format!("hdfs://cluster{}", path.display());
        task["command"]["uris"] = json!([{ "value": uri, "cache": cache }]);
        task
    };
    framework.launches(&offer, &[with("open", &open, false)]);
    let end = end_of(&mut framework);
    assert_eq!(end["state"], "TASK_FINISHED", "{end}");
    let sandbox = sandbox(&stage, &framework.id, "open");
    assert_eq!(read(&sandbox.join("stdout")), "by hadoop");
    let of = |path: &Path| path.metadata().unwrap().uid();
    assert_eq!(of(&sandbox.join("open")), of(&sandbox));
    let offer = framework.offer();
    framework.launches(&offer, &[with("closed", &closed, true)]);
    let end = end_of(&mut framework);
    let words = end["message"].as_str().unwrap();
    assert_eq!(end["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{end}");
    assert!(words.contains("fs -copyToLocal` ended with") && words.contains("denied"), "{words}");
}

#[test]
fn fetch_02_two_tasks_take_one_download_and_fetch_04_it_is_counted() {
    let home = tests::cluster::Home::new();
    let cache = home.path("cache").display().to_string();
    let flag = format!("--fetcher_cache_dir={cache}");
    let stage = Stage::of_master().with_agent_of(&[&flag, "--fetcher_cache_size=1MB"]);
    let folder = stage.home.path("files");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("data"), "x".repeat(1000)).unwrap();
    std::fs::write(folder.join("large"), "x".repeat(2 << 20)).unwrap();
    let server = Server::of(&folder);
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let with = |id: &str, file: &str| {
        let mut task = task(id, &offer, &format!("wc -c < {file}"));
        task["command"]["uris"] = json!([{ "value": server.url(file), "cache": true }]);
        task
    };
    let all =
        [with("one", "data"), with("two", "data"), with("three", "large"), with("four", "large")];
    framework.launches(&offer, &all);
    for _ in &all {
        let end = end_of(&mut framework);
        assert_eq!(end["state"], "TASK_FINISHED", "{end}");
    }
    for (id, bytes) in [("one", "1000\n"), ("two", "1000\n"), ("three", "2097152\n")] {
        assert_eq!(read(&sandbox(&stage, &framework.id, id).join("stdout")), bytes);
    }
    assert_eq!(server.asked("data"), 1);
    assert!(server.asked("large") >= 2, "it is larger than the cache");
    let counts = counts(&stage);
    for (name, number) in [
        ("task_fetches_succeeded", 4.0),
        ("task_fetches_failed", 0.0),
        ("cache_size_total_bytes", f64::from(1 << 20)),
        ("cache_size_used_bytes", 1000.0),
    ] {
        assert_eq!(counts[format!("containerizer/fetcher/{name}")], number, "{name}");
    }
}

#[test]
fn fetch_01_a_user_gets_no_file_that_it_may_not_read() {
    let stage = Stage::of_one_agent();
    opens(&stage);
    let secret = stage.home.path("secret");
    std::fs::write(&secret, "secret").unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let reads = [("plain", false), ("kept", true)].map(|(id, cache)| {
        let mut reads = task(id, &offer, "cat secret");
        reads["command"]["user"] = json!("nobody");
        reads["command"]["uris"] =
            json!([{ "value": format!("file://{}", secret.display()), "cache": cache }]);
        reads
    });
    framework.launches(&offer, &reads);
    for _ in &reads {
        let end = end_of(&mut framework);
        let words = end["message"].as_str().unwrap();
        assert_eq!(end["reason"], "REASON_CONTAINER_LAUNCH_FAILED", "{end}");
        assert!(words.contains("user 'nobody' may not read it: Permission denied"), "{words}");
    }
}

#[test]
fn fetch_03_a_download_that_stalls_is_given_up_and_a_long_one_is_no_reason_to_kill_an_executor() {
    let stage = Stage::of_master()
        .with_agent_of(&["--fetcher_stall_timeout=3secs", "--executor_registration_timeout=1secs"]);
    let server = Server::of(&stage.home.path(""));
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let mut stalls = task("stalls", &offer, "true");
    stalls["command"]["uris"] = json!([{ "value": server.url("endless") }]);
    framework.launches(&offer, &[stalls]);
    let end = end_of(&mut framework);
    assert_eq!(
        (&end["state"], &end["reason"]),
        (&json!("TASK_FAILED"), &json!("REASON_CONTAINER_LAUNCH_FAILED"))
    );
    let words = end["message"].as_str().unwrap();
    assert!(words.contains("nothing came for 3s, so it is given up"), "{words}");
}

#[test]
fn a_task_that_is_killed_while_its_files_are_fetched_leaves_nothing() {
    let stage = Stage::of_one_agent();
    let server = Server::of(&stage.home.path(""));
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let mut killed = task("killed", &offer, "true");
    killed["command"]["uris"] = json!([{ "value": server.url("endless"), "cache": true }]);
    framework.launches(&offer, &[killed]);
    eventually("it is being fetched", || server.asked("endless") == 1);
    assert_eq!(stage.home.processes_of("fetch").len(), 1);
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "killed" } } }));
    let end = end_of(&mut framework);
    assert_eq!(end["state"], "TASK_KILLED", "{end}");
    eventually("nothing is fetched any more, and the executor is gone", || {
        let state = http::ask(stage.agent_at(), "GET /state", &[], b"").json();
        let gone = state["frameworks"].as_array().is_some_and(Vec::is_empty);
        gone && stage.home.processes_of("fetch").is_empty()
    });
    assert_eq!(counts(&stage)["containerizer/fetcher/cache_size_used_bytes"], 0.0);
}
