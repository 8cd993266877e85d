//! How an agent keeps its containers apart beside by control groups: its settings.

use std::path::PathBuf;
use std::time::Duration;

use containerizer::confinement::BackEnd;
use containerizer::namespaces::UserMap;
use images::{Credentials, Settings};

use crate::calls::CallSettings;

/// All of them. Without any, containers have the host's file system and nothing of their own.
#[derive(Clone, Debug)]
pub struct ContainerSettings {
    /// Whether images are run, and where they come from.
    pub images: Option<ImageSettings>,
    /// Whether containers without an image, too, see their own processes only.
    pub processes: bool,
    /// Whether containers without an image, too, have queues and shared memory of their own.
    pub ipc: bool,
    /// What tasks may; `None`: the usual in an image, all elsewhere.
    pub capabilities: Option<CapabilitySettings>,
    /// Which calls of the system tasks may make; `None`: the usual in an image, all elsewhere.
    pub calls: Option<CallSettings>,
    /// Whether programs never get more rights than they have, also those of root.
    pub no_new_privileges: bool,
    /// Where a container with an image finds its sandbox.
    pub sandbox_directory: PathBuf,
    /// Of `/dev/shm`, in bytes, unless a task says it.
    pub shared_memory: Option<u64>,
    /// Below these, what is missing of a path that is to be mounted is made.
    pub made_below: Vec<PathBuf>,
    /// Of an agent that is not root: who the users of its containers are. They are in a namespace of users, in which everything else is made.
    pub users: Option<UserMap>,
}

/// Which capabilities tasks have where they do not say, and at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySettings {
    /// At the start.
    pub effective: Option<Vec<String>>,
    /// Ever.
    pub bounding: Option<Vec<String>>,
}

/// Where images come from and where they are kept.
#[derive(Clone, Debug)]
pub struct ImageSettings {
    /// The folder of the store, for this agent alone.
    pub store: PathBuf,
    /// Where images without a registry in their name come from.
    pub registry: RegistrySetting,
    /// How the layers of an image become one root.
    pub back_end: BackEnd,
    /// Whether what images say of how they are run is left out.
    pub ignores_runtime: bool,
    /// How images are pulled.
    pub pulls: Settings,
    /// What is said at registries when a task brings nothing.
    pub credentials: Credentials,
    /// When images go that are not used, if they ever do.
    pub garbage: Option<GarbageSettings>,
}

/// Where images come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrySetting {
    /// A registry, as in references: `host:port`.
    Host(String),
    /// A folder of files as `docker save` writes them.
    Folder(PathBuf),
}

/// When images go.
#[derive(Clone, Debug, PartialEq)]
pub struct GarbageSettings {
    /// The share of the disk that is to stay free.
    pub head_room: f64,
    /// How often the disk is looked at.
    pub every: Duration,
    /// Images that stay, as people write them.
    pub excluded: Vec<String>,
}
