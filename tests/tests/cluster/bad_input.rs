//! What cannot be: one line that says what was tried, why it failed and what to do, and an exit code that is not 0.

use std::net::TcpListener;

use tests::cluster::{Home, TestCluster};

/// A task that the cluster refuses: `words` are the reason, and the cluster goes on.
#[track_caller]
fn refused(cluster: &TestCluster, arguments: &[&str], code: i32, words: &str) {
    let outcome = cluster.airside(arguments);
    assert_eq!(outcome.code, Some(code), "{outcome:#?}");
    assert!(outcome.stderr.contains(words), "expected '{words}' in {}", outcome.stderr);
    let ran = cluster.airside(&["run", "--", "echo", "still here"]);
    assert_eq!(ran.stdout, "still here\n", "{ran:#?}");
}

#[test]
fn a_port_that_is_taken() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let work_dir = format!("--work-dir={}", home.path("master").display());
    let master = home.airside(&["master", &work_dir, &format!("--port={port}")]);
    let words = format!(
        "airside: 127.0.0.1:{port} is taken; end what listens there, or choose another port with --port\n"
    );
    assert_eq!((master.code, master.stderr.lines().last()), (Some(1), Some(words.trim_end())));
}

#[test]
fn a_work_dir_that_cannot_be_written() {
    let home = Home::new();
    for command in [
        &["up", "--port=0", "--work-dir=/dev/null/w"][..],
        &["master", "--port=0", "--work-dir=/dev/null/w"],
        &["agent", "--port=0", "--master=127.0.0.1:1", "--work-dir=/dev/null/w"],
    ] {
        let outcome = home.airside(command);
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        let last = outcome.stderr.lines().last().unwrap_or_default();
        let words = "airside: cannot write /dev/null/w; choose a folder that you may write to with --work-dir: ";
        assert!(last.starts_with(words), "{command:?}: {last}");
    }
}

#[test]
fn a_master_that_cannot_be_reached() {
    let home = Home::new();
    for command in
        [&["tasks", "--master=127.0.0.1:1"][..], &["run", "--master=127.0.0.1:1", "--", "true"]]
    {
        let outcome = home.airside(command);
        assert_eq!(outcome.code, Some(if command[0] == "run" { 125 } else { 1 }), "{outcome:#?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:#?}");
        let (begin, end) = (
            "airside: cannot reach the master at 127.0.0.1:1: ",
            "; start a cluster with `airside up`, or name the master with --master and its secret with --cluster-secret-file\n",
        );
        assert!(outcome.stderr.starts_with(begin) && outcome.stderr.ends_with(end), "{outcome:#?}");
    }
}

#[test]
fn amounts_that_cannot_be() {
    let home = Home::new();
    for (flag, amount, words) in [
        ("--cpus", "0", "'0' must be more than zero"),
        ("--cpus", "-1", "'-1' must be more than zero"),
        ("--mem", "-64MB", "'-64MB' must be more than zero"),
        ("--mem", "much", "'much' is no size: expected a number with MB, GB or TB"),
    ] {
        let outcome = home.airside(&["run", flag, amount, "--", "true"]);
        assert_eq!(outcome.code, Some(2), "{outcome:#?}");
        assert!(outcome.stderr.contains(words), "{outcome:#?}");
    }
}

#[test]
fn more_than_any_agent_has() {
    let cluster = TestCluster::up(1);
    refused(
        &cluster,
        &["run", "--cpus", "1000", "--", "true"],
        125,
        "airside: no agent has cpus:1000;mem:32: the most that one has is cpus:",
    );
}

#[test]
fn a_command_that_is_empty_missing_or_nobodys() {
    let cluster = TestCluster::up(1);
    let words =
        "airside: the command is empty; give one after `--`, such as `airside run -- echo hi`";
    refused(&cluster, &["run", "--", ""], 125, words);
    let words = "'/no/such/program' was not found on the agent; check the path";
    refused(&cluster, &["run", "--", "/no/such/program"], 125, words);
    let words = "user 'nobody-here' is unknown on the agent";
    refused(&cluster, &["run", "--user", "nobody-here", "--", "true"], 125, words);
}

#[test]
fn a_filter_that_is_none() {
    let home = Home::new();
    let outcome = home.airside(&["tasks", "--log", "a=b=c"]);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    assert!(
        outcome.stderr.starts_with(
            "airside: 'a=b=c' is no filter for --log; try info, debug or warn,master=debug"
        ),
        "{outcome:#?}"
    );
}
