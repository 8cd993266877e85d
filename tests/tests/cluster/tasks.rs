//! The states that tasks go through, as anybody can list them.

use std::fs;

use serde_json::Value;
use tests::cluster::{Process, TestCluster};

/// The states of each task whose id begins with `run-`, as those of `airside run` do, or of each other task.
fn states(cluster: &TestCluster, of_run: bool) -> Vec<Vec<String>> {
    let listed = cluster.airside(&["tasks", "--json"]);
    let tasks: Value =
        serde_json::from_str(&listed.stdout).unwrap_or_else(|_| panic!("{listed:#?}"));
    let is = |task: &&Value| task["id"].as_str().unwrap().starts_with("run-") == of_run;
    let states_of = |task: &Value| {
        let statuses = task["statuses"].as_array().unwrap();
        statuses.iter().map(|status| status["state"].as_str().unwrap().to_owned()).collect()
    };
    tasks.as_array().unwrap().iter().filter(is).map(states_of).collect()
}

/// OP-01: LAUNCH of command tasks and of tasks of an executor of the framework's own.
#[test]
fn op_01_command_tasks_and_tasks_of_an_own_executor_start_run_and_finish() {
    let cluster = TestCluster::up(1);
    let expected = ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"];
    assert_eq!(cluster.airside(&["run", "--", "true"]).code, Some(0));
    let texts = cluster.home.path("texts");
    fs::create_dir(&texts).unwrap();
    fs::write(texts.join("one.txt"), "one two two").unwrap();
    let counts = cluster.home.path("counts");
    let mut command = cluster.home.command(&["wordcount-scheduler"]);
    command.arg("--input").arg(&texts).arg("--counts").arg(&counts);
    command.arg("--state-dir").arg(cluster.home.path("state"));
    let mut wordcount = Process::start("wordcount", &mut command);
    assert!(wordcount.ended().success(), "{:#?}", wordcount.said);
    let mut lines: Vec<String> =
        fs::read_to_string(&counts).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["one 1", "two 2"]);
    assert_eq!(states(&cluster, true), [expected], "the command task");
    assert_eq!(states(&cluster, false), [expected], "the task of wordcount's executor");
}
