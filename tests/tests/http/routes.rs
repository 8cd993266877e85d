//! What is reached by which path, and what is said of paths, methods and bodies that are not served.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use tests::cluster::Home;
use tests::http::{self, Client};

use crate::stage::{SCHEDULER, Stage};

#[test]
fn lp_10_lp_11_a_page_is_found_with_its_actor_and_without() {
    let stage = Stage::of_master();
    for path in ["/health", "/master/health", "/health/", "/health/x", "/master/health?x=1"] {
        let answer = stage.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (200, ""), "{path}");
        assert!(answer.header("date").is_some(), "{path}");
    }
    for path in ["/nothing", "/master/nothing", "/healthy", "/master/../health", "/state.json"] {
        let answer = stage.get(path);
        assert_eq!((answer.status, answer.text().as_str()), (404, "404 Not Found."), "{path}");
    }
    for path in [SCHEDULER, "/api/v1/scheduler/anything", "/master/api/v1/scheduler"] {
        let answer = stage.get(path);
        let words = "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.";
        assert_eq!((answer.status, answer.text().as_str()), (405, words), "{path}");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
}

#[test]
fn lp_13_answers_come_in_the_order_of_requests_on_one_connection() {
    let stage = Stage::of_master();
    let mut client = Client::connect(&stage.at).unwrap();
    let paths = ["/health", "/nothing", "/version", "/health"];
    let all: String =
        paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    client.send(all.as_bytes()).unwrap();
    let statuses: Vec<u16> = paths.iter().map(|_| client.answer().unwrap().status).collect();
    assert_eq!(statuses, [200, 404, 200, 200]);
    client.send(b"GET http://master:5050/redirect HTTP/1.1\r\nHost: master:5050\r\n\r\n").unwrap();
    let answer = client.answer().unwrap();
    let location = format!("//{}", stage.at);
    assert_eq!((answer.status, answer.header("location")), (307, Some(location.as_str())));
    assert!(answer.body.is_empty());
}

/// The order of checks is a part of the contract: each of these fails the check named and none before it.
#[test]
fn a_call_that_is_not_served_is_refused_in_the_words_of_mesos() {
    let stage = Stage::of_master();
    let refused = |headers: &[&str], body: &[u8]| {
        let answer = http::ask(&stage.at, &format!("POST {SCHEDULER}"), headers, body);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        (answer.status, answer.text())
    };
    let json = "Content-Type: application/json";
    let is = |status: u16, words: &str| (status, words.to_owned());
    assert_eq!(refused(&[], b"{}"), is(400, "Expecting 'Content-Type' to be present"));
    let charset = "Content-Type: application/json; charset=utf-8";
    let words = "Expecting 'Content-Type' of application/json or application/x-protobuf";
    assert_eq!(refused(&[charset], b"{}"), is(415, words));
    let (status, text) = refused(&[json], b"{");
    assert!(status == 400 && text.starts_with("Failed to parse body into JSON: "), "{text}");
    let (status, text) = refused(&[json], br#"{"type":"SUBSCRIBE","subscribe":{}}"#);
    let begins = "Failed to convert JSON into Call protobuf: Missing required fields: ";
    assert!(status == 400 && text.starts_with(begins), "{text}");
    let protobuf = "Content-Type: application/x-protobuf";
    let words = "Failed to parse body into Call protobuf";
    assert_eq!(refused(&[protobuf], b"\xff"), is(400, words));
    let words = "Failed to validate scheduler::Call: Expecting 'type' to be present";
    assert_eq!(refused(&[json], b"{}"), is(400, words));
    let subscribe = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": { "user": "", "name": "" } } });
    let subscribe = subscribe.to_string();
    let words = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    assert_eq!(refused(&[json, "Accept: text/html"], subscribe.as_bytes()), is(406, words));
    let words = "Subscribe calls should not include the 'Mesos-Stream-Id' header";
    assert_eq!(refused(&[json, "Mesos-Stream-Id: x"], subscribe.as_bytes()), is(400, words));
    let revive = json!({ "type": "REVIVE", "framework_id": { "value": "nobody" } }).to_string();
    assert_eq!(refused(&[json], revive.as_bytes()), is(400, "Framework cannot be found"));
}

#[test]
fn a_cluster_with_a_secret_takes_no_framework_that_cannot_show_that_it_knows_it() {
    let home = Home::new();
    let secret = home.path("secret");
    std::fs::write(&secret, "x".repeat(32)).unwrap();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let flag = format!("--cluster-secret-file={}", secret.display());
    let (_master, at) = home.master(&[&flag]);
    let info = json!({ "user": "root", "name": "stranger" });
    let subscribe = json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } });
    let answer = http::call(&at, SCHEDULER, &[], &subscribe);
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.text().starts_with("This cluster has a secret, and "), "{answer:?}");
    assert_eq!(http::ask(&at, "GET /health", &[], b"").status, 200, "anybody may ask how it is");
}
