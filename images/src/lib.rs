//! Container images: from a reference to unpacked layers on disk.
#![warn(missing_docs)]
mod apply;
mod challenge;
mod compression;
mod credentials;
mod digest;
mod image_config;
mod manifest;
mod platform;
mod progress;
mod reference;
mod retry;
mod settings;
mod tarball;
mod unpack;
pub use apply::{ApplyError, apply_layer};
pub use image_config::ImageConfig;
pub use platform::*;
pub use reference::*;
pub use settings::Settings;
pub use unpack::{BadLayer, Form, Report};
