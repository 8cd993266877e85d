//! How agents end, and what that means for what they run; and what they hear of the frameworks for which they run it.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::cluster::eventually;
use tests::http;

use crate::executors::task_of;
use crate::stage::{Framework, Stage, task};
use crate::started::sandbox;

const RUNS: &str = "echo $$ > pid; exec sleep 1000";

/// The number of the process that wrote it down in its sandbox.
#[track_caller]
fn process(stage: &Stage, framework: &Framework, executor: &str) -> u32 {
    let mut number = None;
    eventually("the process has said its number", || {
        let file = sandbox(stage, &framework.id, executor).join("pid");
        number = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
        number.is_some()
    });
    number.unwrap()
}

fn lives(process: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat"));
    state.is_ok_and(|stat| !stat.contains(") Z "))
}

#[track_caller]
fn subscribes(stage: &Stage, name: &str, checkpoint: bool) -> Framework {
    let info = json!({
        "user": "root", "name": name, "failover_timeout": 600.0, "checkpoint": checkpoint,
    });
    stage.subscribes(&info).once_subscribed()
}

/// Waits for this news of a task.
#[track_caller]
fn hears(framework: &mut Framework, task: &str, state: &str) -> Value {
    loop {
        let status = framework.update();
        if status["task_id"]["value"] == task && status["state"] == state {
            return status;
        }
    }
}

#[test]
fn exec_09_without_an_agent_executors_end_at_once_or_when_their_patience_is_over() {
    let mut stage = Stage::of_master().with_agent_of(&["--recovery_timeout=4secs"]);
    let mut lasting = subscribes(&stage, "lasting", true);
    let offer = lasting.offer();
    lasting.launches(&offer, &[task("lasting", &offer, RUNS)]);
    hears(&mut lasting, "lasting", "TASK_RUNNING");
    let mut passing = subscribes(&stage, "passing", false);
    let offer = passing.offer();
    let own = task_of("own", &offer, "own", RUNS);
    passing.launches(&offer, &[task("passing", &offer, RUNS), own]);
    hears(&mut passing, "passing", "TASK_RUNNING");
    let patient = process(&stage, &lasting, "lasting");
    let others = [process(&stage, &passing, "passing"), process(&stage, &passing, "own")];
    stage.kills_agent();
    eventually("they end with their agent", || !others.into_iter().any(lives));
    assert!(lives(patient), "it waits for the agent's next life");
    let mut lost: Vec<Value> = Vec::new();
    while lost.len() < 2 {
        let status = passing.update();
        if status["state"] == "TASK_LOST" {
            lost.push(status["task_id"]["value"].clone());
        }
    }
    lost.sort_by_key(Value::to_string);
    assert_eq!(lost, ["own", "passing"]);
    eventually("no next life comes in time", || !lives(patient));
    stage.agent_is_back();
    let end = lasting.update();
    assert_eq!(end["state"], "TASK_KILLED", "{end}");
    lasting.says("TEARDOWN", json!({}));
    let offer = passing.offer();
    passing.launches(&offer, &[task("next", &offer, "true")]);
    for state in ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"] {
        let status = passing.update();
        assert_eq!(
            (&status["task_id"]["value"], &status["state"]),
            (&json!("next"), &json!(state))
        );
    }
}

#[test]
fn agent_22_sigterm_ends_the_process_alone_and_sigusr1_what_it_runs_and_its_membership() {
    let mut stage = Stage::of_one_agent();
    let mut framework = subscribes(&stage, "told", true);
    let offer = framework.offer();
    framework.launches(&offer, &[task("t", &offer, RUNS)]);
    hears(&mut framework, "t", "TASK_RUNNING");
    let process = process(&stage, &framework, "t");
    let members = |stage: &Stage| stage.get("/slaves").json()["slaves"].clone();
    let before = members(&stage)[0]["id"].clone();
    stage.signals_agent(Signal::SIGTERM);
    stage.agent_ended();
    assert!(lives(process), "it is as if the agent's process had died");
    assert_eq!(members(&stage)[0]["id"], before);
    stage.agent_is_back();
    eventually("its next life is the same agent", || {
        let agents = members(&stage);
        // The master may not have noticed yet that its former life is over.
        let numbers = http::ask(stage.agent_at(), "GET /metrics/snapshot", &[], b"").json();
        agents[0]["id"] == before
            && agents[0]["active"] == true
            && numbers["slave/registered"] == 1.0
    });
    assert!(lives(process));
    stage.signals_agent(Signal::SIGUSR1);
    assert!(stage.agent_ended(), "it ends well");
    assert!(!lives(process));
    let end = hears(&mut framework, "t", "TASK_FAILED");
    assert_eq!(end["reason"], "REASON_AGENT_REMOVED", "{end}");
    eventually("it is no member", || members(&stage) == json!([]));
    stage.agent_is_back();
    eventually("its next life is another agent", || {
        let agents = members(&stage);
        agents[0]["id"].is_string() && agents[0]["id"] != before
    });
}

#[test]
fn agent_23_what_a_framework_says_anew_its_agents_know_and_so_do_their_next_lives() {
    let mut stage = Stage::of_one_agent();
    let mut framework = subscribes(&stage, "before", true);
    let offer = framework.offer();
    framework.launches(&offer, &[task("t", &offer, RUNS)]);
    hears(&mut framework, "t", "TASK_RUNNING");
    let shown = |stage: &Stage| {
        let state = http::ask(stage.agent_at(), "GET /state", &[], b"");
        let framework = (state.status == 200).then(|| state.json()["frameworks"][0].clone());
        framework.unwrap_or_default()
    };
    assert_eq!(shown(&stage)["name"], "before");
    let again = |name: &str, timeout: f64| {
        json!({
            "id": { "value": framework.id }, "user": "root", "name": name, "hostname": "elsewhere",
            "failover_timeout": timeout, "checkpoint": true,
        })
    };
    let is_shown = |stage: &Stage, name: &str, timeout: f64| {
        eventually("the agent knows", || {
            let shown = shown(stage);
            shown["name"] == name
                && shown["hostname"] == "elsewhere"
                && shown["failover_timeout"] == timeout
        });
    };
    let next = stage.subscribes(&again("after a fail-over", 700.0)).once_subscribed();
    is_shown(&stage, "after a fail-over", 700.0);
    // Nobody is there to hear it now: it is told when the agent is back.
    stage.kills_agent();
    let update = json!({ "framework_info": again("after an update", 800.0) });
    assert_eq!(next.calls("UPDATE_FRAMEWORK", json!({ "update_framework": update })).status, 200);
    stage.agent_is_back();
    is_shown(&stage, "after an update", 800.0);
    // And this it knows of the former life alone.
    stage.kills_agent();
    stage.kills_master();
    stage.agent_is_back();
    is_shown(&stage, "after an update", 800.0);
}
