//! What a container is to be, made of what its task asks for, what its image says and what the agent's operator allows.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use containerizer::confinement::capabilities::Capabilities;
use containerizer::confinement::mounts::{Propagation, SHARED_MEMORY};
use containerizer::confinement::{Confinement, Identity, Mount, Root, UserSpec};
use containerizer::container::Container;
use containerizer::inside::Inside;
use containerizer::namespaces::Namespaces;
use images::Pulled;
use nix::unistd::User;
use protocol::container::{SecretValue, VolumeSource, Wanted, WantedVolume};
use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::calls;
use crate::containers::ContainerSettings;
use crate::logic::StartExecutor;
use crate::logic::entrypoint::{Says, program};
use crate::pulls::Images;

/// Rights of a file system in memory that everybody may write into.
const FOR_ALL: u32 = 0o1777;

/// Who asks for a container, and where it may lay things down.
pub(super) struct Asks<'a> {
    pub(super) start: &'a StartExecutor,
    /// `None`: the agent's own user.
    pub(super) owner: Option<&'a User>,
    /// On the host.
    pub(super) sandbox: &'a Path,
}

/// What it is shut into; nothing, if it needs nothing of its own. In words, what of it cannot be had.
pub(super) fn inside(
    settings: Option<&ContainerSettings>,
    images: Option<&Images>,
    asks: &Asks<'_>,
    pulled: Option<&Pulled>,
) -> Result<Option<Inside>, String> {
    let wanted = &asks.start.wanted;
    let Some(settings) = settings else {
        calls::filter(None, wanted, false, None)?;
        return match wanted.is_apart() {
            true => Err("this agent gives no container a file system of its own; start it with --isolation=filesystem/linux".into()),
            false => Ok(None),
        };
    };
    let sandbox = std::fs::canonicalize(asks.sandbox)
        .map_err(|error| format!("cannot find the sandbox {}: {error}", asks.sandbox.display()))?;
    let root = pulled.map(|pulled| root(pulled, images));
    let place = Place { settings, asks, sandbox: &sandbox, has_root: root.is_some() };
    let namespaces = place.namespaces();
    let identity = place.identity()?;
    let (mut mounts, reached) = place.mounts(&namespaces)?;
    let apart = namespaces != Namespaces::default() || !mounts.is_empty();
    if !apart && identity == Identity::default() {
        return Ok(None);
    }
    let mut inside = Inside { reached, ..Inside::default() };
    let mut confinement = Confinement { root, identity, ..Confinement::default() };
    inside.sandbox = place.sandbox_within();
    confinement.work_dir = Some(inside.sandbox.clone());
    confinement.hostname = wanted.hostname.clone().filter(|_| namespaces.names);
    if let Some(pulled) = pulled {
        inside.image = Some(pulled.reference.to_string());
        inside.layers = pulled.layer_ids.iter().map(ToString::to_string).collect();
        if images.is_none_or(|images| !images.settings().ignores_runtime) {
            place.take_runtime(pulled, &mut inside, &mut confinement)?;
        }
    }
    confinement.mounts.append(&mut mounts);
    inside.container = Container { confinement, namespaces, session: true, ..Container::default() };
    Ok(Some(inside))
}

fn root(pulled: &Pulled, images: Option<&Images>) -> Root {
    let back_end = images.map(|images| images.settings().back_end).unwrap_or_default();
    Root { layers: pulled.layers.clone(), back_end, read_only: false }
}

struct Place<'a> {
    settings: &'a ContainerSettings,
    asks: &'a Asks<'a>,
    sandbox: &'a Path,
    has_root: bool,
}

impl Place<'_> {
    fn wanted(&self) -> &Wanted {
        &self.asks.start.wanted
    }

    fn sandbox_within(&self) -> PathBuf {
        match self.has_root {
            true => self.settings.sandbox_directory.clone(),
            false => self.sandbox.to_owned(),
        }
    }

    /// What has an image is closed; of other containers that is up to the operator.
    fn namespaces(&self) -> Namespaces {
        let (wanted, has_root) = (self.wanted(), self.has_root);
        let processes = (has_root || self.settings.processes) && !wanted.shares_processes;
        let ipc = (has_root || self.settings.ipc) && !wanted.shares_ipc;
        let made = Namespaces {
            mounts: has_root || processes || ipc || !wanted.volumes.is_empty(),
            processes,
            ipc,
            names: has_root || wanted.hostname.is_some(),
            groups: has_root,
            ..Namespaces::default()
        };
        match made == Namespaces::default() {
            true => made,
            false => Namespaces { users: self.settings.users.clone(), ..made },
        }
    }

    fn mounts(&self, namespaces: &Namespaces) -> Result<(Vec<Mount>, Vec<PathBuf>), String> {
        let wanted = self.wanted();
        let bytes = wanted.shared_memory.or(self.settings.shared_memory).unwrap_or(SHARED_MEMORY);
        let mut mounts = Vec::new();
        if self.has_root {
            mounts.extend(Mount::usual(bytes));
            mounts.push(bind(self.sandbox.to_owned(), self.sandbox_within(), false));
        } else if namespaces.processes {
            mounts.push(Mount::Processes);
        }
        let memory = || PathBuf::from("/dev/shm");
        match (self.has_root, namespaces.ipc) {
            (false, true) => mounts.push(Mount::Memory { target: memory(), bytes, mode: FOR_ALL }),
            // As the machine has it.
            (true, false) => {
                let of_host = std::fs::canonicalize(memory())
                    .map_err(|error| format!("cannot share the machine's /dev/shm: {error}"))?;
                mounts.push(bind(of_host, memory(), false));
            }
            (true, true) | (false, false) => {}
        }
        let mut reached = Vec::new();
        for volume in &wanted.volumes {
            let (mount, of_host) = self.volume(volume)?;
            mounts.push(mount);
            reached.extend(of_host);
        }
        Ok((mounts, reached))
    }

    /// The mount; and the path of the host that whoever asks for it must be able to reach itself.
    fn volume(&self, volume: &WantedVolume) -> Result<(Mount, Option<PathBuf>), String> {
        let target = Path::new(&volume.target);
        let named =
            |words: String| format!("cannot mount the volume on {}: {words}", volume.target);
        let (source, of_host) = match &volume.source {
            VolumeSource::Sandbox(path) => {
                let made = self.make_below(Path::new(path), true);
                made.map_err(|error| named(format!("make '{path}' in the sandbox: {error}")))?;
                (self.sandbox.join(path), None)
            }
            VolumeSource::Host(path) => {
                let found = self.of_host(Path::new(path)).map_err(named)?;
                (found.clone(), Some(found))
            }
            VolumeSource::Secret(value) => {
                return self.secret(target, value).map(|mount| (mount, None)).map_err(named);
            }
        };
        // In the host's root nothing is made by whoever mounts.
        if !target.is_absolute() && !self.has_root {
            let made = self.make_below(target, source.is_dir());
            made.map_err(|error| named(format!("make it: {error}")))?;
        }
        let target = self.sandbox_within().join(target);
        let propagation = match volume.follows_host {
            true => Propagation::HostToContainer,
            false => Propagation::Private,
        };
        let read_only = volume.read_only;
        Ok((Mount::Bind { source, target, read_only, propagation }, of_host))
    }

    /// A file that only the task's user reads.
    fn secret(&self, target: &Path, SecretValue(value): &SecretValue) -> Result<Mount, String> {
        if !target.is_absolute() && !self.has_root {
            let made = self.make_below(target, false);
            made.map_err(|error| format!("make it: {error}"))?;
        }
        let owner = match (self.asks.owner, &self.settings.users) {
            (Some(user), None) => (user.uid.as_raw(), user.gid.as_raw()),
            // In a namespace of users there is one, whom the container calls root.
            (None, _) | (_, Some(_)) => (0, 0),
        };
        // Whom an image makes of root is known there only, and nobody but its programs sees the file.
        let may_be_other = self.has_root && self.asks.owner.is_none();
        let mode = if may_be_other { 0o444 } else { 0o400 };
        let target = self.sandbox_within().join(target);
        Ok(Mount::Secret { target, value: value.clone(), mode, owner })
    }

    fn of_host(&self, path: &Path) -> Result<PathBuf, String> {
        if !path.exists() && self.settings.made_below.iter().any(|folder| leads_below(path, folder))
        {
            std::fs::create_dir_all(path)
                .map_err(|error| format!("make {}: {error}", path.display()))?;
        }
        std::fs::canonicalize(path).map_err(|error| {
            format!("{} of the machine: {error}; make it, or have the agent do so by --host_path_volume_force_creation", path.display())
        })
    }

    /// Makes a folder, or an empty file, of the sandbox that belongs to the task's user, whatever links somebody has put there.
    fn make_below(&self, path: &Path, is_folder: bool) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut folder: OwnedFd = rustix::fs::open(self.sandbox, flags, Mode::empty())?;
        let mut parts = path.components().filter_map(normal).peekable();
        while let Some(name) = parts.next() {
            let is_file = !is_folder && parts.peek().is_none();
            let made = match is_file {
                true => {
                    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                    rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(0o644)).map(drop)
                }
                false => rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o755)),
            };
            match made {
                Ok(()) => self.give(&folder, name)?,
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            if !is_file {
                let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
                folder = rustix::fs::openat2(&folder, name, flags, Mode::empty(), resolve)?;
            }
        }
        Ok(())
    }

    fn give(&self, folder: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
        let Some(user) = self.asks.owner else { return Ok(()) };
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        let owner = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(folder, name, Some(owner.0), Some(owner.1), flags)
    }

    fn identity(&self) -> Result<Identity, String> {
        let capabilities = self.capabilities()?;
        let calls = calls::filter(
            self.settings.calls.as_ref(),
            self.wanted(),
            self.has_root,
            capabilities.as_ref(),
        )?;
        // Whoever is not root may bring an image, or mount over a file, by which a program of root's would do as it says.
        let is_led = self.asks.owner.is_some() && self.wanted().is_apart();
        let no_new_privileges = self.settings.no_new_privileges || is_led;
        Ok(Identity { capabilities, no_new_privileges, calls, ..Identity::default() })
    }

    /// In an image the usual ones, if nobody says more; elsewhere what the operator and the task say.
    fn capabilities(&self) -> Result<Option<Capabilities>, String> {
        let wanted = self.wanted();
        let words = |error: containerizer::confinement::ConfineError| error.to_string();
        let usual = || Capabilities::usual(&[], &[]).map_err(words);
        let allowed = |names: &[String]| {
            Capabilities::usual(names, &["ALL".to_owned()]).map(|all| all.bounding).map_err(words)
        };
        let Some(settings) = &self.settings.capabilities else {
            if !self.has_root {
                return Ok(None);
            }
            let usual = usual()?;
            let asked = wanted.bounding.iter().chain(&wanted.effective).flatten().cloned();
            let asked = allowed(&asked.collect::<Vec<_>>())?;
            if let Some(more) = asked.difference(&usual.bounding).next() {
                return Err(format!(
                    "it asks for the capability {more}, which this agent gives nobody; start it with --isolation=linux/capabilities and --bounding_capabilities"
                ));
            }
            let names = wanted.effective.as_ref().or(wanted.bounding.as_ref());
            let names = names.map(|names| allowed(names)).transpose()?;
            return Ok(Some(Capabilities::bounded_by(names.unwrap_or(usual.bounding))));
        };
        let most = settings.bounding.as_ref().map(|names| allowed(names)).transpose()?;
        let effective = wanted.effective.as_ref().or(settings.effective.as_ref());
        let effective = effective.map(|names| allowed(names)).transpose()?;
        let asked = wanted.bounding.as_ref().map(|names| allowed(names)).transpose()?;
        let bounding = match (asked.or_else(|| effective.clone()), &most) {
            (Some(names), _) => Some(names),
            (None, Some(most)) => Some(most.clone()),
            (None, None) if self.has_root => Some(usual()?.bounding),
            (None, None) => None,
        };
        let Some(bounding) = bounding else { return Ok(None) };
        let effective_or_all = effective.clone().unwrap_or_else(|| bounding.clone());
        let beyond = effective_or_all
            .difference(&bounding)
            .chain(most.iter().flat_map(|most| bounding.difference(most)));
        if let Some(more) = beyond.into_iter().next() {
            return Err(format!(
                "it asks for the capability {more}, which is more than it may ever have; leave it out"
            ));
        }
        let ambient = effective.unwrap_or_default();
        Ok(Some(Capabilities { bounding, effective: effective_or_all, ambient }))
    }

    /// Entry point, environment, user and folder, as the image says.
    fn take_runtime(
        &self,
        pulled: &Pulled,
        inside: &mut Inside,
        confinement: &mut Confinement,
    ) -> Result<(), String> {
        let config = &pulled.config;
        let says = Says { entrypoint: &config.entrypoint, command: &config.command };
        inside.program = program(&self.asks.start.command, says)?;
        let pairs = config.environment.iter().filter_map(|pair| pair.split_once('='));
        inside.environment =
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if !config.working_directory.is_empty() {
            confinement.work_dir = Some(PathBuf::from(&config.working_directory));
        }
        // An image may make somebody else of root, and of nobody else: its `0` is root outside as well.
        let is_said = self.asks.start.command.user.is_some();
        if self.settings.users.is_some() {
            // There is one user, whom the image calls root: see [`ignored_user`].
        } else if !config.user.is_empty() && !is_said && self.asks.owner.is_none() {
            confinement.identity.user = Some(UserSpec::Named(config.user.clone()));
            confinement.gives = Some(inside.sandbox.clone());
        }
        Ok(())
    }
}

/// The user that an image names, where it cannot be had; which group does not matter.
pub(super) fn ignored_user<'a>(
    settings: &ContainerSettings,
    pulled: Option<&'a Pulled>,
) -> Option<&'a str> {
    settings.users.as_ref()?;
    let user = &pulled?.config.user;
    let is_root = matches!(user.split(':').next(), None | Some("" | "0" | "root"));
    (!is_root).then_some(user)
}

/// Whether what would be made of a path is below this folder, whatever links are on the way.
fn leads_below(path: &Path, folder: &Path) -> bool {
    let there = path.ancestors().find(|above| above.exists());
    let truth = |path: &Path| std::fs::canonicalize(path).ok();
    match (there.and_then(truth), truth(folder)) {
        (Some(there), Some(truth)) => path.starts_with(folder) && there.starts_with(truth),
        (_, _) => false,
    }
}

fn normal(component: Component<'_>) -> Option<&OsStr> {
    match component {
        Component::Normal(name) => Some(name),
        Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => {
            None
        }
    }
}

fn bind(source: PathBuf, target: PathBuf, read_only: bool) -> Mount {
    Mount::Bind { source, target, read_only, propagation: Propagation::Private }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_for_a_volume_is_below_where_that_is_allowed_whatever_links_say() {
        let dir = tempfile::tempdir().unwrap();
        let (allowed, other) = (dir.path().join("allowed"), dir.path().join("other"));
        std::fs::create_dir(&allowed).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&other, allowed.join("link")).unwrap();
        assert!(leads_below(&allowed.join("a/b"), &allowed));
        assert!(!leads_below(&allowed.join("link/a"), &allowed));
        assert!(!leads_below(&other.join("a"), &allowed));
        assert!(!leads_below(&allowed.join("a"), &dir.path().join("not there")));
    }
}
