//! The flags of an agent's fetcher. Names and defaults of Mesos.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use fetcher::FetcherConfig;

use crate::units;

/// How files of tasks are fetched, and which are kept.
#[derive(Debug, Args)]
pub(crate) struct FetcherArguments {
    /// How much is kept of files that tasks let be cached; the one that was not wanted for longest goes first
    #[arg(long, default_value = "2GB", value_name = "SIZE", value_parser = units::megabytes)]
    fetcher_cache_size: u64,
    /// Where they are kept, in a folder for each agent, which is cleared at its start [default: mesos/fetch in the system's
    /// temporary folder]
    #[arg(long, value_name = "DIR")]
    fetcher_cache_dir: Option<PathBuf>,
    /// When nothing of a file comes for so long, it is given up; 0secs waits for ever
    #[arg(long, default_value = "1mins", value_name = "TIME", value_parser = units::duration)]
    fetcher_stall_timeout: Duration,
    /// Who vouches for servers of https:// that files come from, and registries that images do, as PEM [default: whoever the
    /// system trusts]
    #[arg(long, value_name = "FILE")]
    fetcher_ca_file: Option<PathBuf>,
}

impl FetcherArguments {
    /// Who else is trusted.
    pub(crate) fn authorities(&self) -> Option<&Path> {
        self.fetcher_ca_file.as_deref()
    }

    /// For the agent of this work directory, whose program is this one.
    pub(crate) fn config(
        &self,
        program: OsString,
        work_dir: &Path,
    ) -> Result<FetcherConfig, (PathBuf, std::io::Error)> {
        let cache = self.fetcher_cache_dir.clone();
        let cache = cache.unwrap_or_else(|| std::env::temp_dir().join("mesos").join("fetch"));
        let folder = cache.join(folder_of(work_dir));
        let mut config = FetcherConfig::new(vec![program, agent::FETCH.into()], folder);
        // Of megabytes.
        config.cache_size = self.fetcher_cache_size.saturating_mul(1 << 20);
        config.stall_timeout = self.fetcher_stall_timeout;
        config.authorities = match &self.fetcher_ca_file {
            None => None,
            Some(path) => {
                Some(std::fs::read_to_string(path).map_err(|error| (path.clone(), error))?)
            }
        };
        Ok(config)
    }
}

/// Several agents of one machine have work directories of their own, and by these their folders: FNV-1a of the path.
pub(super) fn folder_of(work_dir: &Path) -> String {
    let path = std::path::absolute(work_dir).unwrap_or_else(|_| work_dir.to_owned());
    let path: PathBuf = path.components().collect();
    let bytes = path.as_os_str().as_bytes().iter();
    let number = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{number:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_work_directory_has_a_folder_of_its_own() {
        assert_eq!(folder_of(Path::new("/var/a")), folder_of(Path::new("/var/a/")));
        assert_ne!(folder_of(Path::new("/var/a")), folder_of(Path::new("/var/b")));
    }
}
