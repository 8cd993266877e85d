//! Which bytes of which files each job counts.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use sdk::typed;
use serde::{Deserialize, Serialize};

/// The most parts of one job: its description must fit in a message.
const PARTS_MOST: usize = 256;

/// Part of a file, from the first place at or after `start` where it may be cut to the first such place at or after `end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The file's path, as the system has it.
    pub path: Vec<u8>,
    /// Its first byte.
    pub start: u64,
    /// After its last byte.
    pub end: u64,
    /// The file's size when it was planned: nothing after it is counted.
    pub size: u64,
}

impl Part {
    /// The file.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(OsString::from_vec(self.path.clone()))
    }
}

/// What one task counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Unique in its plan, and other for other parts.
    pub name: String,
    /// What to count.
    pub parts: Vec<Part>,
}

/// How much of a file is looked at to see what it is.
const LOOK_BYTES: usize = 4096;

/// All there is to count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// How many files.
    pub files: usize,
    /// How many bytes.
    pub bytes: u64,
    /// Files that cannot be read or are no text, and those beyond the limit.
    pub skipped: usize,
}

fn list(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    fs::read_dir(folder)?.collect()
}

/// Why nothing could be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A folder cannot be read.
    #[error("read input folder {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing to count.
    #[error("plan: no readable file below {0}")]
    Nothing(String),
}

/// Plans the files below `folders` in jobs of about `job_bytes`; at most `bytes_most` in all.
pub fn plan(folders: &[PathBuf], bytes_most: u64, job_bytes: u64) -> Result<Plan, PlanError> {
    let mut files = Vec::new();
    for folder in folders {
        let entries =
            list(folder).map_err(|source| PlanError::Folder { path: folder.clone(), source })?;
        let mut todo: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        while let Some(path) = todo.pop() {
            match fs::symlink_metadata(&path) {
                Ok(about) if about.is_dir() => {
                    // A folder below that cannot be listed has no readable file.
                    let below = list(&path).unwrap_or_default();
                    todo.extend(below.into_iter().map(|entry| entry.path()));
                }
                Ok(about) if about.is_file() && about.len() > 0 => files.push((path, about.len())),
                Ok(_) | Err(_) => (),
            }
        }
    }
    files.sort();
    files.dedup();
    let mut plan = Plan::default();
    let mut parts = Vec::new();
    let mut in_job = 0;
    for (path, size) in files {
        if plan.bytes + size > bytes_most || !is_text(&path) {
            plan.skipped += 1;
            continue;
        }
        plan.files += 1;
        plan.bytes += size;
        for part in cut(&path, size, job_bytes.max(1)) {
            let bytes = part.end - part.start;
            if !parts.is_empty() && (in_job + bytes > job_bytes || parts.len() >= PARTS_MOST) {
                finish(&mut plan, &mut parts);
                in_job = 0;
            }
            in_job += bytes;
            parts.push(part);
        }
    }
    finish(&mut plan, &mut parts);
    if plan.jobs.is_empty() {
        let folders: Vec<_> = folders.iter().map(|path| path.display().to_string()).collect();
        return Err(PlanError::Nothing(folders.join(", ")));
    }
    Ok(plan)
}

/// Whether it can be read and looks like text: compressed files and programs have a zero among their first bytes.
fn is_text(path: &Path) -> bool {
    let mut first = Vec::with_capacity(LOOK_BYTES);
    let read =
        fs::File::open(path).and_then(|file| file.take(LOOK_BYTES as u64).read_to_end(&mut first));
    read.is_ok() && !first.contains(&0)
}

fn cut(path: &Path, size: u64, most: u64) -> impl Iterator<Item = Part> + use<> {
    let path = path.as_os_str().as_bytes().to_vec();
    let starts = (0..size.div_ceil(most)).map(move |n| n * most);
    starts.map(move |start| Part { path: path.clone(), start, end: (start + most).min(size), size })
}

fn finish(plan: &mut Plan, parts: &mut Vec<Part>) {
    if parts.is_empty() {
        return;
    }
    let parts = std::mem::take(parts);
    // A name says what it stands for: a later life may have other files.
    let sum = crc32c::crc32c(&typed::encode(&parts).unwrap_or_default());
    plan.jobs.push(Job { name: format!("words-{:04}-{sum:08x}", plan.jobs.len() + 1), parts });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_planned_once() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("large"), vec![b'x'; 2500]).unwrap();
        fs::write(folder.path().join("empty"), "").unwrap();
        for n in 0..20 {
            fs::write(folder.path().join(format!("small-{n}")), vec![b'y'; 90]).unwrap();
        }
        std::os::unix::fs::symlink(below.join("large"), folder.path().join("link")).unwrap();
        let folders = [folder.path().to_owned()];
        let plan = plan(&folders, 1 << 20, 1000).unwrap();
        assert_eq!((plan.files, plan.bytes, plan.skipped), (21, 2500 + 20 * 90, 0));
        let sizes: Vec<u64> = plan
            .jobs
            .iter()
            .map(|job| job.parts.iter().map(|part| part.end - part.start).sum())
            .collect();
        assert_eq!(sizes.iter().sum::<u64>(), plan.bytes);
        assert!(sizes.iter().all(|size| *size <= 1000), "{sizes:?}");
        assert_eq!(plan, super::plan(&folders, 1 << 20, 1000).unwrap());
    }

    #[test]
    fn what_is_no_text_is_skipped_and_said() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("text"), "one two").unwrap();
        fs::write(folder.path().join("gzip"), b"\x1f\x8b\x08\x00\x00").unwrap();
        let plan = plan(&[folder.path().to_owned()], 1 << 20, 1000).unwrap();
        assert_eq!((plan.files, plan.bytes, plan.skipped), (1, 7, 1));
    }

    #[test]
    fn what_is_beyond_the_limit_is_skipped_and_said() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..4 {
            fs::write(folder.path().join(format!("{n}")), vec![b'y'; 100]).unwrap();
        }
        let plan = plan(&[folder.path().to_owned()], 250, 1000).unwrap();
        assert_eq!((plan.files, plan.bytes, plan.skipped), (2, 200, 2));
    }

    #[test]
    fn nothing_to_count_is_an_error_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let error = plan(&[folder.path().to_owned()], 10, 10).unwrap_err();
        assert!(matches!(error, PlanError::Nothing(_)), "{error}");
        let error = plan(&[folder.path().join("none")], 10, 10).unwrap_err();
        assert!(matches!(error, PlanError::Folder { .. }), "{error}");
    }
}
