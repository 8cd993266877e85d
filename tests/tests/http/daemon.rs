//! The pages that every daemon has, as clients of Mesos read them: at a master and at an agent.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use tests::cluster::{Home, Process, eventually};
use tests::http::{self, Answer};

use crate::stage::{Stage, task};

#[track_caller]
fn get(at: &str, path: &str) -> Answer {
    http::ask(at, &format!("GET {path}"), &[], b"")
}

#[track_caller]
fn says(at: &str, path: &str, status: u16, words: &str) {
    let answer = get(at, path);
    assert_eq!((answer.status, answer.text().as_str()), (status, words), "{path}");
}

/// An agent of its own, and where it listens.
fn agent(home: &Home, master: &str, flags: &[&str]) -> (Process, String) {
    let (of, work_dir) = (format!("--master={master}"), home.work_dir("a"));
    let line =
        [&["agent", "--port=0", &of, &work_dir, "--resources=cpus:2;mem:512"], flags].concat();
    let mut agent = Process::start("agent", &mut home.command(&line));
    let at = agent.says("agent@").trim_start_matches("agent@").to_owned();
    (agent, at)
}

#[test]
fn leg_05_a_daemon_says_which_program_it_is_and_how_it_was_started() {
    let home = Home::new();
    let (_master, at) =
        home.master(&["--quorum=1", "--no-authenticate_http_readonly", "--cluster=c"]);
    let (_agent, of_agent) = agent(&home, &at, &["--attributes=rack:a"]);
    for at in [&at, &of_agent] {
        let version = get(at, "/version").json();
        let digits = version["version"].as_str().unwrap();
        assert!(digits.chars().all(|c| c.is_ascii_digit() || c == '.'), "{version}");
        assert!(version["build_time"].as_f64().unwrap() > 1e9, "{version}");
        for key in ["build_date", "build_user"] {
            assert!(version[key].is_string(), "{version}");
        }
        let jsonp = get(at, "/version?jsonp=f");
        assert!(jsonp.text().starts_with("f({"), "{jsonp:?}");
    }
    for at in [&at, &of_agent] {
        says(at, "/health", 200, "");
        assert!(get(at, "/metrics/snapshot").json()["system/cpus_total"].is_f64());
        assert!(get(at, "/files/debug").json().is_object());
    }
    let redirect = get(&at, "/redirect");
    let location = format!("//{at}");
    assert_eq!((redirect.status, redirect.header("location")), (307, Some(location.as_str())));
    let registry = get(&at, "/registrar(1)/registry").json();
    assert_eq!(registry["master"]["info"]["pid"], format!("master@{at}"));
    let flags = get(&at, "/master/flags").json()["flags"].clone();
    for (name, value) in [
        ("port", "0"),
        ("quorum", "1"),
        ("cluster", "c"),
        ("authenticate_http_readonly", "false"),
        ("agent_ping_timeout", "15secs"),
    ] {
        assert_eq!(flags[name], value, "{flags}");
    }
    let flags = get(&of_agent, "/slave(1)/flags").json()["flags"].clone();
    assert_eq!(
        (flags["attributes"].as_str(), flags["master"].as_str()),
        (Some("rack:a"), Some(at.as_str()))
    );
}

#[test]
fn lp_22_lp_27_metrics_are_flat_and_all_names_are_there() {
    let mut stage = Stage::of_one_agent();
    let info = json!({ "user": "root", "name": "counted" });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[task("fails", &offer, "exit 3")]);
    while framework.update()["state"] != "TASK_FAILED" {}
    let numbers = |stage: &mut Stage| get(&stage.at, "/metrics/snapshot?timeout=5secs").json();
    let mut seen = Value::Null;
    eventually("the end of the task is counted", || {
        seen = numbers(&mut stage);
        seen["master/tasks_failed"] == 1.0
    });
    for (name, number) in [
        ("master/elected", 1.0),
        ("master/slaves_active", 1.0),
        ("master/frameworks_active", 1.0),
        ("master/cpus_total", 2.0),
        ("master/mem_total", 512.0),
        ("master/gpus_revocable_percent", 0.0),
        ("registrar/log/recovered", 1.0),
    ] {
        assert_eq!(seen[name], number, "{name} in {seen:#}");
    }
    for name in ["master/uptime_secs", "system/cpus_total", "allocator/mesos/allocation_run_ms/p99"]
    {
        assert!(seen[name].as_f64().is_some_and(|number| number > 0.0), "{name} in {seen:#}");
    }
    let all: Vec<&String> = seen.as_object().unwrap().keys().collect();
    assert!(all.is_sorted() && all.len() > 200, "{} names", all.len());
    assert!(seen.as_object().unwrap().values().all(Value::is_f64), "{seen:#}");
    let words = "Invalid timeout 'soon': write a number and a unit, such as 5secs.\n";
    says(&stage.at, "/metrics/snapshot?timeout=soon", 400, words);
    let stats = get(&stage.at, "/system/stats.json").json();
    assert_eq!(stats["cpus_total"].as_f64(), seen["system/cpus_total"].as_f64());
}

#[test]
fn lp_24_more_is_logged_for_a_while() {
    let home = Home::new();
    let (mut master, at) = home.master(&["--logging_level=INFO"]);
    says(&at, "/logging/toggle", 200, "0\n");
    let answer = http::ask(&at, "POST /logging/toggle?level=1&duration=3secs", &[], b"");
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    master.says(" DEBUG ");
    eventually("it goes back", || get(&at, "/logging/toggle").text() == "0\n");
    says(&at, "/logging/toggle?level=1", 400, "Expecting 'duration=value' in query.\n");
}

#[test]
fn lp_21_help_is_made_of_what_is_served() {
    let stage = Stage::of_master();
    let help = get(&stage.at, "/help?format=json").json();
    let of_master = help["processes"].as_array().unwrap().iter().find(|one| one["id"] == "master");
    let endpoints = of_master.unwrap()["endpoints"].as_array().unwrap().clone();
    for path in ["/health", "/flags", "/redirect", "/api/v1/scheduler"] {
        assert!(endpoints.iter().any(|one| one["name"] == path), "{path} in {endpoints:#?}");
    }
    let files = get(&stage.at, "/help/files?format=json").json();
    assert_eq!(files["id"], "files");
    let read = get(&stage.at, "/help/files/read?format=json").json();
    assert_eq!(read["name"], "/read");
    let page = get(&stage.at, "/help");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains("/files/read"), "{page:?}");
    says(&stage.at, "/help/nobody", 400, "No help available for '/nobody'.\n");
    says(&stage.at, "/help/master/nothing", 400, "No help available for '/master/nothing'.\n");
}

#[test]
fn leg_05_the_log_of_a_master_is_read_over_http() {
    let home = Home::new();
    let folder = home.path("logs");
    let (mut master, at) = home.master(&[&format!("--log_dir={}", folder.display())]);
    master.says(" INFO ");
    let read = |query: &str| get(&at, &format!("/files/read?path=/master/log{query}")).json();
    let part = read("&offset=0&length=20");
    assert_eq!((part["offset"].as_u64(), part["data"].as_str().unwrap().len()), (Some(0), 20));
    let whole = get(&at, "/files/download?path=/master/log");
    assert!(whole.text().starts_with(part["data"].as_str().unwrap()), "{whole:?}");
    assert_eq!(whole.header("content-disposition"), Some("attachment; filename=\"log\""));
    let end = read("");
    assert!(
        end["offset"].as_u64().unwrap() >= whole.body.len() as u64 && end["data"] == "",
        "{end}"
    );
    assert_eq!(read("&offset=-1")["data"], "");
    let all = get(&at, "/files/debug").json();
    let file = folder.join("airside.log").display().to_string();
    assert_eq!(all["/master/log"].as_str(), Some(file.as_str()));
    let words = "Expecting 'path=value' in query.\n";
    for page in ["browse", "read", "download"] {
        says(&at, &format!("/files/{page}"), 400, words);
        says(&at, &format!("/files/{page}?path=/etc/passwd"), 404, "404 Not Found.");
    }
    says(&at, "/files/read?path=/master/log&offset=-2", 400, "Negative offset provided: -2.\n");
}

#[test]
fn aapi_14_sandboxes_are_read_by_every_path_and_nothing_leads_out_of_them() {
    let home = Home::new();
    let (_master, at) = home.master(&[]);
    let (_agent, of_agent) = agent(&home, &at, &[]);
    let info = json!({ "user": "root", "name": "reads", "failover_timeout": 60.0 });
    let mut framework = crate::stage::Framework::subscribe(&at, &info).once_subscribed();
    let offer = framework.offer();
    let command = "echo said; mkdir -p deep; echo x > deep/file";
    framework.launches(&offer, &[task("reads", &offer, command)]);
    while framework.update()["state"] != "TASK_FINISHED" {}
    let latest = format!("/frameworks/{}/executors/reads/runs/latest", framework.id);
    let stdout = format!("/files/read?path={latest}/stdout&offset=0");
    assert_eq!(get(&of_agent, &stdout).json()["data"], "said\n");
    let all = get(&of_agent, "/files/debug").json();
    let real = all[&latest].as_str().unwrap_or_else(|| panic!("{latest} in {all:#}")).to_owned();
    let file = format!("/files/read?path={real}/deep/file&offset=0");
    assert_eq!(get(&of_agent, &file).json()["data"], "x\n");
    let listed = get(&of_agent, &format!("/files/browse?path={latest}")).json();
    let entries = listed.as_array().unwrap();
    let deep = entries.iter().find(|one| one["path"] == format!("{latest}/deep")).unwrap();
    assert!(deep["mode"].as_str().unwrap().starts_with("drwx"), "{deep}");
    for key in ["nlink", "size", "mtime", "mode", "uid", "gid"] {
        assert!(!deep[key].is_null(), "{key} of {deep}");
    }
    symlink("/etc/passwd", format!("{real}/absolute")).unwrap();
    symlink("../../../../agent.lender", format!("{real}/relative")).unwrap();
    for out in ["absolute", "relative", "../../../../agent.lender", "%2e%2e/x"] {
        says(&of_agent, &format!("/files/read?path={real}/{out}&offset=0"), 404, "404 Not Found.");
        says(&of_agent, &format!("/files/download?path={latest}/{out}"), 404, "404 Not Found.");
    }
    let secret = home.path("a").join("agent.lender").display().to_string();
    says(&of_agent, &format!("/files/read?path={secret}&offset=0"), 404, "404 Not Found.");
}

#[test]
fn lp_14_a_long_page_is_compressed_for_whoever_takes_that() {
    let stage = Stage::of_master();
    let long =
        http::ask(&stage.at, "GET /metrics/snapshot", &["Accept-Encoding: snappy,gzip"], b"");
    assert_eq!(long.header("content-encoding"), Some("gzip"));
    let short = http::ask(&stage.at, "GET /version", &["Accept-Encoding: gzip"], b"");
    assert_eq!(short.header("content-encoding"), None);
}
