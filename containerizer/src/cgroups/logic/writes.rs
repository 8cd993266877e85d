//! What is written into which file of the kernel's so that a group has its limits: at its launch, and when they change while
//! its processes run.

use std::borrow::Cow;

use super::controller::{Controller, Version};
use super::devices::Rule;
use super::limits::{
    Bound, Cpu, Cpuset, DeviceNumber, Io, Limits, Memory, PERIOD_MICROS, Throttle,
};

/// One value for one file. Values for one file follow each other, so that it is opened once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// In whose tree the file is, in version 1.
    pub controller: Controller,
    /// The file's name.
    pub file: Cow<'static, str>,
    /// Another name of it, which some kernels have instead.
    pub or_file: Option<&'static str>,
    /// What is written.
    pub value: String,
}

/// What a new group is told. What every new group has anyway is left out. The device rules of version 2 are no writes: see
/// [`super::program`].
pub fn at_launch(version: Version, limits: &Limits) -> Vec<Write> {
    let mut writes = of_all_but_memory(version, limits);
    if let Some(memory) = &limits.memory {
        let Files { soft, hard, swap } = memory_writes(version, memory);
        writes.push(soft);
        writes.push(hard);
        writes.extend(swap);
    }
    writes.retain(|write| !is_default(write));
    if let (Version::V1, Some(rules)) = (version, &limits.devices) {
        writes.push(deny("a".to_owned()));
        writes.extend(rules.iter().map(allow));
    }
    writes
}

/// What a group is told whose limits were `from` and are to be `to`; `hard_now` is its hard limit of memory as the kernel has
/// it, in bytes. What `to` leaves open stays as it is.
///
/// The rule of Mesos: the soft limit follows what is asked for, the hard limit is only raised. Lowered below what is in use
/// it would kill a program that did nothing wrong, when another task of its executor ended, say.
pub fn at_update(version: Version, from: &Limits, to: &Limits, hard_now: Bound) -> Vec<Write> {
    let mut writes = of_all_but_memory(version, to);
    let before = of_all_but_memory(version, from);
    writes.retain(|write| !before.contains(write));
    if let Some(memory) = &to.memory {
        let Files { soft, hard, swap } = memory_writes(version, memory);
        writes.push(soft);
        if memory.hard > hard_now {
            // The kernel refuses a limit of memory beyond that of memory and swap together.
            writes.extend(swap);
            writes.push(hard);
        }
    }
    if let (Version::V1, Some(rules)) = (version, &to.devices) {
        writes.extend(device_changes(from.devices.as_deref(), rules));
    }
    writes
}

/// What comes is allowed before what goes is denied. The kernel keeps one rule a device, so that of a device which stays only
/// those accesses are denied that go: what stays is allowed all the time.
fn device_changes(from: Option<&[Rule]>, to: &[Rule]) -> Vec<Write> {
    let Some(from) = from else {
        return std::iter::once(deny("a".to_owned())).chain(to.iter().map(allow)).collect();
    };
    let come = to.iter().filter(|rule| !from.contains(rule)).map(allow);
    let go = from.iter().filter_map(|rule| {
        let stays = to.iter().filter(|other| rule.is_of_same_device(other));
        rule.without(stays.map(|other| other.access))
    });
    come.chain(go.map(|rule| deny(rule.to_string()))).collect()
}

fn of_all_but_memory(version: Version, limits: &Limits) -> Vec<Write> {
    let mut writes = Vec::with_capacity(8);
    if let Some(cpu) = &limits.cpu {
        writes.extend(cpu_writes(version, cpu));
    }
    if let Some(cpuset) = &limits.cpuset {
        writes.extend(cpuset_writes(cpuset));
    }
    if let Some(pids) = limits.pids {
        writes.push(write(Controller::Pids, "pids.max", bound(pids, "max")));
    }
    writes.extend(io_writes(version, &limits.io));
    for (size, limit) in &limits.hugetlb {
        let (file, value) = match version {
            Version::V1 => (format!("hugetlb.{size}.limit_in_bytes"), bound(*limit, "-1")),
            Version::V2 => (format!("hugetlb.{size}.max"), bound(*limit, "max")),
        };
        writes.push(write(Controller::Hugetlb, file, value));
    }
    writes
}

fn cpu_writes(version: Version, cpu: &Cpu) -> [Write; 2] {
    let quota = cpu.quota_micros();
    let write = |file: &'static str, value| write(Controller::Cpu, file, value);
    match version {
        Version::V1 => [
            write("cpu.shares", cpu.shares().to_string()),
            write("cpu.cfs_quota_us", bound(quota, "-1")),
        ],
        Version::V2 => [
            write("cpu.weight", cpu.weight().to_string()),
            write("cpu.max", format!("{} {PERIOD_MICROS}", bound(quota, "max"))),
        ],
    }
}

fn cpuset_writes(cpuset: &Cpuset) -> impl Iterator<Item = Write> {
    let write = |file: &'static str, value| write(Controller::Cpuset, file, value);
    let mems = cpuset.mems.clone().map(|mems| write("cpuset.mems", mems));
    mems.into_iter().chain([write("cpuset.cpus", cpuset.cpus.clone())])
}

/// The three files of memory, in the order that suits lowering.
struct Files {
    soft: Write,
    hard: Write,
    swap: Option<Write>,
}

fn memory_writes(version: Version, memory: &Memory) -> Files {
    let Memory { soft, hard, swap } = memory.at_least();
    let write = |file: &'static str, value| write(Controller::Memory, file, value);
    match version {
        Version::V1 => Files {
            soft: write("memory.soft_limit_in_bytes", soft.to_string()),
            hard: write("memory.limit_in_bytes", bound(hard, "-1")),
            // Version 1 limits the sum.
            swap: swap
                .map(|swap| write("memory.memsw.limit_in_bytes", bound(sum(hard, swap), "-1"))),
        },
        Version::V2 => Files {
            soft: write("memory.low", soft.to_string()),
            hard: write("memory.max", bound(hard, "max")),
            swap: swap.map(|swap| write("memory.swap.max", bound(swap, "max"))),
        },
    }
}

fn sum(a: Bound, b: Bound) -> Bound {
    match (a, b) {
        (Bound::At(a), Bound::At(b)) => Bound::At(a.saturating_add(b)),
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => Bound::Unbounded,
    }
}

fn io_writes(version: Version, io: &Io) -> Vec<Write> {
    let mut writes = Vec::new();
    if let Some(weight) = io.weight {
        writes.push(match version {
            Version::V1 => Write {
                or_file: Some("blkio.weight"),
                ..write(Controller::Io, "blkio.bfq.weight", weight.clamp(10, 1000).to_string())
            },
            Version::V2 => Write {
                or_file: Some("io.bfq.weight"),
                ..write(Controller::Io, "io.weight", format!("default {}", weight.clamp(1, 10_000)))
            },
        });
    }
    match version {
        Version::V1 => writes.extend(throttles_v1(io)),
        Version::V2 => writes.extend(io.throttles.iter().map(|(of, most)| throttle_v2(*of, most))),
    }
    writes
}

/// File by file, not device by device: each file is opened once.
fn throttles_v1(io: &Io) -> impl Iterator<Item = Write> {
    type Get = fn(&Throttle) -> Option<u64>;
    let files: [(&'static str, Get); 4] = [
        ("blkio.throttle.read_bps_device", |most| most.read_bytes),
        ("blkio.throttle.write_bps_device", |most| most.write_bytes),
        ("blkio.throttle.read_iops_device", |most| most.reads),
        ("blkio.throttle.write_iops_device", |most| most.writes),
    ];
    files.into_iter().flat_map(|(file, get)| {
        let set = io.throttles.iter().filter_map(move |(of, most)| Some((of, get(most)?)));
        set.map(move |(DeviceNumber(major, minor), most)| {
            write(Controller::Io, file, format!("{major}:{minor} {most}"))
        })
    })
}

fn throttle_v2(of: DeviceNumber, most: &Throttle) -> Write {
    let DeviceNumber(major, minor) = of;
    let parts = [
        ("rbps", most.read_bytes),
        ("wbps", most.write_bytes),
        ("riops", most.reads),
        ("wiops", most.writes),
    ];
    let words = parts.map(|(word, most)| match most {
        Some(most) => format!(" {word}={most}"),
        None => format!(" {word}=max"),
    });
    write(Controller::Io, "io.max", format!("{major}:{minor}{}", words.concat()))
}

fn allow(rule: &Rule) -> Write {
    write(Controller::Devices, "devices.allow", rule.to_string())
}

fn deny(what: String) -> Write {
    write(Controller::Devices, "devices.deny", what)
}

fn write(controller: Controller, file: impl Into<Cow<'static, str>>, value: String) -> Write {
    Write { controller, file: file.into(), or_file: None, value }
}

fn bound(bound: Bound, none: &str) -> String {
    match bound {
        Bound::At(most) => most.to_string(),
        Bound::Unbounded => none.to_owned(),
    }
}

/// What the kernel gives every new group.
fn is_default(write: &Write) -> bool {
    let value = write.value.as_str();
    match &*write.file {
        "cpu.shares" => value == "1024",
        "cpu.weight" => value == "100",
        _ => value == "-1" || value == "max" || value.starts_with("max "),
    }
}

#[cfg(test)]
mod tests;
