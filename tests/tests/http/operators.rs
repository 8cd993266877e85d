//! What operators ask of a master by the v1 API, and the stream of events that they are told.

use api::v1::master as v1;
use serde_json::{Value, json};
use tests::cluster::eventually;
use tests::http::{self, Client, Stream};

use crate::stage::{OPERATOR, Stage, task};

/// The stream of events.
#[track_caller]
fn listens(at: &str) -> Stream {
    let mut client = Client::connect(at).unwrap();
    let headers = ["Content-Type: application/json", "Accept: application/json"];
    let body = json!({ "type": "SUBSCRIBE" }).to_string();
    client.request(&format!("POST {OPERATOR}"), &headers, body.as_bytes()).unwrap();
    let events = client.stream().unwrap();
    assert_eq!(events.head.status, 200, "{:?}", events.head);
    assert_eq!(events.head.header("transfer-encoding"), Some("chunked"));
    assert_eq!(events.head.header("mesos-stream-id"), None);
    events
}

#[test]
fn opapi_02_operators_are_told_the_state_and_then_what_happens() {
    let stage = Stage::of_master();
    let mut events = listens(&stage.at);
    let first = events.event("SUBSCRIBED");
    assert_eq!(first["subscribed"]["heartbeat_interval_seconds"], 15.0);
    assert_eq!(first["subscribed"]["get_state"]["get_agents"], json!({}));
    assert_eq!(events.record().unwrap().unwrap(), br#"{"type":"HEARTBEAT"}"#, "at once");
    let stage = stage.with_agent();
    let added = events.event("AGENT_ADDED");
    let agent = added["agent_added"]["agent"]["agent_info"]["id"].clone();
    assert_eq!(added["agent_added"]["agent"]["active"], true, "{added}");
    let mut framework =
        stage.subscribes(&json!({ "user": "root", "name": "told" })).once_subscribed();
    let added = events.event("FRAMEWORK_ADDED");
    assert_eq!(added["framework_added"]["framework"]["framework_info"]["name"], "told");
    let offer = framework.offer();
    framework.launches(&offer, &[task("one", &offer, "exit 0")]);
    let added = events.event("TASK_ADDED");
    let shown = &added["task_added"]["task"];
    assert_eq!((&shown["state"], &shown["agent_id"]), (&json!("TASK_STAGING"), &agent));
    let mut states = Vec::new();
    while states.last().is_none_or(|last| last != "TASK_FINISHED") {
        framework.update();
        let updated = &events.event("TASK_UPDATED")["task_updated"];
        assert_eq!(updated["status"]["state"], updated["state"]);
        states.push(updated["state"].as_str().unwrap().to_owned());
    }
    framework.says("TEARDOWN", json!({}));
    let removed = events.event("FRAMEWORK_REMOVED");
    assert_eq!(
        removed["framework_removed"]["framework_info"]["id"]["value"],
        framework.id.as_str()
    );
}

/// A client of Go's writes no more than the type of its call.
#[test]
fn two_bytes_of_protobuf_are_a_whole_subscription_to_events() {
    let stage = Stage::of_master();
    let protobuf = ["Content-Type: application/x-protobuf", "Accept: application/x-protobuf"];
    let mut client = Client::connect(&stage.at).unwrap();
    client.request(&format!("POST {OPERATOR}"), &protobuf, &[0x08, 0x12]).unwrap();
    let mut events = client.stream().unwrap();
    assert_eq!(events.head.header("content-type"), Some("application/x-protobuf"));
    let mut next = || -> v1::Event { api::wire::read(&events.record().unwrap().unwrap()).unwrap() };
    let subscribed = next().subscribed.unwrap();
    assert_eq!(subscribed.heartbeat_interval_seconds, Some(15.0));
    assert_eq!(next().r#type(), v1::event::Type::Heartbeat);
}

/// The first beat comes at once, the next ones every 15 seconds.
#[test]
fn both_streams_beat_again_and_again() {
    let stage = Stage::of_master();
    let mut events = listens(&stage.at);
    let mut framework =
        stage.subscribes(&json!({ "user": "root", "name": "calm" })).once_subscribed();
    for _ in 0..2 {
        events.event("HEARTBEAT");
        framework.events.event("HEARTBEAT");
    }
}

#[test]
fn part_07_an_agent_marked_as_gone_is_lost_with_its_tasks_and_its_id_is_never_valid_again() {
    let mut stage = Stage::of_one_agent();
    let info =
        json!({ "user": "root", "name": "aware", "capabilities": [{ "type": "PARTITION_AWARE" }] });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[task("long", &offer, "sleep 600")]);
    while framework.update()["state"] != "TASK_RUNNING" {}
    let id = offer["agent_id"]["value"].as_str().unwrap();
    let gone =
        json!({ "type": "MARK_AGENT_GONE", "mark_agent_gone": { "agent_id": { "value": id } } });
    let answer = stage.operator(&gone);
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    let status = framework.update();
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&json!("TASK_GONE_BY_OPERATOR"), &json!("REASON_AGENT_REMOVED_BY_OPERATOR"))
    );
    let failure = framework.events.event("FAILURE");
    assert_eq!(failure["failure"], json!({ "agent_id": { "value": id } }));
    stage.agent_ends();
    assert_eq!(stage.operator(&gone).status, 200, "it is gone already");
    let reconcile =
        json!({ "tasks": [{ "task_id": { "value": "long" }, "agent_id": { "value": id } }] });
    framework.says("RECONCILE", json!({ "reconcile": reconcile }));
    assert_eq!(framework.update()["state"], "TASK_GONE_BY_OPERATOR");
    let stranger =
        json!({ "type": "MARK_AGENT_GONE", "mark_agent_gone": { "agent_id": { "value": "x" } } });
    let answer = stage.operator(&stranger);
    assert_eq!((answer.status, answer.text().as_str()), (404, "Agent 'x' not found"));
}

#[test]
fn role_05_weights_are_set_by_both_apis_and_kept() {
    let stage = Stage::of_master();
    let put = |body: &str| http::ask(&stage.at, "PUT /weights", &[], body.as_bytes());
    assert_eq!(put(r#"[{"role":"a","weight":2.0}]"#).status, 200);
    assert_eq!(stage.get("/weights").json(), json!([{ "role": "a", "weight": 2.0 }]));
    for bad in [r#"[{"role":"a","weight":0.0}]"#, r#"[{"role":"a//b","weight":1.0}]"#, "{}", "x"] {
        assert_eq!(put(bad).status, 400, "{bad}");
    }
    let update = json!({ "type": "UPDATE_WEIGHTS", "update_weights": { "weight_infos": [{ "role": "b", "weight": 0.5 }] } });
    assert_eq!(stage.operator(&update).status, 200);
    let weights = stage.operator(&json!({ "type": "GET_WEIGHTS" })).json();
    let both = json!([{ "role": "a", "weight": 2.0 }, { "role": "b", "weight": 0.5 }]);
    assert_eq!(weights["get_weights"]["weight_infos"], both);
    let answer = http::ask(&stage.at, "DELETE /weights", &[], b"");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, PUT")));
}

fn update_quota(configs: &Value, force: bool) -> Value {
    json!({ "type": "UPDATE_QUOTA", "update_quota": { "force": force, "quota_configs": configs } })
}

#[test]
fn quota_01_guarantees_and_limits_are_set_all_or_nothing() {
    let stage = Stage::of_one_agent();
    stage.has_agents(1);
    let good = json!([{ "role": "a", "guarantees": { "cpus": { "value": 1.0 } }, "limits": { "cpus": { "value": 2.0 }, "mem": { "value": 512.0 } } }]);
    let answer = stage.operator(&update_quota(&good, false));
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    let configs = || {
        stage.operator(&json!({ "type": "GET_QUOTA" })).json()["get_quota"]["status"]["configs"]
            .clone()
    };
    assert_eq!(configs(), good);
    let half = json!([{ "role": "b", "limits": { "cpus": { "value": 1.0 } } }, { "role": "c/d", "limits": {} }]);
    assert_eq!(stage.operator(&update_quota(&half, false)).status, 400);
    assert_eq!(configs(), good, "nothing of it was done");
}

#[test]
fn quota_02_and_quota_03_what_makes_no_sense_is_refused() {
    let stage = Stage::of_one_agent();
    stage.has_agents(1);
    let of = |role: &str, guarantee: f64, limit: f64| json!([{ "role": role, "guarantees": { "mem": { "value": guarantee } }, "limits": { "mem": { "value": limit } } }]);
    for (bad, part) in [
        (of("a/b", 1.0, 2.0), "cannot have a quota of its own"),
        (of("a", 3.0, 2.0), "is above its limit"),
        (of("a", 4096.0, 4096.0), "the cluster has"),
        (of("a", 0.0, 1e19), "must be from 0 to 1099511627776"),
        (of("a", -1.0, 2.0), "must be a number from 0 on"),
    ] {
        let answer = stage.operator(&update_quota(&bad, false));
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.text().contains(part), "{bad}: {}", answer.text());
    }
    assert_eq!(stage.operator(&update_quota(&of("a", 4096.0, 4096.0), true)).status, 200);
}

#[test]
fn quota_04_the_older_calls_set_and_end_a_guarantee() {
    let stage = Stage::of_one_agent();
    stage.has_agents(1);
    let post = |body: &Value| http::ask(&stage.at, "POST /quota", &[], body.to_string().as_bytes());
    let request = |cpus: f64, force: bool| json!({ "role": "a", "force": force, "guarantee": [{ "name": "cpus", "type": "SCALAR", "scalar": { "value": cpus } }] });
    let conflict = post(&request(100.0, false));
    assert_eq!(conflict.status, 409, "{}", conflict.text());
    assert_eq!(post(&request(100.0, true)).status, 200);
    let again = post(&request(1.0, false));
    assert_eq!(again.status, 400);
    assert!(again.text().contains("already has quota"), "{}", again.text());
    let quota = stage.get("/quota").json();
    assert_eq!(quota["infos"][0]["guarantee"][0]["scalar"]["value"], 100.0);
    assert_eq!(quota["configs"][0]["limits"]["cpus"]["value"], 100.0);
    let delete = || http::ask(&stage.at, "DELETE /quota/a", &[], b"");
    assert_eq!(delete().status, 200);
    let again = delete();
    assert_eq!(
        (again.status, again.text().as_str()),
        (400, "Failed to remove quota: Role 'a' has no quota set")
    );
    // Of which a master of Mesos's dies.
    let remove = json!({ "type": "REMOVE_QUOTA", "remove_quota": { "role": "never" } });
    let answer = stage.operator(&remove);
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (400, "Failed to remove quota: Role 'never' has no quota set")
    );
    assert_eq!(stage.get("/health").status, 200);
}

#[test]
fn fwk_07_operators_tear_frameworks_down_by_both_apis() {
    let stage = Stage::of_one_agent();
    for old in [true, false] {
        let mut framework =
            stage.subscribes(&json!({ "user": "root", "name": "ends" })).once_subscribed();
        let offer = framework.offer();
        framework.launches(&offer, &[task("long", &offer, "sleep 600")]);
        while framework.update()["state"] != "TASK_RUNNING" {}
        let answer = if old {
            let body = format!("frameworkId={}", framework.id);
            http::ask(&stage.at, "POST /teardown", &[], body.as_bytes())
        } else {
            stage.operator(&json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": framework.id } } }))
        };
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
        eventually("its stream ends", || framework.events.record().unwrap().is_none());
        eventually("its task is killed", || {
            let all = stage.get("/frameworks").json();
            let own = all["completed_frameworks"].as_array().unwrap();
            own.iter().any(|one| {
                one["id"] == framework.id.as_str()
                    && one["completed_tasks"][0]["state"] == "TASK_KILLED"
            })
        });
    }
    let unknown = http::ask(&stage.at, "POST /teardown", &[], b"frameworkId=x");
    assert_eq!(
        (unknown.status, unknown.text().as_str()),
        (400, "No framework found with specified ID")
    );
    let nobody = http::ask(&stage.at, "POST /teardown", &[], b"");
    assert_eq!(
        (nobody.status, nobody.text().as_str()),
        (400, "Missing 'frameworkId' query parameter in the request body")
    );
}

#[test]
fn opapi_07_reads_of_operators_are_answered_in_both_encodings() {
    use api::v1::master::{Call, Response, call::Type};
    let stage = Stage::of_one_agent();
    stage.has_agents(1);
    for r#type in [
        Type::GetHealth,
        Type::GetFlags,
        Type::GetVersion,
        Type::GetLoggingLevel,
        Type::GetState,
        Type::GetAgents,
        Type::GetFrameworks,
        Type::GetExecutors,
        Type::GetOperations,
        Type::GetTasks,
        Type::GetRoles,
        Type::GetWeights,
        Type::GetMaster,
        Type::GetMaintenanceStatus,
        Type::GetMaintenanceSchedule,
        Type::GetQuota,
    ] {
        let name = r#type.as_str_name();
        let as_json = stage.operator(&json!({ "type": name })).json();
        assert_eq!(as_json["type"], name, "{as_json}");
        assert!(as_json[name.to_ascii_lowercase()].is_object(), "{as_json}");
        let call = Call { r#type: Some(r#type.into()), ..Default::default() };
        let headers = ["Content-Type: application/x-protobuf", "Accept: application/x-protobuf"];
        let answer =
            http::ask(&stage.at, &format!("POST {OPERATOR}"), &headers, &api::wire::write(&call));
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("application/x-protobuf"))
        );
        let response: Response = api::wire::read(&answer.body).unwrap();
        assert_eq!(response.r#type().as_str_name(), name);
    }
    let agents = stage.operator(&json!({ "type": "GET_AGENTS" })).json();
    assert_eq!(agents["get_agents"]["agents"][0]["active"], true, "{agents}");
    let master = stage.operator(&json!({ "type": "GET_MASTER" })).json();
    assert_eq!(master["get_master"]["master_info"]["pid"], format!("master@{}", stage.at));
    let drain = json!({ "type": "DRAIN_AGENT", "drain_agent": { "agent_id": { "value": "a" } } });
    let answer = stage.operator(&drain);
    let words = "501 Not Implemented. DRAIN_AGENT comes with a later release; nothing was done.";
    assert_eq!((answer.status, answer.text().as_str()), (501, words));
}

#[test]
fn fwk_09_a_framework_says_anew_what_it_is_and_keeps_the_offers_of_the_roles_that_it_keeps() {
    let stage = Stage::of_one_agent();
    let info = |roles: &[&str]| {
        json!({ "user": "root", "name": "changes", "roles": roles, "principal": "p",
            "capabilities": [{ "type": "MULTI_ROLE" }] })
    };
    let mut framework = stage.subscribes(&info(&["a"])).once_subscribed();
    let offer = framework.offer();
    let update = |roles: &[&str], more: Value| {
        let mut info = info(roles);
        info["id"] = json!({ "value": framework.id });
        let mut update = json!({ "framework_info": info });
        if let Value::Object(more) = more {
            more.into_iter().for_each(|(key, value)| update[key] = value);
        }
        json!({ "update_framework": update })
    };
    let answer = framework.calls("UPDATE_FRAMEWORK", update(&["a", "b"], json!({})));
    assert_eq!((answer.status, answer.text().as_str()), (200, ""));
    let shown = stage.get("/frameworks").json()["frameworks"][0].clone();
    assert_eq!(shown["roles"], json!(["a", "b"]));
    assert_eq!(shown["offers"][0]["id"], offer["id"]["value"], "it is still open: {shown}");
    let answer = framework.calls("UPDATE_FRAMEWORK", update(&["b"], json!({})));
    assert_eq!(answer.status, 200);
    let rescinded = framework.events.event("RESCIND");
    assert_eq!(rescinded["rescind"]["offer_id"], offer["id"]);
    let wrong = json!({ "suppressed_roles": ["z"] });
    let answer = framework.calls("UPDATE_FRAMEWORK", update(&["b"], wrong));
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().starts_with("'UpdateFramework' call is not valid: "),
        "{}",
        answer.text()
    );
    let answer = framework.calls("UPDATE_FRAMEWORK", update(&["b//c"], json!({})));
    assert!(
        answer.text().starts_with("Supplied FrameworkInfo is not valid: "),
        "{}",
        answer.text()
    );
    let mut other = update(&["b"], json!({}));
    other["update_framework"]["framework_info"]["user"] = json!("nobody");
    let answer = framework.calls("UPDATE_FRAMEWORK", other);
    let words = "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported";
    assert_eq!((answer.status, answer.text().as_str()), (400, words));
    assert_eq!(framework.offer()["allocation_info"]["role"], "b");
}

#[test]
fn fwk_08_a_framework_that_comes_again_as_another_principals_is_refused() {
    let stage = Stage::of_master();
    let info = |principal: &str| json!({ "user": "root", "name": "whose", "principal": principal, "failover_timeout": 60.0 });
    let framework = stage.subscribes(&info("p")).once_subscribed();
    let mut again = info("q");
    again["id"] = json!({ "value": framework.id });
    let mut refused = stage.subscribes(&again);
    let error = refused.events.event("ERROR");
    assert_eq!(error["error"]["message"], "Changing framework's principal is not allowed.");
    again["principal"] = json!("p");
    again["user"] = json!("nobody");
    let _same = stage.subscribes(&again).once_subscribed();
    assert_eq!(stage.get("/frameworks").json()["frameworks"][0]["user"], "root");
}

#[test]
fn opapi_03_of_too_many_who_listen_the_oldest_goes() {
    let stage = Stage::of_master_with(&["--max-operator-event-stream-subscribers=1"]);
    let mut first = listens(&stage.at);
    first.event("HEARTBEAT");
    let mut second = listens(&stage.at);
    eventually("the first ends", || first.record().unwrap().is_none());
    second.event("HEARTBEAT");
}
