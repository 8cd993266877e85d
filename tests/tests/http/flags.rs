//! Masters and agents are started as those of Mesos are.

use tests::cluster::{Home, Process};
use tests::http;

/// A port that nobody has: whoever takes it next may still be another.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn lp_36_a_master_listens_where_the_environment_of_mesos_says() {
    let home = Home::new();
    let port = free_port();
    let weights = home.path("weights");
    std::fs::write(&weights, "eng=2\n").unwrap();
    let mut command = home.command(&["master", &format!("--weights=file://{}", weights.display())]);
    command.env("MESOS_PORT", port.to_string()).env("MESOS_QUORUM", "1");
    command.env("MESOS_WORK_DIR", home.path("m")).env("MESOS_SLAVE_PING_TIMEOUT", "1.5hrs");
    let mut master = Process::start("master", &mut command);
    let at = master.says("master@").trim_start_matches("master@").to_owned();
    assert_eq!(at, format!("127.0.0.1:{port}"));
    let flags = http::ask(&at, "GET /flags", &[], b"").json()["flags"].clone();
    for (name, value) in [
        ("weights", "eng=2"),
        ("quorum", "1"),
        ("agent_ping_timeout", "1.5hrs"),
        ("port", &port.to_string()),
    ] {
        assert_eq!(flags[name], value, "{flags:#}");
    }
    master.says("--quorum=1 changes nothing: ");
}

#[test]
fn lp_36_an_unknown_flag_ends_a_daemon_with_its_usage_and_a_known_one_with_the_reason() {
    let home = Home::new();
    let work_dir = home.work_dir("m");
    for (line, words) in [
        (["master", &work_dir, "--nothing=1"], "error: unexpected argument '--nothing' found"),
        (["master", &work_dir, "--acls={}"], "error: --acls is not supported: "),
        (
            ["agent", "--master=h:1", "--containerizers=docker"],
            "error: --containerizers may only be 'mesos': ",
        ),
    ] {
        let ended = home.airside(&line);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        assert!(ended.stderr.starts_with(words), "{ended:#?}");
        assert!(ended.stderr.contains("Usage: airside "), "{ended:#?}");
    }
    assert!(!home.path("m").exists());
}
