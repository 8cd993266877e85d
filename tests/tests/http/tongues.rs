//! How clients of Mesos say things: each in a way of its own, and a master understands all of them.

use serde_json::{Value, json};
use tests::cluster::eventually;
use tests::http::{self, Client};

use crate::stage::{Framework, SCHEDULER, Stage, task};

fn subscription() -> String {
    let info = json!({ "user": "root", "name": "tongues", "failover_timeout": 60.0 });
    json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } }).to_string()
}

/// A request with a body and these headers, and its length.
fn post(target: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!(
        "POST {target} HTTP/1.1\r\nHost: m\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[track_caller]
fn subscribed(stage: &Stage, request: &str) -> Framework {
    let mut client = Client::connect(&stage.at).unwrap();
    client.send(request.as_bytes()).unwrap();
    Framework::hears(&stage.at, client).once_subscribed()
}

/// Asks for a task that nobody knows, and hears of it: so its stream is open.
#[track_caller]
fn is_open(framework: &mut Framework) {
    let unknown = json!({ "task_id": { "value": "unknown" } });
    framework.says("RECONCILE", json!({ "reconcile": { "tasks": [unknown] } }));
    assert_eq!(framework.update()["task_id"]["value"], "unknown");
}

const JSON: &str = "Content-Type: application/json";

#[test]
fn a_subscription_is_taken_with_the_headers_that_clients_send() {
    let stage = Stage::of_master();
    let body = subscription();
    let absolute = format!("http://{}{SCHEDULER}", stage.at);
    let cases: [(&str, &[&str]); 9] = [
        (SCHEDULER, &[JSON]),
        (&absolute, &[JSON]),
        ("/master/api/v1/scheduler", &[JSON, "Accept: */*"]),
        ("/api/v1/scheduler/anything", &[JSON]),
        (SCHEDULER, &["CONTENT-TYPE: application/json", "aCCEPT: application/json"]),
        (SCHEDULER, &[JSON, "Accept: text/html", "Accept: application/json"]),
        (SCHEDULER, &[JSON, "Connection: close"]),
        // Nobody knows this user, with no password; and no name at all.
        (SCHEDULER, &[JSON, "Authorization: Basic bm9ib2R5Og=="]),
        (SCHEDULER, &[JSON, "Authorization: Basic Og==", "Mesos-Stream-Id:"]),
    ];
    for (target, headers) in cases {
        let mut framework = subscribed(&stage, &post(target, headers, &body));
        is_open(&mut framework);
    }
}

#[test]
fn a_body_comes_in_chunks_cut_anywhere() {
    let stage = Stage::of_master();
    let body = subscription();
    let (one, rest) = body.split_at(1);
    let (two, three) = rest.split_at(rest.len() / 2);
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let chunks: String = [one, two, three, ""].into_iter().map(chunk).collect();
    let head = format!(
        "POST {SCHEDULER} HTTP/1.1\r\nHost: m\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    is_open(&mut subscribed(&stage, &(head + &chunks)));
}

#[test]
fn json_may_have_null_for_what_is_not_set_and_fields_of_other_versions_and_line_feeds() {
    let stage = Stage::of_one_agent();
    let info = json!({
        "user": "root", "name": "nulls", "id": null, "failover_timeout": 60, "checkpoint": null, "role": null,
        "hostname": "", "principal": "nobody's", "webui_url": null, "capabilities": [], "labels": null,
        "slave_id": { "value": "of another version" },
    });
    let call = json!({
        "framework_id": null, "type": "SUBSCRIBE", "accept": null, "decline": null, "kill": null,
        "subscribe": { "framework_info": info, "force": null },
    });
    let body = serde_json::to_string_pretty(&call).unwrap();
    let mut framework = subscribed(&stage, &post(SCHEDULER, &[JSON], &body));
    let offer = framework.offer();
    let mut wanted = task("nulls", &offer, "exit 0");
    for unset in
        ["executor", "container", "health_check", "kill_policy", "data", "labels", "discovery"]
    {
        wanted[unset] = Value::Null;
    }
    wanted["command"]["environment"] = json!({ "variables": [{ "name": "HOST", "value": "m" }] });
    wanted["command"]["uris"] = Value::Null;
    let none = json!({ "name": "gpus", "type": "SCALAR", "scalar": { "value": 0 }, "ranges": null, "set": null });
    wanted["resources"].as_array_mut().unwrap().push(none);
    framework.launches(&offer, &[wanted]);
    while framework.update()["state"] != "TASK_FINISHED" {}
}

#[test]
fn dozens_of_calls_come_on_one_connection_and_one_may_decline_nothing() {
    let stage = Stage::of_master();
    let framework = subscribed(&stage, &post(SCHEDULER, &[JSON], &subscription()));
    let call =
        json!({ "type": "DECLINE", "framework_id": { "value": framework.id }, "decline": {} });
    let stream = format!("mesos-stream-id: {}", framework.stream_id);
    let request = post(SCHEDULER, &[JSON, &stream], &call.to_string());
    let mut client = Client::connect(&stage.at).unwrap();
    for _ in 0..60 {
        client.send(request.as_bytes()).unwrap();
        let answer = client.answer().unwrap();
        assert_eq!(
            (answer.status, answer.header("content-length")),
            (202, Some("0")),
            "{answer:?}"
        );
    }
}

/// Where one ends and the next begins is nowhere in particular in what comes at once.
#[test]
fn calls_of_any_length_one_behind_the_other_are_answered_on_one_connection() {
    let stage = Stage::of_master();
    let framework = subscribed(&stage, &post(SCHEDULER, &[JSON], &subscription()));
    let stream = format!("mesos-stream-id: {}", framework.stream_id);
    let call = |length: usize| {
        let offer = json!({ "value": "o".repeat(length) });
        let call = json!({ "type": "DECLINE", "framework_id": { "value": framework.id },
            "decline": { "offer_ids": [offer] } });
        post(SCHEDULER, &[JSON, &stream], &call.to_string())
    };
    let mut client = Client::connect(&stage.at).unwrap();
    for lengths in [&[1; 300][..], &[1000; 40], &[9000, 1, 20_000, 3, 4096]] {
        let all: String = lengths.iter().map(|length| call(*length)).collect();
        client.send(all.as_bytes()).unwrap();
        for length in lengths {
            let answer = client.answer().unwrap();
            let told = (answer.status, answer.header("connection"));
            assert_eq!(told, (202, None), "{length}: {answer:?}");
        }
    }
}

#[test]
fn a_version_is_digits_and_dots() {
    let answer = Stage::of_master().get("/version").json();
    let version = answer["version"].as_str().unwrap();
    assert!(version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'), "{version}");
}

#[test]
fn a_container_of_mesos_without_an_image_is_none_and_one_that_failed_is_looked_into() {
    let stage = Stage::of_one_agent();
    let mut framework = subscribed(&stage, &post(SCHEDULER, &[JSON], &subscription()));
    let offer = framework.offer();
    let mut plain = task("plain", &offer, "echo why; exit 3");
    plain["container"] = json!({ "type": "MESOS", "volumes": [], "network_infos": [] });
    framework.launches(&offer, &[plain]);
    let mut status = framework.update();
    while status["state"] != "TASK_FAILED" {
        status = framework.update();
    }
    assert_eq!(status["message"], "Command exited with status 3", "{status}");
    let get = |path: &str| http::ask(stage.agent_at(), &format!("GET {path}"), &[], b"");
    let mut directory = String::new();
    eventually("its agent shows where it was", || {
        let state = get("/state").json();
        let of = |list: &str| {
            let frameworks = state[list].as_array().cloned().unwrap_or_default();
            let mut ended = frameworks.into_iter().map(|one| one["completed_executors"][0].clone());
            ended.find_map(|executor| executor["directory"].as_str().map(str::to_owned))
        };
        let found = of("frameworks").or_else(|| of("completed_frameworks"));
        directory = found.unwrap_or_default();
        !directory.is_empty()
    });
    let debug = get("/files/debug").json();
    let latest = format!("/frameworks/{}/executors/plain/runs/latest", framework.id);
    assert_eq!(debug[&latest], directory.as_str(), "{debug}");
    let printed = get(&format!("/files/download?path={directory}/stdout"));
    assert_eq!(printed.text(), "why\n");
    let disposition = printed.header("content-disposition").unwrap_or_default();
    assert!(disposition.starts_with("attachment"), "{disposition}");
}
