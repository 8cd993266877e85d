//! What an agent has in its work directory is what `docs/work-directory.md` says.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::task::*;

use crate::stage::*;

/// All files below a folder, with what differs from agent to agent left out.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let path = entry.path().strip_prefix(folder).unwrap().display().to_string();
            let words: Vec<&str> = path.split('/').collect();
            found.insert(match words[..] {
                ["sandboxes", _, _, _, ref rest @ ..] => {
                    format!("sandboxes/<framework>/<executor>/<container>/{}", rest.join("/"))
                }
                ["containers", _, ref rest @ ..] => {
                    format!("containers/<container>/{}", rest.join("/"))
                }
                _ => path,
            });
        }
    }
    found
}

/// The paths of the page's first table that are there at these times.
fn documented(when: &[&str]) -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/work-directory.md");
    let text = std::fs::read_to_string(page).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| row.split_once("` | "));
    let of_time =
        |row: &&(&str, &str)| when.iter().any(|when| row.1.contains(&format!("| {when} |")));
    let paths = rows.collect::<Vec<_>>();
    paths.iter().filter(of_time).map(|row| row.0.to_owned()).collect()
}

#[tokio::test]
async fn agent_05_what_is_in_the_work_directory_is_documented() {
    let mut stage = Stage::with_program("true").await;
    let work_dir = stage.dir.path().join("agent");
    stage.launch("t", "while [ ! -e go ]; do sleep 0.01; done");
    stage.hears_state("t", TaskState::Running).await;
    let mut expected = documented(&["always", "until collected"]);
    assert!(expected.len() > 6, "{expected:?}");
    expected.retain(|path| !path.ends_with('…'));
    assert_eq!(files(&work_dir), expected);
    // While it is away, there is how its task ended.
    stage.lose_agent().await;
    std::fs::write(stage.sandbox("t").join("go"), "").unwrap();
    appears(&work_dir.join("containers"), "ended").await;
    let ended = files(&work_dir).into_iter().find(|path| path.starts_with("containers")).unwrap();
    assert!(documented(&["then"]).contains(&ended), "{ended}");
    stage.start_program("true");
    stage.hears_end("t").await;
    empties(&work_dir.join("containers")).await;
    stage.end().await;
}

/// A look at the agent's counters until they say this.
async fn counts(stage: &Stage, lines: &[&str]) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let mut text = String::new();
    let counted = async {
        while !lines.iter().all(|line| text.lines().any(|is| is == *line)) {
            looks.tick().await;
            text = stage.agent().metrics().await;
        }
    };
    let counted = tokio::time::timeout(SOON, counted).await;
    counted.unwrap_or_else(|_| panic!("never {lines:?}, but:\n{text}"));
}

#[tokio::test]
async fn gc_01_gc_03_sandboxes_of_ended_executors_go_when_they_are_old_and_are_counted() {
    let mut stage = Stage::empty().await;
    stage.sandboxes.watch_every = Duration::from_millis(10);
    stage.start_agent().await;
    stage.hears("Register").await;
    stage.launch("lives", "exec sleep 1000");
    stage.hears_state("lives", TaskState::Running).await;
    // It is as old as its executor's end, whatever the executor did to it.
    stage.launch("over", "touch -d @1 .");
    stage.hears_state("over", TaskState::Finished).await;
    let pending = "airside_agent_gc_path_removals_pending";
    counts(&stage, &[&format!("{pending} 1")]).await;
    assert!(stage.sandbox("over").join("stdout").exists());
    stage.lose_agent().await;
    stage.sandboxes.delay = Duration::from_millis(10);
    stage.start_agent().await;
    stage.hears("Reregister").await;
    let removals = "airside_agent_gc_path_removals";
    let gone = [format!("{removals}_succeeded_total 1"), format!("{removals}_failed_total 0")];
    counts(&stage, &[&gone[0], &gone[1], &format!("{pending} 0")]).await;
    assert!(!stage.dir.path().join("agent/sandboxes/F/over").exists());
    assert!(stage.sandbox("lives").join("stdout").exists());
    // One that may grow old goes as soon as the disk is too full.
    stage.lose_agent().await;
    let disk = nix::sys::statvfs::statvfs(stage.dir.path()).unwrap();
    let free = disk.blocks_free() as f64 / disk.blocks() as f64;
    stage.sandboxes.delay = Duration::from_secs(7 * 24 * 3600);
    stage.sandboxes.headroom = (1.0 + free) / 2.0;
    stage.start_agent().await;
    stage.hears("Reregister").await;
    stage.launch("next", "true");
    stage.hears_state("next", TaskState::Finished).await;
    counts(&stage, &[&gone[0], &gone[1], &format!("{pending} 0")]).await;
    assert!(!stage.dir.path().join("agent/sandboxes/F/next").exists());
    stage.end().await;
}

#[tokio::test]
async fn sum_05_a_task_whose_end_is_acknowledged_is_among_the_ended_and_its_executor_is_gone() {
    let mut stage = Stage::new().await;
    stage.acknowledges.store(false, Ordering::SeqCst);
    stage.launch("t", "true");
    // It has not ended before its framework knows, though nothing of it runs.
    let counted = ["tasks_ended_total 0", "tasks 1", "executors 0", "executors_started_total 1"];
    let counted = counted.map(|line| format!("airside_agent_{line}"));
    counts(&stage, &counted.each_ref().map(String::as_str)).await;
    stage.acknowledges.store(true, Ordering::SeqCst);
    let end = stage.hears_end("t").await;
    assert_eq!(end.state, TaskState::Finished);
    let counted = ["tasks_ended_total 1", "tasks 0", "executors 0"];
    let counted = counted.map(|line| format!("airside_agent_{line}"));
    counts(&stage, &counted.each_ref().map(String::as_str)).await;
    stage.end().await;
}
