//! Images that are made here, byte by byte, so that they can be wrong in any way.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use images::{
    Digest, Failure, OpenError, Platform, PullError, PullOptions, Pulled, Reference, Store,
};

use crate::fake::settings;

pub(crate) const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Blobs by digest; manifests with their media types, the one with the tag last.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) blobs: Vec<(Digest, Vec<u8>)>,
    pub(crate) manifests: Vec<(String, Vec<u8>)>,
}

/// An archive of files with their contents.
pub(crate) fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, body) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(body.len() as u64);
        builder.append_data(&mut header, path, *body).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that do not compress, always the same.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(count).collect()
}

impl Image {
    /// Of archives uncompressed, which are sent with gzip.
    pub(crate) fn of(layers: &[Vec<u8>]) -> Self {
        Self::packed(layers, gzip, &Platform::here().architecture)
    }

    pub(crate) fn packed(
        layers: &[Vec<u8>],
        pack: fn(&[u8]) -> Vec<u8>,
        architecture: &str,
    ) -> Self {
        let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
        let config = serde_json::json!({
            "os": "linux", "architecture": architecture,
            "config": { "Cmd": ["sh"], "Env": ["A=b"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let config = config.to_string().into_bytes();
        let layers: Vec<_> = layers.iter().map(|layer| pack(layer)).collect();
        Self::from_parts(config, layers)
    }

    pub(crate) fn from_parts(config: Vec<u8>, layers: Vec<Vec<u8>>) -> Self {
        let described = |bytes: &Vec<u8>, kind: &str| {
            let (digest, size) = (Digest::of(bytes).to_string(), bytes.len());
            let media = format!("application/vnd.docker.{kind}");
            serde_json::json!({ "mediaType": media, "digest": digest, "size": size })
        };
        let listed: Vec<_> =
            layers.iter().map(|l| described(l, "image.rootfs.diff.tar.gzip")).collect();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": described(&config, "container.image.v1+json"), "layers": listed,
        });
        let blobs = layers.into_iter().chain([config]).map(|bytes| (Digest::of(&bytes), bytes));
        let manifests = vec![(MANIFEST.to_owned(), manifest.to_string().into_bytes())];
        Self { blobs: blobs.collect(), manifests }
    }

    /// A list of images, by architecture.
    pub(crate) fn list(images: &[(&str, Self)]) -> Self {
        let mut all = Self { blobs: vec![], manifests: vec![] };
        let mut entries = Vec::new();
        for (architecture, image) in images {
            let bytes = image.manifest();
            entries.push(serde_json::json!({
                "mediaType": MANIFEST, "digest": Digest::of(bytes).to_string(), "size": bytes.len(),
                "platform": { "os": "linux", "architecture": architecture },
            }));
            all.blobs.extend(image.blobs.clone());
            all.manifests.extend(image.manifests.clone());
        }
        let list =
            serde_json::json!({ "schemaVersion": 2, "mediaType": LIST, "manifests": entries });
        all.manifests.push((LIST.to_owned(), list.to_string().into_bytes()));
        all
    }

    pub(crate) fn manifest(&self) -> &[u8] {
        &self.manifests.last().unwrap().1
    }

    /// The manifest, with one text in it replaced by another.
    pub(crate) fn with(mut self, old: &str, new: &str) -> Self {
        let (_, bytes) = self.manifests.last_mut().unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(old), "{old} in {text}");
        *bytes = text.replace(old, new).into_bytes();
        self
    }

    pub(crate) fn layer_digest(&self) -> Digest {
        self.blobs[0].0
    }
}

/// Opens a store that this process has just closed. Another test may be starting a process, which has our files open until
/// it becomes another program.
pub(crate) fn reopen(root: &Path) -> Store {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match Store::open(root, settings()) {
            Err(OpenError::Taken { .. }) if Instant::now() < until => std::thread::yield_now(),
            result => return result.unwrap(),
        }
    }
}

pub(crate) async fn pull(store: &Store, reference: &Reference) -> Result<Pulled, PullError> {
    store.pull(reference, &PullOptions::default()).wait().await
}

/// What a failed pull says, cause by cause.
pub(crate) fn words(error: &PullError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[track_caller]
pub(crate) fn failure(result: Result<Pulled, PullError>) -> (std::sync::Arc<Failure>, String) {
    let error = result.expect_err("the pull fails");
    (std::sync::Arc::clone(&error.failure), words(&error))
}

/// What a store leaves on disk beside finished things.
pub(crate) fn leftovers(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["unpacking", "removing", "partial", "layers"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            found.push(format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy()));
        }
    }
    found
}
