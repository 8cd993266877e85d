//! What a task or an executor asks of its container, read from the v1 message in which it is carried. Whoever refuses what
//! cannot be had, and whoever makes the container, read it here, so that both mean the same. Pure.

use api::v1;
use api::v1::container_info::Type;
use api::v1::linux_info::IpcMode;
use api::v1::volume::source::Type as SourceType;
use serde::{Deserialize, Serialize};

use crate::carried::Carried;
use crate::v1::{BadSecret, value_of};

/// As many volumes as one container may have.
pub const VOLUMES_MAX: usize = 64;

/// All of it. The default asks for nothing: the program runs where its executor does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The root of its file system is that of an image.
    pub image: Option<WantedImage>,
    /// What is mounted there.
    pub volumes: Vec<WantedVolume>,
    /// Its machine's name.
    pub hostname: Option<String>,
    /// Whether it sees the processes of the machine.
    pub shares_processes: bool,
    /// Whether it has queues and memory of System V's and POSIX's in common with the machine.
    pub shares_ipc: bool,
    /// Of its `/dev/shm`, in bytes.
    pub shared_memory: Option<u64>,
    /// The capabilities that it has at the start, by name.
    pub effective: Option<Vec<String>>,
    /// Those that it can ever have, by name.
    pub bounding: Option<Vec<String>>,
    /// Whether it may make all calls of the system.
    pub unconfined: bool,
    /// The profile by which its calls of the system are filtered: one of those that its agent has.
    pub profile: Option<String>,
}

/// An image of Docker's format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedImage {
    /// As people write it.
    pub name: String,
    /// Whether one that is there already will do.
    pub cached: bool,
    /// The text of a `config.json` of Docker's with logins for registries.
    pub config: Option<Login>,
}

/// What is said at a registry. Logs do not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login(pub Vec<u8>);

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A file or folder that appears in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedVolume {
    /// What appears.
    pub source: VolumeSource,
    /// Where: absolute, or relative to the sandbox.
    pub target: String,
    /// Nothing can be written through it.
    pub read_only: bool,
    /// Whether what the machine mounts there later is seen.
    pub follows_host: bool,
}

/// What a volume is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeSource {
    /// A file or folder of the machine's, by its absolute path.
    Host(String),
    /// A folder of the container's own sandbox, made if it is missing.
    Sandbox(String),
    /// A file that holds this, in memory only.
    Secret(SecretValue),
}

/// What nobody but the task is to see. Logs do not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretValue(pub Vec<u8>);

impl std::fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Why a container cannot be had, with what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadContainer {
    /// Nobody makes such a thing yet.
    #[error("asks for {0}, which comes with a later release; leave that out")]
    Later(&'static str),
    /// It says two things at once, or too little.
    #[error("asks for a container that makes no sense: {0}")]
    Senseless(String),
    /// One of its secrets says nothing.
    #[error("asks for a volume '{target}' that is no secret: {why}")]
    Secret {
        /// Where it would be.
        target: String,
        /// What is wrong with it.
        why: BadSecret,
    },
}

impl Wanted {
    /// Of a task: of its own, or, if it has one, of its executor.
    ///
    /// # Errors
    /// What of it cannot be had.
    pub fn of_task(info: &v1::TaskInfo) -> Result<Self, BadContainer> {
        let own = Self::of(info.container.as_ref())?;
        let Some(executor) = &info.executor else { return Ok(own) };
        let of_executor = Self::of(executor.container.as_ref())?;
        // A task of an executor of the framework's runs where that puts it.
        if own.is_apart() {
            return Err(BadContainer::Later("a container of its own inside that of its executor"));
        }
        Ok(of_executor)
    }

    /// Of the message that says it.
    ///
    /// # Errors
    /// What of it cannot be had.
    pub fn of(info: Option<&v1::ContainerInfo>) -> Result<Self, BadContainer> {
        let Some(info) = info else { return Ok(Self::default()) };
        if info.docker.is_some() || info.r#type() == Type::Docker {
            return Err(BadContainer::Later("a container of a Docker engine (type DOCKER)"));
        }
        if !info.network_infos.is_empty() {
            return Err(BadContainer::Later("a network of its own"));
        }
        if info.tty_info.is_some() {
            return Err(BadContainer::Later("a terminal"));
        }
        if info.volumes.len() > VOLUMES_MAX {
            let words = format!("{} volumes, and {VOLUMES_MAX} are the most", info.volumes.len());
            return Err(BadContainer::Senseless(words));
        }
        if info.linux_info.as_ref().is_some_and(|linux| linux.share_cgroups == Some(false)) {
            let words = "control groups of its own inside those of its executor";
            return Err(BadContainer::Later(words));
        }
        let calls = info.linux_info.as_ref().and_then(|linux| linux.seccomp.as_ref());
        if calls.is_some_and(|calls| calls.unconfined() && calls.profile_name.is_some()) {
            let words = "'profile_name' and 'unconfined' of its 'seccomp' contradict each other";
            return Err(BadContainer::Senseless(words.to_owned()));
        }
        let image = info.mesos.as_ref().and_then(|mesos| mesos.image.as_ref());
        let image = image.map(image_of).transpose()?;
        let volumes = info.volumes.iter().map(volume_of).collect::<Result<_, _>>()?;
        let mut wanted =
            Self { image, volumes, hostname: info.hostname.clone(), ..Self::default() };
        info.linux_info.iter().for_each(|linux| wanted.take_linux(linux));
        Ok(wanted)
    }

    /// Whether a task that carries this needs a file system of its own. Most need none, and are not decoded for that.
    pub fn is_carried_apart(carried: &Carried<v1::TaskInfo>) -> bool {
        let may_be = names_field(carried.as_bytes(), &[EXECUTOR, CONTAINER]);
        let apart = |info: v1::TaskInfo| Self::of_task(&info).is_ok_and(|wanted| wanted.is_apart());
        may_be && carried.decode().is_ok_and(apart)
    }

    /// Whether it needs a file system of its own.
    pub fn is_apart(&self) -> bool {
        self.image.is_some() || !self.volumes.is_empty()
    }

    /// What its secret volumes hold, in their order.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretValue> {
        self.volumes.iter().filter_map(|volume| match &volume.source {
            VolumeSource::Secret(value) => Some(value),
            VolumeSource::Host(_) | VolumeSource::Sandbox(_) => None,
        })
    }

    #[expect(deprecated, reason = "frameworks may use the older name")]
    fn take_linux(&mut self, linux: &v1::LinuxInfo) {
        let effective = linux.effective_capabilities.as_ref().or(linux.capability_info.as_ref());
        self.effective = effective.map(names_of);
        self.bounding = linux.bounding_capabilities.as_ref().map(names_of);
        self.shares_processes = linux.share_pid_namespace.unwrap_or(false);
        self.shares_ipc = linux.ipc_mode() == IpcMode::ShareParent;
        self.shared_memory = linux.shm_size.map(|mebibytes| u64::from(mebibytes) << 20);
        self.unconfined = linux.seccomp.as_ref().is_some_and(|calls| calls.unconfined());
        self.profile = linux.seccomp.as_ref().and_then(|calls| calls.profile_name.clone());
    }
}

/// Numbers of fields of a task.
const EXECUTOR: u32 = 5;
const CONTAINER: u32 = 9;

/// Whether the outermost message has one of these fields. What cannot be read has none.
pub(crate) fn names_field(mut bytes: &[u8], fields: &[u32]) -> bool {
    use prost::encoding::{DecodeContext, decode_key, skip_field};
    while !bytes.is_empty() {
        let Ok((field, kind)) = decode_key(&mut bytes) else { return false };
        if fields.contains(&field) {
            return true;
        }
        if skip_field(kind, field, &mut bytes, DecodeContext::default()).is_err() {
            return false;
        }
    }
    false
}

fn names_of(info: &v1::CapabilityInfo) -> Vec<String> {
    info.capabilities().map(|one| one.as_str_name().to_owned()).collect()
}

fn image_of(image: &v1::Image) -> Result<WantedImage, BadContainer> {
    use v1::image::Type;
    let (Type::Docker, Some(docker)) = (image.r#type(), &image.docker) else {
        return Err(BadContainer::Later("an image of another kind than DOCKER"));
    };
    if docker.name.is_empty() {
        return Err(BadContainer::Senseless("its image has no name".into()));
    }
    let config = match &docker.config {
        None => None,
        Some(secret) => match &secret.value {
            Some(value) => Some(Login(value.data.clone())),
            None => return Err(BadContainer::Later("a login that is kept elsewhere")),
        },
    };
    Ok(WantedImage { name: docker.name.clone(), cached: image.cached(), config })
}

fn volume_of(volume: &v1::Volume) -> Result<WantedVolume, BadContainer> {
    let target = volume.container_path.clone();
    if target.trim_matches(['/', '.']).is_empty() {
        let words =
            format!("a volume's 'container_path' is '{target}', which names no place for it");
        return Err(BadContainer::Senseless(words));
    }
    below(&target)?;
    if volume.image.is_some() {
        return Err(BadContainer::Later("an image as a volume"));
    }
    let (source, follows_host) = match (&volume.source, &volume.host_path) {
        (Some(_), Some(_)) => {
            let words = format!("volume '{target}' has both 'source' and 'host_path'");
            return Err(BadContainer::Senseless(words));
        }
        (None, None) => {
            let words = format!("volume '{target}' has neither 'source' nor 'host_path'");
            return Err(BadContainer::Senseless(words));
        }
        (None, Some(path)) => (path_of(path)?, false),
        (Some(source), None) => source_of(source, &target)?,
    };
    let read_only = volume.mode() == v1::volume::Mode::Ro;
    Ok(WantedVolume { source, target, read_only, follows_host })
}

/// The older way: a path that is not absolute is one of the sandbox.
fn path_of(path: &str) -> Result<VolumeSource, BadContainer> {
    below(path)?;
    match path.starts_with('/') {
        true => Ok(VolumeSource::Host(path.to_owned())),
        false => Ok(VolumeSource::Sandbox(path.to_owned())),
    }
}

fn source_of(
    source: &v1::volume::Source,
    target: &str,
) -> Result<(VolumeSource, bool), BadContainer> {
    use v1::mount_propagation::Mode;
    use v1::volume::source::sandbox_path::Type as Whose;
    match (source.r#type(), &source.host_path, &source.sandbox_path) {
        (SourceType::HostPath, Some(host), _) => {
            let mode = host.mount_propagation.as_ref().map(|propagation| propagation.mode());
            let follows = match mode {
                None | Some(Mode::Unknown) => false,
                Some(Mode::HostToContainer) => true,
                Some(Mode::Bidirectional) => {
                    return Err(BadContainer::Later("a volume whose mounts the machine sees"));
                }
            };
            Ok((path_of(&host.path)?, follows))
        }
        (SourceType::SandboxPath, _, Some(sandbox)) => match sandbox.r#type() {
            Whose::Parent => Err(BadContainer::Later("a folder of its parent's sandbox")),
            Whose::Unknown | Whose::Self_ => {
                if sandbox.path.starts_with('/') {
                    let words = format!("the sandbox's path '{}' is absolute", sandbox.path);
                    return Err(BadContainer::Senseless(words));
                }
                Ok((path_of(&sandbox.path)?, false))
            }
        },
        (SourceType::Secret, _, _) => {
            let why = |why| BadContainer::Secret { target: target.to_owned(), why };
            let secret = source.secret.as_ref().ok_or_else(|| why(BadSecret::Unknown))?;
            let value = value_of(secret).map_err(why)?;
            Ok((VolumeSource::Secret(SecretValue(value.to_vec())), false))
        }
        (SourceType::HostPath | SourceType::SandboxPath, _, _) => Err(BadContainer::Senseless(
            "a volume's source is of a type that it does not have".into(),
        )),
        (SourceType::DockerVolume, _, _) => Err(BadContainer::Later("a volume of a Docker driver")),
        (SourceType::CsiVolume, _, _) => Err(BadContainer::Later("a volume of a CSI plug-in")),
        (SourceType::Unknown, _, _) => {
            Err(BadContainer::Senseless("a volume's source has no type".into()))
        }
    }
}

/// A path leads nowhere but down.
fn below(path: &str) -> Result<(), BadContainer> {
    match path.split('/').any(|part| part == "..") || path.contains('\0') {
        true => Err(BadContainer::Senseless(format!("the path '{path}' may not have '..' in it"))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesos() -> v1::ContainerInfo {
        v1::ContainerInfo { r#type: Type::Mesos.into(), ..Default::default() }
    }

    fn with_image(name: &str) -> v1::ContainerInfo {
        let docker = v1::image::Docker { name: name.into(), ..Default::default() };
        let image = v1::Image {
            r#type: v1::image::Type::Docker.into(),
            docker: Some(docker),
            ..Default::default()
        };
        let mesos_info = v1::container_info::MesosInfo { image: Some(image) };
        v1::ContainerInfo { mesos: Some(mesos_info), ..mesos() }
    }

    fn volume(target: &str, host: &str) -> v1::Volume {
        v1::Volume {
            container_path: target.into(),
            host_path: Some(host.into()),
            mode: v1::volume::Mode::Rw.into(),
            ..Default::default()
        }
    }

    #[test]
    fn an_image_and_volumes_are_read_from_what_mesos_has_for_them() {
        let mut info = with_image("busybox");
        info.volumes = vec![volume("/data", "/srv"), volume("own", "kept")];
        info.volumes[1].mode = v1::volume::Mode::Ro.into();
        let wanted = Wanted::of(Some(&info)).unwrap();
        let image = wanted.image.as_ref().unwrap();
        assert_eq!((image.name.as_str(), image.cached), ("busybox", true));
        assert!(wanted.is_apart() && !wanted.volumes[0].read_only && wanted.volumes[1].read_only);
        assert_eq!(wanted.volumes[0].source, VolumeSource::Host("/srv".into()));
        assert_eq!(wanted.volumes[1].source, VolumeSource::Sandbox("kept".into()));
        assert_eq!(Wanted::of(Some(&mesos())).unwrap(), Wanted::default());
    }

    #[test]
    fn a_task_is_known_to_need_a_file_system_by_what_it_carries() {
        let carries = |info: &v1::TaskInfo| Wanted::is_carried_apart(&Carried::new(info));
        let with = |container| v1::TaskInfo { container: Some(container), ..Default::default() };
        assert!(carries(&with(with_image("busybox"))) && !carries(&with(mesos())));
        let container = Some(with_image("busybox"));
        let executor = Some(v1::ExecutorInfo { container, ..Default::default() });
        assert!(carries(&v1::TaskInfo { executor, ..Default::default() }));
        let plain = v1::TaskInfo { executor: Some(Default::default()), ..Default::default() };
        assert!(!carries(&plain) && !carries(&Default::default()));
        assert!(!Wanted::is_carried_apart(&Carried::from_bytes(vec![0xff])));
    }

    #[test]
    fn what_no_agent_makes_is_refused_by_name() {
        let docker = v1::ContainerInfo { r#type: Type::Docker.into(), ..Default::default() };
        let network = v1::NetworkInfo::default();
        let network = v1::ContainerInfo { network_infos: vec![network], ..mesos() };
        let climbs = v1::ContainerInfo { volumes: vec![volume("../../etc", "x")], ..mesos() };
        let made = v1::ContainerInfo { volumes: vec![volume("/x", "/srv/../etc/x")], ..mesos() };
        let over = v1::ContainerInfo { volumes: vec![volume("/./", "/srv")], ..mesos() };
        let both = v1::Volume { source: Some(Default::default()), ..volume("/a", "/b") };
        let both = v1::ContainerInfo { volumes: vec![both], ..mesos() };
        for (info, words) in [
            (docker, "asks for a container of a Docker engine"),
            (network, "asks for a network of its own"),
            (climbs, "may not have '..' in it"),
            (made, "may not have '..' in it"),
            (over, "'container_path' is '/./', which names no place"),
            (both, "has both 'source' and 'host_path'"),
            (with_image(""), "its image has no name"),
        ] {
            let said = Wanted::of(Some(&info)).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
    }

    fn secret_volume(secret: Option<v1::Secret>) -> v1::ContainerInfo {
        let source = v1::volume::Source {
            r#type: Some(SourceType::Secret.into()),
            secret,
            ..Default::default()
        };
        let key = v1::Volume {
            container_path: "key".into(),
            mode: v1::volume::Mode::Ro.into(),
            source: Some(source),
            ..Default::default()
        };
        v1::ContainerInfo { volumes: vec![volume("/data", "/srv"), key], ..mesos() }
    }

    #[test]
    fn vol_05_a_secret_by_its_value_is_a_volume_and_one_by_reference_is_refused_in_words() {
        let value = Some(v1::secret::Value { data: b"open sesame".to_vec() });
        let secret = v1::Secret {
            r#type: Some(v1::secret::Type::Value.into()),
            value,
            ..Default::default()
        };
        let wanted = Wanted::of(Some(&secret_volume(Some(secret)))).unwrap();
        assert!(wanted.is_apart());
        let held: Vec<_> = wanted.secrets().collect();
        assert_eq!(held, [&SecretValue(b"open sesame".to_vec())]);
        assert!(!format!("{wanted:?}").contains("111"), "no bytes are shown: {wanted:?}");
        let reference = Some(v1::secret::Reference { name: "store/key".into(), key: None });
        let elsewhere = v1::Secret {
            r#type: Some(v1::secret::Type::Reference.into()),
            reference,
            ..Default::default()
        };
        for (secret, words) in [
            (Some(elsewhere), "Secret 'store/key' is kept elsewhere"),
            (None, "volume 'key' that is no secret"),
        ] {
            let said = Wanted::of(Some(&secret_volume(secret))).unwrap_err().to_string();
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn logins_are_shown_to_nobody() {
        let image = WantedImage {
            name: "a".into(),
            cached: true,
            config: Some(Login(b"open sesame".to_vec())),
        };
        assert!(!format!("{image:?}").contains("111"), "no bytes either: {image:?}");
    }
}
