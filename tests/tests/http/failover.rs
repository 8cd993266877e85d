//! Several masters, elected in a real ZooKeeper: who follows says who leads, and frameworks go on at the next leader.

use std::collections::BTreeSet;

use ensemble::Ensemble;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::cluster::{Home, Process, eventually};
use tests::http::{self, Client};

use crate::stage::{Framework, SCHEDULER, stands, task};

/// Waits until a master says that this one leads.
#[track_caller]
fn says_that_leads(at: &str, leader: &str) {
    eventually("it says who leads", || {
        let answer = http::ask(at, "GET /master/redirect", &[], b"");
        answer.header("location") == Some(format!("//{leader}").as_str())
    });
}

/// Waits until a leader has read its registry.
#[track_caller]
fn takes_calls(at: &str) {
    eventually("it takes calls", || {
        let answer = http::call(at, SCHEDULER, &[], &json!({}));
        assert!([400, 503].contains(&answer.status), "{answer:?}");
        answer.status == 400
    });
}

#[test]
fn a_framework_goes_on_at_the_next_leader_and_its_task_runs_on() {
    let (home, ensemble) = (Home::new(), Ensemble::start(1).unwrap());
    let url = ensemble.url("/mesos");
    let (mut first, first_at) = stands(&home, "m1", &url);
    first.says(" leads ");
    let (_second, second_at) = stands(&home, "m2", &url);
    says_that_leads(&second_at, &first_at);
    let answer = http::ask(&second_at, "POST /api/v1/scheduler?x=%20", &[], b"");
    let location = format!("//{first_at}/master/api/v1/scheduler?x=%20");
    assert_eq!((answer.status, answer.header("location")), (307, Some(location.as_str())));
    assert!(answer.body.is_empty() && answer.header("content-type").is_none(), "{answer:?}");

    let work_dir = home.work_dir("a");
    let line = ["agent", "--port=0", "--master", &url, &work_dir, "--resources=cpus:2;mem:512"];
    let _agent = Process::start("agent", &mut home.command(&line));
    let mut info = json!({ "user": "root", "name": "goes on", "failover_timeout": 600.0 });
    let mut framework = Framework::subscribe(&first_at, &info).once_subscribed();
    let offer = framework.offer();
    framework.launches(&offer, &[task("long", &offer, "sleep 600")]);
    while framework.update()["state"] != "TASK_RUNNING" {}

    first.signal(Signal::SIGKILL);
    assert_eq!(framework.events.record().ok().flatten(), None, "its stream ends with the leader");
    says_that_leads(&second_at, &second_at);
    takes_calls(&second_at);
    info["id"] = json!({ "value": framework.id });
    let mut again = Framework::subscribe(&second_at, &info).once_subscribed();
    assert_eq!(again.id, framework.id);
    eventually("the agent is back", || {
        let listed = home.airside(&["agents", "--json", &format!("--master={second_at}")]);
        let agents: Value = serde_json::from_str(&listed.stdout).unwrap_or_default();
        agents[0]["state"] == "active"
    });
    again.says("RECONCILE", json!({ "reconcile": {} }));
    // An acknowledgement may have died with the first leader: then it is told once more that the task runs.
    let status = loop {
        let status = again.update();
        assert_eq!(status["state"], "TASK_RUNNING", "{status}");
        if status["reason"] == "REASON_RECONCILIATION" {
            break status;
        }
    };
    assert_eq!(status.get("uuid"), None, "{status}");
    again.says("KILL", json!({ "kill": { "task_id": { "value": "long" } } }));
    while again.update()["state"] != "TASK_KILLED" {}
}

#[test]
fn ha_04_who_follows_sends_clients_to_the_leader_and_says_so_when_nobody_leads() {
    let (home, mut ensemble) = (Home::new(), Ensemble::start(1).unwrap());
    let url = ensemble.url("/mesos");
    let (mut first, first_at) = stands(&home, "m1", &url);
    first.says(" leads ");
    let (_second, second_at) = stands(&home, "m2", &url);
    says_that_leads(&second_at, &first_at);
    for (path, there) in [
        ("/redirect", ""),
        ("/master/redirect", ""),
        ("/api/v1/scheduler?x=1", "/master/api/v1/scheduler?x=1"),
        ("/master/api/v1/scheduler", "/master/api/v1/scheduler"),
    ] {
        let answer = http::ask(&second_at, &format!("HEAD {path}"), &[], b"");
        let location = format!("//{first_at}{there}");
        assert_eq!((answer.status, answer.header("location")), (307, Some(&*location)), "{path}");
    }
    ensemble.kill(1);
    for at in [&first_at, &second_at] {
        let line = format!("POST {SCHEDULER}");
        let mut said = None;
        eventually("nobody leads", || {
            let answer = http::ask(at, &line, &[], b"");
            said = Some((answer.status, answer.text()));
            answer.status == 503
        });
        assert_eq!(said, Some((503, "No leader elected".to_owned())));
    }
}

/// Some clients give up when a call is answered by anything but 202. A master of Mesos ends, and answers nothing more.
#[test]
fn a_master_that_is_ended_answers_calls_as_ever_or_not_at_all() {
    let (home, ensemble) = (Home::new(), Ensemble::start(1).unwrap());
    let (mut master, at) = stands(&home, "m1", &ensemble.url("/mesos"));
    master.says(" leads ");
    takes_calls(&at);
    let info = json!({ "user": "root", "name": "calls", "failover_timeout": 600.0 });
    let framework = Framework::subscribe(&at, &info).once_subscribed();
    let body = json!({ "type": "REVIVE", "framework_id": { "value": framework.id } }).to_string();
    let stream = format!("Mesos-Stream-Id: {}", framework.stream_id);
    let calls = |client: &mut Client| {
        client.request(
            &format!("POST {SCHEDULER}"),
            &["Content-Type: application/json", &stream],
            body.as_bytes(),
        )?;
        client.answer()
    };
    let mut statuses = BTreeSet::new();
    let mut signalled = false;
    // Until nothing listens there any more; each connection is used until it ends.
    while let Ok(mut client) = Client::connect(&at) {
        while let Ok(answer) = calls(&mut client) {
            statuses.insert((answer.status, answer.text()));
            if !std::mem::replace(&mut signalled, true) {
                master.signal(Signal::SIGTERM);
            }
        }
    }
    assert_eq!(statuses, BTreeSet::from([(202, String::new())]));
    assert!(master.ended().success());
}
