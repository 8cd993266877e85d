//! What tasks print, kept to a bound: by real processes, in real files, over the death of the agent.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tests::cluster::eventually;

use crate::stage::{Framework, Stage, task};
use crate::started::{end_of, sandbox, subscribes};

const CHOSEN: &str = "--container_logger=org_apache_mesos_LogrotateContainerLogger";

/// `seq FIRST LAST`.
fn lines(first: u32, last: u32) -> String {
    (first..=last).map(|n| format!("{n}\n")).collect()
}

fn runs(framework: &mut Framework) {
    while framework.update()["state"] != "TASK_RUNNING" {}
}

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}

#[test]
fn cont_09_what_a_task_prints_rotates_at_ten_megabytes_over_its_agents_death_and_is_followed_to_the_end()
 {
    let mut stage = Stage::of_master().with_agent_of(&[CHOSEN]);
    let mut framework = subscribes(&stage);
    let offer = framework.offer();
    let line = "seq 1 1600000; until [ -e go ]; do sleep 0.05; done; seq 1600001 3000000";
    framework.launches(&offer, &[task("talks", &offer, line)]);
    runs(&mut framework);
    let folder = sandbox(&stage, &framework.id, "talks");
    let half = lines(1, 1_600_000);
    eventually("the first file is full", || {
        text(&folder, "stdout.1").len() + text(&folder, "stdout").len() == half.len()
    });
    stage.kills_agent();
    stage.agent_is_back();
    stage.has_agents(1);
    let mut follows = stage.home.command(&["logs", "--master", &stage.at, "-f", "talks"]);
    let mut follows = follows.stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = String::new();
    let mut begins = vec![0; half.len()];
    let reads = follows.stdout.as_mut().unwrap();
    reads.read_exact(&mut begins).unwrap();
    std::fs::write(folder.join("go"), "").unwrap();
    reads.read_to_string(&mut printed).unwrap();
    assert!(follows.wait().unwrap().success(), "it ends when the task does");
    let all = lines(1, 3_000_000);
    let printed = String::from_utf8(begins).unwrap() + &printed;
    assert!(printed == all, "{} bytes of {} were followed", printed.len(), all.len());
    assert_eq!(end_of(&mut framework)["state"], "TASK_FINISHED");
    let files = ["stdout.2", "stdout.1", "stdout"].map(|name| text(&folder, name));
    assert!(files.iter().all(|file| file.len() <= 10 << 20), "none is longer than 10 MB");
    assert!(files.concat() == all, "and not a byte is lost between them");
    assert!(!folder.join("stdout.3").exists());
}

#[test]
fn cont_09_a_container_says_in_its_environment_how_much_of_what_it_prints_is_kept() {
    let modules = json!({ "libraries": [{ "file": "/usr/lib/liblogrotate_container_logger.so", "modules": [{
        "name": "org_apache_mesos_LogrotateContainerLogger",
        "parameters": [{ "key": "logrotate_stdout_options", "value": "rotate 2" }],
    }] }] });
    let stage = Stage::of_master().with_agent_of(&[CHOSEN, &format!("--modules={modules}")]);
    let mut framework = subscribes(&stage);
    let with = |name: &str, size: &str, offer: &serde_json::Value| {
        let mut task = task(name, offer, "seq 1 20000");
        let variable = json!({ "name": "CONTAINER_LOGGER_MAX_STDOUT_SIZE", "value": size });
        task["command"]["environment"] = json!({ "variables": [variable] });
        task
    };
    let offer = framework.offer();
    framework.launches(&offer, &[with("small", "8KB", &offer)]);
    assert_eq!(end_of(&mut framework)["state"], "TASK_FINISHED");
    let folder = sandbox(&stage, &framework.id, "small");
    eventually("all is written", || text(&folder, "stdout.place").ends_with("ended\n"));
    let files = ["stdout.2", "stdout.1", "stdout"].map(|name| text(&folder, name));
    assert!(files.iter().all(|file| !file.is_empty() && file.len() <= 8 << 10));
    assert!(lines(1, 20_000).ends_with(&files.concat()));
    assert!(!folder.join("stdout.3").exists(), "as the agent was told");
    let offer = framework.offer();
    framework.launches(&offer, &[with("bad", "much", &offer)]);
    let end = end_of(&mut framework);
    assert_eq!(end["state"], "TASK_FAILED", "{end}");
    let words = end["message"].as_str().unwrap();
    assert!(words.contains("CONTAINER_LOGGER_MAX_STDOUT_SIZE: 'much' is no size"), "{words}");
}
