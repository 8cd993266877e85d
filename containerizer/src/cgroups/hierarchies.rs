//! The trees of groups that an agent uses, looked for and opened once: each container costs a few calls relative to them, and
//! no look at all mounts.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::error::CgroupError;
use super::files;
use super::logic::controller::{Controller, Version};
use super::logic::found::{Found, Mounted, read_controllers};
use super::logic::path::{GroupPath, NESTED};

/// Where an agent's groups are, and what they are to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder of all agents below the mount point, as `--cgroups_root` of Mesos: `airside`, or `system.slice/airside`.
    pub root: String,
    /// The folder of this agent in it: no two agents of a host have the same.
    pub agent: String,
    /// All of this is below the group that this process is in, and not below the mount point: for those to whom a part
    /// of the tree was delegated.
    pub below_own: bool,
    /// What containers are limited by. Each must be there: see [`Found::available`].
    pub controllers: BTreeSet<Controller>,
}

/// The trees, opened at the agent's folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hierarchies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    version: Version,
    trees: Vec<Tree>,
}

/// One tree, opened at the agent's folder.
#[derive(Debug)]
pub(super) struct Tree {
    /// Whose it is. In version 2 these are all that are wanted.
    pub(super) controllers: Vec<Controller>,
    /// The agent's folder.
    pub(super) path: PathBuf,
    /// The same, opened.
    folder: OwnedFd,
}

/// What this host has, as this process sees it.
pub fn look() -> Result<Found, CgroupError> {
    let read = |path: &str| {
        std::fs::read_to_string(path)
            .map_err(|source| CgroupError::Look { path: path.into(), source })
    };
    let found = Found::read(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
    let Some(v2) = &found.v2 else {
        return Ok(found);
    };
    // What is delegated to a part of the tree may be less than what its root has.
    let own = v2.own.as_deref().unwrap_or(Path::new(""));
    let path = v2.mount_point.join(own).join("cgroup.controllers");
    let text = std::fs::read_to_string(&path)
        .map_err(|source| CgroupError::Look { path: path.clone(), source })?;
    Ok(found.with_v2_controllers(&text))
}

impl Hierarchies {
    /// Makes the agent's folders where they are not there, and opens them.
    pub fn open(found: &Found, settings: &Settings) -> Result<Self, CgroupError> {
        let version = found.version().ok_or(CgroupError::None)?;
        let available = found.available();
        if let Some(missing) = settings.controllers.iter().find(|c| !available.contains(c)) {
            return Err(CgroupError::NoController(*missing));
        }
        let below = below(settings)?;
        let trees = match version {
            Version::V1 => open_v1(found, settings, &below)?,
            Version::V2 => vec![open_v2(found, settings, &below)?],
        };
        Ok(Self(Arc::new(Inner { version, trees })))
    }

    /// Of the kernel's interface.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// What containers are limited by.
    pub fn controllers(&self) -> BTreeSet<Controller> {
        self.trees().iter().flat_map(|tree| tree.controllers.iter().copied()).collect()
    }

    /// The agent's folders, one a tree.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.trees().iter().map(|tree| tree.path.as_path())
    }

    /// Every group below, parents before what is nested in them, also those that a crash left in some of the trees only.
    pub fn list(&self) -> Result<BTreeSet<GroupPath>, CgroupError> {
        let mut groups = BTreeSet::new();
        for tree in self.trees() {
            tree.list(None, &mut groups)?;
        }
        Ok(groups)
    }

    /// Removes the agent's own folders; they must be empty. For agents that will not come back.
    pub fn remove(&self) -> Result<(), CgroupError> {
        for tree in self.trees() {
            match nix::unistd::unlinkat(
                nix::fcntl::AT_FDCWD,
                &tree.path,
                nix::unistd::UnlinkatFlags::RemoveDir,
            ) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(source) => {
                    return Err(CgroupError::Remove { path: tree.path.clone(), source });
                }
            }
        }
        Ok(())
    }

    pub(super) fn trees(&self) -> &[Tree] {
        &self.0.trees
    }

    /// The tree that has a controller. In version 2 there is only one.
    pub(super) fn tree(&self, controller: Controller) -> Option<&Tree> {
        match self.0.version {
            Version::V1 => self.trees().iter().find(|tree| tree.controllers.contains(&controller)),
            Version::V2 => self.trees().first(),
        }
    }

    /// The tree that has a controller, which must be among those of the settings.
    pub(super) fn needed(&self, controller: Controller) -> Result<&Tree, CgroupError> {
        let has = |tree: &&Tree| tree.controllers.contains(&controller);
        self.trees().iter().find(has).ok_or(CgroupError::NoController(controller))
    }
}

impl Tree {
    /// What a group that is to hold others must give to them, as `cgroup.subtree_control` takes it.
    pub(super) fn gives(&self) -> String {
        let names = self.controllers.iter().filter_map(|c| c.name_in_v2());
        names.map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ")
    }

    fn list(
        &self,
        below: Option<&GroupPath>,
        groups: &mut BTreeSet<GroupPath>,
    ) -> Result<(), CgroupError> {
        let path = match below {
            Some(group) => self.path.join(group.as_str()).join(NESTED),
            None => self.path.clone(),
        };
        for name in folders(&path)? {
            let group = match below {
                Some(parent) => parent.nested(&name),
                None => GroupPath::top(&name),
            };
            // What has no name of a container was made by others, and is theirs.
            if let Ok(group) = group {
                self.list(Some(&group), groups)?;
                groups.insert(group);
            }
        }
        Ok(())
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

/// Names of the folders in one; none if it is gone.
pub(super) fn folders(path: &Path) -> Result<Vec<String>, CgroupError> {
    let failed = |error: std::io::Error| {
        let source = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        CgroupError::Read { path: path.to_owned(), source }
    };
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_type().is_ok_and(|kind| kind.is_dir()) => {
                names.extend(entry.file_name().into_string());
            }
            Ok(_) => {}
            Err(error) if is_gone(&error) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(names)
}

/// Gone before it was opened, or while it was read.
fn is_gone(error: &std::io::Error) -> bool {
    [Errno::ENOENT, Errno::ENODEV].iter().any(|gone| error.raw_os_error() == Some(*gone as i32))
}

/// The agent's folder, relative to where all begins.
fn below(settings: &Settings) -> Result<PathBuf, CgroupError> {
    let root = Path::new(&settings.root);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    let has_odd_letter = settings.root.contains(['\0', '\n']);
    if settings.root.is_empty() || has_odd_letter || !root.components().all(plain) {
        return Err(CgroupError::Root(settings.root.clone()));
    }
    Ok(root.join(GroupPath::top(&settings.agent)?.as_str()))
}

fn open_v1(found: &Found, settings: &Settings, below: &Path) -> Result<Vec<Tree>, CgroupError> {
    let mut trees: Vec<Tree> = Vec::new();
    // Processes of a group are killed while it is frozen.
    let freezer = Some(Controller::Freezer).filter(|c| found.v1.contains_key(c));
    let controllers: BTreeSet<_> = settings.controllers.iter().copied().chain(freezer).collect();
    for controller in controllers {
        let mounted = found.v1.get(&controller).ok_or(CgroupError::NoController(controller))?;
        let base = base(mounted, settings, controller)?;
        let path = base.join(below);
        // Several controllers may have one tree.
        if let Some(tree) = trees.iter_mut().find(|tree| tree.path == path) {
            tree.controllers.push(controller);
            continue;
        }
        make_folders(&base, below, |_| Ok(()))?;
        trees.push(Tree { controllers: vec![controller], folder: open_path(&path)?, path });
    }
    for tree in trees.iter().filter(|tree| tree.controllers.contains(&Controller::Cpuset)) {
        inherit_cpuset(tree, below)?;
    }
    Ok(trees)
}

fn open_v2(found: &Found, settings: &Settings, below: &Path) -> Result<Tree, CgroupError> {
    let mounted = found.v2.as_ref().ok_or(CgroupError::None)?;
    let base = base(mounted, settings, Controller::Cpu)?;
    let path = base.join(below);
    let controllers: Vec<_> = settings.controllers.iter().copied().collect();
    make_folders(&base, below, |folder| give(folder, &controllers))?;
    Ok(Tree { controllers, folder: open_path(&path)?, path })
}

/// Where the folders of all agents begin.
fn base(
    mounted: &Mounted,
    settings: &Settings,
    controller: Controller,
) -> Result<PathBuf, CgroupError> {
    if !settings.below_own {
        return Ok(mounted.mount_point.clone());
    }
    let own = mounted.own.as_deref().ok_or(CgroupError::NoOwn(controller))?;
    Ok(mounted.mount_point.join(own))
}

/// Makes each folder of a path; `above` is told of each that has another one in it, and of the last.
fn make_folders(
    base: &Path,
    below: &Path,
    above: impl Fn(&Path) -> Result<(), CgroupError>,
) -> Result<(), CgroupError> {
    let mut path = base.to_owned();
    above(&path)?;
    for part in below.components() {
        path.push(part);
        match nix::unistd::mkdir(&path, Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => above(&path)?,
            Err(source) => return Err(CgroupError::Make { path, source }),
        }
    }
    Ok(())
}

/// Lets the groups below one have controllers, if they have not. A group that has processes must first be rid of them: if it is
/// this process's own, this process moves into a group beside those of the agents.
fn give(folder: &Path, controllers: &[Controller]) -> Result<(), CgroupError> {
    let file = folder.join("cgroup.subtree_control");
    let mut text = String::new();
    files::read_file(nix::fcntl::AT_FDCWD, &file.to_string_lossy(), &mut text)
        .map_err(|source| CgroupError::Read { path: file.clone(), source })?;
    let given = read_controllers(&text);
    let missing = controllers.iter().filter(|c| !given.contains(c)).filter_map(|c| c.name_in_v2());
    let value = missing.map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ");
    if value.is_empty() {
        return Ok(());
    }
    let write = || files::write_file(nix::fcntl::AT_FDCWD, &file.to_string_lossy(), &value);
    let result = match write() {
        Err(Errno::EBUSY) => move_aside(folder).and_then(|()| write()),
        other => other,
    };
    result.map_err(|source| CgroupError::Write { path: file, value: value.clone(), source })
}

/// The group of the agent itself, where it was started in the group that its containers are to be below.
const ASIDE: &str = "airside-agent";

fn move_aside(folder: &Path) -> Result<(), Errno> {
    let at = open(folder, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    files::ensure_folder(&at, ASIDE)?;
    files::write_file(&at, &format!("{ASIDE}/cgroup.procs"), "0")
}

/// In version 1 a new group may use no processors and no memory until it is told which; those below the agent's get theirs.
fn inherit_cpuset(tree: &Tree, below: &Path) -> Result<(), CgroupError> {
    let depth = below.components().count();
    let mut folders: Vec<_> = tree.path.ancestors().take(depth + 1).collect();
    folders.reverse();
    for pair in folders.windows(2) {
        for name in ["cpuset.cpus", "cpuset.mems"] {
            copy_if_empty(&pair[0].join(name), &pair[1].join(name))?;
        }
    }
    files::write_file(tree, "cgroup.clone_children", "1").map_err(|source| CgroupError::Write {
        path: tree.path.join("cgroup.clone_children"),
        value: "1".into(),
        source,
    })
}

fn copy_if_empty(from: &Path, to: &Path) -> Result<(), CgroupError> {
    let read = |path: &Path| {
        let mut text = String::new();
        files::read_file(nix::fcntl::AT_FDCWD, &path.to_string_lossy(), &mut text)
            .map(|()| text.trim().to_owned())
            .map_err(|source| CgroupError::Read { path: path.to_owned(), source })
    };
    if !read(to)?.is_empty() {
        return Ok(());
    }
    let value = read(from)?;
    files::write_file(nix::fcntl::AT_FDCWD, &to.to_string_lossy(), &value)
        .map_err(|source| CgroupError::Write { path: to.to_owned(), value, source })
}

fn open_path(path: &Path) -> Result<OwnedFd, CgroupError> {
    open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|source| CgroupError::Read { path: path.to_owned(), source })
}
