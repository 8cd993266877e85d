//! What a master counts, after a framework's whole life; and what it counts of those who read.

use std::thread;
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tests::cluster::{DEADLINE, Home, eventually, happens_by};
use tests::http::{self, Client};

use crate::stage::{OPERATOR, Stage, task};

fn counts(stage: &Stage, wanted: &[(String, f64)]) {
    let mut seen = Value::Null;
    let all = || {
        seen = stage.get("/metrics/snapshot?timeout=5secs").json();
        wanted.iter().all(|(name, number)| seen[name] == *number)
    };
    if !happens_by(Instant::now() + DEADLINE, all) {
        let wrong = wanted.iter().filter(|(name, number)| seen[name] != *number);
        let wrong: Vec<String> =
            wrong.map(|(name, number)| format!("{name}: {}, not {number}", seen[name])).collect();
        panic!("{wrong:#?}");
    }
}

fn of(prefix: &str, all: &[(&str, f64)]) -> Vec<(String, f64)> {
    all.iter().map(|(name, number)| (format!("{prefix}{name}"), *number)).collect()
}

/// What a master has counted after what a framework of the story said.
const OF_MASTER: [(&str, f64); 16] = [
    ("messages_register_framework", 1.0),
    ("messages_launch_tasks", 1.0),
    ("messages_decline_offers", 1.0),
    ("messages_suppress_offers", 1.0),
    ("messages_resource_request", 1.0),
    ("messages_framework_to_executor", 2.0),
    ("valid_framework_to_executor_messages", 1.0),
    ("invalid_framework_to_executor_messages", 1.0),
    ("messages_register_slave", 1.0),
    ("messages_status_update_acknowledgement", 4.0),
    ("valid_status_update_acknowledgements", 3.0),
    ("invalid_status_update_acknowledgements", 1.0),
    ("messages_exited_executor", 1.0),
    ("tasks_failed", 1.0),
    ("tasks_error", 2.0),
    ("task_error/source_master/reason_task_invalid", 2.0),
];

/// What it has counted of the framework.
const OF_FRAMEWORK: [(&str, f64); 18] = [
    ("subscribed", 1.0),
    ("calls", 10.0 + 1.0),
    ("calls/subscribe", 1.0),
    ("calls/accept", 1.0),
    ("calls/decline", 1.0),
    ("calls/acknowledge", 4.0),
    ("calls/request", 1.0),
    ("calls/message", 2.0),
    ("events/subscribed", 1.0),
    ("events/update", 5.0),
    ("offers/sent", 2.0),
    ("offers/accepted", 1.0),
    ("offers/declined", 1.0),
    ("offers/rescinded", 0.0),
    ("operations/launch", 1.0),
    ("tasks/active/task_running", 0.0),
    ("tasks/terminal/task_failed", 1.0),
    ("roles/eng/web/suppressed", 1.0),
];

#[test]
fn metr_01_a_master_counts_all_that_a_framework_says_and_is_told() {
    let stage = Stage::of_one_agent();
    let info = json!({ "user": "root", "name": "my web", "principal": "ops", "roles": ["eng/web"],
        "failover_timeout": 60.0, "capabilities": [{ "type": "MULTI_ROLE" }] });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    // One of its ids is none, and another is in use.
    let [fails, bad] = ["fails", "a/b"].map(|id| task(id, &offer, "exit 3"));
    framework.launches(&offer, &[fails.clone(), bad, fails]);
    while framework.update()["state"] != "TASK_FAILED" {}
    let offer = framework.offer();
    let refuse = json!({ "refuse_seconds": 1000.0 });
    framework
        .says("DECLINE", json!({ "decline": { "offer_ids": [offer["id"]], "filters": refuse } }));
    framework.says("REQUEST", json!({ "request": { "requests": [] } }));
    framework.says("SUPPRESS", json!({ "suppress": {} }));
    let nowhere =
        json!({ "agent_id": offer["agent_id"], "executor_id": { "value": "x" }, "data": "" });
    let lost =
        json!({ "agent_id": { "value": "none" }, "executor_id": { "value": "x" }, "data": "" });
    framework.says("MESSAGE", json!({ "message": lost }));
    framework.says("MESSAGE", json!({ "message": nowhere }));
    let unknown = json!({ "agent_id": { "value": "none" }, "task_id": { "value": "fails" },
        "uuid": "AAAAAAAAAAAAAAAAAAAAAA==" });
    framework.says("ACKNOWLEDGE", json!({ "acknowledge": unknown }));
    let mut wanted = of("master/", &OF_MASTER);
    let named = format!("master/frameworks/my%20web/{}/", framework.id);
    wanted.extend(of(&named, &OF_FRAMEWORK));
    wanted.extend(of("frameworks/ops/", &[("messages_processed", 11.0)]));
    wanted.extend(of("registrar/", &[("log/recovered", 1.0), ("queued_operations", 0.0)]));
    counts(&stage, &wanted);
    let all = stage.get("/metrics/snapshot").json();
    // One may come again for the sake of the end behind it.
    let updates = all["master/messages_status_update"].as_f64();
    assert!(updates.is_some_and(|count| [3.0, 4.0].contains(&count)), "{all:#}");
    assert_eq!(updates, all["master/valid_status_updates"].as_f64());
    for name in ["registry_size_bytes", "state_store_ms", "state_store_ms/p99", "state_fetch_ms"] {
        let number = all[format!("registrar/{name}")].as_f64();
        assert!(number.is_some_and(|number| number > 0.0), "{name} in {all:#}");
    }
    framework.says("TEARDOWN", json!({}));
    counts(&stage, &of("master/", &[("messages_unregister_framework", 1.0)]));
    eventually("what was counted of it goes with it", || {
        let all = stage.get("/metrics/snapshot").json();
        let is_its = |name: &String| name.starts_with(&named) || name.starts_with("frameworks/");
        !all.as_object().unwrap().keys().any(is_its)
    });
}

#[test]
fn opapi_04_who_reads_the_same_at_once_gets_the_same_answer_and_it_is_written_once() {
    let stage = Stage::of_one_agent();
    stage.has_agents(1);
    let read = |_| {
        let at = stage.at.clone();
        thread::spawn(move || {
            let mut client = Client::connect(&at).unwrap();
            let body = json!({ "type": "GET_STATE" }).to_string();
            let headers = ["Content-Type: application/json", "Accept: application/json"];
            let mut all = Vec::new();
            for _ in 0..25 {
                client.request("GET /state", &[], b"").unwrap();
                client.request(&format!("POST {OPERATOR}"), &headers, body.as_bytes()).unwrap();
                let answers = [client.answer().unwrap(), client.answer().unwrap()];
                assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
                all.push(answers.map(|answer| answer.text()));
            }
            all
        })
    };
    let readers: Vec<_> = (0..4).map(read).collect();
    let all: Vec<_> = readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
    assert_eq!(all.len(), 100);
    assert!(all.iter().all(|answers| *answers == all[0]), "nothing happened in between");
    let mut hits = Value::Null;
    eventually("they were written for another", || {
        hits = stage.get("/metrics/snapshot").json()["master/http_cache_hits"].clone();
        hits.as_f64().is_some_and(|hits| hits >= 190.0)
    });
}

#[test]
fn metr_01_those_who_listen_to_what_happens_are_counted() {
    let stage = Stage::of_master();
    let listeners = [("operator_event_stream_subscribers", 1.0)];
    let mut client = Client::connect(&stage.at).unwrap();
    let body = json!({ "type": "SUBSCRIBE" }).to_string();
    let headers = ["Content-Type: application/json", "Accept: application/json"];
    client.request(&format!("POST {OPERATOR}"), &headers, body.as_bytes()).unwrap();
    let mut stream = client.stream().unwrap();
    stream.event("SUBSCRIBED");
    counts(&stage, &of("master/", &listeners));
    drop(stream);
    counts(&stage, &of("master/", &[("operator_event_stream_subscribers", 0.0)]));
}

#[test]
fn opapi_05_operators_list_and_read_the_log_of_a_master() {
    let home = Home::new();
    let folder = home.path("logs");
    let (mut master, at) = home.master(&[&format!("--log_dir={}", folder.display())]);
    master.says(" INFO ");
    let call = |body: Value| http::call(&at, OPERATOR, &[], &body);
    let listed = call(json!({ "type": "LIST_FILES", "list_files": { "path": "/master/log" } }));
    assert_eq!((listed.status, listed.text().as_str()), (400, "'/master/log' is no folder"));
    let read = |offset: u64, length: u64| {
        let read = json!({ "path": "/master/log", "offset": offset, "length": length });
        call(json!({ "type": "READ_FILE", "read_file": read })).json()["read_file"].clone()
    };
    let first = read(0, 20);
    assert!(first["size"].as_u64().is_some_and(|size| size >= 20), "{first}");
    let log = std::fs::read(folder.join("airside.log")).unwrap();
    assert_eq!(first["data"], BASE64_STANDARD.encode(&log[..20]));
    let nobodys = json!({ "path": "/etc/passwd", "offset": 0 });
    let refused = call(json!({ "type": "READ_FILE", "read_file": nobodys }));
    assert_eq!(refused.status, 404, "{refused:?}");
}

#[test]
fn opapi_06_more_is_logged_for_a_while_and_no_longer() {
    let home = Home::new();
    let (mut master, at) = home.master(&["--logging_level=INFO"]);
    let call = |body: Value| http::call(&at, OPERATOR, &[], &body);
    let level = || call(json!({ "type": "GET_LOGGING_LEVEL" })).json()["get_logging_level"].clone();
    assert_eq!(level()["level"], 0);
    let set = json!({ "level": 1, "duration": { "nanoseconds": 3_000_000_000_u64 } });
    let answer = call(json!({ "type": "SET_LOGGING_LEVEL", "set_logging_level": set }));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(level()["level"], 1);
    master.says(" DEBUG ");
    eventually("it goes back", || level()["level"] == 0);
}
