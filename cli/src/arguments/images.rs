//! Where the images of an agent's containers come from and where they are kept. Names and defaults of Mesos.

use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::{GarbageSettings, ImageSettings, RegistrySetting};
use clap::{ArgAction, Args, ValueEnum};
use containerizer::confinement::BackEnd;
use images::{Credentials, DOCKER_HUB, Settings};

use super::fetcher::folder_of;

/// How Mesos names Docker's own registry.
const HUB_OF_MESOS: &str = "registry-1.docker.io";

/// Images, if tasks may run any.
#[derive(Args, Clone, Debug)]
pub(crate) struct ImageArguments {
    /// Which images tasks may run; without, one that asks for an image fails in words
    #[arg(long, value_name = "KINDS", value_parser = providers)]
    image_providers: Option<Providers>,
    /// Where images come from whose name says no registry: a URL, such as `https://registry.example:5000`, or a folder of files
    /// as `docker save` writes them, `NAME:TAG.tar`. From http:// they come without TLS
    #[arg(long, default_value = "https://registry-1.docker.io", value_name = "URL|DIR", value_parser = registry)]
    docker_registry: Registry,
    /// Where the layers of images are kept, in a folder for each agent [default: mesos/store/docker in the system's temporary
    /// folder]
    #[arg(long, value_name = "DIR")]
    docker_store_dir: Option<PathBuf>,
    /// How the layers of an image become one root [default: overlay, and copy where the kernel does not take that]
    #[arg(long, value_name = "HOW")]
    image_provisioner_backend: Option<BackEndArgument>,
    /// Whether entry point, command, environment, user and folder that an image says are left out
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    docker_ignore_runtime: bool,
    /// A file with logins for registries, as Docker's `config.json` has them
    #[arg(long, value_name = "FILE")]
    docker_config: Option<PathBuf>,
    /// When images go that no container uses, as `{"image_disk_headroom":0.1,"image_disk_watch_interval":{"nanoseconds":3600000000000},"excluded_images":[]}`, or `file:///path` of that; without, none does
    #[arg(long, value_name = "JSON", value_parser = garbage)]
    image_gc_config: Option<GarbageSettings>,
}

/// Docker's, which is the only kind.
#[derive(Clone, Copy, Debug)]
struct Providers;

/// Where images come from, and who may be asked without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Registry {
    from: RegistrySetting,
    plain: Option<String>,
}

/// How layers become one root.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum BackEndArgument {
    Overlay,
    Copy,
}

impl ImageArguments {
    pub(super) fn are_run(&self) -> bool {
        self.image_providers.is_some()
    }

    /// Flags that mean nothing alone are refused in words.
    pub(super) fn check(&self) -> Result<(), String> {
        let says = [
            (self.image_gc_config.is_some(), "--image_gc_config"),
            (self.docker_store_dir.is_some(), "--docker_store_dir"),
            (self.image_provisioner_backend.is_some(), "--image_provisioner_backend"),
        ];
        match says.into_iter().find(|(says, _)| *says && !self.are_run()) {
            Some((_, flag)) => Err(format!("{flag} needs --image_providers=docker beside it")),
            None => Ok(()),
        }
    }

    fn credentials(&self) -> Result<Credentials, String> {
        let Some(path) = &self.docker_config else { return Ok(Credentials::none()) };
        let failed = |error: String| format!("--docker_config: read {}: {error}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        Credentials::from_docker_config(&text).map_err(|error| failed(error.to_string()))
    }

    pub(super) fn settings(
        &self,
        work_dir: &Path,
        authorities: Option<&Path>,
    ) -> Result<Option<ImageSettings>, String> {
        if !self.are_run() {
            return Ok(None);
        }
        let store = match &self.docker_store_dir {
            Some(store) => store.clone(),
            None => std::env::temp_dir().join("mesos/store/docker"),
        };
        let pulls = Settings {
            plain_http: self.docker_registry.plain.iter().cloned().collect(),
            authorities: authorities.map(Path::to_owned).into_iter().collect(),
            ..Settings::default()
        };
        Ok(Some(ImageSettings {
            store: store.join(folder_of(work_dir)),
            registry: self.docker_registry.from.clone(),
            back_end: match self.image_provisioner_backend {
                None => BackEnd::Auto,
                Some(BackEndArgument::Overlay) => BackEnd::Overlay,
                Some(BackEndArgument::Copy) => BackEnd::Copy,
            },
            ignores_runtime: self.docker_ignore_runtime,
            pulls,
            credentials: self.credentials()?,
            garbage: self.image_gc_config.clone(),
        }))
    }
}

fn providers(text: &str) -> Result<Providers, String> {
    let mut kinds = text.split(',').map(|kind| kind.trim().to_ascii_lowercase());
    match kinds.find(|kind| kind != "docker") {
        None => Ok(Providers),
        Some(kind) => Err(format!("there are no images of the kind '{kind}'; there are 'docker'")),
    }
}

fn registry(text: &str) -> Result<Registry, String> {
    let folder = text.strip_prefix("file://").unwrap_or(text);
    if folder.starts_with('/') {
        return Ok(Registry { from: RegistrySetting::Folder(folder.into()), plain: None });
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let host = rest.trim_end_matches('/');
    if host.is_empty() || host.contains('/') {
        return Err("it is a URL of a host alone, or a folder".into());
    }
    let named = if host == HUB_OF_MESOS { DOCKER_HUB } else { host };
    let from = RegistrySetting::Host(named.to_owned());
    match scheme {
        "https" => Ok(Registry { from, plain: None }),
        "http" => Ok(Registry { from, plain: Some(host.to_owned()) }),
        other => Err(format!(
            "images do not come from {other}://; serve them by http:// or https://, or from a folder"
        )),
    }
}

fn garbage(text: &str) -> Result<GarbageSettings, String> {
    #[derive(serde::Deserialize)]
    struct Interval {
        nanoseconds: u64,
    }
    #[derive(serde::Deserialize)]
    struct Docker {
        name: String,
    }
    #[derive(serde::Deserialize)]
    struct Image {
        docker: Docker,
    }
    #[derive(serde::Deserialize)]
    struct Config {
        image_disk_headroom: f64,
        image_disk_watch_interval: Interval,
        #[serde(default)]
        excluded_images: Vec<Image>,
    }
    let config: Config = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let every = Duration::from_nanos(config.image_disk_watch_interval.nanoseconds);
    if !(0.0..=1.0).contains(&config.image_disk_headroom) || every.is_zero() {
        return Err(
            "the head room is a share from 0 to 1, and the interval more than nothing".into()
        );
    }
    let excluded = config.excluded_images.into_iter().map(|image| image.docker.name).collect();
    Ok(GarbageSettings { head_room: config.image_disk_headroom, every, excluded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_named_as_in_mesos() {
        let host = |name: &str, plain: Option<&str>| {
            let from = RegistrySetting::Host(name.into());
            Ok(Registry { from, plain: plain.map(str::to_owned) })
        };
        assert_eq!(registry("https://registry-1.docker.io"), host(DOCKER_HUB, None));
        assert_eq!(registry("http://10.0.0.1:5000/"), host("10.0.0.1:5000", Some("10.0.0.1:5000")));
        assert_eq!(registry("registry.example"), host("registry.example", None));
        let folder = Registry { from: RegistrySetting::Folder("/srv".into()), plain: None };
        assert_eq!(registry("/srv"), Ok(folder.clone()));
        assert_eq!(registry("file:///srv"), Ok(folder));
        assert!(registry("hdfs://h/x").is_err() && registry("").is_err());
    }

    #[test]
    fn img_08_when_images_go_is_said_as_in_mesos() {
        let text = r#"{"image_disk_headroom":0.2,"image_disk_watch_interval":{"nanoseconds":60000000000},
            "excluded_images":[{"type":"DOCKER","docker":{"name":"busybox"}}]}"#;
        let all = garbage(text).unwrap();
        assert_eq!((all.head_room, all.every.as_secs()), (0.2, 60));
        assert_eq!(all.excluded, ["busybox"]);
        assert!(garbage(r#"{"image_disk_headroom":0.2}"#).is_err());
        assert!(garbage(&text.replace("0.2", "2")).is_err());
        assert!(providers("APPC,DOCKER").unwrap_err().contains("'appc'"));
        assert!(providers("DOCKER").is_ok());
    }
}
