//! Every process below this one, found by walking `/proc`: also those that left their session and process group.

use std::collections::BTreeMap;

use containerizer::look::cannot_look;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::ProcResult;
use procfs::process::{Stat, all_processes};

use crate::complain;

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

/// The living processes below `root`. A process's own descriptor is closed before the next is looked at.
fn descendants(root: u32) -> Found {
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
    for look in looks {
        match look {
            // A zombie is dead already; its children were given to its reaper.
            Ok(stat) if stat.state == 'Z' => {}
            Ok(stat) => {
                if let (Ok(parent), Ok(pid)) = (u32::try_from(stat.ppid), u32::try_from(stat.pid)) {
                    children.entry(parent).or_default().push(pid);
                }
            }
            Err(error) if cannot_look(&error) => found.blind = Some(error.to_string()),
            // It has ended, or is no process of this user's, so none of these.
            Err(_) => {}
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
    use procfs::ProcError;

    #[test]
    fn what_cannot_be_seen_is_not_taken_for_nothing() {
        let me = || procfs::process::Process::myself().and_then(|process| process.stat()).unwrap();
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
}
