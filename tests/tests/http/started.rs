//! What an agent's processes find when they start: Mesos's environment, and files that were fetched.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::cluster::eventually;
use tests::http;

use crate::executors::{Executor, FIRST, SECOND, status, task_of};
use crate::stage::{Framework, Stage, task};

/// Serves these bodies by their paths, and nothing else, until the story is over.
fn serves(files: &'static [(&'static str, &'static str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while stream.read_line(&mut head).is_ok_and(|bytes| bytes > 2) {}
            let path = head.split(' ').nth(1).unwrap_or_default();
            let answer = match files.iter().find(|(name, _)| *name == path) {
                Some((_, body)) => format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                ),
                None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    .to_owned(),
            };
            // Who does not listen any more need not be told.
            let _ = stream.get_mut().write_all(answer.as_bytes());
        }
    });
    at
}

pub(crate) fn subscribes(stage: &Stage) -> Framework {
    let info =
        json!({ "user": "root", "name": "starts", "failover_timeout": 600.0, "checkpoint": true });
    stage.subscribes(&info).once_subscribed()
}

/// The sandbox of the only life of an executor.
#[track_caller]
pub(crate) fn sandbox(stage: &Stage, framework: &str, executor: &str) -> PathBuf {
    let lives = stage.home.path("a").join("sandboxes").join(framework).join(executor);
    let mut lives = std::fs::read_dir(lives).unwrap().flatten();
    let life = lives.next().unwrap().path();
    assert!(lives.next().is_none());
    life
}

/// The last news of a task.
#[track_caller]
pub(crate) fn end_of(framework: &mut Framework) -> Value {
    loop {
        let status = framework.update();
        if !["TASK_STARTING", "TASK_RUNNING"].contains(&status["state"].as_str().unwrap()) {
            return status;
        }
    }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Service discovery reads it.
#[test]
fn cont_12_news_of_a_task_say_where_its_container_is() {
    let stage = Stage::of_one_agent();
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    framework.launches(&offer, &[task("serves", &offer, "sleep 1000")]);
    let mut status = framework.update();
    while status["state"] != "TASK_RUNNING" {
        status = framework.update();
    }
    let state = stage.get("/state").json();
    let shown = &state["frameworks"][0]["tasks"][0]["statuses"];
    let newest = shown.as_array().unwrap().last().unwrap();
    for said in [&status["container_status"], &newest["container_status"]] {
        let address = &said["network_infos"][0]["ip_addresses"][0]["ip_address"];
        assert_eq!(address, "127.0.0.1", "{said}");
        assert!(said["executor_pid"].as_u64().unwrap() > 1, "{said}");
        assert!(said["container_id"]["value"].is_string(), "{said}");
    }
}

#[test]
fn agent_19_tasks_and_executors_find_mesoss_environment() {
    let stage = Stage::of_one_agent();
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let mut own = task("own", &offer, "");
    own.as_object_mut().unwrap().remove("command");
    let command = json!({ "value": "env", "environment": { "variables": [{ "name": "MINE", "value": "1" }] } });
    own["executor"] = json!({
        "executor_id": { "value": "custom" }, "command": command, "type": "CUSTOM",
        "shutdown_grace_period": { "nanoseconds": 90_000_000_000_u64 },
    });
    framework.launches(&offer, &[task("plain", &offer, "env"), own]);
    let mut ends = [end_of(&mut framework), end_of(&mut framework)];
    ends.sort_by_key(|status| status["task_id"]["value"].to_string());
    // It never subscribed, and is gone.
    assert_eq!(
        (&ends[0]["state"], &ends[0]["reason"]),
        (&json!("TASK_FAILED"), &json!("REASON_EXECUTOR_TERMINATED"))
    );
    assert_eq!(
        (&ends[1]["state"], &ends[1]["message"]),
        (&json!("TASK_FINISHED"), &json!("Command exited with status 0"))
    );
    for (executor, grace) in [("custom", "90secs"), ("plain", "5secs")] {
        let sandbox = sandbox(&stage, &framework.id, executor);
        let said = read(&sandbox.join("stdout"));
        let (at, path) = (stage.agent_at(), sandbox.display().to_string());
        for (name, value) in [
            ("MESOS_FRAMEWORK_ID", framework.id.as_str()),
            ("MESOS_EXECUTOR_ID", executor),
            ("MESOS_DIRECTORY", &path),
            ("MESOS_SANDBOX", &path),
            ("MESOS_SLAVE_ID", offer["agent_id"]["value"].as_str().unwrap()),
            ("MESOS_SLAVE_PID", &format!("slave(1)@{at}")),
            ("MESOS_AGENT_ENDPOINT", at),
            ("MESOS_CHECKPOINT", "1"),
            ("MESOS_HTTP_COMMAND_EXECUTOR", "0"),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", grace),
            ("MESOS_RECOVERY_TIMEOUT", "15mins"),
            ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs"),
            ("LIBPROCESS_PORT", "0"),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ] {
            let line = format!("{name}={value}");
            assert!(said.lines().any(|one| one == line), "{line} is not in\n{said}");
        }
        assert_eq!(said.contains("MINE=1"), executor == "custom");
    }
}

#[test]
fn what_the_operator_gives_to_all_executors_they_and_commands_find_unless_they_say_otherwise() {
    let given = r#"--executor_environment_variables={"GIVEN":"by the operator","OWN":"no","MESOS_SANDBOX":"no"}"#;
    let stage = Stage::of_master().with_agent_of(&[given]);
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let says = r#"echo "$GIVEN, $OWN" > seen; [ "$MESOS_SANDBOX" = "$PWD" ] && echo here >> seen"#;
    let own = json!({ "variables": [{ "name": "OWN", "value": "own" }] });
    let mut command = task("command", &offer, says);
    command["command"]["environment"] = own.clone();
    let mut custom = task_of("t", &offer, "custom", &format!("{says}; exec sleep 1000"));
    custom["executor"]["command"]["environment"] = own;
    framework.launches(&offer, &[command, custom]);
    for executor in ["command", "custom"] {
        let mut seen = String::new();
        eventually("it has said what it finds", || {
            let lives = stage.home.path("a").join("sandboxes").join(&framework.id).join(executor);
            let life = std::fs::read_dir(lives).ok().and_then(|mut lives| lives.next()?.ok());
            let file = life.and_then(|life| std::fs::read_to_string(life.path().join("seen")).ok());
            seen = file.unwrap_or_default();
            seen.ends_with("here\n")
        });
        assert_eq!(seen, "by the operator, own\nhere\n", "{executor}");
    }
    let ended =
        stage.home.airside(&["agent", "--master=h:1", "--executor_environment_variables=A=1"]);
    assert!(ended.stderr.contains("it is no object of texts by name"), "{ended:#?}");
}

#[test]
fn aapi_13_executors_reach_their_agent_by_a_socket_too() {
    let mut stage = Stage::of_master().with_agent_of(&["--http_executor_domain_sockets"]);
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let says = "echo $MESOS_DOMAIN_SOCKET > at; exec sleep 1000";
    framework.launches(&offer, &[task_of("t", &offer, "e", says)]);
    let mut at = String::new();
    eventually("the executor has said where its agent's socket is", || {
        let lives = stage.home.path("a").join("sandboxes").join(&framework.id).join("e");
        let life = std::fs::read_dir(lives).ok().and_then(|mut lives| lives.next()?.ok());
        let file = life.and_then(|life| std::fs::read_to_string(life.path().join("at")).ok());
        at = file.unwrap_or_default().trim().to_owned();
        !at.is_empty()
    });
    assert_eq!(Path::new(&at), stage.home.path("a").join("agent.sock"));
    let mut executor = Executor::subscribe_at(&at, &framework, json!({}));
    let launched = executor.events.event("LAUNCH")["launch"]["task"].clone();
    executor.tells("t", "TASK_RUNNING", FIRST);
    assert_eq!(framework.update()["state"], "TASK_RUNNING");
    let other = http::ask(&at, "GET /state", &[], b"");
    assert_eq!(other.status, 404, "no other page is there");
    stage.kills_agent();
    assert!(!matches!(executor.events.record(), Ok(Some(_))), "its stream has ended");
    stage.agent_is_back();
    let has = json!({ "unacknowledged_tasks": [launched] });
    let mut executor = Executor::subscribe_at(&at, &framework, has);
    executor.events.event("SUBSCRIBED");
    let end = json!({ "update": { "status": status("t", "TASK_FINISHED", SECOND) } });
    eventually("the agent has found all again", || {
        executor.calls("UPDATE", end.clone()).status == 202
    });
    // What it had acknowledged the agent may not have heard of before it died.
    while framework.update()["state"] != "TASK_FINISHED" {}
}

#[test]
fn fetch_01_files_are_in_the_sandbox_before_a_task_begins() {
    let stage = Stage::of_one_agent();
    let at = serves(&[("/run.sh", "#!/bin/sh\ncat data.txt\n"), ("/a/b?c=1", "as it was\n")]);
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let mut fetches = task("fetches", &offer, "./run.sh");
    fetches["command"]["uris"] = json!([
        { "value": format!("http://{at}/run.sh"), "executable": true },
        { "value": format!("http://{at}/a/b?c=1"), "output_file": "data.txt" },
    ]);
    framework.launches(&offer, &[fetches]);
    let end = end_of(&mut framework);
    assert_eq!(end["state"], "TASK_FINISHED", "{end}");
    let sandbox = sandbox(&stage, &framework.id, "fetches");
    assert_eq!(read(&sandbox.join("stdout")), "as it was\n");
    let mode = |name: &str| sandbox.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run.sh"), mode("data.txt")), (0o755, 0o644));
}

#[test]
fn fetch_03_a_task_whose_files_cannot_be_had_fails_and_says_why_in_its_sandbox_too() {
    let stage = Stage::of_one_agent();
    let at = serves(&[]);
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let with = |id: &str, uri: &str| {
        let mut task = task(id, &offer, "true");
        task["command"]["uris"] = json!([{ "value": uri }]);
        task
    };
    let missing = format!("http://{at}/none");
    framework.launches(&offer, &[with("a", &missing), with("b", "ftp://h/x")]);
    for _ in 0..2 {
        let end = end_of(&mut framework);
        assert_eq!(
            (&end["state"], &end["source"]),
            (&json!("TASK_FAILED"), &json!("SOURCE_AGENT"))
        );
        assert_eq!(end["reason"], "REASON_CONTAINER_LAUNCH_FAILED");
        let (words, wanted) = (
            end["message"].as_str().unwrap(),
            match end["task_id"]["value"].as_str() {
                Some("a") => {
                    format!("cannot fetch '{missing}': the server answered 404 Not Found")
                }
                _ => "cannot fetch 'ftp://h/x': ftp:// is not fetched".to_owned(),
            },
        );
        assert!(words.starts_with(&wanted), "{words}");
    }
    let said = read(&sandbox(&stage, &framework.id, "a").join("stderr"));
    let wanted = format!("cannot fetch '{missing}': the server answered 404 Not Found");
    assert!(said.contains(&wanted), "{said}");
    let counts = http::ask(stage.agent_at(), "GET /metrics/snapshot", &[], b"").json();
    assert_eq!(counts["containerizer/fetcher/task_fetches_failed"], 1.0, "b was not tried");
}

#[test]
fn exec_01_a_command_that_fails_says_how_it_ended() {
    let stage = Stage::of_one_agent();
    let mut framework = subscribes(&stage);
    for (command, state, words) in [
        ("true", "TASK_FINISHED", "Command exited with status 0"),
        ("false", "TASK_FAILED", "Command exited with status 1"),
        ("kill -9 $$", "TASK_FAILED", "Command terminated with signal Killed"),
    ] {
        let offer = framework.offer();
        framework.launches(&offer, &[task("again", &offer, command)]);
        let mut states = Vec::new();
        let end = loop {
            let status = framework.update();
            states.push(status["state"].as_str().unwrap().to_owned());
            if status["state"] == state {
                break status;
            }
        };
        // What is acknowledged late is told twice.
        states.dedup();
        assert_eq!(states, ["TASK_STARTING", "TASK_RUNNING", state]);
        assert_eq!((&end["message"], &end["source"]), (&json!(words), &json!("SOURCE_EXECUTOR")));
        // It ends once the last is acknowledged.
        eventually("no executor is left", || stage.home.processes_of("executor").is_empty());
    }
}

#[test]
fn kill_01_a_task_that_does_not_heed_its_kill_is_killed_when_the_grace_is_over() {
    let stage = Stage::of_one_agent();
    let info = json!({
        "user": "root", "name": "kills", "failover_timeout": 600.0,
        "capabilities": [{ "type": "TASK_KILLING_STATE" }],
    });
    let mut framework = stage.subscribes(&info).once_subscribed();
    for (id, heeds, words) in [
        ("polite", "exec sleep 1000", "Command terminated with signal Terminated"),
        (
            "stubborn",
            "trap '' TERM; echo ready; exec sleep 1000",
            "Command terminated with signal Killed",
        ),
    ] {
        let offer = framework.offer();
        // More than a story takes, unless the call says less.
        let mut task = task(id, &offer, heeds);
        task["kill_policy"] = json!({ "grace_period": { "nanoseconds": 900_000_000_000_u64 } });
        framework.launches(&offer, &[task]);
        while framework.update()["state"] != "TASK_RUNNING" {}
        if id == "stubborn" {
            let stdout = sandbox(&stage, &framework.id, id).join("stdout");
            eventually("it heeds nothing", || read(&stdout).contains("ready"));
        }
        let mut kill = json!({ "task_id": { "value": id } });
        framework.says("KILL", json!({ "kill": kill }));
        assert_eq!(framework.update()["state"], "TASK_KILLING");
        if id == "stubborn" {
            // A shorter one counts from now.
            kill["kill_policy"] = json!({ "grace_period": { "nanoseconds": 100_000_000 } });
            framework.says("KILL", json!({ "kill": kill }));
        }
        let end = framework.update();
        assert_eq!(
            (&end["state"], &end["message"]),
            (&json!("TASK_KILLED"), &json!(words)),
            "{end}"
        );
    }
}
