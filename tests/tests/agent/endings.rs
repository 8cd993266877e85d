//! Tasks, executors and agents that are ended: nothing of them may live on.

use std::time::Duration;

use protocol::agent::AgentToMaster;
use protocol::task::*;

use crate::own_executors::NoFiles;
use crate::stage::*;

/// Writes the number of a process that has left its session and its parent, and ignores the polite signal.
const DAEMON: &str =
    "(setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 1; done' &)";

#[tokio::test]
async fn a_task_that_ends_politely_is_given_the_time() {
    let mut stage = Stage::new().await;
    stage
        .launch("t", "trap 'echo bye; exit 0' TERM; echo $$ > ready; while :; do sleep 0.01; done");
    stage.number("t", "ready").await;
    stage.kill("t");
    stage.hears_state("t", TaskState::Killing).await;
    let killed = stage.hears_state("t", TaskState::Killed).await;
    assert_eq!(killed.exit, Some(Exit::Code(0)));
    assert!(stage.output("t").await.contains("bye"));
    stage.end().await;
}

#[tokio::test]
async fn a_task_that_ignores_the_polite_signal_is_killed() {
    let mut stage = Stage::new().await;
    stage.launch("t", "trap '' TERM; echo $$ > ready; while :; do sleep 0.01; done");
    let process = stage.number("t", "ready").await;
    stage.kill("t");
    let killed = stage.hears_state("t", TaskState::Killed).await;
    assert_eq!(killed.exit, Some(Exit::Signal(9)));
    assert!(!lives(process), "told only when nothing lives");
    stage.end().await;
}

#[tokio::test]
async fn a_task_whose_processes_cannot_be_seen_is_asked_to_end_and_not_taken_for_ended() {
    let mut stage = Stage::new().await;
    let line = "trap 'exit 7' TERM; echo $$ > ready; while :; do sleep 0.01; done";
    stage.launch("t", &format!("{DAEMON}; {line}"));
    let daemon = stage.number("t", "daemon").await;
    let task = stage.number("t", "ready").await;
    let executor = stage.executor("t").await;
    let blind = NoFiles::of(executor);
    stage.kill("t");
    // The one process that the executor knows without looking.
    dies(task).await;
    stage.is_said("t", "stderr", "cannot see all processes of the task: ").await;
    assert!(lives(daemon) && lives(executor));
    drop(blind);
    let killed = stage.hears_state("t", TaskState::Killed).await;
    assert_eq!(killed.exit, Some(Exit::Code(7)));
    assert!(!lives(daemon), "told only when nothing lives");
    stage.end().await;
}

#[tokio::test]
async fn a_daemon_that_left_its_session_dies_with_its_task() {
    let mut stage = Stage::new().await;
    stage.launch("killed", &format!("{DAEMON}; exec sleep 1000"));
    let daemon = stage.number("killed", "daemon").await;
    stage.kill("killed");
    stage.hears_state("killed", TaskState::Killed).await;
    assert!(!lives(daemon), "killed with its task");
    // And so does one whose task ends by itself.
    stage.launch("ended", &format!("{DAEMON}; while [ ! -s daemon ]; do sleep 0.01; done"));
    let daemon = stage.number("ended", "daemon").await;
    stage.hears_state("ended", TaskState::Finished).await;
    assert!(!lives(daemon), "gone when its task is told to have ended");
    stage.end().await;
}

#[tokio::test]
async fn a_killed_executor_takes_its_task_along_and_says_how_it_ended() {
    let mut stage = Stage::new().await;
    stage.launch("t", &format!("{DAEMON}; echo $$ > ready; exec sleep 1000"));
    let (daemon, task) = (stage.number("t", "daemon").await, stage.number("t", "ready").await);
    stage.hears_state("t", TaskState::Running).await;
    kill_9(stage.executor("t").await);
    let failed = stage.hears_state("t", TaskState::Failed).await;
    assert!(!lives(task) && !lives(daemon), "told only when nothing lives");
    assert_eq!(failed.reason, Some(Reason::ExecutorTerminated));
    assert_eq!(failed.exit, Some(Exit::Signal(9)));
    assert!(failed.message.contains("was killed by signal 9 (SIGKILL)"), "{}", failed.message);
    // The task's id is free again once its end is acknowledged.
    stage.launch("t", "true");
    stage.hears_state("t", TaskState::Finished).await;
    stage.end().await;
}

#[tokio::test]
async fn what_a_killed_executor_left_ends_whatever_it_says_of_itself() {
    let mut stage = Stage::with_program("true").await;
    let liar = "(env AIRSIDE_CONTAINER_ID=x setsid sh -c 'echo $$ > liar; exec sleep 1000' &)";
    stage.launch("t", &format!("{liar}; exec sleep 1000"));
    let liar = stage.number("t", "liar").await;
    stage.hears_state("t", TaskState::Running).await;
    kill_9(stage.executor("t").await);
    stage.hears_state("t", TaskState::Failed).await;
    assert!(!lives(liar), "told only when nothing lives");
    stage.end().await;
}

#[tokio::test]
async fn an_executor_whose_agent_does_not_come_back_in_time_kills_its_task_and_ends() {
    let mut stage = Stage::with_recovery_timeout(Duration::from_millis(300)).await;
    stage.launch("t", &format!("{DAEMON}; exec sleep 1000"));
    let daemon = stage.number("t", "daemon").await;
    let task = stage.hears_state("t", TaskState::Running).await.process.unwrap();
    let executor = stage.executor("t").await;
    stage.lose_agent().await;
    for process in [task, daemon, executor] {
        dies(process).await;
    }
    stage.end().await;
}

#[tokio::test]
async fn agent_06_a_returning_agent_registers_only_once_executors_that_are_missing_are_dead() {
    let mut stage = Stage::new().await;
    stage.launch("t", &format!("{DAEMON}; exec sleep 1000"));
    let daemon = stage.number("t", "daemon").await;
    let task = stage.hears_state("t", TaskState::Running).await.process.unwrap();
    let executor = stage.executor("t").await;
    // A frozen executor cannot come back to its agent.
    freeze(executor).await;
    stage.lose_agent().await;
    assert!(lives(task) && lives(executor));
    stage.start_agent().await;
    let again = stage.hears("Reregister").await;
    assert!(!lives(task) && !lives(daemon) && !lives(executor), "dead before it registers");
    let AgentToMaster::Reregister { agent, tasks, executors, .. } = again else {
        panic!("{again:?}")
    };
    assert_eq!((agent.as_str(), tasks.len(), executors.len()), ("S1", 1, 0));
    let failed = stage.hears_state("t", TaskState::Failed).await;
    assert!(failed.message.contains("did not come back to its agent in time"), "{failed:?}");
    // It works as before.
    stage.launch("u", "true");
    stage.hears_state("u", TaskState::Finished).await;
    stage.end().await;
}

#[tokio::test]
async fn an_agent_that_leaves_takes_everything_along_and_comes_back_as_another() {
    let mut stage = Stage::new().await;
    stage.launch("t", &format!("{DAEMON}; exec sleep 1000"));
    let daemon = stage.number("t", "daemon").await;
    let task = stage.hears_state("t", TaskState::Running).await.process.unwrap();
    let executor = stage.executor("t").await;
    assert!(stage.agent().metrics().await.contains("airside_agent_tasks 1\n"));
    assert_eq!(stage.agent_leaves().await, "the agent was ended by its operator");
    assert!(!lives(task) && !lives(daemon) && !lives(executor));
    let failed = stage.hears_state("t", TaskState::Failed).await;
    assert_eq!(failed.reason, Some(Reason::AgentRemoved));
    stage.hears("Unregister").await;
    stage.start_agent().await;
    stage.hears("Register ").await;
    stage.end().await;
}

#[tokio::test]
async fn whoever_waits_for_an_agents_end_hears_of_it_when_its_node_is_shut_down() {
    let mut stage = Stage::new().await;
    let running = stage.agent().clone();
    let waits = tokio::spawn(async move { running.ended().await });
    stage.lose_agent().await;
    let end = tokio::time::timeout(Duration::from_secs(30), waits).await;
    assert_eq!(end.unwrap().unwrap(), agent::logic::End::NodeEnded);
    stage.end().await;
}

#[tokio::test]
async fn two_agents_do_not_share_a_work_dir() {
    let stage = Stage::new().await;
    let node = libactor::Node::start(libactor::NodeConfig::loopback()).await.unwrap();
    let error = agent::start(&node, stage.agent_config()).unwrap_err().to_string();
    assert!(error.contains("another agent uses the work directory"), "{error}");
    node.shutdown().await;
    stage.end().await;
}

#[tokio::test]
async fn part_10_an_agent_that_gets_sigusr1_ends_its_tasks_and_leaves_the_cluster_for_good() {
    let mut stage = Stage::with_program("true").await;
    stage.launch("t", "exec sleep 1000");
    let task = stage.hears_state("t", TaskState::Running).await.process.unwrap();
    stage.program().signal(nix::sys::signal::Signal::SIGUSR1);
    let end = stage.hears_state("t", TaskState::Failed).await;
    assert_eq!(end.reason, Some(Reason::AgentRemoved));
    stage.hears("Unregister").await;
    assert!(!lives(task));
    assert!(stage.program().ended().success());
    // Its next life is another agent.
    stage.lose_agent().await;
    stage.start_program("true");
    stage.hears("Register").await;
    stage.end().await;
}

#[tokio::test]
async fn an_agent_that_leaves_and_is_told_once_more_ends_at_once() {
    use nix::sys::signal::Signal;
    let mut stage = Stage::with_program("true").await;
    // Told to end, it does not.
    let line = "trap 'echo $$ > asked' TERM; echo $$ > ready; while :; do sleep 0.01; done";
    stage.launch("t", line);
    let task = stage.number("t", "ready").await;
    stage.hears_state("t", TaskState::Running).await;
    stage.program().signal(Signal::SIGINT);
    stage.number("t", "asked").await;
    // That is what terminals say that close, and more than once: no second word.
    stage.program().signal(Signal::SIGHUP);
    assert_eq!(stage.output("t").await, "");
    stage.program().signal(Signal::SIGTERM);
    assert_eq!(stage.program().ended().code(), Some(1));
    stage.program().says("told a second time to end");
    assert!(lives(task), "nobody waited for it");
    stage.lose_agent().await;
    stage.start_program("true");
    stage.hears("Reregister").await;
    stage.end().await;
}
