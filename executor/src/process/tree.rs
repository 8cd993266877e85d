//! Every process below this one, found in `/proc`: also those that left their session and process group.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use containerizer::look::cannot_look;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::{Process, Stat, all_processes};
use procfs::{ProcError, ProcResult};

use crate::complain;

/// How often lists of children are read again before what they say is taken for all there is: a task that forks without end
/// has another list each time.
const LISTED_AGAIN_MAX: usize = 8;

/// The processes below this one.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Whether it was said that not all can be seen.
    said_blind: bool,
}

/// What was found, parents before children, and why there may be more.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    descendants: Vec<u32>,
    /// How many of them, the first, are children of whoever is above all.
    children: usize,
    blind: Option<String>,
}

impl Tree {
    /// Signals every descendant that can be seen; whether that is all of them. Children first seen come first, so that a
    /// parent cannot replace what was just signalled without being signalled itself in the same pass.
    pub(crate) fn signal_all(&mut self, signal: Signal) -> bool {
        let found = descendants(std::process::id());
        found.signal(0, signal);
        self.sees_all(found.blind)
    }

    /// Signals what runs in a container: all below its init, which is the child of this child of ours; whether that is all of
    /// them, and any.
    pub(crate) fn signal_inner(&mut self, keeper: Pid, signal: Signal) -> bool {
        let found = descendants(u32::try_from(keeper.as_raw()).unwrap_or_default());
        let any = found.signal(found.children, signal);
        self.sees_all(found.blind) && any
    }

    fn sees_all(&mut self, blind: Option<String>) -> bool {
        let Some(why) = blind else {
            return true;
        };
        if !std::mem::replace(&mut self.said_blind, true) {
            complain(&format!(
                "cannot see all processes of the task: {why}; looking again until none is left"
            ));
        }
        false
    }
}

impl Found {
    /// What was looked at. `None`: it has ended, or is no process of this user's, so none of these; or that cannot be said.
    fn seen<T>(&mut self, look: ProcResult<T>) -> Option<T> {
        if let Err(error) = &look
            && cannot_look(error)
        {
            self.blind = Some(error.to_string());
        }
        look.ok()
    }

    /// All but so many of the first; whether there is any.
    fn signal(&self, but: usize, signal: Signal) -> bool {
        let signalled = &self.descendants[but..];
        for pid in signalled {
            // It may have ended by now; nothing else can go wrong for a descendant.
            if let Ok(pid) = i32::try_from(*pid) {
                let _ = kill(Pid::from_raw(pid), signal);
            }
        }
        !signalled.is_empty()
    }
}

/// The living processes below `root`, by the kernel's lists of children where it keeps any: there may be thousands of executors on
/// a machine, and each would look at the processes of all.
fn descendants(root: u32) -> Found {
    if Path::new("/proc/thread-self/children").exists() { listed(root) } else { walked(root) }
}

/// While a child ends its siblings may be missing from its parent's list (proc(5)): lists are read again until they name nobody new.
fn listed(root: u32) -> Found {
    let mut found = listed_once(root);
    for _ in 0..LISTED_AGAIN_MAX {
        let before: BTreeSet<u32> = found.descendants.into_iter().collect();
        found = listed_once(root);
        if found.descendants.iter().all(|pid| before.contains(pid)) {
            break;
        }
    }
    found
}

fn listed_once(root: u32) -> Found {
    let mut found = Found::default();
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for child in found.seen(children(parent)).unwrap_or_default() {
            // A zombie is dead already; its children were given to its reaper.
            if found.seen(stat(child)).is_some_and(|stat| stat.state != 'Z') {
                found.children += usize::from(parent == root);
                found.descendants.push(child);
                next.push(child);
            }
        }
    }
    found
}

/// Those of all its threads.
fn children(parent: u32) -> ProcResult<Vec<u32>> {
    let mut children = Vec::new();
    for thread in process(parent)?.tasks()? {
        match thread.and_then(|thread| thread.children()) {
            Ok(more) => children.extend(more),
            Err(error) if cannot_look(&error) => return Err(error),
            // A thread that has ended left its children to another.
            Err(_) => {}
        }
    }
    Ok(children)
}

fn process(number: u32) -> ProcResult<Process> {
    // What is no number of a process is nobody's.
    Process::new(i32::try_from(number).map_err(|_| ProcError::NotFound(None))?)
}

fn stat(number: u32) -> ProcResult<Stat> {
    process(number)?.stat()
}

/// By looking at all processes of the machine. A process's own descriptor is closed before the next is looked at.
fn walked(root: u32) -> Found {
    match all_processes() {
        Ok(processes) => {
            below(root, processes.map(|process| process.and_then(|process| process.stat())))
        }
        // Nothing at all is seen, whatever the reason.
        Err(error) => Found { blind: Some(error.to_string()), ..Found::default() },
    }
}

fn below(root: u32, looks: impl Iterator<Item = ProcResult<Stat>>) -> Found {
    let mut found = Found::default();
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for stat in looks.filter_map(|look| found.seen(look)).filter(|stat| stat.state != 'Z') {
        if let (Ok(parent), Ok(pid)) = (u32::try_from(stat.ppid), u32::try_from(stat.pid)) {
            children.entry(parent).or_default().push(pid);
        }
    }
    found.children = children.get(&root).map_or(0, Vec::len);
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.descendants.push(child);
            next.push(child);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn what_cannot_be_seen_is_not_taken_for_nothing() {
        let me = || Process::myself().and_then(|process| process.stat()).unwrap();
        let parent = u32::try_from(me().ppid).unwrap();
        let error = |errno: Errno| {
            Err(ProcError::Io(std::io::Error::from_raw_os_error(errno as i32), None))
        };
        let found = below(parent, [error(Errno::EMFILE), Ok(me())].into_iter());
        assert_eq!(found.descendants, [std::process::id()]);
        assert!(found.blind.unwrap().contains("Too many open files"));
        let ended = [Err(ProcError::NotFound(None)), error(Errno::ESRCH)];
        assert_eq!(below(parent, ended.into_iter()), Found::default());
    }

    #[test]
    fn lists_of_children_say_what_a_walk_over_all_processes_says() {
        use std::process::Command;
        use std::time::{Duration, Instant};

        let script = "sleep 1000 & (sleep 1000; true) & true & kill -STOP $$; wait";
        let mut shell = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let sorted = |found: Found| {
            assert_eq!(found.blind, None);
            (BTreeSet::from_iter(found.descendants), found.children)
        };
        // Two below it, one below one of them, and one that has ended and is not buried: it does not count.
        let (all, children) = loop {
            let walked = sorted(walked(shell.id()));
            let stopped = stat(shell.id()).is_ok_and(|stat| stat.state == 'T');
            if stopped && walked.0.len() == 3 && walked.1 == 2 {
                break walked;
            }
            assert!(Instant::now() < until, "{walked:?}");
        };
        assert_eq!(sorted(listed(shell.id())), (all.clone(), children));
        // Also what another thread of this process started.
        assert!(all.iter().all(|pid| listed(std::process::id()).descendants.contains(pid)));
        for pid in all.into_iter().chain([shell.id()]) {
            kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
        }
        shell.wait().unwrap();
        assert_eq!(listed(shell.id()), Found::default());
    }
}
