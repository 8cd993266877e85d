//! The process's environment, read once at its start.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// A copy of the environment variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// What this process was started with.
    pub(crate) fn of_this_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    /// The value of a variable; an empty one counts as absent.
    pub(crate) fn read(&self, name: &str) -> Option<&OsStr> {
        self.0.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// The folder in which the user's programs keep what can be made again.
    pub(crate) fn cache_dir(&self) -> Option<PathBuf> {
        let given = self.read("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
        let home = || self.read("HOME").map(|home| PathBuf::from(home).join(".cache"));
        given.or_else(home).map(|cache| cache.join("airside"))
    }

    /// Variables of ours and of Mesos's, which a child that is told everything must not see.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &OsStr> {
        let ours = |name: &&OsString| {
            name.to_str().is_some_and(|n| n.starts_with("AIRSIDE_") || n.starts_with("MESOS_"))
        };
        self.0.keys().filter(ours).map(OsString::as_os_str)
    }
}

#[cfg(test)]
impl Environment {
    /// An environment of just these.
    pub(crate) fn of_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }
}
