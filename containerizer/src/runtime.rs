//! The folder in which what must be known of a container outlives whoever started it: on the host, one for each container,
//! below one for all. What it is, which process is its first, how it ended; and what it writes into its root.
//!
//! ```text
//! NAME/config   the container, without secrets   NAME/process  its init: number, start time, boot
//! NAME/ended    how it ended, written by init    NAME/phase    how far its life has come
//! NAME/scratch  its root's upper layer           NAME/owner    locked by a starter that means to clean up itself
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libactor::wire;
use procfs::process::Process;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, openat, renameat};
use serde::{Deserialize, Serialize};

use crate::container::{Container, ContainerName};
use crate::logic::Phase;

/// No record is larger: arguments and environment of a program are at most 2 MiB.
const RECORD_BYTES_MAX: usize = 8 << 20;
const CONFIG: &str = "config";
const PROCESS: &str = "process";
const PHASE: &str = "phase";
const ENDED: &str = "ended";
pub(crate) const SCRATCH: &str = "scratch";

/// How a container's program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// By itself.
    Code(u8),
    /// By this signal.
    Signal(i32),
    /// Nobody knows: its init was killed, or the machine failed.
    Unknown,
}

impl Exit {
    /// As a shell has it: 128 and the signal's number. What nobody knows was most likely a kill.
    pub fn shell_code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            Self::Unknown => 137,
        }
    }
}

/// A process of the machine, told from others that had or will have its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// Its number.
    pub number: i32,
    /// When it started, in ticks since boot.
    pub started: u64,
    /// Which boot that was.
    pub boot: String,
}

impl ProcessId {
    /// Of a process that is not reaped yet.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn of(number: i32) -> io::Result<Self> {
        let stat = Process::new(number).and_then(|process| process.stat());
        let started = stat.map_err(io::Error::other)?.starttime;
        Ok(Self { number, started, boot: boot()? })
    }

    /// Of one that was looked at.
    ///
    /// # Errors
    /// Which boot this is cannot be read.
    pub fn seen(seen: &crate::look::Seen) -> io::Result<Self> {
        Ok(Self { number: seen.process, started: seen.started, boot: boot()? })
    }

    /// A handle of the very process, if it still is.
    pub fn open(&self) -> io::Result<Option<OwnedFd>> {
        let Some(number) = rustix::process::Pid::from_raw(self.number) else { return Ok(None) };
        let handle = rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty());
        match handle {
            // Looked at once its number is held: it cannot become another's any more.
            Ok(handle) if Self::of(self.number).is_ok_and(|now| now == *self) => Ok(Some(handle)),
            Ok(_) | Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Of this boot: no process sees another.
fn boot() -> io::Result<String> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot.clone());
    }
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(BOOT.get_or_init(|| text.trim().to_owned()).clone())
}

/// The folder of all containers.
#[derive(Clone, Debug)]
pub struct Runtime(PathBuf);

/// The folder of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder(PathBuf);

impl Runtime {
    /// Makes it if it is not there.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o711).create(path)?;
        Ok(Self(path.to_owned()))
    }

    /// Waits until no other process makes or sweeps folders here, and keeps others from it while the file is held.
    ///
    /// # Errors
    /// The disk's.
    pub fn lock(&self) -> io::Result<File> {
        let path = self.0.join(".lock");
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok(file)
    }

    /// A folder for a container; there must be none.
    ///
    /// # Errors
    /// The disk's.
    pub fn make(&self, name: &ContainerName) -> io::Result<Folder> {
        let path = self.0.join(name.as_str());
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        fs::DirBuilder::new().mode(0o700).create(path.join(SCRATCH))?;
        Ok(Folder(path))
    }

    /// All that are there.
    ///
    /// # Errors
    /// The disk's.
    pub fn all(&self) -> io::Result<Vec<(ContainerName, Folder)>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = ContainerName::new(&entry.file_name().to_string_lossy());
            if let (Ok(name), true) = (name, entry.file_type()?.is_dir()) {
                found.push((name, Folder(entry.path())));
            }
        }
        found.sort();
        Ok(found)
    }
}

impl Folder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the container writes into its root is below this.
    pub fn scratch(&self) -> PathBuf {
        self.0.join(SCRATCH)
    }

    /// For its init, which leaves there how the program ended.
    ///
    /// # Errors
    /// The disk's.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&self.0, flags, Mode::empty())?)
    }

    /// Whether no init has its handle any more: also one that nobody knows, whose starter was killed before it could write down which
    /// process that is. Such an init ends by itself, and makes things in the folder until then.
    ///
    /// # Errors
    /// The disk's.
    pub fn is_free(&self) -> io::Result<bool> {
        match flock(self.handle()?, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
            left => Ok(left.map(|()| true)?),
        }
    }

    /// Locks it for as long as the file is held: until this process ends, however it does. `None`: another has it.
    ///
    /// # Errors
    /// The disk's.
    pub fn own(&self) -> io::Result<Option<File>> {
        let file =
            File::options().create(true).truncate(false).write(true).open(self.0.join("owner"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// Checkpoints what it is.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_config(&self, container: &Container) -> io::Result<()> {
        write_record(&self.handle()?, CONFIG, &container.without_secrets())
    }

    /// What it is; nothing, if the disk did not keep it whole.
    pub fn config(&self) -> Option<Container> {
        read_record(&self.0.join(CONFIG))
    }

    /// Checkpoints which process is its first.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_process(&self, process: &ProcessId) -> io::Result<()> {
        write_record(&self.handle()?, PROCESS, process)
    }

    /// Which process is its first.
    pub fn process(&self) -> Option<ProcessId> {
        read_record(&self.0.join(PROCESS))
    }

    /// Checkpoints how far its life has come, in place: all phases have records of one length, and a kill comes before or after a write.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_phase(&self, phase: Phase) -> io::Result<()> {
        let mut file = File::options();
        file.write(true).create(true).truncate(false).mode(0o600);
        file.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        file.open(self.0.join(PHASE))?.write_all(&summed(&phase)?)
    }

    /// How far its life has come.
    pub fn phase(&self) -> Option<Phase> {
        read_record(&self.0.join(PHASE))
    }

    /// How its program ended, as its init wrote it; nothing before.
    pub fn exit(&self) -> Option<Exit> {
        read_record(&self.0.join(ENDED))
    }
}

/// Of a container that is about to be started: by init's copy of it the folder is locked until that is gone.
pub(crate) fn hold(handle: impl AsFd) -> io::Result<()> {
    Ok(flock(handle, FlockOperation::NonBlockingLockShared)?)
}

/// By init, from a place where the folder cannot be named any more. On disk before it returns: it is said once, and nobody else knows.
pub(crate) fn write_exit(folder: impl AsFd, exit: Exit) -> io::Result<()> {
    write_beside(&folder, ENDED, &exit)?.sync_all()?;
    put_in_place(&folder, ENDED)?;
    rustix::fs::fsync(folder)?;
    Ok(())
}

/// Whole or not at all for whoever reads it. Not forced to the disk: what it says of processes is of no use once the machine failed.
fn write_record<T: Serialize>(folder: &impl AsFd, name: &str, record: &T) -> io::Result<()> {
    write_beside(folder, name, record)?;
    put_in_place(folder, name)
}

fn write_beside<T: Serialize>(folder: &impl AsFd, name: &str, record: &T) -> io::Result<File> {
    let bytes = summed(record)?;
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let beside = openat(folder, format!("{name}.new"), flags, Mode::from_raw_mode(0o600))?;
    let mut file = File::from(beside);
    file.write_all(&bytes)?;
    Ok(file)
}

/// What a record is on disk: its checksum comes first.
fn summed<T: Serialize>(record: &T) -> io::Result<Vec<u8>> {
    let record = wire::encode(record, RECORD_BYTES_MAX).map_err(io::Error::other)?;
    let mut bytes = crc32c::crc32c(&record).to_le_bytes().to_vec();
    bytes.extend(record);
    Ok(bytes)
}

fn put_in_place(folder: &impl AsFd, name: &str) -> io::Result<()> {
    Ok(renameat(folder, format!("{name}.new"), folder, name)?)
}

fn read_record<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    let mut bytes = Vec::new();
    let most = RECORD_BYTES_MAX as u64 + 4;
    File::open(path).ok()?.take(most).read_to_end(&mut bytes).ok()?;
    let (sum, record) = bytes.split_first_chunk::<4>()?;
    if crc32c::crc32c(record) != u32::from_le_bytes(*sum) {
        return None;
    }
    wire::decode(record).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::open(&dir.path().join("containers")).unwrap();
        let folder = runtime.make(&ContainerName::new("c-1").unwrap()).unwrap();
        (dir, folder)
    }

    #[test]
    fn what_is_checkpointed_is_found_whole_or_not_at_all() {
        let (_dir, folder) = folder();
        assert_eq!(folder.exit(), None);
        write_exit(folder.handle().unwrap(), Exit::Signal(9)).unwrap();
        assert_eq!(folder.exit(), Some(Exit::Signal(9)));
        let path = folder.path().join(ENDED);
        let whole = fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(folder.exit(), None, "cut at {cut}");
        }
    }

    #[test]
    fn every_phase_takes_the_place_of_the_one_before() {
        use Phase::{Destroying, Fetching, Isolating, Preparing, Provisioning, Running};

        let (_dir, folder) = folder();
        assert_eq!(folder.phase(), None);
        for phase in [Provisioning, Preparing, Isolating, Fetching, Running, Destroying] {
            folder.write_phase(phase).unwrap();
            assert_eq!(folder.phase(), Some(phase));
            assert_eq!(summed(&phase).unwrap().len(), 8, "or one would be left under a shorter");
        }
    }

    #[test]
    fn secrets_are_not_written_down() {
        let (_dir, folder) = folder();
        let mut container = Container::default();
        container.confinement.mounts.push(crate::confinement::Mount::Secret {
            target: "/run/key".into(),
            value: b"open-sesame".to_vec(),
            mode: 0o400,
            owner: (0, 0),
        });
        container.confinement.environment.push(c"PASSWORD=open-sesame".into());
        folder.write_config(&container).unwrap();
        let bytes = fs::read(folder.path().join(CONFIG)).unwrap();
        assert!(!bytes.windows(11).any(|window| window == b"open-sesame"));
        assert_eq!(folder.config(), Some(container.without_secrets()));
    }

    #[test]
    fn another_process_with_the_same_number_is_another() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let known = ProcessId::of(child.id().cast_signed()).unwrap();
        assert!(known.open().unwrap().is_some());
        let earlier = ProcessId { started: known.started - 1, ..known.clone() };
        assert!(earlier.open().unwrap().is_none());
        let rebooted = ProcessId { boot: "another".into(), ..known.clone() };
        assert!(rebooted.open().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(known.open().unwrap().is_none());
    }

    #[test]
    fn one_owner_at_a_time_and_none_once_it_is_gone() {
        let (_dir, folder) = folder();
        let owner = folder.own().unwrap().unwrap();
        assert!(folder.own().unwrap().is_none());
        drop(owner);
        assert!(folder.own().unwrap().is_some());
    }
}
