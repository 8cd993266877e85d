//! Every process below this one, found by walking `/proc`: also those that left their session and process group.

use std::collections::BTreeMap;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Signals every descendant. Children first seen come first, so that a parent cannot replace what was just signalled
/// without being signalled itself in the same pass.
pub(crate) fn signal_all(signal: Signal) {
    for pid in descendants(std::process::id()) {
        // It may have ended by now; nothing else can go wrong for a descendant.
        if let Ok(pid) = i32::try_from(pid) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

/// The living processes below `root`, parents before children.
fn descendants(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let Ok(processes) = procfs::process::all_processes() else {
        return Vec::new();
    };
    for stat in processes.filter_map(|process| process.and_then(|process| process.stat()).ok()) {
        // A zombie is dead already; its children were given to its reaper.
        if stat.state != 'Z'
            && let (Ok(parent), Ok(pid)) = (u32::try_from(stat.ppid), u32::try_from(stat.pid))
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(child);
            next.push(child);
        }
    }
    found
}
