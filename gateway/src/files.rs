//! Files that may be read over HTTP: those below places that were attached under a path of their own, and nothing else. What lies
//! below a place may belong to somebody who would like to lead readers out of it: no step of the way may leave it, whatever links
//! there are.

mod open;
mod pages;

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub(crate) use pages::routes;

/// Bytes of one answer: 16 pages of memory, as in Mesos.
pub const READ_MAX: usize = 65_536;

/// Entries of a folder that are listed at most.
const ENTRIES_MAX: usize = 65_536;

/// A place in the file system, and what is meant below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A folder out of which nothing leads; or a file.
    pub root: PathBuf,
    /// Below it, with slashes between the parts; empty: the place itself.
    pub below: String,
}

/// Places that come and go, known by whoever makes them. Called where waiting for the disk is no harm.
pub trait Places: Send + Sync {
    /// What a path means; nothing, if it means none of them.
    fn find(&self, path: &str) -> Option<Place>;

    /// All of them, with the paths under which they are found.
    fn all(&self) -> Vec<(String, PathBuf)>;
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As it is asked for.
    pub path: String,
    /// What the file system says of it.
    pub nlink: u64,
    /// Bytes.
    pub size: u64,
    /// When it was changed, in seconds since 1970.
    pub mtime: i64,
    /// Kind and permissions.
    pub mode: u32,
    /// Number of its owner.
    pub uid: u32,
    /// Number of its group.
    pub gid: u32,
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins.
    pub offset: u64,
    /// How long the whole file is.
    pub size: u64,
    /// The part.
    pub data: Vec<u8>,
}

/// Why something is not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// No place has it, or it is not there, or the way to it leads out of its place.
    #[error("'{0}' is not there")]
    NotFound(String),
    /// A folder was wanted, or a file.
    #[error("{0}")]
    Invalid(String),
    /// The file system refuses.
    #[error("failed to read '{path}'")]
    Failed {
        /// As it was asked for.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// All that may be read of a component.
#[derive(Clone, Default)]
pub struct Files(Arc<Shared>);

#[derive(Default)]
struct Shared {
    attached: Mutex<BTreeMap<String, PathBuf>>,
    places: OnceLock<Box<dyn Places>>,
}

impl Files {
    /// A file or folder is found under this path from now on.
    pub fn attach(&self, path: &str, real: PathBuf) {
        let mut attached = self.0.attached.lock().unwrap_or_else(PoisonError::into_inner);
        attached.insert(path.trim_end_matches('/').to_owned(), real);
    }

    /// Places that come and go. The first to say so is heard.
    pub fn come_from(&self, places: impl Places + 'static) {
        let _ = self.0.places.set(Box::new(places));
    }

    /// All places, with the paths under which they are found.
    pub async fn all(&self) -> BTreeMap<String, PathBuf> {
        let files = self.clone();
        let all = move || {
            let attached = files.0.attached.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let more = files.0.places.get().map(|places| places.all()).unwrap_or_default();
            attached.into_iter().chain(more).collect()
        };
        aside(all).await.unwrap_or_default()
    }

    /// What a folder has, by path.
    ///
    /// # Errors
    ///
    /// See [`FileError`].
    pub async fn browse(&self, path: &str) -> Result<Vec<Entry>, FileError> {
        let (files, path) = (self.clone(), path.to_owned());
        aside(move || files.entries(&path)).await?
    }

    /// A part of a file: at most [`READ_MAX`] bytes from `offset` on. Without an offset nothing but how long it is.
    ///
    /// # Errors
    ///
    /// See [`FileError`].
    pub async fn read(
        &self,
        path: &str,
        offset: Option<u64>,
        length: Option<u64>,
    ) -> Result<Part, FileError> {
        let (files, path) = (self.clone(), path.to_owned());
        aside(move || files.part(&path, offset, length)).await?
    }

    /// A whole file, opened.
    pub(crate) async fn open(&self, path: &str) -> Result<(std::fs::File, u64), FileError> {
        let (files, path) = (self.clone(), path.to_owned());
        aside(move || files.file(&path)).await?
    }

    fn find(&self, path: &str) -> Result<Place, FileError> {
        let path = path.trim_end_matches('/');
        let attached = self.0.attached.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut places = attached.into_iter().filter_map(|(name, root)| {
            let below = path.strip_prefix(name.as_str())?;
            let below = if below.is_empty() { below } else { below.strip_prefix('/')? };
            Some(Place { root, below: below.to_owned() })
        });
        let found = places.next().or_else(|| self.0.places.get()?.find(path));
        found.ok_or_else(|| FileError::NotFound(path.to_owned()))
    }

    fn entries(&self, path: &str) -> Result<Vec<Entry>, FileError> {
        let place = self.find(path)?;
        let failed = |source| not_read(path, source);
        let folder = open::below(&place).map_err(failed)?;
        if !folder.metadata().map_err(failed)?.is_dir() {
            return Err(FileError::Invalid(format!("'{path}' is no folder")));
        }
        let path = path.trim_end_matches('/');
        let mut entries = Vec::new();
        // By the folder that is open: its name may mean another by now.
        for entry in open::list(&folder).map_err(failed)?.take(ENTRIES_MAX) {
            // It may be gone since.
            let Ok(entry) = entry else { continue };
            let Ok(metadata) = std::fs::symlink_metadata(entry.path()) else { continue };
            let name = entry.file_name();
            entries.push(entry_of(format!("{path}/{}", name.to_string_lossy()), &metadata));
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn file(&self, path: &str) -> Result<(std::fs::File, u64), FileError> {
        let place = self.find(path)?;
        let failed = |source| not_read(path, source);
        let file = open::below(&place).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(FileError::Invalid("Cannot read a directory.\n".to_owned()));
        }
        // A pipe would keep its reader waiting for ever.
        if !metadata.is_file() {
            return Err(FileError::Invalid(format!("'{path}' is no plain file")));
        }
        Ok((file, metadata.len()))
    }

    fn part(
        &self,
        path: &str,
        offset: Option<u64>,
        length: Option<u64>,
    ) -> Result<Part, FileError> {
        let (file, size) = self.file(path)?;
        let Some(offset) = offset else { return Ok(Part { offset: size, size, data: Vec::new() }) };
        let there = size.saturating_sub(offset).min(length.unwrap_or(u64::MAX));
        let wanted = usize::try_from(there).unwrap_or(usize::MAX).min(READ_MAX);
        let mut data = vec![0; wanted];
        let mut filled = 0;
        while filled < wanted {
            let read = file.read_at(&mut data[filled..], offset + filled as u64);
            match read.map_err(|source| not_read(path, source))? {
                0 => break,
                bytes => filled += bytes,
            }
        }
        data.truncate(filled);
        Ok(Part { offset, size, data })
    }
}

/// On a thread that may wait for the disk.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, FileError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| FileError::Failed { path: String::new(), source: io::Error::other(error) })
}

fn not_read(path: &str, source: io::Error) -> FileError {
    match open::is_away(&source) {
        true => FileError::NotFound(path.to_owned()),
        false => FileError::Failed { path: path.to_owned(), source },
    }
}

fn entry_of(path: String, metadata: &Metadata) -> Entry {
    Entry {
        path,
        nlink: metadata.nlink(),
        size: metadata.len(),
        mtime: metadata.mtime(),
        mode: metadata.mode(),
        uid: metadata.uid(),
        gid: metadata.gid(),
    }
}

impl Entry {
    /// The name of its owner, or the number of one that has none.
    pub fn owner(&self) -> String {
        let user = nix::unistd::User::from_uid(self.uid.into()).ok().flatten();
        user.map_or_else(|| self.uid.to_string(), |user| user.name)
    }

    /// Likewise of its group.
    pub fn group(&self) -> String {
        let group = nix::unistd::Group::from_gid(self.gid.into()).ok().flatten();
        group.map_or_else(|| self.gid.to_string(), |group| group.name)
    }

    /// Kind and permissions as `ls` writes them.
    pub fn mode_text(&self) -> String {
        let kind = match self.mode & 0o170_000 {
            0o040_000 => 'd',
            0o120_000 => 'l',
            0o060_000 => 'b',
            0o020_000 => 'c',
            0o010_000 => 'p',
            0o140_000 => 's',
            _ => '-',
        };
        let bit =
            |n: u32| if self.mode & (1 << n) == 0 { '-' } else { ['x', 'w', 'r'][n as usize % 3] };
        std::iter::once(kind).chain((0..9).rev().map(bit)).collect()
    }
}

/// The name of a file, for whoever saves it.
pub(crate) fn base_name(path: &str) -> &str {
    Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or("file")
}

#[cfg(test)]
mod tests;
