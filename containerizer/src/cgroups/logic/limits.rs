//! What a container is limited to, in units of people. Which files of the kernel's that becomes is in [`super::writes`].

use std::collections::BTreeMap;

use super::controller::Controller;
use super::devices::Rule;

/// The least memory that a container is limited to, in bytes, as in Mesos: with less, even a small program does not start.
pub const MEMORY_BYTES_MIN: u64 = 32 << 20;

/// Everything that a container is limited to. What is not set is not limited, and nothing is written for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Processor time.
    pub cpu: Option<Cpu>,
    /// Memory and swap.
    pub memory: Option<Memory>,
    /// How many processes and threads at once.
    pub pids: Option<Bound>,
    /// On which processors and memory nodes.
    pub cpuset: Option<Cpuset>,
    /// Block devices.
    pub io: Io,
    /// The devices that may be used, and no others; `None`: those of the agent.
    pub devices: Option<Vec<Rule>>,
    /// Bytes of huge pages, by their size as the kernel writes it: `2MB`.
    pub hugetlb: BTreeMap<String, Bound>,
}

/// As much as this, or as one likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// This much.
    At(u64),
    /// No bound. More than any other.
    Unbounded,
}

/// Processor time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// What was asked for, in thousandths of a processor: its share when processors are short.
    pub request_milli: u64,
    /// The most it gets even when processors are idle, in thousandths of a processor.
    pub limit_milli: Bound,
    /// What was asked for may be taken away: its share is a hundredth of what it would be.
    pub revocable: bool,
}

/// Memory and swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What was asked for, in bytes: it is left with this much when memory is short.
    pub soft: u64,
    /// The most it gets, in bytes; with more, its processes are killed.
    pub hard: Bound,
    /// How many bytes of swap beside it; `None`: not limited here.
    pub swap: Option<Bound>,
}

/// On what it may run, in the kernel's words: `0-3,8`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpuset {
    /// Processors.
    pub cpus: String,
    /// Memory nodes; `None`: those of the agent.
    pub mems: Option<String>,
}

/// Block devices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Io {
    /// Its share when a device is busy, of 1 to 10000; 100 is the kernel's own.
    pub weight: Option<u16>,
    /// The most it gets of a device.
    pub throttles: BTreeMap<DeviceNumber, Throttle>,
}

/// Major and minor number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceNumber(pub u32, pub u32);

/// The most that is read and written of a device a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Bytes written.
    pub write_bytes: Option<u64>,
    /// Reads.
    pub reads: Option<u64>,
    /// Writes.
    pub writes: Option<u64>,
}

impl Limits {
    /// What must be there to hold them, in the order of [`Controller`].
    pub fn needs(&self) -> Vec<Controller> {
        let io = self.io.weight.is_some() || !self.io.throttles.is_empty();
        let all = [
            (self.cpu.is_some(), Controller::Cpu),
            (self.cpuset.is_some(), Controller::Cpuset),
            (self.memory.is_some(), Controller::Memory),
            (self.devices.is_some(), Controller::Devices),
            (io, Controller::Io),
            (self.pids.is_some(), Controller::Pids),
            (!self.hugetlb.is_empty(), Controller::Hugetlb),
        ];
        all.into_iter().filter(|(needed, _)| *needed).map(|(_, controller)| controller).collect()
    }
}

impl Cpu {
    /// Of version 1: 1024 a processor, or 10 if it is revocable; the kernel takes no less than 2.
    pub fn shares(&self) -> u64 {
        let a_cpu = if self.revocable { 10 } else { 1024 };
        (self.request_milli.saturating_mul(a_cpu) / 1000).clamp(2, 262_144)
    }

    /// Of version 2: 100 a processor, or 1 if it is revocable; the kernel takes 1 to 10000. These are the same shares as in
    /// version 1: a group that says nothing has 1024 there and 100 here.
    pub fn weight(&self) -> u64 {
        let a_cpu = if self.revocable { 1 } else { 100 };
        (self.request_milli.saturating_mul(a_cpu) / 1000).clamp(1, 10_000)
    }

    /// How many microseconds of processor time it gets in [`PERIOD_MICROS`]; the kernel takes no less than a millisecond.
    pub fn quota_micros(&self) -> Bound {
        match self.limit_milli {
            Bound::At(milli) => Bound::At(
                (milli.saturating_mul(PERIOD_MICROS) / 1000).clamp(1000, QUOTA_MICROS_MAX),
            ),
            Bound::Unbounded => Bound::Unbounded,
        }
    }
}

/// In which quotas are counted: the kernel's own.
pub const PERIOD_MICROS: u64 = 100_000;
/// More the kernel does not take: about 2^44 microseconds, which is a hundred million processors.
const QUOTA_MICROS_MAX: u64 = 1 << 43;

impl Memory {
    /// With what a program needs at least.
    #[must_use]
    pub fn at_least(self) -> Self {
        let hard = self.hard.max(Bound::At(MEMORY_BYTES_MIN));
        Self { soft: self.soft.max(MEMORY_BYTES_MIN), hard, swap: self.swap }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cpu(request_milli: u64) -> Cpu {
        Cpu { request_milli, limit_milli: Bound::Unbounded, revocable: false }
    }

    #[test]
    fn a_share_is_what_was_asked_for_and_never_nothing() {
        let shares = |milli| (cpu(milli).shares(), cpu(milli).weight());
        assert_eq!(shares(1000), (1024, 100));
        assert_eq!(shares(2500), (2560, 250));
        assert_eq!(shares(100), (102, 10));
        assert_eq!(shares(0), (2, 1));
        assert_eq!(shares(u64::MAX), (262_144, 10_000));
        let revocable = Cpu { revocable: true, ..cpu(4000) };
        assert_eq!((revocable.shares(), revocable.weight()), (40, 4));
    }

    #[test]
    fn a_quota_is_counted_in_tenths_of_a_second() {
        let quota = |limit_milli| Cpu { limit_milli, ..cpu(1000) }.quota_micros();
        assert_eq!(quota(Bound::At(1500)), Bound::At(150_000));
        assert_eq!(quota(Bound::At(1)), Bound::At(1000));
        assert_eq!(quota(Bound::Unbounded), Bound::Unbounded);
    }

    #[test]
    fn memory_is_never_less_than_a_program_needs() {
        let tiny = Memory { soft: 1, hard: Bound::At(2), swap: Some(Bound::At(0)) }.at_least();
        let least = Bound::At(MEMORY_BYTES_MIN);
        assert_eq!(tiny, Memory { soft: MEMORY_BYTES_MIN, hard: least, swap: Some(Bound::At(0)) });
        let free = Memory { soft: 1, hard: Bound::Unbounded, swap: None }.at_least();
        assert_eq!(free.hard, Bound::Unbounded);
    }

    proptest! {
        #[test]
        fn who_asks_for_more_has_no_smaller_share(a: u64, b: u64) {
            let (less, more) = (cpu(a.min(b)), cpu(a.max(b)));
            prop_assert!(less.shares() <= more.shares() && less.weight() <= more.weight());
        }
    }
}
