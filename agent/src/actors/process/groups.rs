//! The control groups of executors: made before they start, given what they hold, watched for memory that runs out, and removed when
//! nothing of them lives.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use containerizer::cgroups::logic::controller::Controller;
use containerizer::cgroups::logic::limits::{Bound, Cpu, Limits, MEMORY_BYTES_MIN, Memory};
use containerizer::cgroups::logic::path::GroupPath;
use containerizer::cgroups::oom::OomWatch;
use containerizer::cgroups::remove::Remover;
use containerizer::cgroups::{CgroupError, Group, Hierarchies, hierarchies};
use protocol::ids::ContainerId;
use protocol::limits::Most;
use protocol::resources::{Milli, Resources};

use crate::config::{GroupSettings, Isolators};
use crate::logic::{Allowance, Limit, Limitation, bytes};

const MIB: u64 = 1 << 20;
/// The agent waits for it: what is killed is gone in milliseconds.
const DESTROY_TIME_MAX: Duration = Duration::from_millis(500);

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

    fn limits(&self, allowance: &Allowance) -> Limits {
        limits(allowance, self.isolators, self.hard_cpu)
    }

    fn group(&self, container: &ContainerId) -> Option<Group> {
        self.hierarchies.group(&path(container).ok()?).ok()
    }

    /// Whether the kernel has ended something in a container because its memory ran out.
    pub(crate) fn has_run_out(
        &self,
        container: &ContainerId,
        allowance: &Allowance,
    ) -> Option<Limitation> {
        let seen = self.isolators.memory.then(|| self.group(container))??.out_of_memory().ok()?;
        (seen.kills > 0).then(|| of_memory(allowance))
    }
}

impl Groups {
    /// Of an executor that is about to start.
    pub(super) fn make(
        &mut self,
        container: &ContainerId,
        allowance: &Allowance,
    ) -> Result<Made, CgroupError> {
        let limits = self.trees.limits(allowance);
        let path = path(container)?;
        let group = match self.trees.hierarchies.create(&path, &limits) {
            // A former life made it, and died before it knew the executor; what it may have started is not known to anybody.
            Err(CgroupError::Exists(_)) => {
                self.trees.hierarchies.group(&path)?.destroy(DESTROY_TIME_MAX)?;
                self.trees.hierarchies.create(&path, &limits)?
            }
            made => made?,
        };
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
        allowance: &Allowance,
    ) -> Result<(), CgroupError> {
        let (Some(before), Some(group)) =
            (self.given.get_mut(container), self.trees.group(container))
        else {
            return Ok(());
        };
        let limits = self.trees.limits(allowance);
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

/// What the kernel is told of who may take this much. A task that says what it may take at most says it wherever processors, or memory,
/// are limited at all; as in Mesos, `hard_cpu` is for those that do not say.
fn limits(allowance: &Allowance, isolators: Isolators, hard_cpu: bool) -> Limits {
    let Allowance { holds, limits } = allowance;
    let request_milli = milli(holds.cpus());
    let cpu = isolators.cpu.then(|| Cpu {
        request_milli,
        limit_milli: match limits.cpus {
            Some(Most::At(most)) => Bound::At(milli(most)),
            None if hard_cpu => Bound::At(request_milli),
            Some(Most::Unbounded) | None => Bound::Unbounded,
        },
        revocable: holds.revocable().cpus() > Milli(0),
    });
    let memory = isolators.memory.then(|| Memory {
        soft: memory_bytes(holds.mem()),
        hard: match most_memory(allowance) {
            Most::At(most) => Bound::At(memory_bytes(most)),
            Most::Unbounded => Bound::Unbounded,
        },
        swap: None,
    });
    Limits { cpu, memory, ..Limits::default() }
}

fn milli(cpus: Milli) -> u64 {
    u64::try_from(cpus.0).unwrap_or_default()
}

fn most_memory(allowance: &Allowance) -> Most {
    allowance.limits.mem.unwrap_or(Most::At(allowance.holds.mem()))
}

/// Resources are in MiB.
fn memory_bytes(mem: Milli) -> u64 {
    bytes(mem).max(MEMORY_BYTES_MIN)
}

/// A container's memory ran out.
pub(crate) fn of_memory(allowance: &Allowance) -> Limitation {
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
        limit: Limit::Memory,
        resources: Resources::none().with_scalar("mem", most),
        words: format!("Memory limit exceeded: {words}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::limits::TaskLimits;

    const ALL: Isolators = Isolators { cpu: true, memory: true };

    fn holding(cpus: f64, mem: f64, limits: TaskLimits) -> Allowance {
        Allowance { holds: Resources::cpus_mem(cpus, mem), limits }
    }

    fn at(units: i64) -> Option<Most> {
        Some(Most::At(Milli::whole(units)))
    }

    #[test]
    fn iso_03_a_container_is_limited_to_what_it_holds() {
        let holds = holding(1.5, 100.0, TaskLimits::default());
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
    fn op_15_what_it_may_take_at_most_is_another_amount_than_its_share() {
        let limited = holding(1.5, 100.0, TaskLimits { cpus: at(3), mem: at(200) });
        for hard_cpu in [false, true] {
            let told = limits(&limited, ALL, hard_cpu);
            let cpu = told.cpu.unwrap();
            assert_eq!((cpu.request_milli, cpu.limit_milli), (1500, Bound::At(3000)));
            let memory = told.memory.unwrap();
            assert_eq!((memory.soft, memory.hard), (100 * MIB, Bound::At(200 * MIB)));
        }
        assert_eq!(limits(&limited, Isolators::default(), true), Limits::default());
        let unbounded = TaskLimits { cpus: Some(Most::Unbounded), mem: Some(Most::Unbounded) };
        let told = limits(&holding(1.5, 100.0, unbounded), ALL, true);
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
    fn a_group_that_a_former_life_made_for_an_executor_that_it_never_knew_is_made_anew() {
        let work_dir = tempfile::tempdir().unwrap();
        let settings = GroupSettings {
            root: "airside-tests".into(),
            // Whoever watches memory needs a runtime.
            isolators: Isolators { cpu: true, memory: false },
            hard_cpu: false,
        };
        let container = ContainerId::new("0123456789abcdef0123456789abcdef");
        let known = BTreeSet::from([container.clone()]);
        let holds = holding(1.0, 64.0, TaskLimits::default());
        let (trees, mut former) = Trees::open(&settings, work_dir.path(), &known).unwrap();
        former.make(&container, &holds).unwrap();
        let mut forgotten = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let group = trees.group(&container).unwrap();
        group.attach(nix::unistd::Pid::from_raw(forgotten.id().cast_signed())).unwrap();
        drop(former);
        let (trees, mut next) = Trees::open(&settings, work_dir.path(), &known).unwrap();
        next.make(&container, &holds).unwrap();
        assert!(!forgotten.wait().unwrap().success(), "it was killed");
        assert_eq!(trees.group(&container).unwrap().processes().unwrap(), []);
        trees.group(&container).unwrap().destroy(DESTROY_TIME_MAX).unwrap();
        trees.hierarchies.remove().unwrap();
    }
}
