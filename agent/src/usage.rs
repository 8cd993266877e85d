//! What the processes of executors use of this machine, as the kernel counts it.

use std::collections::{BTreeMap, BTreeSet};

use procfs::process::all_processes;

/// What one executor and all that came from it use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub(crate) processes: u32,
    pub(crate) threads: u32,
    /// Of a processor, in its own code.
    pub(crate) user_seconds: f64,
    /// Of a processor, in the kernel.
    pub(crate) system_seconds: f64,
    /// Of memory, in its own pages and those that it shares.
    pub(crate) resident_bytes: u64,
}

/// One process, with what those that it buried had used.
#[derive(Clone, Copy, Debug)]
struct Process {
    parent: i32,
    own: Usage,
}

/// All processes of one moment.
#[derive(Default)]
pub(crate) struct Usages {
    processes: BTreeMap<i32, Process>,
    children: BTreeMap<i32, Vec<i32>>,
}

impl Usages {
    /// Looks at all processes, which waits for the kernel. What ended meanwhile, or is hidden, is left out.
    pub(crate) fn look() -> Self {
        let ticks = procfs::ticks_per_second() as f64;
        let page = procfs::page_size();
        let mut processes = BTreeMap::new();
        for process in all_processes().into_iter().flatten() {
            let Ok(stat) = process.and_then(|process| process.stat()) else { continue };
            let waited = |ticks: i64| u64::try_from(ticks).unwrap_or_default();
            let own = Usage {
                processes: 1,
                threads: u32::try_from(stat.num_threads).unwrap_or_default(),
                user_seconds: (stat.utime + waited(stat.cutime)) as f64 / ticks,
                system_seconds: (stat.stime + waited(stat.cstime)) as f64 / ticks,
                resident_bytes: stat.rss.saturating_mul(page),
            };
            processes.insert(stat.pid, Process { parent: stat.ppid, own });
        }
        Self::of(processes)
    }

    fn of(processes: BTreeMap<i32, Process>) -> Self {
        let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (number, process) in &processes {
            children.entry(process.parent).or_default().push(*number);
        }
        Self { processes, children }
    }

    /// What a process and all that came from it use together; `None`: it is not there.
    pub(crate) fn below(&self, process: u32) -> Option<Usage> {
        let first = i32::try_from(process).ok()?;
        self.processes.get(&first)?;
        let mut sum = Usage::default();
        let mut open = vec![first];
        // A number that was given again meanwhile may lead in a circle.
        let mut counted = BTreeSet::new();
        while let Some(number) = open.pop() {
            let Some(process) = self.processes.get(&number).filter(|_| counted.insert(number))
            else {
                continue;
            };
            sum.processes += process.own.processes;
            sum.threads += process.own.threads;
            sum.user_seconds += process.own.user_seconds;
            sum.system_seconds += process.own.system_seconds;
            sum.resident_bytes = sum.resident_bytes.saturating_add(process.own.resident_bytes);
            open.extend(self.children.get(&number).into_iter().flatten());
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_a_process_counts_with_it_and_nothing_else_does() {
        let process = |parent, threads| {
            let own = Usage { processes: 1, threads, resident_bytes: 10, ..Usage::default() };
            Process { parent, own }
        };
        let all = [(1, process(0, 1)), (7, process(1, 2)), (8, process(7, 3)), (9, process(1, 4))];
        let usages = Usages::of(all.into_iter().collect());
        let used = usages.below(7).unwrap();
        assert_eq!((used.processes, used.threads, used.resident_bytes), (2, 5, 20));
        assert_eq!(usages.below(10), None);
    }

    #[test]
    fn this_very_process_uses_memory() {
        let used = Usages::look().below(std::process::id()).unwrap();
        assert!(used.processes >= 1 && used.threads >= 1 && used.resident_bytes > 0, "{used:?}");
    }
}
