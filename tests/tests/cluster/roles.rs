//! What operators say of roles: it is there for whoever reads next, and for the next master.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::cluster::{Home, Outcome, Process, eventually};

use crate::deaths::{master_again, master_and_agent, state_of_agent};

fn listed(home: &Home, words: &[&str], of: &str) -> Value {
    let line: Vec<&str> = words.iter().copied().chain(["--json", of]).collect();
    let outcome = home.airside(&line);
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("it is JSON: {outcome:#?}"))
}

#[track_caller]
fn is_refused(outcome: &Outcome, words: &str) {
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(outcome.stderr.contains(words), "{outcome:#?}");
}

#[test]
fn quota_and_weights_are_still_there_when_the_master_was_killed_and_started_again() {
    let home = Home::new();
    let (mut master, at, _agent) = master_and_agent(&home);
    let of = format!("--master={at}");
    eventually("the agent is active", || state_of_agent(&home, &at) == "active");
    let set = ["quota", "set", "eng", "--guarantee=cpus:0.1", "--limit=cpus:2;gpus:0", &of];
    let said = home.airside(&set);
    let words = "Role eng is guaranteed cpus:0.1; its limit: cpus:2;gpus:0\n";
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), words), "{said:#?}");
    // Whoever reads next sees it.
    let quota = json!([{
        "role": "eng",
        "guarantees": { "cpus": 0.1 },
        "limits": { "cpus": 2.0, "gpus": 0.0 },
        "consumed": {},
        "offered": {},
    }]);
    assert_eq!(listed(&home, &["quota"], &of), quota);
    let said = home.airside(&["weights", "set", "eng/web", "2.5", &of]);
    assert_eq!(said.stdout, "Role eng/web weighs 2.5\n", "{said:#?}");
    let weights = json!([{ "role": "eng", "weight": 1.0 }, { "role": "eng/web", "weight": 2.5 }]);
    assert_eq!(listed(&home, &["weights"], &of), weights);
    master.signal(Signal::SIGKILL);
    master.ended();
    let _master = master_again(&home, &at);
    assert_eq!(listed(&home, &["quota"], &of), quota);
    assert_eq!(listed(&home, &["weights"], &of), weights);
    let roles = listed(&home, &["roles"], &of);
    assert_eq!(roles.as_array().map(Vec::len), Some(2), "{roles:#}");
    let said = home.airside(&["quota", "clear", "eng", &of]);
    assert_eq!(said.stdout, "Role eng has no quota\n", "{said:#?}");
    assert_eq!(listed(&home, &["quota"], &of), json!([]));
}

#[test]
fn what_cannot_be_said_of_roles_is_refused_in_words_and_changes_nothing() {
    let home = Home::new();
    let (_master, at, _agent) = master_and_agent(&home);
    let of = format!("--master={at}");
    eventually("the agent is active", || state_of_agent(&home, &at) == "active");
    let set = |words: &[&str]| {
        let line: Vec<&str> = words.iter().copied().chain([of.as_str()]).collect();
        home.airside(&line)
    };
    let limit = "--limit=cpus:1";
    is_refused(&set(&["quota", "set", "*", limit]), "role '*' cannot have a quota");
    is_refused(&set(&["quota", "set", "a/b", limit]), "set that of 'a', which holds for all");
    let above = ["quota", "set", "eng", "--guarantee=cpus:2", limit];
    is_refused(&set(&above), "is above its limit, cpus:1");
    let much = ["quota", "set", "eng", "--guarantee=cpus:1000000"];
    is_refused(&set(&much), "add agents, or force it");
    assert_eq!(listed(&home, &["roles"], &of), json!([]), "nobody is there, and nothing was said");
    let forced = set(&["quota", "set", "eng", "--guarantee=cpus:1000000", "--force"]);
    assert_eq!(forced.code, Some(0), "{forced:#?}");
}

/// Without the flag there would be nothing for it: all of the agent is reserved.
#[test]
fn a_command_runs_its_tasks_under_the_role_that_it_is_told() {
    let home = Home::new();
    let (_master, at) = home.master(&[]);
    let of = format!("--master={at}");
    let of_eng = "--default_role=eng";
    let work_dir = home.work_dir("a");
    let line = ["agent", "--port=0", &of, &work_dir, of_eng, "--resources=cpus:1;mem:256"];
    let _agent = Process::start("agent", &mut home.command(&line));
    eventually("the agent is active", || state_of_agent(&home, &at) == "active");
    let run = home.airside(&["run", "--role=eng", &of, "--", "echo", "hi"]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "hi\n"), "{run:#?}");
    let batch = home.airside(&["batch", "--role=eng", &of, "true"]);
    assert_eq!(batch.code, Some(0), "{batch:#?}");
    let frameworks = listed(&home, &["frameworks"], &of);
    let roles: Vec<&Value> =
        frameworks.as_array().expect("a list").iter().map(|one| &one["roles"]).collect();
    assert_eq!(roles, [&json!(["eng"]), &json!(["eng"])], "{frameworks:#}");
}
