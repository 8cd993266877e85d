//! The control groups of executors: made before they start, given what they hold, watched for memory that runs out, and removed when
//! nothing of them lives.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use containerizer::cgroups::logic::controller::Controller;
use containerizer::cgroups::logic::limits::{Bound, Cpu, Limits, MEMORY_BYTES_MIN, Memory};
use containerizer::cgroups::logic::path::GroupPath;
use containerizer::cgroups::oom::OomWatch;
use containerizer::cgroups::remove::Remover;
use containerizer::cgroups::{CgroupError, Group, Hierarchies, hierarchies};
use protocol::ids::ContainerId;
use protocol::resources::{Milli, Resources};

use crate::config::{GroupSettings, Isolators};
use crate::logic::{Limit, Limitation, bytes};

const MIB: u64 = 1 << 20;

/// Where an agent's groups are, and what they limit. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Trees {
    hierarchies: Hierarchies,
    isolators: Isolators,
    hard_cpu: bool,
}

/// The groups of all executors.
#[derive(Debug)]
pub(crate) struct Groups {
    trees: Trees,
    remover: Remover,
    /// What each was told last; of one that a former life made that is not known.
    given: BTreeMap<ContainerId, Limits>,
}

/// A group that was made.
pub(super) struct Made {
    /// For [`containerizer::cgroups::join`].
    pub(super) files: OsString,
    /// If memory is limited.
    pub(super) oom: Option<OomWatch>,
}

impl Trees {
    /// Those of the agent that lives in this folder. Those of containers that nobody knows are what a crash left.
    pub(crate) fn open(
        settings: &GroupSettings,
        work_dir: &Path,
        known: &BTreeSet<ContainerId>,
    ) -> Result<(Self, Groups), CgroupError> {
        let wanted = [
            (settings.isolators.cpu, Controller::Cpu),
            (settings.isolators.memory, Controller::Memory),
            // All of a container are ended at once.
            (true, Controller::Freezer),
        ];
        let controllers = wanted.into_iter().filter(|(is, _)| *is).map(|(_, one)| one).collect();
        let place = crc32c::crc32c(work_dir.as_os_str().as_encoded_bytes());
        let hierarchies = Hierarchies::open(
            &hierarchies::look()?,
            &hierarchies::Settings {
                root: settings.root.clone(),
                agent: format!("agent-{place:08x}"),
                below_own: false,
                controllers,
            },
        )?;
        let remover = Remover::start(hierarchies.clone()).map_err(CgroupError::Remover)?;
        let names: BTreeSet<&str> = known.iter().map(ContainerId::as_str).collect();
        for left in hierarchies.list()? {
            if left.parent().is_none() && !names.contains(left.as_str()) {
                tracing::warn!(group = left.as_str(), "removes a group that a crash left");
                drop(remover.remove(left));
            }
        }
        let trees =
            Self { hierarchies, isolators: settings.isolators, hard_cpu: settings.hard_cpu };
        Ok((trees.clone(), Groups { trees, remover, given: BTreeMap::new() }))
    }

    fn limits(&self, holds: &Resources) -> Limits {
        limits(holds, self.isolators, self.hard_cpu)
    }

    fn group(&self, container: &ContainerId) -> Option<Group> {
        self.hierarchies.group(&path(container).ok()?).ok()
    }

    /// Whether the kernel has ended something in a container because its memory ran out.
    pub(crate) fn has_run_out(
        &self,
        container: &ContainerId,
        holds: &Resources,
    ) -> Option<Limitation> {
        let seen = self.isolators.memory.then(|| self.group(container))??.out_of_memory().ok()?;
        (seen.kills > 0).then(|| of_memory(holds))
    }
}

impl Groups {
    /// Of an executor that is about to start.
    pub(super) fn make(
        &mut self,
        container: &ContainerId,
        holds: &Resources,
    ) -> Result<Made, CgroupError> {
        let limits = self.trees.limits(holds);
        let group = self.trees.hierarchies.create(&path(container)?, &limits)?;
        self.given.insert(container.clone(), limits);
        let files = std::env::join_paths(group.process_files());
        let oom = self.watch(&group)?;
        Ok(Made { files: files.unwrap_or_default(), oom })
    }

    fn watch(&self, group: &Group) -> Result<Option<OomWatch>, CgroupError> {
        let watch = || group.watch_oom(group.out_of_memory()?);
        self.trees.isolators.memory.then(watch).transpose()
    }

    /// One that a former life made.
    pub(super) fn adopt(&mut self, container: &ContainerId) -> Option<OomWatch> {
        let group = self.trees.group(container)?;
        self.given.insert(container.clone(), Limits::default());
        self.watch(&group).ok().flatten()
    }

    /// From now on it may take this. Of a container without a group nothing is limited: it was started without.
    pub(super) fn give(
        &mut self,
        container: &ContainerId,
        holds: &Resources,
    ) -> Result<(), CgroupError> {
        let (Some(before), Some(group)) =
            (self.given.get_mut(container), self.trees.group(container))
        else {
            return Ok(());
        };
        let limits = self.trees.limits(holds);
        group.update(before, &limits)?;
        *before = limits;
        Ok(())
    }

    /// Ends all that is in it.
    pub(super) fn kill(&self, container: &ContainerId) {
        if let Some(Err(error)) = self.trees.group(container).map(|group| group.kill()) {
            tracing::warn!(%container, %error, "could not end all of a container's group");
        }
    }

    /// Nothing of it lives, or is to.
    pub(super) fn remove(&mut self, container: &ContainerId) {
        self.given.remove(container);
        if let Ok(path) = path(container) {
            // It is gone when it is gone: whoever looks sees the backlog.
            drop(self.remover.remove(path));
        }
    }
}

fn path(container: &ContainerId) -> Result<GroupPath, CgroupError> {
    Ok(GroupPath::top(container.as_str())?)
}

/// What the kernel is told of who holds this much.
fn limits(holds: &Resources, isolators: Isolators, hard_cpu: bool) -> Limits {
    let request_milli = u64::try_from(holds.cpus().0).unwrap_or_default();
    let cpu = isolators.cpu.then(|| Cpu {
        request_milli,
        limit_milli: if hard_cpu { Bound::At(request_milli) } else { Bound::Unbounded },
        revocable: holds.revocable().cpus() > Milli(0),
    });
    let memory = isolators.memory.then(|| {
        let bytes = memory_bytes(holds);
        Memory { soft: bytes, hard: Bound::At(bytes), swap: None }
    });
    Limits { cpu, memory, ..Limits::default() }
}

/// Resources are in MiB.
fn memory_bytes(holds: &Resources) -> u64 {
    bytes(holds.mem()).max(MEMORY_BYTES_MIN)
}

/// A container's memory ran out.
pub(crate) fn of_memory(holds: &Resources) -> Limitation {
    let mib = memory_bytes(holds) / MIB;
    Limitation {
        limit: Limit::Memory,
        resources: Resources::none().with_scalar("mem", holds.mem()),
        words: format!(
            "Memory limit exceeded: its container needed more than the {mib} MiB that its tasks and its executor hold; let the task ask for more mem"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Isolators = Isolators { cpu: true, memory: true };

    #[test]
    fn iso_03_a_container_is_limited_to_what_it_holds() {
        let holds = Resources::cpus_mem(1.5, 100.0);
        let soft = limits(&holds, ALL, false);
        let cpu = |limit_milli| Cpu { request_milli: 1500, limit_milli, revocable: false };
        let bytes = 100 * MIB;
        let memory = Memory { soft: bytes, hard: Bound::At(bytes), swap: None };
        assert_eq!((soft.cpu, soft.memory), (Some(cpu(Bound::Unbounded)), Some(memory)));
        assert_eq!(limits(&holds, ALL, true).cpu, Some(cpu(Bound::At(1500))));
        let none = limits(&holds, Isolators::default(), true);
        assert_eq!(none, Limits::default());
    }

    #[test]
    fn iso_04_no_container_has_less_memory_than_a_small_program_needs() {
        let of = |mem| memory_bytes(&Resources::cpus_mem(1.0, mem));
        assert_eq!((of(1.0), of(32.5)), (MEMORY_BYTES_MIN, 32 * MIB + MIB / 2));
        assert_eq!(memory_bytes(&Resources::none()), MEMORY_BYTES_MIN);
    }
}
