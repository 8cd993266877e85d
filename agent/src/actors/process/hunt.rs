//! Finding and killing what is left of an executor: its own process, all below it, all that carry its container's id in
//! their environment, and orphans that nobody else can have left.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use containerizer::look::{Look, Seen};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use protocol::ids::ContainerId;

use crate::logic::ProcessIdentity;

/// A process: its number, and when it started.
type Target = (i32, u64);

/// What is hunted, and all of it that was found so far.
#[derive(Debug)]
pub(super) struct Hunt {
    container: ContainerId,
    targets: BTreeSet<Target>,
    /// Whether it was said that not all can be seen.
    said_blind: bool,
}

impl Hunt {
    /// `process` is the executor's own, if it may still live.
    pub(super) fn for_container(container: ContainerId, process: Option<ProcessIdentity>) -> Self {
        let target = process
            .and_then(|process| Some((i32::try_from(process.process).ok()?, process.started)));
        Self { container, targets: target.into_iter().collect(), said_blind: false }
    }

    /// Kills what lives of it; whether anything did, or may. With `known`, the children of this process that are
    /// executors, every other child of it counts as well.
    pub(super) fn kill_what_lives(&mut self, look: &Look, known: Option<&BTreeSet<i32>>) -> bool {
        self.find(&look.seen, known);
        let mut lives = self.is_blind(look);
        for seen in look.seen.iter().filter(|seen| self.targets.contains(&target(seen))) {
            let pid = Pid::from_raw(seen.process);
            if !seen.dead {
                lives = true;
                let _ = kill(pid, Signal::SIGKILL);
            } else if known.is_some_and(|known| !known.contains(&seen.process)) {
                // Adopted by this process, so nobody else buries it.
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
        }
        lives
    }

    /// What cannot be seen may live: it is looked for until it can, however long that takes.
    fn is_blind(&mut self, look: &Look) -> bool {
        let Some(why) = &look.blind else {
            return false;
        };
        if !std::mem::replace(&mut self.said_blind, true) {
            tracing::warn!(container = %self.container, %why, "cannot see whether anything of an executor lives; looking again until it can be seen");
        }
        true
    }

    fn find(&mut self, all: &[Seen], known: Option<&BTreeSet<i32>>) {
        let me = i32::try_from(std::process::id()).unwrap_or_default();
        let mut below: BTreeMap<i32, Vec<Target>> = BTreeMap::new();
        for seen in all {
            below.entry(seen.parent).or_default().push(target(seen));
            if seen.process == me {
                continue;
            }
            let stranger =
                seen.parent == me && known.is_some_and(|known| !known.contains(&seen.process));
            let mark = OsStr::new(self.container.as_str());
            // A task may have given its processes another mark; a stranger is what a killed executor left, whatever it says.
            if stranger || seen.mark.as_deref() == Some(mark) {
                self.targets.insert(target(seen));
            }
        }
        // Below what lives only: the number of a dead target may be another process's by now.
        let mut next: Vec<Target> =
            all.iter().map(target).filter(|target| self.targets.contains(target)).collect();
        while let Some((pid, _)) = next.pop() {
            for child in below.remove(&pid).unwrap_or_default() {
                if self.targets.insert(child) {
                    next.push(child);
                }
            }
        }
    }
}

fn target(seen: &Seen) -> Target {
    (seen.process, seen.started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counts_as_dead_while_not_all_can_be_seen() {
        let mut hunt = Hunt::for_container(ContainerId::new("c"), None);
        let blind = Look { blind: Some("Too many open files".into()), ..Look::default() };
        assert!(hunt.kill_what_lives(&blind, None));
        assert!(!hunt.kill_what_lives(&Look::default(), None));
    }
}
