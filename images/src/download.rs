//! Brings the bytes of one layer from a registry, beginning where an earlier try ended, and from the next mirror where one
//! fails.

use bytes::Bytes;
use tokio::sync::mpsc::Sender;

use crate::error::Failure;
use crate::manifest::Descriptor;
use crate::registry::{Session, layer_name};

/// A connection that brought less was no progress: a registry that always breaks off soon is given up.
const MOVED_BYTES_MIN: u64 = 16 << 10;

/// Why bytes stopped coming.
pub(crate) enum Stopped {
    /// Whoever receives them is gone, and says why.
    Unheard,
    /// The registry, and all mirrors.
    Failed(Failure),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Sends the layer's bytes from `kept` on.
pub(crate) async fn download(
    session: &Session,
    layer: &Descriptor,
    kept: u64,
    to: &Sender<Bytes>,
) -> Result<(), Stopped> {
    let mut at = kept;
    let mut hosts = session.hosts().iter().peekable();
    while let Some(host) = hosts.next() {
        match from_host(session, host, layer, &mut at, to).await {
            Err(Stopped::Failed(failure)) if hosts.peek().is_some() => {
                tracing::warn!(host, layer = %layer.digest, %failure, "a mirror fails; asking the next");
            }
            result => return result,
        }
    }
    Ok(())
}

async fn from_host(
    session: &Session,
    host: &str,
    layer: &Descriptor,
    at: &mut u64,
    to: &Sender<Bytes>,
) -> Result<(), Stopped> {
    let mut failures = 0;
    while *at < layer.size_bytes {
        let before = *at;
        match once(session, host, layer, at, to).await {
            Ok(()) => (),
            Err(Stopped::Failed(failure)) => {
                let moved = *at - before >= MOVED_BYTES_MIN;
                if moved {
                    failures = 0;
                }
                session.wait_out(failure, moved, &mut failures).await?;
            }
            Err(Stopped::Unheard) => return Err(Stopped::Unheard),
        }
    }
    Ok(())
}

/// One connection. `at` counts what came, whatever becomes of it.
async fn once(
    session: &Session,
    host: &str,
    layer: &Descriptor,
    at: &mut u64,
    to: &Sender<Bytes>,
) -> Result<(), Stopped> {
    let expected = layer.size_bytes;
    let size = |found| Failure::SizeMismatch { what: layer_name(layer), expected, found };
    let mut body = session.layer(host, layer, *at).await?;
    while let Some(mut chunk) = session.chunk(&mut body, layer, *at).await? {
        let skipped = body.skip.min(chunk.len() as u64);
        body.skip -= skipped;
        let chunk = chunk.split_off(usize::try_from(skipped).unwrap_or(usize::MAX));
        if *at + chunk.len() as u64 > expected {
            return Err(size(*at + chunk.len() as u64).into());
        }
        if !chunk.is_empty() {
            *at += chunk.len() as u64;
            to.send(chunk).await.map_err(|_| Stopped::Unheard)?;
        }
    }
    // An end in good order, but too early: the registry says that this is all.
    if *at < expected { Err(size(*at).into()) } else { Ok(()) }
}
