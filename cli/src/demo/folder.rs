//! The demo's temporary folder, and the folders of demos that were killed before they could remove theirs.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::geteuid;
use tempfile::TempDir;

use crate::cluster::{FileError, create_dir};
use crate::local::{LOCK, leftovers};

/// How the folder of every demo begins.
const PREFIX: &str = "airside-demo-";

/// How long what a killed demo's agents started has to end. It has lost its agent and is ending by itself.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A new one in a folder. Those that are left there of demos that do not live any more are removed first.
pub(crate) async fn make(within: &Path) -> Result<TempDir, FileError> {
    create_dir(within)?;
    for (folder, lock) in left_in(within) {
        if let Some(why) = leftovers::end(&folder, END_WITHIN).await.blind {
            // Something may still run in it; a later demo looks again.
            tracing::warn!(folder = %folder.display(), why, "cannot see whether a killed demo runs on");
            continue;
        }
        // It would be in nobody's way.
        if let Err(error) = fs::remove_dir_all(&folder) {
            tracing::info!(folder = %folder.display(), %error, "left by a killed demo");
        }
        drop(lock);
    }
    let made = tempfile::Builder::new().prefix(PREFIX).tempdir_in(within);
    made.map_err(|source| FileError::Write { path: within.into(), source })
}

/// Folders of this user's demos whose lock nobody holds. One without a lock may be just being made, and is left alone.
fn left_in(within: &Path) -> Vec<(PathBuf, Flock<File>)> {
    let entries = fs::read_dir(within).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    named.map(|entry| entry.path()).filter_map(|path| Some((path.clone(), lock(&path)?))).collect()
}

fn lock(folder: &Path) -> Option<Flock<File>> {
    // Others may put links into a folder for all.
    let is_ours = fs::symlink_metadata(folder)
        .is_ok_and(|folder| folder.is_dir() && folder.uid() == geteuid().as_raw());
    let open = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(OFlag::O_NOFOLLOW.bits());
        options.open(folder.join(LOCK)).ok()
    };
    let file = is_ours.then(open).flatten()?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_demos_that_do_not_live_are_taken() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = |name: &str, locked: bool| {
            let path = temporary.path().join(name);
            fs::create_dir(&path).unwrap();
            if locked {
                File::create(path.join(LOCK)).unwrap();
            }
            path
        };
        let dead = folder("airside-demo-dead", true);
        let living = folder("airside-demo-living", true);
        folder("airside-demo-new", false);
        folder("another", true);
        std::os::unix::fs::symlink(&dead, temporary.path().join("airside-demo-link")).unwrap();
        let held = lock(&living).unwrap();
        let left: Vec<_> = left_in(temporary.path()).into_iter().map(|(path, _)| path).collect();
        assert_eq!(left, [dead]);
        drop(held);
        assert_eq!(left_in(temporary.path()).len(), 2);
    }
}
