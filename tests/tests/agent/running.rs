//! Tasks that run and end by themselves, and those that never start.

use protocol::operator::SandboxAnswer;
use protocol::task::*;

use crate::rights::user_of_groups;
use crate::stage::*;

#[tokio::test]
async fn a_task_ends_as_its_process_does() {
    let mut stage = Stage::new().await;
    stage.launch("well", "true");
    let well = stage.hears_state("well", TaskState::Finished).await;
    assert_eq!(well.exit, Some(Exit::Code(0)));
    stage.launch("badly", "exit 3");
    let badly = stage.hears_state("badly", TaskState::Failed).await;
    assert_eq!((badly.exit, badly.message.as_str()), (Some(Exit::Code(3)), "exited with status 3"));
    stage.launch("by-signal", "kill -SEGV $$");
    let by_signal = stage.hears_state("by-signal", TaskState::Failed).await;
    assert_eq!(by_signal.exit, Some(Exit::Signal(11)));
    stage.launch("unknown", "no-such-command");
    let unknown = stage.hears_state("unknown", TaskState::Failed).await;
    assert!(unknown.message.contains("command not found"), "{}", unknown.message);
    stage.end().await;
}

#[tokio::test]
async fn a_running_task_says_its_process_and_what_keeps_it_apart() {
    let mut stage = Stage::new().await;
    stage.launch("t", "exec sleep 1000");
    stage.hears_state("t", TaskState::Starting).await;
    let running = stage.hears_state("t", TaskState::Running).await;
    assert_eq!(running.isolation, Some(Isolation::ProcessGroup));
    assert!(running.message.contains("process group only"), "{}", running.message);
    let process = running.process.unwrap();
    assert!(lives(process));
    let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(process.cast_signed())));
    assert_eq!(group.unwrap().as_raw(), process.cast_signed(), "it leads a group of its own");
    stage.end().await;
    dies(process).await;
}

#[tokio::test]
async fn output_and_environment_are_the_sandboxs() {
    let mut stage = Stage::new().await;
    let command = CommandSpec {
        value: "pwd; echo out; echo err >&2; env; ls -a".into(),
        shell: true,
        environment: vec![("COLOUR".into(), "grün".into())],
        ..CommandSpec::default()
    };
    stage.launch_command("t", command);
    stage.hears_state("t", TaskState::Finished).await;
    let out = stage.output("t").await;
    for wanted in ["sandboxes/F/t/", "\nout\n", "COLOUR=grün", "AIRSIDE_TASK_ID=t\n", "stderr"] {
        assert!(out.contains(wanted), "{wanted:?} is missing in {out}");
    }
    for secret in ["TOKEN", "SECRET", "CARGO"] {
        assert!(!out.contains(secret), "{secret} leaks into {out}");
    }
    match stage.read("t", "stderr").await {
        SandboxAnswer::Part { data, size: 4, .. } => assert_eq!(data, b"err\n"),
        other => panic!("{other:?}"),
    }
    let outside = stage.read("t", "../../../../agent.checkpoint").await;
    assert!(matches!(outside, SandboxAnswer::Refused(words) if words.contains("leads out")));
    stage.end().await;
}

#[tokio::test]
async fn a_program_gets_its_arguments_as_they_are() {
    let mut stage = Stage::new().await;
    let command = CommandSpec {
        value: "printf".into(),
        arguments: vec!["printf".into(), "%s|".into(), "a b".into(), "$HOME".into(), "".into()],
        ..CommandSpec::default()
    };
    stage.launch_command("t", command);
    stage.hears_state("t", TaskState::Finished).await;
    assert_eq!(stage.output("t").await, "a b|$HOME||");
    stage.end().await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why_and_what_to_do() {
    let mut stage = Stage::new().await;
    let file = stage.dir.path().join("file");
    std::fs::write(&file, "neither binary nor script").unwrap();
    let program = |value: &str| CommandSpec { value: value.into(), ..CommandSpec::default() };
    stage.launch_command("missing", program("/no/such/program"));
    let missing = stage.hears_state("missing", TaskState::Failed).await;
    assert!(missing.message.contains("'/no/such/program' was not found"), "{}", missing.message);
    stage.launch_command("forbidden", program(&file.display().to_string()));
    let forbidden = stage.hears_state("forbidden", TaskState::Failed).await;
    assert!(forbidden.message.contains("may not be executed by user"), "{}", forbidden.message);
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    stage.launch_command("strange", program(&file.display().to_string()));
    let strange = stage.hears_state("strange", TaskState::Failed).await;
    assert!(strange.message.contains("is no program for this machine"), "{}", strange.message);
    // A user of several groups needs a process in between, which finds out in the executor's place.
    if let Some(user) = user_of_groups().filter(|_| is_root()) {
        let command = CommandSpec { user: Some(user), ..program("/no/such/program") };
        stage.launch_command("missing-too", command);
        let missing = stage.hears_state("missing-too", TaskState::Failed).await;
        let words = "cannot start /no/such/program: No such file or directory (os error 2)";
        assert_eq!(missing.message, words);
        assert_eq!(missing.reason, Some(Reason::CommandExecutorFailed));
    }
    stage.launch_as("stranger", "true", "no-such-user".into());
    let stranger = stage.hears_state("stranger", TaskState::Error).await;
    assert_eq!(stranger.reason, Some(Reason::TaskInvalid));
    assert!(stranger.message.contains("'no-such-user' is unknown"), "{}", stranger.message);
    stage.end().await;
}

#[tokio::test]
async fn a_task_runs_as_its_user_with_all_its_groups() {
    if !is_root() {
        return; // Only root may become somebody else.
    }
    let mut stage = Stage::new().await;
    stage.launch_as(
        "t",
        "id -un; id -G; echo mine > file; stat -c %U . stdout file",
        "nobody".into(),
    );
    stage.hears_state("t", TaskState::Finished).await;
    let out = stage.output("t").await;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!((lines[0], &lines[2..]), ("nobody", &["nobody", "nobody", "nobody"][..]), "{out}");
    // Some user that belongs to more groups than its own, where there is one.
    let groups = std::fs::read_to_string("/etc/group").unwrap();
    let mut member = groups.lines().filter_map(|line| line.rsplit(':').next()?.split(',').next());
    if let Some(user) = member.find(|name| !name.is_empty() && *name != "root") {
        stage.launch_as("u", "id -G; id -Gn | wc -w", user.to_owned());
        stage.hears_state("u", TaskState::Finished).await;
        let count = stage.output("u").await.lines().last().unwrap().trim().parse::<u32>().unwrap();
        assert!(count > 1, "the groups of {user} got lost");
    }
    stage.end().await;
}

#[tokio::test]
async fn a_user_that_cannot_reach_its_sandbox_is_told_where_it_is_barred() {
    if !is_root() {
        return; // Only root may become somebody else.
    }
    let mut stage = Stage::new().await;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(stage.dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    stage.launch_as("t", "true", "nobody".into());
    let failed = stage.hears_state("t", TaskState::Failed).await;
    assert!(failed.message.contains("user 'nobody' may not enter"), "{}", failed.message);
    stage.end().await;
}

#[tokio::test]
async fn an_executor_is_small() {
    // The real one: it has an allocator of its own.
    let mut stage = Stage::with_program("true").await;
    stage.launch("t", "exec sleep 1000");
    stage.hears_state("t", TaskState::Running).await;
    let executor = stage.executor("t").await;
    let status = std::fs::read_to_string(format!("/proc/{executor}/status")).unwrap();
    let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap();
    assert!(threads.trim().parse::<u32>().unwrap() <= 3, "{threads} threads");
    // The program's own pages are shared with its agent, which is the same file in a real cluster.
    let memory = std::fs::read_to_string(format!("/proc/{executor}/smaps_rollup")).unwrap();
    let own = memory.lines().find_map(|line| line.strip_prefix("Anonymous:")).unwrap();
    let own_kb: u64 = own.trim().trim_end_matches(" kB").trim().parse().unwrap();
    assert!(own_kb <= 5 * 1024, "{own_kb} kB are its own");
    stage.end().await;
}
