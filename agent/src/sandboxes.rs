//! Sandboxes: one folder per life of an executor, `sandboxes/<framework>/<executor>/<container>/` below the work
//! directory, with its `stdout` and `stderr`. Made, read from afar, and collected when they are many or old.

mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::sys::statvfs::statvfs;
use nix::unistd::User;
use protocol::ids::{ContainerId, ExecutorId, FrameworkId, check_id};
use protocol::operator::{ReadSandbox, SandboxAnswer};

use crate::logic::StartFailure;
use crate::users;

/// How many sandboxes of ended executors are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SandboxLimits {
    /// The oldest beyond so many are removed.
    pub count_max: usize,
    /// None is kept longer; on a disk that fills up, less long.
    pub delay: Duration,
    /// The share of the disk that is to stay free: nothing is kept once there is less.
    pub headroom: f64,
    /// How often all this is looked at.
    pub watch_every: Duration,
}

/// One that is this young may have been made since it was looked who lives: files are dated by a clock that is a little late.
const YOUNG: Duration = Duration::from_secs(1);

/// The collector looks once a minute: it does not remove the folders above a new one so often in a row.
const FOLDER_AGAIN: u32 = 3;

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            count_max: 2_000,
            delay: Duration::from_secs(7 * 24 * 3600),
            headroom: 0.1,
            watch_every: Duration::from_secs(60),
        }
    }
}

impl SandboxLimits {
    /// How old a sandbox may become while this share of the disk is in use. Mesos's rule.
    fn age_max(&self, usage: f64) -> Duration {
        self.delay.mul_f64((1.0 - self.headroom - usage).clamp(0.0, 1.0))
    }
}

/// What a look at the sandboxes of ended executors did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    pub(crate) removed: u64,
    pub(crate) failed: u64,
    /// Those that are to go later.
    pub(crate) kept: u64,
}

/// Sandboxes that could not be removed, and how often that was tried.
#[derive(Debug, Default)]
pub(crate) struct Unremoved(BTreeMap<PathBuf, u64>);

impl Unremoved {
    /// Once more. Returns how often, if it is worth a word: the first time, and then after twice as many each time.
    fn failed(&mut self, path: &Path) -> Option<u64> {
        let times = self.0.entry(path.to_owned()).or_default();
        *times += 1;
        times.is_power_of_two().then_some(*times)
    }

    /// Those that are not there any more may fail anew.
    fn forget_all_but(&mut self, there: &BTreeSet<PathBuf>) {
        self.0.retain(|path, _| there.contains(path));
    }
}

/// All sandboxes of one agent.
#[derive(Clone, Debug)]
pub(crate) struct Sandboxes {
    root: PathBuf,
}

/// A new sandbox, and where output goes.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) path: PathBuf,
    pub(crate) stdout: File,
    pub(crate) stderr: File,
}

impl Sandboxes {
    pub(crate) fn below(work_dir: &Path) -> Self {
        Self { root: work_dir.join("sandboxes") }
    }

    pub(crate) fn path(
        &self,
        framework: &FrameworkId,
        executor: &ExecutorId,
        container: &ContainerId,
    ) -> PathBuf {
        self.root.join(framework.as_str()).join(executor.as_str()).join(container.as_str())
    }

    /// Makes a sandbox that belongs to `owner`, or to the agent's own user.
    pub(crate) fn make(
        &self,
        path: PathBuf,
        owner: Option<&User>,
    ) -> Result<Sandbox, StartFailure> {
        let failed = |what: &Path, error: io::Error| {
            let advice = if no_descriptors(&error) {
                MORE_DESCRIPTORS
            } else {
                "; make room on the agent's disk or fix the rights of its --work_dir"
            };
            StartFailure::Sandbox(format!("cannot make {}: {error}{advice}", what.display()))
        };
        make_folder(&path, || {}).map_err(|(what, error)| failed(what, error))?;
        let output = |name: &str| {
            let file = path.join(name);
            let options = OpenOptions::new().append(true).create_new(true).mode(0o640).open(&file);
            let opened = options.map_err(|error| failed(&file, error))?;
            give(&opened, owner).map_err(|error| failed(&file, error))?;
            Ok(opened)
        };
        let (stdout, stderr) = (output("stdout")?, output("stderr")?);
        let folder = File::open(&path).map_err(|error| failed(&path, error))?;
        give(&folder, owner).map_err(|error| failed(&path, error))?;
        if let Some(user) = owner
            && let Some(folder) = users::barred(&path, user)
        {
            return Err(StartFailure::Sandbox(format!(
                "user '{}' may not enter {}, on the way to its sandbox; give the agent a --work_dir that all users can reach",
                user.name,
                folder.display()
            )));
        }
        Ok(Sandbox { path, stdout, stderr })
    }

    /// Part of a file; `ended` says whether nobody writes to it any more.
    pub(crate) fn read(
        &self,
        question: &ReadSandbox,
        ended: impl Fn(&ContainerId) -> bool,
    ) -> SandboxAnswer {
        let answer = self.find(question).and_then(|(container, path)| {
            // Asked before reading: what is written after the last look must not be missed.
            let ended = ended(&container);
            read::part(&path, &question.file, question.offset, question.length)
                .map(|part| SandboxAnswer::Part {
                    offset: part.offset,
                    data: part.data,
                    size: part.size,
                    ended,
                })
                .map_err(|error| error.to_string())
        });
        answer.unwrap_or_else(SandboxAnswer::Refused)
    }

    fn find(&self, question: &ReadSandbox) -> Result<(ContainerId, PathBuf), String> {
        let ReadSandbox { framework, executor, container, .. } = question;
        for id in [framework.as_str(), executor.as_str()] {
            check_id(id).map_err(|error| error.to_string())?;
        }
        let container = match container {
            Some(container) => {
                check_id(container.as_str()).map_err(|error| error.to_string())?;
                container.clone()
            }
            None => self.newest(framework, executor).ok_or_else(|| {
                format!("this agent has no sandbox of executor {executor} of framework {framework}")
            })?,
        };
        let path = self.path(framework, executor, &container);
        Ok((container, path))
    }

    fn newest(&self, framework: &FrameworkId, executor: &ExecutorId) -> Option<ContainerId> {
        let folder = self.root.join(framework.as_str()).join(executor.as_str());
        let made = |entry: &std::fs::DirEntry| {
            let metadata = entry.metadata().ok()?;
            // Not every disk knows when a folder was made.
            metadata.created().or_else(|_| metadata.modified()).ok()
        };
        let entries = folder.read_dir().ok()?.filter_map(Result::ok);
        let newest = entries.max_by_key(|entry| made(entry).unwrap_or(SystemTime::UNIX_EPOCH))?;
        newest.file_name().into_string().ok().map(ContainerId::new)
    }

    /// Its executor has ended: from now on it grows old, however long that ran.
    pub(crate) fn begins_to_age(&self, path: &Path, now: SystemTime) {
        let touched = File::open(path).and_then(|folder| folder.set_modified(now));
        match touched {
            // An executor that could not be started has none.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "cannot note when a sandbox's executor ended; it may be removed early");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// The share of their disk that is in use. Nothing, if that cannot be seen.
    pub(crate) fn usage(&self) -> f64 {
        let seen = self.root.ancestors().find_map(|path| statvfs(path).ok());
        seen.filter(|disk| disk.blocks() > 0)
            .map_or(0.0, |disk| 1.0 - disk.blocks_free() as f64 / disk.blocks() as f64)
    }

    /// Removes what is beyond the limits, oldest first, but nothing of executors that live, while so much of the disk is in use.
    pub(crate) fn collect(
        &self,
        living: &BTreeSet<ContainerId>,
        limits: SandboxLimits,
        usage: f64,
        now: SystemTime,
        unremoved: &mut Unremoved,
    ) -> Collected {
        let mut ended: Vec<(SystemTime, PathBuf)> = folders(&self.root)
            .flat_map(|framework| folders(&framework).collect::<Vec<_>>())
            .flat_map(|executor| folders(&executor).collect::<Vec<_>>())
            .filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                !living.contains(&ContainerId::new(name))
            })
            .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
            .collect();
        ended.sort();
        unremoved.forget_all_but(&ended.iter().map(|(_, path)| path.clone()).collect());
        let too_many = ended.len().saturating_sub(limits.count_max);
        let age_max = limits.age_max(usage);
        let mut collected = Collected::default();
        let all = ended.len() as u64;
        for (place, (modified, path)) in ended.into_iter().enumerate() {
            let age = now.duration_since(modified).unwrap_or_default();
            if age < YOUNG || (place >= too_many && age <= age_max) {
                break;
            }
            match std::fs::remove_dir_all(&path) {
                Ok(()) => collected.removed += 1,
                Err(error) => {
                    collected.failed += 1;
                    if let Some(times) = unremoved.failed(&path) {
                        tracing::warn!(path = %path.display(), %error, times, "could not remove an old sandbox; mend its rights or its disk, or remove it by hand");
                    }
                }
            }
            // The folders above go with their last one; the system refuses while there is another.
            for above in path.ancestors().skip(1).take(2) {
                let _ = std::fs::remove_dir(above);
            }
        }
        Collected { kept: all - collected.removed - collected.failed, ..collected }
    }
}

/// Makes a folder, and those above it, which [`Sandboxes::collect`] removes whenever they are empty: `between` the two, too.
/// Returns what could not be made.
fn make_folder(path: &Path, mut between: impl FnMut()) -> Result<(), (&Path, io::Error)> {
    let mut again = 0..FOLDER_AGAIN;
    loop {
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above).map_err(|error| (above, error))?;
        }
        between();
        match DirBuilder::new().mode(0o750).create(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && again.next().is_some() => {}
            made => return made.map_err(|error| (path, error)),
        }
    }
}

fn folders(path: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = path.read_dir().ok().into_iter().flatten().filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

/// Whether the agent, or its machine, has too many files open.
pub(crate) fn no_descriptors(error: &io::Error) -> bool {
    let known = error.raw_os_error().map(Errno::from_raw);
    matches!(known, Some(Errno::EMFILE | Errno::ENFILE))
}

/// What to do about it.
pub(crate) const MORE_DESCRIPTORS: &str =
    "; the agent has no file descriptors left: raise its limit (`ulimit -n`), or ask less of it";

fn give(file: &File, owner: Option<&User>) -> io::Result<()> {
    match owner {
        Some(user) => fchown(file, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
