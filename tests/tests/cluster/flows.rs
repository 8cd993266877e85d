//! What nodes recorded, asked for after they have died.

use std::fs;

use nix::sys::signal::Signal;
use tests::cluster::{Home, Process, TestCluster, eventually, signal_process};

/// The id of the flow that `airside run` names at its end.
fn flow_named_in(said: &str) -> String {
    let (_, id) = said.split_once("in all; flow ").unwrap_or_else(|| panic!("no flow in {said}"));
    id.split(';').next().unwrap().to_owned()
}

#[test]
fn the_recording_of_a_killed_node_shows_what_it_did() {
    let home = Home::new();
    let (_master, at) = home.master(&[]);
    let of = format!("--master={at}");
    let mut agent = Process::start(
        "agent",
        &mut home.command(&["agent", "--port=0", &of, &home.work_dir("a")]),
    );
    agent.says("agent@");
    let ran = home.airside(&["run", &of, "--", "true"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let recording = format!("--recording={}", home.path("a").display());
    let flow = |what: &str| home.airside(&["flow", &recording, what]);
    // Written by a thread of its own, a moment after it happened.
    let messages = ["Launch", "Updated: running", "Updated: finished", "Acknowledge"];
    let missing = || {
        let shown = flow("--task=run-").stdout;
        messages.into_iter().find(|message| !shown.contains(message))
    };
    eventually("all is in the file", || missing().is_none());
    agent.signal(Signal::SIGKILL);
    agent.ended();
    assert_eq!(missing(), None);
    let shown = flow("--task=run-");
    let (_, id) = shown.stdout.split_once("Flow id ").unwrap();
    let id = &id[..32];
    let same = flow(&format!("--trace={}", &id[..31]));
    assert!(same.stdout.contains("Launch"), "{same:#?}");

    // A crash may have torn the last record; those before it are whole.
    let ring = home.path("a").join("flow.ring");
    let bytes = fs::read(&ring).unwrap();
    fs::write(&ring, &bytes[..bytes.len() - 7]).unwrap();
    assert!(flow("--task=run-").stdout.contains("Launch"));
    let none = flow("--task=walk-");
    let words = "airside: nothing in this recording is about an id that begins with 'walk-'\n";
    assert_eq!((none.code, none.stderr.as_str()), (Some(1), words));
    fs::write(&ring, "a text").unwrap();
    let refused = flow("--task=run-");
    let words = format!(
        "airside: {} is not a recording of flows; a node writes one to flow.ring in its work directory\n",
        ring.display()
    );
    assert_eq!((refused.code, refused.stderr), (Some(1), words));
}

#[test]
fn a_flow_is_found_by_the_beginning_of_its_id_though_its_master_was_killed() {
    let cluster = TestCluster::up(1);
    let ran = cluster.airside(&["run", "--", "true"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    let id = flow_named_in(&ran.stderr);
    // All that begin in one process begin alike.
    let several = cluster.airside(&["flow", "--trace", &id[..16]]);
    let words = format!("flows begin with '{}': ", &id[..16]);
    assert!(several.code == Some(1) && several.stderr.contains(&words), "{several:#?}");
    let master = cluster.home.processes_of("master")[0];
    signal_process(master, Signal::SIGKILL);
    eventually("another process is the master", || {
        cluster.home.processes_of("master").first().is_some_and(|process| *process != master)
    });
    // Only the master has seen that its offer was accepted, and its memory is gone.
    let trace = format!("--trace={}", &id[..31]);
    let mut flow = cluster.airside(&["flow", &trace]);
    eventually("the master is back", || {
        flow = cluster.airside(&["flow", &trace]);
        flow.code == Some(0)
    });
    assert!(flow.stdout.contains("Accept"), "{flow:#?}");
    assert!(flow.stdout.contains(&format!("Flow id {id}\n")), "{flow:#?}");

    let none = cluster.airside(&["flow", "--trace", "ffffffffffffffffffffffff"]);
    let words = "airside: no flow begins with 'ffffffffffffffffffffffff', as far as the nodes that can be asked remember\n";
    assert_eq!((none.code, none.stderr.as_str()), (Some(1), words));
}

#[test]
fn what_messages_say_is_shown_on_request_without_secrets() {
    let cluster = TestCluster::up(1);
    let arguments = ["flow", "--payloads", "message=Launch", "--time", "5mins"];
    let mut follow = Process::start("flow", &mut cluster.home.command(&arguments));
    follow.says("2 nodes keep what such messages say");
    let ran = cluster.airside(&["run", "--env", "PASSWORD=a-secret", "--", "true"]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    follow.says("master -> agent ");
    let said = follow.says("\"PASSWORD\"");
    assert!(said.trim_start().starts_with("Launch { epoch: 1, "), "{said}");
    let second = cluster.airside(&arguments);
    assert_eq!(second.code, Some(1), "one at a time: {second:#?}");
    assert!(second.stderr.contains("does so for somebody else, for "), "{second:#?}");
    assert!(second.stderr.ends_with("airside: no node keeps payloads now\n"), "{second:#?}");
    follow.signal(Signal::SIGINT);
    assert!(follow.ended().success(), "{:#?}", follow.said);
    let said = follow.said.join("\n");
    assert!(!said.contains("a-secret") && !said.contains("Accept"), "{said}");
    let short = cluster.airside(&["flow", "--payloads", "about=nothing", "--time", "100ms"]);
    assert_eq!((short.code, short.stdout.as_str()), (Some(0), ""), "it ends by itself: {short:#?}");
}

#[test]
fn the_flow_of_a_task_that_has_ended_has_its_executors_part() {
    let cluster = TestCluster::up(1);
    assert_eq!(cluster.airside(&["run", "--", "true"]).code, Some(0));
    // It ends a moment after its task.
    let mut flow = cluster.airside(&["flow", "--task", "run-"]);
    eventually("the executor has left its recording", || {
        flow = cluster.airside(&["flow", "--task", "run-"]);
        flow.stdout.contains("; executor ")
    });
    assert!(!flow.stdout.contains("its node cannot be asked"), "{flow:#?}");
    // An acknowledgement may stand above it, and reach an executor that has ended.
    let is_launch = |line: &&str| line.contains("Launch") && line.contains("-> executor");
    let launch = flow.stdout.lines().find(is_launch).unwrap();
    let handled_in = launch.split_whitespace().last().unwrap();
    assert!(handled_in.parse::<f64>().is_ok(), "how long the executor took: {launch}");
}
