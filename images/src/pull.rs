//! One pull: looks the image up, brings the layers that are not there yet, several at once, and notes the image.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio::task::{JoinError, JoinSet, spawn_blocking};

use crate::credentials::Credentials;
use crate::digest::Digest;
use crate::download::{Stopped, download};
use crate::error::Failure;
use crate::manifest::Descriptor;
use crate::pipeline::{CHUNKS_MAX, Feed, Received, Unpacked, between, unpack_chunks};
use crate::progress::{Phase, Teller};
use crate::reference::Reference;
use crate::registry::{Session, check_digest};
use crate::source::{LayerFrom, LayerSource, Resolved, Source, resolve_archive};
use crate::store::{Inner, Lease, Pulled};
use crate::unpack::{BadLayer, Budget};

/// What is held while a layer is made: by the pull and by both threads, since those may outlast it.
type LayerLock = Arc<OwnedMutexGuard<()>>;

/// What all layers of one pull share.
#[derive(Clone)]
struct Context {
    store: Arc<Inner>,
    session: Option<Arc<Session>>,
    budget: Arc<Budget>,
    teller: Teller,
}

pub(crate) async fn pull(
    store: Arc<Inner>,
    reference: Reference,
    credentials: Option<Credentials>,
    teller: Teller,
) -> Result<Pulled, Failure> {
    let _turn = store.pulls.acquire().await.map_err(|_| Failure::Abandoned)?;
    teller.phase(Phase::Resolving);
    let session = match &reference {
        Reference::Registry(image) => {
            let session = store.registries.session(image, credentials.as_ref(), teller.clone());
            Some(Arc::new(session))
        }
        Reference::Layout { .. } | Reference::Archive { .. } | Reference::Directory { .. } => None,
    };
    let resolved = resolve(&store, &reference, session.as_deref()).await?;
    let limits = &store.settings.limits;
    let budget = Arc::new(Budget::new(limits.unpacked_bytes, limits.entries));
    let ids: Vec<_> = resolved.layers.iter().map(|layer| layer.diff_id).collect();
    // From here on nothing of the image is collected as garbage.
    let lease = Inner::lease(&store, &ids);
    let context = Context { store: Arc::clone(&store), session, budget, teller: teller.clone() };
    context.layers(&resolved.layers).await?;
    teller.phase(Phase::Keeping);
    let pulled = keep(Arc::clone(&store), reference, resolved, lease).await?;
    teller.phase(Phase::Done);
    Ok(pulled)
}

async fn resolve(
    store: &Arc<Inner>,
    reference: &Reference,
    session: Option<&Session>,
) -> Result<Resolved, Failure> {
    match (reference, session) {
        (Reference::Layout { path, tag }, _) => {
            Source::Layout(path, tag.as_deref()).resolve(&store.settings).await
        }
        (Reference::Archive { path, name }, _) => {
            let (store, path, name) = (Arc::clone(store), path.clone(), name.clone());
            let resolving = spawn_blocking(move || {
                resolve_archive(&path, name.as_deref(), &store.scratch(), &store.settings)
            });
            resolving.await.map_err(abandoned)?
        }
        (_, Some(session)) => Source::Registry(session).resolve(&store.settings).await,
        // Folders are used where they are and never come here.
        (Reference::Registry(_) | Reference::Directory { .. }, None) => Err(Failure::Abandoned),
    }
}

async fn keep(
    store: Arc<Inner>,
    reference: Reference,
    resolved: Resolved,
    lease: Lease,
) -> Result<Pulled, Failure> {
    let keeping = spawn_blocking(move || store.keep(reference, &resolved, lease));
    keeping.await.map_err(abandoned)?
}

/// A thread of ours that panicked: the pull has no outcome, the agent goes on.
fn abandoned(error: JoinError) -> Failure {
    tracing::error!(%error, "a pull ended without an outcome");
    Failure::Abandoned
}

impl Context {
    async fn layers(&self, layers: &[LayerSource]) -> Result<(), Failure> {
        let missing = layers.iter().filter(|layer| !self.store.has_layer(layer.diff_id));
        let bytes_total = missing.clone().map(|layer| layer.from.size_bytes()).sum();
        let layers_done = layers.len() - missing.clone().count();
        self.teller.tell(|progress| {
            progress.phase = Phase::Fetching;
            progress.layers = layers.len();
            (progress.layers_done, progress.bytes_total) = (layers_done, bytes_total);
        });
        // All are aborted when this is dropped.
        let mut under_way = JoinSet::new();
        for layer in missing.cloned() {
            let context = self.clone();
            under_way.spawn(async move { context.layer(layer).await });
        }
        while let Some(ended) = under_way.join_next().await {
            ended.map_err(abandoned)??;
            self.teller.tell(|progress| progress.layers_done += 1);
        }
        Ok(())
    }

    async fn layer(self, layer: LayerSource) -> Result<(), Failure> {
        let lock: LayerLock = Arc::new(self.store.layer_lock(layer.diff_id).lock_owned().await);
        if self.store.has_layer(layer.diff_id) {
            return Ok(());
        }
        let _turn = self.store.layers.acquire().await.map_err(|_| Failure::Abandoned)?;
        let diff_id = layer.diff_id;
        match layer.from {
            LayerFrom::Registry(descriptor) => self.fetch_layer(&lock, diff_id, descriptor).await,
            LayerFrom::File { path, layer } => {
                let opened = File::open(&path);
                let file = opened.map_err(|source| Failure::File { path: path.clone(), source })?;
                let size = layer.size_bytes;
                let found = file.metadata().map_or(size, |found| found.len());
                if found != size {
                    let what = format!("layer {}", layer.digest);
                    return Err(Failure::SizeMismatch { what, expected: size, found });
                }
                let feed = Feed::File { file: Arc::new(file), path, offset: 0, size };
                self.make_layer(&lock, diff_id, Some(layer.digest), feed).await
            }
            LayerFrom::Slice { file, path, offset, size_bytes: size } => {
                self.make_layer(&lock, diff_id, None, Feed::File { file, path, offset, size }).await
            }
        }
    }

    /// What an earlier life kept may be damaged, if the machine went down: then once more from the start.
    async fn fetch_layer(
        &self,
        lock: &LayerLock,
        diff_id: Digest,
        descriptor: Descriptor,
    ) -> Result<(), Failure> {
        let path = self.store.partial_path(descriptor.digest, diff_id);
        let first = self.fetch_once(lock, diff_id, &descriptor).await;
        let result = match first {
            Err((true, Failure::DigestMismatch { .. } | Failure::Layer { .. })) => {
                forget(&path);
                self.fetch_once(lock, diff_id, &descriptor).await
            }
            other => other,
        };
        let result = result.map_err(|(_, failure)| failure);
        // Bytes that are wrong are of no use to the next try; those that are missing are.
        let is_wrong = matches!(
            result,
            Ok(())
                | Err(Failure::DigestMismatch { .. }
                    | Failure::SizeMismatch { .. }
                    | Failure::Layer { .. })
        );
        if is_wrong {
            forget(&path);
        }
        result
    }

    /// Fails with whether some of it had been there before.
    async fn fetch_once(
        &self,
        lock: &LayerLock,
        diff_id: Digest,
        descriptor: &Descriptor,
    ) -> Result<(), (bool, Failure)> {
        let session = self.session.as_ref().ok_or((false, Failure::Abandoned))?;
        let size = descriptor.size_bytes;
        let partial = self.store.partial(descriptor.digest, diff_id, size);
        let (part, part_path, kept) = partial.map_err(|failure| (false, failure))?;
        let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
        let feed = Feed::Network { chunks, part, part_path, kept, size };
        let receiving = self.make_layer(lock, diff_id, Some(descriptor.digest), feed);
        let downloading = async {
            let result = download(session, descriptor, kept, &sender).await;
            drop(sender);
            result
        };
        let (downloaded, received) = tokio::join!(downloading, receiving);
        let failure = match (downloaded, received) {
            (Err(Stopped::Failed(failure)), Err(Failure::Abandoned) | Ok(())) => Err(failure),
            (_, received) => received,
        };
        failure.map_err(|failure| (kept > 0, failure))
    }

    /// Receives and unpacks what comes, checks it and gives it its place. [`Failure::Abandoned`] means that it did not all come.
    async fn make_layer(
        &self,
        lock: &LayerLock,
        diff_id: Digest,
        digest: Option<Digest>,
        feed: Feed,
    ) -> Result<(), Failure> {
        let (sender, chunks) = between();
        let (teller, held) = (self.teller.clone(), Arc::clone(lock));
        let receiving = spawn_blocking(move || {
            let _held = held;
            feed.run(&sender, &teller)
        });
        let (store, budget, held) =
            (Arc::clone(&self.store), Arc::clone(&self.budget), Arc::clone(lock));
        let unpacking = spawn_blocking(move || {
            let _held = held;
            let unpacking = store.unpacking()?;
            let path = unpacking.diff();
            let folder =
                File::open(&path).map_err(|source| Failure::store("open", &path, source))?;
            let unpacked = unpack_chunks(chunks, folder, store.form(), &budget);
            Ok::<_, Failure>((unpacking, unpacked))
        });
        let (received, unpacked) = tokio::join!(receiving, unpacking);
        let (received, (unpacking, unpacked)) =
            (received.map_err(abandoned)?, unpacked.map_err(abandoned)??);
        let unpacked = judge(self.store.root(), diff_id, digest, received, unpacked)?;
        let store = Arc::clone(&self.store);
        let keeping = spawn_blocking(move || store.keep_layer(unpacking, diff_id, unpacked.report));
        keeping.await.map_err(abandoned)?
    }
}

/// Which of the things that went wrong is the cause of the others, if any did.
fn judge(
    store: &Path,
    diff_id: Digest,
    digest: Option<Digest>,
    received: Result<Received, Failure>,
    unpacked: Result<Unpacked, BadLayer>,
) -> Result<Unpacked, Failure> {
    let bad = |source| Failure::layer(diff_id, store, source);
    let what = format!("layer {}", digest.unwrap_or(diff_id));
    match (received?, unpacked) {
        // Bytes that are not those that were meant may well be no archive.
        (Received::All(found), unpacked) => {
            if let Some(expected) = digest {
                check_digest(&what, expected, found)?;
            }
            let unpacked = unpacked.map_err(bad)?;
            check_digest(&format!("{what}, unpacked,"), diff_id, unpacked.diff_id)?;
            Ok(unpacked)
        }
        (Received::Cut, Ok(_) | Err(BadLayer::Archive { .. } | BadLayer::NoLinkTarget { .. })) => {
            Err(Failure::Abandoned)
        }
        // The unpacker stopped of itself, and with that the rest.
        (Received::Cut, Err(error)) => Err(bad(error)),
    }
}

fn forget(partial: &Path) {
    if let Err(error) = std::fs::remove_file(partial) {
        tracing::debug!(path = %partial.display(), %error, "a layer half fetched was not there");
    }
}
