//! What is mounted in a program's file system. Everything is looked up within its root, however its links point, and exists
//! only in its own mount namespace: it is gone with it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::mount::MsFlags;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use serde::{Deserialize, Serialize};

use super::{ConfineError, Tried, devices};
use crate::system::{self, MountChange, READ_ONLY};

/// One of them. Targets are paths within the root; what is missing of them is made there, but never in the host's own root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    /// A file or folder of the host's, with what is mounted below it.
    Bind {
        /// On the host, with no link on the way: who asked for it was looked at, not where a link leads by now.
        source: PathBuf,
        /// In the root.
        target: PathBuf,
        /// Nothing is written through it, nor through what is mounted below it.
        read_only: bool,
        /// What is mounted later on either side.
        propagation: Propagation,
    },
    /// Memory as a folder.
    Memory {
        /// In the root.
        target: PathBuf,
        /// How much.
        bytes: u64,
        /// Rights of the folder.
        mode: u32,
    },
    /// A file in memory that holds this value and is never on a disk.
    Secret {
        /// In the root.
        target: PathBuf,
        /// What it holds; not part of what is written down of a container.
        value: Vec<u8>,
        /// Rights of the file.
        mode: u32,
        /// User and group that it belongs to.
        owner: (u32, u32),
    },
    /// `/proc`, of the process namespace that the program is in.
    Processes,
    /// `/sys`, to be read only.
    System,
    /// `/dev`: the usual devices, terminals of its own, shared memory of this size.
    Devices {
        /// Of `/dev/shm`.
        shared_memory: u64,
    },
    /// What is there cannot be seen: an empty file or folder is in its place. Nothing, if nothing is there.
    Masked(PathBuf),
    /// What is there can only be read. Nothing, if nothing is there.
    ReadOnly(PathBuf),
}

/// Which mounts and unmounts that happen later are seen on the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// None.
    #[default]
    Private,
    /// The host's are seen by the program.
    HostToContainer,
    /// Either's by the other.
    Bidirectional,
}

/// Of `/dev/shm`, unless it is said otherwise; as Docker has it.
pub const SHARED_MEMORY: u64 = 64 << 20;

/// Below `/proc` and `/sys`: what tells of, or reaches, the host beyond the namespaces.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY_PATHS: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

impl Mount {
    /// What every program in a root of its own finds.
    pub fn usual(shared_memory: u64) -> Vec<Self> {
        let mut all = vec![Self::Processes, Self::System, Self::Devices { shared_memory }];
        all.extend(MASKED.map(|path| Self::Masked(path.into())));
        all.extend(READ_ONLY_PATHS.map(|path| Self::ReadOnly(path.into())));
        all
    }
}

/// Where mounts go.
pub(super) struct Place<'a> {
    /// The root of the file system.
    pub(super) root: BorrowedFd<'a>,
    /// Whether it is the program's alone, so that what is missing may be made in it.
    pub(super) own: bool,
    /// A folder of the host's that nobody looks into meanwhile; secrets are mounted there for a moment.
    pub(super) scratch: Option<&'a Path>,
}

impl Place<'_> {
    /// Makes one.
    pub(super) fn mount(&self, mount: &Mount) -> Result<(), ConfineError> {
        match mount {
            Mount::Bind { source, target, read_only, propagation } => {
                self.bind(source, target, *read_only, *propagation)
            }
            Mount::Memory { target, bytes, mode } => {
                let options = [("size", bytes.to_string()), ("mode", format!("{mode:o}"))];
                let made = new(c"tmpfs", &options, MountAttrFlags::empty());
                let made = made.tried(|| format!("make {bytes} bytes of memory a folder"))?;
                self.attach(&made, target, FileType::Directory)
            }
            Mount::Secret { target, value, mode, owner } => {
                self.secret(target, value, *mode, *owner)
            }
            Mount::Processes => {
                let made = new(c"proc", &[], sealed());
                let made = made.tried(|| "mount the processes of the container".into())?;
                self.attach(&made, Path::new("/proc"), FileType::Directory)
            }
            Mount::System => self.system(),
            Mount::Devices { shared_memory } => devices::mount(self, *shared_memory),
            Mount::Masked(path) => self.mask(path),
            Mount::ReadOnly(path) => self.read_only(path),
        }
    }

    fn bind(
        &self,
        source: &Path,
        target: &Path,
        read_only: bool,
        propagation: Propagation,
    ) -> Result<(), ConfineError> {
        let shown = || format!("mount {} of the host", source.display());
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS;
        let found = rustix::fs::openat2(CWD, source, flags, Mode::empty(), resolve).tried(shown)?;
        let made = copy_of(found.as_fd(), Path::new("")).tried(shown)?;
        let stat = rustix::fs::fstat(&made).tried(shown)?;
        let change = MountChange {
            set: if read_only { READ_ONLY } else { 0 },
            propagation: propagation.flag().bits(),
            recursive: true,
        };
        system::change_mount(&made, change).tried(shown)?;
        self.attach(&made, target, FileType::from_raw_mode(stat.st_mode))
    }

    /// Only whoever may mount the network's part of it can: with the host's network in a user namespace, it is the host's.
    fn system(&self) -> Result<(), ConfineError> {
        let flags = sealed() | MountAttrFlags::MOUNT_ATTR_RDONLY;
        let made = match new(c"sysfs", &[], flags) {
            Ok(made) => made,
            Err(Errno::PERM) => {
                let hosts = || "mount the host's /sys".to_owned();
                let made = copy_of(CWD, Path::new("/sys")).tried(hosts)?;
                let propagation = MsFlags::MS_PRIVATE.bits();
                let change = MountChange { set: READ_ONLY, propagation, recursive: true };
                system::change_mount(&made, change).tried(hosts)?;
                made
            }
            Err(error) => return Err(error).tried(|| "mount /sys".into()),
        };
        self.attach(&made, Path::new("/sys"), FileType::Directory)
    }

    fn mask(&self, path: &Path) -> Result<(), ConfineError> {
        let Some((target, kind)) = self.look_up(path)? else { return Ok(()) };
        let shown = || format!("hide {}", path.display());
        let made = if kind == FileType::Directory {
            let flags = sealed() | MountAttrFlags::MOUNT_ATTR_RDONLY;
            new(c"tmpfs", &[("size", "0".into()), ("mode", "0".into())], flags)
        } else {
            copy_of(CWD, Path::new("/dev/null"))
        };
        attach(&made.tried(shown)?, &target).tried(shown)
    }

    fn read_only(&self, path: &Path) -> Result<(), ConfineError> {
        let Some((target, _)) = self.look_up(path)? else { return Ok(()) };
        let shown = || format!("make {} read-only", path.display());
        let made = copy_of(target.as_fd(), Path::new("")).tried(shown)?;
        let change = MountChange { set: READ_ONLY, propagation: 0, recursive: true };
        system::change_mount(&made, change).tried(shown)?;
        attach(&made, &target).tried(shown)
    }

    /// Memory that is mounted where nobody looks, until the file is bound to where it belongs.
    fn secret(
        &self,
        target: &Path,
        value: &[u8],
        mode: u32,
        (user, group): (u32, u32),
    ) -> Result<(), ConfineError> {
        let shown = || format!("put a secret into {}", target.display());
        let Some(scratch) = self.scratch else {
            let words = "a secret needs a folder of the container's to be prepared in; it has none";
            return Err(ConfineError::Refused(format!("{}: {words}", shown())));
        };
        // Room for the value in whole pages, and for the folder and the file.
        let bytes = (value.len() as u64).next_multiple_of(4096) + (64 << 10);
        let options = [("size", bytes.to_string()), ("mode", "700".to_owned())];
        let memory = new(c"tmpfs", &options, sealed()).tried(shown)?;
        let place = rustix::fs::open(scratch, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        attach(&memory, &place.tried(shown)?).tried(shown)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&memory, c"secret", flags, Mode::from_raw_mode(mode));
        let file = file.tried(shown)?;
        io::Write::write_all(&mut std::fs::File::from(file.try_clone().tried(shown)?), value)
            .tried(shown)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).tried(shown)?;
        let owner = (rustix::fs::Uid::from_raw(user), rustix::fs::Gid::from_raw(group));
        rustix::fs::fchown(&file, Some(owner.0), Some(owner.1)).tried(shown)?;
        drop(file);
        let made = copy_of(memory.as_fd(), Path::new("secret")).tried(shown)?;
        rustix::mount::unmount(scratch, UnmountFlags::DETACH).tried(shown)?;
        let change = MountChange { set: READ_ONLY, ..MountChange::default() };
        system::change_mount(&made, change).tried(shown)?;
        self.attach(&made, target, FileType::RegularFile)
    }

    /// Attaches it where it is to be, and makes what is missing of that.
    pub(super) fn attach(
        &self,
        mount: &OwnedFd,
        target: &Path,
        kind: FileType,
    ) -> Result<(), ConfineError> {
        let there = match self.look_up(target)? {
            Some((there, _)) => there,
            None if self.own => self.make(target, kind)?,
            None => {
                let words = "does not exist on the host, in whose root the program runs";
                return Err(ConfineError::Refused(format!(
                    "cannot mount on {}: it {words}; make it, or run an image",
                    target.display()
                )));
            }
        };
        attach(mount, &there).tried(|| format!("mount on {} in the container", target.display()))
    }

    /// What is there, as seen from within.
    pub(super) fn look_up(&self, path: &Path) -> Result<Option<(OwnedFd, FileType)>, ConfineError> {
        let shown = || format!("look up {} in the container", path.display());
        match within(self.root, path, OFlags::PATH) {
            Ok(found) => {
                let stat = rustix::fs::fstat(&found).tried(shown)?;
                Ok(Some((found, FileType::from_raw_mode(stat.st_mode))))
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error).tried(shown),
        }
    }

    fn make(&self, path: &Path, kind: FileType) -> Result<OwnedFd, ConfineError> {
        let shown = || format!("make {} in the container, to mount on it", path.display());
        let names: Vec<_> = path.components().filter_map(normal).collect();
        let mut done = PathBuf::from("/");
        for (index, name) in names.iter().enumerate() {
            let folder = within(self.root, &done, OFlags::PATH | OFlags::DIRECTORY).tried(shown)?;
            let made = if index + 1 == names.len() && kind != FileType::Directory {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                rustix::fs::openat(&folder, *name, flags, Mode::from_raw_mode(0o644)).map(drop)
            } else {
                rustix::fs::mkdirat(&folder, *name, Mode::from_raw_mode(0o755))
            };
            match made {
                Ok(()) | Err(Errno::EXIST) => done.push(name),
                Err(error) => return Err(error).tried(shown),
            }
        }
        match within(self.root, path, OFlags::PATH) {
            // A link that leads to nothing: as in images whose resolver is not running.
            Err(Errno::NOENT) if kind != FileType::Directory && !names.is_empty() => {
                done.pop();
                let folder = within(self.root, &done, OFlags::PATH | OFlags::DIRECTORY);
                let (folder, name) = (folder.tried(shown)?, names[names.len() - 1]);
                rustix::fs::unlinkat(&folder, name, rustix::fs::AtFlags::empty()).tried(shown)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(0o644))
                    .tried(shown)?;
                within(self.root, path, OFlags::PATH).tried(shown)
            }
            found => found.tried(shown),
        }
    }
}

fn normal<'a>(component: Component<'a>) -> Option<&'a std::ffi::OsStr> {
    match component {
        Component::Normal(name) => Some(name),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
            None
        }
    }
}

impl Propagation {
    fn flag(self) -> MsFlags {
        match self {
            Self::Private => MsFlags::MS_PRIVATE,
            Self::HostToContainer => MsFlags::MS_SLAVE,
            Self::Bidirectional => MsFlags::MS_SHARED,
        }
    }
}

/// For what the kernel shows as files: no programs, no devices.
pub(super) fn sealed() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC
}

/// A mount that is nowhere yet.
pub(super) fn new(
    kind: &CStr,
    options: &[(&str, String)],
    flags: MountAttrFlags,
) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in options {
        rustix::mount::fsconfig_set_string(&context, *name, value.as_str())?;
    }
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags)
}

/// The same file or folder, with what is mounted below it, as a mount that is nowhere yet.
pub(crate) fn copy_of(folder: BorrowedFd<'_>, path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(folder, path, flags)
}

/// Attaches it.
pub(super) fn attach(mount: &OwnedFd, target: &OwnedFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, c"", target, c"", flags)
}

/// Opens a path as if the folder were the root.
pub(super) fn within(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat2(
        root,
        path,
        flags | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
}
