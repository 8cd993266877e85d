//! Manifests and lists of manifests, of Docker (version 2, schema 2) and of OCI, which have one shape. Pure: from bytes
//! that were already checked against their digest to what is to be fetched.

use serde::Deserialize;

use crate::digest::{BadDigest, Digest};
use crate::platform::Platform;

#[cfg(test)]
mod tests;

/// What we can read, for the `Accept` header.
pub(crate) const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Bytes elsewhere, by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// Of the bytes as they are fetched.
    pub(crate) digest: Digest,
    /// How many there are.
    pub(crate) size_bytes: u64,
    /// What they are, as their author says.
    pub(crate) media_type: String,
}

/// One image: its configuration, and its layers from the bottom up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// A JSON text; see [`crate::ImageConfig`].
    pub(crate) config: Descriptor,
    /// Archives, compressed or not.
    pub(crate) layers: Vec<Descriptor>,
}

/// One entry of a list: a manifest, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Of the manifest.
    pub(crate) descriptor: Descriptor,
    /// Absent where the author did not say.
    pub(crate) platform: Option<Platform>,
    /// `org.opencontainers.image.ref.name`: the tag, in a layout.
    pub(crate) tag: Option<String>,
}

/// What a reference may lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    /// One image.
    Manifest(Manifest),
    /// Images to choose from.
    Index(Vec<Entry>),
}

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
pub enum BadManifest {
    /// Not the JSON that it should be.
    #[error("it is not the JSON of a manifest")]
    Json {
        /// Where and why.
        source: serde_json::Error,
    },
    /// The form of before 2016.
    #[error(
        "it is of Docker's schema 1, which is not supported; push the image again with a newer client"
    )]
    SchemaOne,
    /// Neither a manifest nor a list.
    #[error("it has neither a configuration nor a list of manifests")]
    Neither,
    /// Another kind of thing than an image.
    #[error("its configuration is of type {media_type:?}, so it is no container image")]
    NoImage {
        /// What it says it is.
        media_type: String,
    },
    /// A digest in it.
    #[error("it has a bad digest")]
    Digest {
        /// Which.
        source: BadDigest,
    },
    /// A negative size.
    #[error("it says that {digest} has {size} bytes")]
    Size {
        /// Of what.
        digest: String,
        /// As said.
        size: i64,
    },
    /// More layers than are allowed.
    #[error("it has {layers} layers; the limit is {most}")]
    TooManyLayers {
        /// How many.
        layers: usize,
        /// The limit.
        most: usize,
    },
    /// Configuration and manifest tell of different layers.
    #[error("it has {layers} layers, its configuration {diff_ids}")]
    LayersDisagree {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// A list in a list in a list.
    #[error("lists of manifests are nested too deeply")]
    Nested,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: i64,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<RawAnnotations>,
}

#[derive(Deserialize)]
struct RawAnnotations {
    #[serde(rename = "org.opencontainers.image.ref.name")]
    tag: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    #[serde(default)]
    schema_version: i64,
    config: Option<RawDescriptor>,
    #[serde(default)]
    layers: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
}

/// Reads a manifest or a list of manifests.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(bytes: &[u8], layers_max: usize) -> Result<Document, BadManifest> {
    let raw: RawDocument =
        serde_json::from_slice(bytes).map_err(|source| BadManifest::Json { source })?;
    match (raw.config, raw.manifests) {
        (Some(config), None) => manifest(config, raw.layers.unwrap_or_default(), layers_max),
        (None, Some(entries)) => {
            let entries = entries.into_iter().filter(|entry| !is_about_another(entry)).map(entry);
            Ok(Document::Index(entries.collect::<Result<_, _>>()?))
        }
        (None, None) if raw.schema_version == 1 => Err(BadManifest::SchemaOne),
        (None, None) | (Some(_), Some(_)) => Err(BadManifest::Neither),
    }
}

fn manifest(
    config: RawDescriptor,
    layers: Vec<RawDescriptor>,
    layers_max: usize,
) -> Result<Document, BadManifest> {
    let kinds = ["container.image", "oci.image.config"];
    let is_image =
        config.media_type.is_empty() || kinds.iter().any(|k| config.media_type.contains(k));
    if !is_image {
        return Err(BadManifest::NoImage {
            media_type: config.media_type.chars().take(200).collect(),
        });
    }
    if layers.len() > layers_max {
        return Err(BadManifest::TooManyLayers { layers: layers.len(), most: layers_max });
    }
    let config = descriptor(config)?;
    let layers = layers.into_iter().map(descriptor).collect::<Result<_, _>>()?;
    Ok(Document::Manifest(Manifest { config, layers }))
}

/// Builders put what they know of an image beside it in the list, for no platform at all.
fn is_about_another(entry: &RawDescriptor) -> bool {
    entry.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
}

fn entry(raw: RawDescriptor) -> Result<Entry, BadManifest> {
    let platform = raw.platform.clone();
    let tag = raw.annotations.as_ref().and_then(|annotations| annotations.tag.clone());
    Ok(Entry { descriptor: descriptor(raw)?, platform, tag })
}

fn descriptor(raw: RawDescriptor) -> Result<Descriptor, BadManifest> {
    let digest = raw.digest.parse().map_err(|source| BadManifest::Digest { source })?;
    let size_bytes = u64::try_from(raw.size)
        .map_err(|_| BadManifest::Size { digest: raw.digest, size: raw.size })?;
    Ok(Descriptor { digest, size_bytes, media_type: raw.media_type })
}
