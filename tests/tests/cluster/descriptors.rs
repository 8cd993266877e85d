//! A master without file descriptors: it says so, loses nobody, and goes on when there are some again.

use std::net::TcpStream;
use std::process::Command;

use tests::cluster::{Home, Process, airside};

#[test]
fn a_master_without_descriptors_says_so_and_works_again() {
    let home = Home::new();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(airside());
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
    // They say nothing. More than it may open: the rest waits for what is closed.
    let silent: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
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
