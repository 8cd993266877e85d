//! What cannot be: one line that says what was tried, why it failed and what to do, and an exit code that is not 0.

use std::net::TcpListener;

use tests::cluster::{Home, Process, TestCluster};

/// A task that the cluster refuses: `words` are the reason, and the cluster goes on.
#[track_caller]
fn refused(cluster: &TestCluster, arguments: &[&str], code: i32, words: &str) {
    let outcome = cluster.airside(arguments);
    assert_eq!(outcome.code, Some(code), "{outcome:#?}");
    assert!(outcome.stderr.contains(words), "expected '{words}' in {}", outcome.stderr);
    let ran = cluster.airside(&["run", "--", "echo", "still here"]);
    assert_eq!(ran.stdout, "still here\n", "{ran:#?}");
}

/// The one line that a command ends with which cannot do its work: what was tried, why it failed, what to do.
#[track_caller]
fn says_in_one_line(home: &Home, command: &[&str], code: i32, begins: &str, ends: &str) {
    let outcome = home.airside(command);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(code), ""), "{outcome:#?}");
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    let [line] = lines[..] else { panic!("not one line of {command:?}: {outcome:#?}") };
    assert!(line.starts_with(begins) && line.ends_with(ends), "{command:?}: {line}");
}

#[test]
fn a_port_that_is_taken() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let work_dir = format!("--work-dir={}", home.path("work").display());
    let words = format!(
        "airside: 127.0.0.1:{port} is taken; end what listens there, or choose another port with --port"
    );
    let port = format!("--port={port}");
    for command in [
        &["master", &port, &work_dir][..],
        &["agent", &port, &work_dir, "--master=127.0.0.1:1"],
        &["node", "echo", &port],
    ] {
        says_in_one_line(&home, command, 1, &words, &words);
    }
}

#[test]
fn flags_that_do_not_go_together_touch_nothing() {
    let home = Home::new();
    let work_dir = home.path("work");
    let flag = format!("--work-dir={}", work_dir.display());
    let outcome = home.airside(&["master", "--port=0", &flag, "--role_sorter=random"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome:#?}");
    let words = "error: --role_sorter and --framework_sorter must be the same";
    assert!(outcome.stderr.starts_with(words), "{outcome:#?}");
    assert!(!work_dir.exists());
}

#[test]
fn a_work_dir_that_cannot_be_written() {
    let home = Home::new();
    let input = format!("--input={}", env!("CARGO_MANIFEST_DIR"));
    let words = "airside: cannot write /dev/null/w; choose a folder that you may write to with --work-dir: ";
    for command in [
        &["up", "--port=0", "--work-dir=/dev/null/w"][..],
        &["master", "--port=0", "--work-dir=/dev/null/w"],
        &["agent", "--port=0", "--master=127.0.0.1:1", "--work-dir=/dev/null/w"],
        &["node", "echo", "--work-dir=/dev/null/w"],
        &["demo", &input, "--work-dir=/dev/null/w"],
    ] {
        says_in_one_line(&home, command, 1, words, "(os error 20)");
    }
}

#[test]
fn a_master_that_cannot_be_reached() {
    let home = Home::new();
    let begins = "airside: cannot reach the master at 127.0.0.1:1: ";
    let ends = "; start a cluster with `airside up`, or name the master with --master and its secret with --cluster-secret-file";
    let master = "--master=127.0.0.1:1";
    for command in [
        &["agents", master][..],
        &["frameworks", master],
        &["tasks", master],
        &["tasks", "--json", master],
        &["kill", master, "task"],
        &["logs", master, "task"],
        &["flow", master, "--task=task"],
        &["flow", master, "--trace=1234"],
        &["flow", master, "--payloads=message=Launch"],
        &["batch", master, "true"],
        &["periodic", master, "job=1hr true"],
    ] {
        says_in_one_line(&home, command, 1, begins, ends);
    }
    says_in_one_line(&home, &["run", master, "--", "true"], 125, begins, ends);
    let wordcount =
        ["wordcount-scheduler", master, "--input=.", "--state-dir=state", "--counts=counts"];
    let outcome = home.airside(&wordcount);
    // Its parent is told first that it has begun.
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), "ready\n"), "{outcome:#?}");
    assert!(outcome.stderr.starts_with(begins) && outcome.stderr.trim_end().ends_with(ends));
}

#[test]
fn a_secret_that_is_another_clusters() {
    let cluster = TestCluster::up(1);
    let path = cluster.home.path("wrong");
    std::fs::write(&path, "a secret of 16 letters").unwrap();
    let secret = format!("--cluster-secret-file={}", path.display());
    let begins = "airside: cannot reach the master at 127.0.0.1:";
    for (command, code) in [
        (&["tasks", &secret][..], 1),
        (&["batch", &secret, "true"], 1),
        (&["periodic", &secret, "job=1hr true"], 1),
        (&["run", &secret, "--", "true"], 125),
    ] {
        let outcome = cluster.airside(command);
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        let said = outcome.stderr.lines().find(|line| line.starts_with(begins));
        let said = said.unwrap_or_else(|| panic!("{command:?}: {outcome:#?}"));
        assert!(said.contains(" has another cluster secret; "), "{command:?}: {said}");
    }
}

#[test]
fn a_secret_that_is_none() {
    let home = Home::new();
    std::fs::write(home.path("short"), "short").unwrap();
    let file = |name: &str| format!("--cluster-secret-file={}", home.path(name).display());
    let path = home.path("short").display().to_string();
    let begins =
        format!("airside: {path} holds no secret; write one line of at least 16 characters");
    says_in_one_line(&home, &["tasks", &file("short")], 1, &begins, "");
    let zero = "--cluster-secret-file=/dev/zero";
    says_in_one_line(&home, &["tasks", zero], 1, "airside: /dev/zero is too long for a secret", "");
    std::fs::write(home.path("open"), "a secret of 16 letters").unwrap();
    let mut node = Process::start("node", &mut home.command(&["node", "echo", &file("open")]));
    node.says("others than its owner may use the secret in ");
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

#[test]
fn a_zookeeper_that_does_not_answer_is_named_and_waited_for() {
    let home = Home::new();
    let elect = "--elect=zk://127.0.0.1:1/batch";
    let mut command = home.command(&["batch", "--master=127.0.0.1:1", elect, "true"]);
    let mut batch = Process::start("batch", &mut command);
    let lost = batch.says("cannot reach the master at 127.0.0.1:1: ");
    assert!(lost.ends_with("; trying on"), "{lost}");
    batch.says("no answer from zk://127.0.0.1:1/batch within 5 s");
    batch.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(batch.ended().code(), Some(1));
}

#[test]
fn where_schedulers_cannot_be_elected() {
    let home = Home::new();
    let path = ["batch", "--elect=zk://127.0.0.1:1", "true"];
    let outcome = home.airside(&path);
    assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    assert!(
        outcome.stderr.contains("invalid value 'zk://127.0.0.1:1' for '--elect <URL>'"),
        "{outcome:#?}"
    );
    let both = ["batch", "--elect=zk://127.0.0.1:1/x", "--state-dir=s", "true"];
    let outcome = home.airside(&both);
    assert!(outcome.stderr.contains("cannot be used with"), "{outcome:#?}");
    let job = ["periodic", "backup=soon ./backup.sh"];
    let outcome = home.airside(&job);
    assert!(outcome.stderr.contains("'soon' is no time"), "{outcome:#?}");
}
