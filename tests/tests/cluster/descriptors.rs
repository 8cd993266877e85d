//! A master without file descriptors: it says so, loses nobody, and goes on when there are some again.

use std::process::Command;

use tests::cluster::{Home, Process, airside};
use tests::{exhaust, few_descriptors};

#[test]
fn a_master_without_descriptors_says_so_and_works_again() {
    let home = Home::new();
    let mut command = Command::new("sh");
    let line = format!("{}; exec \"$0\" \"$@\"", few_descriptors(64));
    command.args(["-c", &line]).arg(airside());
    command.args(["master", "--port=0", "--work-dir"]).arg(home.path("master"));
    let mut master = Process::start("master", &mut command);
    let name = master.says("master@");
    let address = name.trim_start_matches("master@");
    let at = format!("--master={address}");
    let work_dir = format!("--work-dir={}", home.path("agent").display());
    let mut agent =
        Process::start("agent", &mut home.command(&["agent", "--port=0", &at, &work_dir]));
    agent.says("agent@");
    let ran = home.airside(&["run", &at, "--", "echo", "before"]);
    assert_eq!(ran.stdout, "before\n", "{ran:#?}");
    let silent = exhaust(address);
    let said = master.says("no connection accepted; trying again");
    assert!(said.contains("Too many open files"), "{said}");
    drop(silent);
    let ran = home.airside(&["run", &at, "--", "echo", "after"]);
    assert_eq!(ran.stdout, "after\n", "{ran:#?}");
    for mut process in [agent, master] {
        process.signal(nix::sys::signal::Signal::SIGTERM);
        assert!(process.ended().success());
    }
}
