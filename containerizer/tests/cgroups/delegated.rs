//! An agent that was given a part of the tree only: its containers' groups are below its own. The agent is this program once
//! more, in a group that the test made for it.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use containerizer::cgroups::Hierarchies;
use containerizer::cgroups::hierarchies::{Settings, look};
use containerizer::cgroups::logic::limits::{Bound, Cpu, Limits};
use containerizer::cgroups::logic::path::GroupPath;
use nix::unistd::Pid;

use crate::place::{Place, Program, SOON};

/// Set for the program that is the agent.
const IS_AGENT: &str = "CGROUPS_TEST_IS_AGENT";
const NAME: &str = "delegated::an_agent_whose_own_group_was_given_to_it_makes_groups_below_it";

#[test]
fn an_agent_whose_own_group_was_given_to_it_makes_groups_below_it() {
    if std::env::var_os(IS_AGENT).is_some() {
        return be_agent();
    }
    let place = Place::new();
    let group = place.create("a", &Limits::default());
    // In version 2 it has controllers to give once its own group gives them.
    place.trees.create(&group.path().nested("b").unwrap(), &Limits::default()).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", NAME, "--nocapture"]).env(IS_AGENT, "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut agent = command.spawn().unwrap();
    group.attach(Pid::from_raw(i32::try_from(agent.id()).unwrap())).unwrap();
    agent.stdin.take().unwrap().write_all(b"go").unwrap();
    let output = agent.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("limited below its own"), "{said}");
}

fn be_agent() {
    let mut go = String::new();
    std::io::stdin().read_to_string(&mut go).unwrap();
    assert_eq!(go, "go");
    let found = look().unwrap();
    let settings = Settings {
        root: "mesos".into(),
        agent: "agent".into(),
        below_own: true,
        controllers: found.available(),
    };
    let trees = Hierarchies::open(&found, &settings).unwrap();
    let cpu = Cpu { request_milli: 2000, limit_milli: Bound::At(500), revocable: false };
    let limits = Limits { cpu: Some(cpu), pids: Some(Bound::At(7)), ..Limits::default() };
    let group = trees.create(&GroupPath::top("c").unwrap(), &limits).unwrap();
    let output = Program::start(&group, "cat /proc/self/cgroup").output();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("agent/a") && said.contains("mesos/agent/c"), "{said}");
    let usage = group.usage().unwrap();
    assert_eq!(usage.cpu.quota, Some((Bound::At(50_000), 100_000)));
    assert_eq!(usage.pids.limit, Some(Bound::At(7)));
    group.destroy(SOON).unwrap();
    std::io::stdout().write_all(b"limited below its own\n").unwrap();
}
