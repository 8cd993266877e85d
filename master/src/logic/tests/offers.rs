//! Offers: made, answered, rescinded, run out; and what may be launched on them.

use std::time::Duration;

use api::v1;
use protocol::carried::Carried;
use protocol::framework::{Capability, FrameworkInfo, FrameworkToMaster, MasterToFramework};
use protocol::offer::{Constraint, Demand};
use protocol::resources::{Milli, Ranges, Resources};
use protocol::task::{CommandSpec, ExecutorSpec, Run, TaskSpec, TaskState};

use super::scenario::{
    Scenario, agent_id, agent_info, agent_pid, framework_info, scheduler_pid, task,
};
use crate::config::Config;
use crate::logic::{Effect, Event};

pub(super) fn offered() -> Scenario {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.did([
        "to agent-1: Registered(c-S0) in epoch 1",
        "to scheduler-1: Subscribed(c-0000) []",
        "to scheduler-1: O1 of S0: cpus:4;mem:4096",
    ]);
    t
}

#[test]
fn a_launch_uses_the_offer_and_the_rest_returns() {
    let mut t = offered();
    let offer = t.offer_of(1);
    t.accepts(1, vec![offer], vec![task("a", 1.0)], Duration::ZERO);
    t.did(["to agent-1: Launch a", "to scheduler-1: O2 of S0: cpus:3;mem:3968"]);
}

#[test]
fn what_is_declined_is_refused_for_a_while_and_then_offered_again() {
    let mut t = offered();
    let (offers, refuse_for) = (vec![t.offer_of(1)], Duration::from_secs(5));
    t.scheduler_says(1, FrameworkToMaster::Decline { offers, refuse_for });
    t.pass(Duration::from_secs(4));
    t.did([]);
    t.pass(Duration::from_secs(1));
    t.did(["to scheduler-1: O2 of S0: cpus:4;mem:4096"]);
}

#[test]
fn reviving_forgets_refusals_and_suppressing_stops_offers() {
    let mut t = offered();
    let (offers, refuse_for) = (vec![t.offer_of(1)], Duration::from_secs(5000));
    t.scheduler_says(1, FrameworkToMaster::Decline { offers, refuse_for });
    t.did([]);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.did(["to scheduler-1: O2 of S0: cpus:4;mem:4096"]);
    t.scheduler_says(1, FrameworkToMaster::Suppress);
    let (offers, refuse_for) = (vec![t.offer_of(1)], Duration::ZERO);
    t.scheduler_says(1, FrameworkToMaster::Decline { offers, refuse_for });
    t.did([]);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.did(["to scheduler-1: O3 of S0: cpus:4;mem:4096"]);
}

#[test]
fn offer_06_an_offer_nobody_answers_is_rescinded_and_goes_to_the_next() {
    let mut t = offered();
    t.subscribes(2);
    t.forget_lines();
    let held_until = t.now.steady + Config::default().offer_lease;
    assert_eq!(t.master.overdue(t.now.steady), []);
    let holder = protocol::ids::FrameworkId::new("c-0000");
    assert_eq!(t.master.overdue(held_until), [(t.offer_of(1), holder)], "who is named for it");
    let mut passes = |span| {
        t.pass(span);
        t.agent_says(agent_pid(1, 1), protocol::agent::AgentToMaster::Pong { sequence: 99 });
        let mut told = t.take_lines();
        told.retain(|line| !line.contains("Ping"));
        told
    };
    for _ in 0..19 {
        assert_eq!(passes(Duration::from_secs(15)), Vec::<String>::new());
    }
    assert_eq!(passes(Duration::from_secs(14)), Vec::<String>::new(), "not before its time");
    assert_eq!(
        passes(Duration::from_secs(1)),
        ["to scheduler-1: Rescinded O1", "to scheduler-2: O2 of S0: cpus:4;mem:4096"]
    );
}

#[test]
fn the_loss_of_its_scheduler_frees_the_offers() {
    let mut t = offered();
    t.subscribes(2);
    t.forget_lines();
    t.down(scheduler_pid(1));
    t.did(["to scheduler-2: O2 of S0: cpus:4;mem:4096"]);
}

#[test]
fn offers_that_are_void_launch_nothing_and_say_so() {
    let mut t = offered();
    let offer = t.offer_of(1);
    t.down(agent_pid(1, 1));
    t.forget_lines();
    t.accepts(1, vec![offer], vec![task("a", 1.0)], Duration::ZERO);
    t.did(["to scheduler-1: a Dropped, InvalidOffers: Offer m-O1 is no longer valid"]);
    t.accepts(1, vec![], vec![], Duration::ZERO);
    t.did(["to scheduler-1: Error: No offers specified"]);
}

#[test]
fn offer_08_offers_of_one_agent_and_role_are_used_together() {
    let mut t = offered();
    let offer = t.offer_of(1);
    t.accepts(1, vec![offer], vec![task("a", 1.0)], Duration::ZERO);
    t.news(1, "a", TaskState::Finished, 1);
    t.did([
        "to agent-1: Launch a",
        "to scheduler-1: O2 of S0: cpus:3;mem:3968",
        "to scheduler-1: a Finished",
        "to scheduler-1: O3 of S0: cpus:1;mem:128",
    ]);
    // Three cores of O2 and the one of O3, for a task of four.
    let both = ["m-O2", "m-O3"].map(protocol::ids::OfferId::new).to_vec();
    t.accepts(1, both, vec![task("b", 4.0)], Duration::ZERO);
    let told = t.take_lines();
    assert_eq!(told[0], "to agent-1: Launch b");
}

#[test]
fn offer_08_offers_of_two_agents_or_of_another_framework_are_not_mixed() {
    let mut t = offered();
    t.agent_joins(2);
    t.forget_lines();
    let (one, two) = (t.offer_of(1), t.offer_of(2));
    t.accepts(1, vec![one.clone(), two], vec![task("a", 1.0)], Duration::ZERO);
    let told = t.take_lines();
    assert_eq!(
        told[0],
        "to scheduler-1: a Dropped, InvalidOffers: offer m-O2 is of another agent or role than the offers before it"
    );
    t.subscribes(2);
    t.forget_lines();
    let one = t.offer_of(1);
    t.accepts(2, vec![one], vec![task("b", 1.0)], Duration::ZERO);
    let told = t.take_lines();
    assert!(
        told[0].contains("b Dropped, InvalidOffers") && told[0].contains("is not an offer to this"),
        "{told:?}"
    );
}

#[test]
fn offer_08_offers_of_one_agent_under_two_roles_are_not_mixed() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    let roles = vec!["a".parse().unwrap(), "b".parse().unwrap()];
    let info = FrameworkInfo { roles, ..framework_info("web", &[]) };
    let (nonce, framework, demand) = (1001, None, Vec::new());
    t.scheduler_says(1, FrameworkToMaster::Subscribe { nonce, framework, info, demand });
    let first = t.offer_of(1);
    t.accepts(1, vec![first], vec![task("a", 1.0)], Duration::ZERO);
    // What is left is for the role that has nothing, and so is not what comes free of the other.
    t.news(1, "a", TaskState::Finished, 1);
    let offers: Vec<_> = t.offered.iter().flat_map(|(_, offers)| offers).cloned().collect();
    let [.., one, other] = &offers[..] else { panic!("{offers:?}") };
    assert_ne!(one.role, other.role);
    t.forget_lines();
    let both = vec![one.offer.clone(), other.offer.clone()];
    t.accepts(1, both, vec![task("b", 1.0)], Duration::ZERO);
    let told = t.take_lines();
    assert!(
        told[0].contains("b Lost, InvalidOffers") && told[0].contains("agent or role"),
        "{told:?}"
    );
}

#[track_caller]
pub(super) fn refused(change: impl FnOnce(&mut TaskSpec), words: &str) {
    let mut t = offered();
    let mut spec = task("bad", 1.0);
    change(&mut spec);
    t.launches(1, 1, vec![spec, task("good", 1.0)]);
    let told = t.take_lines();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("Error, TaskInvalid") && told[0].contains(words), "{told:?}");
    assert_eq!(told[1], "to agent-1: Launch good");
}

#[test]
fn bad_tasks_are_refused_in_words_and_good_ones_beside_them_run() {
    refused(|t| t.resources = Resources::none(), "Task uses no resources");
    refused(|t| t.resources = Resources::cpus_mem(5.0, 1.0), "cpus:5 is missing");
    refused(|t| t.task = protocol::ids::TaskId::new("../x"), "must not be '.'");
    refused(|t| t.name = "x".repeat(5000), "the task's name has 5000, more than 4096");
    let command =
        |value: &str| Run::Command(CommandSpec { value: value.into(), ..CommandSpec::default() });
    refused(|t| t.run = command("  "), "the task's command is empty");
    refused(|t| t.run = command(&"x".repeat(2 << 20)), "more than 1048576");
}

#[test]
fn tasks_with_too_many_files_or_that_would_run_outside_their_image_are_refused() {
    let uri = v1::command_info::Uri { value: "http://h/x.tar".into(), ..Default::default() };
    let fetches = v1::CommandInfo { uris: vec![uri; 65], ..Default::default() };
    let command = CommandSpec {
        value: "run".into(),
        carried: Carried::new(&fetches),
        ..CommandSpec::default()
    };
    let words = "the task's command names 65 URIs to fetch, more than 64";
    let run = Run::Command(command.clone());
    refused(|t| t.run = run, words);
    let mut with = with_executor("x", 1.0, 1.0);
    if let Run::Executor { executor, .. } = &mut with.run {
        executor.command = command;
    }
    refused(|t| t.run = with.run, "the executor's command names 65 URIs to fetch");

    let docker = v1::container_info::DockerInfo { image: "nginx".into(), ..Default::default() };
    let container = v1::ContainerInfo { docker: Some(docker), ..Default::default() };
    let info = v1::TaskInfo { container: Some(container), ..Default::default() };
    let words = "the task asks for a container of a Docker engine (type DOCKER), which comes with";
    refused(|t| t.carried = Carried::new(&info), words);
    refused(|t| t.carried = Carried::from_bytes(vec![0xff]), "failed to decode 1 carried bytes");

    let mut t = offered();
    let plain = TaskSpec { carried: super::contained::contained(None), ..task("plain", 1.0) };
    t.launches(1, 1, vec![plain]);
    t.did(["to agent-1: Launch plain"]);
}

/// A peer may write what `Resources` itself would never hold.
#[test]
fn resources_that_are_negative_zero_or_out_of_order_are_refused() {
    #[derive(serde::Serialize)]
    struct Raw(Vec<(&'static str, Kind, Value)>);
    #[derive(serde::Serialize)]
    enum Kind {
        Unreserved,
    }
    #[derive(serde::Serialize)]
    enum Value {
        Scalar(i64),
    }
    let raw = |entries: &[(&'static str, i64)]| {
        let entries =
            entries.iter().map(|(name, amount)| (*name, Kind::Unreserved, Value::Scalar(*amount)));
        let bytes = libactor::wire::encode(&Raw(entries.collect()), 1 << 16).unwrap();
        libactor::wire::decode::<Resources>(&bytes).unwrap()
    };
    assert_eq!(raw(&[("cpus", 1000)]), Resources::none().with_scalar("cpus", Milli(1000)));
    refused(|t| t.resources = raw(&[("cpus", -1000)]), "cpus:-1: an amount must be more than zero");
    refused(|t| t.resources = raw(&[("cpus", 0)]), "cpus:0: an amount must be more than zero");
    refused(|t| t.resources = raw(&[("mem", 1), ("cpus", 1)]), "not in their normal form");
    refused(|t| t.resources = raw(&[("cpus", 1), ("cpus", 1)]), "not in their normal form");
}

pub(super) fn with_executor(id: &str, cpus: f64, executor_cpus: f64) -> TaskSpec {
    let executor = ExecutorSpec {
        executor: protocol::ids::ExecutorId::new("e"),
        name: "e".into(),
        command: CommandSpec { value: "run".into(), ..CommandSpec::default() },
        resources: Resources::cpus_mem(executor_cpus, 32.0),
        shutdown_grace: None,
    };
    TaskSpec { run: Run::Executor { executor, data: Vec::new() }, ..task(id, cpus) }
}

#[test]
fn an_executor_is_paid_for_once_and_must_stay_the_same() {
    let mut t = offered();
    t.launches(1, 1, vec![with_executor("a", 1.0, 1.0), with_executor("b", 1.5, 1.0)]);
    t.did(["to agent-1: Launch a", "to agent-1: Launch b"]);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.did(["to scheduler-1: O2 of S0: cpus:0.5;mem:3808"]);
    t.launches(1, 1, vec![with_executor("c", 0.1, 0.2)]);
    t.did(["to scheduler-1: c Error, TaskInvalid: executor 'e' runs on the agent with another description"]);
    // The executor goes with its last task, since it was said to have ended before.
    let ended = protocol::agent::AgentToMaster::ExecutorEnded {
        framework: protocol::ids::FrameworkId::new("c-0000"),
        executor: protocol::ids::ExecutorId::new("e"),
        container: protocol::ids::ContainerId::new("x"),
        exit: None,
    };
    t.agent_says(agent_pid(1, 1), ended);
    t.news(1, "a", TaskState::Failed, 1);
    t.news(1, "b", TaskState::Failed, 2);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    let held = t.master.holdings();
    assert_eq!(
        held.values().cloned().collect::<Vec<_>>(),
        [Resources::cpus_mem(4.0, 4096.0)],
        "all is offered"
    );
}

#[test]
fn a_proposal_for_an_earlier_generation_is_returned_not_offered() {
    let mut t = Scenario::new();
    t.allocator_is_slow = true;
    t.agent_joins(1);
    t.subscribes(1);
    assert_eq!(t.proposals.len(), 1);
    t.down(agent_pid(1, 1));
    t.agent_returns(1, 1, Vec::new());
    t.forget_lines();
    assert_eq!(t.proposals.len(), 2, "one for each generation");
    t.propose();
    t.did(["to scheduler-1: O1 of S0: cpus:4;mem:4096"]);
    let late = t.offer_of(1);
    t.accepts(1, vec![late], vec![task("a", 4.0)], Duration::ZERO);
    t.did(["to agent-1: Launch a"]);
}

#[test]
fn what_could_not_be_delivered_is_taken_back() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.forget_lines();
    let offer = protocol::offer::Offer {
        offer: t.offer_of(1),
        framework: protocol::ids::FrameworkId::new("c-0000"),
        agent: agent_id(1),
        at: agent_info(1).at,
        role: protocol::ids::Role::everybody(),
        resources: Resources::none(),
        attributes: vec![],
        executors: vec![],
    };
    let message = MasterToFramework::Offers(vec![offer.into()]);
    let effect = Effect::TellFramework { to: scheduler_pid(1), message };
    t.step(Event::Untold(effect.untold().unwrap()));
    t.did([]);
    t.pass(Duration::from_secs(1));
    t.did(["to scheduler-1: O2 of S0: cpus:4;mem:4096"]);
}

#[test]
fn a_scheduler_that_states_its_demand_gets_what_fits_and_nothing_else() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.agent_joins(2);
    t.subscribes_as(1, None, &[Capability::StatesDemand], Vec::new());
    t.forget_lines();
    t.pass(Duration::from_secs(5));
    t.did([]);
    let demand = |count, constraints| {
        let each = Resources::cpus_mem(1.5, 128.0);
        FrameworkToMaster::Demand(vec![Demand { each, count, constraints }])
    };
    t.scheduler_says(1, demand(3, Vec::new()));
    t.did([
        "to scheduler-1: O1 of S0: cpus:3;mem:256",
        "to scheduler-1: O2 of S1: cpus:1.5;mem:128",
    ]);
    t.scheduler_says(1, demand(3, Vec::new())); // said before it saw the offers
    t.did([]);
    t.launches(1, 2, vec![task("a", 1.5)]);
    t.scheduler_says(1, demand(2, Vec::new()));
    t.did(["to agent-2: Launch a"]);
    let there = Constraint::Is { attribute: "hostname".into(), value: "host2".into() };
    t.scheduler_says(1, demand(1, vec![there]));
    t.did(["to scheduler-1: O3 of S1: cpus:1.5;mem:128"]);
}

#[test]
fn a_demand_of_so_many_ports_is_offered_whichever_are_free() {
    let mut t = Scenario::new();
    let ports = Ranges::new([(31000, 31004), (32000, 32001)]);
    let resources = Resources::cpus_mem(8.0, 4096.0).with_ranges("ports", ports);
    let info = protocol::agent::AgentInfo { resources, ..agent_info(1) };
    t.agent_says(agent_pid(1, 1), protocol::agent::AgentToMaster::Register { nonce: 1, info });
    t.subscribes_as(1, None, &[Capability::StatesDemand], Vec::new());
    t.forget_lines();
    let demand = |each: u16, count: u32| {
        let constraints = vec![Constraint::Ports { each }];
        let each = Resources::cpus_mem(1.0, 64.0);
        FrameworkToMaster::Demand(vec![Demand { each, count, constraints }])
    };
    t.scheduler_says(1, demand(8, 1));
    t.did([
        "to scheduler-1: Unmet: no agent has cpus:1;mem:64 and 8 ports: the most that one has is cpus:8;mem:4096 and 7 ports",
    ]);
    // Three tasks would fit, but for their ports.
    t.scheduler_says(1, demand(3, 3));
    t.did(["to scheduler-1: O1 of S0: cpus:2;mem:128;ports:[31000-31004,32000-32000]"]);
    t.scheduler_says(1, demand(1, 3));
    t.did(["to scheduler-1: O2 of S0: cpus:1;mem:64;ports:[32001-32001]"]);
}

#[test]
fn a_call_beyond_the_limits_is_an_error() {
    let mut t = Scenario::with(Config { tasks_per_call_max: 1, ..Config::default() });
    t.agent_joins(1);
    t.subscribes(1);
    t.forget_lines();
    t.launches(1, 1, vec![task("a", 1.0), task("b", 1.0)]);
    t.did(["to scheduler-1: Error: a call's list of tasks has 2, more than 1"]);
}

pub(super) fn says(
    id: &str,
    state: TaskState,
    n: u64,
    source: protocol::task::Source,
) -> protocol::agent::AgentToMaster {
    let executor = Some(protocol::ids::ExecutorId::new("e"));
    let status = super::scenario::status(1, id, state, Some(n));
    let status = protocol::task::TaskStatus { executor, source, ..status };
    protocol::agent::AgentToMaster::Updated { status, latest: state }
}

fn held(t: &mut Scenario) -> Resources {
    t.scheduler_says(1, FrameworkToMaster::Suppress);
    let offers = vec![t.offer_of(1)];
    t.scheduler_says(1, FrameworkToMaster::Decline { offers, refuse_for: Duration::ZERO });
    t.master.holdings().into_values().next().unwrap_or_default()
}

#[test]
fn an_executor_that_is_being_shut_down_takes_no_tasks_until_it_has_ended() {
    let mut t = offered();
    t.launches(1, 1, vec![with_executor("a", 1.0, 1.0)]);
    t.agent_says(
        agent_pid(1, 1),
        says("a", TaskState::Running, 1, protocol::task::Source::Executor),
    );
    let executor = protocol::ids::ExecutorId::new("e");
    let shut =
        FrameworkToMaster::ShutdownExecutor { agent: agent_id(1), executor: executor.clone() };
    t.scheduler_says(1, shut);
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.forget_lines();
    t.launches(1, 1, vec![with_executor("b", 1.0, 1.0)]);
    assert_eq!(
        t.take_lines()[0],
        "to scheduler-1: b Dropped, ExecutorTerminated: executor e on c-S0 is being shut down"
    );
    t.agent_says(
        agent_pid(1, 1),
        says("a", TaskState::Killed, 2, protocol::task::Source::Executor),
    );
    let ended = protocol::agent::AgentToMaster::ExecutorEnded {
        framework: protocol::ids::FrameworkId::new("c-0000"),
        executor,
        container: protocol::ids::ContainerId::new("x"),
        exit: None,
    };
    t.agent_says(agent_pid(1, 1), ended);
    assert_eq!(held(&mut t), Resources::none());
    t.scheduler_says(1, FrameworkToMaster::Revive);
    t.forget_lines();
    t.launches(1, 1, vec![with_executor("b", 1.0, 1.0)]);
    assert_eq!(t.take_lines()[0], "to agent-1: Launch b");
}

#[test]
fn an_executor_whose_only_task_the_agent_refused_holds_nothing() {
    let mut t = offered();
    t.launches(1, 1, vec![with_executor("a", 1.0, 1.0)]);
    let mut refused = super::scenario::status(1, "a", TaskState::Error, Some(1));
    (refused.source, refused.executor) = (protocol::task::Source::Agent, None);
    let latest = refused.state;
    t.agent_says(
        agent_pid(1, 1),
        protocol::agent::AgentToMaster::Updated { status: refused, latest },
    );
    assert_eq!(held(&mut t), Resources::none());
}

#[test]
fn an_executor_that_is_idle_keeps_what_it_holds() {
    let mut t = offered();
    t.launches(1, 1, vec![with_executor("a", 1.0, 1.0)]);
    t.agent_says(
        agent_pid(1, 1),
        says("a", TaskState::Finished, 1, protocol::task::Source::Executor),
    );
    assert_eq!(held(&mut t), Resources::cpus_mem(1.0, 32.0));
}
