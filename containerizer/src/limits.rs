//! The isolator of control groups: a container's group is made with its limits before it starts, its first process begins in it or
//! is put into it while it waits, its memory is watched, and it is removed once the container is gone.

pub mod logic;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::v1::ResourceStatistics;
use nix::unistd::Pid;

use crate::cgroups::logic::limits::Limits;
use crate::cgroups::logic::path::GroupPath;
use crate::cgroups::logic::usage::OutOfMemory;
use crate::cgroups::oom::OomWatch;
use crate::cgroups::remove::Remover;
use crate::cgroups::{CgroupError, Group, Hierarchies};
use crate::container::ContainerName;
use crate::isolator::{
    Allowance, ContainerPath, Entry, Isolator, Known, Launch, Limitation, Watch,
};
use logic::{Held, of_memory, statistics};

/// After that a group whose processes were killed is left to be tried again.
const REMOVE_TIME_MAX: Duration = Duration::from_secs(5);
/// Whoever launches waits for it: what is killed is gone in milliseconds.
const REMAKE_TIME_MAX: Duration = Duration::from_millis(500);

/// Groups of all containers of an agent, or of one container that is in no agent's hands.
#[derive(Debug)]
pub struct ControlGroups {
    hierarchies: Hierarchies,
    kind: Kind,
    told: AllTold,
}

type AllTold = Arc<Mutex<BTreeMap<ContainerPath, Told>>>;

#[derive(Debug)]
enum Kind {
    /// All of them have these limits; they are removed before anything else is done, and nobody has to be told of them.
    Fixed(Limits),
    /// What each holds is limited. They are removed by a thread of its own, beside all else.
    Held { held: Held, remover: Remover },
}

/// What is known of a container's group in this life.
#[derive(Debug)]
struct Told {
    /// What the kernel was told last; of a group that a former life made that is not known.
    limits: Limits,
    allowance: Allowance,
    made: Option<Group>,
    /// Its first process begins in it: there is nothing to be put in.
    begun_in: bool,
}

impl ControlGroups {
    /// With the same limits for all. What is found of a container is cleaned up with any.
    pub fn fixed(hierarchies: &Hierarchies, limits: Limits) -> Self {
        Self::of(hierarchies, Kind::Fixed(limits))
    }

    /// With what containers hold. All groups there are this isolator's: nobody else makes any in these hierarchies.
    ///
    /// # Errors
    /// The thread that removes them could not be started.
    pub fn held(hierarchies: &Hierarchies, held: Held) -> Result<Self, CgroupError> {
        let remover = Remover::start(hierarchies.clone()).map_err(CgroupError::Remover)?;
        Ok(Self::of(hierarchies, Kind::Held { held, remover }))
    }

    fn of(hierarchies: &Hierarchies, kind: Kind) -> Self {
        Self { hierarchies: hierarchies.clone(), kind, told: AllTold::default() }
    }

    fn told(&self) -> MutexGuard<'_, BTreeMap<ContainerPath, Told>> {
        lock(&self.told)
    }

    fn limits(&self, allowance: &Allowance) -> Limits {
        match &self.kind {
            Kind::Fixed(limits) => limits.clone(),
            Kind::Held { held, .. } => held.limits(allowance),
        }
    }

    fn watches_memory(&self) -> bool {
        matches!(&self.kind, Kind::Held { held, .. } if held.memory)
    }

    fn found(&self, id: &ContainerPath) -> Result<Option<Group>, CgroupError> {
        match self.hierarchies.group(&path(id)?) {
            Ok(group) => Ok(Some(group)),
            Err(CgroupError::Gone(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make(&self, path: &GroupPath, limits: &Limits) -> Result<Group, CgroupError> {
        match (self.hierarchies.create(path, limits), &self.kind) {
            // A former life made it, and died before it knew the container; what it may have started is not known to anybody.
            (Err(CgroupError::Exists(_)), Kind::Held { .. }) => {
                self.hierarchies.group(path)?.destroy(REMAKE_TIME_MAX)?;
                self.hierarchies.create(path, limits)
            }
            (made, _) => made,
        }
    }

    fn oom_watch(&self, id: &ContainerPath) -> Result<Option<OomWatch>, CgroupError> {
        if !self.watches_memory() {
            return Ok(None);
        }
        let made = self.told().get(id).map(|told| told.made.clone());
        match made {
            // Nothing ran in it before.
            Some(Some(group)) => group.watch_oom(OutOfMemory::default()).map(Some),
            // What happened before this life is told when something of the container is found to have ended. A life that did not
            // limit memory made no group that tells.
            Some(None) => {
                let watch = |group: Group| group.watch_oom(group.out_of_memory()?);
                Ok(self.found(id)?.and_then(|group| watch(group).ok()))
            }
            None => Ok(None),
        }
    }

    fn change(&self, id: &ContainerPath, allowance: &Allowance) -> Result<(), CgroupError> {
        let mut all = self.told();
        // Of a container without a group nothing is limited: it was started without.
        let (Some(told), Some(group)) = (all.get_mut(id), self.found(id)?) else {
            return Ok(());
        };
        told.allowance.clone_from(allowance);
        let limits = self.limits(allowance);
        group.update(&told.limits, &limits)?;
        told.limits = limits;
        Ok(())
    }

    fn remove(&self, id: &ContainerPath) -> Result<(), CgroupError> {
        self.told().remove(id);
        match &self.kind {
            Kind::Fixed(_) => {
                self.found(id)?.map_or(Ok(()), |group| group.destroy(REMOVE_TIME_MAX))
            }
            Kind::Held { remover, .. } => {
                // It is gone when it is gone: whoever looks sees the backlog.
                drop(remover.remove(path(id)?));
                Ok(())
            }
        }
    }
}

impl Isolator for ControlGroups {
    fn name(&self) -> &str {
        "cgroups"
    }

    fn supports_nesting(&self) -> bool {
        true
    }

    fn supports_standalone(&self) -> bool {
        true
    }

    fn recover(&self, known: &[Known]) -> Result<Vec<ContainerPath>, String> {
        for Known { id, allowance, .. } in known {
            let (limits, made) = (Limits::default(), None);
            let told = Told { limits, allowance: allowance.clone(), made, begun_in: true };
            self.told().insert(id.clone(), told);
        }
        let names: BTreeSet<_> = known.iter().filter_map(|known| path(&known.id).ok()).collect();
        let groups = self.hierarchies.list().map_err(words)?;
        let outermost = groups.into_iter().filter(|group| group.parent().is_none());
        let left = outermost.filter(|group| !names.contains(group));
        // What has another name is nobody's of ours.
        let named = left.filter_map(|group| ContainerName::new(group.as_str()).ok());
        Ok(named.map(ContainerPath::of_executor).collect())
    }

    fn prepare(&self, launch: &mut Launch<'_>) -> Result<(), String> {
        let limits = self.limits(launch.allowance);
        let path = path(launch.id).map_err(words)?;
        let made = Some(self.make(&path, &limits).map_err(words)?);
        let allowance = launch.allowance.clone();
        let told = Told { limits, allowance, made, begun_in: false };
        self.told().insert(launch.id.clone(), told);
        Ok(())
    }

    fn hand(&self, id: &ContainerPath, entry: &mut Entry<'_>) -> Result<(), String> {
        let mut all = self.told();
        let Some(told) = all.get_mut(id) else { return Ok(()) };
        let Some(group) = &told.made else { return Ok(()) };
        match entry {
            Entry::Waits(handed) => {
                handed.group = group.folder_for_clone().map_err(words)?;
                told.begun_in = handed.group.is_some();
            }
            Entry::Joins(files) => {
                files.extend(group.process_files());
                told.begun_in = true;
            }
        }
        Ok(())
    }

    fn isolate(&self, id: &ContainerPath, process: Pid) -> Result<(), String> {
        let all = self.told();
        match all.get(id) {
            Some(Told { made: Some(group), begun_in: false, .. }) => {
                group.attach(process).map_err(words)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn watch(&self, id: &ContainerPath) -> Result<Option<Box<dyn Watch>>, String> {
        let oom = self.oom_watch(id).map_err(words)?;
        let told = Arc::clone(&self.told);
        Ok(oom.map(|oom| Box::new(OfMemory { id: id.clone(), oom, told }) as Box<dyn Watch>))
    }

    fn exceeded(&self, id: &ContainerPath) -> Option<Limitation> {
        let group = self.watches_memory().then(|| self.found(id))?.ok()??;
        let seen = group.out_of_memory().ok()?;
        if seen.kills > 0 { limitation(&self.told, id) } else { None }
    }

    fn update(&self, id: &ContainerPath, allowance: &Allowance) -> Result<(), String> {
        self.change(id, allowance).map_err(words)
    }

    fn usage(&self, id: &ContainerPath) -> Result<ResourceStatistics, String> {
        match self.found(id).map_err(words)? {
            Some(group) => group.usage().map(|usage| statistics(&usage)).map_err(words),
            None => Ok(ResourceStatistics::default()),
        }
    }

    fn kill(&self, id: &ContainerPath) -> Result<(), String> {
        // What a container's own init started is gone with it, unless somebody else was put into the group, as a former life may have.
        let is_gone = || self.told().get(id).is_some_and(|told| told.made.is_some());
        if matches!(self.kind, Kind::Fixed(_)) && is_gone() {
            return Ok(());
        }
        let group = self.found(id).map_err(words)?;
        group.map_or(Ok(()), |group| group.kill()).map_err(words)
    }

    fn clean_up(&self, id: &ContainerPath) -> Result<(), String> {
        self.remove(id).map_err(words)
    }
}

/// The memory of one container.
struct OfMemory {
    id: ContainerPath,
    oom: OomWatch,
    told: AllTold,
}

impl Watch for OfMemory {
    fn file(&self) -> BorrowedFd<'_> {
        self.oom.as_fd()
    }

    fn look(&mut self) -> Result<Option<Limitation>, String> {
        let happened = self.oom.look().map_err(words)?;
        Ok(happened.and_then(|_| limitation(&self.told, &self.id)))
    }
}

fn lock(told: &AllTold) -> MutexGuard<'_, BTreeMap<ContainerPath, Told>> {
    // What is behind it is whole after each change.
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

fn limitation(told: &AllTold, id: &ContainerPath) -> Option<Limitation> {
    lock(told).get(id).map(|told| of_memory(&told.allowance))
}

fn path(id: &ContainerPath) -> Result<GroupPath, CgroupError> {
    let mut names = id.names();
    let outermost = names.next().map_or("", ContainerName::as_str);
    let outermost = GroupPath::top(outermost)?;
    names.try_fold(outermost, |path, name| Ok(path.nested(name.as_str())?))
}

fn words(error: CgroupError) -> String {
    error.with_causes()
}

#[cfg(test)]
mod tests;
