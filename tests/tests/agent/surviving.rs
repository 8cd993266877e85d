//! Agents that die and come back: what they started runs on, comes back to them, and loses none of its news.

use std::time::Duration;

use libactor::Secret;
use protocol::agent::AgentToMaster;
use protocol::task::*;

use crate::stage::*;

/// Says its number, and ends with this status as soon as the file `go` is there.
const WAITS: &str = "echo $$ > own; while [ ! -e go ]; do sleep 0.01; done; exit 3";

fn command(value: &str) -> CommandSpec {
    CommandSpec { value: value.into(), shell: true, ..CommandSpec::default() }
}

/// The tasks that an agent says it has, with their states.
fn tasks_of(message: AgentToMaster) -> Vec<(String, TaskState)> {
    let AgentToMaster::Reregister { tasks, .. } = message else { panic!("{message:?}") };
    tasks.iter().map(|report| (report.spec.task.to_string(), report.state)).collect()
}

#[tokio::test]
async fn agent_06_a_task_runs_on_while_its_agent_is_killed_and_started_again() {
    let mut stage = Stage::with_program("true").await;
    stage.launch("t", WAITS);
    let task = stage.number("t", "own").await;
    stage.hears_state("t", TaskState::Running).await;
    let executor = stage.executor("t").await;
    for _ in 0..3 {
        stage.lose_agent().await;
        assert!(lives(task) && lives(executor));
        // It has another port each time.
        stage.start_program("true");
        assert_eq!(tasks_of(stage.hears("Reregister").await), [("t".into(), TaskState::Running)]);
        assert_eq!(stage.executor("t").await, executor);
    }
    std::fs::write(stage.sandbox("t").join("go"), "").unwrap();
    let failed = stage.hears_end("t").await;
    assert_eq!((failed.state, failed.exit), (TaskState::Failed, Some(Exit::Code(3))));
    dies(executor).await;
    // And it can be killed as if nothing had been.
    stage.launch("u", "exec sleep 1000");
    stage.hears_state("u", TaskState::Running).await;
    stage.lose_agent().await;
    stage.start_program("true");
    stage.hears("Reregister").await;
    stage.kill("u");
    let killed = stage.hears_end("u").await;
    assert_eq!((killed.state, killed.exit), (TaskState::Killed, Some(Exit::Signal(15))));
    stage.end().await;
}

#[tokio::test]
async fn executors_reach_the_next_life_of_their_agent_with_the_secret_that_the_former_lent() {
    let mut stage = Stage::with_secret(Secret::new(&[7; 32]).unwrap()).await;
    stage.launch("t", WAITS);
    stage.hears_state("t", TaskState::Running).await;
    stage.lose_agent().await;
    stage.start_agent().await;
    assert_eq!(tasks_of(stage.hears("Reregister").await), [("t".into(), TaskState::Running)]);
    std::fs::write(stage.sandbox("t").join("go"), "").unwrap();
    assert_eq!(stage.hears_end("t").await.exit, Some(Exit::Code(3)));
    stage.end().await;
}

#[tokio::test]
async fn how_a_task_ended_is_known_though_its_agent_was_away_and_its_executor_is_dead() {
    let mut stage = Stage::with_program("true").await;
    stage.launch("t", WAITS);
    stage.hears_state("t", TaskState::Running).await;
    let executor = stage.executor("t").await;
    let records = stage.dir.path().join("agent/containers");
    stage.lose_agent().await;
    std::fs::write(stage.sandbox("t").join("go"), "").unwrap();
    appears(&records, "ended").await;
    kill_9(executor);
    dies(executor).await;
    stage.start_program("true");
    assert_eq!(tasks_of(stage.hears("Reregister").await), [("t".into(), TaskState::Failed)]);
    let failed = stage.hears_end("t").await;
    assert_eq!((failed.source, failed.exit), (Source::Executor, Some(Exit::Code(3))));
    assert!(failed.message.contains("exited with status 3"), "{}", failed.message);
    // Nothing is kept of what is told.
    stage.launch("u", "true");
    stage.hears_state("u", TaskState::Finished).await;
    empties(&records).await;
    stage.end().await;
}

#[tokio::test]
async fn an_executor_of_a_frameworks_own_runs_on_as_well_and_leaves_nothing_when_it_dies() {
    let mut stage = Stage::with_program("true").await;
    let program = command(&format!("exec {}", env!("CARGO_BIN_EXE_own-executor-for-tests")));
    let orphan = "(env -i setsid sh -c 'echo $$ > orphan; exec sleep 1000' > /dev/null 2>&1 &)";
    stage.launch_data("t", program.clone(), &format!("{orphan}; {WAITS}"));
    let own = stage.number("t", "own").await;
    let orphan = stage.number("t", "orphan").await;
    stage.hears_state("t", TaskState::Running).await;
    let shim = stage.executor("t").await;
    stage.lose_agent().await;
    stage.start_program("true");
    assert_eq!(tasks_of(stage.hears("Reregister").await), [("t".into(), TaskState::Running)]);
    assert!([own, orphan, shim].into_iter().all(lives));
    // It watches the new agent as it watched the old one.
    stage.lose_agent().await;
    stage.start_program("true");
    stage.hears("Reregister").await;
    assert!([own, orphan, shim].into_iter().all(lives));
    // Its executor dies, whatever it left.
    let below = child_of(shim);
    kill_9(below);
    let failed = stage.hears_end("t").await;
    assert!(![own, orphan].into_iter().any(lives), "told only when nothing lives");
    assert_eq!(failed.exit, Some(Exit::Signal(9)), "{}", failed.message);
    stage.end().await;
}

#[tokio::test]
async fn an_executor_of_a_frameworks_own_ends_when_the_agent_that_found_it_does_not_come_back() {
    let times = Duration::from_secs(3);
    let mut stage = Stage::with_program_and_recovery_timeout("true", times).await;
    let program = command(&format!("exec {}", env!("CARGO_BIN_EXE_own-executor-for-tests")));
    stage.launch_data("t", program, WAITS);
    let own = stage.number("t", "own").await;
    stage.hears_state("t", TaskState::Running).await;
    let shim = stage.executor("t").await;
    stage.lose_agent().await;
    stage.start_program("true");
    stage.hears("Reregister").await;
    stage.lose_agent().await;
    dies(own).await;
    dies(shim).await;
    stage.end().await;
}

#[tokio::test]
async fn agent_08_after_a_reboot_of_its_machine_an_agent_is_the_same_and_its_tasks_are_lost_once() {
    let mut stage = Stage::new().await;
    stage.launch("t", "exec sleep 1000");
    let task = stage.hears_state("t", TaskState::Running).await.process.unwrap();
    stage.launch("u", WAITS);
    stage.hears_state("u", TaskState::Running).await;
    let executors = [stage.executor("t").await, stage.executor("u").await];
    // What ends in time is known. Then the machine loses power, and nothing on it lives.
    let records = stage.dir.path().join("agent/containers");
    stage.lose_agent().await;
    std::fs::write(stage.sandbox("u").join("go"), "").unwrap();
    appears(&records, "ended").await;
    for process in executors.into_iter().chain([task]) {
        kill_9(process);
        dies(process).await;
    }
    stage.boot = Some("another".to_owned());
    stage.start_agent().await;
    let AgentToMaster::Reregister { agent, tasks, executors, .. } = stage.hears("Reregister").await
    else {
        panic!("it registered as another one")
    };
    assert_eq!((agent.as_str(), tasks.len(), executors.len()), ("S1", 2, 0));
    let lost = stage.hears_state("t", TaskState::Lost).await;
    assert_eq!((lost.source, lost.reason), (Source::Agent, Some(Reason::AgentRestarted)));
    assert_eq!(stage.hears_end("u").await.exit, Some(Exit::Code(3)));
    empties(&records).await;
    forgets_all_tasks(&stage.dir.path().join("agent/agent.checkpoint")).await;
    // Once: neither the next life of the agent nor the next boot knows of it.
    for boot in ["another", "a third"] {
        stage.lose_agent().await;
        stage.boot = Some(boot.to_owned());
        stage.start_agent().await;
        let again = stage.hears("Reregister").await;
        assert_eq!(tasks_of(again), []);
    }
    assert_eq!(stage.updates().filter(|status| status.state == TaskState::Lost).count(), 1);
    stage.launch("v", "true");
    stage.hears_state("v", TaskState::Finished).await;
    stage.end().await;
}

#[tokio::test]
async fn an_agent_that_is_stopped_by_a_signal_leaves_its_tasks_to_its_next_life() {
    use nix::sys::signal::Signal;
    let mut stage = Stage::with_program("true").await;
    stage.launch("t", WAITS);
    let task = stage.number("t", "own").await;
    stage.hears_state("t", TaskState::Running).await;
    for _ in 0..2 {
        stage.program().signal(Signal::SIGTERM);
        assert!(stage.program().ended().success());
        assert!(lives(task));
        stage.lose_agent().await;
        stage.start_program("true");
        assert_eq!(tasks_of(stage.hears("Reregister").await), [("t".into(), TaskState::Running)]);
    }
    std::fs::write(stage.sandbox("t").join("go"), "").unwrap();
    assert_eq!(stage.hears_end("t").await.exit, Some(Exit::Code(3)));
    stage.end().await;
}

#[tokio::test]
async fn agent_07_an_agent_started_to_clean_up_kills_all_and_forgets_who_it_was() {
    let mut stage = Stage::with_program("true").await;
    stage.launch("t", "exec sleep 1000");
    let task = stage.hears_state("t", TaskState::Running).await.process.unwrap();
    let executor = stage.executor("t").await;
    stage.lose_agent().await;
    stage.start_program("set -- \"$@\" --recover=cleanup");
    assert!(stage.program().ended().success());
    let said = stage.program().said.join("\n");
    assert!(said.contains("nothing of this agent's former life is left"), "{said}");
    assert!(!lives(task) && !lives(executor));
    stage.lose_agent().await;
    stage.start_program("true");
    stage.hears("Register ").await;
    stage.end().await;
}

#[tokio::test]
async fn agent_10_an_agent_may_be_configured_otherwise_while_its_tasks_run() {
    let mut stage = Stage::with_program("set -- \"$@\" --attributes=rack:a").await;
    stage.launch("t", WAITS);
    let task = stage.number("t", "own").await;
    stage.hears_state("t", TaskState::Running).await;
    for (flags, accepted) in [
        ("--attributes='rack:a;zone:1' --reconfiguration-policy=additive", true),
        ("--attributes='rack:a' --reconfiguration_policy=additive", false),
        ("--attributes='rack:a;zone:2' --reconfiguration-policy=equal", false),
        ("--attributes='rack:b' --hostname=elsewhere", true),
    ] {
        stage.lose_agent().await;
        let line = format!("set -- \"$@\" {flags}");
        if accepted {
            stage.start_program(&line);
            let again = stage.hears("Reregister").await;
            assert_eq!(tasks_of(again), [("t".into(), TaskState::Running)]);
        } else {
            stage.start_refused_program(&line, "the agent is not as it was: its attribute zone");
        }
        assert!(lives(task), "{flags}");
    }
    std::fs::write(stage.sandbox("t").join("go"), "").unwrap();
    assert_eq!(stage.hears_end("t").await.exit, Some(Exit::Code(3)));
    stage.end().await;
}
