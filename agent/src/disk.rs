//! How much of the disk sandboxes take, counted file by file as `du` counts: looked at now and then, since nobody tells.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::ids::ContainerId;
use walkdir::WalkDir;

/// What a block of `st_blocks` is, on every file system.
const BLOCK: u64 = 512;

/// How sandboxes are measured, and what becomes of those that take more than they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSettings {
    /// The pause between two looks.
    pub watch_every: Duration,
    /// Whether a container ends that takes more than it holds.
    pub enforce: bool,
}

/// What each container's sandbox took at the last look, in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct DiskUse(Arc<Mutex<BTreeMap<ContainerId, u64>>>);

impl DiskUse {
    fn all(&self) -> MutexGuard<'_, BTreeMap<ContainerId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_now(&self, all: BTreeMap<ContainerId, u64>) {
        *self.all() = all;
    }

    /// `None`: it was not looked at yet.
    pub(crate) fn of(&self, container: &ContainerId) -> Option<u64> {
        self.all().get(container).copied()
    }
}

/// The bytes that are taken below a folder. What is mounted there is somebody else's, a file with several names counts once, and
/// what goes meanwhile, or may not be looked at, does not count.
pub(crate) fn taken(folder: &Path) -> u64 {
    let mut counted = BTreeSet::new();
    let below = WalkDir::new(folder).same_file_system(true);
    let files = below.into_iter().flatten().filter_map(|entry| entry.metadata().ok());
    let new = files.filter(|file| file.nlink() == 1 || counted.insert((file.dev(), file.ino())));
    new.fold(0, |sum: u64, file| sum.saturating_add(file.blocks().saturating_mul(BLOCK)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_taken_is_counted_once_whatever_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let empty = taken(folder.path());
        let file = folder.path().join("a");
        fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
        let one = taken(folder.path());
        assert!(one >= empty + (1 << 20), "{empty} {one}");
        fs::hard_link(&file, folder.path().join("b")).unwrap();
        symlink("/usr", folder.path().join("c")).unwrap();
        let sparse = fs::File::create(folder.path().join("d")).unwrap();
        sparse.set_len(1 << 30).unwrap();
        assert!(taken(folder.path()) < one + (64 << 10), "holes and links take nothing");
        fs::create_dir(folder.path().join("e")).unwrap();
        fs::write(folder.path().join("e/f"), vec![b'x'; 1 << 20]).unwrap();
        assert!(taken(folder.path()) >= one + (1 << 20), "folders are looked into");
        assert_eq!(taken(&folder.path().join("nothing")), 0);
    }
}
