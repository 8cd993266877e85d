//! What a container uses, read from the files of both versions. A file that lacks a line leaves its figure out; a figure that
//! is no number is no figure.

use std::collections::BTreeMap;

use super::controller::Controller;
use super::limits::{Bound, DeviceNumber, PERIOD_MICROS};

/// What a container uses. What the kernel does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time.
    pub cpu: CpuUsage,
    /// Memory and swap.
    pub memory: MemoryUsage,
    /// Processes and threads.
    pub pids: PidsUsage,
    /// Block devices.
    pub io: BTreeMap<DeviceNumber, IoUsage>,
    /// How long its processes waited; version 2, and where the kernel counts it.
    pub pressure: BTreeMap<Resource, Pressure>,
}

/// Processor time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuUsage {
    /// In programs, in nanoseconds.
    pub user_nanos: Option<u64>,
    /// In the kernel, in nanoseconds.
    pub system_nanos: Option<u64>,
    /// Both, in nanoseconds; more exact than their sum.
    pub total_nanos: Option<u64>,
    /// Periods of its quota in which it ran.
    pub periods: Option<u64>,
    /// Those in which its quota was used up.
    pub throttled_periods: Option<u64>,
    /// How long it was kept from running by its quota, in nanoseconds.
    pub throttled_nanos: Option<u64>,
    /// Its share: `cpu.shares` of version 1, or `cpu.weight` of version 2.
    pub share: Option<u64>,
    /// Of processor time a period, in microseconds: quota and period.
    pub quota: Option<(Bound, u64)>,
}

/// Memory, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// All of it: of programs, of files, and of the kernel for them.
    pub total: Option<u64>,
    /// The same and swap.
    pub total_with_swap: Option<u64>,
    /// The kernel's for it.
    pub kernel: Option<u64>,
    /// The kernel's for its TCP connections.
    pub kernel_tcp: Option<u64>,
    /// Of programs.
    pub anonymous: Option<u64>,
    /// Of files that were read and written, and of memory that is shared.
    pub cache: Option<u64>,
    /// Of files that are mapped.
    pub mapped_file: Option<u64>,
    /// Written to swap.
    pub swap: Option<u64>,
    /// That cannot be taken away.
    pub unevictable: Option<u64>,
    /// What it is left with when memory is short.
    pub soft_limit: Option<Bound>,
    /// The most it gets.
    pub hard_limit: Option<Bound>,
    /// How often it asked for more than it gets.
    pub at_limit: Option<u64>,
    /// How many of its processes were killed because memory was short.
    pub oom_kills: Option<u64>,
}

/// Processes and threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PidsUsage {
    /// As many as there are.
    pub current: Option<u64>,
    /// As many as there may be.
    pub limit: Option<Bound>,
    /// How often there would have been more.
    pub refused: Option<u64>,
}

/// What was read and written of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoUsage {
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Bytes discarded.
    pub discard_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Discards.
    pub discards: u64,
}

/// What processes wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Processors.
    Cpu,
    /// Memory.
    Memory,
    /// Block devices.
    Io,
}

/// How long processes waited for something, in microseconds since the group was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Some of them.
    pub some_micros: u64,
    /// All of them at once.
    pub full_micros: u64,
}

/// That a container ran out of memory, as its group remembers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutOfMemory {
    /// How many of its processes were killed, for its own limit or because the whole machine ran out.
    pub kills: u64,
    /// How often it was at its own limit.
    pub at_limit: u64,
}

/// A file, whose it is, and how it is read.
pub type Source = (Controller, &'static str, fn(&mut Usage, &str));

/// Where version 1 says all this. Those of version 1 that count a group alone are left for those that count what is in it too.
pub const SOURCES_V1: [Source; 19] = [
    (Controller::Cpuacct, "cpuacct.stat", |usage, text| {
        usage.cpu.user_nanos = value(text, "user").map(of_ticks);
        usage.cpu.system_nanos = value(text, "system").map(of_ticks);
    }),
    (Controller::Cpuacct, "cpuacct.usage", |usage, text| usage.cpu.total_nanos = number(text)),
    (Controller::Cpu, "cpu.stat", |usage, text| {
        usage.cpu.periods = value(text, "nr_periods");
        usage.cpu.throttled_periods = value(text, "nr_throttled");
        usage.cpu.throttled_nanos = value(text, "throttled_time");
    }),
    (Controller::Cpu, "cpu.shares", |usage, text| usage.cpu.share = number(text)),
    (Controller::Cpu, "cpu.cfs_quota_us", |usage, text| {
        usage.cpu.quota = read_bound(text).map(|quota| (quota, PERIOD_MICROS));
    }),
    (Controller::Memory, "memory.usage_in_bytes", |usage, text| {
        usage.memory.total = number(text);
    }),
    (Controller::Memory, "memory.memsw.usage_in_bytes", |usage, text| {
        usage.memory.total_with_swap = number(text);
    }),
    (Controller::Memory, "memory.kmem.usage_in_bytes", |usage, text| {
        usage.memory.kernel = number(text);
    }),
    (Controller::Memory, "memory.kmem.tcp.usage_in_bytes", |usage, text| {
        usage.memory.kernel_tcp = number(text);
    }),
    (Controller::Memory, "memory.stat", |usage, text| {
        usage.memory.anonymous = value(text, "total_rss");
        usage.memory.cache = value(text, "total_cache");
        usage.memory.mapped_file = value(text, "total_mapped_file");
        usage.memory.swap = value(text, "total_swap");
        usage.memory.unevictable = value(text, "total_unevictable");
    }),
    (Controller::Memory, "memory.soft_limit_in_bytes", |usage, text| {
        usage.memory.soft_limit = read_bound(text);
    }),
    (Controller::Memory, "memory.limit_in_bytes", |usage, text| {
        usage.memory.hard_limit = read_bound(text);
    }),
    (Controller::Memory, "memory.failcnt", |usage, text| usage.memory.at_limit = number(text)),
    (Controller::Memory, "memory.oom_control", |usage, text| {
        usage.memory.oom_kills = value(text, "oom_kill");
    }),
    (Controller::Pids, "pids.current", |usage, text| usage.pids.current = number(text)),
    (Controller::Pids, "pids.max", |usage, text| usage.pids.limit = read_bound(text)),
    (Controller::Pids, "pids.events", |usage, text| usage.pids.refused = value(text, "max")),
    (Controller::Io, "blkio.throttle.io_service_bytes_recursive", |usage, text| {
        add_io_v1(&mut usage.io, text, |io| {
            [&mut io.read_bytes, &mut io.write_bytes, &mut io.discard_bytes]
        });
    }),
    (Controller::Io, "blkio.throttle.io_serviced_recursive", |usage, text| {
        add_io_v1(&mut usage.io, text, |io| [&mut io.reads, &mut io.writes, &mut io.discards]);
    }),
];

/// Where version 2 says it.
pub const SOURCES_V2: [Source; 16] = [
    (Controller::Cpuacct, "cpu.stat", |usage, text| {
        usage.cpu.user_nanos = value(text, "user_usec").map(of_micros);
        usage.cpu.system_nanos = value(text, "system_usec").map(of_micros);
        usage.cpu.total_nanos = value(text, "usage_usec").map(of_micros);
        usage.cpu.periods = value(text, "nr_periods");
        usage.cpu.throttled_periods = value(text, "nr_throttled");
        usage.cpu.throttled_nanos = value(text, "throttled_usec").map(of_micros);
    }),
    (Controller::Cpu, "cpu.weight", |usage, text| usage.cpu.share = number(text)),
    (Controller::Cpu, "cpu.max", |usage, text| {
        let (quota, period) = text.trim().split_once(' ').unwrap_or((text, ""));
        usage.cpu.quota = read_bound(quota).zip(number(period));
    }),
    (Controller::Memory, "memory.current", |usage, text| usage.memory.total = number(text)),
    (Controller::Memory, "memory.swap.current", |usage, text| {
        usage.memory.swap = number(text);
        let both = usage.memory.total.zip(usage.memory.swap);
        usage.memory.total_with_swap = both.map(|(memory, swap)| memory.saturating_add(swap));
    }),
    (Controller::Memory, "memory.stat", |usage, text| {
        usage.memory.anonymous = value(text, "anon");
        usage.memory.cache = value(text, "file");
        usage.memory.mapped_file = value(text, "file_mapped");
        usage.memory.kernel = value(text, "kernel");
        usage.memory.unevictable = value(text, "unevictable");
    }),
    (Controller::Memory, "memory.low", |usage, text| usage.memory.soft_limit = read_bound(text)),
    (Controller::Memory, "memory.max", |usage, text| usage.memory.hard_limit = read_bound(text)),
    (Controller::Memory, "memory.events", |usage, text| {
        usage.memory.at_limit = value(text, "max");
        usage.memory.oom_kills = value(text, "oom_kill");
    }),
    (Controller::Pids, "pids.current", |usage, text| usage.pids.current = number(text)),
    (Controller::Pids, "pids.max", |usage, text| usage.pids.limit = read_bound(text)),
    (Controller::Pids, "pids.events", |usage, text| usage.pids.refused = value(text, "max")),
    (Controller::Io, "io.stat", |usage, text| add_io_v2(&mut usage.io, text)),
    (Controller::Freezer, "cpu.pressure", |usage, text| add(usage, Resource::Cpu, text)),
    (Controller::Freezer, "memory.pressure", |usage, text| add(usage, Resource::Memory, text)),
    (Controller::Freezer, "io.pressure", |usage, text| add(usage, Resource::Io, text)),
];

impl OutOfMemory {
    /// From `memory.oom_control` and `memory.failcnt` of version 1, which count what happened to a group alone.
    pub fn read_v1(control: &str, failures: &str) -> Self {
        let kills = value(control, "oom_kill").unwrap_or(0);
        Self { kills, at_limit: number(failures).unwrap_or(0) }
    }

    /// From `memory.events` of version 2, which counts what happened in a group and in those below it.
    pub fn read_v2(events: &str) -> Self {
        let value = |name| value(events, name).unwrap_or(0);
        Self { kills: value("oom_kill"), at_limit: value("oom") }
    }

    /// Of two groups.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            kills: self.kills.saturating_add(other.kills),
            at_limit: self.at_limit.saturating_add(other.at_limit),
        }
    }
}

/// A number, or none: `max`, `-1`, and what version 1 says of no limit, the largest number that is a multiple of a page.
pub fn read_bound(text: &str) -> Option<Bound> {
    match text.trim() {
        "max" | "-1" => Some(Bound::Unbounded),
        text => {
            let most: u64 = text.parse().ok()?;
            let none = most >= NO_LIMIT_BYTES_MIN;
            Some(if none { Bound::Unbounded } else { Bound::At(most) })
        }
    }
}

/// Pages have 64 KiB at most, so that the largest number that is a multiple of them is no less.
const NO_LIMIT_BYTES_MIN: u64 = i64::MAX as u64 - ((64 << 10) - 1);

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Of a line `name value`.
fn value(text: &str, name: &str) -> Option<u64> {
    let of_line = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(of_line)
}

/// A hundred a second, whatever the kernel counts in itself.
fn of_ticks(ticks: u64) -> u64 {
    ticks.saturating_mul(10_000_000)
}

fn of_micros(micros: u64) -> u64 {
    micros.saturating_mul(1000)
}

fn read_device(text: &str) -> Option<DeviceNumber> {
    let (major, minor) = text.split_once(':')?;
    Some(DeviceNumber(major.parse().ok()?, minor.parse().ok()?))
}

/// Lines `8:0 Read 4096`, and sums, which are left out.
fn add_io_v1(
    io: &mut BTreeMap<DeviceNumber, IoUsage>,
    text: &str,
    fields: fn(&mut IoUsage) -> [&mut u64; 3],
) {
    for line in text.lines() {
        let [device, operation, count] = line.split(' ').collect::<Vec<_>>()[..] else {
            continue;
        };
        let place = match operation {
            "Read" => 0,
            "Write" => 1,
            "Discard" => 2,
            _ => continue,
        };
        if let (Some(device), Some(count)) = (read_device(device), number(count)) {
            *fields(io.entry(device).or_default())[place] = count;
        }
    }
}

/// Lines `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`.
fn add_io_v2(io: &mut BTreeMap<DeviceNumber, IoUsage>, text: &str) {
    for line in text.lines() {
        let mut words = line.split(' ');
        let Some(device) = words.next().and_then(read_device) else {
            continue;
        };
        let usage = io.entry(device).or_default();
        for (name, count) in words.filter_map(|word| word.split_once('=')) {
            let field = match name {
                "rbytes" => &mut usage.read_bytes,
                "wbytes" => &mut usage.write_bytes,
                "dbytes" => &mut usage.discard_bytes,
                "rios" => &mut usage.reads,
                "wios" => &mut usage.writes,
                "dios" => &mut usage.discards,
                _ => continue,
            };
            *field = number(count).unwrap_or(*field);
        }
    }
}

/// Lines `some avg10=0.00 avg60=0.00 avg300=0.00 total=123`. Older kernels have no `full` of processors.
fn add(usage: &mut Usage, resource: Resource, text: &str) {
    let total = |kind: &str| {
        let line = text.lines().find(|line| line.starts_with(kind))?;
        line.rsplit_once("total=")?.1.trim().parse().ok()
    };
    if let Some(some_micros) = total("some ") {
        let full_micros = total("full ").unwrap_or(0);
        usage.pressure.insert(resource, Pressure { some_micros, full_micros });
    }
}

#[cfg(test)]
mod tests;
