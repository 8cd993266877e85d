//! The images of an agent: pulled when a task wants one, once for all who wait; and collected when room is wanted, but for what
//! containers use.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::TryFutureExt;
use gateway::Spans;
use images::{
    Collected, Credentials, DOCKER_HUB, Digest, GarbageError, OpenError, Pull, PullOptions, Pulled,
    Reference, Store,
};
use protocol::container::WantedImage;
use protocol::ids::ContainerId;

use crate::containers::{ImageSettings, RegistrySetting};

/// How often it is said how far a pull is.
const SAID_EVERY: Duration = Duration::from_secs(5);

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Images {
    store: Store,
    settings: Arc<ImageSettings>,
    /// How long each pull took that fetched what was asked for, or found it.
    took: Arc<Mutex<Spans>>,
}

impl std::fmt::Debug for Images {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Images").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Images {
    /// Takes the store for this process. It blocks.
    pub(crate) fn open(settings: &ImageSettings) -> Result<Self, OpenError> {
        let mut pulls = settings.pulls.clone();
        pulls.credentials = settings.credentials.clone();
        let store = Store::open(&settings.store, pulls)?;
        let took = Arc::default();
        Ok(Self { store, settings: Arc::new(settings.clone()), took })
    }

    pub(crate) fn settings(&self) -> &ImageSettings {
        &self.settings
    }

    /// Which image is meant. One that lies on this machine is named by whoever may read all of it.
    fn reference(&self, name: &str, may_name_paths: bool) -> Result<Reference, String> {
        let local = ["oci:", "docker-archive:", "dir:"].iter().any(|kind| name.starts_with(kind));
        let parsed = match &self.settings.registry {
            RegistrySetting::Folder(folder) if !local => {
                Reference::in_folder_of_archives(name, folder)
            }
            RegistrySetting::Folder(_) => Reference::parse(name, DOCKER_HUB),
            RegistrySetting::Host(host) => Reference::parse(name, host),
        };
        let reference = parsed.map_err(|error| error.to_string())?;
        if local && !may_name_paths {
            return Err(format!(
                "{reference} lies on the agent's machine, and only tasks of the agent's own user may name what does; have a registry serve it"
            ));
        }
        Ok(reference)
    }

    /// Begins a pull, or joins one that is under way; dropped, it is left again.
    pub(crate) fn pull(
        &self,
        wanted: &WantedImage,
        may_name_paths: bool,
        container: &ContainerId,
    ) -> Result<impl Future<Output = Result<Pulled, String>> + use<>, String> {
        let reference = self.reference(&wanted.name, may_name_paths)?;
        let credentials = wanted.config.as_ref().map(|login| {
            let text = String::from_utf8_lossy(&login.0);
            Credentials::from_docker_config(&text)
        });
        let credentials = credentials.transpose().map_err(|error| error.to_string())?;
        let options = PullOptions { cached: wanted.cached, credentials };
        tracing::info!(%container, image = %reference, "pulls an image");
        let pull = self.store.pull(&reference, &options);
        let (begun, took) = (Instant::now(), Arc::clone(&self.took));
        let watched = watched(pull, self.store.clone(), container.clone());
        Ok(watched.inspect_ok(move |_| locked(&took).add(begun.elapsed())))
    }

    /// How long pulls took.
    pub(crate) fn took(&self) -> Spans {
        locked(&self.took).clone()
    }

    /// Makes room, if there is too little. It blocks.
    pub(crate) fn collect(&self, in_use: &BTreeSet<Digest>) -> Result<Collected, GarbageError> {
        let Some(garbage) = &self.settings.garbage else { return Ok(Collected::default()) };
        let excluded = garbage.excluded.iter().filter_map(|name| self.reference(name, true).ok());
        let excluded: Vec<_> = excluded.collect();
        self.store.collect_garbage(garbage.head_room, &excluded, in_use)
    }
}

fn locked(spans: &Mutex<Spans>) -> MutexGuard<'_, Spans> {
    spans.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for it, and says now and then how far it is.
async fn watched(pull: Pull, store: Store, container: ContainerId) -> Result<Pulled, String> {
    let progress = pull.progress();
    let mut said = tokio::time::interval(SAID_EVERY);
    said.tick().await;
    let waited = pull.wait();
    tokio::pin!(waited);
    let pulled = loop {
        tokio::select! {
            pulled = &mut waited => break pulled,
            _ = said.tick() => {
                let far = progress.borrow().to_string();
                tracing::info!(%container, %far, "an image is being pulled");
            }
        }
    };
    let pulled = pulled.map_err(|error| crate::causes(&error))?;
    let (layers, bytes) = (pulled.layers.len(), pulled.report.bytes);
    tracing::info!(%container, image = %pulled.reference, layers, bytes, "has its image");
    // So that a power failure does not have it pulled again; nobody waits for that.
    tokio::task::spawn_blocking(move || {
        if let Err(error) = store.settle() {
            tracing::warn!(error = %crate::causes(&error), "images are not settled");
        }
    });
    Ok(pulled)
}
