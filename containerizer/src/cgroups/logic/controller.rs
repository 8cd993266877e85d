//! The kernel's controllers, as both versions know them.

use std::fmt::{self, Display};

/// What the kernel can limit or count for a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// Shares and quotas of processor time.
    Cpu,
    /// Processor time used. In version 2 every group counts it.
    Cpuacct,
    /// Which processors and memory nodes may be used.
    Cpuset,
    /// Memory and swap.
    Memory,
    /// Which devices may be opened and made. In version 2 a program that is attached to the group.
    Devices,
    /// Stopping all processes of a group at once. In version 2 every group can do it.
    Freezer,
    /// Block devices. `io` in version 2.
    Io,
    /// The number of processes and threads.
    Pids,
    /// Huge pages.
    Hugetlb,
    /// Counters of the processor. In version 2 every group has them if the kernel does.
    PerfEvent,
}

/// The two versions of the kernel's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Each controller has a tree of groups, which some may share.
    V1,
    /// One tree for all.
    V2,
}

impl Controller {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Cpu,
        Self::Cpuacct,
        Self::Cpuset,
        Self::Memory,
        Self::Devices,
        Self::Freezer,
        Self::Io,
        Self::Pids,
        Self::Hugetlb,
        Self::PerfEvent,
    ];

    /// As version 1 calls it, and as people do.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Memory => "memory",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::Io => "blkio",
            Self::Pids => "pids",
            Self::Hugetlb => "hugetlb",
            Self::PerfEvent => "perf_event",
        }
    }

    /// As `cgroup.subtree_control` calls it; `None`: nothing has to be given to a group for it.
    pub fn name_in_v2(self) -> Option<&'static str> {
        match self {
            Self::Cpu | Self::Cpuset | Self::Memory | Self::Pids | Self::Hugetlb => {
                Some(self.name())
            }
            Self::Io => Some("io"),
            Self::Cpuacct | Self::Devices | Self::Freezer | Self::PerfEvent => None,
        }
    }

    /// By the name of either version.
    pub fn named(name: &str) -> Option<Self> {
        let is_it = |c: &Self| c.name() == name || c.name_in_v2() == Some(name);
        Self::ALL.into_iter().find(is_it)
    }
}

impl Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_is_found_by_the_name_of_either_version() {
        for controller in Controller::ALL {
            assert_eq!(Controller::named(controller.name()), Some(controller));
        }
        assert_eq!(Controller::named("io"), Some(Controller::Io));
        assert_eq!(Controller::named("rdma"), None);
    }
}
