//! Which container is meant, which isolators are asked of it, and how what they say becomes one answer. Pure.

use std::fmt;

use api::v1::{ContainerStatus, ResourceStatistics};
use prost::Message;
use serde::{Deserialize, Serialize};

use crate::container::ContainerName;

/// Which container, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContainerPath {
    /// Those that it is in, outermost first, and its own name.
    names: Vec<ContainerName>,
    standalone: bool,
}

impl ContainerPath {
    /// Of an executor's own container.
    pub fn of_executor(name: ContainerName) -> Self {
        Self { names: vec![name], standalone: false }
    }

    /// Of a container that is no executor's and in no other.
    pub fn standalone(name: ContainerName) -> Self {
        Self { names: vec![name], standalone: true }
    }

    /// Of a container in this one.
    #[must_use]
    pub fn nested(&self, name: ContainerName) -> Self {
        let mut nested = self.clone();
        nested.names.push(name);
        nested
    }

    /// The names from the outermost container to this one.
    pub fn names(&self) -> impl Iterator<Item = &ContainerName> {
        self.names.iter()
    }

    /// Whether it is in another container.
    pub fn is_nested(&self) -> bool {
        self.names.len() > 1
    }

    /// Whether it, or the outermost that it is in, is no executor's.
    pub fn is_standalone(&self) -> bool {
        self.standalone
    }

    /// Whether an isolator that supports this much is asked of it; as in Mesos, it is left out else.
    pub fn is_supported(&self, nesting: bool, standalone: bool) -> bool {
        (nesting || !self.is_nested()) && (standalone || !self.standalone)
    }
}

impl fmt::Display for ContainerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names.iter().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            write!(f, "{dot}{name}")?;
        }
        Ok(())
    }
}

/// What is known of what a container uses, with what one more says. The time is that of whoever asked.
pub fn with_usage(known: &mut ResourceStatistics, more: ResourceStatistics) {
    merge(known, &ResourceStatistics { timestamp: known.timestamp, ..more });
}

/// What is known of a container, with what one more says: of addresses there are more then.
pub fn with_status(known: &mut ContainerStatus, more: &ContainerStatus) {
    merge(known, more);
}

/// As protobuf has it: what is said replaces what was, lists grow.
fn merge<M: Message>(known: &mut M, more: &M) {
    let merged = known.merge(more.encode_to_vec().as_slice());
    debug_assert!(merged.is_ok(), "a message reads what it has written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::v1::{CgroupInfo, NetworkInfo, cgroup_info, network_info};

    fn name(text: &str) -> ContainerName {
        ContainerName::new(text).unwrap()
    }

    #[test]
    fn iso_27_an_isolator_is_asked_of_what_it_supports_only() {
        let executors = ContainerPath::of_executor(name("a"));
        let alone = ContainerPath::standalone(name("b"));
        // Of an executor's, in it, standalone, in that.
        let all = [&executors, &executors.nested(name("c")), &alone, &alone.nested(name("d"))];
        let asked = |nesting, standalone| all.map(|id| id.is_supported(nesting, standalone));
        assert_eq!(asked(false, false), [true, false, false, false]);
        assert_eq!(asked(true, false), [true, true, false, false]);
        assert_eq!(asked(false, true), [true, false, true, false]);
        assert_eq!(asked(true, true), [true; 4]);
        assert_eq!(all[1].to_string(), "a.c");
    }

    #[test]
    fn iso_27_what_isolators_say_is_merged_and_the_later_one_counts_more() {
        let mut usage = ResourceStatistics {
            timestamp: 7.0,
            processes: Some(3),
            mem_rss_bytes: Some(1),
            ..Default::default()
        };
        let more = ResourceStatistics {
            timestamp: 9.0,
            mem_rss_bytes: Some(2),
            net_rx_bytes: Some(5),
            ..Default::default()
        };
        with_usage(&mut usage, more);
        assert_eq!((usage.timestamp, usage.processes), (7.0, Some(3)));
        assert_eq!((usage.mem_rss_bytes, usage.net_rx_bytes), (Some(2), Some(5)));
        let at = |ip: &str| {
            let ip_addresses =
                vec![network_info::IpAddress { ip_address: Some(ip.into()), ..Default::default() }];
            let network_infos = vec![NetworkInfo { ip_addresses, ..Default::default() }];
            ContainerStatus { network_infos, ..Default::default() }
        };
        let mut status = ContainerStatus { executor_pid: Some(4), ..at("10.0.0.1") };
        let net_cls = Some(cgroup_info::NetCls { classid: Some(8) });
        let cgroup_info = Some(CgroupInfo { net_cls });
        with_status(&mut status, &ContainerStatus { cgroup_info, ..at("10.0.0.2") });
        let addresses = status.network_infos.iter().flat_map(|info| &info.ip_addresses);
        let addresses: Vec<_> = addresses.map(|at| at.ip_address.as_deref()).collect();
        assert_eq!(addresses, [Some("10.0.0.1"), Some("10.0.0.2")]);
        assert_eq!((status.executor_pid, status.cgroup_info), (Some(4), cgroup_info));
    }
}
