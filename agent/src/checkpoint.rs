//! The agent's memory on disk: one small file of records, appended; its form is in `checkpoint/form.rs`. A torn tail is what
//! a crash leaves and is cut off. Anything else that cannot be read is said and stops the start, unless the operator takes what
//! is left.

mod form;

#[cfg(feature = "testing")]
pub mod bytes;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, Flock, FlockArg, fallocate};

use crate::logic::{Checkpoint, Record};
use form::{MAGIC, Whole, frame, read_all};

/// After so many appended records the file is written anew with the fewest. If that cannot be, so many more are tried.
const APPENDED_MAX: usize = 10_000;

/// Kept for the file from the start: a task that fills the disk with its sandbox does not end the agent.
const KEPT_BYTES: i64 = 1 << 20;

/// What went wrong with the work directory.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It cannot be made.
    #[error("make the work directory {path}; choose another with --work_dir")]
    Make {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another agent has it.
    #[error(
        "another agent uses the work directory {path}; end it, or choose another with --work_dir"
    )]
    Taken {
        /// Which.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error(
        "write to the work directory {path}; fix its rights, make room, or choose another with --work_dir"
    )]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("read {path}, which the agent cannot do without")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not ours, or damaged before its tail.
    #[error(
        "the checkpoint {path} is damaged at byte {at}: {why}; start the agent with --strict=false to go on with what can be read of it: executors and tasks that cannot be are forgotten, and may run on unseen"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where.
        at: usize,
        /// How.
        why: &'static str,
    },
    /// A newer version of the agent wrote it. Nothing of it is guessed at or lost.
    #[error(
        "the checkpoint {path} was written by a newer version of the agent: what stands at byte {at} is unknown to this one; start that version again, or move the file away and the agent starts as a new one"
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Where the first thing unknown is.
        at: usize,
    },
}

/// The open file, and the lock on its directory.
#[derive(Debug)]
pub(crate) struct CheckpointFile {
    path: PathBuf,
    file: File,
    state: Checkpoint,
    appended: usize,
    /// Bytes known to be whole; what a failed write left behind them is cut off.
    length: u64,
    /// Whether there is something to cut off.
    torn: bool,
    directory: File,
    /// Whether a crash may still bring the file's former self back, which lacks what is appended from now on.
    replaced: bool,
    _lock: Flock<File>,
}

impl CheckpointFile {
    /// Takes the directory for this process, reads what is there, and writes it anew in its shortest form. Unless `strict`,
    /// what is damaged is left out, and the file kept under another name.
    pub(crate) fn open(
        work_dir: &Path,
        strict: bool,
    ) -> Result<(Checkpoint, Self), CheckpointError> {
        let unwritable = |source| CheckpointError::Write { path: work_dir.to_owned(), source };
        std::fs::create_dir_all(work_dir)
            .map_err(|source| CheckpointError::Make { path: work_dir.to_owned(), source })?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(work_dir.join("agent.lock"))
            .map_err(unwritable)?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|_| CheckpointError::Taken { path: work_dir.to_owned() })?;
        let path = work_dir.join("agent.checkpoint");
        let state = match std::fs::read(&path) {
            Ok(bytes) => take(&path, &bytes, strict)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Checkpoint::default(),
            Err(source) => return Err(CheckpointError::Read { path, source }),
        };
        let directory = File::open(work_dir).map_err(unwritable)?;
        let (file, length) = write_beside(&path, &state).map_err(unwritable)?;
        let (torn, replaced) = (false, false);
        let mut opened =
            Self { path, file, state, appended: 0, length, torn, directory, replaced, _lock: lock };
        opened.put_in_place().map_err(unwritable)?;
        opened.sync_directory(File::sync_all).map_err(unwritable)?;
        Ok((opened.state.clone(), opened))
    }

    /// Appends one record, and waits for the disk where that matters.
    pub(crate) fn write(&mut self, record: &Record) -> io::Result<()> {
        self.append(record, File::sync_all)?;
        self.state.apply(record.clone());
        self.appended += 1;
        if self.appended >= APPENDED_MAX {
            self.appended = 0;
            if let Err(error) = self.shorten() {
                // The long form says the same.
                tracing::warn!(%error, "the checkpoint cannot be shortened");
            }
        }
        Ok(())
    }

    fn append(
        &mut self,
        record: &Record,
        sync: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.torn {
            self.cut()?;
        }
        let framed = frame(record);
        let written = self.file.write_all(&framed).and_then(|()| {
            if record.must_be_synced() {
                self.sync_directory(sync)?;
                self.file.sync_data()?;
            }
            Ok(())
        });
        match written {
            Ok(()) => self.length += framed.len() as u64,
            Err(error) => {
                self.torn = true;
                // Tried again before the next record.
                let _ = self.cut();
                return Err(error);
            }
        }
        Ok(())
    }

    /// A record cut short would hide all that follow.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.torn = false;
        Ok(())
    }

    /// The open file becomes the new one at once with its name: what can fail after that loses nothing.
    fn shorten(&mut self) -> io::Result<()> {
        let (file, length) = write_beside(&self.path, &self.state)?;
        self.put_in_place()?;
        (self.file, self.length) = (file, length);
        Ok(())
    }

    fn put_in_place(&mut self) -> io::Result<()> {
        std::fs::rename(beside(&self.path), &self.path)?;
        self.replaced = true;
        Ok(())
    }

    fn sync_directory(&mut self, sync: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        if self.replaced {
            sync(&self.directory)?;
            self.replaced = false;
        }
        Ok(())
    }
}

/// What the file says, or what can be read of it.
fn take(path: &Path, bytes: &[u8], strict: bool) -> Result<Checkpoint, CheckpointError> {
    let Whole { state, damage } = read_all(path, bytes)?;
    let Some((at, why)) = damage else {
        return Ok(state);
    };
    if strict {
        return Err(CheckpointError::Damaged { path: path.to_owned(), at, why });
    }
    let kept = path.with_extension("damaged");
    keep(&kept, bytes).map_err(|source| CheckpointError::Write { path: kept.clone(), source })?;
    tracing::warn!(
        path = %path.display(), at, why, kept = %kept.display(),
        "the checkpoint is damaged; going on with what can be read of it, since --strict=false says so"
    );
    Ok(state)
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// A damaged one, in place of what was kept of an earlier damage.
fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = make(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// What a checkpoint holds of tasks' environments and of tokens is the agent's alone.
fn make(path: &Path) -> io::Result<File> {
    // What a former try left may not be added to.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    OpenOptions::new().create_new(true).append(true).mode(0o600).open(path)
}

/// Beside the old file first, so that a crash leaves one of the two whole. What is open stays so when it gets the name.
fn write_beside(path: &Path, state: &Checkpoint) -> io::Result<(File, u64)> {
    let beside = beside(path);
    let mut bytes = MAGIC.to_vec();
    state.records().iter().for_each(|record| bytes.extend(frame(record)));
    let mut file = make(&beside)?;
    // Not every disk can promise room; then a record that finds none ends the agent.
    let _ = fallocate(&file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, KEPT_BYTES);
    file.write_all(&bytes)?;
    file.sync_all()?;
    Ok((file, bytes.len() as u64))
}

#[cfg(test)]
mod tests;
