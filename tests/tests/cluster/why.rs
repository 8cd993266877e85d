//! Whoever asks why something does not start is told the true cause first, at a real cluster; a freed resource meets the waiting
//! demand at once.

use serde_json::Value;
use tests::cluster::{Home, Process, eventually};

use crate::deaths::{master_and_agent, state_of_agent};

fn listed(home: &Home, list: &str, of: &str) -> Vec<Value> {
    let outcome = home.airside(&[list, "--json", of]);
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("it is JSON: {outcome:#?}"))
}

fn run(home: &Home, of: &str, name: &str, cpus: &str, command: &[&str]) -> Process {
    let line: Vec<&str> = ["run", "--cpus", cpus, "--name", name, of, "--"]
        .into_iter()
        .chain(command.iter().copied())
        .collect();
    Process::start(name, &mut home.command(&line))
}

#[test]
fn why_names_what_is_taken_and_it_is_offered_as_soon_as_it_is_free() {
    let home = Home::new();
    let (_master, at, _agent) = master_and_agent(&home);
    let of = format!("--master={at}");
    eventually("the agent is active", || state_of_agent(&home, &at) == "active");
    let cpus = listed(&home, "agents", &of)[0]["resources"]["cpus"].to_string();
    let _takes_all = run(&home, &of, "greedy", &cpus, &["sleep", "1000"]);
    let running = || listed(&home, "tasks", &of).iter().any(|task| task["state"] == "TASK_RUNNING");
    eventually("it runs", running);
    let mut waits = run(&home, &of, "waits", "0.5", &["true"]);
    let id = || {
        let all = listed(&home, "frameworks", &of);
        let waiting = all.iter().find(|framework| framework["tasks"] == 0)?;
        waiting["id"].as_str().map(str::to_owned)
    };
    eventually("the second framework is there", || id().is_some());
    let id = id().expect("it was there");
    let first_cause = || {
        let why = home.airside(&["why", &id, "--json", &of]);
        let roles: Value = serde_json::from_str(&why.stdout).expect("it is JSON");
        roles[0]["wants"][0]["causes"][0].clone()
    };
    eventually("the allocator has heard of it", || first_cause() != Value::Null);
    let cause = first_cause();
    assert_eq!(cause["kind"], "too_little", "{cause:#}");
    let words = home.airside(&["why", &id, &of]).stdout;
    assert!(words.contains("not enough cpus: 0.5 is wanted, free is 0 of"), "{words}");
    let unknown = home.airside(&["why", "nobody", &of]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("no framework or task begins with 'nobody'"), "{unknown:#?}");
    let task = listed(&home, "tasks", &of)[0]["id"].as_str().expect("an id").to_owned();
    assert!(home.airside(&["why", &task, &of]).stdout.contains("is TASK_RUNNING on agent"));
    assert_eq!(home.airside(&["kill", &task, &of]).code, Some(0));
    assert_eq!(waits.ended().code(), Some(0), "{:?}", waits.said);
}
