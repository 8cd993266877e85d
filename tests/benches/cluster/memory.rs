//! What processes use, as the kernel counts it.

use std::error::Error;

use procfs::process::{Process, all_processes};

const KIB: f64 = 1024.0;

/// A descendant of a process that was started as `airside ROLE …`.
pub(crate) fn process(role: &str, below: u32) -> Option<i32> {
    let below = i32::try_from(below).ok()?;
    let mut all = all_processes().ok()?.flatten();
    let is_it = |process: &Process| {
        let words = process.cmdline().unwrap_or_default();
        words.get(1).is_some_and(|word| word == role) && is_below(process, below)
    };
    all.find(is_it).map(|process| process.pid)
}

fn is_below(process: &Process, ancestor: i32) -> bool {
    let mut parent = process.stat().ok().map(|stat| stat.ppid);
    while let Some(pid) = parent.filter(|pid| *pid > 1) {
        if pid == ancestor {
            return true;
        }
        parent = Process::new(pid).and_then(|process| process.stat()).ok().map(|stat| stat.ppid);
    }
    false
}

/// Whether a program of this name runs.
pub(crate) fn runs(program: &str) -> bool {
    let all = all_processes().into_iter().flatten().flatten();
    let names = all.filter_map(|process| process.stat().ok()).map(|stat| stat.comm);
    names.into_iter().any(|name| name == program)
}

/// Resident memory in MiB.
pub(crate) fn resident(process: i32) -> Result<f64, Box<dyn Error>> {
    let kib = Process::new(process)?.status()?.vmrss.ok_or("it has no memory")?;
    Ok(f64::from(u32::try_from(kib)?) / KIB)
}

/// Memory in MiB that no other process shares.
pub(crate) fn private(process: i32) -> Result<f64, Box<dyn Error>> {
    let rollup = Process::new(process)?.smaps_rollup()?;
    let mut bytes = 0;
    for map in rollup.memory_map_rollup {
        let of = |key: &str| map.extension.map.get(key).copied().unwrap_or_default();
        bytes += of("Private_Clean") + of("Private_Dirty");
    }
    Ok(f64::from(u32::try_from(bytes / 1024)?) / KIB)
}
