//! Where an image comes from, and what it consists of: the same for registries, layouts and archives.

mod archive;
mod layout;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::digest::Digest;
use crate::error::Failure;
use crate::image_config::Configuration;
use crate::manifest::{self, BadManifest, Descriptor, Document, Manifest};
use crate::platform::{Platform, choose};
use crate::registry::Session;
use crate::settings::{Limits, Settings};

pub(crate) use archive::resolve_archive;

/// Lists in lists: one is usual, two are seen.
const NESTED_MAX: usize = 3;

/// An image, all but its layers.
pub(crate) struct Resolved {
    /// Of its manifest; of its configuration where there is none.
    pub(crate) digest: Digest,
    pub(crate) configuration: Configuration,
    /// From the bottom up.
    pub(crate) layers: Vec<LayerSource>,
}

/// A layer, and where its archive is.
#[derive(Clone)]
pub(crate) struct LayerSource {
    /// Of the archive uncompressed, as the configuration says.
    pub(crate) diff_id: Digest,
    pub(crate) from: LayerFrom,
}

#[derive(Clone)]
pub(crate) enum LayerFrom {
    Registry(Descriptor),
    /// A whole file, named by a layout.
    File {
        path: PathBuf,
        layer: Descriptor,
    },
    /// Some bytes of a file, which an archive has under no digest of their own.
    Slice {
        file: Arc<File>,
        path: PathBuf,
        offset: u64,
        size_bytes: u64,
    },
}

impl LayerFrom {
    /// As it is fetched.
    pub(crate) fn size_bytes(&self) -> u64 {
        match self {
            Self::Registry(layer) | Self::File { layer, .. } => layer.size_bytes,
            Self::Slice { size_bytes, .. } => *size_bytes,
        }
    }
}

/// Where manifests, configurations and layers lie side by side.
pub(crate) enum Source<'a> {
    Registry(&'a Session),
    /// The folder, and which of its images.
    Layout(&'a Path, Option<&'a str>),
}

impl Source<'_> {
    /// Looks the image up.
    pub(crate) async fn resolve(&self, settings: &Settings) -> Result<Resolved, Failure> {
        let limits = &settings.limits;
        let (mut digest, mut bytes) = match self {
            Self::Registry(session) => session.manifest().await?,
            Self::Layout(path, tag) => {
                let descriptor = layout::find(path, *tag, settings).await?;
                (descriptor.digest, layout::small(path, &descriptor, "the manifest", limits).await?)
            }
        };
        for _ in 0..=NESTED_MAX {
            let document = manifest::read(&bytes, limits.layers).map_err(|source| {
                Failure::BadManifest { what: format!("manifest {digest}"), source }
            })?;
            match document {
                Document::Manifest(manifest) => {
                    return self.complete(digest, manifest, settings).await;
                }
                Document::Index(entries) => {
                    let offered: Vec<_> =
                        entries.iter().map(|entry| entry.platform.clone()).collect();
                    let chosen = choose(&offered, &settings.platform)
                        .ok_or_else(|| no_such_platform(settings, offered.iter().flatten()))?;
                    let chosen = &entries[chosen].descriptor;
                    bytes = match self {
                        Self::Registry(session) => session.manifest_of(chosen).await?,
                        Self::Layout(path, _) => {
                            layout::small(path, chosen, "the manifest", limits).await?
                        }
                    };
                    digest = chosen.digest;
                }
            }
        }
        Err(Failure::BadManifest {
            what: format!("manifest {digest}"),
            source: BadManifest::Nested,
        })
    }

    async fn complete(
        &self,
        digest: Digest,
        manifest: Manifest,
        settings: &Settings,
    ) -> Result<Resolved, Failure> {
        let what = "the configuration";
        let bytes: Bytes = match self {
            Self::Registry(session) => session.blob(&manifest.config).await?,
            Self::Layout(path, _) => {
                layout::small(path, &manifest.config, what, &settings.limits).await?
            }
        };
        let configuration = configuration(manifest.config.digest, &bytes, settings)?;
        let froms = manifest.layers.into_iter().map(|layer| match self {
            Self::Registry(_) => LayerFrom::Registry(layer),
            Self::Layout(path, _) => LayerFrom::File { path: layout::blob(path, &layer), layer },
        });
        assemble(digest, configuration, froms.collect(), settings)
    }
}

/// Reads a configuration, and refuses what this machine does not run.
fn configuration(
    digest: Digest,
    bytes: &[u8],
    settings: &Settings,
) -> Result<Configuration, Failure> {
    let configuration = Configuration::read(bytes).map_err(|source| Failure::BadManifest {
        what: format!("configuration {digest}"),
        source,
    })?;
    if !configuration.runs_on(&settings.platform) {
        return Err(no_such_platform(settings, [&configuration.platform]));
    }
    Ok(configuration)
}

/// Puts the layers beside their digests, and refuses what is too large to begin with.
fn assemble(
    digest: Digest,
    configuration: Configuration,
    froms: Vec<LayerFrom>,
    settings: &Settings,
) -> Result<Resolved, Failure> {
    let Limits { layers: most, layer_bytes, .. } = settings.limits;
    let bad = |source| Failure::BadManifest { what: format!("image {digest}"), source };
    let (layers, diff_ids) = (froms.len(), configuration.diff_ids.len());
    if layers != diff_ids {
        return Err(bad(BadManifest::LayersDisagree { layers, diff_ids }));
    }
    if layers > most {
        return Err(bad(BadManifest::TooManyLayers { layers, most }));
    }
    let paired = configuration.diff_ids.iter().zip(froms);
    let layers: Vec<_> =
        paired.map(|(diff_id, from)| LayerSource { diff_id: *diff_id, from }).collect();
    if let Some(large) = layers.iter().find(|layer| layer.from.size_bytes() > layer_bytes) {
        let what = format!("layer {}", large.diff_id);
        return Err(Failure::TooLarge { what, found: large.from.size_bytes(), most: layer_bytes });
    }
    Ok(Resolved { digest, configuration, layers })
}

fn no_such_platform<'a>(
    settings: &Settings,
    offered: impl IntoIterator<Item = &'a Platform>,
) -> Failure {
    let offered = offered.into_iter().map(ToString::to_string).collect();
    Failure::NoSuchPlatform { wanted: settings.platform.to_string(), offered }
}
