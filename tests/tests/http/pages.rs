//! Mesos's older endpoints show the cluster, with all their keys.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::cluster::eventually;
use tests::http;

use crate::stage::{Framework, Stage, task};

/// The keys of an object.
#[track_caller]
fn keys(of: &Value) -> BTreeSet<&str> {
    of.as_object()
        .unwrap_or_else(|| panic!("{of} is no object"))
        .keys()
        .map(String::as_str)
        .collect()
}

/// All these keys are there; others may be, if they are among `may`.
#[track_caller]
pub(crate) fn has_keys(of: &Value, must: &str, may: &str) {
    let (has, must): (_, BTreeSet<&str>) = (keys(of), must.split_whitespace().collect());
    let may: BTreeSet<&str> = may.split_whitespace().collect();
    let missing: Vec<_> = must.difference(&has).collect();
    assert!(missing.is_empty(), "{missing:?} are missing in {of}");
    let more: Vec<_> =
        has.iter().filter(|key| !must.contains(*key) && !may.contains(*key)).collect();
    assert!(more.is_empty(), "{more:?} are in {of}");
}

const SLAVE: &str = "id hostname port attributes pid registered_time resources used_resources \
    offered_resources reserved_resources unreserved_resources active deactivated version capabilities";
const FRAMEWORK_HEAD: &str = "id name used_resources offered_resources capabilities hostname \
    webui_url active connected recovered";
const FRAMEWORK: &str = "user failover_timeout checkpoint registered_time unregistered_time offer_constraints \
    resources tasks unreachable_tasks completed_tasks offers executors";
const TASK: &str = "id name framework_id executor_id slave_id state resources role statuses";
const COUNTS: &str = "TASK_STAGING TASK_STARTING TASK_RUNNING TASK_KILLING TASK_FINISHED TASK_KILLED \
    TASK_FAILED TASK_LOST TASK_ERROR TASK_UNREACHABLE";

/// A framework with one task that runs and one that has ended.
fn busy(stage: &Stage) -> Framework {
    let info = json!({
        "user": "root", "name": "shown", "failover_timeout": 60.0, "hostname": "here",
        "webui_url": "http://here/", "principal": "somebody", "checkpoint": true,
        "labels": { "labels": [{ "key": "a", "value": "b" }] },
    });
    let mut framework = stage.subscribes(&info).once_subscribed();
    let offer = framework.offer();
    let mut long = task("long", &offer, "sleep 600");
    long["labels"] = json!({ "labels": [{ "key": "k", "value": "v" }] });
    framework.launches(&offer, &[long, task("short", &offer, "true")]);
    let mut seen = BTreeSet::new();
    while !seen.contains("long TASK_RUNNING") || !seen.contains("short TASK_FINISHED") {
        let status = framework.update();
        seen.insert(format!(
            "{} {}",
            status["task_id"]["value"].as_str().unwrap(),
            status["state"].as_str().unwrap()
        ));
    }
    // Its acknowledgement is on its way.
    eventually("the end is acknowledged", || {
        stage.get("/frameworks").json()["frameworks"][0]["completed_tasks"][0].is_object()
    });
    framework
}

#[test]
fn leg_01_state_has_all_its_keys() {
    let stage = Stage::of_one_agent();
    let framework = busy(&stage);
    let state = stage.get("/master/state").json();
    has_keys(
        &state,
        "version build_date build_time build_user start_time elected_time id pid hostname capabilities \
         activated_slaves deactivated_slaves unreachable_slaves leader leader_info flags slaves \
         recovered_slaves frameworks completed_frameworks orphan_tasks unregistered_frameworks",
        "git_sha git_branch git_tag domain cluster log_dir external_log_file protocol",
    );
    has_keys(&state["leader_info"], "id pid port hostname", "domain");
    assert_eq!(state["pid"], format!("master@{}", stage.at));
    assert_eq!((&state["leader"], &state["activated_slaves"]), (&state["pid"], &json!(1.0)));
    let slave = &state["slaves"][0];
    has_keys(slave, SLAVE, "domain reregistered_time");
    assert_eq!(slave["resources"]["cpus"], 2.0);
    assert_eq!(slave["resources"]["ports"], "[31000-31009]");
    assert!(slave["pid"].as_str().unwrap().starts_with("slave(1)@"), "{slave}");
    let shown = &state["frameworks"][0];
    has_keys(
        shown,
        &format!("{FRAMEWORK_HEAD} {FRAMEWORK} role labels principal"),
        "reregistered_time",
    );
    assert_eq!(shown["id"], framework.id.as_str());
    assert_eq!((&shown["role"], &shown["principal"]), (&json!("*"), &json!("somebody")));
    assert_eq!(shown["used_resources"]["cpus"], 0.1);
    let running = &shown["tasks"][0];
    has_keys(running, TASK, "user labels discovery container health_check limits");
    assert_eq!((&running["id"], &running["state"]), (&json!("long"), &json!("TASK_RUNNING")));
    assert_eq!((&running["executor_id"], &running["role"]), (&json!(""), &json!("*")));
    assert_eq!(running["labels"], json!([{ "key": "k", "value": "v" }]));
    assert_eq!(running["slave_id"], slave["id"]);
    has_keys(&running["statuses"][0], "state timestamp", "labels container_status healthy");
    assert_eq!(shown["completed_tasks"][0]["state"], "TASK_FINISHED");
    framework.says("TEARDOWN", json!({}));
    eventually("it is among those that were", || {
        let state = stage.get("/state").json();
        state["frameworks"] == json!([])
            && state["completed_frameworks"][0]["id"] == framework.id.as_str()
    });
}

#[test]
fn leg_02_the_summary_counts_tasks_of_agents_and_frameworks() {
    let stage = Stage::of_one_agent();
    let framework = busy(&stage);
    let summary = stage.get("/state-summary").json();
    has_keys(&summary, "hostname slaves frameworks", "cluster");
    let (slave, shown) = (&summary["slaves"][0], &summary["frameworks"][0]);
    has_keys(slave, &format!("{SLAVE} {COUNTS} framework_ids"), "domain reregistered_time");
    has_keys(shown, &format!("{FRAMEWORK_HEAD} {COUNTS} slave_ids"), "pid");
    for counted in [slave, shown] {
        assert_eq!((&counted["TASK_RUNNING"], &counted["TASK_FINISHED"]), (&json!(1), &json!(1)));
        assert_eq!(counted["TASK_FAILED"], 0);
    }
    assert_eq!(slave["framework_ids"], json!([framework.id]));
    assert_eq!(shown["slave_ids"], json!([slave["id"]]));
}

#[test]
fn leg_03_frameworks_slaves_and_tasks_can_be_picked_and_paged() {
    let stage = Stage::of_one_agent();
    let framework = busy(&stage);
    let tasks = |query: &str| -> Vec<String> {
        let all = stage.get(&format!("/tasks{query}")).json();
        let id = |task: &Value| task["id"].as_str().unwrap().to_owned();
        all["tasks"].as_array().unwrap().iter().map(id).collect()
    };
    let mut newest = tasks("");
    assert_eq!(newest.len(), 2, "ended ones too: {newest:?}");
    let oldest = tasks("?order=asc");
    newest.reverse();
    assert_eq!(newest, oldest);
    assert_eq!(tasks("?order=asc&limit=1"), oldest[..1]);
    assert_eq!(tasks("?order=asc&offset=1&limit=5"), oldest[1..]);
    assert_eq!(tasks("?task_id=long"), ["long"]);
    assert_eq!(tasks("?framework_id=nobody"), [""; 0]);
    assert_eq!(stage.get("/tasks?limit=many").status, 400);
    let slaves = stage.get("/slaves").json();
    let id = slaves["slaves"][0]["id"].as_str().unwrap().to_owned();
    let full = "reserved_resources_full unreserved_resources_full used_resources_full offered_resources_full";
    has_keys(&slaves["slaves"][0], &format!("{SLAVE} {full}"), "domain reregistered_time");
    assert_eq!(slaves["slaves"][0]["unreserved_resources_full"][0]["role"], "*");
    assert_eq!(stage.get(&format!("/slaves?slave_id={id}")).json()["slaves"][0]["id"], id.as_str());
    assert_eq!(stage.get("/slaves?slave_id=nobody").json()["slaves"], json!([]));
    for (id, count) in [(framework.id.as_str(), 1), ("nobody", 0)] {
        let all = stage.get(&format!("/frameworks?framework_id={id}")).json();
        has_keys(&all, "frameworks completed_frameworks unregistered_frameworks", "");
        assert_eq!(all["frameworks"].as_array().unwrap().len(), count);
    }
}

#[test]
fn role_04_roles_are_shown_with_those_above_them_with_weights_and_quota() {
    let stage = Stage::of_one_agent();
    let info = json!({
        "user": "root", "name": "nested", "roles": ["eng/web"],
        "capabilities": [{ "type": "MULTI_ROLE" }],
    });
    let framework = stage.subscribes(&info).once_subscribed();
    stage.operator(&json!({ "type": "UPDATE_WEIGHTS", "update_weights": { "weight_infos": [{ "role": "eng", "weight": 2.5 }] } }));
    stage.operator(&json!({ "type": "UPDATE_QUOTA", "update_quota": { "quota_configs": [{ "role": "eng", "guarantees": { "cpus": { "value": 1.0 } } }] } }));
    let roles = stage.get("/roles").json();
    let named = |name: &str| {
        let all = roles["roles"].as_array().unwrap();
        all.iter().find(|role| role["name"] == name).unwrap_or_else(|| panic!("{name}: {roles}"))
    };
    has_keys(named("eng"), "name weight quota resources allocated offered reserved frameworks", "");
    has_keys(&named("eng")["quota"], "role guarantee limit consumed", "");
    assert_eq!(named("eng")["weight"], 2.5);
    assert_eq!(named("eng")["quota"]["guarantee"]["cpus"], 1.0);
    assert_eq!(named("eng/web")["frameworks"], json!([framework.id]));
    let shown = stage.operator(&json!({ "type": "GET_ROLES" })).json();
    let names: BTreeSet<&str> = shown["get_roles"]["roles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    assert!(names.contains("eng") && names.contains("eng/web"), "{names:?}");
}

#[test]
fn lp_37_and_lp_14_pages_come_as_a_call_and_as_a_gzip_for_those_who_ask() {
    let stage = Stage::of_one_agent();
    let called = stage.get("/state?jsonp=show").text();
    assert!(called.starts_with("show({") && called.ends_with("});"), "{called}");
    let plain = http::ask(&stage.at, "GET /state", &[], b"");
    assert_eq!((plain.header("content-encoding"), plain.body[0]), (None, b'{'));
    for accepted in ["Accept-Encoding: gzip", "Accept-Encoding: snappy,gzip,deflate"] {
        let zipped = http::ask(&stage.at, "GET /master/state", &[accepted], b"");
        assert_eq!(zipped.header("content-encoding"), Some("gzip"), "{accepted}");
        assert_eq!(zipped.body[..2], [0x1f, 0x8b]);
    }
    assert_eq!(stage.get("/state.json").status, 404);
}
