//! What a node logs, and where.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// Ours, and how Mesos's operators say it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LogArguments {
    /// What to log on stderr: a level, or a filter such as `warn,master=debug`
    #[arg(long, default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
    /// The same as one of Mesos's levels, INFO, WARNING or ERROR; --log says more
    #[arg(long, value_name = "LEVEL", ignore_case = true)]
    logging_level: Option<Level>,
    /// Whether to log nothing on stderr
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) quiet: bool,
    /// Folder in which to log as well, where the log can be read over HTTP
    #[arg(long, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,
    /// The log, if something else writes it: it can be read over HTTP
    #[arg(long, value_name = "FILE", conflicts_with = "log_dir")]
    pub(crate) external_log_file: Option<PathBuf>,
}

/// Of Mesos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    #[value(name = "INFO")]
    Info,
    #[value(name = "WARNING")]
    Warning,
    #[value(name = "ERROR")]
    Error,
}

impl LogArguments {
    /// What is let through.
    pub(crate) fn filter(&self) -> &str {
        match self.logging_level {
            None => &self.log,
            Some(Level::Info) => "info",
            Some(Level::Warning) => "warn",
            Some(Level::Error) => "error",
        }
    }

    /// Only these on stderr.
    pub(crate) fn of(filter: &str) -> Self {
        Self { log: filter.to_owned(), ..Self::default() }
    }
}
