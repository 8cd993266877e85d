//! Container images: from a reference to unpacked layers on disk. Nothing here knows of containers, agents or masters.
//!
//! [`Reference`] is how people name images, [`Store`] where they lie. [`Store::pull`] brings one, from a registry, an OCI
//! layout or a `docker save` file: looked up (`source`), its layers downloaded (`download`), received and unpacked
//! at once (`pipeline`, `unpack`), given their places (`store`). What came was made by strangers: every digest is
//! checked, every size has a limit, and no name in a layer leads out of it.
//!
//! Layers are folders as overlayfs wants them; [`apply_layer`] copies one over another folder instead.
#![warn(missing_docs)]

mod apply;
mod challenge;
mod compression;
mod credentials;
mod digest;
mod download;
mod error;
mod image_config;
mod manifest;
mod pipeline;
mod platform;
mod progress;
mod pull;
mod reference;
mod registry;
mod retry;
mod settings;
mod source;
mod store;
mod tarball;
mod unpack;

pub use apply::{ApplyError, apply_layer};
pub use credentials::{BadCredentials, Credentials};
pub use digest::{BadDigest, Digest};
pub use error::{Failure, PullError};
pub use image_config::ImageConfig;
pub use manifest::BadManifest;
pub use platform::Platform;
pub use progress::{Phase, Progress};
pub use reference::{BadReference, DOCKER_HUB, Reference, RegistryReference, Version};
pub use registry::BadClient;
pub use retry::Patience;
pub use settings::{BadSettings, Limits, Settings};
pub use store::{
    Collected, GarbageError, OpenError, Pull, PullOptions, Pulled, Store, StoredImage,
};
pub use tarball::BadArchive;
pub use unpack::{BadLayer, Form, Report};
