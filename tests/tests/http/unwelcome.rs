//! What executors must not say, and what they say too often: it is refused in Mesos's words, and the agent lives.

use serde_json::{Value, json};
use tests::http::{self, Answer};

use crate::executors::{EXECUTOR, Executor, FIRST, SECOND, call, is_all_free, launched, status};
use crate::stage::Stage;

#[track_caller]
fn is(answer: &Answer, status: u16, words: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, words), "{answer:?}");
}

#[test]
fn calls_are_looked_at_in_mesoss_order_and_refused_in_its_words() {
    let stage = Stage::of_one_agent();
    let (framework, _) = launched(&stage, "checked");
    let at = stage.agent_at();
    let ask =
        |line: &str, headers: &[&str], body: &str| http::ask(at, line, headers, body.as_bytes());
    let (post, json_type) = ("POST /api/v1/executor", "Content-Type: application/json");

    let answer = ask("GET /api/v1/executor", &[], "");
    is(&answer, 405, "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.");
    assert_eq!(answer.header("allow"), Some("POST"));
    is(&ask(post, &[], "{"), 400, "Expecting 'Content-Type' to be present");
    for other in ["text/plain", "application/json; charset=utf-8"] {
        let words = "Expecting 'Content-Type' of application/json or application/x-protobuf";
        is(&ask(post, &[&format!("Content-Type: {other}")], "{"), 415, words);
    }
    let words = ask(post, &[json_type], "{").text();
    assert!(words.starts_with("Failed to parse body into JSON: "), "{words}");
    let words = ask(post, &[json_type], r#"{"type":"HEARTBEAT"}"#).text();
    assert!(
        words.starts_with("Failed to convert JSON into Call protobuf: Missing required fields: "),
        "{words}"
    );
    let protobuf = "Content-Type: application/x-protobuf";
    is(&ask(post, &[protobuf], "{}"), 400, "Failed to parse body into Call protobuf");

    let says = |call: Value| http::call(at, EXECUTOR, &[], &call);
    let of = |id: &str| json!({ "value": id });
    let mut subscribe = call(&framework.id, "SUBSCRIBE", json!({ "subscribe": {} }));
    let answer = http::call(at, EXECUTOR, &["Accept: text/html"], &subscribe);
    is(&answer, 406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'");
    // A heartbeat is taken from anybody.
    is(&says(call("nobody", "HEARTBEAT", json!({}))), 202, "");
    let message =
        |framework: &str| call(framework, "MESSAGE", json!({ "message": { "data": "" } }));
    is(&says(message("nobody")), 400, "Framework cannot be found");
    let mut other = message(&framework.id);
    other["executor_id"] = of("other");
    is(&says(other), 400, "Executor cannot be found");
    is(&says(message(&framework.id)), 403, "Executor is not subscribed");
    subscribe["framework_id"] = of("nobody");
    is(&says(subscribe.clone()), 400, "Framework cannot be found");
    (subscribe["framework_id"], subscribe["executor_id"]) = (of(&framework.id), of("other"));
    is(&says(subscribe), 400, "Executor cannot be found");

    let mut executor = Executor::subscribe(&stage, &framework, json!({}));
    executor.events.event("LAUNCH");
    is(&executor.calls("UNKNOWN", json!({})), 501, "501 Not Implemented.");
    is(&says(message(&framework.id)), 202, "");
    is(
        &http::call(at, EXECUTOR, &["Origin: http://elsewhere.example"], &message(&framework.id)),
        403,
        "pages of other sites may change nothing here",
    );
}

/// The agent's own executors and those of our protocol show a token: nobody else speaks for them.
#[test]
fn nobody_subscribes_in_the_place_of_the_executor_of_a_command() {
    let stage = Stage::of_one_agent();
    let info = json!({ "user": "root", "name": "commands" });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[crate::stage::task("e", &offer, "sleep 1000")]);
    while framework.update()["state"] != "TASK_RUNNING" {}
    for r#type in ["SUBSCRIBE", "MESSAGE"] {
        let payload = json!({ "subscribe": {}, "message": { "data": "" } });
        let answer =
            http::call(stage.agent_at(), EXECUTOR, &[], &call(&framework.id, r#type, payload));
        is(&answer, 403, "Executor is not connected via HTTP");
    }
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "e" } } }));
    while framework.update()["state"] != "TASK_KILLED" {}
    is_all_free(&stage);
}

#[test]
fn news_that_makes_no_sense_changes_nothing_and_a_flood_of_it_is_survived() {
    let stage = Stage::of_one_agent();
    let (mut framework, _) = launched(&stage, "floods");
    let mut executor = Executor::subscribe(&stage, &framework, json!({}));
    executor.events.event("LAUNCH");
    for uuid in ["", "AAEC", "AAECAwQFBgcICQoLDA0ODxA="] {
        let update = json!({ "update": { "status": status("t", "TASK_FINISHED", uuid) } });
        let answer = executor.calls("UPDATE", update);
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    for (key, value) in
        [("source", "SOURCE_AGENT"), ("state", "TASK_STAGING"), ("state", "TASK_NONSENSE")]
    {
        let mut bad = status("t", "TASK_FINISHED", FIRST);
        bad[key] = json!(value);
        let answer = executor.calls("UPDATE", json!({ "update": { "status": bad } }));
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    // Of tasks that it does not have, and in states in which no executor can know them: known, and of no effect.
    executor.tells("another", "TASK_FINISHED", FIRST);
    executor.tells("t", "TASK_UNREACHABLE", FIRST);
    executor.tells("t", "TASK_RUNNING", SECOND);
    assert_eq!(framework.update()["state"], "TASK_RUNNING");
    let mut client = http::Client::connect(stage.agent_at()).unwrap();
    for n in 0..2_000_u32 {
        let task = format!("flood-{n}");
        let update = call(
            &framework.id,
            "UPDATE",
            json!({ "update": { "status": status(&task, "TASK_FAILED", FIRST) } }),
        );
        let header = "Content-Type: application/json";
        client
            .request(&format!("POST {EXECUTOR}"), &[header], update.to_string().as_bytes())
            .unwrap();
        let answer = client.answer().unwrap();
        assert!([202, 503].contains(&answer.status), "{answer:?}");
    }
    let update = json!({ "update": { "status": status("t", "TASK_FINISHED", FIRST) } });
    executor.says("UPDATE", update);
    while executor.events.event("ACKNOWLEDGED")["acknowledged"]["task_id"]["value"] != "t" {}
    while framework.update()["state"] != "TASK_FINISHED" {}
    framework.says("TEARDOWN", json!({}));
    is_all_free(&stage);
}
