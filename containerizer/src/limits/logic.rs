//! What control groups are told of a container that may take this much, and what is said of one that took more. Pure.

use std::time::Duration;

use api::v1::ResourceStatistics;
use protocol::limits::Most;
use protocol::resources::{Milli, Resources};
use protocol::task::Reason;

use crate::cgroups::logic::limits::{Bound, Cpu, Limits, MEMORY_BYTES_MIN, Memory};
use crate::cgroups::logic::usage::Usage;
use crate::isolator::{Allowance, Limitation};

const MIB: u64 = 1 << 20;

/// Which of what containers hold is limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The share of the processors.
    pub cpu: bool,
    /// Memory.
    pub memory: bool,
    /// Whether a container gets no more of the processors than it holds, also where they are idle.
    pub hard_cpu: bool,
}

impl Held {
    /// What the kernel is told of who may take this much. A task that says what it may take at most says it wherever processors, or
    /// memory, are limited at all; as in Mesos, `hard_cpu` is for those that do not say.
    pub fn limits(self, allowance: &Allowance) -> Limits {
        let Allowance { holds, limits } = allowance;
        let request_milli = milli(holds.cpus());
        let cpu = self.cpu.then(|| Cpu {
            request_milli,
            limit_milli: match limits.cpus {
                Some(Most::At(most)) => Bound::At(milli(most)),
                None if self.hard_cpu => Bound::At(request_milli),
                Some(Most::Unbounded) | None => Bound::Unbounded,
            },
            revocable: holds.revocable().cpus() > Milli(0),
        });
        let memory = self.memory.then(|| Memory {
            soft: memory_bytes(holds.mem()),
            hard: match most_memory(allowance) {
                Most::At(most) => Bound::At(memory_bytes(most)),
                Most::Unbounded => Bound::Unbounded,
            },
            swap: None,
        });
        Limits { cpu, memory, ..Limits::default() }
    }
}

/// Of an amount of `mem` or `disk`, which are in MiB.
pub fn bytes(megabytes: Milli) -> u64 {
    u64::try_from(megabytes.0).unwrap_or_default().saturating_mul(MIB) / 1000
}

fn milli(cpus: Milli) -> u64 {
    u64::try_from(cpus.0).unwrap_or_default()
}

fn most_memory(allowance: &Allowance) -> Most {
    allowance.limits.mem.unwrap_or(Most::At(allowance.holds.mem()))
}

fn memory_bytes(mem: Milli) -> u64 {
    bytes(mem).max(MEMORY_BYTES_MIN)
}

/// A container's memory ran out.
pub fn of_memory(allowance: &Allowance) -> Limitation {
    let (most, words) = match (most_memory(allowance), allowance.limits.mem) {
        (Most::At(most), None) => {
            let mib = memory_bytes(most) / MIB;
            let words = format!(
                "its container needed more than the {mib} MiB that its tasks and its executor hold; let the task ask for more mem"
            );
            (most, words)
        }
        (Most::At(most), Some(_)) => {
            let mib = memory_bytes(most) / MIB;
            let words = format!(
                "its container needed more than the {mib} MiB that its tasks and its executor may take; let the task have a higher limit of mem"
            );
            (most, words)
        }
        (Most::Unbounded, _) => {
            let words = "its container has no limit, and the machine had no memory left; let the task ask for more mem";
            (allowance.holds.mem(), words.to_owned())
        }
    };
    Limitation {
        reason: Reason::ContainerLimitationMemory,
        resources: Resources::none().with_scalar("mem", most),
        words: format!("Memory limit exceeded: {words}"),
    }
}

/// As clients read it. What the kernel does not say is not said.
pub fn statistics(usage: &Usage) -> ResourceStatistics {
    let Usage { cpu, memory, .. } = usage;
    let seconds = |nanos: Option<u64>| nanos.map(|nanos| Duration::from_nanos(nanos).as_secs_f64());
    let count = |count: Option<u64>| count.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    ResourceStatistics {
        cpus_user_time_secs: seconds(cpu.user_nanos),
        cpus_system_time_secs: seconds(cpu.system_nanos),
        cpus_nr_periods: count(cpu.periods),
        cpus_nr_throttled: count(cpu.throttled_periods),
        cpus_throttled_time_secs: seconds(cpu.throttled_nanos),
        mem_total_bytes: memory.total,
        mem_total_memsw_bytes: memory.total_with_swap,
        mem_kmem_usage_bytes: memory.kernel,
        mem_kmem_tcp_usage_bytes: memory.kernel_tcp,
        mem_rss_bytes: memory.anonymous,
        mem_anon_bytes: memory.anonymous,
        mem_cache_bytes: memory.cache,
        mem_file_bytes: memory.cache,
        mem_mapped_file_bytes: memory.mapped_file,
        mem_swap_bytes: memory.swap,
        mem_unevictable_bytes: memory.unevictable,
        ..ResourceStatistics::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::limits::TaskLimits;

    const ALL: Held = Held { cpu: true, memory: true, hard_cpu: false };
    const HARD: Held = Held { hard_cpu: true, ..ALL };

    fn holding(cpus: f64, mem: f64, limits: TaskLimits) -> Allowance {
        Allowance { holds: Resources::cpus_mem(cpus, mem), limits }
    }

    fn at(units: i64) -> Option<Most> {
        Some(Most::At(Milli::whole(units)))
    }

    #[test]
    fn iso_03_a_container_is_limited_to_what_it_holds() {
        let holds = holding(1.5, 100.0, TaskLimits::default());
        let soft = ALL.limits(&holds);
        let cpu = |limit_milli| Cpu { request_milli: 1500, limit_milli, revocable: false };
        let bytes = 100 * MIB;
        let memory = Memory { soft: bytes, hard: Bound::At(bytes), swap: None };
        assert_eq!((soft.cpu, soft.memory), (Some(cpu(Bound::Unbounded)), Some(memory)));
        assert_eq!(HARD.limits(&holds).cpu, Some(cpu(Bound::At(1500))));
        let none = Held { hard_cpu: true, ..Held::default() };
        assert_eq!(none.limits(&holds), Limits::default());
    }

    #[test]
    fn op_15_what_it_may_take_at_most_is_another_amount_than_its_share() {
        let limited = holding(1.5, 100.0, TaskLimits { cpus: at(3), mem: at(200) });
        for held in [ALL, HARD] {
            let told = held.limits(&limited);
            let cpu = told.cpu.unwrap();
            assert_eq!((cpu.request_milli, cpu.limit_milli), (1500, Bound::At(3000)));
            let memory = told.memory.unwrap();
            assert_eq!((memory.soft, memory.hard), (100 * MIB, Bound::At(200 * MIB)));
        }
        assert_eq!(Held::default().limits(&limited), Limits::default());
        let unbounded = TaskLimits { cpus: Some(Most::Unbounded), mem: Some(Most::Unbounded) };
        let told = HARD.limits(&holding(1.5, 100.0, unbounded));
        assert_eq!(told.cpu.unwrap().limit_milli, Bound::Unbounded);
        assert_eq!(told.memory.unwrap().hard, Bound::Unbounded);
    }

    #[test]
    fn op_15_whose_memory_ran_out_is_told_what_it_could_have_had() {
        let of = |mem| of_memory(&holding(1.0, 100.0, TaskLimits { cpus: None, mem }));
        assert!(of(None).words.contains("the 100 MiB that its tasks and its executor hold"));
        assert!(of(at(200)).words.contains("the 200 MiB that its tasks and its executor may take"));
        assert_eq!(of(at(200)).resources.mem(), Milli::whole(200));
        assert!(of(Some(Most::Unbounded)).words.contains("the machine had no memory left"));
    }

    #[test]
    fn iso_04_no_container_has_less_memory_than_a_small_program_needs() {
        let of = |mem| memory_bytes(Milli::from_f64(mem));
        assert_eq!((of(1.0), of(32.5)), (MEMORY_BYTES_MIN, 32 * MIB + MIB / 2));
        assert_eq!(memory_bytes(Milli(0)), MEMORY_BYTES_MIN);
    }

    #[test]
    fn what_is_not_counted_is_not_said() {
        let mut usage = Usage::default();
        assert_eq!(statistics(&usage), ResourceStatistics::default());
        usage.cpu.throttled_nanos = Some(1_500_000_000);
        usage.memory.anonymous = Some(7);
        let said = statistics(&usage);
        assert_eq!((said.cpus_throttled_time_secs, said.mem_rss_bytes), (Some(1.5), Some(7)));
    }
}
