//! Who has to show who it is over HTTP, and what it may do then.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tests::cluster::{Home, Process};
use tests::http::{self, Answer};

use crate::stage::SCHEDULER;

/// `ops:s3cret`, `batch:other`, and somebody whom nobody knows.
const OPS: &str = "Authorization: Basic b3BzOnMzY3JldA==";
const BATCH: &str = "Authorization: Basic YmF0Y2g6b3RoZXI=";
const STRANGER: &str = "Authorization: Basic b3BzOndyb25n";

fn private(home: &Home, name: &str, text: &str) -> String {
    let path = home.path(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

fn credentials(home: &Home) -> String {
    let all = json!({ "credentials": [
        { "principal": "ops", "secret": "s3cret" }, { "principal": "batch", "secret": "other" },
    ] });
    private(home, "credentials", &all.to_string())
}

#[track_caller]
fn get(at: &str, path: &str, headers: &[&str]) -> Answer {
    http::ask(at, &format!("GET {path}"), headers, b"")
}

#[track_caller]
fn is_turned_away(answer: &Answer, realm: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (401, "401 Unauthorized."), "{answer:?}");
    let challenge = format!("Basic realm=\"{realm}\"");
    assert_eq!(answer.header("www-authenticate"), Some(challenge.as_str()));
}

fn subscribe(principal: Option<&str>) -> Value {
    let mut info = json!({ "user": "root", "name": "guarded", "failover_timeout": 60.0 });
    info["principal"] = principal.map_or(Value::Null, Value::from);
    json!({ "type": "SUBSCRIBE", "subscribe": { "framework_info": info } })
}

#[test]
fn auth_02_lp_17_guarded_pages_are_shown_to_whoever_shows_who_it_is() {
    let home = Home::new();
    let file = credentials(&home);
    let flags = [
        "--authenticate_http_readonly",
        "--authenticate_http_readwrite=true",
        &format!("--credentials=file://{file}"),
    ];
    let (_master, at) = home.master(&flags);
    for path in ["/flags", "/metrics/snapshot", "/metrics", "/files/debug", "/system/stats.json"] {
        for headers in
            [&[][..], &[STRANGER], &["Authorization: Basic Og=="], &["Authorization: nonsense"]]
        {
            is_turned_away(&get(&at, path, headers), "mesos-master-readonly");
        }
        assert_eq!(get(&at, path, &[OPS]).status, 200, "{path}");
    }
    is_turned_away(&get(&at, "/logging/toggle", &[]), "mesos-master-readwrite");
    assert_eq!(get(&at, "/logging/toggle", &[BATCH]).status, 200);
    for (path, status) in [("/health", 200), ("/version", 200), ("/redirect", 307), ("/help", 200)]
    {
        assert_eq!(get(&at, path, &[]).status, status, "{path} is open");
        assert_eq!(get(&at, path, &[STRANGER]).status, status, "{path}: nobody asks who one is");
    }
    let (of, work_dir) = (format!("--master={at}"), home.work_dir("a"));
    let guarded = format!("--http_credentials={}", private(&home, "lines", "ops s3cret\n"));
    let line = ["agent", "--port=0", &of, &work_dir, "--authenticate_http_readonly", &guarded];
    let mut agent = Process::start("agent", &mut home.command(&line));
    let of_agent = agent.says("agent@").trim_start_matches("agent@").to_owned();
    is_turned_away(&get(&of_agent, "/flags", &[BATCH]), "mesos-agent-readonly");
    let shown = get(&of_agent, "/flags", &[OPS]);
    assert_eq!(shown.status, 200);
    assert!(!shown.text().contains("s3cret"), "{}", shown.text());
    assert_eq!(get(&of_agent, "/logging/toggle", &[]).status, 200, "what is not guarded is open");
}

#[test]
fn fwk_22_a_framework_speaks_under_the_principal_that_it_proved_alone() {
    let home = Home::new();
    let secret = format!("--cluster-secret-file={}", private(&home, "secret", &"x".repeat(32)));
    let file = format!("--credentials={}", credentials(&home));
    // Whoever shows who it is may come to a cluster with a secret.
    let (_master, at) = home.master(&["--authenticate_http_frameworks", &file, &secret]);
    is_turned_away(&http::call(&at, SCHEDULER, &[], &subscribe(None)), "mesos-master-scheduler");
    let words = |proved: &str, said: &str| {
        format!(
            "Authenticated principal '{proved}' does not match principal '{said}' set in `FrameworkInfo`"
        )
    };
    let other = http::call(&at, SCHEDULER, &[BATCH], &subscribe(Some("ops")));
    let expected = format!("Failed to validate scheduler::Call: {}", words("batch", "ops"));
    assert_eq!((other.status, other.text()), (400, expected));
    let begin = |header: &str, call: &Value| {
        let mut client = http::Client::connect(&at).unwrap();
        let headers = ["Content-Type: application/json", header];
        let body = call.to_string();
        client.request(&format!("POST {SCHEDULER}"), &headers, body.as_bytes()).unwrap();
        client.stream().unwrap()
    };
    // It need not say its principal, since it proves it.
    let mut events = begin(OPS, &subscribe(None));
    let stream = format!("Mesos-Stream-Id: {}", events.head.header("mesos-stream-id").unwrap());
    let id = events.event("SUBSCRIBED")["subscribed"]["framework_id"].clone();
    let revive = json!({ "type": "REVIVE", "framework_id": id });
    let refused = http::call(&at, SCHEDULER, &[BATCH, &stream], &revive);
    assert_eq!((refused.status, refused.text()), (400, words("batch", "ops")));
    assert_eq!(http::call(&at, SCHEDULER, &[OPS, &stream], &revive).status, 202);
    // Nobody else takes it over, and to whom it belongs is not said.
    let mut theft = subscribe(None);
    theft["framework_id"] = id.clone();
    theft["subscribe"]["framework_info"]["id"] = id;
    let error = begin(BATCH, &theft).event("ERROR");
    assert_eq!(error["error"]["message"], "Changing framework's principal is not allowed.");
}

#[test]
fn what_a_clusters_secret_keeps_is_not_shown_over_http_to_those_who_show_nothing() {
    let home = Home::new();
    let secret = format!("--cluster-secret-file={}", private(&home, "secret", &"x".repeat(32)));
    let file = format!("--credentials={}", credentials(&home));
    let (_master, at) = home.master(&["--authenticate_http_readonly", &file, &secret]);
    assert_eq!(get(&at, "/files/debug", &[OPS]).status, 200);
    let refused = get(&at, "/logging/toggle?level=2&duration=1hrs", &[OPS]);
    assert_eq!(refused.status, 403, "there nobody asks who it is: {refused:?}");
    let words = "This cluster has a secret, and nobody shows here who it is.";
    assert!(refused.text().starts_with(words), "{refused:?}");
    let (of, work_dir) = (format!("--master={at}"), home.work_dir("a"));
    let line = ["agent", "--port=0", &of, &work_dir, &secret];
    let mut agent = Process::start("agent", &mut home.command(&line));
    let of_agent = agent.says("agent@").trim_start_matches("agent@").to_owned();
    for path in [
        "/files/debug",
        "/files/browse?path=/",
        "/files/read?path=/slave/log",
        "/logging/toggle",
        "/flags",
    ] {
        assert_eq!(get(&of_agent, path, &[]).status, 403, "{path}");
    }
    for path in ["/health", "/metrics", "/metrics/snapshot", "/version"] {
        assert_eq!(get(&of_agent, path, &[]).status, 200, "{path}");
    }
}

#[test]
fn clients_that_show_who_they_are_where_nobody_asks_are_served() {
    let home = Home::new();
    let (_master, at) = home.master(&[]);
    for header in [OPS, STRANGER, "Authorization: Basic Og==", "Authorization: nonsense"] {
        assert_eq!(get(&at, "/flags", &[header]).status, 200, "{header}");
        let revive = json!({ "type": "REVIVE", "framework_id": { "value": "nobody" } });
        let answer = http::call(&at, SCHEDULER, &[header], &revive);
        assert_eq!((answer.status, answer.text().as_str()), (400, "Framework cannot be found"));
    }
}

#[test]
fn auth_11_files_without_good_credentials_end_a_master_in_words_that_show_no_secret() {
    let home = Home::new();
    let work_dir = home.work_dir("m");
    let ends = |flags: &[&str]| {
        let ended = home.airside(&[&["master", "--port=0", &work_dir], flags].concat());
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(!ended.stderr.contains("5317"), "{ended:#?}");
        ended.stderr
    };
    let needs = "airside: --authenticate_http_frameworks needs --credentials: ";
    assert!(ends(&["--authenticate_http_frameworks"]).starts_with(needs));
    for (text, why) in [
        (
            "{\"credentials\": [{\"principal\": \"a\", \"secret\": [5317]}]}",
            "its JSON makes no sense at line 1",
        ),
        ("ops 5317 5317\n", "line 1 is not a principal and a secret"),
        ("", "nobody is in it"),
    ] {
        let file = private(&home, "bad", text);
        let said = ends(&[&format!("--credentials={file}")]);
        assert!(
            said.starts_with(&format!("airside: {file} holds no credentials: {why}")),
            "{said}"
        );
    }
    let open = home.path("open");
    std::fs::write(&open, "ops s3cret").unwrap();
    std::fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    let (mut master, _) = home.master(&[&format!("--credentials={}", open.display())]);
    master.says("others than its owner may read the credentials in ");
}
