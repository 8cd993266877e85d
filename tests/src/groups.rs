//! Control groups of this machine's kernel, below a folder of each story's own.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::cluster::happens_by;

/// Where a story's groups are, in each tree; gone after it.
pub struct Groups {
    name: String,
    folders: Vec<PathBuf>,
}

impl Groups {
    /// None yet, under a name that is nobody else's.
    pub fn own() -> Self {
        static STORIES: AtomicU32 = AtomicU32::new(0);
        let story = STORIES.fetch_add(1, Relaxed);
        let name = format!("airside-story-{}-{story}", std::process::id());
        let mounts = std::fs::read_to_string("/proc/self/mounts").expect("proc is mounted");
        let trees = mounts.lines().filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (at, kind) = (fields.next()?, fields.next()?);
            kind.starts_with("cgroup").then(|| PathBuf::from(at).join(&name))
        });
        Self { folders: trees.collect(), name }
    }

    /// The flag of an agent whose they are to be.
    pub fn flag(&self) -> String {
        format!("--cgroups_root={}", self.name)
    }

    /// Of the tree of a controller, where this file of the first container's group is.
    pub fn file(&self, file: &str) -> Option<String> {
        let agents = self.folders.iter().flat_map(std::fs::read_dir).flatten().flatten();
        let containers =
            agents.flat_map(|agent| std::fs::read_dir(agent.path())).flatten().flatten();
        containers
            .into_iter()
            .find_map(|group| std::fs::read_to_string(group.path().join(file)).ok())
    }

    /// How many groups of containers there are, in all trees.
    pub fn count(&self) -> usize {
        let agents = self.folders.iter().flat_map(std::fs::read_dir).flatten().flatten();
        let groups = agents.flat_map(|agent| std::fs::read_dir(agent.path())).flatten().flatten();
        groups.filter(|entry| entry.path().is_dir()).count()
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        // What was in them has been killed, and is gone in a moment. A story that failed may have left something, which says enough.
        happens_by(Instant::now() + Duration::from_secs(5), || {
            self.folders.iter().all(|folder| remove_groups(folder))
        });
    }
}

/// With all that are below it. Whether it is gone.
fn remove_groups(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for below in entries.map(|entry| entry.path()).filter(|path| path.is_dir()) {
        remove_groups(&below);
    }
    let removed = std::fs::remove_dir(folder);
    removed.map_or_else(|error| error.kind() == ErrorKind::NotFound, |()| true)
}
