//! The interface of isolators: the parts that keep containers apart, limit them, and tell what they use. A container's whole life goes
//! through it, whoever performs that: an agent for its executors, [`crate::life`] for a single one.
//!
//! ```text
//! recover    a new life begins: what is known; the isolator names what it has beside that
//! prepare -> hand -> isolate -> watch    a launch; whatever fails, all that had begun cleans up
//! update, usage, status, exceeded        while it runs
//! kill -> clean_up                       its end; the last that prepared is the first that cleans up
//! ```
//!
//! Whoever uses this crate, or the agent's, adds isolators of their own as values; nothing is loaded into a running process. They come
//! behind the built-in ones, as modules do in Mesos:
//!
//! ```
//! use std::sync::Arc;
//!
//! use containerizer::container::{Container, ContainerName};
//! use containerizer::isolator::{Allowance, ContainerPath, Isolator, Isolators, Launch};
//!
//! /// Tells each program for how many processors it has paid.
//! #[derive(Debug)]
//! struct Paid;
//!
//! impl Isolator for Paid {
//!     fn name(&self) -> &str {
//!         "example/paid"
//!     }
//!
//!     fn prepare(&self, launch: &mut Launch<'_>) -> Result<(), String> {
//!         let pair = format!("PAID_CPUS={}", launch.allowance.holds.cpus().as_f64());
//!         let pair = std::ffi::CString::new(pair).map_err(|error| error.to_string())?;
//!         launch.container.confinement.environment.push(pair);
//!         Ok(())
//!     }
//!
//!     fn clean_up(&self, _: &ContainerPath) -> Result<(), String> {
//!         Ok(())
//!     }
//! }
//!
//! // An agent takes them as `AgentConfig::isolators`, a single container by `life::Running::new`.
//! let isolators = Isolators::new(vec![Arc::new(Paid)]);
//! let id = ContainerPath::of_executor(ContainerName::new("c-1")?);
//! let mut container = Container::default();
//! let allowance = Allowance::default();
//! let launch = &mut Launch { id: &id, container: &mut container, allowance: &allowance, folders: &[] };
//! isolators.prepare(launch)?;
//! assert_eq!(container.confinement.environment, [c"PAID_CPUS=0".to_owned()]);
//! # Ok::<(), String>(())
//! ```

pub mod logic;
mod set;
pub mod watch;

use std::fmt;
use std::path::PathBuf;

use api::v1::{ContainerStatus, ResourceStatistics};
use nix::unistd::Pid;
use protocol::limits::TaskLimits;
use protocol::resources::Resources;
use protocol::task::Reason;
use serde::{Deserialize, Serialize};

use crate::container::Container;
use crate::launcher::Handed;
pub use logic::ContainerPath;
pub use set::Isolators;
pub(crate) use set::named;
pub use watch::Watch;

/// One of the parts; one value for all containers. What it makes outside of a container's namespaces it must be able to undo knowing
/// only which container that is, whether it had made all of it, half or nothing: its process may have died in between. It is asked
/// by whoever launches: what takes long it does on a thread of its own.
///
/// Errors are words: what was tried, and why it failed.
pub trait Isolator: fmt::Debug + Send + Sync {
    /// As people write it, such as `cgroups/mem`.
    fn name(&self) -> &str;

    /// Whether it is asked of containers that are in another one. Where it is not, they are launched without it.
    fn supports_nesting(&self) -> bool {
        false
    }

    /// Whether it is asked of containers that are no executor's, and of those in them. Where it is not, they are launched without it.
    fn supports_standalone(&self) -> bool {
        false
    }

    /// A new life begins, with these containers of the one before. Which others it has something of: nobody wants them, and they are
    /// ended by [`Isolator::kill`] and [`Isolator::clean_up`]. On an error the life does not begin.
    fn recover(&self, known: &[Known]) -> Result<Vec<ContainerPath>, String> {
        let _ = known;
        Ok(Vec::new())
    }

    /// Before there is a process: changes what will be started.
    fn prepare(&self, launch: &mut Launch<'_>) -> Result<(), String>;

    /// What the container's first process is to be given beside. Nothing, unless it is said otherwise.
    fn hand(&self, id: &ContainerPath, entry: &mut Entry<'_>) -> Result<(), String> {
        let _ = (id, entry);
        Ok(())
    }

    /// Takes in the first process. A container's own init waits meanwhile; an executor, which an agent starts, does not.
    fn isolate(&self, id: &ContainerPath, process: Pid) -> Result<(), String> {
        let _ = (id, process);
        Ok(())
    }

    /// What tells when the container goes beyond a limit, for which it is then ended; also if it had done so before this was asked.
    /// Asked once the process is taken in, and of a container that was recovered. `None`: nothing of it is limited in such a way.
    fn watch(&self, id: &ContainerPath) -> Result<Option<Box<dyn Watch>>, String> {
        let _ = id;
        Ok(None)
    }

    /// Whether it has gone beyond a limit by now, told or not: asked when something of it has ended, and nobody knows why.
    fn exceeded(&self, id: &ContainerPath) -> Option<Limitation> {
        let _ = id;
        None
    }

    /// From now on it may take this much. Also told of containers that it never prepared. On an error the container is ended.
    fn update(&self, id: &ContainerPath, allowance: &Allowance) -> Result<(), String> {
        let _ = (id, allowance);
        Ok(())
    }

    /// What it uses, as far as this isolator counts it; merged with what others say, of whom the later counts more. Asked on any thread.
    fn usage(&self, id: &ContainerPath) -> Result<ResourceStatistics, String> {
        let _ = id;
        Ok(ResourceStatistics::default())
    }

    /// What there is to say of it: its addresses, its groups. Merged and asked as usage is.
    fn status(&self, id: &ContainerPath) -> Result<ContainerStatus, String> {
        let _ = id;
        Ok(ContainerStatus::default())
    }

    /// Ends all processes of the container that it can see, if it can see any that others might not.
    fn kill(&self, id: &ContainerPath) -> Result<(), String> {
        let _ = id;
        Ok(())
    }

    /// Undoes what it did. There is no process of the container any more. On an error it is asked again, by the next life at the latest.
    fn clean_up(&self, id: &ContainerPath) -> Result<(), String>;
}

/// A container that is about to be launched.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Which.
    pub id: &'a ContainerPath,
    /// As it will be started: what is changed here changes that. Of an executor's it is what the executor, or its command, is shut into;
    /// its program is not known yet, and what is put into its environment counts less than what the task says there. It is written down: no secrets.
    pub container: &'a mut Container,
    /// What it may take.
    pub allowance: &'a Allowance,
    /// Folders of the machine that are its alone, and that it writes into: its sandbox.
    pub folders: &'a [PathBuf],
}

/// How a container's first process comes to be.
#[derive(Debug)]
pub enum Entry<'a> {
    /// It is a copy of this process, or of its launcher, which waits until isolators have taken it in.
    Waits(&'a mut Handed),
    /// It is a program of ours that writes its number into these files, of control groups, before it does anything else.
    Joins(&'a mut Vec<PathBuf>),
}

/// A container of a former life that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub id: ContainerPath,
    /// Its first process, as far as that is known; it may have ended.
    pub process: Option<u32>,
    /// What it may take.
    pub allowance: Allowance,
    /// As in [`Launch::folders`].
    pub folders: Vec<PathBuf>,
}

/// What a container may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// What its executor and its tasks hold, and have for sure.
    pub holds: Resources,
    /// What they may take where there is more, as far as the tasks say so.
    pub limits: TaskLimits,
}

/// A limit beyond which something in a container went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limitation {
    /// For programs: which.
    pub reason: Reason,
    /// How much of it there was.
    pub resources: Resources,
    /// For people: how much was taken, and by whom.
    pub words: String,
}
