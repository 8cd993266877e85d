//! The isolator of the disk: how much containers take of it, counted file by file as `du` counts. It is looked at now and then, on a
//! thread of its own, since nobody tells.

pub mod logic;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use api::v1::ResourceStatistics;
use walkdir::WalkDir;

use crate::isolator::watch::{Teller, told};
use crate::isolator::{Allowance, ContainerPath, Isolator, Known, Launch, Watch};
use crate::limits::logic::bytes;

/// What a block of `st_blocks` is, on every file system.
const BLOCK: u64 = 512;

/// How containers are measured, and what becomes of those that take more than they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSettings {
    /// The pause between two looks.
    pub watch_every: Duration,
    /// Whether a container ends that takes more than it holds.
    pub enforce: bool,
}

/// Of all containers of an agent.
#[derive(Debug)]
pub struct DiskUsage {
    settings: DiskSettings,
    all: All,
    /// The thread looks for as long as this is here.
    _looks: Sender<()>,
}

type All = Arc<Mutex<BTreeMap<ContainerPath, Measured>>>;

#[derive(Debug)]
struct Measured {
    folders: Vec<PathBuf>,
    allowance: Allowance,
    /// In bytes; `None`: it was not looked at yet.
    taken: Option<u64>,
    /// Until it has told.
    teller: Option<Teller>,
}

impl DiskUsage {
    /// Begins to look.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn start(settings: DiskSettings) -> io::Result<Self> {
        let (looks, goes_on) = channel();
        let all = All::default();
        let looked_at = Arc::clone(&all);
        let looker = Builder::new().name("disk".into());
        looker.spawn(move || look_on(settings, &looked_at, &goes_on))?;
        Ok(Self { settings, all, _looks: looks })
    }

    fn add(&self, id: &ContainerPath, folders: &[PathBuf], allowance: &Allowance) {
        let (folders, allowance) = (folders.to_vec(), allowance.clone());
        let measured = Measured { folders, allowance, taken: None, teller: None };
        lock(&self.all).insert(id.clone(), measured);
    }
}

impl Isolator for DiskUsage {
    fn name(&self) -> &str {
        "disk/du"
    }

    fn recover(&self, known: &[Known]) -> Result<Vec<ContainerPath>, String> {
        known.iter().for_each(|known| self.add(&known.id, &known.folders, &known.allowance));
        Ok(Vec::new())
    }

    fn prepare(&self, launch: &mut Launch<'_>) -> Result<(), String> {
        self.add(launch.id, launch.folders, launch.allowance);
        Ok(())
    }

    fn watch(&self, id: &ContainerPath) -> Result<Option<Box<dyn Watch>>, String> {
        let mut all = lock(&self.all);
        let Some(measured) = all.get_mut(id).filter(|_| self.settings.enforce) else {
            return Ok(None);
        };
        let (teller, watch) = told().map_err(|error| format!("watch its disk: {error}"))?;
        measured.teller = Some(teller);
        Ok(Some(watch))
    }

    fn update(&self, id: &ContainerPath, allowance: &Allowance) -> Result<(), String> {
        if let Some(measured) = lock(&self.all).get_mut(id) {
            measured.allowance.clone_from(allowance);
        }
        Ok(())
    }

    fn usage(&self, id: &ContainerPath) -> Result<ResourceStatistics, String> {
        let all = lock(&self.all);
        let taken = all.get(id).and_then(|measured| Some((measured, measured.taken?)));
        Ok(ResourceStatistics {
            disk_limit_bytes: taken.map(|(measured, _)| bytes(measured.allowance.holds.disk())),
            disk_used_bytes: taken.map(|(_, taken)| taken),
            ..ResourceStatistics::default()
        })
    }

    fn clean_up(&self, id: &ContainerPath) -> Result<(), String> {
        lock(&self.all).remove(id);
        Ok(())
    }
}

/// A look takes as long as it takes: the pause begins behind it.
fn look_on(settings: DiskSettings, all: &All, goes_on: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = goes_on.recv_timeout(settings.watch_every) {
        let measured = lock(all);
        let folders = measured.iter().map(|(id, one)| (id.clone(), one.folders.clone()));
        let folders: Vec<_> = folders.collect();
        drop(measured);
        for (id, folders) in folders {
            let bytes = folders.iter().fold(0_u64, |sum, one| sum.saturating_add(taken(one)));
            // Unless it has ended meanwhile.
            if let Some(measured) = lock(all).get_mut(&id) {
                measured.take(bytes);
            }
        }
    }
}

impl Measured {
    fn take(&mut self, taken: u64) {
        self.taken = Some(taken);
        let Some(limitation) = logic::exceeded(&self.allowance, taken) else { return };
        if let Some(teller) = self.teller.take() {
            teller.tell(limitation);
        }
    }
}

fn lock(all: &All) -> MutexGuard<'_, BTreeMap<ContainerPath, Measured>> {
    // What is behind it is whole after each change.
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bytes that are taken below a folder. What is mounted there is somebody else's, a file with several names counts once, and
/// what goes meanwhile, or may not be looked at, does not count.
fn taken(folder: &Path) -> u64 {
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
    use crate::container::{Container, ContainerName};
    use crate::isolator::watch::limited;
    use protocol::resources::{Milli, Resources};

    #[tokio::test]
    async fn iso_16_who_takes_more_than_it_holds_is_told_of_and_what_it_takes_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let watch_every = Duration::from_millis(5);
        let id = ContainerPath::of_executor(ContainerName::new("c").unwrap());
        let holding = |disk| Allowance {
            holds: Resources::none().with_scalar("disk", Milli::whole(disk)),
            ..Allowance::default()
        };
        for enforce in [true, false] {
            let disk = DiskUsage::start(DiskSettings { watch_every, enforce }).unwrap();
            let (container, allowance) = (&mut Container::default(), &holding(100));
            let folders = &[folder.path().to_owned()];
            disk.prepare(&mut Launch { id: &id, container, allowance, folders }).unwrap();
            let watch = disk.watch(&id).unwrap();
            assert_eq!(watch.is_some(), enforce);
            fs::write(folder.path().join("a"), vec![b'x'; 2 << 20]).unwrap();
            disk.update(&id, &holding(1)).unwrap();
            let Some(watch) = watch else { continue };
            let told = tokio::time::timeout(Duration::from_secs(30), limited(watch)).await.unwrap();
            assert!(told.unwrap().words.contains("exceeds quota (1.0 MiB)"));
            let usage = disk.usage(&id).unwrap();
            assert_eq!(usage.disk_limit_bytes, Some(1 << 20));
            assert!(usage.disk_used_bytes.is_some_and(|bytes| bytes >= 2 << 20));
            disk.clean_up(&id).unwrap();
            assert_eq!(disk.usage(&id), Ok(ResourceStatistics::default()));
        }
    }

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
