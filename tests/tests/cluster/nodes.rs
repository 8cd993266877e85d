//! `airside node`: the wire between processes, without a cluster.

use tests::cluster::{Home, Process, TestCluster};

fn address(node: &mut Process) -> String {
    node.says("node@").trim_start_matches("node@").to_owned()
}

#[test]
fn a_question_goes_from_process_to_process_through_a_relay() {
    let home = Home::new();
    let mut echo = Process::start("echo", &mut home.command(&["node", "echo"]));
    let mut relay = Process::start("relay", &mut home.command(&["node", "relay"]));
    let echo_name = format!("echo@{}", address(&mut echo));
    let relay_name = format!("relay@{}", address(&mut relay));
    let asked = home.airside(&["node", "--ask", &relay_name, &echo_name]);
    assert_eq!(asked.code, Some(0), "{asked:#?}");
    assert_eq!(asked.stdout.lines().count(), 5, "{asked:#?}");
}

#[test]
fn a_node_with_another_secret_is_refused_in_words() {
    let home = Home::new();
    for (name, secret) in [("one", "a secret of 16 letters"), ("two", "another secret of letters")]
    {
        std::fs::write(home.path(name), secret).unwrap();
    }
    let secret = |name: &str| format!("--cluster-secret-file={}", home.path(name).display());
    let mut echo = Process::start("echo", &mut home.command(&["node", "echo", &secret("one")]));
    let name = format!("echo@{}", address(&mut echo));
    let asked = home.airside(&["node", &secret("one"), "--ask", &name]);
    assert_eq!(asked.code, Some(0), "{asked:#?}");
    let refused = home.airside(&["node", &secret("two"), "--ask", &name]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("another cluster secret"), "{refused:#?}");
}

#[test]
fn beyond_this_machine_without_a_secret_is_warned_of_at_each_start() {
    let home = Home::new();
    let work_dir = |name: &str| format!("--work-dir={}", home.path(name).display());
    let (master_dir, agent_dir) = (work_dir("master"), work_dir("agent"));
    let master = ["master", "--port=0", "--ip=0.0.0.0", &master_dir];
    let agent = ["agent", "--port=0", "--ip=0.0.0.0", "--master=127.0.0.1:1", &agent_dir];
    let warns = |command: &[&str]| {
        let mut node = Process::start(command[0], &mut home.command(command));
        node.says("listening beyond this machine without a secret");
    };
    for command in [&["node", "--ip=0.0.0.0"][..], &master, &agent, &master] {
        warns(command);
    }
}

#[test]
fn a_cluster_of_up_takes_nobody_without_its_secret() {
    let cluster = TestCluster::up(1);
    let master = cluster.up.said.iter().find_map(|line| line.trim().strip_prefix("Master "));
    let at = format!("--master={}", master.expect("up says where its master is").trim());
    // A home in which nothing was left of `up`.
    let stranger = Home::new().airside(&["tasks", &at]);
    assert_eq!(stranger.code, Some(1), "{stranger:#?}");
    assert!(stranger.stderr.contains("no cluster secret"), "{stranger:#?}");
    let secret = format!("--cluster-secret-file={}", cluster.home.path("work/secret").display());
    let member = Home::new().airside(&["tasks", &at, &secret]);
    assert_eq!(member.code, Some(0), "{member:#?}");
}

#[test]
fn logs_that_no_terminal_shows_are_plain_text() {
    let home = Home::new();
    let mut node = Process::start("node", &mut home.command(&["node", "--ip", "0.0.0.0"]));
    let line = node.says("without a secret");
    assert!(!line.contains('\x1b'), "{line:?}");
}
