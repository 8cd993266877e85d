//! A person's first hour: a cluster comes up, runs a command, shows what it did, and goes without a trace.

use nix::sys::signal::Signal;
use tests::cluster::{Home, Process, TestCluster, eventually, page, signal_process};

/// Each line of the narration is a step with its milliseconds; what the task itself writes to stderr stands between.
#[track_caller]
fn narrates(told: &str, steps: &[&str]) {
    let mut lines = told.lines();
    for step in steps {
        let line = lines.by_ref().find(|line| line.contains(step));
        let line = line.unwrap_or_else(|| panic!("'{step}' is missing in {told}"));
        let ms = line.trim_start().split_once(" ms  ").map(|(ms, _)| ms.parse::<u64>());
        assert!(matches!(ms, Some(Ok(_))), "how long it took is missing in '{line}'");
    }
}

/// The second of the shows, as it is promised.
#[test]
fn up_run_tasks_and_ctrl_c() {
    let mut cluster = TestCluster::up(3);
    let agents = cluster.airside(&["agents", "--json"]);
    let agents: serde_json::Value = serde_json::from_str(&agents.stdout).expect("it is JSON");
    assert_eq!(agents.as_array().map(Vec::len), Some(3), "{agents:#}");
    let line = "echo hi; echo oh >&2; exit 3";
    let arguments = ["run", "--cpus", "0.5", "--mem", "64MB", "--", "sh", "-c", line];
    let ran = cluster.airside(&arguments);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), "hi\n"), "{ran:#?}");
    assert!(ran.stderr.lines().any(|line| line == "oh"), "{}", ran.stderr);
    let steps = [
        "subscribed as framework ",
        "offered cpus:",
        "accepted; launching task run-",
        "starting",
        "running as process ",
        "exited with status 3",
        "in all; flow ",
    ];
    narrates(&ran.stderr, &steps);
    assert!(ran.stderr.contains("; its messages: airside flow --task run-"), "{}", ran.stderr);

    let tasks = cluster.airside(&["tasks", "--json"]);
    let tasks: serde_json::Value = serde_json::from_str(&tasks.stdout).expect("it is JSON");
    assert_eq!(tasks.as_array().map(Vec::len), Some(1), "{tasks:#}");
    assert_eq!(tasks[0]["state"], "TASK_FAILED", "{tasks:#}");
    let states = tasks[0]["statuses"].as_array().expect("a list");
    let last = states.last().expect("it had states");
    assert_eq!(last["exit_code"], 3, "{tasks:#}");

    let children = cluster.home.processes().len();
    assert!(children >= 5, "up, a master and three agents: {:#?}", cluster.home.processes());
    cluster.up.signal(Signal::SIGINT);
    assert!(cluster.up.ended().success(), "{:#?}", cluster.up.said);
    cluster.home.is_quiet();
}

#[test]
fn a_second_ctrl_c_ends_a_task_that_does_not_mind_the_first() {
    let cluster = TestCluster::up(1);
    let line = "trap '' TERM INT; echo ready; while :; do sleep 1000; done";
    let mut run =
        Process::start("run", &mut cluster.home.command(&["run", "--", "sh", "-c", line]));
    run.says("ready");
    run.signal(Signal::SIGINT);
    run.says("interrupted; ending the task (Ctrl-C again ends it at once)");
    run.says("being ended");
    run.signal(Signal::SIGINT);
    run.says("interrupted again; ending the task at once");
    assert_eq!(run.ended().code(), Some(137), "{:#?}", run.said);
    run.says("ended by signal 9");
    let tasks = cluster.airside(&["tasks", "--json"]);
    let tasks: serde_json::Value = serde_json::from_str(&tasks.stdout).expect("it is JSON");
    assert_eq!(tasks[0]["state"], "TASK_KILLED", "{tasks:#}");
}

/// Interrupts a command that starts a cluster before the cluster can be up: its master is held.
fn interrupt_while_it_starts(command: &[&str]) -> (Home, Process) {
    let home = Home::new();
    let mut starts = Process::start(command[0], &mut home.command(command));
    eventually("a master is started", || !home.processes_of("master").is_empty());
    let master = home.processes_of("master")[0];
    signal_process(master, Signal::SIGSTOP);
    starts.signal(Signal::SIGINT);
    signal_process(master, Signal::SIGCONT);
    starts.ended();
    home.is_quiet();
    (home, starts)
}

#[test]
fn who_is_interrupted_while_a_cluster_starts_leaves_nothing() {
    let (home, mut up) = interrupt_while_it_starts(&["up", "--port=0", "--agents=2"]);
    assert!(up.ended().success(), "{:#?}", up.said);
    assert!(!home.path("cache/airside/cluster.json").exists());
    assert!(home.path("cache/airside/up/secret").exists(), "its folder is there, and stays");
    let input = format!("--input={}", env!("CARGO_MANIFEST_DIR"));
    let (home, mut demo) = interrupt_while_it_starts(&["demo", "--agents=2", &input]);
    assert_eq!(demo.ended().code(), Some(1), "{:#?}", demo.said);
    assert_eq!(demo.said, ["airside: interrupted"]);
    let left: Vec<_> = std::fs::read_dir(home.path("")).unwrap().flatten().collect();
    assert!(
        left.iter().all(|entry| !entry.file_name().to_string_lossy().contains("demo")),
        "{left:?}"
    );
}

#[test]
fn a_signal_that_ends_the_task_is_in_the_exit_code() {
    let cluster = TestCluster::up(1);
    let ran = cluster.airside(&["run", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(ran.code, Some(137), "{ran:#?}");
    let late = cluster.airside(&["run", "--timeout", "300ms", "--", "sleep", "1000"]);
    assert_eq!(late.code, Some(143), "{late:#?}");
    assert!(late.stderr.contains("still running after 300ms; ending the task"), "{}", late.stderr);
}

#[test]
fn why_a_task_cannot_start_is_said_also_where_nothing_else_is() {
    let cluster = TestCluster::up(1);
    let ran = cluster.airside(&["run", "--quiet", "--", "/no/such/program"]);
    assert_eq!(ran.code, Some(125), "{ran:#?}");
    assert!(ran.stderr.starts_with("airside: the task did not run: TASK_FAILED: "), "{ran:#?}");
    assert!(ran.stderr.contains("/no/such/program"), "{ran:#?}");
}

#[test]
fn run_gives_the_task_its_environment_and_its_ports() {
    let cluster = TestCluster::up(1);
    let line = "echo $COLOUR $PORTS; test $PORT0 -ge 31000";
    let ran = cluster.airside(&[
        "run",
        "-q",
        "--ports",
        "2",
        "--env",
        "COLOUR=green",
        "--",
        "sh",
        "-c",
        line,
    ]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:#?}");
    let words: Vec<&str> = ran.stdout.split_whitespace().collect();
    assert_eq!(words[0], "green");
    assert_eq!(words[1].split(',').count(), 2, "{ran:#?}");
}

#[test]
fn ctrl_c_ends_everything_that_up_started() {
    let mut cluster = TestCluster::up(2);
    let mut run = Process::start("run", &mut cluster.home.command(&["run", "--", "sleep", "1000"]));
    run.says("running as process");
    cluster.up.signal(Signal::SIGINT);
    assert!(cluster.up.ended().success(), "{:#?}", cluster.up.said);
    run.signal(Signal::SIGKILL);
    run.ended();
    cluster.home.is_quiet();
    // The next command does not look for a cluster that is gone.
    assert!(!cluster.home.path("cache/airside/cluster.json").exists());
}

#[test]
fn nothing_is_left_of_a_cluster_whose_up_is_killed() {
    let mut cluster = TestCluster::up(2);
    let mut run = Process::start("run", &mut cluster.home.command(&["run", "--", "sleep", "1000"]));
    run.says("running as process");
    cluster.up.signal(Signal::SIGKILL);
    cluster.up.ended();
    run.signal(Signal::SIGKILL);
    run.ended();
    cluster.home.is_quiet();
}

#[test]
fn up_starts_an_agent_that_died_again() {
    let cluster = TestCluster::up(1);
    let agent = cluster.home.processes_of("agent")[0];
    signal_process(agent, Signal::SIGKILL);
    eventually("another process is the agent", || {
        let agents = cluster.home.processes_of("agent");
        agents.len() == 1 && agents[0] != agent
    });
    let ran = cluster.airside(&["run", "--", "echo", "again"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "again\n"), "{ran:#?}");
}

#[test]
fn a_task_is_ended_by_the_beginning_of_its_id_and_its_log_is_read() {
    let cluster = TestCluster::up(1);
    let line = "echo one; echo two >&2; exec sleep 1000";
    let mut command = cluster.home.command(&["run", "--", "sh", "-c", line]);
    let mut run = Process::start("run", &mut command);
    run.says("one");
    let logs = cluster.airside(&["logs", "run-"]);
    assert_eq!((logs.code, logs.stdout.as_str()), (Some(0), "one\n"), "{logs:#?}");
    let logs = cluster.airside(&["logs", "--stderr", "run-"]);
    assert_eq!(logs.stdout, "two\n", "{logs:#?}");
    let mut follow = Process::start("logs", &mut cluster.home.command(&["logs", "-f", "run-"]));
    follow.says("one");
    let killed = cluster.airside(&["kill", "run-"]);
    assert_eq!(killed.code, Some(0), "{killed:#?}");
    assert!(killed.stdout.starts_with("Ending task run-"), "{killed:#?}");
    let listed = cluster.airside(&["tasks", "--json"]);
    assert!(listed.stdout.contains("an operator asked for its end"), "{listed:#?}");
    assert_eq!(run.ended().code(), Some(143), "{:#?}", run.said);
    assert!(follow.ended().success(), "{:#?}", follow.said);
}

#[test]
fn a_beginning_that_several_ids_share_is_refused_with_their_names() {
    let cluster = TestCluster::up(1);
    for _ in 0..2 {
        assert_eq!(cluster.airside(&["run", "--", "true"]).code, Some(0));
    }
    let logs = cluster.airside(&["logs", "run-"]);
    assert_eq!(logs.code, Some(1), "{logs:#?}");
    assert!(logs.stderr.starts_with("airside: 2 tasks begin with 'run-': run-"), "{logs:#?}");
    let none = cluster.airside(&["logs", "walk-"]);
    let words = "airside: no task begins with 'walk-'; `airside tasks` lists them\n";
    assert_eq!((none.code, none.stderr.as_str()), (Some(1), words));
}

#[test]
fn lists_are_tables_and_json() {
    let cluster = TestCluster::up(2);
    let agents = cluster.airside(&["agents"]);
    assert_eq!(agents.stdout.lines().count(), 3, "{agents:#?}");
    assert!(agents.stdout.starts_with("AGENT"), "{agents:#?}");
    for list in ["agents", "frameworks", "tasks"] {
        let listed = cluster.airside(&[list, "--json"]);
        let json: serde_json::Value = serde_json::from_str(&listed.stdout).expect("it is JSON");
        assert!(json.is_array(), "{json:#}");
    }
}

#[test]
fn a_flow_is_drawn_from_offer_to_acknowledged_end() {
    let cluster = TestCluster::up(1);
    assert_eq!(cluster.airside(&["run", "--", "true"]).code, Some(0));
    let flow = cluster.airside(&["flow", "--task", "run-"]);
    assert_eq!(flow.code, Some(0), "{flow:#?}");
    let mut at = 0;
    for message in
        ["Offers", "Accept", "Launch", "Updated: running", "Updated: finished", "Acknowledge"]
    {
        let found = flow.stdout[at..].find(message);
        at += found.unwrap_or_else(|| panic!("'{message}' is missing in {}", flow.stdout));
    }
    let last = flow.stdout.lines().last().unwrap_or_default();
    let says = |node: &str| {
        let of_node = last.split([':', ';']).find_map(|part| part.trim().strip_prefix(node));
        of_node.is_some_and(|far| far.contains(" s"))
    };
    assert!(last.starts_with("How far back each node sees: master "), "{last}");
    assert!(says("master ") && last.contains("; agent 127.0.0.1:"), "{last}");
}

#[test]
fn two_clusters_do_not_share_a_folder() {
    let cluster = TestCluster::up(1);
    let work_dir = cluster.home.path("work");
    let second = cluster.airside(&["up", "--port", "0", "--work-dir", &work_dir.to_string_lossy()]);
    assert_eq!(second.code, Some(1), "{second:#?}");
    let words = format!(
        "airside: {} is in use by another cluster (process {}); end it, or choose another folder with --work-dir\n",
        work_dir.display(),
        cluster.up.id()
    );
    assert_eq!(second.stderr, words);
}

#[test]
fn what_runs_is_told_by_version() {
    let version = Home::new().airside(&["version"]);
    assert_eq!(version.code, Some(0));
    assert!(version.stdout.starts_with("airside 0.1.0"), "{version:#?}");
}

#[test]
fn masters_and_agents_show_what_they_count_on_their_one_port() {
    let cluster = TestCluster::up(1);
    let listed = cluster.airside(&["agents", "--json"]);
    let agents: serde_json::Value = serde_json::from_str(&listed.stdout).expect("it is JSON");
    let agent = agents[0]["address"].as_str().expect("an agent listens");
    let mut text = String::new();
    // The master knows of it before the agent hears so.
    eventually("the agent counts that it was registered", || {
        text = page(agent, "/metrics").expect("it answers");
        text.contains("\nairside_agent_registrations_total 1\n")
    });
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(text.contains("\nlibactor_"), "{text}");
    let master = std::fs::read_to_string(cluster.home.path("cache/airside/cluster.json"))
        .expect("up leaves its file");
    let master: serde_json::Value = serde_json::from_str(&master).expect("it is JSON");
    let master = master["master"].as_str().expect("a master listens");
    let text = page(master, "/metrics").expect("it answers");
    assert!(text.contains("\nairside_master_agents_active 1\n"), "{text}");
    for at in [master, agent] {
        let health = page(at, "/health").expect("it answers");
        assert!(health.starts_with("HTTP/1.1 200 OK\r\n"), "{health}");
        let version = page(at, "/version").expect("it answers");
        let (_, json) = version.split_once("\r\n\r\n").expect("a head and a body");
        let version: serde_json::Value = serde_json::from_str(json).expect("it is JSON");
        assert_eq!(version["version"], "0.1.0", "{version:#}");
    }
}
