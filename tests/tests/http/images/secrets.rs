//! Secrets that a framework says by their values: files in memory and variables, which the task reads and nobody is shown.

use std::path::Path;

use serde_json::{Value, json};
use tests::http;
use tests::images::Layout;

use super::{Harbour, ISOLATION, PROVIDERS, finishes, in_image, mounts_now, runs};
use crate::stage::{Stage, task};
use crate::started::{end_of, read, sandbox, subscribes};

const VALUE: &str = "open sesame";
/// By which a task is asked whether it has it: what it is asked is shown.
const MD5: &str = "54ef36ec71201fdf9d1423fd26f97f6b";
/// The same, as JSON of messages has it.
const IN_BASE64: &str = "b3BlbiBzZXNhbWU=";
/// The same, as JSON of records has bytes.
const IN_NUMBERS: &str = "111,112,101,110,32,115";

fn secret() -> Value {
    json!({ "type": "VALUE", "value": { "data": IN_BASE64 } })
}

fn secret_file(at: &str) -> Value {
    json!({ "container_path": at, "mode": "RO", "source": { "type": "SECRET", "secret": secret() } })
}

/// In nothing that is shown of the cluster is the value, though the rest is.
#[track_caller]
fn nothing_shows_it(stage: &Stage, rest: &str) {
    let reads = ["GET_STATE", "GET_TASKS", "GET_EXECUTORS"].map(|call| json!({ "type": call }));
    let (master, agent) = (stage.at.as_str(), stage.agent_at());
    let mut all = Vec::new();
    for (at, pages) in [
        (master, ["/state", "/tasks", "/frameworks"]),
        (agent, ["/state", "/containers", "/monitor/statistics"]),
    ] {
        all.extend(pages.map(|page| http::ask(at, &format!("GET {page}"), &[], b"").text()));
        let json = ["Accept: application/json"];
        all.extend(reads.iter().map(|call| http::call(at, "/api/v1", &json, call).text()));
    }
    assert!(all.iter().any(|text| text.contains(rest)), "{all:?}");
    for text in all {
        assert!(!text.contains(VALUE) && !text.contains(IN_BASE64), "{text}");
    }
}

/// In no file below this folder is the value.
fn is_in_no_file(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            is_in_no_file(&path);
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            for form in [VALUE, IN_BASE64, IN_NUMBERS] {
                assert!(!text.contains(form), "{}: {text}", path.display());
            }
        }
    }
}

/// Says how the file is mounted and whether it can be written, and stays until it may go.
fn looks_at(path: &str) -> String {
    format!(
        "md5sum < {path} | grep -q {MD5} && echo read; stat -c '%A %u' {path}; \
         grep '{path} ' /proc/self/mountinfo | sed 's/.* - //' | cut -d' ' -f1; echo x > {path} || echo kept; \
         until [ -e $MESOS_SANDBOX/go ]; do sleep 0.05; done"
    )
}

#[test]
fn vol_05_a_secret_volume_is_a_file_in_memory_that_its_task_reads_and_nobody_is_shown() {
    let stage = Stage::of_master()
        .with_agent_of(&["--isolation=filesystem/linux,docker/runtime,volume/secret", PROVIDERS]);
    let harbour = Harbour { stage, layout: Layout::made() };
    let mounts = mounts_now();
    let mut framework = harbour.framework();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid;
    for (id, user, path, expected) in [
        ("in", "root", "/run/secrets/key", "read\n-r--r--r-- 0\ntmpfs\nkept\n".to_owned()),
        ("out", "nobody", "key", format!("read\n-r-------- {nobody}\ntmpfs\nkept\n")),
    ] {
        let offer = framework.offer();
        let mut reads = task(id, &offer, &looks_at(path));
        if id == "in" {
            reads = in_image(reads, &harbour.layout.image("bare"));
        } else {
            reads["container"] = json!({ "type": "MESOS" });
        }
        reads["command"]["user"] = json!(user);
        reads["container"]["volumes"] = json!([secret_file(path)]);
        framework.launches(&offer, &[reads]);
        runs(&mut framework);
        nothing_shows_it(&harbour.stage, path);
        is_in_no_file(&harbour.stage.home.path("a").join("containers"));
        let sandbox = sandbox(&harbour.stage, &framework.id, id);
        std::fs::write(sandbox.join("go"), "").unwrap();
        finishes(&mut framework);
        assert_eq!(harbour.printed(&framework, id), expected, "{}", read(&sandbox.join("stderr")));
        is_in_no_file(&sandbox);
    }
    harbour.is_clear(&mounts);
}

#[test]
fn vol_05_an_executor_of_a_frameworks_own_has_its_secret_volumes_too() {
    let harbour = Harbour::with(&[]);
    let mut framework = harbour.framework();
    let offer = framework.offer();
    let mut own = task("own", &offer, "");
    own.as_object_mut().unwrap().remove("command");
    let line = format!("md5sum < key | grep -q {MD5} && echo read; env | grep -c SECRET_VOLUME");
    own["executor"] = json!({
        "executor_id": { "value": "custom" }, "type": "CUSTOM", "command": { "value": line },
        "container": { "type": "MESOS", "volumes": [secret_file("key")] },
    });
    framework.launches(&offer, &[own]);
    // It never subscribes.
    let end = end_of(&mut framework);
    assert_eq!(end["reason"], "REASON_EXECUTOR_TERMINATED", "{end}");
    assert_eq!(harbour.printed(&framework, "custom"), "read\n0\n");
}

#[test]
fn iso_25_auth_12_a_secret_variable_is_in_the_environment_of_its_task_and_is_shown_nowhere() {
    let stage = Stage::of_master().with_agent_of(&["--isolation=environment_secret"]);
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let line = format!(
        "printf %s \"$KEY\" | md5sum | grep -q {MD5} && echo \"has it, $PLAIN\"; until [ -e $MESOS_SANDBOX/go ]; do sleep 0.05; done"
    );
    let mut has = task("has", &offer, &line);
    let secret = json!({ "name": "KEY", "type": "SECRET", "secret": secret() });
    has["command"]["environment"] =
        json!({ "variables": [secret, { "name": "PLAIN", "value": "beside" }] });
    let mut own = task("own", &offer, "");
    own.as_object_mut().unwrap().remove("command");
    own["executor"] = json!({
        "executor_id": { "value": "custom" }, "type": "CUSTOM",
        "command": { "value": line, "environment": has["command"]["environment"] },
    });
    framework.launches(&offer, &[has, own]);
    runs(&mut framework);
    let id = framework.id.clone();
    let path = |executor: &str| sandbox(&stage, &id, executor);
    let said = |executor: &str| read(&path(executor).join("stdout"));
    tests::cluster::eventually("the executor says it", || said("custom") == "has it, beside\n");
    nothing_shows_it(&stage, "PLAIN");
    std::fs::write(path("has").join("go"), "").unwrap();
    std::fs::write(path("custom").join("go"), "").unwrap();
    let ends = [end_of(&mut framework), end_of(&mut framework)];
    assert!(ends.iter().any(|end| end["state"] == "TASK_FINISHED"), "{ends:?}");
    assert_eq!(said("has"), "has it, beside\n");
}

#[test]
fn auth_12_a_secret_that_is_kept_elsewhere_is_refused_in_words() {
    let harbour = Harbour {
        stage: Stage::of_master().with_agent_of(&[ISOLATION, PROVIDERS]),
        layout: Layout::made(),
    };
    let mut framework = harbour.framework();
    let elsewhere = json!({ "type": "REFERENCE", "reference": { "name": "store/key" } });
    let offer = framework.offer();
    let mut file = task("file", &offer, "true");
    let mut volume = secret_file("key");
    volume["source"]["secret"] = elsewhere.clone();
    file["container"] = json!({ "type": "MESOS", "volumes": [volume] });
    let mut variable = task("variable", &offer, "true");
    variable["command"]["environment"] =
        json!({ "variables": [{ "name": "KEY", "type": "SECRET", "secret": elsewhere }] });
    let mut first = Some(offer);
    for refused in [file, variable] {
        let offer = first.take().unwrap_or_else(|| framework.offer());
        framework.launches(&offer, &[refused]);
        let end = end_of(&mut framework);
        assert_eq!(end["state"], "TASK_ERROR", "{end}");
        let words = end["message"].as_str().unwrap();
        assert!(words.contains("Secret 'store/key' is kept elsewhere"), "{words}");
    }
}
