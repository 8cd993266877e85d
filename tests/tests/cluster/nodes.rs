//! `airside node`: the wire between processes, without a cluster.

use tests::cluster::{Home, Process};

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
    let mut node = Process::start("node", &mut home.command(&["node", "--ip", "0.0.0.0"]));
    node.says("listening beyond this machine without a secret");
}

#[test]
fn logs_that_no_terminal_shows_are_plain_text() {
    let home = Home::new();
    let mut node = Process::start("node", &mut home.command(&["node", "--ip", "0.0.0.0"]));
    let line = node.says("without a secret");
    assert!(!line.contains('\x1b'), "{line:?}");
}
