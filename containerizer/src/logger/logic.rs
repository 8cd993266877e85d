//! How what containers print is kept to a bound, as operators and tasks say it in Mesos's words. Pure.

use std::fmt;
use std::str::FromStr;

/// The name of the module of Mesos's that does the same.
pub const LOGROTATE: &str = "org_apache_mesos_LogrotateContainerLogger";

/// Of a file, unless it is said.
const BYTES_MAX: u64 = 10 << 20;
/// A file is no shorter: Mesos's bound, a page.
const BYTES_MIN: u64 = 4096;
/// Files before the one that is written, unless it is said.
const FILES: u32 = 9;
/// More are renamed too slowly.
const FILES_MAX: u32 = 1000;

/// Of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Of one file.
    pub bytes_max: u64,
    /// How many files before the one that is written are kept.
    pub files: u32,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { bytes_max: BYTES_MAX, files: FILES }
    }
}

/// What an agent was told of all containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logger {
    /// Of their standard output.
    pub stdout: Rotation,
    /// Of their standard error.
    pub stderr: Rotation,
    /// With these words begin the variables by which a container says it otherwise.
    pub prefix: String,
}

impl Default for Logger {
    fn default() -> Self {
        let (stdout, stderr) = (Rotation::default(), Rotation::default());
        Self { stdout, stderr, prefix: "CONTAINER_LOGGER_".into() }
    }
}

impl Logger {
    /// Of the parameters of Mesos's module.
    ///
    /// # Errors
    /// What cannot be done, in words.
    pub fn of<'p>(
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Result<Self, String> {
        let mut logger = Self::default();
        for (name, value) in parameters {
            match name {
                "environment_variable_prefix" => value.clone_into(&mut logger.prefix),
                // Where a program is that is not needed, and how that is to run.
                "launcher_dir" | "logrotate_path" | "libprocess_num_worker_threads" => {}
                _ if logger.takes(name, value)? => {}
                _ => return Err(format!("'{name}' is no parameter of {LOGROTATE}; leave it out")),
            }
        }
        Ok(logger)
    }

    /// For a container with this environment.
    ///
    /// # Errors
    /// What it says otherwise and cannot be done, in words.
    pub fn of_container(&self, environment: &[(String, String)]) -> Result<Self, String> {
        let mut own = self.clone();
        for (variable, value) in environment {
            let Some(name) = variable.strip_prefix(&self.prefix) else { continue };
            own.takes(&name.to_ascii_lowercase(), value)
                .map_err(|words| format!("the variable {variable}: {words}"))?;
        }
        Ok(own)
    }

    /// Whether it is a parameter that containers may say, too.
    fn takes(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "max_stdout_size" => self.stdout.bytes_max = bytes(value)?,
            "max_stderr_size" => self.stderr.bytes_max = bytes(value)?,
            "logrotate_stdout_options" => self.stdout.takes_options(value)?,
            "logrotate_stderr_options" => self.stderr.takes_options(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Rotation {
    /// Lines of a configuration of the program `logrotate`. What they may say is how many files there are, and how things are anyway.
    fn takes_options(&mut self, text: &str) -> Result<(), String> {
        // In environments and flags lines are separated as people can write them.
        let lines = text.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty());
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["rotate", count] => {
                    let count = count.parse().ok().filter(|count| *count <= FILES_MAX);
                    self.files = count.ok_or_else(|| {
                        format!("'{line}' is to say a number of files, of {FILES_MAX} at most")
                    })?;
                }
                // As in Mesos, the parameter alone says that.
                ["size" | "maxsize", _] => {}
                [
                    "missingok" | "nocompress" | "nodateext" | "nomail" | "notifempty"
                    | "nocopytruncate" | "nocopy",
                ] => {}
                _ => {
                    return Err(format!(
                        "'{line}' is not supported; 'rotate COUNT' is, and files are not compressed"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// As Mesos writes them.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "B" => Some(1),
        "KB" => Some(1 << 10),
        "MB" => Some(1 << 20),
        "GB" => Some(1 << 30),
        "TB" => Some(1_u64 << 40),
        _ => None,
    };
    let bytes = digits.parse::<u64>().ok().zip(factor);
    let bytes = bytes.and_then(|(number, factor)| number.checked_mul(factor));
    let bytes = bytes.ok_or_else(|| format!("'{text}' is no size such as 10MB or 512KB"))?;
    if bytes < BYTES_MIN {
        return Err(format!("a file of {text} is too short; say 4KB or more"));
    }
    Ok(bytes)
}

/// The file in which the place of another is noted.
pub fn place_file(name: &str) -> String {
    format!("{name}.place")
}

/// Where a file is in all that was ever printed: after so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of all files before it, of those too that have gone.
    pub before: u64,
    /// What becomes of it.
    pub state: State,
}

/// `Open <-> Rotating`, `Open -> Ended`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is written to.
    Open,
    /// It is about to be another file: look again.
    Rotating,
    /// Nobody writes to it any more.
    Ended,
}

impl State {
    const ALL: [Self; 3] = [Self::Open, Self::Rotating, Self::Ended];

    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Rotating => "rotating",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.before, self.state.word())
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (before, word) = text.trim_end().split_once(' ')?;
            let state = State::ALL.into_iter().find(|state| state.word() == word)?;
            Some(Self { before: before.parse().ok()?, state })
        };
        read().ok_or_else(|| format!("'{text}' does not say where a file is in what was printed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cont_09_parameters_are_those_of_mesos() {
        assert_eq!(Logger::of([]), Ok(Logger::default()));
        let said = Logger::of([
            ("max_stdout_size", "5MB"),
            ("max_stderr_size", "4KB"),
            ("logrotate_stdout_options", "rotate 3\nmissingok"),
            ("environment_variable_prefix", "LOG_"),
            ("launcher_dir", "/usr/libexec/mesos"),
        ]);
        let stdout = Rotation { bytes_max: 5 << 20, files: 3 };
        let stderr = Rotation { bytes_max: 4096, files: 9 };
        assert_eq!(said, Ok(Logger { stdout, stderr, prefix: "LOG_".into() }));
        for (parameter, words) in [
            (("max_size", "1MB"), "'max_size' is no parameter of org_apache_mesos_Logrotate"),
            (("max_stdout_size", "10"), "'10' is no size such as 10MB"),
            (("max_stdout_size", "1KB"), "a file of 1KB is too short; say 4KB or more"),
            (("logrotate_stderr_options", "compress"), "'compress' is not supported; 'rotate"),
            (("logrotate_stderr_options", "rotate -1"), "'rotate -1' is to say a number of files"),
        ] {
            let said = Logger::of([parameter]).unwrap_err();
            assert!(said.starts_with(words), "{said}");
        }
    }

    #[test]
    fn cont_09_a_container_may_say_it_otherwise_in_its_environment() {
        let of = |name: &str, value: &str| {
            Logger::default().of_container(&[(name.into(), value.into()), ("A".into(), "b".into())])
        };
        let own = of("CONTAINER_LOGGER_MAX_STDOUT_SIZE", "8KB").unwrap();
        assert_eq!((own.stdout.bytes_max, own.stderr), (8192, Rotation::default()));
        let own = of("CONTAINER_LOGGER_LOGROTATE_STDERR_OPTIONS", "rotate 1").unwrap();
        assert_eq!((own.stderr.files, own.stdout), (1, Rotation::default()));
        assert_eq!(
            of("CONTAINER_LOGGER_COLOUR", "red"),
            Ok(Logger::default()),
            "it is the task's own"
        );
        let words = of("CONTAINER_LOGGER_MAX_STDERR_SIZE", "much").unwrap_err();
        assert!(words.starts_with("the variable CONTAINER_LOGGER_MAX_STDERR_SIZE: 'much' is no"));
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for state in State::ALL {
            let place = Place { before: 7, state };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        assert!("7".parse::<Place>().is_err() && "7 up\n".parse::<Place>().is_err());
    }
}
