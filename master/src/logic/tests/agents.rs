//! How agents join, are watched, given up and taken back.

use std::time::Duration;

use protocol::agent::{AgentInfo, AgentToMaster, MasterToAgent};
use protocol::ids::{ClusterId, Role};
use protocol::resources::{Kind, Milli, Resource, Resources, Value};
use protocol::task::{TaskReport, TaskState};

use super::scenario::{Scenario, agent_id, agent_info, agent_pid, report, task};
use crate::config::Config;
use crate::logic::Event;

const PING: Duration = Duration::from_secs(15);

#[test]
fn an_agent_is_written_then_greeted_and_repeats_are_harmless() {
    let mut t = Scenario::new();
    t.registrar_is_slow = true;
    t.agent_joins(1);
    t.did([]);
    // It need not ask again so soon.
    t.agent_joins(1);
    t.did(["to agent-1: ReturnLater after 1s"]);
    assert_eq!(t.unwritten.len(), 1);
    t.write();
    t.did(["to agent-1: Registered(c-S0) in epoch 1"]);
    t.agent_joins(1);
    t.did(["to agent-1: Registered(c-S0) in epoch 1"]);
    assert_eq!(t.unwritten.len(), 0);
    t.registrar_is_slow = false;
    t.agent_joins(2);
    t.did(["to agent-2: Registered(c-S1) in epoch 1"]);
}

#[test]
fn agent_01_each_agent_gets_an_id_of_its_own_and_hears_when_its_master_gives_it_up() {
    let config = Config::default();
    let mut t = Scenario::new();
    for n in [1, 2] {
        t.agent_joins(n);
        let Some(MasterToAgent::Registered { agent, silent_after, .. }) = t.greeting.clone() else {
            panic!("it is not greeted")
        };
        assert_eq!((agent, silent_after), (agent_id(n), Duration::from_secs(75)));
    }
    assert_eq!(config.ping_every * config.ping_misses_max, Duration::from_secs(75));
    // Neither a removal nor another reign makes a number free.
    t.agent_says(agent_pid(2, 1), AgentToMaster::Unregister);
    let mut t = t.restart("n");
    t.agent_joins(3);
    assert_eq!(t.written.agents.keys().collect::<Vec<_>>(), [&agent_id(1), &agent_id(3)]);
}

#[test]
fn an_agent_of_nonsense_is_refused_in_words() {
    let mut t = Scenario::new();
    let info = AgentInfo { resources: Resources::none(), ..agent_info(1) };
    t.agent_says(agent_pid(1, 1), AgentToMaster::Register { nonce: 1, info });
    t.did(["to agent-1: Refused: the agent's list of resources is empty"]);
    t.agent_returns(7, 1, Vec::new());
    t.did([
        "to agent-7: Shutdown: agent c-S6 is not known to cluster c any more: it was removed, so give it another --work_dir to join anew",
        "to agent-7: Refused: agent c-S6 is not known to cluster c any more: it was removed, so give it another --work_dir to join anew",
    ]);
}

/// As it may come over the wire, where it is not looked at.
fn raw_role(text: &str) -> Role {
    let bytes = libactor::wire::encode(&text, 1 << 20).expect("it is short");
    libactor::wire::decode(&bytes).expect("it is text")
}

#[test]
fn an_agent_with_something_reserved_for_what_is_no_role_is_refused_in_words() {
    let mut t = Scenario::new();
    for (text, words) in [
        (
            "a//b",
            "role 'a//b' has an empty part: between slashes, before the first or behind the last",
        ),
        (&("a/".repeat(300) + "a"), "a role of 301 levels is deeper than 128"),
    ] {
        let kind = Kind::reserved(raw_role(text));
        let cpus = Resource { kind, ..Resource::unreserved("cpus", Value::Scalar(Milli(1000))) };
        let info = AgentInfo { resources: Resources::from_iter([cpus]), ..agent_info(1) };
        t.agent_says(agent_pid(1, 1), AgentToMaster::Register { nonce: 1, info });
        let before = "to agent-1: Refused: the resources of the agent are not in their normal form";
        t.did([format!("{before}: 'cpus': {words}").as_str()]);
    }
}

/// Its role would be a node of the allocator's tree, and so would all above it.
#[test]
fn an_agent_that_has_a_task_under_what_is_no_role_is_told_to_end_it() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    let mut t = t.restart("n");
    t.subscribes_as(1, Some("c-0000"), &[], Vec::new());
    let odd = TaskReport { role: raw_role("a//b"), ..report(1, "t", TaskState::Running) };
    t.agent_returns(1, 1, vec![odd]);
    assert!(t.take_lines().iter().any(|line| line == "to agent-1: Kill t"));
    assert_eq!(t.master.used_on(&agent_id(1)).to_string(), "nothing");
}

#[test]
fn lp_08_an_agent_that_answers_is_kept_and_a_silent_one_is_given_up_after_five_pings() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.forget_lines();
    t.pass(PING);
    t.did(["to agent-1: Ping 1"]);
    t.agent_says(agent_pid(1, 1), AgentToMaster::Pong { sequence: 1 });
    t.pass(PING * 5);
    t.did([
        "to agent-1: Ping 2",
        "to agent-1: Ping 3",
        "to agent-1: Ping 4",
        "to agent-1: Ping 5",
        "to agent-1: Ping 6",
    ]);
    assert_eq!(t.written.agents[&agent_id(1)].unreachable, None);
    t.pass(PING);
    t.did([]);
    assert!(t.written.agents[&agent_id(1)].unreachable.is_some());
}

#[test]
fn an_agent_that_is_back_in_time_was_never_unreachable() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.forget_lines();
    t.down(agent_pid(1, 1));
    t.did(["to scheduler-1: Rescinded O1"]);
    t.pass(Duration::from_secs(590));
    t.agent_returns(1, 1, Vec::new());
    t.did(["to agent-1: Registered(c-S0) in epoch 1", "to scheduler-1: O2 of S0: cpus:4;mem:4096"]);
    t.pass(Duration::from_secs(14)); // the old timer fires meanwhile, and is void
    t.did([]);
}

#[test]
fn an_unreachable_agent_comes_back_with_its_tasks() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    t.acknowledges(1, 1, "a", 1);
    t.down(agent_pid(1, 1));
    t.pass(Config::default().agent_reregister_timeout);
    t.forget_lines();
    t.registrar_is_slow = true;
    t.agent_returns(1, 1, vec![report(1, "a", TaskState::Running)]);
    t.did([]);
    t.write();
    t.did([
        "to agent-1: Registered(c-S0) in epoch 1",
        "to scheduler-1: a Running, AgentReregistered: its agent is back",
    ]);
}

#[test]
fn a_restarted_agent_has_none_of_its_tasks() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("ran", 1.0), task("staged", 1.0)]);
    t.news(1, "ran", TaskState::Running, 1);
    t.forget_lines();
    t.down(agent_pid(1, 1));
    t.agent_returns(1, 2, Vec::new());
    t.did([
        "to agent-1 (life 2): Registered(c-S0) in epoch 1",
        "to scheduler-1: ran Lost, AgentRestarted: agent c-S0 came back without it",
        "to scheduler-1: staged Dropped, AgentRestarted: agent c-S0 came back without it",
        "to scheduler-1: O2 of S0: cpus:4;mem:4096",
    ]);
}

/// A repeat of `Reregister` that was sent before a launch and arrives after it must not end the task.
#[test]
fn the_same_process_is_asked_for_what_it_did_not_report() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    t.agent_returns(1, 1, Vec::new());
    t.did(["to agent-1: Registered(c-S0) in epoch 1", "to agent-1: Reconcile a"]);
    t.news(1, "a", TaskState::Running, 1);
    t.did(["to scheduler-1: a Running"]);
}

/// The question may be lost as well.
#[test]
fn what_the_same_process_did_not_report_is_asked_for_until_it_says_something_of_it() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    t.agent_returns(1, 1, Vec::new());
    t.forget_lines();
    for ping in 1..3 {
        t.pass(PING);
        t.did([format!("to agent-1: Ping {ping}").as_str(), "to agent-1: Reconcile a"]);
    }
    t.news(1, "a", TaskState::Lost, 2);
    t.forget_lines();
    t.pass(PING);
    t.did(["to agent-1: Ping 3"]);
}

#[test]
fn of_two_agents_with_one_id_the_one_that_lives_keeps_it() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.forget_lines();
    t.agent_returns(1, 2, Vec::new());
    t.did(["to agent-1: Ping 1"]);
    t.agent_says(agent_pid(1, 1), AgentToMaster::Pong { sequence: 1 });
    t.did([
        "to agent-1 (life 2): Refused: agent c-S0 is already here, and its process lives: give this one a work directory of its own",
    ]);
}

#[test]
fn of_two_agents_with_one_id_the_one_that_is_silent_loses_it() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.forget_lines();
    t.agent_returns(1, 2, Vec::new());
    t.pass(Duration::from_secs(3));
    t.agent_returns(1, 2, Vec::new());
    t.did(["to agent-1: Ping 1"]);
    t.pass(Duration::from_secs(3));
    t.agent_returns(1, 2, Vec::new());
    t.did(["to agent-1 (life 2): Registered(c-S0) in epoch 1"]);
    t.down(agent_pid(1, 1)); // late
    t.pass(PING);
    t.did(["to agent-1 (life 2): Ping 1"]);
}

#[test]
fn a_master_that_hears_of_a_later_reign_steps_down() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.forget_lines();
    t.agent_says(agent_pid(1, 1), AgentToMaster::EpochRefused { epoch: 1, seen: 1 });
    t.did([]);
    t.agent_says(agent_pid(1, 1), AgentToMaster::EpochRefused { epoch: 1, seen: 2 });
    t.did(["step down: an agent that saw epoch 2 refused a command of epoch 1"]);
}

#[test]
fn an_agent_of_another_cluster_is_refused_in_words_and_deposes_nobody() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.forget_lines();
    for epoch in [1, 9] {
        let message = AgentToMaster::Reregister {
            agent: agent_id(1),
            info: agent_info(2),
            tasks: Vec::new(),
            executors: Vec::new(),
            frameworks: Vec::new(),
            epoch,
            cluster: ClusterId::new("other"),
        };
        t.agent_says(agent_pid(2, 1), message);
        t.did([
            "to agent-2: Refused: agent c-S0 belongs to cluster other, but this master leads cluster c: give the agent another --work_dir to join this one, or that cluster's --master",
        ]);
        // Whoever is no agent of this cluster counts other reigns.
        t.agent_says(agent_pid(2, 1), AgentToMaster::EpochRefused { epoch: 1, seen: 9 });
        t.did([]);
    }
}

#[test]
fn an_agent_of_this_cluster_that_saw_a_later_reign_deposes_its_master() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.down(agent_pid(1, 1));
    t.forget_lines();
    let message = AgentToMaster::Reregister {
        agent: agent_id(1),
        info: agent_info(1),
        tasks: Vec::new(),
        executors: Vec::new(),
        frameworks: Vec::new(),
        epoch: 2,
        cluster: ClusterId::new("c"),
    };
    t.agent_says(agent_pid(1, 1), message);
    t.did(["step down: agent c-S0 has seen epoch 2"]);
}

/// Word that its actor has stopped is urgent and takes another lane than the last that this said.
#[test]
fn an_agent_that_leaves_is_removed_also_when_it_is_heard_to_have_stopped_before() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.down(agent_pid(1, 1));
    t.forget_lines();
    t.agent_says(agent_pid(2, 1), AgentToMaster::Unregister);
    assert!(t.master.agents.contains_key(&agent_id(1)), "of another");
    t.agent_says(agent_pid(1, 1), AgentToMaster::Unregister);
    assert!(!t.master.agents.contains_key(&agent_id(1)));
}

#[test]
fn an_agent_that_leaves_takes_its_tasks_along() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    t.agent_says(agent_pid(1, 1), AgentToMaster::Unregister);
    t.did([
        "to scheduler-1: a Gone, AgentRemoved: agent c-S0 is gone",
        "to scheduler-1: AgentLost c-S0",
    ]);
    assert!(t.written.agents.is_empty());
    t.agent_joins(2);
    t.did(["to agent-2: Registered(c-S1) in epoch 1", "to scheduler-1: O2 of S1: cpus:4;mem:4096"]);
}

#[test]
fn part_09_an_agent_that_returns_though_it_was_removed_is_asked_to_end_itself() {
    let mut t = Scenario::with(Config { agents_max: 1, ..Config::default() });
    t.agent_joins(1);
    t.down(agent_pid(1, 1));
    t.pass(Config::default().agent_reregister_timeout);
    t.agent_joins(2); // makes room for itself
    t.forget_lines();
    let words = "agent c-S0 is not known to cluster c any more: it was removed, so give it another --work_dir to join anew";
    let told = [format!("to agent-1: Shutdown: {words}"), format!("to agent-1: Refused: {words}")];
    t.agent_knocks(1, 5);
    assert_eq!(t.take_lines(), told);
    t.agent_returns(1, 2, vec![report(1, "a", TaskState::Running)]);
    assert_eq!(t.take_lines(), told.map(|line| line.replace("agent-1:", "agent-1 (life 2):")));
}

#[test]
fn part_10_the_tasks_of_an_agent_that_unregisters_are_lost_for_who_knows_no_partitions() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes_as(1, None, &[], Vec::new());
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    t.agent_says(agent_pid(1, 1), AgentToMaster::Unregister);
    t.did([
        "to scheduler-1: a Lost, AgentRemoved: agent c-S0 is gone",
        "to scheduler-1: AgentLost c-S0",
    ]);
    assert!(t.written.agents.is_empty());
}

/// The master does not hear it, and it hears the master: it would think that all is well until its pings fail to come.
#[test]
fn agent_04_an_agent_whose_loss_it_has_not_noticed_is_told_to_register_again() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.down(agent_pid(1, 1));
    t.pass(PING);
    assert_eq!(t.called_back, 1, "as often as it would be pinged");
    t.pass(PING);
    assert_eq!(t.called_back, 2);
    t.agent_says(agent_pid(1, 1), AgentToMaster::Pong { sequence: 1 });
    t.news(1, "a", TaskState::Running, 1);
    assert_eq!(t.called_back, 4, "and whenever it speaks");
    t.agent_returns(1, 1, Vec::new());
    t.pass(PING * 3);
    assert_eq!(t.called_back, 4);
}

#[test]
fn in_a_full_cluster_the_longest_unreachable_agent_makes_room() {
    let mut t = Scenario::with(Config { agents_max: 2, ..Config::default() });
    t.agent_joins(1);
    t.agent_joins(2);
    t.forget_lines();
    t.agent_joins(3);
    t.did(["to agent-3: Refused: the cluster has 2 agents, as many as it may"]);
    t.down(agent_pid(1, 1));
    t.pass(Config::default().agent_reregister_timeout);
    t.forget_lines();
    t.agent_joins(3);
    t.did(["to agent-3: Registered(c-S2) in epoch 1"]);
    assert!(!t.written.agents.contains_key(&agent_id(1)));
}

#[test]
fn a_launch_that_was_lost_is_asked_for() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.forget_lines();
    t.pass(PING);
    t.did(["to agent-1: Ping 1", "to agent-1: Reconcile a"]);
    t.news(1, "a", TaskState::Dropped, 1);
    t.did(["to scheduler-1: a Dropped", "to scheduler-1: O2 of S0: cpus:4;mem:4096"]);
}

#[test]
fn a_down_of_a_stranger_means_nothing() {
    let mut t = Scenario::new();
    t.step(Event::Down { pid: agent_pid(9, 1), reason: libactor::DownReason::Stopped });
    t.did([]);
}

#[test]
fn an_agent_that_died_before_it_noted_its_id_is_given_it_again() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.down(agent_pid(1, 1));
    t.forget_lines();
    let register = |nonce| AgentToMaster::Register { nonce, info: agent_info(1) };
    t.agent_says(agent_pid(1, 2), register(1));
    t.did([
        "to agent-1 (life 2): Registered(c-S0) in epoch 1",
        "to scheduler-1: a Dropped, AgentRestarted: agent c-S0 came back without it",
        "to scheduler-1: O2 of S0: cpus:4;mem:4096",
    ]);
    // Another agent at the same address is another agent, and proves nothing of the first one.
    t.down(agent_pid(1, 2));
    t.agent_says(agent_pid(1, 3), register(78));
    assert!(t.written.agents.contains_key(&agent_id(1)));
    assert!(t.written.agents.contains_key(&agent_id(2)));
}
