//! What an image says about running it. Pure: from the JSON of its configuration to a plain value.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Digest;
use crate::manifest::BadManifest;
use crate::platform::Platform;

/// How a container of the image is started, unless its task says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// What `command` is an argument of.
    pub entrypoint: Vec<String>,
    /// The command, or the arguments of the entry point.
    pub command: Vec<String>,
    /// `NAME=value`, in the image's order.
    pub environment: Vec<String>,
    /// `user`, `uid`, `user:group` or `uid:gid`; empty for root.
    pub user: String,
    /// Where it starts; empty for `/`.
    pub working_directory: String,
    /// `80/tcp`, in order.
    pub exposed_ports: Vec<String>,
    /// Folders that the image wants volumes at, in order.
    pub volumes: Vec<String>,
    /// What its author says about it.
    pub labels: BTreeMap<String, String>,
    /// Asks it to end: `SIGTERM` or a number; empty if the image does not say.
    pub stop_signal: String,
}

/// The configuration: how to run the image, for which platform it is, and the digests of its layers unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) image: ImageConfig,
    pub(crate) platform: Platform,
    /// Of the archives uncompressed, from the bottom up.
    pub(crate) diff_ids: Vec<Digest>,
}

#[derive(Deserialize)]
struct RawConfiguration {
    #[serde(flatten)]
    platform: Platform,
    #[serde(default, deserialize_with = "or_default")]
    config: RawConfig,
    #[serde(default, deserialize_with = "or_default")]
    rootfs: RawRootfs,
}

#[derive(Default, Deserialize)]
struct RawRootfs {
    #[serde(default, deserialize_with = "or_default")]
    diff_ids: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct RawConfig {
    #[serde(deserialize_with = "or_default")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    cmd: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    env: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    user: String,
    #[serde(deserialize_with = "or_default")]
    working_dir: String,
    #[serde(deserialize_with = "or_default")]
    exposed_ports: BTreeMap<String, serde_json::Value>,
    #[serde(deserialize_with = "or_default")]
    volumes: BTreeMap<String, serde_json::Value>,
    #[serde(deserialize_with = "or_default")]
    labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    stop_signal: String,
}

/// Docker writes `null` for whatever is empty.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Configuration {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, BadManifest> {
        let raw: RawConfiguration =
            serde_json::from_slice(bytes).map_err(|source| BadManifest::Json { source })?;
        let digest = |text: String| text.parse().map_err(|source| BadManifest::Digest { source });
        let diff_ids = raw.rootfs.diff_ids.into_iter().map(digest).collect::<Result<_, _>>()?;
        let config = raw.config;
        let image = ImageConfig {
            entrypoint: config.entrypoint,
            command: config.cmd,
            environment: config.env,
            user: config.user,
            working_directory: config.working_dir,
            exposed_ports: config.exposed_ports.into_keys().collect(),
            volumes: config.volumes.into_keys().collect(),
            labels: config.labels,
            stop_signal: config.stop_signal,
        };
        Ok(Self { image, platform: raw.platform, diff_ids })
    }

    /// Whether it runs here. Old images say nothing of their platform.
    pub(crate) fn runs_on(&self, machine: &Platform) -> bool {
        let said = Platform {
            os: or(&self.platform.os, &machine.os),
            architecture: or(&self.platform.architecture, &machine.architecture),
            variant: self.platform.variant.clone(),
        };
        said.runs_on(machine)
    }
}

fn or(said: &str, otherwise: &str) -> String {
    if said.is_empty() { otherwise.to_owned() } else { said.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_says_about_running_it_is_read() {
        let text = r#"{"architecture":"amd64","os":"linux","config":{
            "Entrypoint":["/e"],"Cmd":["a","b"],"Env":["B=1","A=2"],"User":"1000:1000","WorkingDir":"/w",
            "ExposedPorts":{"80/tcp":{},"53/udp":{}},"Volumes":{"/v":{}},"Labels":{"l":"m"},"StopSignal":"SIGQUIT"},
            "rootfs":{"type":"layers","diff_ids":[]}}"#;
        let configuration = Configuration::read(text.as_bytes()).unwrap();
        let image = configuration.image;
        assert_eq!(
            (image.entrypoint, image.command),
            (vec!["/e".into()], vec!["a".into(), "b".into()])
        );
        assert_eq!(image.environment, ["B=1", "A=2"]);
        assert_eq!((image.user.as_str(), image.working_directory.as_str()), ("1000:1000", "/w"));
        assert_eq!(
            (image.exposed_ports, image.volumes),
            (vec!["53/udp".into(), "80/tcp".into()], vec!["/v".into()])
        );
        assert_eq!(image.labels["l"], "m");
        assert_eq!(image.stop_signal, "SIGQUIT");
        assert_eq!(configuration.platform.to_string(), "linux/amd64");
    }

    #[test]
    fn null_is_nothing_as_docker_writes_it() {
        let text = r#"{"config":{"Entrypoint":null,"Cmd":null,"Env":null,"Labels":null,"Volumes":null},"rootfs":null}"#;
        let configuration = Configuration::read(text.as_bytes()).unwrap();
        assert_eq!(configuration.image, ImageConfig::default());
        assert!(configuration.runs_on(&Platform::here()));
        assert_eq!(
            Configuration::read(b"{\"config\":null}").unwrap().image,
            ImageConfig::default()
        );
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        assert!(Configuration::read(b"[]").is_err());
        assert!(Configuration::read(br#"{"config":{"Cmd":"sh"}}"#).is_err());
        assert!(Configuration::read(br#"{"rootfs":{"diff_ids":["x"]}}"#).is_err());
    }
}
