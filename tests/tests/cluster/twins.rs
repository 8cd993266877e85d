//! Two agents of one id, as when a work directory is copied: the one that lives keeps it, the other is told what to do.

use nix::sys::signal::Signal;
use tests::cluster::{Home, Process};

#[test]
fn an_agent_with_the_id_of_one_that_lives_is_refused_and_harms_nobody() {
    let home = Home::new();
    let (master, at) = home.master(&[]);
    let at = format!("--master={at}");
    let agent = |name: &str| {
        let work_dir = home.work_dir(name);
        Process::start(name, &mut home.command(&["agent", "--port=0", &at, &work_dir]))
    };
    let mut first = agent("first");
    first.says("agent@");
    // Registered, so what it was given stands in its checkpoint.
    let ran = home.airside(&["run", &at, "--", "echo", "before"]);
    assert_eq!(ran.stdout, "before\n", "{ran:#?}");
    std::fs::create_dir(home.path("twin")).unwrap();
    let checkpoint = |name: &str| home.path(name).join("agent.checkpoint");
    std::fs::copy(checkpoint("first"), checkpoint("twin")).unwrap();
    let mut twin = agent("twin");
    let said = twin.says("the master refused this agent");
    assert!(
        said.contains("its process lives: give this one a work directory of its own"),
        "{said}"
    );
    assert_eq!(twin.ended().code(), Some(1));
    let ran = home.airside(&["run", &at, "--", "echo", "after"]);
    assert_eq!(ran.stdout, "after\n", "{ran:#?}");
    for mut process in [first, master] {
        process.signal(Signal::SIGTERM);
        assert!(process.ended().success());
    }
}
