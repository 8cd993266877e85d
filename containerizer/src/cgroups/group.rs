//! One container's group in all trees: made with its limits, changed, joined by processes.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::bpf;
use super::error::CgroupError;
use super::files;
use super::hierarchies::{Hierarchies, Tree};
use super::logic::controller::{Controller, Version};
use super::logic::limits::{Bound, Limits};
use super::logic::path::{GroupPath, LEAF, NESTED};
use super::logic::usage;
use super::logic::writes::{self, Write};

/// A container's group. It is no owner: what is dropped goes on, and [`super::remove`] ends it.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) hierarchies: Hierarchies,
    pub(super) path: GroupPath,
}

impl Hierarchies {
    /// Makes a container's group with its limits, in all trees or in none. A nested one needs its parent's.
    pub fn create(&self, path: &GroupPath, limits: &Limits) -> Result<Group, CgroupError> {
        for needed in limits.needs() {
            self.needed(needed)?;
        }
        let group = Group { hierarchies: self.clone(), path: path.clone() };
        let made = group.make().and_then(|()| group.limit(limits));
        if let Err(error) = made {
            if !matches!(error, CgroupError::Exists(_)) {
                // It was just made and is empty; what is left for another reason is found by the janitor.
                let _ = group.remove_if_empty();
            }
            return Err(error);
        }
        Ok(group)
    }

    /// A group that is there already, in some of the trees at least.
    pub fn group(&self, path: &GroupPath) -> Result<Group, CgroupError> {
        let group = Group { hierarchies: self.clone(), path: path.clone() };
        if group.is_there() { Ok(group) } else { Err(CgroupError::Gone(path.clone())) }
    }
}

impl Group {
    /// Below the agent's folder.
    pub fn path(&self) -> &GroupPath {
        &self.path
    }

    /// Whether it is in any tree.
    pub fn is_there(&self) -> bool {
        let path = self.path.as_str();
        self.hierarchies.trees().iter().any(|tree| files::open_folder(tree, path).is_ok())
    }

    /// Changes its limits from what it was told before. See [`writes::at_update`] for what is not done.
    pub fn update(&self, from: &Limits, to: &Limits) -> Result<(), CgroupError> {
        for needed in to.needs() {
            self.hierarchies.needed(needed)?;
        }
        let hard_now = match to.memory {
            Some(_) => self.hard_limit()?,
            None => Bound::Unbounded,
        };
        let version = self.hierarchies.version();
        self.write_all(&writes::at_update(version, from, to, hard_now))?;
        match (version, &to.devices) {
            (Version::V2, Some(rules)) if from.devices.as_ref() != Some(rules) => {
                bpf::restrict(self, rules)
            }
            (Version::V1 | Version::V2, _) => Ok(()),
        }
    }

    /// Moves a process with all its threads into it. Its children from then on are in it too.
    pub fn attach(&self, process: Pid) -> Result<(), CgroupError> {
        let value = process.to_string();
        let mut name = String::new();
        for tree in self.hierarchies.trees() {
            self.name(&mut name, self.processes_file());
            files::write_file(tree, &name, &value)
                .map_err(|source| failed_write(tree, &name, &value, source))?;
        }
        Ok(())
    }

    /// The folder for `clone3` with `CLONE_INTO_CGROUP`, which makes a process in it: version 2 only.
    pub fn folder_for_clone(&self) -> Result<Option<OwnedFd>, CgroupError> {
        let Version::V2 = self.hierarchies.version() else {
            return Ok(None);
        };
        let mut name = String::new();
        self.name(&mut name, LEAF);
        let tree = self.hierarchies.tree(Controller::Cpu).ok_or(CgroupError::None)?;
        let opened = files::open_folder(tree, &name);
        opened.map(Some).map_err(|source| failed_read(tree, &name, source))
    }

    /// Processes in it and in what is nested in it.
    pub fn processes(&self) -> Result<Vec<Pid>, CgroupError> {
        let mut all = Vec::new();
        // Where a crash came between, a process may have been moved in some of the trees only.
        for tree in self.hierarchies.trees() {
            self.processes_in(tree, self.path.as_str(), &mut all)?;
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }

    fn processes_in(
        &self,
        tree: &Tree,
        folder: &str,
        all: &mut Vec<Pid>,
    ) -> Result<(), CgroupError> {
        let file = format!("{folder}/cgroup.procs");
        let mut text = String::new();
        match files::read_file(tree, &file, &mut text) {
            Ok(()) => {}
            Err(Errno::ENOENT | Errno::ENODEV) => return Ok(()),
            // A group of threads has none of its own.
            Err(Errno::EOPNOTSUPP) => {}
            Err(source) => return Err(failed_read(tree, &file, source)),
        }
        let numbers = text.split_ascii_whitespace().filter_map(|word| word.parse().ok());
        // 0 is one that is not visible from here.
        all.extend(numbers.filter(|number| *number > 0).map(Pid::from_raw));
        for name in super::hierarchies::folders(&tree.path.join(folder))? {
            self.processes_in(tree, &format!("{folder}/{name}"), all)?;
        }
        Ok(())
    }

    fn make(&self) -> Result<(), CgroupError> {
        for (index, tree) in self.hierarchies.trees().iter().enumerate() {
            let made = self.make_in(tree);
            // Nothing of a group that was there before is ours to undo.
            if let (true, Err(error)) = (index > 0, &made)
                && matches!(error, CgroupError::Exists(_))
            {
                for before in &self.hierarchies.trees()[..index] {
                    let _ = files::remove_folder(before, self.path.as_str());
                }
            }
            made?;
        }
        Ok(())
    }

    fn make_in(&self, tree: &Tree) -> Result<(), CgroupError> {
        let version = self.hierarchies.version();
        if let Some(parent) = self.path.parent() {
            self.open_parent(tree, &parent)?;
        }
        let made = files::make_folder(tree, self.path.as_str());
        made.map_err(|source| self.failed_make(tree, self.path.as_str(), source))?;
        match version {
            Version::V1 => Ok(()),
            Version::V2 => {
                let mut name = String::new();
                self.name(&mut name, LEAF);
                files::make_folder(tree, &name)
                    .map_err(|source| self.failed_make(tree, &name, source))
            }
        }
    }

    /// Prepares a container's group for others in it.
    fn open_parent(&self, tree: &Tree, parent: &GroupPath) -> Result<(), CgroupError> {
        let nested = format!("{parent}/{NESTED}");
        match files::ensure_folder(tree, &nested) {
            Ok(()) => {}
            Err(Errno::ENOENT) => return Err(CgroupError::Gone(parent.clone())),
            Err(source) => return Err(self.failed_make(tree, &nested, source)),
        }
        let gives = tree.gives();
        if self.hierarchies.version() == Version::V1 || gives.is_empty() {
            return Ok(());
        }
        for folder in [parent.as_str(), &nested] {
            let file = format!("{folder}/cgroup.subtree_control");
            files::write_file(tree, &file, &gives)
                .map_err(|source| failed_write(tree, &file, &gives, source))?;
        }
        Ok(())
    }

    fn limit(&self, limits: &Limits) -> Result<(), CgroupError> {
        let version = self.hierarchies.version();
        self.write_all(&writes::at_launch(version, limits))?;
        match (version, &limits.devices) {
            (Version::V2, Some(rules)) => bpf::restrict(self, rules),
            (Version::V1 | Version::V2, _) => Ok(()),
        }
    }

    fn write_all(&self, all: &[Write]) -> Result<(), CgroupError> {
        let mut name = String::new();
        let mut opened: Option<(&Write, OwnedFd)> = None;
        for write in all {
            let tree = self.hierarchies.needed(write.controller)?;
            let same = |(before, _): &(&Write, OwnedFd)| before.file == write.file;
            let file = match opened.take().filter(same) {
                Some((_, file)) => file,
                None => self.open_to_write(tree, write, &mut name)?,
            };
            files::write_open(&file, &write.value)
                .map_err(|source| failed_write(tree, &name, &write.value, source))?;
            opened = Some((write, file));
        }
        Ok(())
    }

    fn open_to_write(
        &self,
        tree: &Tree,
        write: &Write,
        name: &mut String,
    ) -> Result<OwnedFd, CgroupError> {
        self.name(name, &write.file);
        let mut result = files::open_for_writing(tree, name);
        if let (Err(Errno::ENOENT), Some(other)) = (&result, write.or_file) {
            self.name(name, other);
            result = files::open_for_writing(tree, name);
        }
        result.map_err(|source| failed_write(tree, name, &write.value, source))
    }

    /// Of memory, in bytes, as the kernel has it.
    fn hard_limit(&self) -> Result<Bound, CgroupError> {
        let file = match self.hierarchies.version() {
            Version::V1 => "memory.limit_in_bytes",
            Version::V2 => "memory.max",
        };
        let (tree, text) = self.read(Controller::Memory, file)?;
        usage::read_bound(&text).ok_or_else(|| CgroupError::Text {
            path: tree.path.join(self.path.as_str()).join(file),
            text: text.chars().take(100).collect(),
        })
    }

    /// What a file says.
    pub(super) fn read(
        &self,
        controller: Controller,
        file: &str,
    ) -> Result<(&Tree, String), CgroupError> {
        let tree =
            self.hierarchies.tree(controller).ok_or(CgroupError::NoController(controller))?;
        let mut name = String::new();
        self.name(&mut name, file);
        let mut text = String::new();
        match files::read_file(tree, &name, &mut text) {
            Ok(()) => Ok((tree, text)),
            Err(Errno::ENODEV) => Err(CgroupError::Gone(self.path.clone())),
            Err(source) => Err(failed_read(tree, &name, source)),
        }
    }

    /// Where processes are written to join.
    pub(super) fn processes_file(&self) -> &'static str {
        match self.hierarchies.version() {
            Version::V1 => "cgroup.procs",
            Version::V2 => "leaf/cgroup.procs",
        }
    }

    /// Puts the path of a file of the group into the buffer, relative to a tree.
    pub(super) fn name(&self, buffer: &mut String, file: &str) {
        buffer.clear();
        // Writing into a String cannot fail.
        let _ = write!(buffer, "{}/{file}", self.path);
    }

    fn failed_make(&self, tree: &Tree, name: &str, source: Errno) -> CgroupError {
        if source == Errno::EEXIST {
            return CgroupError::Exists(self.path.clone());
        }
        CgroupError::Make { path: tree.path.join(name), source }
    }
}

pub(super) fn failed_write(tree: &Tree, name: &str, value: &str, source: Errno) -> CgroupError {
    CgroupError::Write { path: tree.path.join(name), value: value.to_owned(), source }
}

pub(super) fn failed_read(tree: &Tree, name: &str, source: Errno) -> CgroupError {
    CgroupError::Read { path: tree.path.join(name), source }
}
