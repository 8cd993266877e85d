//! What control groups a host has, read from what `/proc` says of mounts and of this process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use procfs::process::MountInfo;

use super::controller::{Controller, Version};

/// A tree of groups that is mounted, and where in it this process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Where the tree is mounted.
    pub mount_point: PathBuf,
    /// This process's own group, as a folder below the mount point; `None`: it is in a part of the tree that is not
    /// mounted here.
    pub own: Option<PathBuf>,
}

/// All that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Version 1: which tree has a controller. Several may have the same.
    pub v1: BTreeMap<Controller, Mounted>,
    /// Version 2, even if its tree has no controllers, as on hybrid hosts.
    pub v2: Option<Mounted>,
    /// What the tree of version 2 can give to groups.
    pub v2_controllers: BTreeSet<Controller>,
}

impl Found {
    /// Reads `/proc/self/mountinfo` and `/proc/self/cgroup`. Lines that are about something else, or that cannot be read,
    /// are left out.
    pub fn read(mounts: &str, own: &str) -> Self {
        let own = OwnGroups::read(own);
        let mut found = Self::default();
        for line in mounts.lines().filter(|line| line.contains(" - cgroup")) {
            let Ok(mount) = MountInfo::from_line(line) else {
                continue;
            };
            match mount.fs_type.as_str() {
                "cgroup" => found.add_v1(&mount, &own),
                "cgroup2" if found.v2.is_none() => {
                    found.v2 = Some(mounted(&mount, own.v2.as_deref()));
                }
                _ => {}
            }
        }
        found
    }

    fn add_v1(&mut self, mount: &MountInfo, own: &OwnGroups) {
        let of_mount = |c: &Controller| mount.super_options.contains_key(c.name());
        for controller in Controller::ALL.into_iter().filter(of_mount) {
            let own = own.v1.get(controller.name()).map(String::as_str);
            self.v1.entry(controller).or_insert_with(|| mounted(mount, own));
        }
    }

    /// Adds what `cgroup.controllers` of the tree of version 2 says.
    #[must_use]
    pub fn with_v2_controllers(mut self, controllers: &str) -> Self {
        self.v2_controllers = read_controllers(controllers);
        self
    }

    /// Which version to use: the second where its tree can limit processors and memory. On hybrid hosts it cannot, and each
    /// controller is in one version only, so that what is not there cannot be limited.
    pub fn version(&self) -> Option<Version> {
        let both = [Controller::Cpu, Controller::Memory];
        if self.v2.is_some() && both.iter().all(|c| self.v2_controllers.contains(c)) {
            return Some(Version::V2);
        }
        if !self.v1.is_empty() {
            return Some(Version::V1);
        }
        self.v2.as_ref().map(|_| Version::V2)
    }

    /// What containers can be limited by, in the version that is used.
    pub fn available(&self) -> BTreeSet<Controller> {
        match self.version() {
            Some(Version::V1) => self.v1.keys().copied().collect(),
            Some(Version::V2) => {
                let of_each_group = |c: &Controller| c.name_in_v2().is_none();
                let all = Controller::ALL.into_iter().filter(of_each_group);
                all.chain(self.v2_controllers.iter().copied()).collect()
            }
            None => BTreeSet::new(),
        }
    }
}

/// Controllers as `cgroup.controllers` and `cgroup.subtree_control` list them; those we do not know are left out.
pub fn read_controllers(text: &str) -> BTreeSet<Controller> {
    let names = text.split_ascii_whitespace();
    names
        .filter_map(|name| Controller::ALL.into_iter().find(|c| c.name_in_v2() == Some(name)))
        .collect()
}

/// Paths of this process's groups, from the roots of their trees.
#[derive(Default)]
struct OwnGroups {
    v1: BTreeMap<String, String>,
    v2: Option<String>,
}

impl OwnGroups {
    fn read(text: &str) -> Self {
        let mut own = Self::default();
        for line in text.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
                continue;
            };
            if controllers.is_empty() {
                own.v2 = Some(path.to_owned());
            }
            let names = controllers.split(',').filter(|name| !name.is_empty());
            own.v1.extend(names.map(|name| (name.to_owned(), path.to_owned())));
        }
        own
    }
}

/// What is mounted may be a part of the tree only: in a container it is that of the container.
fn mounted(mount: &MountInfo, own: Option<&str>) -> Mounted {
    let below = own.and_then(|own| Path::new(own).strip_prefix(&mount.root).ok());
    let own = below.filter(|below| !below.starts_with("..")).map(Path::to_owned);
    Mounted { mount_point: mount.mount_point.clone(), own }
}

#[cfg(test)]
mod tests;
