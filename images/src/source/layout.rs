//! OCI image layouts: a folder with `index.json` and blobs by digest.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use crate::digest::Digest;
use crate::error::Failure;
use crate::manifest::{self, Descriptor, Document, Entry};
use crate::platform::choose;
use crate::registry::check_digest;
use crate::settings::{Limits, Settings};

/// The manifest, or list of manifests, of one image.
pub(super) async fn find(
    folder: &Path,
    tag: Option<&str>,
    settings: &Settings,
) -> Result<Descriptor, Failure> {
    let path = folder.join("index.json");
    let limits = &settings.limits;
    let bytes = read(&path, limits.manifest_bytes as u64, "index.json").await?;
    let what = format!("{}", path.display());
    let document = manifest::read(&bytes, limits.layers);
    let entries = match document.map_err(|source| Failure::BadManifest { what, source })? {
        Document::Index(entries) => entries,
        Document::Manifest(_) => {
            return Err(Failure::NotAnImage { path, why: "it lists no manifests" });
        }
    };
    pick(&entries, tag, settings).map(|entry| entry.descriptor.clone()).ok_or_else(|| {
        let offered = entries
            .iter()
            .map(|entry| entry.tag.clone().unwrap_or_else(|| "one without a tag".into()));
        let wanted = tag.unwrap_or_default().to_owned();
        Failure::NoSuchImage { path: folder.to_owned(), wanted, offered: offered.collect() }
    })
}

/// That with the tag, the only one if no tag is said; of several with one tag that for this machine.
fn pick<'a>(entries: &'a [Entry], tag: Option<&str>, settings: &Settings) -> Option<&'a Entry> {
    let tagged: Vec<_> = match tag {
        Some(tag) => entries.iter().filter(|entry| entry.tag.as_deref() == Some(tag)).collect(),
        None if entries.len() == 1 => entries.iter().collect(),
        None => return None,
    };
    let platforms: Vec<_> = tagged.iter().map(|entry| entry.platform.clone()).collect();
    choose(&platforms, &settings.platform).map(|at| tagged[at]).or_else(|| tagged.first().copied())
}

/// A manifest or configuration, checked.
pub(super) async fn small(
    folder: &Path,
    of: &Descriptor,
    what: &str,
    limits: &Limits,
) -> Result<Bytes, Failure> {
    let bytes = read(&blob(folder, of), limits.manifest_bytes as u64, what).await?;
    check_digest(what, of.digest, Digest::of(&bytes))?;
    Ok(bytes)
}

/// Where bytes lie.
pub(super) fn blob(folder: &Path, of: &Descriptor) -> PathBuf {
    folder.join("blobs/sha256").join(of.digest.hex())
}

async fn read(path: &Path, most: u64, what: &str) -> Result<Bytes, Failure> {
    let failed = |source: io::Error| Failure::File { path: path.to_owned(), source };
    let file = File::open(path).await.map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    let found = bytes.len() as u64;
    if found > most {
        return Err(Failure::TooLarge { what: what.to_owned(), found, most });
    }
    Ok(bytes.into())
}
