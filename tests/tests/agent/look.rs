//! Processes as a story looks at them and treats them.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than anything here takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) fn number_in(folder: &Path, file: &str) -> Option<u32> {
    let container: PathBuf = folder.read_dir().ok()?.next()?.ok()?.path();
    let text = std::fs::read_to_string(container.join(file)).ok()?;
    text.ends_with('\n').then(|| text.trim().parse().ok())?
}

/// The user that runs the stories.
pub(crate) fn me() -> String {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name
}

pub(crate) fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        tests::skipped("only root may become somebody else, and mount");
    }
    is_root
}

/// Whether a process lives; one that only waits to be buried does not.
pub(crate) fn lives(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

pub(crate) async fn dies(process: u32) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let dead = async {
        while lives(process) {
            looks.tick().await;
        }
    };
    tokio::time::timeout(SOON, dead).await.unwrap_or_else(|_| panic!("process {process} lives on"));
}

/// Stops a process where it stands, and waits until all its threads do.
pub(crate) async fn freeze(process: u32) {
    signal(process, nix::sys::signal::Signal::SIGSTOP);
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let frozen = async {
        while !threads_are_stopped(process) {
            looks.tick().await;
        }
    };
    tokio::time::timeout(SOON, frozen).await.unwrap();
}

fn threads_are_stopped(process: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads.into_iter().all(|thread| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
        stat.rsplit(')').next().unwrap().starts_with(" T")
    })
}

/// `SIGKILL`, as `kill -9` does it.
pub(crate) fn kill_9(process: u32) {
    signal(process, nix::sys::signal::Signal::SIGKILL);
}

pub(crate) fn signal(process: u32, signal: nix::sys::signal::Signal) {
    // Zero would be all of the story's own group.
    assert!(process > 0, "no process");
    let process = nix::unistd::Pid::from_raw(i32::try_from(process).unwrap());
    nix::sys::signal::kill(process, signal).unwrap();
}

/// The one process whose parent this is.
pub(crate) fn child_of(parent: u32) -> u32 {
    let parent = i32::try_from(parent).unwrap();
    let all = procfs::process::all_processes().unwrap().flatten();
    let stats = all.filter_map(|process| process.stat().ok());
    let mut children = stats.filter(|stat| stat.ppid == parent);
    u32::try_from(children.next().expect("it has a child").pid).unwrap()
}

/// Waits until there is a file of this name in a folder below this one.
pub(crate) async fn appears(folder: &Path, name: &str) {
    eventually_in(folder, |below| below.iter().any(|path| path.join(name).exists())).await;
}

/// Waits until nothing is in this folder.
pub(crate) async fn empties(folder: &Path) {
    eventually_in(folder, <[PathBuf]>::is_empty).await;
}

/// Waits until an agent's checkpoint knows of no task: that of an acknowledged one goes a moment after its records.
pub(crate) async fn forgets_all_tasks(checkpoint: &Path) {
    eventually(checkpoint, || {
        let kept = agent::checkpoint_bytes::read(&std::fs::read(checkpoint).unwrap()).unwrap();
        kept.frameworks.values().all(|framework| framework.tasks.is_empty())
    })
    .await;
}

async fn eventually_in(folder: &Path, so: impl Fn(&[PathBuf]) -> bool) {
    eventually(folder, || {
        let entries = folder.read_dir().unwrap().flatten();
        so(&entries.map(|entry| entry.path()).collect::<Vec<PathBuf>>())
    })
    .await;
}

async fn eventually(at: &Path, so: impl Fn() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    let found = async {
        loop {
            looks.tick().await;
            if so() {
                return;
            }
        }
    };
    tokio::time::timeout(SOON, found)
        .await
        .unwrap_or_else(|_| panic!("not soon in {}", at.display()));
}
