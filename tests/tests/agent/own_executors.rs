//! Executors of a framework's own, which know nothing of what they leave behind: nothing of it lives on.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use protocol::task::*;

use crate::rights::user_of_groups;
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
async fn an_executor_begins_with_no_signal_blocked() {
    let mut stage = Stage::with_program("true").await;
    // Not by a shell, which would free them itself.
    let arguments = ["grep", "SigBlk", "/proc/self/status"].map(str::to_owned).to_vec();
    let program = CommandSpec { value: "grep".into(), arguments, ..CommandSpec::default() };
    stage.launch_executor("t", program);
    stage.hears_state("t", TaskState::Failed).await;
    let blocked = stage.output("t").await;
    assert_eq!(blocked.trim(), format!("SigBlk:\t{:016x}", 0));
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

fn shell(line: String) -> CommandSpec {
    CommandSpec { value: line, shell: true, ..CommandSpec::default() }
}

#[tokio::test]
async fn an_executor_that_knows_nothing_of_its_lost_agent_ends_when_that_does_not_come_back() {
    let recovery_timeout = Duration::from_millis(300);
    let mut stage = Stage::with_program_and_recovery_timeout("true", recovery_timeout).await;
    // One that heeds nothing, and neither does what it has left to itself.
    let orphan = "trap \"\" TERM; echo $$ > orphan; exec sleep 1000";
    let orphan = format!("(env -i setsid sh -c '{orphan}' > /dev/null 2>&1 &)");
    let line = format!("trap '' TERM; {orphan}; echo $$ > own; while :; do sleep 1; done");
    stage.launch_executor_with("deaf", shell(line), Some(Duration::from_millis(200)));
    // One that heeds what it is asked, and has the time.
    let line =
        "trap 'echo asked > asked; exit 5' TERM; echo $$ > own; while :; do sleep 0.01; done";
    let line = format!("{FORGETFUL}; {line}");
    stage.launch_executor_with("polite", shell(line), Some(Duration::from_secs(1000)));
    // And one that is hung.
    let line = format!("{FORGETFUL}; echo $$ > own; exec sleep 1000");
    stage.launch_executor_with("hung", shell(line), Some(Duration::from_millis(200)));
    let mut all = Vec::new();
    for task in ["deaf", "polite", "hung"] {
        for file in ["orphan", "own"] {
            all.push(stage.number(task, file).await);
        }
        all.push(stage.executor(task).await);
    }
    freeze(stage.number("hung", "own").await).await;
    assert!(all.iter().all(|process| lives(*process)));
    stage.lose_agent().await;
    for process in all {
        dies(process).await;
    }
    assert_eq!(stage.file("polite", "asked"), b"asked\n");
    stage.is_said("deaf", "stderr", "the agent is lost").await;
    stage.end().await;
}

/// A process that can open no further file, until this is dropped: also by a story that fails, so that it can end.
pub(crate) struct NoFiles(u32);

impl NoFiles {
    pub(crate) fn of(process: u32) -> Self {
        assert!(limit_files(process, 3));
        Self(process)
    }
}

impl Drop for NoFiles {
    fn drop(&mut self) {
        limit_files(self.0, 300);
    }
}

/// It keeps those that it has.
fn limit_files(process: u32, files: u32) -> bool {
    let mut prlimit = Command::new("prlimit");
    prlimit.arg(format!("--pid={process}")).arg(format!("--nofile={files}:"));
    prlimit.status().unwrap().success()
}

#[tokio::test]
async fn what_cannot_be_seen_of_an_executor_is_not_taken_for_nothing() {
    let mut stage = Stage::with_program("true").await;
    stage.launch_by("t", &format!("{FORGETFUL}; echo $$ > own; exec sleep 1000"), None);
    let orphan = stage.number("t", "orphan").await;
    let own = stage.number("t", "own").await;
    let shim = stage.executor("t").await;
    let blind = NoFiles::of(shim);
    kill_9(own);
    stage.is_said("t", "stderr", "cannot see all processes").await;
    assert!(lives(orphan) && lives(shim));
    drop(blind);
    stage.hears_state("t", TaskState::Failed).await;
    assert!(!lives(orphan), "told only when nothing lives");
    stage.end().await;
}

#[tokio::test]
async fn an_executor_that_its_shim_cannot_start_is_said_in_its_tasks_status_and_its_sandbox() {
    let mut stage = Stage::with_program("true").await;
    // An agent sees that it is there and may be executed, and not that it cannot be.
    let program = stage.dir.path().join("program");
    std::fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let words = format!("start {}: No such file or directory (os error 2)", program.display());
    // Another user may need a process between shim and executor, which fails in the shim's place.
    let users = [None, Some("nobody".to_owned())].into_iter().chain([user_of_groups()]);
    for (n, user) in users.filter(|user| user.is_none() || is_root()).enumerate() {
        let task = n.to_string();
        let value = program.display().to_string();
        stage.launch_executor(&task, CommandSpec { value, user, ..CommandSpec::default() });
        let failed = stage.hears_state(&task, TaskState::Failed).await;
        assert_eq!(failed.message, format!("cannot start the executor: {words}"));
        assert_eq!(failed.reason, Some(Reason::ContainerLaunchFailed));
        stage.is_said(&task, "stderr", &format!("airside executor: {words}")).await;
    }
    stage.end().await;
}
