//! Processes that a cluster's agents started and that have not ended yet. Executors end by themselves when they lose
//! their agent; whoever started the agents waits for that, and ends what does not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use agent::look::{Look, look};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;
use protocol::executor::ENV_SANDBOX;
use tokio::time::{Instant, interval};

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until nothing runs in a sandbox below `work_dir`; after `grace` it is killed. Returns what had to be killed.
pub(crate) async fn end(work_dir: &Path, grace: Duration) -> BTreeMap<i32, String> {
    let mut looks = interval(LOOK_EVERY);
    let give_up_at = Instant::now() + grace;
    let mut killed = BTreeMap::new();
    loop {
        looks.tick().await;
        let alive = below(look(ENV_SANDBOX), work_dir);
        if alive.as_ref().is_some_and(BTreeMap::is_empty) || Instant::now() > give_up_at + grace {
            return killed;
        }
        if Instant::now() > give_up_at {
            for (process, command) in alive.into_iter().flatten() {
                // It may have ended since it was seen.
                let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
                killed.insert(process, command);
            }
        }
    }
}

/// Processes whose environment names a sandbox below `work_dir`, with their command. `None`: not all can be seen.
fn below(look: Look, work_dir: &Path) -> Option<BTreeMap<i32, String>> {
    if look.blind.is_some() {
        return None;
    }
    let mut found = BTreeMap::new();
    for seen in look.seen {
        let is_ours = seen.mark.is_some_and(|sandbox| Path::new(&sandbox).starts_with(work_dir));
        // A process that has ended and waits to be reaped has no environment any more, so it is not found here.
        if is_ours {
            let command = Process::new(seen.process).and_then(|process| process.cmdline());
            found.insert(seen.process, command.unwrap_or_default().join(" "));
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_will_not_end_is_killed_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = tokio::process::Command::new("sleep")
            .arg("1000")
            .env(ENV_SANDBOX, dir.path().join("one"))
            .spawn()
            .unwrap();
        let process = i32::try_from(child.id().unwrap()).unwrap();
        let killed = end(dir.path(), Duration::from_millis(50)).await;
        assert_eq!(killed, BTreeMap::from([(process, "sleep 1000".to_owned())]));
        assert!(!child.wait().await.unwrap().success());
        assert!(end(dir.path(), Duration::from_millis(50)).await.is_empty());
    }

    #[test]
    fn what_cannot_be_seen_is_not_taken_for_ended() {
        let blind = Look { blind: Some("Too many open files".into()), ..Look::default() };
        assert_eq!(below(blind, Path::new("/w")), None);
        assert_eq!(below(Look::default(), Path::new("/w")), Some(BTreeMap::new()));
    }
}
