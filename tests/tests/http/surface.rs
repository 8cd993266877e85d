//! Capabilities of frameworks, as Mesos's clients see them.

use serde_json::{Value, json};
use tests::cluster::eventually;

use crate::stage::{Framework, Stage, task};

fn plain(name: &str) -> Value {
    json!({ "user": "root", "name": name, "failover_timeout": 600.0 })
}

fn of_roles(name: &str, roles: &[&str]) -> Value {
    json!({ "user": "root", "name": name, "roles": roles, "capabilities": [{ "type": "MULTI_ROLE" }] })
}

/// The first update of a task.
fn update_of(framework: &mut Framework, id: &str) -> Value {
    loop {
        let status = framework.update();
        if status["task_id"]["value"] == id {
            return status;
        }
    }
}

#[test]
fn recon_01_whoever_asks_for_all_is_told_the_state_of_each_task() {
    let stage = Stage::of_one_agent();
    let mut framework = stage.subscribes(&plain("all")).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[task("a", &offer, "sleep 600"), task("b", &offer, "sleep 600")]);
    let mut running = 0;
    while running < 2 {
        running += usize::from(framework.update()["state"] == "TASK_RUNNING");
    }
    framework.says("RECONCILE", json!({ "reconcile": {} }));
    let mut told = Vec::new();
    while told.len() < 2 {
        let status = framework.update();
        // The acknowledgement of the last news may be on its way.
        if status["reason"] == "REASON_RECONCILIATION" {
            assert_eq!((&status["state"], status.get("uuid")), (&json!("TASK_RUNNING"), None));
            assert_eq!(status["source"], "SOURCE_MASTER");
            told.push(status["task_id"]["value"].as_str().unwrap().to_owned());
        }
    }
    told.sort();
    assert_eq!(told, ["a", "b"]);
}

#[test]
fn fwk_10_roles_want_no_offers_until_they_are_revived() {
    let stage = Stage::of_one_agent();
    let info = of_roles("quiet", &["a", "b"]);
    let mut framework =
        Framework::subscribe_with(&stage.at, &info, &json!({ "suppressed_roles": ["a", "b"] }))
            .once_subscribed();
    stage.has_agents(1);
    // Somebody else is offered all of it: the quiet one was passed over.
    let mut other = stage.subscribes(&plain("other")).once_subscribed();
    other.offer();
    other.says("TEARDOWN", json!({}));
    framework.says("REVIVE", json!({ "revive": { "roles": ["b"] } }));
    let offer = framework.offer();
    assert_eq!(offer["allocation_info"]["role"], "b");
    framework.says("SUPPRESS", json!({ "suppress": { "roles": ["b"] } }));
    let refuse = json!({ "offer_ids": [offer["id"]], "filters": { "refuse_seconds": 3600.0 } });
    framework.says("DECLINE", json!({ "decline": refuse }));
    framework.says("REVIVE", json!({}));
    assert!(["a", "b"].contains(&framework.offer()["allocation_info"]["role"].as_str().unwrap()));
}

#[test]
fn fwk_20_a_kill_may_say_how_long_it_waits_and_of_a_ghost_it_is_answered() {
    let stage = Stage::of_one_agent();
    let mut framework = stage.subscribes(&plain("kills")).once_subscribed();
    let offer = framework.offer();
    let stubborn = "trap '' TERM; while :; do sleep 1; done";
    let mut slow = task("stubborn", &offer, stubborn);
    slow["kill_policy"] = json!({ "grace_period": { "nanoseconds": 3_600_000_000_000_u64 } });
    framework.launches(&offer, &[slow]);
    while framework.update()["state"] != "TASK_RUNNING" {}
    let soon = json!({ "grace_period": { "nanoseconds": 100_000_000 } });
    framework.says(
        "KILL",
        json!({ "kill": { "task_id": { "value": "stubborn" }, "kill_policy": soon } }),
    );
    assert_eq!(update_of(&mut framework, "stubborn")["state"], "TASK_KILLED");
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "ghost" } } }));
    let status = update_of(&mut framework, "ghost");
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&json!("TASK_LOST"), &json!("REASON_RECONCILIATION"))
    );
}

#[test]
fn fwk_23_what_a_framework_says_of_itself_is_shown() {
    let stage = Stage::of_master();
    let least = json!({ "quantities": [{ "quantities": { "cpus": { "value": 1.0 } } }] });
    let mut info = of_roles("shown", &["a"]);
    for (key, value) in [
        ("webui_url", json!("http://web")),
        ("hostname", json!("here")),
        ("principal", json!("p")),
        ("labels", json!({ "labels": [{ "key": "k", "value": "v" }] })),
        ("offer_filters", json!({ "a": { "min_allocatable_resources": least } })),
    ] {
        info[key] = value;
    }
    let _framework = stage.subscribes(&info).once_subscribed();
    let shown = stage.get("/frameworks").json()["frameworks"][0].clone();
    assert_eq!(shown["webui_url"], "http://web");
    assert_eq!((&shown["hostname"], &shown["principal"]), (&json!("here"), &json!("p")));
    assert_eq!(shown["labels"], json!([{ "key": "k", "value": "v" }]));
    let all = stage.operator(&json!({ "type": "GET_FRAMEWORKS" })).json();
    let said = &all["get_frameworks"]["frameworks"][0]["framework_info"];
    for key in ["webui_url", "hostname", "principal", "labels", "offer_filters"] {
        assert_eq!(said[key], info[key], "{said}");
    }
}

#[test]
fn what_a_framework_says_of_agents_is_shown_as_it_says_it() {
    let stage = Stage::of_master();
    let constraint =
        |selector: Value, predicate: Value| json!({ "selector": selector, "predicate": predicate });
    let zone = json!({ "pseudoattribute_type": "ZONE" });
    let group = json!([
        constraint(
            json!({ "attribute_name": "rack" }),
            json!({ "text_matches": { "regex": "r[0-9]" } })
        ),
        constraint(zone, json!({ "exists": {} })),
    ]);
    let of_a = json!({ "groups": [{ "attribute_constraints": group }] });
    let said = json!({ "role_constraints": { "a": of_a } });
    let info = of_roles("picky", &["a", "b"]);
    let more = json!({ "offer_constraints": said });
    let framework = Framework::subscribe_with(&stage.at, &info, &more).once_subscribed();
    let shown = || {
        let page = stage.get("/frameworks").json()["frameworks"][0]["offer_constraints"].clone();
        let all = stage.operator(&json!({ "type": "GET_FRAMEWORKS" })).json();
        let one = all["get_frameworks"]["frameworks"][0]["offer_constraints"].clone();
        assert_eq!(page, one);
        one
    };
    assert_eq!(shown(), said);
    let mut again = info.clone();
    again["id"] = json!({ "value": framework.id });
    let update = json!({ "update_framework": { "framework_info": again } });
    assert_eq!(framework.calls("UPDATE_FRAMEWORK", update).status, 200);
    assert_eq!(shown(), json!({}));
}

#[test]
fn offer_02_two_frameworks_read_offers_in_the_form_that_each_understands() {
    let stage = Stage::of_one_agent();
    let mut old = stage.subscribes(&plain("old")).once_subscribed();
    let offer = old.offer();
    assert_eq!(offer.get("allocation_info"), None);
    for one in offer["resources"].as_array().unwrap() {
        let (role, rest) = (&one["role"], (one.get("reservations"), one.get("allocation_info")));
        assert_eq!((role, rest), (&json!("*"), (None, None)), "{one}");
    }
    old.says("TEARDOWN", json!({}));
    let mut info = of_roles("new", &["a"]);
    info["capabilities"] = json!([{ "type": "MULTI_ROLE" }, { "type": "RESERVATION_REFINEMENT" }]);
    let mut new = stage.subscribes(&info).once_subscribed();
    let offer = new.offer();
    assert_eq!(offer["allocation_info"], json!({ "role": "a" }));
    for one in offer["resources"].as_array().unwrap() {
        assert_eq!(
            (one.get("role"), &one["allocation_info"]["role"]),
            (None, &json!("a")),
            "{one}"
        );
    }
}

#[test]
fn rsv_05_a_reserved_resource_is_read_in_the_form_that_its_reader_understands_and_taken_in_any() {
    let resources = "--resources=cpus:1;mem:256;cpus(eng):1;mem(eng):64";
    let stage = Stage::of_master().with_agent_of(&[resources]);
    stage.has_agents(1);
    let older = json!({ "role": "eng" });
    let stack = json!({ "reservations": [{ "type": "STATIC", "role": "eng" }] });
    let slave = stage.get("/slaves").json()["slaves"][0].clone();
    let shown = &slave["reserved_resources_full"]["eng"][0];
    assert_eq!((&shown["role"], &shown["reservations"]), (&older["role"], &stack["reservations"]));
    let nobodys = &slave["unreserved_resources_full"][0];
    assert_eq!((&nobodys["role"], &nobodys["reservations"]), (&json!("*"), &json!(null)));
    for (name, capabilities, own, other) in [
        ("old", vec!["MULTI_ROLE"], &older, &stack),
        ("new", vec!["MULTI_ROLE", "RESERVATION_REFINEMENT"], &stack, &older),
    ] {
        let mut info = of_roles(name, &["eng"]);
        info["capabilities"] = capabilities.iter().map(|kind| json!({ "type": kind })).collect();
        let mut framework = stage.subscribes(&info).once_subscribed();
        let offer = framework.offer();
        let forms =
            |one: &Value| json!([one.get("role"), one.get("reservation"), one.get("reservations")]);
        let reserved: Vec<Value> =
            offer["resources"].as_array().unwrap().iter().map(forms).collect();
        let expected = forms(own);
        assert_eq!(reserved.iter().filter(|forms| **forms == expected).count(), 2, "{offer:#}");
        let (mut first, mut second) =
            (task("first", &offer, "true"), task("second", &offer, "true"));
        for (task, form) in [(&mut first, own), (&mut second, other)] {
            for resource in task["resources"].as_array_mut().unwrap() {
                resource.as_object_mut().unwrap().extend(form.as_object().unwrap().clone());
            }
        }
        framework.launches(&offer, &[first, second]);
        let mut ended = Vec::new();
        while ended.len() < 2 {
            let status = framework.update();
            assert!(status["state"] != "TASK_ERROR", "{status}");
            if status["state"] == "TASK_FINISHED" {
                ended.push(status["task_id"]["value"].clone());
            }
        }
        framework.says("TEARDOWN", json!({}));
    }
}

#[test]
fn fwk_17_a_request_is_taken_and_changes_nothing() {
    let stage = Stage::of_one_agent();
    stage.has_agents(1);
    let mut framework = stage.subscribes(&plain("asks")).once_subscribed();
    let offer = framework.offer();
    let shown = || stage.get("/frameworks").json()["frameworks"][0].clone();
    eventually("its offer is shown", || shown()["offers"][0]["id"] == offer["id"]["value"]);
    let before = shown();
    let cpus = json!({ "name": "cpus", "type": "SCALAR", "scalar": { "value": 1000.0 } });
    let requests = json!([{ "agent_id": offer["agent_id"], "resources": [cpus] }, {}]);
    framework.says("REQUEST", json!({ "request": { "requests": requests } }));
    assert_eq!(shown(), before);
    // The offer still stands.
    framework.launches(&offer, &[task("a", &offer, "true")]);
    while framework.update()["state"] != "TASK_FINISHED" {}
}

#[test]
fn op_17_a_task_id_is_used_by_one_task_at_a_time() {
    let stage = Stage::of_one_agent();
    let mut framework = stage.subscribes(&plain("ids")).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[task("a", &offer, "sleep 600"), task("a", &offer, "true")]);
    let status = loop {
        let status = framework.update();
        if status["state"] == "TASK_ERROR" {
            break status;
        }
    };
    assert_eq!(status["reason"], "REASON_TASK_INVALID");
    assert!(status["message"].as_str().unwrap().contains("duplicate ID"), "{status}");
    framework.says("KILL", json!({ "kill": { "task_id": { "value": "a" } } }));
    while framework.update()["state"] != "TASK_KILLED" {}
    let offer = framework.offer();
    framework.launches(&offer, &[task("a", &offer, "true")]);
    while framework.update()["state"] != "TASK_FINISHED" {}
}

#[test]
fn reg_01_the_registry_shows_who_is_a_member_who_is_gone_and_what_was_said_of_roles() {
    let stage = Stage::of_one_agent();
    stage.has_agents(1);
    stage.operator(&json!({ "type": "UPDATE_WEIGHTS", "update_weights": { "weight_infos": [{ "role": "a", "weight": 2.0 }] } }));
    let quota = json!([{ "role": "b", "limits": { "cpus": { "value": 1.0 } } }]);
    stage.operator(&json!({ "type": "UPDATE_QUOTA", "update_quota": { "quota_configs": quota } }));
    let registry = stage.get("/registrar(1)/registry").json();
    assert_eq!(registry["master"]["info"]["pid"], format!("master@{}", stage.at));
    let member = &registry["slaves"]["slaves"][0]["info"];
    let id = member["id"]["value"].as_str().unwrap();
    assert_eq!(member["resources"][0]["name"], "cpus");
    assert_eq!(registry["weights"], json!([{ "info": { "role": "a", "weight": 2.0 } }]));
    assert_eq!(registry["quota_configs"], quota);
    assert_eq!(registry["minimum_capabilities"], json!([{ "capability": "QUOTA_V2" }]));
    let gone =
        json!({ "type": "MARK_AGENT_GONE", "mark_agent_gone": { "agent_id": { "value": id } } });
    assert_eq!(stage.operator(&gone).status, 200);
    let registry = stage.get("/registrar(1)/registry").json();
    assert_eq!(registry["slaves"]["slaves"], json!([]));
    assert_eq!(registry["gone"]["slaves"][0]["id"]["value"], id);
}

#[test]
fn fwk_05_a_framework_is_known_again_from_what_agents_tell_until_it_subscribes() {
    let mut stage = Stage::of_one_agent();
    let mut info = plain("known again");
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[task("long", &offer, "sleep 600")]);
    while framework.update()["state"] != "TASK_RUNNING" {}
    stage.next_master();
    let shown = || stage.get("/frameworks").json()["frameworks"][0].clone();
    eventually("its agent has told of its task", || shown()["tasks"][0]["state"] == "TASK_RUNNING");
    assert_eq!((&shown()["recovered"], &shown()["connected"]), (&json!(true), &json!(false)));
    info["id"] = json!({ "value": framework.id });
    let mut again = stage.subscribes(&info).once_subscribed();
    eventually("it is back", || shown()["recovered"] == false && shown()["active"] == true);
    again.says("KILL", json!({ "kill": { "task_id": { "value": "long" } } }));
    while again.update()["state"] != "TASK_KILLED" {}
}

#[test]
fn lp_02_actors_are_named_with_where_they_are() {
    let stage = Stage::of_one_agent();
    stage.has_agents(1);
    let state = stage.get("/state").json();
    assert_eq!(state["pid"], format!("master@{}", stage.at));
    let pid = state["slaves"][0]["pid"].as_str().unwrap();
    let at = pid.strip_prefix("slave(1)@").unwrap_or_else(|| panic!("{pid}"));
    assert!(at.parse::<std::net::SocketAddr>().is_ok(), "{pid}");
}
