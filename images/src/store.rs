//! The store of images on one disk: pulls on demand, one for all who ask at the same time, layers shared by images,
//! nothing half done, and room made again. `store/disk.rs` says what lies where.

mod disk;
mod flights;
mod garbage;
mod record;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Semaphore;

use crate::credentials::Credentials;
use crate::digest::Digest;
use crate::error::Failure;
use crate::image_config::ImageConfig;
use crate::reference::Reference;
use crate::registry::Registries;
use crate::settings::Settings;
use crate::source::Resolved;
use crate::unpack::{Form, Report};
pub use disk::OpenError;
pub(crate) use disk::Unpacking;
use disk::{Disk, remove_tree};
use flights::Flights;
pub use flights::Pull;
use garbage::{Held, Plan, Stock, plan};
use record::{ImageRecord, LayerRecord};

/// Images on disk. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// How an image is to be pulled.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// Whether what the store has under the same reference will do. Otherwise the registry is asked what the reference
    /// names now; layers that are there are not fetched again.
    pub cached: bool,
    /// For this image; where they say nothing of a registry, those of the settings do.
    pub credentials: Option<Credentials>,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self { cached: true, credentials: None }
    }
}

/// An image that is there. It stays as long as this value, or a clone, lives; after that as long as garbage collection is told
/// that its layers are in use.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// As asked for.
    pub reference: Reference,
    /// Of its manifest; of its configuration for archives, which have none; absent for plain folders.
    pub digest: Option<Digest>,
    /// Folders, from the bottom up, none of them twice.
    pub layers: Vec<PathBuf>,
    /// Of the layers unpacked, in the same order: what garbage collection is told. Empty for plain folders.
    pub layer_ids: Vec<Digest>,
    /// How to run it.
    pub config: ImageConfig,
    /// How deletions are told in the layers.
    pub form: Form,
    /// What all layers together came to.
    pub report: Report,
    _lease: Lease,
}

/// An image of the store, for lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredImage {
    /// Under which it was pulled.
    pub reference: Reference,
    /// See [`Pulled`].
    pub digest: Digest,
    /// Of its layers unpacked, from the bottom up.
    pub layers: Vec<Digest>,
    /// What its layers take, those shared with others included.
    pub bytes: u64,
}

/// What garbage collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Images that are gone, the one not used for longest first.
    pub images: Vec<Reference>,
    /// How many layers are gone.
    pub layers: usize,
    /// What they took, in bytes of their archives uncompressed.
    pub bytes: u64,
}

/// Why garbage was not collected.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} in the image store {path}")]
pub struct GarbageError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// What is shared with pulls under way.
pub(crate) struct Inner {
    pub(crate) settings: Arc<Settings>,
    pub(crate) registries: Arc<Registries>,
    /// Turns of pulls, and of layers of all pulls.
    pub(crate) pulls: Semaphore,
    pub(crate) layers: Semaphore,
    disk: Disk,
    state: Mutex<State>,
    flights: Mutex<Flights>,
}

#[derive(Default)]
struct State {
    images: BTreeMap<Reference, ImageRecord>,
    layers: BTreeMap<Digest, LayerRecord>,
    /// How many leases a layer is under.
    leased: BTreeMap<Digest, usize>,
    /// Of layers that are being made, by diff id.
    locks: BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>,
}

/// Keeps layers from being collected as long as it lives.
#[derive(Clone)]
pub(crate) struct Lease(
    #[expect(dead_code, reason = "its drop is what it is for")] Option<Arc<Leased>>,
);

struct Leased {
    store: Arc<Inner>,
    layers: Vec<Digest>,
}

impl Drop for Leased {
    fn drop(&mut self) {
        let mut state = self.store.state();
        for layer in &self.layers {
            if let Some(count) = state.leased.get_mut(layer) {
                *count -= 1;
                if *count == 0 {
                    state.leased.remove(layer);
                }
            }
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lease")
    }
}

impl Store {
    /// Takes a folder, made if it is missing, for this process. What a crash left in it is removed. It blocks.
    ///
    /// # Errors
    /// If the folder cannot be used, another process has it, or a setting cannot be.
    pub fn open(root: &Path, settings: Settings) -> Result<Self, OpenError> {
        let bad = |source| OpenError::Settings { path: root.to_owned(), source };
        settings.validate().map_err(bad)?;
        let settings = Arc::new(settings);
        let registries = Registries::new(Arc::clone(&settings));
        let registries =
            registries.map_err(|source| OpenError::Client { path: root.to_owned(), source })?;
        let (disk, contents) = Disk::open(root)?;
        let (images, layers) = (contents.images, contents.layers);
        let inner = Inner {
            registries: Arc::new(registries),
            pulls: Semaphore::new(settings.pulls_max),
            layers: Semaphore::new(settings.layers_at_once),
            settings,
            disk,
            state: Mutex::new(State { images, layers, ..State::default() }),
            flights: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How layers are written here, which depends on what this process may do.
    #[must_use]
    pub fn form(&self) -> Form {
        self.inner.disk.form
    }

    /// Begins a pull, or joins one of the same image that is under way. Called within a tokio runtime. When all who joined
    /// have dropped their [`Pull`] before its end, it is given up.
    #[must_use]
    pub fn pull(&self, reference: &Reference, options: &PullOptions) -> Pull {
        flights::begin(&self.inner, reference, options)
    }

    /// All images, by reference.
    #[must_use]
    pub fn images(&self) -> Vec<StoredImage> {
        let state = self.inner.state();
        let bytes = |layer: &Digest| state.layers.get(layer).map_or(0, |layer| layer.report.bytes);
        let image = |image: &ImageRecord| StoredImage {
            reference: image.reference.clone(),
            digest: image.digest,
            layers: image.layers.clone(),
            bytes: image.layers.iter().map(bytes).sum(),
        };
        state.images.values().map(image).collect()
    }

    /// Makes room until `head_room` of the disk, a share between 0 and 1, is free, or nothing more may go. Images not used for
    /// longest go first; images of `protected`, and layers `in_use` or under a [`Pulled`], stay. It blocks.
    ///
    /// # Errors
    /// If the disk cannot be asked, or something cannot be removed; what is left is gone on with next time.
    pub fn collect_garbage(
        &self,
        head_room: f64,
        protected: &[Reference],
        in_use: &BTreeSet<Digest>,
    ) -> Result<Collected, GarbageError> {
        let (total, free) = self.inner.disk.room().map_err(self.inner.garbage("ask for room"))?;
        match wanted_bytes(total, free, head_room) {
            0 => Ok(Collected::default()),
            wanted => self.inner.collect(Some(wanted), protected, in_use),
        }
    }

    /// Removes all images but those of `excluded`, and all layers but those `in_use` or under a [`Pulled`]. It blocks.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn prune(
        &self,
        excluded: &[Reference],
        in_use: &BTreeSet<Digest>,
    ) -> Result<Collected, GarbageError> {
        self.inner.collect(None, excluded, in_use)
    }

    /// Waits until the disk has all layers for good. What was pulled and not settled when a machine loses power is pulled
    /// again; the end of a process loses nothing. To be called now and then; it blocks.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn settle(&self) -> Result<(), GarbageError> {
        let unsettled = |layer: &&LayerRecord| layer.unsettled_in.is_some();
        let layers: Vec<_> =
            self.inner.state().layers.values().filter(unsettled).cloned().collect();
        if layers.is_empty() {
            return Ok(());
        }
        // None of them may go while its record is written.
        let ids: Vec<_> = layers.iter().map(|layer| layer.diff_id).collect();
        let _lease = Inner::lease(&self.inner, &ids);
        let there = |layer: &LayerRecord| self.inner.has_layer(layer.diff_id);
        let layers: Vec<_> = layers.into_iter().filter(there).collect();
        self.inner.disk.settle(&layers).map_err(self.inner.garbage("settle layers"))?;
        let mut state = self.inner.state();
        for layer in layers {
            if let Some(record) = state.layers.get_mut(&layer.diff_id) {
                record.unsettled_in = None;
            }
        }
        Ok(())
    }
}

/// How much is missing to the head room.
fn wanted_bytes(total: u64, free: u64, head_room: f64) -> u64 {
    // Thousandths are exact enough, and no float is turned into a size.
    let thousandths = (0..=1000_u16).rev().find(|part| f64::from(*part) <= head_room * 1000.0);
    let wanted = total / 1000 * u64::from(thousandths.unwrap_or(0));
    wanted.saturating_sub(free)
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn garbage(&self, what: &'static str) -> impl Fn(io::Error) -> GarbageError {
        let path = self.disk.root().to_owned();
        move |source| GarbageError { what, path: path.clone(), source }
    }

    pub(crate) fn form(&self) -> Form {
        self.disk.form
    }

    pub(crate) fn root(&self) -> &Path {
        self.disk.root()
    }

    pub(crate) fn scratch(&self) -> PathBuf {
        self.disk.scratch()
    }

    pub(crate) fn unpacking(&self) -> Result<Unpacking, Failure> {
        self.disk.unpacking()
    }

    pub(crate) fn partial(
        &self,
        digest: Digest,
        diff_id: Digest,
        most: u64,
    ) -> Result<(File, PathBuf, u64), Failure> {
        self.disk.partial(digest, diff_id, most)
    }

    pub(crate) fn partial_path(&self, digest: Digest, diff_id: Digest) -> PathBuf {
        self.disk.partial_path(digest, diff_id)
    }

    pub(crate) fn has_layer(&self, diff_id: Digest) -> bool {
        self.state().layers.contains_key(&diff_id)
    }

    /// Whoever has it may make the layer.
    pub(crate) fn layer_lock(&self, diff_id: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut state = self.state();
        state.locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = state.locks.get(&diff_id).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        state.locks.insert(diff_id, Arc::downgrade(&lock));
        lock
    }

    pub(crate) fn lease(this: &Arc<Self>, layers: &[Digest]) -> Lease {
        let mut state = this.state();
        for layer in layers {
            *state.leased.entry(*layer).or_default() += 1;
        }
        drop(state);
        Lease(Some(Arc::new(Leased { store: Arc::clone(this), layers: layers.to_vec() })))
    }

    /// Gives a layer that is whole its place.
    pub(crate) fn keep_layer(
        &self,
        unpacking: Unpacking,
        diff_id: Digest,
        report: Report,
    ) -> Result<(), Failure> {
        let mut record = LayerRecord { diff_id, form: self.disk.form, report, unsettled_in: None };
        self.disk.keep_layer(&unpacking, &mut record)?;
        self.state().layers.insert(diff_id, record);
        Ok(())
    }

    /// Notes an image whose layers are all there.
    pub(crate) fn keep(
        &self,
        reference: Reference,
        resolved: &Resolved,
        lease: Lease,
    ) -> Result<Pulled, Failure> {
        let layers = resolved.layers.iter().map(|layer| layer.diff_id).collect();
        let config = resolved.configuration.image.clone();
        let record = ImageRecord { reference, digest: resolved.digest, layers, config };
        // The record and the map change together, whoever collects garbage at the same time.
        let mut state = self.state();
        self.disk.keep_image(&record)?;
        state.images.insert(record.reference.clone(), record.clone());
        Ok(self.pulled(&state, record, lease))
    }

    /// What the store has under a reference; it counts as used now.
    fn cached(this: &Arc<Self>, reference: &Reference) -> Option<Pulled> {
        let layers = this.state().images.get(reference)?.layers.clone();
        let lease = Self::lease(this, &layers);
        let state = this.state();
        let record = state.images.get(reference).filter(|record| record.layers == layers)?.clone();
        this.disk.touch(reference);
        let pulled = this.pulled(&state, record, lease.clone());
        drop(state);
        Some(pulled)
    }

    fn pulled(&self, state: &State, record: ImageRecord, lease: Lease) -> Pulled {
        let ids = topmost(&record.layers);
        let mut report = Report::default();
        for layer in ids.iter().filter_map(|layer| state.layers.get(layer)) {
            report = report.and(layer.report);
        }
        Pulled {
            layers: ids.iter().map(|layer| self.disk.layer_path(*layer)).collect(),
            layer_ids: ids,
            digest: Some(record.digest),
            reference: record.reference,
            config: record.config,
            form: self.disk.form,
            report,
            _lease: lease,
        }
    }

    fn collect(
        &self,
        wanted: Option<u64>,
        protected: &[Reference],
        in_use: &BTreeSet<Digest>,
    ) -> Result<Collected, GarbageError> {
        let mut going =
            self.forget_partials(in_use).map_err(self.garbage("list layers half fetched"))?;
        let plan = self.forget(wanted, protected, in_use, &mut going)?;
        let mut failed = Ok(());
        for path in going {
            let removed = remove_tree(&path).map_err(self.garbage("remove layers"));
            failed = failed.and(removed);
        }
        failed?;
        Ok(Collected { images: plan.images, layers: plan.layers.len(), bytes: plan.bytes })
    }

    /// Takes the places of what goes away; removing it takes longer and holds nobody up. Images first, so that no record ever
    /// names a layer that is not there.
    fn forget(
        &self,
        wanted: Option<u64>,
        protected: &[Reference],
        in_use: &BTreeSet<Digest>,
        going: &mut Vec<PathBuf>,
    ) -> Result<Plan, GarbageError> {
        let mut state = self.state();
        let held = |image: &ImageRecord| Held {
            reference: image.reference.clone(),
            used_at: self.disk.used_at(&image.reference),
            layers: image.layers.clone(),
        };
        let images = state.images.values().map(held).collect();
        let layers = state.layers.iter().map(|(id, layer)| (*id, layer.report.bytes)).collect();
        let in_use: BTreeSet<_> = in_use.iter().chain(state.leased.keys()).copied().collect();
        let plan = plan(&Stock { images, layers: &layers, in_use: &in_use, protected }, wanted);
        for image in &plan.images {
            self.disk.forget_image(image).map_err(self.garbage("forget an image"))?;
            state.images.remove(image);
        }
        for layer in &plan.layers {
            going.push(self.disk.forget_layer(*layer).map_err(self.garbage("forget a layer"))?);
            state.layers.remove(layer);
        }
        Ok(plan)
    }

    /// Layers half fetched that no pull is at.
    fn forget_partials(&self, in_use: &BTreeSet<Digest>) -> io::Result<Vec<PathBuf>> {
        let state = self.state();
        let is_idle = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let diff_id = name.and_then(|name| Digest::from_hex(name.split_once('-')?.1).ok());
            diff_id.is_none_or(|id| !state.leased.contains_key(&id) && !in_use.contains(&id))
        };
        Ok(self.disk.partials()?.into_iter().filter(is_idle).collect())
    }
}

/// Each layer once. One that lies above itself covers all of its lower self.
fn topmost(layers: &[Digest]) -> Vec<Digest> {
    let is_last = |(at, layer): &(usize, &Digest)| !layers[at + 1..].contains(layer);
    layers.iter().enumerate().filter(is_last).map(|(_, layer)| *layer).collect()
}
