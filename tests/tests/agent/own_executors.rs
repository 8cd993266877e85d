//! Executors of a framework's own, which know nothing of what they leave behind: nothing of it lives on.

use protocol::task::*;

use crate::stage::*;

/// Leaves its session, its parents and its environment, and says its number.
const FORGETFUL: &str =
    "(env -i setsid sh -c 'echo $$ > orphan; exec sleep 1000' > /dev/null 2>&1 &)";

#[tokio::test]
async fn all_that_came_of_an_executor_ends_with_it() {
    let mut stage = Stage::with_program("true").await;
    // Beside others of a framework's own, whose processes it is not to be mistaken for.
    stage.launch_by("other", &format!("{FORGETFUL}; exec sleep 1000"), None);
    let other = stage.number("other", "orphan").await;
    // By itself.
    stage.launch_by(
        "ends",
        &format!("{FORGETFUL}; while [ ! -s orphan ]; do :; done; exit 3"),
        None,
    );
    let orphan = stage.number("ends", "orphan").await;
    let failed = stage.hears_state("ends", TaskState::Failed).await;
    assert!(!lives(orphan), "an orphan of an executor that ended");
    assert_eq!(failed.exit, Some(Exit::Code(3)));
    // By a signal to the executor alone.
    stage.launch_by("dies", &format!("{FORGETFUL}; echo $$ > own; exec sleep 1000"), None);
    let orphan = stage.number("dies", "orphan").await;
    kill_9(stage.number("dies", "own").await);
    let failed = stage.hears_state("dies", TaskState::Failed).await;
    assert!(!lives(orphan), "an orphan of an executor that was killed");
    assert_eq!(failed.exit, Some(Exit::Signal(9)));
    // And when the process above it is killed, which would have seen to that.
    stage.launch_by("topples", &format!("{FORGETFUL}; echo $$ > own; exec sleep 1000"), None);
    let orphan = stage.number("topples", "orphan").await;
    let own = stage.number("topples", "own").await;
    kill_9(stage.executor("topples").await);
    stage.hears_state("topples", TaskState::Failed).await;
    assert!(!lives(own) && !lives(orphan), "what an executor without a parent left");
    assert!(lives(other), "another executor's process");
    stage.end().await;
    dies(other).await;
}

#[tokio::test]
async fn an_executor_is_asked_to_end_as_if_nobody_stood_above_it() {
    let mut stage = Stage::with_program("true").await;
    let line =
        "trap 'echo asked > asked; exit 5' TERM; echo $$ > own; while :; do sleep 0.01; done";
    stage.launch_by("t", line, None);
    stage.number("t", "own").await;
    signal(stage.executor("t").await, nix::sys::signal::Signal::SIGTERM);
    let failed = stage.hears_state("t", TaskState::Failed).await;
    assert_eq!(failed.exit, Some(Exit::Code(5)), "{}", failed.message);
    stage.end().await;
}

#[tokio::test]
async fn an_executor_that_is_not_there_is_said_before_anything_starts() {
    let mut stage = Stage::with_program("true").await;
    let program = CommandSpec { value: "/no/such/program".into(), ..CommandSpec::default() };
    stage.launch_executor("t", program);
    let failed = stage.hears_state("t", TaskState::Failed).await;
    let words =
        "'/no/such/program': No such file or directory (os error 2); check the executor's command";
    assert!(failed.message.contains(words), "{}", failed.message);
    stage.end().await;
}
