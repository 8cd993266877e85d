//! Whoever asks why nothing starts is told the true cause first, at a real cluster.

use serde_json::Value;
use tests::cluster::{Home, Process, eventually};

use crate::deaths::{master_and_agent, state_of_agent};

fn frameworks(home: &Home, of: &str) -> Vec<Value> {
    let outcome = home.airside(&["frameworks", "--json", of]);
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|_| panic!("it is JSON: {outcome:#?}"))
}

#[test]
fn why_names_first_what_is_too_large_for_any_agent() {
    let home = Home::new();
    let (_master, at, _agent) = master_and_agent(&home);
    let of = format!("--master={at}");
    eventually("the agent is active", || state_of_agent(&home, &at) == "active");
    let line = ["run", "--cpus", "4000", "--name", "large", &of, "--", "true"];
    let _waits = Process::start("run", &mut home.command(&line));
    eventually("the framework is there", || !frameworks(&home, &of).is_empty());
    let id = frameworks(&home, &of)[0]["id"].as_str().expect("an id").to_owned();
    let why = home.airside(&["why", &id, "--json", &of]);
    let roles: Value = serde_json::from_str(&why.stdout).expect("it is JSON");
    let cause = &roles[0]["wants"][0]["causes"][0];
    assert_eq!(cause["kind"], "too_small", "{roles:#}");
    let words = home.airside(&["why", &id, &of]);
    assert!(
        words.stdout.contains("too large for the agent even if it were empty: 4000 cpus"),
        "{words:#?}"
    );
    let unknown = home.airside(&["why", "nobody", &of]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("no framework or task begins with 'nobody'"), "{unknown:#?}");
}
