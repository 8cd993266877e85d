//! What every daemon is asked by the v1 API, in the messages that masters and agents share.

use std::time::Duration;

use api::v1::{FileInfo, Flag, Metric, TimeInfo, VersionInfo};

use super::Daemon;
use crate::answer::Refused;
use crate::files::{Entry, Part};
use crate::logging::LEVEL_MAX;

impl Daemon {
    /// How it was started.
    pub fn flags_to_v1(&self) -> Vec<Flag> {
        let flags = self.flags().iter();
        flags.map(|(name, value)| Flag { name: name.clone(), value: Some(value.clone()) }).collect()
    }

    /// Which program it is.
    pub fn version_to_v1(&self) -> VersionInfo {
        let all = self.version();
        let text = |key: &str| all.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        VersionInfo {
            version: text("version").unwrap_or_default(),
            build_date: text("build_date"),
            build_time: all.get("build_time").and_then(serde_json::Value::as_f64),
            build_user: text("build_user"),
            git_sha: text("git_sha"),
            git_branch: text("git_branch"),
            git_tag: text("git_tag"),
        }
    }

    /// What it counts, as far as it is known after so long.
    pub async fn metrics_to_v1(&self, patience: Option<Duration>) -> Vec<Metric> {
        let all = self.metrics(patience).await.into_iter();
        all.map(|(name, value)| Metric { name, value: Some(value) }).collect()
    }

    /// What a folder has.
    ///
    /// # Errors
    ///
    /// As [`crate::FileError`] is told.
    pub async fn list_files_to_v1(&self, path: &str) -> Result<Vec<FileInfo>, Refused> {
        Ok(self.files().browse(path).await?.iter().map(file_info).collect())
    }

    /// A part of a file.
    ///
    /// # Errors
    ///
    /// As [`crate::FileError`] is told.
    pub async fn read_file(
        &self,
        path: &str,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Part, Refused> {
        Ok(self.files().read(path, Some(offset), length).await?)
    }

    /// Logs so much for so long; a span below zero is `None`.
    ///
    /// # Errors
    ///
    /// 400.
    pub fn set_logging_level(&self, level: u32, duration: Option<Duration>) -> Result<(), Refused> {
        if level > LEVEL_MAX {
            let words = format!("the logging level is {level}, and {LEVEL_MAX} is the most");
            return Err(Refused::new(400, words));
        }
        let Some(duration) = duration else {
            let words = "the duration of a logging level cannot be below zero";
            return Err(Refused::new(400, words));
        };
        self.logging().set(level, duration);
        Ok(())
    }
}

fn file_info(entry: &Entry) -> FileInfo {
    FileInfo {
        path: entry.path.clone(),
        nlink: i32::try_from(entry.nlink).ok(),
        size: Some(entry.size),
        mtime: Some(TimeInfo { nanoseconds: entry.mtime.saturating_mul(1_000_000_000) }),
        mode: Some(entry.mode),
        uid: Some(entry.owner()),
        gid: Some(entry.group()),
    }
}
