//! An agent without file descriptors: it says so, loses nothing, and goes on when there are some again.

use std::net::TcpStream;

use protocol::task::*;
use tests::few_descriptors;

use crate::stage::*;

/// Connections that say nothing, until the agent has no descriptor left to take one with.
fn exhaust(stage: &mut Stage) -> Vec<TcpStream> {
    let address = stage.name().to_string();
    let address = address.trim_start_matches("agent@");
    let open = tests::exhaust(address);
    stage.program().says("no connection accepted; trying again");
    assert!(stage.program().said.iter().any(|line| line.contains("Too many open files")));
    open
}

#[tokio::test]
async fn an_agent_without_descriptors_says_so_and_works_again() {
    let mut stage = Stage::with_program(&few_descriptors(48)).await;
    stage.launch("before", "true");
    stage.hears_state("before", TaskState::Finished).await;
    let silent = exhaust(&mut stage);
    stage.launch("without", "true");
    let failed = stage.hears_state("without", TaskState::Failed).await;
    let words = "Too many open files (os error 24); the agent has no file descriptors left: raise its limit (`ulimit -n`), or ask less of it";
    assert!(failed.message.ends_with(words), "{}", failed.message);
    drop(silent);
    // Until it has seen that they are closed.
    for n in 0.. {
        let task = format!("after-{n}");
        stage.launch(&task, "echo written");
        let ended = stage.hears_end(&task).await;
        if ended.state == TaskState::Finished {
            assert_eq!(stage.output(&task).await, "written\n");
            break;
        }
        assert!(ended.message.ends_with(words), "{}", ended.message);
    }
    stage.end().await;
}

#[tokio::test]
async fn an_agent_without_descriptors_does_not_take_for_dead_what_it_cannot_see() {
    let mut stage = Stage::with_program(&few_descriptors(48)).await;
    stage.launch("t", "(setsid sh -c 'echo $$ > left; exec sleep 1000' &); exec sleep 1000");
    let left = stage.number("t", "left").await;
    stage.hears_state("t", TaskState::Running).await;
    let executor = stage.executor("t").await;
    let silent = exhaust(&mut stage);
    kill_9(executor);
    stage.program().says("cannot see whether anything of an executor lives");
    drop(silent);
    stage.hears_state("t", TaskState::Failed).await;
    assert!(!lives(left), "told only when nothing lives");
    stage.end().await;
}
