//! Agents that are away, as their frameworks and readers see it.

use std::time::Duration;

use protocol::agent::AgentToMaster;
use protocol::change::AgentState;
use protocol::fate::Fate;
use protocol::framework::{Capability, FrameworkToMaster};
use protocol::ids::{ClusterId, FrameworkId, MasterId, TaskId};
use protocol::operator::{ClusterView, List, ReadAnswer};
use protocol::task::{Source, TaskReport, TaskSpec, TaskState};

use super::scenario::{Scenario, agent_id, agent_pid, report, task};
use crate::config::Config;
use crate::logic::registry::RegistryOperation;
use crate::view::View;

const BACK_WITHIN: Duration = Duration::from_secs(600);

/// Agent 1 runs tasks of two frameworks: `c-0000` knows of partitions, `c-0001` does not.
fn two_frameworks() -> Scenario {
    with_tasks_of_the_second(vec![task("b", 1.0)])
}

fn with_tasks_of_the_second(tasks: Vec<TaskSpec>) -> Scenario {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.subscribes_as(2, None, &[], Vec::new());
    t.scheduler_says(1, FrameworkToMaster::Suppress);
    t.pass(Duration::from_secs(1));
    t.launches(2, 1, tasks);
    t.news(1, "a", TaskState::Running, 1);
    t.acknowledges(1, 1, "a", 1);
    news_of_b(&mut t, TaskState::Running, 2);
    t.forget_lines();
    t
}

fn news_of_b(t: &mut Scenario, state: TaskState, sequence: u64) {
    let status = super::scenario::status(1, "b", state, Some(sequence));
    let status = protocol::task::TaskStatus { framework: FrameworkId::new("c-0001"), ..status };
    t.agent_says(agent_pid(1, 1), AgentToMaster::Updated { status, latest: state });
}

fn view(t: &Scenario) -> View {
    let cluster = ClusterView {
        cluster: ClusterId::new("c"),
        master: MasterId::new("m"),
        epoch: 1,
        version: String::new(),
        change: 0,
        recovering: false,
    };
    let mut view = View::new(cluster, 10);
    t.changes.iter().cloned().for_each(|change| view.apply(change));
    view
}

fn states_of_tasks(t: &Scenario) -> Vec<TaskState> {
    let ReadAnswer::Tasks(all) = view(t).answer(List::Tasks) else { panic!() };
    all.iter().map(|task| task.report.state).collect()
}

fn state_of_agent(t: &Scenario) -> AgentState {
    let ReadAnswer::Agents(all) = view(t).answer(List::Agents) else { panic!() };
    all[0].state
}

#[test]
fn part_01_pings_every_15_seconds_and_five_misses_make_an_agent_unreachable_though_its_connection_is_open()
 {
    let config = Config::default();
    assert_eq!((config.ping_every, config.ping_misses_max), (Duration::from_secs(15), 5));
    let mut t = two_frameworks();
    // Nothing is heard of the link, so it is open.
    t.pass(config.ping_every * 5);
    assert_eq!(state_of_agent(&t), AgentState::Active);
    // One answer, and five in a row may be missed again.
    t.agent_says(agent_pid(1, 1), AgentToMaster::Pong { sequence: 5 });
    t.pass(config.ping_every * 5);
    assert_eq!(state_of_agent(&t), AgentState::Active);
    t.pass(config.ping_every);
    assert_eq!(state_of_agent(&t), AgentState::Unreachable);
    assert!(t.written.agents[&agent_id(1)].unreachable.is_some());
}

#[test]
fn part_02_an_agent_whose_connection_is_lost_is_not_offered_and_has_ten_minutes_to_return() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.forget_lines();
    t.down(agent_pid(1, 1));
    t.did(["to scheduler-1: Rescinded O1"]);
    assert_eq!(state_of_agent(&t), AgentState::Disconnected);
    t.allocator_is_slow = true;
    t.subscribes(2);
    t.did(["to scheduler-2: Subscribed(c-0001) []"]);
    assert!(t.proposals.is_empty(), "the allocator knows it as well: {:?}", t.proposals);
    t.allocator_is_slow = false;
    t.pass(BACK_WITHIN - Duration::from_secs(1));
    // It is back in time, and lost once more: it has all of the time again.
    t.agent_returns(1, 1, Vec::new());
    assert_eq!(state_of_agent(&t), AgentState::Active);
    t.down(agent_pid(1, 1));
    t.pass(BACK_WITHIN - Duration::from_secs(1));
    assert_eq!(t.written.agents[&agent_id(1)].unreachable, None);
    t.pass(Duration::from_secs(1));
    assert!(t.written.agents[&agent_id(1)].unreachable.is_some());
}

#[test]
fn part_03_unreachable_is_written_then_told_in_the_words_of_each_framework_and_the_tasks_stay() {
    let mut t = two_frameworks();
    t.down(agent_pid(1, 1));
    t.registrar_is_slow = true;
    t.pass(BACK_WITHIN);
    t.did([]);
    assert!(matches!(t.unwritten[0], RegistryOperation::MarkUnreachable { .. }));
    // Who reads hears no sooner than the frameworks.
    assert_eq!(state_of_agent(&t), AgentState::Disconnected);
    assert_eq!(states_of_tasks(&t), [TaskState::Running; 2]);
    t.write();
    t.did([
        "to scheduler-1: a Unreachable, AgentRemoved: its agent is unreachable",
        "to scheduler-2: b Lost, AgentRemoved: its agent is unreachable",
        "to scheduler-1: AgentLost c-S0",
        "to scheduler-2: AgentLost c-S0",
    ]);
    assert_eq!(state_of_agent(&t), AgentState::Unreachable);
    assert_eq!(states_of_tasks(&t), [TaskState::Unreachable; 2]);
}

/// It need not say all again once that is written.
#[test]
fn an_agent_that_is_back_while_it_is_written_down_as_unreachable_is_welcome_after_that() {
    let mut t = two_frameworks();
    t.registrar_is_slow = true;
    t.down(agent_pid(1, 1));
    t.pass(Config::default().agent_reregister_timeout);
    t.agent_knocks(1, 0);
    t.forget_lines();
    t.agent_returns(1, 1, Vec::new());
    t.did([]);
    t.write();
    t.write();
    assert!(t.unwritten.is_empty());
    let lines = t.take_lines();
    assert!(lines.contains(&"to agent-1: Registered(c-S0) in epoch 1".to_owned()), "{lines:?}");
    assert_eq!(state_of_agent(&t), AgentState::Active);
}

#[test]
fn part_04_the_tasks_of_an_agent_that_returns_come_back_whatever_their_frameworks_know() {
    let mut t = two_frameworks();
    t.down(agent_pid(1, 1));
    t.pass(BACK_WITHIN);
    t.forget_lines();
    let mut b = report(1, "b", TaskState::Running);
    b.framework = FrameworkId::new("c-0001");
    t.agent_returns(1, 1, vec![report(1, "a", TaskState::Running), b]);
    t.did([
        "to agent-1: Registered(c-S0) in epoch 1",
        "to scheduler-1: a Running, AgentReregistered: its agent is back",
        "to scheduler-2: b Running, AgentReregistered: its agent is back",
        // It knew it as another.
        "to agent-1: FrameworkUpdated c-0001",
    ]);
    assert_eq!(t.updated.last().map(|status| status.source), Some(Source::Master));
    assert_eq!(t.written.agents[&agent_id(1)].unreachable, None);
    assert_eq!(state_of_agent(&t), AgentState::Active);
    assert_eq!(states_of_tasks(&t), [TaskState::Running; 2]);
    // It lives on, and its news is news again.
    news_of_b(&mut t, TaskState::Finished, 3);
    assert_eq!(t.take_lines()[0], "to scheduler-2: b Finished");
}

#[test]
fn recon_08_what_a_returning_agent_lacks_is_reconciled_and_kills_are_said_again() {
    let mut t = with_tasks_of_the_second(vec![task("b", 1.0), task("lost", 1.0)]);
    t.down(agent_pid(1, 1));
    t.scheduler_says(
        1,
        FrameworkToMaster::Kill { task: TaskId::new("a"), agent: None, grace: None },
    );
    t.forget_lines();
    let mut b = report(1, "b", TaskState::Running);
    b.framework = FrameworkId::new("c-0001");
    // The very same process: the launch of `lost` never reached it.
    t.agent_returns(1, 1, vec![report(1, "a", TaskState::Running), b]);
    let lines = t.take_lines();
    assert_eq!(
        lines[..3],
        [
            "to agent-1: Registered(c-S0) in epoch 1",
            "to agent-1: Kill a",
            "to agent-1: Reconcile lost"
        ]
    );
    let status = super::scenario::status(1, "lost", TaskState::Dropped, Some(9));
    let status = protocol::task::TaskStatus { framework: FrameworkId::new("c-0001"), ..status };
    t.agent_says(agent_pid(1, 1), AgentToMaster::Updated { status, latest: TaskState::Dropped });
    assert_eq!(t.take_lines()[0], "to scheduler-2: lost Lost");
    // Another process of the agent has none of it.
    t.down(agent_pid(1, 1));
    t.agent_returns(1, 2, Vec::new());
    let lines = t.take_lines();
    let ends: Vec<&String> = lines.iter().filter(|line| line.contains("came back")).collect();
    assert_eq!(
        ends,
        [
            "to scheduler-1: a Lost, AgentRestarted: agent c-S0 came back without it",
            "to scheduler-2: b Lost, AgentRestarted: agent c-S0 came back without it",
        ]
    );
}

/// Of the first framework, which knows of partitions; each runs on agent 1.
fn with_fates() -> Scenario {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.launches(1, 1, vec![kept(), ended(), task("plain", 1.0)]);
    t.news(1, "kept", TaskState::Running, 1);
    t.news(1, "ended", TaskState::Running, 2);
    t.news(1, "plain", TaskState::Running, 3);
    t.forget_lines();
    t
}

fn kept() -> TaskSpec {
    task("kept", 1.0).when_unreachable(Fate::Keep)
}

fn ended() -> TaskSpec {
    task("ended", 1.0).when_unreachable(Fate::End)
}

fn runs(spec: TaskSpec) -> TaskReport {
    TaskReport { spec: spec.clone().into(), ..report(1, spec.task.as_str(), TaskState::Running) }
}

fn all_run() -> Vec<TaskReport> {
    vec![runs(kept()), runs(ended()), runs(task("plain", 1.0))]
}

fn used(t: &Scenario) -> String {
    t.master.used_on(&agent_id(1)).to_string()
}

#[test]
fn tasks_of_one_framework_are_kept_or_ended_as_it_said_of_each() {
    let mut t = with_fates();
    t.down(agent_pid(1, 1));
    t.pass(BACK_WITHIN);
    t.did([
        "to scheduler-1: ended Lost, AgentRemoved: its agent is unreachable, and it was to end then",
        "to scheduler-1: kept Unreachable, AgentRemoved: its agent is unreachable",
        "to scheduler-1: plain Unreachable, AgentRemoved: its agent is unreachable",
        "to scheduler-1: AgentLost c-S0",
    ]);
    assert_eq!(used(&t), "cpus:2;mem:256", "what has ended holds nothing");
    t.agent_returns(1, 1, all_run());
    t.did([
        "to agent-1: Registered(c-S0) in epoch 1",
        "to scheduler-1: kept Running, AgentReregistered: its agent is back",
        "to scheduler-1: plain Running, AgentReregistered: its agent is back",
        "to agent-1: Kill ended",
    ]);
    assert_eq!(used(&t), "cpus:3;mem:384", "until it really has");
    // A kill may be lost.
    t.pass(t.config.ping_every);
    assert!(t.take_lines().contains(&"to agent-1: Kill ended".to_owned()));
    t.news(1, "ended", TaskState::Killed, 4);
    t.acknowledges(1, 1, "ended", 4);
    assert_eq!(used(&t), "cpus:2;mem:256");
    // Not every loss of a connection: it is told of unreachable agents.
    t.down(agent_pid(1, 1));
    t.forget_lines();
    t.agent_returns(1, 1, vec![runs(kept()), runs(task("plain", 1.0))]);
    t.did(["to agent-1: Registered(c-S0) in epoch 1", "to scheduler-1: O3 of S0: cpus:2;mem:3840"]);
}

#[test]
fn a_task_that_is_to_end_runs_on_if_its_agent_is_back_in_time() {
    let mut t = with_fates();
    t.down(agent_pid(1, 1));
    t.pass(BACK_WITHIN - Duration::from_secs(1));
    t.forget_lines();
    t.agent_returns(1, 1, all_run());
    t.did(["to agent-1: Registered(c-S0) in epoch 1"]);
}

#[test]
fn a_later_reign_keeps_and_ends_tasks_as_well_though_it_learns_of_them_from_their_agent() {
    let mut t = with_fates();
    t.down(agent_pid(1, 1));
    t.pass(BACK_WITHIN);
    let mut t = t.restart("m2");
    t.agent_returns(1, 1, all_run());
    assert_eq!(
        t.take_lines(),
        ["to agent-1: Registered(c-S0) in epoch 2", "to agent-1: Kill ended"]
    );
    assert_eq!(states_of_tasks(&t), [TaskState::Running; 3]);
    // The next one finds it in the registry as any other, and has given it up itself.
    let mut t = t.restart("m3");
    t.agent_returns(1, 1, all_run());
    t.down(agent_pid(1, 1));
    t.pass(BACK_WITHIN);
    assert_eq!(states_of_tasks(&t)[1..], [TaskState::Unreachable; 2]);
    assert_eq!(used(&t), "cpus:2;mem:256");
}

#[test]
fn a_framework_that_knows_no_partitions_hears_of_them_where_a_task_is_to_be_kept() {
    let mut t = with_tasks_of_the_second(vec![task("b", 1.0), kept(), ended()]);
    t.down(agent_pid(1, 1));
    t.pass(BACK_WITHIN);
    assert_eq!(
        t.take_lines()[1..4],
        [
            "to scheduler-2: b Lost, AgentRemoved: its agent is unreachable",
            "to scheduler-2: ended Lost, AgentRemoved: its agent is unreachable, and it was to end then",
            "to scheduler-2: kept Unreachable, AgentRemoved: its agent is unreachable",
        ]
    );
}

#[test]
fn what_was_ended_and_is_launched_anew_elsewhere_is_killed_where_it_was() {
    let mut t = with_fates();
    t.down(agent_pid(1, 1));
    t.pass(BACK_WITHIN);
    t.agent_joins(2);
    t.launches(1, 2, vec![ended()]);
    t.forget_lines();
    t.agent_returns(1, 1, all_run());
    assert!(t.take_lines().contains(&"to agent-1: Kill ended".to_owned()));
    assert_eq!(t.master.used_on(&agent_id(2)).to_string(), "cpus:1;mem:128");
}

#[test]
fn op_17_the_id_of_a_task_that_is_out_of_reach_is_in_use() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    // As frameworks of Mesos's API are.
    let capabilities = [Capability::PartitionAware, Capability::NamesItself];
    t.subscribes_as(1, None, &capabilities, Vec::new());
    t.launches(1, 1, vec![task("a", 1.0)]);
    t.news(1, "a", TaskState::Running, 1);
    t.down(agent_pid(1, 1));
    t.pass(BACK_WITHIN);
    t.agent_joins(2);
    t.forget_lines();
    t.launches(1, 2, vec![task("a", 1.0), task("b", 1.0)]);
    let lines = t.take_lines();
    let words = "a Error, TaskInvalid: Task reuses the ID of an unreachable task: a";
    assert!(lines[0].ends_with(words), "{lines:?}");
    assert!(lines.contains(&"to agent-2: Launch b".to_owned()), "{lines:?}");
}

#[test]
fn a_task_with_another_word_for_its_fate_is_refused() {
    let mut t = Scenario::new();
    t.agent_joins(1);
    t.subscribes(1);
    t.forget_lines();
    let mut odd = ended();
    let bytes = odd.carried.as_bytes();
    let at = bytes.len() - "end".len();
    odd.carried = protocol::carried::Carried::from_bytes([&bytes[..at], b"eat"].concat());
    t.launches(1, 1, vec![odd]);
    let lines = t.take_lines();
    assert_eq!(
        lines[0],
        "to scheduler-1: ended Error, TaskInvalid: the task cannot be launched: the label airside.unreachable is 'eat', and it may be 'keep' or 'end'; 'end' kills it when its agent is back, 'keep' lets it run on"
    );
}
