//! What operators ask of an agent, by the v1 API and by Mesos's older endpoints.

use std::time::{Duration, Instant};

use api::v1::agent as v1;
use serde_json::{Value, json};
use tests::cluster::eventually;
use tests::http::{self, Answer, Client};

use crate::executors::{Executor, FIRST, launched};
use crate::pages::has_keys;
use crate::stage::{Framework, OPERATOR, Stage, task};

#[track_caller]
fn get(stage: &Stage, path: &str) -> Answer {
    http::ask(stage.agent_at(), &format!("GET {path}"), &[], b"")
}

#[track_caller]
fn asked(stage: &Stage, call: &Value) -> Answer {
    http::call(stage.agent_at(), OPERATOR, &[], call)
}

/// The answer to a read, which is the same in both encodings.
#[track_caller]
fn read(stage: &Stage, r#type: &str) -> Value {
    let mut call = json!({ "type": r#type });
    if r#type == "GET_METRICS" {
        call["get_metrics"] = json!({});
    }
    let answer = asked(stage, &call);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let as_json: v1::Response = api::json::read(&answer.body).unwrap();
    let call: v1::Call = api::json::read(call.to_string().as_bytes()).unwrap();
    let headers = ["Content-Type: application/x-protobuf", "Accept: application/x-protobuf"];
    let post = format!("POST {OPERATOR}");
    let bytes = http::ask(stage.agent_at(), &post, &headers, &api::wire::write(&call));
    assert_eq!((bytes.status, bytes.header("content-type")), (200, Some("application/x-protobuf")));
    let as_protobuf: v1::Response = api::wire::read(&bytes.body).unwrap();
    // What is measured changes.
    if !["GET_METRICS", "GET_CONTAINERS"].contains(&r#type) {
        assert_eq!(as_json, as_protobuf, "{type}");
    }
    assert_eq!(as_protobuf.r#type().as_str_name(), r#type);
    let body = answer.json();
    assert_eq!(body["type"], r#type);
    body[r#type.to_lowercase()].clone()
}

/// A framework with a task that runs and another one that has ended, which it knows.
#[track_caller]
fn busy(stage: &Stage) -> Framework {
    let info = json!({
        "user": "root", "name": "busy", "failover_timeout": 60.0, "principal": "somebody",
        "hostname": "there", "checkpoint": true,
    });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    let long = task("long", &offer, "echo to be read; exec sleep 600");
    framework.launches(&offer, &[long, task("short", &offer, "true")]);
    let mut waits = vec!["TASK_RUNNING", "TASK_FINISHED"];
    while !waits.is_empty() {
        let status = framework.update();
        let is_short = status["task_id"]["value"] == "short";
        waits
            .retain(|wanted| status["state"] != *wanted || is_short == (*wanted == "TASK_RUNNING"));
    }
    eventually("the agent knows that its end is known", || {
        // Not `read`: what changes between two reads need not be the same in both encodings.
        let state = asked(stage, &json!({ "type": "GET_STATE" })).json()["get_state"].clone();
        state["get_tasks"]["completed_tasks"][0].is_object()
            && state["get_executors"]["completed_executors"][0].is_object()
    });
    framework
}

#[test]
fn aapi_02_reads_of_an_agent_are_answered_in_both_encodings() {
    let stage = Stage::of_one_agent();
    let framework = busy(&stage);
    for r#type in ["GET_FLAGS", "GET_VERSION", "GET_LOGGING_LEVEL", "GET_METRICS"] {
        assert!(read(&stage, r#type).is_object(), "{type}");
    }
    assert_eq!(read(&stage, "GET_HEALTH"), json!({ "healthy": true }));
    assert_eq!(read(&stage, "GET_OPERATIONS"), json!({}));
    assert_eq!(read(&stage, "GET_RESOURCE_PROVIDERS"), json!({}));
    let agent = read(&stage, "GET_AGENT")["agent_info"].clone();
    let member = stage.get("/slaves").json()["slaves"][0].clone();
    assert_eq!((&agent["id"]["value"], &agent["hostname"]), (&member["id"], &member["hostname"]));
    let state = read(&stage, "GET_STATE");
    for part in ["GET_TASKS", "GET_EXECUTORS", "GET_FRAMEWORKS"] {
        assert_eq!(state[part.to_lowercase()], read(&stage, part), "{part}");
    }
    let tasks = &state["get_tasks"];
    let (runs, ended) = (&tasks["launched_tasks"][0], &tasks["completed_tasks"][0]);
    assert_eq!(
        (&runs["task_id"]["value"], &runs["state"]),
        (&json!("long"), &json!("TASK_RUNNING"))
    );
    assert_eq!(
        (&ended["task_id"]["value"], &ended["state"]),
        (&json!("short"), &json!("TASK_FINISHED"))
    );
    assert_eq!(runs["framework_id"]["value"], framework.id.as_str());
    let last = runs["statuses"].as_array().unwrap().last().unwrap();
    assert_eq!(last["state"], "TASK_RUNNING", "{runs}");
    let executor = &state["get_executors"]["executors"][0]["executor_info"];
    assert_eq!(executor["executor_id"]["value"], "long", "{executor}");
    assert_eq!(
        executor["name"],
        "Command Executor (Task: long) (Command: sh -c 'echo to be r...')"
    );
    let frameworks = &state["get_frameworks"]["frameworks"];
    assert_eq!(frameworks[0]["framework_info"]["name"], "busy");
    framework.says("TEARDOWN", json!({}));
    eventually("the framework is one that was", || {
        let frameworks = asked(&stage, &json!({ "type": "GET_FRAMEWORKS" })).json();
        frameworks["get_frameworks"]["completed_frameworks"][0]["framework_info"]["name"] == "busy"
    });
}

#[test]
fn aapi_02_who_is_slow_to_ask_is_told_nothing_older_than_others_were() {
    let stage = Stage::of_one_agent();
    let health = || asked(&stage, &json!({ "type": "GET_HEALTH" })).status;
    eventually("the agent answers", || health() == 200);
    let body = json!({ "type": "GET_TASKS" }).to_string();
    let mut slow = Client::connect(stage.agent_at()).unwrap();
    let head = format!("POST {OPERATOR} HTTP/1.1\r\nHost: agent\r\n{JSON}\r\nAccept: */*");
    slow.send(format!("{head}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes()).unwrap();
    // Others hear of its tasks meanwhile.
    let _framework = busy(&stage);
    slow.send(body.as_bytes()).unwrap();
    let tasks = slow.answer().unwrap().json()["get_tasks"].clone();
    assert_eq!(tasks["launched_tasks"][0]["task_id"]["value"], "long", "{tasks}");
    assert_eq!(tasks["completed_tasks"][0]["task_id"]["value"], "short", "{tasks}");
}

#[test]
fn aapi_02_containers_are_shown_with_what_they_use() {
    let stage = Stage::of_one_agent();
    let framework = busy(&stage);
    for flags in [json!({}), json!({ "show_nested": true, "show_standalone": true })] {
        let call = json!({ "type": "GET_CONTAINERS", "get_containers": flags });
        let containers = asked(&stage, &call).json()["get_containers"]["containers"].clone();
        assert_eq!(containers.as_array().map(Vec::len), Some(1), "{containers}");
        let one = &containers[0];
        assert_eq!(one["framework_id"]["value"], framework.id.as_str());
        assert_eq!(one["executor_id"]["value"], "long");
        assert_eq!(one["container_status"]["container_id"], one["container_id"]);
        assert!(one["container_status"]["executor_pid"].as_u64().unwrap() > 1, "{one}");
        let used = &one["resource_statistics"];
        assert!(used["processes"].as_u64().unwrap() >= 2, "the executor and its task: {used}");
        assert!(used["mem_rss_bytes"].as_u64().unwrap() > 0, "{used}");
        assert!((used["cpus_limit"].as_f64().unwrap() - 0.2).abs() < 1e-9, "{used}");
        assert_eq!(used["mem_limit_bytes"], 64 << 20, "{used}");
    }
    read(&stage, "GET_CONTAINERS");
}

const JSON: &str = "Content-Type: application/json";
const RECORDS: &str = "Content-Type: application/recordio";
const HEALTH: &str = r#"{"type":"GET_HEALTH"}"#;
const INPUT: &str = r#"{"type":"ATTACH_CONTAINER_INPUT","attach_container_input":{"type":"CONTAINER_ID","container_id":{"value":"c"}}}"#;
const LATER_INPUT: &str =
    r#"{"type":"ATTACH_CONTAINER_INPUT","attach_container_input":{"type":"PROCESS_IO"}}"#;

/// With which headers and body, and with which code and words.
const REFUSED: [(&[&str], &str, u16, &str); 12] = [
    (&[], HEALTH, 400, "Expecting 'Content-Type' to be present"),
    (
        &["Content-Type: text/plain"],
        HEALTH,
        415,
        "Expecting 'Content-Type' of application/json or application/x-protobuf or application/recordio",
    ),
    (&[RECORDS], HEALTH, 400, "Expecting 'Message-Content-Type' to be set for streaming requests"),
    (
        &[RECORDS, "Message-Content-Type: text/plain"],
        HEALTH,
        415,
        "Expecting 'Message-Content-Type' of application/json or application/x-protobuf",
    ),
    (
        &[JSON, "Message-Content-Type: application/json"],
        HEALTH,
        415,
        "Expecting 'Message-Content-Type' to be not set for non-streaming requests",
    ),
    (
        &[JSON, "Accept: text/plain"],
        HEALTH,
        406,
        "Expecting 'Accept' to allow application/json or application/x-protobuf or application/recordio",
    ),
    (
        &[JSON, "Accept: application/recordio", "Message-Accept: text/plain"],
        HEALTH,
        406,
        "Expecting 'Message-Accept' to allow application/json or application/x-protobuf",
    ),
    (
        &[JSON, "Message-Accept: application/json"],
        HEALTH,
        406,
        "Expecting 'Message-Accept' to be not set for non-streaming responses",
    ),
    (
        &[JSON, "Accept: application/recordio"],
        HEALTH,
        406,
        "Streaming response is not supported for GET_HEALTH call",
    ),
    (
        &[JSON],
        INPUT,
        415,
        "Expecting 'Content-Type' to be application/recordio for ATTACH_CONTAINER_INPUT call",
    ),
    (&[JSON], "{}", 400, "Failed to validate agent::Call: Expecting 'type' to be present"),
    (&[JSON], r#"{"type":"UNKNOWN"}"#, 501, "501 Not Implemented."),
];

#[test]
fn aapi_01_a_call_that_is_not_served_is_refused_in_the_words_of_mesos() {
    let stage = Stage::of_one_agent();
    eventually("the agent answers", || {
        asked(&stage, &json!({ "type": "GET_HEALTH" })).status == 200
    });
    let refused = |headers: &[&str], body: &str| {
        let answer =
            http::ask(stage.agent_at(), &format!("POST {OPERATOR}"), headers, body.as_bytes());
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        (answer.status, answer.text())
    };
    let in_record = |body: &str| format!("{}\n{body}", body.len());
    for (headers, body, status, words) in REFUSED {
        assert_eq!(refused(headers, body), (status, words.to_owned()), "{headers:?} {body}");
    }
    let stream = [RECORDS, "Message-Content-Type: application/json"];
    let words =
        "Streaming 'Content-Type' application/recordio is not supported for GET_HEALTH call";
    assert_eq!(refused(&stream, &in_record(HEALTH)), (415, words.to_owned()));
    assert_eq!(refused(&stream, ""), (400, "Received EOF while reading request body".to_owned()));
    let words =
        "501 Not Implemented. ATTACH_CONTAINER_INPUT comes with a later release; nothing was done.";
    assert_eq!(refused(&stream, &in_record(INPUT)), (501, words.to_owned()));
    let words = "Expecting 'attach_container_input.type' to be CONTAINER_ID";
    assert_eq!(refused(&stream, &in_record(LATER_INPUT)), (400, words.to_owned()));
    let answer = http::ask(stage.agent_at(), "GET /slave(1)/api/v1", &[], b"");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    let later = http::ask(stage.agent_at(), "POST /slave(1)/api/v1/resource_provider", &[], b"{}");
    let words =
        "501 Not Implemented. Resource providers come with a later release; nothing was done.";
    assert_eq!((later.status, later.text().as_str()), (501, words));
    for path in ["/api/v1/operator", "/slave(1)/api/v1", "/slave%281%29/api/v1/x"] {
        let answer = http::call(stage.agent_at(), path, &[], &json!({ "type": "GET_HEALTH" }));
        assert_eq!(answer.json()["get_health"]["healthy"], true, "{path}");
    }
}

#[test]
fn aapi_01_of_a_container_that_is_not_there_that_is_said_and_the_agent_stays() {
    let stage = Stage::of_one_agent();
    let _framework = busy(&stage);
    let of = |r#type: &str, id: &Value| {
        let answer = asked(
            &stage,
            &json!({ "type": r#type, r#type.to_lowercase(): { "container_id": id } }),
        );
        (answer.status, answer.text())
    };
    let (alone, nested) =
        (json!({ "value": "c" }), json!({ "value": "c", "parent": { "value": "p" } }));
    for (remove, id) in [
        ("REMOVE_CONTAINER", &alone),
        ("REMOVE_CONTAINER", &nested),
        ("REMOVE_NESTED_CONTAINER", &nested),
    ] {
        assert_eq!(of(remove, id), (200, String::new()), "{remove} {id}");
    }
    for r#type in ["WAIT_CONTAINER", "KILL_CONTAINER", "ATTACH_CONTAINER_OUTPUT"] {
        assert_eq!(of(r#type, &alone), (404, "Container c cannot be found".to_owned()));
    }
    for r#type in ["WAIT_NESTED_CONTAINER", "KILL_NESTED_CONTAINER"] {
        assert_eq!(of(r#type, &nested), (404, "Container p.c cannot be found".to_owned()));
    }
    let containers = read(&stage, "GET_CONTAINERS");
    let own = &containers["containers"][0]["container_id"];
    for r#type in ["REMOVE_CONTAINER", "KILL_CONTAINER", "WAIT_CONTAINER"] {
        let (status, words) = of(r#type, own);
        assert!(status == 501 && words.contains(r#type), "{status} {words}");
    }
    let launch = json!({ "type": "LAUNCH_CONTAINER", "launch_container": { "container_id": alone, "command": { "value": "true" } } });
    assert_eq!(asked(&stage, &launch).status, 501);
    assert_eq!(read(&stage, "GET_CONTAINERS")["containers"][0]["container_id"], *own);
}

#[test]
fn aapi_11_files_of_sandboxes_are_listed_and_read() {
    let stage = Stage::of_one_agent();
    let framework = busy(&stage);
    let state = get(&stage, "/state").json();
    let real = state["frameworks"][0]["executors"][0]["directory"].as_str().unwrap().to_owned();
    let latest = format!("/frameworks/{}/executors/long/runs/latest", framework.id);
    for sandbox in [real, latest] {
        let list = json!({ "type": "LIST_FILES", "list_files": { "path": sandbox } });
        let files = asked(&stage, &list).json()["list_files"]["file_infos"].clone();
        let paths: Vec<&str> =
            files.as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
        let stdout = format!("{sandbox}/stdout");
        assert!(paths.contains(&stdout.as_str()), "{paths:?}");
        let part = |offset: u64, length: Option<u64>| {
            let mut read = json!({ "path": stdout, "offset": offset });
            length.into_iter().for_each(|length| read["length"] = json!(length));
            asked(&stage, &json!({ "type": "READ_FILE", "read_file": read })).json()["read_file"]
                .clone()
        };
        assert_eq!(part(0, None), json!({ "size": 11, "data": "dG8gYmUgcmVhZAo=" }));
        assert_eq!(part(3, Some(2)), json!({ "size": 11, "data": "YmU=" }));
        let page = get(&stage, &format!("/files/read?path={stdout}&offset=0"));
        assert_eq!(page.json(), json!({ "offset": 0, "data": "to be read\n" }));
        let downloaded = get(&stage, &format!("/files/download?path={stdout}"));
        assert_eq!(downloaded.text(), "to be read\n");
        let browsed = get(&stage, &format!("/slave(1)/../files/browse?path={sandbox}"));
        assert_eq!(browsed.status, 404, "no path leads through another one");
        let browsed = get(&stage, &format!("/files/browse?path={sandbox}")).json();
        assert_eq!(browsed.as_array().unwrap().len(), paths.len(), "{browsed}");
    }
    let nowhere =
        json!({ "type": "READ_FILE", "read_file": { "path": "/etc/passwd", "offset": 0 } });
    assert_eq!(asked(&stage, &nowhere).status, 404);
}

const FRAMEWORK: &str =
    "id name user failover_timeout checkpoint hostname executors completed_executors";
const EXECUTOR: &str =
    "id name source container directory resources tasks queued_tasks completed_tasks";

#[test]
fn aapi_12_agent_20_an_agents_state_has_all_its_keys() {
    let stage = Stage::of_one_agent();
    let framework = busy(&stage);
    let state = get(&stage, "/slave(1)/state").json();
    has_keys(
        &state,
        "version build_date build_time build_user start_time id pid hostname capabilities resources \
         reserved_resources unreserved_resources reserved_resources_full unreserved_resources_full \
         reserved_resources_allocated unreserved_resources_allocated resource_providers attributes \
         master_hostname flags frameworks completed_frameworks",
        "git_sha git_branch git_tag domain log_dir external_log_file protocol",
    );
    assert_eq!(state["pid"], format!("slave(1)@{}", stage.agent_at()));
    assert_eq!(state["resources"]["ports"], "[31000-31009]");
    assert_eq!(state["unreserved_resources_allocated"]["cpus"], 0.1);
    assert_eq!(state["unreserved_resources_full"][0]["role"], "*");
    assert_eq!(state["reserved_resources"], json!({}));
    let shown = &state["frameworks"][0];
    has_keys(shown, &format!("{FRAMEWORK} principal role"), "");
    assert_eq!((&shown["id"], &shown["name"]), (&json!(framework.id), &json!("busy")));
    let executor = &shown["executors"][0];
    has_keys(executor, EXECUTOR, "role labels type");
    assert_eq!((&executor["id"], &executor["source"]), (&json!("long"), &json!("long")));
    // The executor that is made for a command has a little of its own.
    assert_eq!(executor["resources"]["mem"], 64.0, "{executor}");
    assert!((executor["resources"]["cpus"].as_f64().unwrap() - 0.2).abs() < 1e-9, "{executor}");
    let running = &executor["tasks"][0];
    assert_eq!((&running["id"], &running["state"]), (&json!("long"), &json!("TASK_RUNNING")));
    let ended = &shown["completed_executors"][0];
    has_keys(ended, EXECUTOR, "role labels type");
    assert_eq!(ended["completed_tasks"][0]["id"], "short");
    let jsonp = get(&stage, "/state?jsonp=f").text();
    assert!(jsonp.starts_with("f({"), "{jsonp}");
    let zipped = http::ask(stage.agent_at(), "GET /state", &["Accept-Encoding: snappy,gzip"], b"");
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert_eq!(get(&stage, "/state.json").status, 404);
}

#[test]
fn aapi_12_containers_are_shown_by_the_older_pages_too() {
    let stage = Stage::of_one_agent();
    let framework = busy(&stage);
    let all = get(&stage, "/containers").json();
    let one = &all[0];
    has_keys(
        one,
        "framework_id executor_id executor_name source container_id status statistics",
        "",
    );
    assert_eq!(all.as_array().map(Vec::len), Some(1), "{all}");
    let (id, container) = (&framework.id, one["container_id"].as_str().unwrap());
    for (query, count) in [
        (format!("container_id={container}"), 1),
        (format!("framework_id={id}"), 1),
        (format!("framework_id={id}&executor_id=long"), 1),
        (format!("framework_id={id}&executor_id=other"), 0),
        ("container_id=other".to_owned(), 0),
    ] {
        let shown = get(&stage, &format!("/containers?{query}")).json();
        assert_eq!(shown.as_array().map(Vec::len), Some(count), "{query}");
    }
    for wrong in ["executor_id=long", "container_id=c&framework_id=f"] {
        assert_eq!(get(&stage, &format!("/containers?{wrong}")).status, 400, "{wrong}");
    }
    let begun = Instant::now();
    for _ in 0..4 {
        let used = get(&stage, "/monitor/statistics").json();
        has_keys(&used[0], "framework_id executor_id executor_name source statistics", "");
        has_keys(
            &used[0]["statistics"],
            "timestamp processes threads cpus_user_time_secs cpus_system_time_secs cpus_limit \
             mem_rss_bytes mem_limit_bytes",
            "",
        );
    }
    assert!(begun.elapsed() >= Duration::from_millis(1500), "two answers a second");
    assert_eq!(get(&stage, "/containerizer/debug").json(), json!({ "pending": [] }));
    assert_eq!(get(&stage, "/slave(1)/health").status, 200);
}

#[test]
fn aapi_12_while_executors_are_missing_an_agent_shows_nothing() {
    let mut stage = Stage::of_one_agent();
    let (framework, _) = launched(&stage, "missing");
    let mut executor = Executor::subscribe(&stage, &framework, json!({}));
    let task = executor.events.event("LAUNCH")["launch"]["task"].clone();
    executor.tells("t", "TASK_RUNNING", FIRST);
    stage.kills_agent();
    stage.agent_is_back();
    let words = "Agent has not finished recovery";
    let state = get(&stage, "/state");
    assert_eq!((state.status, state.text().as_str()), (503, words));
    let health = asked(&stage, &json!({ "type": "GET_HEALTH" }));
    assert_eq!((health.status, health.text().as_str()), (503, words));
    assert_eq!(get(&stage, "/health").status, 200, "but it lives");
    let has = json!({ "unacknowledged_tasks": [task] });
    let _back = Executor::subscribe(&stage, &framework, has);
    eventually("it shows what it has", || {
        let state = get(&stage, "/state");
        state.status == 200
            && state.json()["frameworks"][0]["executors"][0]["tasks"][0]["id"] == "t"
    });
}

#[test]
fn agent_24_what_has_ended_is_shown_for_a_while() {
    let stage = Stage::of_one_agent();
    let framework = busy(&stage);
    framework.says("TEARDOWN", json!({}));
    let mut state = Value::Null;
    eventually("the framework has left", || {
        state = get(&stage, "/state").json();
        state["frameworks"] == json!([])
    });
    let gone = &state["completed_frameworks"][0];
    assert_eq!((&gone["id"], &gone["executors"]), (&json!(framework.id), &json!([])), "{gone}");
    let mut ends: Vec<(String, String)> = gone["completed_executors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|executor| {
            let task = &executor["completed_tasks"][0];
            let text = |key: &str| task[key].as_str().unwrap_or_default().to_owned();
            (text("id"), text("state"))
        })
        .collect();
    ends.sort();
    let is = |id: &str, state: &str| (id.to_owned(), state.to_owned());
    assert_eq!(ends, [is("long", "TASK_KILLED"), is("short", "TASK_FINISHED")]);
}

#[test]
fn agent_18_attributes_are_offered_as_texts_numbers_and_ranges() {
    let attributes = "--attributes=rack:r1;level:10.5;ports:[10000-20000, 30000-50000]";
    let stage = Stage::of_master().with_agent_of(&[attributes]);
    let mut framework = stage.subscribes(&json!({ "user": "root", "name": "reads" }));
    let range = |begin: u64, end: u64| json!({ "begin": begin, "end": end });
    let typed = json!([
        { "name": "rack", "type": "TEXT", "text": { "value": "r1" } },
        { "name": "level", "type": "SCALAR", "scalar": { "value": 10.5 } },
        { "name": "ports", "type": "RANGES", "ranges": { "range": [range(10_000, 20_000), range(30_000, 50_000)] } },
    ]);
    assert_eq!(framework.offer()["attributes"], typed);
    eventually("the agent has its id", || get(&stage, "/state").json()["id"] != "");
    assert_eq!(read(&stage, "GET_AGENT")["agent_info"]["attributes"], typed);
    let older = json!({ "rack": "r1", "level": 10.5, "ports": "[10000-20000, 30000-50000]" });
    assert_eq!(get(&stage, "/state").json()["attributes"], older);
}
