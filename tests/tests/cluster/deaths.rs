//! What the master sees when a process dies.

use std::fs;

use nix::sys::signal::Signal;
use tests::cluster::{Home, Process, eventually};

/// A master and one agent that nobody starts again.
pub(crate) fn master_and_agent(home: &Home) -> (Process, String, Process) {
    let (master, at) = home.master(&[]);
    let joins = format!("--master={at}");
    let mut command = home.command(&["agent", "--port=0", &joins, &home.work_dir("a")]);
    let mut agent = Process::start("agent", &mut command);
    agent.says("agent@");
    (master, at, agent)
}

pub(crate) fn state_of_agent(home: &Home, master: &str) -> String {
    let listed = home.airside(&["agents", "--json", &format!("--master={master}")]);
    let agents: serde_json::Value = serde_json::from_str(&listed.stdout).expect("it is JSON");
    agents[0]["state"].as_str().unwrap_or_default().to_owned()
}

/// LP-06: a broken connection is told at once, not found out by pings.
#[test]
fn lp_06_the_master_knows_at_once_that_an_agent_is_gone() {
    let home = Home::new();
    let (mut master, at, agent) = master_and_agent(&home);
    eventually("the agent is active", || state_of_agent(&home, &at) == "active");
    agent.signal(Signal::SIGKILL);
    master.says("state=Disconnected");
    // By the end of its connection: silence is told otherwise, after ten seconds, and pings are missed only after more.
    let silence = master.said.iter().find(|line| line.contains("silent"));
    assert_eq!(silence, None, "{:#?}", master.said);
    assert_eq!(state_of_agent(&home, &at), "disconnected");
}

/// The master of [`master_and_agent`] again, on what it left.
pub(crate) fn master_again(home: &Home, at: &str) -> Process {
    let (_, port) = at.rsplit_once(':').expect("it has a port");
    let (port, work_dir) =
        (format!("--port={port}"), format!("--work-dir={}", home.path("m").display()));
    let mut master = Process::start("master", &mut home.command(&["master", &port, &work_dir]));
    master.says("master@");
    master
}

#[test]
fn a_batch_that_met_its_master_in_an_earlier_life_waits_for_it_as_well() {
    let home = Home::new();
    let (mut master, at, _agent) = master_and_agent(&home);
    let (of, gate, state) = (format!("--master={at}"), home.path("gate"), home.path("state"));
    let (state, line) = (
        format!("--state-dir={}", state.display()),
        format!("while [ ! -e {} ]; do sleep 0.1; done", gate.display()),
    );
    let start = || {
        let command = ["batch", &of, &state, "--mem=16MB", &line];
        Process::start("batch", &mut home.command(&command))
    };
    let mut batch = start();
    batch.says("subscribed as framework ");
    for process in [&mut batch, &mut master] {
        process.signal(Signal::SIGKILL);
        process.ended();
    }
    let mut batch = start();
    batch.says("trying on");
    let _master = master_again(&home, &at);
    fs::write(&gate, "").unwrap();
    assert!(batch.ended().success(), "{:#?}", batch.said);
}

#[test]
fn a_batch_that_has_met_its_master_waits_for_it_and_says_so() {
    let home = Home::new();
    let (mut master, at, _agent) = master_and_agent(&home);
    let (of, gate) = (format!("--master={at}"), home.path("gate"));
    let line = format!("while [ ! -e {} ]; do sleep 0.1; done", gate.display());
    let mut batch =
        Process::start("batch", &mut home.command(&["batch", &of, "--mem=16MB", &line]));
    batch.says("subscribed as framework ");
    let tasks = || home.airside(&["tasks", "--json", &of]).stdout;
    eventually("its task runs", || tasks().contains("TASK_RUNNING"));
    master.signal(Signal::SIGKILL);
    master.ended();
    batch.says("lost the master; looking for it");
    let _master = master_again(&home, &at);
    let subscribed =
        |batch: &mut Process| batch.said_so_far().matches("subscribed as framework ").count();
    eventually("it says that it is back", || subscribed(&mut batch) == 2);
    fs::write(&gate, "").unwrap();
    assert!(batch.ended().success(), "{:#?}", batch.said);
    assert!(
        batch.said.contains(&"1 of 1 succeeded, in 1 attempts".to_owned()),
        "{:#?}",
        batch.said
    );
}

#[test]
fn lists_say_that_agents_are_awaited_until_all_are_back() {
    let home = Home::new();
    let (mut master, at, mut agent) = master_and_agent(&home);
    eventually("the agent is active", || state_of_agent(&home, &at) == "active");
    for process in [&mut agent, &mut master] {
        process.signal(Signal::SIGKILL);
        process.ended();
    }
    let _master = master_again(&home, &at);
    let of = format!("--master={at}");
    for list in ["agents", "frameworks", "tasks"] {
        let words = "recovering: 1 of 1 agents are awaited, so this list may be incomplete\n";
        let listed = home.airside(&[list, "--json", &of]);
        assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), words), "{listed:#?}");
        let json: serde_json::Value = serde_json::from_str(&listed.stdout).expect("it is JSON");
        assert_eq!(json.as_array().map(Vec::len), Some(usize::from(list == "agents")), "{json:#}");
    }
    let work_dir = format!("--work-dir={}", home.path("a").display());
    let mut command = home.command(&["agent", "--port=0", &of, &work_dir]);
    let _agent = Process::start("agent", &mut command);
    eventually("the agent is active again", || state_of_agent(&home, &at) == "active");
    let listed = home.airside(&["tasks", &of]);
    assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), ""), "{listed:#?}");
}

/// One that was a member asks soon and often; the words are the same for a new one.
#[test]
fn an_agent_says_which_master_does_not_answer() {
    let home = Home::new();
    let (_master, at, mut agent) = master_and_agent(&home);
    eventually("the agent is active", || state_of_agent(&home, &at) == "active");
    agent.signal(Signal::SIGKILL);
    agent.ended();
    let work_dir = format!("--work-dir={}", home.path("a").display());
    let mut command = home.command(&["agent", "--port=0", "--master=127.0.0.1:1", &work_dir]);
    let mut agent = Process::start("agent", &mut command);
    let said = agent.says("no answer from the master to 5 attempts to register; trying on");
    assert!(said.contains("; is it running, and does --master name it?"), "{said}");
    assert!(said.contains("leader=127.0.0.1:1"), "{said}");
}

#[test]
fn a_run_that_lost_its_master_ends_when_it_is_told_to() {
    let home = Home::new();
    let (mut master, at, _agent) = master_and_agent(&home);
    let of = format!("--master={at}");
    let mut run = Process::start("run", &mut home.command(&["run", &of, "--", "sleep", "1000"]));
    run.says("running as process");
    master.signal(Signal::SIGKILL);
    master.ended();
    run.signal(Signal::SIGINT);
    assert_eq!(run.ended().code(), Some(125), "{:#?}", run.said);
    run.says("the task was not seen to end within 15 s of being told to");
}

#[test]
fn an_agent_that_comes_back_is_the_same_agent() {
    let home = Home::new();
    let (_master, at, mut agent) = master_and_agent(&home);
    eventually("the agent is active", || state_of_agent(&home, &at) == "active");
    agent.signal(Signal::SIGKILL);
    agent.ended();
    let (joins, work_dir) =
        (format!("--master={at}"), format!("--work-dir={}", home.path("a").display()));
    let mut command = home.command(&["agent", "--port=0", &joins, &work_dir]);
    let mut again = Process::start("agent", &mut command);
    again.says("agent@");
    eventually("the agent is active again", || state_of_agent(&home, &at) == "active");
    let listed = home.airside(&["agents", "--json", &joins]);
    let agents: serde_json::Value = serde_json::from_str(&listed.stdout).expect("it is JSON");
    assert_eq!(agents.as_array().map(Vec::len), Some(1), "{agents:#}");
}
