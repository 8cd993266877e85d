//! The log of this process: on stderr, and in a folder if one is named, where it is kept to a bound. How much is in it can be changed
//! while the process runs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gateway::Logging;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::arguments::LogArguments;

/// The file in `--log_dir`, and the one before it.
const FILE: &str = "airside.log";
const BEFORE: &str = "airside.log.1";

/// Bytes of a file, before another is begun.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why nothing is logged as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error("'{filter}' is no filter for --log; try info, debug or warn,master=debug")]
    Filter { filter: String, source: ParseError },
    #[error("cannot write {path}; choose a folder that you may write to with --log_dir")]
    File { path: PathBuf, source: io::Error },
}

/// A log that has begun.
pub(crate) struct Log {
    /// Sets how much is in it.
    pub(crate) logging: Logging,
    /// The file in which it is, if it is in one.
    pub(crate) file: Option<PathBuf>,
}

/// Begins to log what is let through.
pub(crate) fn start(arguments: &LogArguments) -> Result<Log, LogError> {
    let filter = arguments.filter();
    let (layer, handle) = reload::Layer::new(read(filter)?);
    // Colours are for terminals: in a file, they are in the way of whoever searches it.
    let stderr = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let in_file = arguments.log_dir.as_deref().map(LogFile::open).transpose()?;
    let own_file = in_file.as_ref().map(|file| file.path.clone());
    let in_file = in_file.map(|file| fmt::layer().with_ansi(false).with_writer(file));
    Registry::default().with(layer).with((!arguments.quiet).then_some(stderr)).with(in_file).init();
    let started = filter.to_owned();
    let logging = Logging::new(move |level| {
        let filter = match level {
            0 => started.as_str(),
            1 => "debug",
            _ => "trace",
        };
        // The filters were read before, and the log ends with the process.
        let _ = read(filter).map(|filter| handle.reload(filter));
    });
    let file = own_file.or_else(|| arguments.external_log_file.clone());
    Ok(Log { logging, file: file.map(|path| std::path::absolute(&path).unwrap_or(path)) })
}

fn read(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(filter).map_err(|source| LogError::Filter { filter: filter.into(), source })
}

/// A file of bounded length, with the one before it.
struct LogFile {
    path: PathBuf,
    open: Mutex<Open>,
}

struct Open {
    file: File,
    bytes: u64,
}

fn append_to(path: &Path) -> io::Result<Open> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let bytes = file.metadata()?.len();
    Ok(Open { file, bytes })
}

impl LogFile {
    fn open(folder: &Path) -> Result<Self, LogError> {
        let path = folder.join(FILE);
        let failed = |source| LogError::File { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let open = Mutex::new(append_to(&path).map_err(failed)?);
        Ok(Self { path, open })
    }
}

impl Open {
    fn write(&mut self, path: &Path, line: &[u8], bytes_max: u64) -> io::Result<()> {
        if self.bytes > 0 && self.bytes + line.len() as u64 > bytes_max {
            fs::rename(path, path.with_file_name(BEFORE))?;
            *self = append_to(path)?;
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }
}

/// One line, written whole.
struct Line<'f>(&'f LogFile);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.write(&self.0.path, line, FILE_BYTES_MAX)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'f> MakeWriter<'f> for LogFile {
    type Writer = Line<'f>;

    fn make_writer(&'f self) -> Line<'f> {
        Line(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_full_is_the_one_before_and_another_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut open = append_to(&path).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            open.write(&path, line.as_bytes(), 8).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!((read(BEFORE), read(FILE)), ("three\n".into(), "four\n".into()));
        assert_eq!(append_to(&path).unwrap().bytes, 5, "the next life goes on with it");
    }

    #[test]
    fn a_filter_that_is_none_is_named() {
        let error = read("a=b=c").unwrap_err().to_string();
        assert!(error.starts_with("'a=b=c' is no filter for --log; "), "{error}");
    }
}
