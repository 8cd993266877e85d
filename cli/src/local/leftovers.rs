//! Processes that a cluster's agents started and that have not ended yet. Agents end them
//! when they leave; whoever started the agents waits for that, and ends what is left of those that were killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use containerizer::look::{Look, Seen, look};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;
use protocol::executor::ENV_SANDBOX;
use tokio::time::{Instant, interval};

/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What became of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// What had to be killed, with its command.
    pub(crate) killed: BTreeMap<i32, String>,
    /// Why nobody can say that nothing is left.
    pub(crate) blind: Option<String>,
}

/// Waits until nothing runs in a sandbox below `work_dir`; after `grace` it is killed.
pub(crate) async fn end(work_dir: &Path, grace: Duration) -> Ended {
    end_seen_by(|| look(ENV_SANDBOX), work_dir, grace).await
}

async fn end_seen_by(look: impl Fn() -> Look, work_dir: &Path, grace: Duration) -> Ended {
    let mut looks = interval(LOOK_EVERY);
    let give_up_at = Instant::now() + grace;
    let mut killed = BTreeMap::new();
    loop {
        looks.tick().await;
        let alive = below(look(), work_dir);
        if alive.as_ref().is_ok_and(BTreeMap::is_empty) || Instant::now() > give_up_at + grace {
            return Ended { killed, blind: alive.err() };
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

/// Processes whose environment names a sandbox below `work_dir`, and those that came from them, with their command; or why
/// not all can be seen.
fn below(look: Look, work_dir: &Path) -> Result<BTreeMap<i32, String>, String> {
    if let Some(why) = look.blind {
        return Err(why);
    }
    let is_ours = |seen: &Seen| {
        seen.mark.as_ref().is_some_and(|sandbox| Path::new(sandbox).starts_with(work_dir))
    };
    // What has ended and waits to be buried has no environment any more, and no children.
    let living: Vec<Seen> = look.seen.into_iter().filter(|seen| !seen.dead).collect();
    let mut next: Vec<i32> =
        living.iter().filter(|seen| is_ours(seen)).map(|seen| seen.process).collect();
    let mut found = BTreeMap::new();
    while let Some(number) = next.pop() {
        let command = Process::new(number).and_then(|process| process.cmdline());
        if found.insert(number, command.unwrap_or_default().join(" ")).is_none() {
            // Once a shim is killed, nobody knows any more what an executor left with an environment of its own.
            let children = living.iter().filter(|seen| seen.parent == number);
            next.extend(children.map(|seen| seen.process));
        }
    }
    Ok(found)
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
        let ended = end(dir.path(), Duration::from_millis(50)).await;
        let one = BTreeMap::from([(process, "sleep 1000".to_owned())]);
        assert_eq!(ended, Ended { killed: one, blind: None });
        assert!(!child.wait().await.unwrap().success());
        assert_eq!(end(dir.path(), Duration::from_millis(50)).await, Ended::default());
    }

    #[test]
    fn what_came_of_an_executor_is_found_whatever_its_environment() {
        let seen = |process, parent, mark: Option<&str>| {
            let mark = mark.map(Into::into);
            Seen { process, parent, started: 1, dead: false, mark }
        };
        // Numbers that no process has.
        let shim = i32::MAX - 9;
        let look = Look {
            seen: vec![
                seen(shim + 3, shim + 2, None),
                seen(shim + 2, shim, None),
                seen(shim, 1, Some("/w/sandboxes/F")),
                seen(shim + 4, 1, Some("/elsewhere/sandboxes/F")),
                Seen { dead: true, ..seen(shim + 5, shim, None) },
            ],
            blind: None,
        };
        let found = below(look, Path::new("/w")).unwrap();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), [shim, shim + 2, shim + 3]);
    }

    #[test]
    fn what_cannot_be_seen_is_not_taken_for_ended() {
        let blind = Look { blind: Some("Too many open files".into()), ..Look::default() };
        assert_eq!(below(blind, Path::new("/w")), Err("Too many open files".into()));
        assert_eq!(below(Look::default(), Path::new("/w")), Ok(BTreeMap::new()));
    }

    #[tokio::test]
    async fn who_cannot_see_what_is_left_says_so() {
        let why = "Too many open files";
        let blind = || Look { blind: Some(why.into()), ..Look::default() };
        let ended = end_seen_by(blind, Path::new("/w"), Duration::from_millis(1)).await;
        assert_eq!(ended.blind.as_deref(), Some(why));
    }
}
