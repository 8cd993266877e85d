//! Frameworks that speak the v1 API to a real master, and run tasks on a real agent.

use std::time::{Duration, Instant};

use api::v1::scheduler as v1;
use serde_json::{Value, json};
use tests::cluster::{Process, eventually};
use tests::http::{self, Client};

use crate::stage::{Framework, SCHEDULER, Stage, task};

fn plain(name: &str) -> Value {
    json!({ "user": "root", "name": name, "failover_timeout": 60.0 })
}

/// The states of a task until its end, with who says so.
#[track_caller]
fn to_the_end(framework: &mut Framework) -> Vec<String> {
    let mut states = Vec::new();
    loop {
        let status = framework.update();
        let state = status["state"].as_str().unwrap().to_owned();
        let over = !["TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"].contains(&state.as_str());
        states.push(state);
        if over {
            return states;
        }
    }
}

#[test]
fn fwk_01_a_framework_subscribes_and_runs_a_command_to_its_end() {
    let stage = Stage::of_one_agent();
    let mut framework = stage.subscribes(&plain("first"));
    let event = framework.events.event("SUBSCRIBED");
    let subscribed = &event["subscribed"];
    framework.id = subscribed["framework_id"]["value"].as_str().unwrap().to_owned();
    assert!(framework.id.ends_with("-0000"), "{event}");
    assert_eq!(subscribed["heartbeat_interval_seconds"], 15.0);
    assert_eq!(subscribed["master_info"]["pid"], format!("master@{}", stage.at));
    let next = framework.events.record().unwrap().unwrap();
    assert_eq!(next, br#"{"type":"HEARTBEAT"}"#, "at once, and compact");
    let offer = framework.offer();
    assert_eq!(offer["framework_id"]["value"], framework.id.as_str());
    assert!(offer.get("allocation_info").is_none(), "it has one role: {offer}");
    let cpus = &offer["resources"][0];
    assert_eq!(cpus["name"], "cpus", "{offer}");
    assert_eq!((&cpus["role"], cpus.get("reservations")), (&json!("*"), None), "{offer}");
    framework.launches(&offer, &[task("one", &offer, "exit 0"), task("two", &offer, "exit 3")]);
    let mut ends = Vec::new();
    while ends.len() < 2 {
        let status = framework.update();
        assert_eq!(status["agent_id"], offer["agent_id"]);
        if let "TASK_FINISHED" | "TASK_FAILED" = status["state"].as_str().unwrap() {
            assert_eq!(status["source"], "SOURCE_EXECUTOR");
            ends.push((status["task_id"]["value"].clone(), status["state"].clone()));
        }
    }
    ends.sort_by_key(|(task, _)| task.to_string());
    let wanted = [(json!("one"), json!("TASK_FINISHED")), (json!("two"), json!("TASK_FAILED"))];
    assert_eq!(ends, wanted);
    framework.says("TEARDOWN", json!({}));
    eventually("the stream ends", || framework.events.record().unwrap().is_none());
    let again = stage
        .subscribes(&json!({ "user": "root", "name": "first", "id": { "value": framework.id } }));
    is_told_and_left(again, "Framework has been removed");
}

/// Its stream is of one event, and ends.
#[track_caller]
fn is_told_and_left(mut framework: Framework, words: &str) {
    let error = framework.events.event("ERROR");
    assert_eq!(error["error"]["message"], words);
    assert_eq!(framework.events.record().unwrap(), None);
}

#[test]
fn fwk_02_a_second_subscription_takes_over_and_the_first_is_told() {
    let stage = Stage::of_one_agent();
    let mut first = stage.subscribes(&plain("twice")).once_subscribed();
    let offer = first.offer();
    first.launches(&offer, &[task("long", &offer, "sleep 600")]);
    while first.update()["state"] != "TASK_RUNNING" {}
    let mut info = plain("twice");
    info["id"] = json!({ "value": first.id });
    let mut second = stage.subscribes(&info).once_subscribed();
    assert_eq!(second.id, first.id);
    assert_ne!(second.stream_id, first.stream_id);
    let old = first.stream_id.clone();
    let answer = first.calls("REVIVE", json!({}));
    let words = format!(
        "The stream ID '{old}' included in this request didn't match the stream ID currently associated with framework ID {}",
        first.id
    );
    assert_eq!((answer.status, answer.text()), (400, words));
    is_told_and_left(first, "Framework failed over");
    let killed = json!({ "kill": { "task_id": { "value": "long" } } });
    second.says("KILL", killed);
    assert_eq!(to_the_end(&mut second).last().unwrap(), "TASK_KILLED");
}

#[test]
fn fwk_03_what_is_wrong_with_a_framework_is_told_on_its_stream() {
    let stage = Stage::of_master();
    let with = |more: &[(&str, Value)]| {
        let mut info = plain("wrong");
        more.iter().for_each(|(key, value)| info[*key] = value.clone());
        info
    };
    for (info, words) in [
        (
            with(&[("role", json!("a//b"))]),
            "FrameworkInfo has an invalid role: role 'a//b' has an empty part",
        ),
        (
            with(&[("failover_timeout", json!(-1.0))]),
            "the framework failover_timeout of -1 is invalid",
        ),
        (
            with(&[("roles", json!(["a"]))]),
            "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable; use 'FrameworkInfo.role'",
        ),
    ] {
        let mut framework = stage.subscribes(&info);
        let error = framework.events.event("ERROR");
        let said = error["error"]["message"].as_str().unwrap();
        assert!(said.starts_with(words), "{said}");
        assert_eq!(framework.events.record().unwrap(), None, "the stream ends");
    }
}

/// Its tasks that a master lists.
fn tasks_of(stage: &Stage, framework: &str) -> usize {
    let listed = stage.home.airside(&["tasks", "--json", &format!("--master={}", stage.at)]);
    let tasks: Vec<Value> = serde_json::from_str(&listed.stdout).unwrap_or_default();
    let runs = |task: &&Value| task["framework"] == framework && task["state"] == "TASK_RUNNING";
    tasks.iter().filter(runs).count()
}

#[test]
fn fwk_04_a_framework_whose_connection_ends_has_its_time_out_to_come_back_and_is_removed_then() {
    const TIME_OUT: Duration = Duration::from_secs(5);
    let stage = Stage::of_one_agent();
    let mut info = plain("leaves");
    info["failover_timeout"] = json!(TIME_OUT.as_secs());
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[task("long", &offer, "sleep 600")]);
    while framework.update()["state"] != "TASK_RUNNING" {}
    let id = framework.id.clone();
    assert_eq!(tasks_of(&stage, &id), 1);
    let left = Instant::now();
    drop(framework);
    eventually("its task is killed", || tasks_of(&stage, &id) == 0);
    assert!(left.elapsed() >= TIME_OUT, "after {:?}", left.elapsed());
    info["id"] = json!({ "value": id });
    is_told_and_left(stage.subscribes(&info), "Framework has been removed");

    // And one that is back in time has all that it had.
    let mut framework = stage.subscribes(&plain("returns")).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[task("long", &offer, "sleep 600")]);
    while framework.update()["state"] != "TASK_RUNNING" {}
    let mut info = plain("returns");
    info["id"] = json!({ "value": framework.id });
    drop(framework);
    let again = stage.subscribes(&info).once_subscribed();
    assert_eq!(tasks_of(&stage, &again.id), 1);
}

#[test]
fn fwk_06_the_id_of_a_framework_that_was_torn_down_never_subscribes_again() {
    let stage = Stage::of_master();
    let framework = stage.subscribes(&plain("gone")).once_subscribed();
    framework.says("TEARDOWN", json!({}));
    let mut info = plain("gone");
    info["id"] = json!({ "value": framework.id });
    is_told_and_left(stage.subscribes(&info), "Framework has been removed");
}

#[test]
fn fwk_22_calls_are_taken_only_with_the_stream_of_their_framework() {
    let stage = Stage::of_master();
    let framework = stage.subscribes(&plain("strict")).once_subscribed();
    let revive = json!({ "type": "REVIVE", "framework_id": { "value": framework.id } });
    let answer = stage.call(&[], &revive);
    let words = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
    assert_eq!((answer.status, answer.text().as_str()), (400, words));
    let answer = stage.call(&["Mesos-Stream-Id: other"], &revive);
    let words = format!(
        "The stream ID 'other' included in this request didn't match the stream ID currently associated with framework ID {}",
        framework.id
    );
    assert_eq!((answer.status, answer.text()), (400, words));
    framework.says("REVIVE", json!({}));
    let id = framework.id.clone();
    drop(framework);
    eventually("its scheduler is known to be lost", || {
        let answer = stage.call(
            &["Mesos-Stream-Id: other"],
            &json!({ "type": "REVIVE", "framework_id": { "value": id } }),
        );
        (answer.status, answer.text().as_str()) == (403, "Framework is not subscribed")
    });
    // A framework of our own speaks another protocol.
    let run = ["run", "--master", &stage.at, "--", "true"];
    let _run = Process::start("run", &mut stage.home.command(&run));
    let mut own = Value::Null;
    eventually("it has subscribed", || {
        let all = stage.get("/frameworks").json();
        let active =
            all["frameworks"].as_array().into_iter().flatten().find(|one| one["active"] == true);
        own = active.cloned().unwrap_or_default();
        own["active"] == true
    });
    let revive = json!({ "type": "REVIVE", "framework_id": { "value": own["id"] } });
    let answer = stage.call(&["Mesos-Stream-Id: other"], &revive);
    let words = "Framework is not connected via HTTP";
    assert_eq!((answer.status, answer.text().as_str()), (403, words), "{own}");
}

#[test]
fn a_framework_may_name_itself_and_act_for_several_roles() {
    let stage = Stage::of_one_agent();
    let info = json!({
        "user": "root", "name": "own", "id": { "value": "an-id-of-its-own" }, "roles": ["a", "b"],
        "capabilities": [{ "type": "MULTI_ROLE" }, { "type": "RESERVATION_REFINEMENT" }],
    });
    let mut framework = stage.subscribes(&info).once_subscribed();
    assert_eq!(framework.id, "an-id-of-its-own");
    let offer = framework.offer();
    let role = offer["allocation_info"]["role"].as_str().unwrap();
    assert!(["a", "b"].contains(&role), "{offer}");
    for resource in offer["resources"].as_array().unwrap() {
        assert_eq!(resource["allocation_info"]["role"], role, "{offer}");
        assert!(resource.get("role").is_none(), "{offer}");
    }
    let mut bad = task("bad", &offer, "true");
    bad["agent_id"] = json!({ "value": "elsewhere" });
    framework.launches(&offer, &[bad]);
    let status = framework.update();
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&json!("TASK_ERROR"), &json!("REASON_TASK_INVALID"))
    );
    assert!(
        status["message"]
            .as_str()
            .unwrap()
            .starts_with("Task uses invalid agent elsewhere while agent ")
    );
    assert_eq!(status.get("uuid"), None, "nothing is to be acknowledged");
}

/// The same conversation in the other encoding, whatever the first one was in.
#[test]
fn a_framework_may_speak_protobuf() {
    let stage = Stage::of_one_agent();
    let call = v1::Call {
        r#type: Some(v1::call::Type::Subscribe.into()),
        subscribe: Some(v1::call::Subscribe {
            framework_info: api::v1::FrameworkInfo {
                user: "root".into(),
                name: "bytes".into(),
                ..Default::default()
            },
            ..Default::default()
        }),
        ..Default::default()
    };
    let protobuf = ["Content-Type: application/x-protobuf", "Accept: application/x-protobuf"];
    let mut client = Client::connect(&stage.at).unwrap();
    let body = api::wire::write(&call);
    client.request(&format!("POST {SCHEDULER}"), &protobuf, &body).unwrap();
    let mut events = client.stream().unwrap();
    assert_eq!(events.head.header("content-type"), Some("application/x-protobuf"));
    let mut next = |wanted: v1::event::Type| loop {
        let record = events.record().unwrap().expect("the stream goes on");
        let event: v1::Event = api::wire::read(&record).unwrap();
        if event.r#type() == wanted {
            return event;
        }
    };
    let subscribed = next(v1::event::Type::Subscribed).subscribed.unwrap();
    let offers = next(v1::event::Type::Offers).offers.unwrap();
    let stream = events.head.header("mesos-stream-id").unwrap().to_owned();
    let decline = v1::Call {
        framework_id: Some(subscribed.framework_id),
        r#type: Some(v1::call::Type::Decline.into()),
        decline: Some(v1::call::Decline {
            offer_ids: offers.offers.into_iter().map(|offer| offer.id).collect(),
            filters: None,
        }),
        ..Default::default()
    };
    let headers = [protobuf[0], &format!("Mesos-Stream-Id: {stream}")];
    let answer =
        http::ask(&stage.at, &format!("POST {SCHEDULER}"), &headers, &api::wire::write(&decline));
    assert_eq!((answer.status, answer.body.len()), (202, 0), "{answer:?}");
}
