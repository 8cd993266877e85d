//! Finding and killing what is left of an executor: its own process, all below it, all that carry its container's id in
//! their environment, and orphans that nobody else can have left.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use procfs::process::{Process, Stat, all_processes};
use protocol::executor::ENV_CONTAINER;
use protocol::ids::ContainerId;

use crate::logic::ProcessIdentity;

/// A process: its number, and when it started.
type Target = (i32, u64);

/// What is hunted, and all of it that was found so far.
#[derive(Debug)]
pub(super) struct Hunt {
    container: ContainerId,
    targets: BTreeSet<Target>,
}

impl Hunt {
    /// `process` is the executor's own, if it may still live.
    pub(super) fn for_container(container: ContainerId, process: Option<ProcessIdentity>) -> Self {
        let target = process
            .and_then(|process| Some((i32::try_from(process.process).ok()?, process.started)));
        Self { container, targets: target.into_iter().collect() }
    }

    /// Kills what lives of it; whether anything did. With `known`, the children of this process that are executors, every
    /// other child of it counts as well.
    pub(super) fn kill_what_lives(&mut self, known: Option<&BTreeSet<i32>>) -> bool {
        // What cannot be seen cannot be hunted; that the list of processes is unreadable was said when this began.
        let all: Vec<(Process, Stat)> = all_processes()
            .into_iter()
            .flatten()
            .filter_map(|process| process.and_then(|p| p.stat().map(|stat| (p, stat))).ok())
            .collect();
        self.find(&all, known);
        let mut lives = false;
        for (_, stat) in &all {
            if self.targets.contains(&(stat.pid, stat.starttime)) {
                let pid = Pid::from_raw(stat.pid);
                if is_dead(stat) {
                    if known.is_some_and(|known| !known.contains(&stat.pid)) {
                        // Adopted by this process, so nobody else buries it.
                        let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
                    }
                } else {
                    lives = true;
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
        }
        lives
    }

    fn find(&mut self, all: &[(Process, Stat)], known: Option<&BTreeSet<i32>>) {
        let me = i32::try_from(std::process::id()).unwrap_or_default();
        let mut below: BTreeMap<i32, Vec<Target>> = BTreeMap::new();
        for (process, stat) in all {
            let target = (stat.pid, stat.starttime);
            below.entry(stat.ppid).or_default().push(target);
            if stat.pid == me {
                continue;
            }
            let stranger = stat.ppid == me && known.is_some_and(|known| !known.contains(&stat.pid));
            match container_of(process) {
                Some(container) if container == self.container.as_str() => {
                    self.targets.insert(target);
                }
                None if stranger => {
                    self.targets.insert(target);
                }
                Some(_) | None => {}
            }
        }
        // Below what lives only: the number of a dead target may be another process's by now.
        let living = all.iter().map(|(_, stat)| (stat.pid, stat.starttime));
        let mut next: Vec<Target> = living.filter(|target| self.targets.contains(target)).collect();
        while let Some((pid, _)) = next.pop() {
            for child in below.remove(&pid).unwrap_or_default() {
                if self.targets.insert(child) {
                    next.push(child);
                }
            }
        }
    }
}

fn container_of(process: &Process) -> Option<String> {
    let mut environment = process.environ().ok()?;
    environment.remove(OsStr::new(ENV_CONTAINER))?.into_string().ok()
}

/// Ended, and not yet buried by its parent.
fn is_dead(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X' | 'x')
}
