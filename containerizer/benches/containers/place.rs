//! Where it happens: a root with busybox, folders, control groups; a mount namespace of its own, without the empty tree of the second version
//! beside the first, with which crun refuses to work.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;

pub(crate) struct Place {
    dir: TempDir,
}

/// What the first version has a tree each for.
pub(crate) const TREES: [&str; 3] = ["cpu", "memory", "pids"];
pub(crate) const GROUPS: &str = "airside-bench";

impl Place {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        let hybrid = Path::new("/sys/fs/cgroup/unified");
        if hybrid.exists() && Path::new("/sys/fs/cgroup/memory").exists() {
            umount2(hybrid, MntFlags::MNT_DETACH)?;
        }
        // In memory, as `/run` is on most machines: no disk is measured.
        let dir = tempfile::Builder::new().tempdir_in("/dev/shm")?;
        let root = dir.path().join("root");
        for folder in ["bin", "proc", "sys", "dev"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::copy("/bin/busybox", root.join("bin/true"))?;
        Ok(Self { dir })
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}
