//! The real agent, killed before and after each change that it makes on its disk, one after the other. Its next life has the
//! task running that it had begun, none is doubled, and each end is told once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use protocol::agent::AgentToMaster;
use protocol::task::*;
use tests::cluster::Process;

use crate::stage::*;

const KILLER: &str = env!("CARGO_BIN_EXE_killed-at-write-for-tests");

/// Some of the places where it is killed.
const EXPECTED: [&str; 12] = [
    "before fsync agent.new",
    "after rename agent.new",
    "before rename agent.new",
    "before write agent.checkpoint",
    "after write agent.checkpoint",
    "before fdatasync agent.checkpoint",
    "after fdatasync agent.checkpoint",
    "before mkdir containers",
    "after mkdir containers",
    "before mkdir sandboxes",
    "before open sandboxes",
    "before unlink containers",
];

/// How many agents are killed at the same time.
const AT_ONCE: usize = 8;

/// Runs until it is told to end, and notes that it began.
fn waits(dir: &Path) -> String {
    let go = dir.join("go");
    format!(
        "echo $$ >> {}/began-t; while [ ! -e {} ]; do sleep 0.02; done; exit 3",
        dir.display(),
        go.display()
    )
}

fn ends_at_once(dir: &Path) -> String {
    format!("echo $$ >> {}/began-u", dir.display())
}

/// How often a task began, and as which process last.
fn began(dir: &Path, task: &str) -> (usize, u32) {
    let text = std::fs::read_to_string(dir.join(format!("began-{task}"))).unwrap_or_default();
    (text.lines().count(), text.lines().last().map_or(0, |line| line.parse().unwrap()))
}

/// A life of two tasks under an agent that is killed at a boundary. Where it was, unless the life had fewer.
async fn killed_at(boundary: usize) -> Option<String> {
    let mut stage = Stage::empty().await;
    let dir = stage.dir.path().to_path_buf();
    let (killer, work_dir) = (KILLER, dir.join("agent"));
    let line = format!("exec '{killer}' '{}' {boundary} \"$0\" \"$@\"", work_dir.display());
    let mut agent = Process::start("agent", &mut stage.program_command(&line));
    let died = tokio::select! {
        () = lives_on(&mut stage) => false,
        () = dies(agent.id()) => true,
    };
    if !died {
        drop(agent);
        stage.end().await;
        return None;
    }
    agent.ended();
    let place = agent.said.iter().find_map(|line| line.strip_prefix("killed "));
    let place = place.unwrap_or_else(|| panic!("{}", agent.said.join("\n"))).to_owned();
    let _told = OnPanic(place.clone());
    let before = began(&dir, "t");
    stage.start_program("true");
    recovers(&mut stage, before, &place).await;
    ends_once(&mut stage, &place);
    stage.end().await;
    Some(place)
}

/// Says where the agent was killed, if the story fails.
struct OnPanic(String);

impl Drop for OnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it was killed {}", self.0);
        }
    }
}

/// The whole life, if nobody kills the agent.
async fn lives_on(stage: &mut Stage) {
    let dir = stage.dir.path().to_path_buf();
    stage.hears("Register").await;
    stage.launch("t", &waits(&dir));
    stage.hears_state("t", TaskState::Running).await;
    stage.launch("u", &ends_at_once(&dir));
    stage.hears_state("u", TaskState::Finished).await;
    std::fs::write(dir.join("go"), "").unwrap();
    stage.hears_end("t").await;
    empties(&dir.join("agent/containers")).await;
}

async fn recovers(stage: &mut Stage, before: (usize, u32), place: &str) {
    let dir = stage.dir.path().to_path_buf();
    let over = dir.join("go").exists();
    let known = match stage.hears_registration().await {
        AgentToMaster::Reregister { tasks, .. } => tasks,
        AgentToMaster::Register { .. } => Vec::new(),
        other => panic!("{other:?}"),
    };
    let knows = |task: &str| known.iter().any(|report| report.spec.task.as_str() == task);
    // What had begun runs on; what the agent does not know had not, and its framework tries again.
    if !over && before.0 == 1 {
        assert!(lives(before.1) && knows("t"), "killed {place}: what ran does not run on");
    }
    for (task, line) in [("t", waits(&dir)), ("u", ends_at_once(&dir))] {
        if !knows(task) && end_of(stage, task).is_none() {
            assert_eq!(began(&dir, task).0, 0, "killed {place}: {task} is lost");
            stage.launch(task, &line);
        }
    }
    if end_of(stage, "u").is_none() {
        stage.hears_end("u").await;
    }
    assert!(over || before.0 == 0 || lives(before.1), "killed {place}: what ran was ended");
    std::fs::write(dir.join("go"), "").unwrap();
    if end_of(stage, "t").is_none() {
        stage.hears_end("t").await;
    }
    let end = end_of(stage, "t").unwrap();
    assert_eq!(end.exit, Some(Exit::Code(3)), "killed {place}: {end:?}");
    for task in ["t", "u"] {
        assert_eq!(began(&dir, task).0, 1, "killed {place}: {task} is doubled");
    }
    empties(&dir.join("agent/containers")).await;
}

fn end_of(stage: &mut Stage, task: &str) -> Option<TaskStatus> {
    let mut ends = stage.updates().filter(|status| status.state.is_end());
    ends.find(|status| status.task.as_str() == task).cloned()
}

/// Each task's end was told under one number, however often.
fn ends_once(stage: &mut Stage, place: &str) {
    let mut ends: BTreeMap<String, BTreeSet<_>> = BTreeMap::new();
    for status in stage.updates().filter(|status| status.state.is_end()) {
        let update = status.update.map(|update| (update.source, update.sequence));
        ends.entry(status.task.to_string()).or_default().insert(update);
    }
    let counts: Vec<usize> = ends.values().map(BTreeSet::len).collect();
    assert_eq!(counts, [1, 1], "killed {place}: {ends:?}");
}

fn can_trace() -> bool {
    let can = Command::new(KILLER).args(["/nowhere", "0", "true"]).status().unwrap().success();
    if !can {
        tests::skipped("this system does not let one process trace another");
    }
    can
}

#[test]
fn the_agent_killed_at_each_of_its_write_boundaries_recovers_with_its_tasks_running() {
    if !can_trace() {
        return;
    }
    let mut places = Vec::new();
    loop {
        let first = places.len() + 1;
        let lives = (first..first + AT_ONCE).map(|boundary| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(killed_at(boundary))
            })
        });
        let lives: Vec<_> = lives.collect();
        let found: Vec<_> = lives.into_iter().map(|life| life.join().unwrap()).collect();
        let over = found.contains(&None);
        places.extend(found.into_iter().flatten());
        if over {
            break;
        }
    }
    // Some of those that there must be, lest the story looks at nothing.
    for place in EXPECTED {
        let found = places.iter().any(|found| found.starts_with(place));
        assert!(found, "never killed {place}, only:\n{}", places.join("\n"));
    }
}
