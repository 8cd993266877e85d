//! The flags of an agent's fetcher. Names and defaults of Mesos.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use fetcher::{FetcherConfig, Hadoop};

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
    /// Where Hadoop is installed, whose client bin/hadoop gets what is addressed by hdfs:// and s3a:// [default: HADOOP_HOME, or
    /// else the hadoop of PATH]
    #[arg(long, value_name = "DIR")]
    hadoop_home: Option<PathBuf>,
}

/// What of the agent's environment Hadoop's client needs. As whom it speaks is not among it: that is the task's user.
const HADOOP_ENVIRONMENT: [&str; 5] =
    ["PATH", "JAVA_HOME", "HADOOP_CONF_DIR", "HADOOP_OPTS", "HADOOP_CLIENT_OPTS"];

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
        config.hadoop = hadoop(self.hadoop_home.as_deref(), |name| std::env::var_os(name));
        Ok(config)
    }
}

fn hadoop(home: Option<&Path>, environment: impl Fn(&str) -> Option<OsString>) -> Hadoop {
    let value = |name: &str| {
        let value = environment(name).filter(|value| !value.is_empty());
        value.map(|value| value.to_string_lossy().into_owned())
    };
    let home = home.map(|path| path.to_string_lossy().into_owned());
    let home = home.filter(|home| !home.is_empty()).or_else(|| value("HADOOP_HOME"));
    let mut kept: BTreeMap<_, _> = HADOOP_ENVIRONMENT
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), value(name)?)))
        .collect();
    kept.extend(home.clone().map(|home| ("HADOOP_HOME".to_owned(), home)));
    Hadoop { home, environment: kept }
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

    #[test]
    fn hadoops_client_is_where_it_is_said_or_where_the_environment_says_and_speaks_as_nobody_else()
    {
        let environment = |name: &str| match name {
            "HADOOP_HOME" => Some("/opt/other".into()),
            "JAVA_HOME" => Some("/opt/java".into()),
            "HADOOP_USER_NAME" => Some("hdfs".into()),
            "PATH" => Some("".into()),
            _ => None,
        };
        let said = hadoop(Some(Path::new("/opt/hadoop")), environment);
        let of = |names: [(&str, &str); 2]| {
            names.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
        };
        assert_eq!(said.home.as_deref(), Some("/opt/hadoop"));
        assert_eq!(
            said.environment,
            of([("HADOOP_HOME", "/opt/hadoop"), ("JAVA_HOME", "/opt/java")])
        );
        let found = hadoop(None, environment);
        assert_eq!(found.home.as_deref(), Some("/opt/other"));
        assert_eq!(hadoop(None, |_| None), Hadoop::default());
    }
}
