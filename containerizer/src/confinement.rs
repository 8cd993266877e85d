//! What a program is confined to: the file system that it sees, and who it is. Plain data, which travels and is checkpointed,
//! and [`Confinement::enter()`], by which a process puts itself into it, for good, just before it becomes the program.
//!
//! It is used twice: by a container's init, and by whoever puts a single program into the root of an image while it stays in
//! the host's itself. Either has one thread, a mount namespace of its own, and nothing more to do outside.

pub mod capabilities;
mod devices;
pub mod identity;
pub mod mounts;
pub mod rootfs;
pub mod seccomp;
mod users;
mod world;

use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};

pub use identity::{Identity, Limit, LimitOf, UserSpec};
pub use mounts::Mount;
pub use rootfs::{BackEnd, Root};

/// All of it. The default confines to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// The root of its file system; `None`: the host's.
    pub root: Option<Root>,
    /// A folder of the host's that is this container's alone: what it writes into its root is below it.
    pub scratch: Option<PathBuf>,
    /// What is mounted there, in this order.
    pub mounts: Vec<Mount>,
    /// Its machine's name; needs a namespace of names of its own.
    pub hostname: Option<String>,
    /// Who it is, and what it may.
    pub identity: Identity,
    /// Where it begins; relative to its root. `None`: at the root, or where its starter is if it has none of its own.
    pub work_dir: Option<PathBuf>,
    /// All of it, each as `NAME=value`.
    pub environment: Vec<CString>,
    /// The program, where that is not the zeroth of its arguments.
    pub program: Option<CString>,
    /// A folder in its root that is given to its user, who may be known by name there alone.
    pub gives: Option<PathBuf>,
}

/// Why a process could not be confined, or not become its program.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// A step of it failed.
    #[error("{what}")]
    Step {
        /// What was tried, and on what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// What was asked for makes no sense here.
    #[error("{0}")]
    Refused(String),
    /// There is no such program.
    #[error("start '{program}': it is neither in the container nor in the PATH {path:?}")]
    NotFound {
        /// As it was asked for.
        program: String,
        /// Where it was looked for.
        path: String,
    },
    /// It is there, but does not start.
    #[error("start '{program}'")]
    NotStarted {
        /// As it was found.
        program: String,
        /// Why.
        source: io::Error,
    },
}

impl ConfineError {
    /// What a shell's status would be: 127 where there is no such program, 126 where it does not start, 125 where it never
    /// came to that; as `docker run` has it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Step { .. } | Self::Refused(_) => 125,
            Self::NotFound { .. } => 127,
            Self::NotStarted { .. } => 126,
        }
    }
}

/// Adds what was tried to an error.
pub(crate) trait Tried<T> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, ConfineError>;
}

impl<T, E: Into<io::Error>> Tried<T> for Result<T, E> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, ConfineError> {
        self.map_err(|error| ConfineError::Step { what: what(), source: error.into() })
    }
}

/// Where programs are looked for when the environment does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Confinement {
    /// Confines this process and becomes the program, looked up in the `PATH` of its environment and root.
    ///
    /// # Errors
    /// Why not; then the process is confined in part, and can do nothing but say so.
    pub fn enter(&self, arguments: &[CString]) -> Result<Infallible, ConfineError> {
        self.enter_world()?;
        self.become_program(arguments)
    }

    /// The first half: the file system and the name. What is started from here on is in there, and as mighty as before.
    ///
    /// # Errors
    /// What could not be mounted, and why.
    pub fn enter_world(&self) -> Result<(), ConfineError> {
        world::enter(self)
    }

    /// The other half: who it is, and the program.
    ///
    /// # Errors
    /// Why not.
    pub fn become_program(&self, arguments: &[CString]) -> Result<Infallible, ConfineError> {
        let Some(program) = self.program.as_ref().or(arguments.first()) else {
            let words = "there is no program to start; name one after the image".to_owned();
            return Err(ConfineError::Refused(words));
        };
        // Found before the process becomes its user, who may not be allowed to look; started after.
        let places = places(program, &self.environment);
        self.gives.as_ref().map_or(Ok(()), |folder| self.identity.give(folder))?;
        self.identity.take(|| self.change_folder())?;
        let mut refused = None;
        for place in &places {
            let error = crate::system::execute(place, arguments, &self.environment);
            let missing = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
            if !missing.contains(&error.kind()) {
                refused = refused.or(Some((place, error)));
            }
        }
        let words = |text: &CString| text.to_string_lossy().into_owned();
        Err(match refused {
            Some((place, source)) => ConfineError::NotStarted { program: words(place), source },
            None => {
                let path = search_path(&self.environment).to_string_lossy().into_owned();
                ConfineError::NotFound { program: words(program), path }
            }
        })
    }

    fn change_folder(&self) -> Result<(), ConfineError> {
        let folder = match (&self.work_dir, &self.root) {
            (Some(folder), _) => folder.as_path(),
            (None, Some(_)) => Path::new("/"),
            (None, None) => return Ok(()),
        };
        let there = Path::new("/").join(folder);
        let shown = || format!("begin in the folder {}", there.display());
        // Whoever made the image chose it: none that a process has open, which may be the host's, is one of the image's.
        let resolve = match self.root {
            Some(_) => ResolveFlags::NO_MAGICLINKS,
            None => ResolveFlags::empty(),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::openat2(rustix::fs::CWD, &there, flags, Mode::empty(), resolve);
        rustix::process::fchdir(folder.tried(shown)?).tried(shown)
    }
}

fn search_path(environment: &[CString]) -> &OsStr {
    let mut values = environment.iter().filter_map(|pair| pair.as_bytes().strip_prefix(b"PATH="));
    values.next().map_or(OsStr::new(PATH), OsStr::from_bytes)
}

/// The files that a program may be, in the order in which they are tried.
fn places(program: &CString, environment: &[CString]) -> Vec<CString> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.clone()];
    }
    let folders = std::env::split_paths(search_path(environment));
    let name = OsStr::from_bytes(program.as_bytes());
    folders
        .filter_map(|folder| CString::new(folder.join(name).as_os_str().as_bytes()).ok())
        .collect()
}
