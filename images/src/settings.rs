//! All settings of a store of images, their defaults, and what is refused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::credentials::Credentials;
use crate::platform::Platform;
use crate::retry::Patience;

/// How images are fetched and kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What images are chosen for.
    pub platform: Platform,
    /// Said at registries when a pull brings no credentials of its own.
    pub credentials: Credentials,
    /// By registry as in references: hosts that are asked before it, in order. A mirror has the same names of images.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Files with certificates (PEM) that are trusted beside the system's.
    pub authorities: Vec<PathBuf>,
    /// Hosts (`host` or `host:port`) that may be spoken to without TLS, beside this machine itself.
    pub plain_http: Vec<String>,
    /// `http://host:port` through which all registries are reached, but those on this machine.
    pub proxy: Option<String>,
    /// A registry that says nothing for so long is given up.
    pub stall_timeout: Duration,
    /// How often requests are repeated.
    pub patience: Patience,
    /// Pulls at once; others wait.
    pub pulls_max: usize,
    /// Layers that are fetched at once, of all pulls together.
    pub layers_at_once: usize,
    /// What is refused.
    pub limits: Limits,
}

/// What an image may take. None of these is near what honest images need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of a manifest, a list of manifests, or a configuration.
    pub manifest_bytes: usize,
    /// Of one layer as it is fetched.
    pub layer_bytes: u64,
    /// Of all layers of an image, uncompressed.
    pub unpacked_bytes: u64,
    /// Files and folders in all layers of an image.
    pub entries: u64,
    /// Of an image.
    pub layers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 << 20,
            layer_bytes: 20 << 30,
            unpacked_bytes: 64 << 30,
            entries: 2_000_000,
            layers: 256,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            platform: Platform::here(),
            credentials: Credentials::none(),
            mirrors: BTreeMap::new(),
            authorities: Vec::new(),
            plain_http: Vec::new(),
            proxy: None,
            stall_timeout: Duration::from_secs(60),
            patience: Patience::default(),
            pulls_max: 16,
            layers_at_once: 3,
            limits: Limits::default(),
        }
    }
}

/// A setting that cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// Nothing would ever be pulled.
    #[error("{setting} is 0; at least 1 is needed")]
    Zero {
        /// Which.
        setting: &'static str,
    },
}

impl Settings {
    pub(crate) fn validate(&self) -> Result<(), BadSettings> {
        let zeros = [
            ("pulls_max", self.pulls_max == 0),
            ("layers_at_once", self.layers_at_once == 0),
            ("stall_timeout", self.stall_timeout.is_zero()),
        ];
        match zeros.iter().find(|(_, is_zero)| *is_zero) {
            Some((setting, _)) => Err(BadSettings::Zero { setting }),
            None => Ok(()),
        }
    }

    /// The hosts to ask for images of `registry`, in order.
    pub(crate) fn hosts(&self, registry: &str) -> Vec<String> {
        let mirrors = self.mirrors.get(registry).into_iter().flatten().cloned();
        mirrors.chain([registry.to_owned()]).collect()
    }
}
