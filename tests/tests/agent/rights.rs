//! What tasks and executors may: no more than their user.

use std::collections::BTreeSet;
use std::process::Command;

use libactor::{AskError, Node, NodeConfig, Secret};
use nix::sys::signal::Signal;
use protocol::operator::ReadExecutors;
use protocol::task::*;

use crate::stage::*;

/// Its constructor says, as whom it ran, in a file beside it.
const LIBRARY: &str = r#"
#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) {
    FILE *file = fopen(PLACE, "a");
    if (file) { fprintf(file, "%d\n", (int)geteuid()); fclose(file); }
}
void gconv(void) {}
void gconv_init(void) {}
"#;

/// A user who belongs to more groups than its own, where the machine has one.
pub(crate) fn user_of_groups() -> Option<String> {
    let groups = std::fs::read_to_string("/etc/group").unwrap();
    let mut members = groups.lines().filter_map(|line| line.rsplit(':').next()?.split(',').next());
    members.find(|name| !name.is_empty() && *name != "root").map(str::to_owned)
}

#[tokio::test]
async fn a_task_whose_environment_loads_code_runs_it_as_its_user_only() {
    if !is_root() {
        return; // Only root may become somebody else.
    }
    let mut stage = Stage::with_program("true").await;
    let (source, library) = (stage.dir.path().join("l.c"), stage.dir.path().join("l.so"));
    let told = stage.dir.path().join("told");
    std::fs::write(&source, LIBRARY).unwrap();
    std::fs::write(&told, "").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&told, PermissionsExt::from_mode(0o666)).unwrap();
    let place = format!("-DPLACE=\"{}\"", told.display());
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", &place, "-o"]).arg(&library).arg(&source);
    assert!(compiler.status().unwrap().success());
    let folder = stage.dir.path().display().to_string();
    let mut environment = vec![("LD_PRELOAD".to_owned(), library.display().to_string())];
    for name in ["LD_LIBRARY_PATH", "GCONV_PATH", "LD_AUDIT", "LOCPATH", "NLSPATH"] {
        environment.push((name.to_owned(), folder.clone()));
    }
    for user in ["nobody".to_owned()].into_iter().chain(user_of_groups()) {
        let command = CommandSpec {
            value: "true".into(),
            shell: true,
            environment: environment.clone(),
            user: Some(user.clone()),
            ..CommandSpec::default()
        };
        stage.launch_command(&format!("task-{user}"), command.clone());
        stage.hears_state(&format!("task-{user}"), TaskState::Finished).await;
        stage.launch_executor(&format!("executor-{user}"), command);
        stage.hears_state(&format!("executor-{user}"), TaskState::Failed).await;
        let ran_as = std::fs::read_to_string(&told).unwrap();
        let uid = nix::unistd::User::from_name(&user).unwrap().unwrap().uid.to_string();
        assert!(!ran_as.is_empty() && ran_as.lines().all(|line| line == uid), "{user}: {ran_as}");
        std::fs::write(&told, "").unwrap();
    }
    stage.end().await;
}

#[tokio::test]
async fn tasks_and_executors_have_their_users_groups_and_none_of_the_agents() {
    if !is_root() {
        return; // Only root may become somebody else.
    }
    let mut stage = Stage::with_program("true").await;
    for user in ["nobody".to_owned()].into_iter().chain(user_of_groups()) {
        let wanted = Command::new("id").args(["-G", &user]).output().unwrap();
        let wanted = String::from_utf8(wanted.stdout).unwrap();
        let wanted: BTreeSet<&str> = wanted.split_whitespace().collect();
        // Four digits for the first sixteen signals.
        let line = "id -G; grep SigIgn /proc/self/status | tail -c 5";
        let (task, executor) = (format!("task-{user}"), format!("executor-{user}"));
        stage.launch_as(&task, line, user.clone());
        stage.hears_state(&task, TaskState::Finished).await;
        stage.launch_by(&executor, line, Some(user.clone()));
        stage.hears_state(&executor, TaskState::Failed).await;
        for of in [task, executor] {
            let out = stage.output(&of).await;
            let (groups, ignored) = out.trim_end().split_once('\n').unwrap();
            assert_eq!(groups.split(' ').collect::<BTreeSet<_>>(), wanted, "{of}");
            // Programs in Rust ignore the signal of broken pipes, and may not pass that on.
            let ignored = u32::from_str_radix(ignored, 16).unwrap();
            assert_eq!(ignored & (1 << (Signal::SIGPIPE as u32 - 1)), 0, "{of}: {out}");
        }
    }
    stage.end().await;
}

#[tokio::test]
async fn an_agent_opens_more_files_than_it_lets_its_tasks() {
    let mut stage = Stage::with_program("ulimit -S -n 300").await;
    let agent = std::fs::read_to_string(format!("/proc/{}/limits", stage.program().id())).unwrap();
    let files = agent.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = files.split_whitespace().skip(3).take(2).collect();
    assert!(numbers[0] == numbers[1] && numbers[0] != "300", "{files}");
    stage.launch("task", "ulimit -S -n; ulimit -H -n");
    stage.hears_state("task", TaskState::Finished).await;
    stage.launch_by("executor", "ulimit -S -n; ulimit -H -n", None);
    stage.hears_state("executor", TaskState::Failed).await;
    for of in ["task", "executor"] {
        assert_eq!(stage.output(of).await, format!("300\n{}\n", numbers[1]), "{of}");
    }
    stage.end().await;
}

#[tokio::test]
async fn what_an_executor_is_told_reaches_its_agent_and_there_what_is_for_executors() {
    let cluster = Secret::new(b"the secret of all this cluster").unwrap();
    let mut stage = Stage::with_secret(cluster.clone()).await;
    // One that behaves still works.
    stage.launch("well", "true");
    stage.hears_state("well", TaskState::Finished).await;
    stage.launch_by("spy", "cat > told; echo $$ > ready; exec sleep 1000", None);
    stage.number("spy", "ready").await;
    let told = Secret::new(&stage.file("spy", "told")).unwrap();
    assert_ne!(told, cluster);
    let node =
        Node::start(NodeConfig { secret: Some(told), ..NodeConfig::default() }).await.unwrap();
    let soon = std::time::Duration::from_secs(30);
    let master = node.resolve(&stage.master_name(), soon).await.unwrap_err().to_string();
    assert!(master.contains("another cluster secret"), "{master}");
    let others = node.ask(stage.name(), ReadExecutors, soon).await;
    assert!(matches!(&others, Err(AskError::Refused(_))), "{others:?}");
    node.shutdown().await;
    stage.end().await;
}
