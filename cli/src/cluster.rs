//! Which cluster a command talks to: as told, or as `airside up` left it in the user's cache folder.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use libactor::Secret;
use libactor::session::ShortSecret;
use protocol::executor::SECRET_BYTES_MAX;
use serde::{Deserialize, Serialize};

use crate::arguments::ClusterArguments;
use crate::environment::Environment;

/// Where masters listen when nobody says otherwise.
const DEFAULT_MASTER: &str = "127.0.0.1:5050";

/// The most bytes that a cluster file is read of.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A cluster to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// `host:port`.
    pub(crate) master: String,
    /// The file with its secret.
    pub(crate) secret_file: Option<PathBuf>,
}

/// What `airside up` leaves for other commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterFile {
    /// `host:port`.
    pub(crate) master: String,
    /// The file with the cluster's secret.
    pub(crate) secret_file: PathBuf,
    /// The process of `up`.
    pub(crate) process: u32,
}

/// A file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}; choose a folder that you may write to with --work-dir")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} holds no secret; write one line of at least 16 characters to it")]
    Secret { path: PathBuf, source: ShortSecret },
    #[error(
        "{path} is too long for a secret: it may have {SECRET_BYTES_MAX} bytes; is it the right file?"
    )]
    LongSecret { path: PathBuf },
    #[error(
        "no folder to work in: neither HOME nor XDG_CACHE_HOME is set; give one with --work-dir"
    )]
    NoCacheDir,
}

impl Cluster {
    /// The flags win, then the environment, then what `up` left; its secret only goes with its master.
    pub(crate) fn find(arguments: &ClusterArguments, environment: &Environment) -> Self {
        let told = arguments.master.clone().or_else(|| {
            environment.read("AIRSIDE_MASTER").and_then(|m| m.to_str()).map(str::to_owned)
        });
        let secret_told = arguments
            .cluster_secret_file
            .clone()
            .or_else(|| environment.read("AIRSIDE_CLUSTER_SECRET_FILE").map(PathBuf::from));
        let left = environment.cache_dir().and_then(|dir| ClusterFile::read(&dir));
        let master = told
            .or_else(|| left.as_ref().map(|left| left.master.clone()))
            .unwrap_or_else(|| DEFAULT_MASTER.to_owned());
        let secret_of_left = left.filter(|left| left.master == master).map(|left| left.secret_file);
        Self { master, secret_file: secret_told.or(secret_of_left) }
    }
}

impl ClusterFile {
    fn path(cache_dir: &Path) -> PathBuf {
        cache_dir.join("cluster.json")
    }

    fn read(cache_dir: &Path) -> Option<Self> {
        let path = Self::path(cache_dir);
        let small = fs::metadata(&path).is_ok_and(|file| file.len() <= FILE_BYTES_MAX);
        small.then(|| fs::read(&path).ok()).flatten().and_then(|b| serde_json::from_slice(&b).ok())
    }

    /// Tells later commands of this cluster.
    pub(crate) fn leave(&self, cache_dir: &Path) -> Result<(), FileError> {
        let bytes = serde_json::to_vec(self).expect("three plain fields are always JSON");
        create_dir(cache_dir)?;
        write_private(&Self::path(cache_dir), &bytes)
    }

    /// Takes the file away, if it still speaks of this cluster.
    pub(crate) fn take_back(&self, cache_dir: &Path) {
        if Self::read(cache_dir).as_ref() == Some(self) {
            // Somebody may have removed it first; then there is nothing left to do.
            let _ = fs::remove_file(Self::path(cache_dir));
        }
    }
}

/// A folder, with those above it.
pub(crate) fn create_dir(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|source| FileError::Write { path: path.into(), source })
}

/// A new secret of 256 random bits, in a file that only its owner reads.
pub(crate) fn make_secret(path: &Path) -> Result<(), FileError> {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).map_err(|error| FileError::Write {
        path: path.into(),
        source: io::Error::other(error.to_string()),
    })?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    write_private(path, text.as_bytes())
}

/// The secret in a file. Whoever may read the file may do everything in the cluster, so it is said if others may.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, FileError> {
    let failed = |source| FileError::Read { path: path.into(), source };
    let file = fs::File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(FileError::LongSecret { path: path.into() });
    }
    if let Some(words) = too_open(path, mode) {
        tracing::warn!("{words}");
    }
    Secret::new(&bytes).map_err(|source| FileError::Secret { path: path.into(), source })
}

fn too_open(path: &Path, mode: u32) -> Option<String> {
    let path = path.display();
    let words = format!(
        "others than its owner may use the secret in {path} (mode {:03o}); take that away with `chmod 600 {path}`",
        mode & 0o777
    );
    (mode & 0o077 != 0).then_some(words)
}

/// Replaces a file whole, readable by its owner alone.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let write = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        fs::rename(&new, path)
    };
    write().map_err(|source| FileError::Write { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(dir: &Path) -> ClusterFile {
        let file = ClusterFile {
            master: "127.0.0.1:6000".into(),
            secret_file: "/s".into(),
            process: std::process::id(),
        };
        file.leave(&dir.join("airside")).unwrap();
        file
    }

    fn environment(dir: &Path) -> Environment {
        Environment::of_pairs(&[("XDG_CACHE_HOME", dir.to_str().unwrap())])
    }

    #[test]
    fn without_a_word_the_cluster_of_up_is_meant_with_its_secret() {
        let dir = tempfile::tempdir().unwrap();
        let file = left(dir.path());
        let found = Cluster::find(&ClusterArguments::default(), &environment(dir.path()));
        assert_eq!(
            found,
            Cluster { master: "127.0.0.1:6000".into(), secret_file: Some("/s".into()) }
        );
        file.take_back(&dir.path().join("airside"));
        let found = Cluster::find(&ClusterArguments::default(), &environment(dir.path()));
        assert_eq!(found, Cluster { master: DEFAULT_MASTER.into(), secret_file: None });
    }

    #[test]
    fn the_secret_of_up_is_not_shown_to_another_master() {
        let dir = tempfile::tempdir().unwrap();
        left(dir.path());
        let arguments =
            ClusterArguments { master: Some("10.0.0.1:5050".into()), ..Default::default() };
        let found = Cluster::find(&arguments, &environment(dir.path()));
        assert_eq!(found, Cluster { master: "10.0.0.1:5050".into(), secret_file: None });
    }

    #[test]
    fn secrets_are_private_and_never_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        make_secret(&one).unwrap();
        make_secret(&two).unwrap();
        assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
        assert!(read_secret(&one).is_ok());
        fs::write(&one, "short\n").unwrap();
        assert!(matches!(read_secret(&one), Err(FileError::Secret { .. })));
    }

    #[test]
    fn a_file_that_is_no_secret_is_not_read_to_its_end_and_one_that_others_may_read_is_named() {
        let error = read_secret(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.starts_with("/dev/zero is too long for a secret: it may have "), "{error}");
        assert_eq!(too_open(Path::new("/s"), 0o100600), None);
        let words = too_open(Path::new("/s"), 0o100644).unwrap();
        let expected = "others than its owner may use the secret in /s (mode 644); take that away with `chmod 600 /s`";
        assert_eq!(words, expected);
    }
}
