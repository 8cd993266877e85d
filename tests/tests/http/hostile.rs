//! Clients that mean harm, or do not know better: they are answered or cut off, and the others are served.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tests::cluster::eventually;
use tests::http::{self, Client};

use crate::stage::{SCHEDULER, Stage};

const JSON: &str = "Content-Type: application/json";

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn a_body_that_is_too_long_is_refused_and_so_is_a_small_one_that_becomes_so() {
    let stage = Stage::of_master();
    let post = format!("POST {SCHEDULER}");
    let mut client = Client::connect(&stage.at).unwrap();
    let head =
        format!("{post} HTTP/1.1\r\nHost: x\r\n{JSON}\r\nContent-Length: 1073741824\r\n\r\n");
    client.send(head.as_bytes()).unwrap();
    let part = vec![b' '; 1 << 20];
    // It stops listening some time before the end.
    for _ in 0..1024 {
        if client.send(&part).is_err() {
            break;
        }
    }
    let answer = client.answer();
    assert!(answer.as_ref().map_or(true, |answer| answer.status == 413), "{answer:?}");
    let bomb = zipped(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    let answer = http::ask(&stage.at, &post, &[JSON, "Content-Encoding: gzip"], &bomb);
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (413, "the body is longer than 16777216 bytes")
    );
    let answer = http::ask(&stage.at, &post, &[JSON, "Content-Encoding: gzip"], b"no gzip");
    assert_eq!(answer.status, 400);
    assert!(answer.text().starts_with("the body is no gzip: "), "{answer:?}");
    let call = json!({ "type": "REVIVE", "framework_id": { "value": "nobody" } }).to_string();
    let answer =
        http::ask(&stage.at, &post, &[JSON, "Content-Encoding: gzip"], &zipped(call.as_bytes()));
    assert_eq!((answer.status, answer.text().as_str()), (400, "Framework cannot be found"));
}

#[test]
fn json_that_is_deep_or_not_text_or_wrong_a_million_times_is_refused_in_few_words() {
    let stage = Stage::of_master();
    let refused = |body: &[u8]| {
        let answer = http::ask(&stage.at, &format!("POST {SCHEDULER}"), &[JSON], body);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.len() < 4096, "{} bytes", answer.body.len());
        answer.text()
    };
    let deep = "[".repeat(10_000);
    assert!(refused(deep.as_bytes()).starts_with("Failed to parse body into JSON: "));
    assert!(refused(b"{\"type\":\"\xff\"}").starts_with("Failed to parse body into JSON: "));
    let tasks = vec!["{}"; 5000].join(",");
    let launch = format!(r#"{{"type":"LAUNCH","launch":{{"task_infos":[{tasks}]}}}}"#);
    let accept = format!(
        r#"{{"type":"ACCEPT","framework_id":{{"value":"f"}},"accept":{{"operations":[{launch}]}}}}"#
    );
    let begins = "Failed to convert JSON into Call protobuf: Missing required fields: ";
    let words = refused(accept.as_bytes());
    assert!(words.starts_with(begins), "{words}");
    let many = format!(r#"{{"x":[{}],"type":7}}"#, vec!["[0]"; 1 << 20].join(","));
    let words = refused(many.as_bytes());
    assert!(words.contains("is not looked at closely"), "{words}");
    assert_eq!(stage.get("/health").status, 200);
}

/// What follows a subscription on its connection is nobody's business; it is not kept, and costs nothing.
#[test]
fn a_thousand_requests_behind_a_subscription_are_thrown_away() {
    let stage = Stage::of_master();
    let mut framework =
        stage.subscribes(&json!({ "user": "root", "name": "chatty" })).once_subscribed();
    let more = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10_000);
    framework.events.send(more.as_bytes()).unwrap();
    framework.says("REVIVE", json!({}));
    let id = framework.id.clone();
    drop(framework);
    // It has no time to come back.
    eventually("its scheduler is known to be lost, and it is removed", || {
        let revive = json!({ "type": "REVIVE", "framework_id": { "value": id } });
        stage.call(&["Mesos-Stream-Id: x"], &revive).text() == "Framework cannot be found"
    });
}

#[test]
fn a_page_of_the_web_may_not_speak_for_a_framework() {
    let stage = Stage::of_master();
    let info = json!({ "user": "root", "name": "page" });
    let subscribe = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } });
    let answer = stage.call(&["Origin: http://elsewhere.example"], &subscribe);
    assert_eq!(answer.status, 403, "{answer:?}");
}
