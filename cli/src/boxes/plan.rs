//! What a box is to be: flags to a container.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::CString;
use std::path::{Path, PathBuf};

use containerizer::cgroups::Hierarchies;
use containerizer::cgroups::logic::limits::{Bound, Cpu, Limits, Memory};
use containerizer::confinement::capabilities::Capabilities;
use containerizer::confinement::mounts::{Propagation, SHARED_MEMORY};
use containerizer::confinement::seccomp::{Filter, Profile, Surroundings};
use containerizer::confinement::{BackEnd, Confinement, Identity, Mount, Root, UserSpec};
use containerizer::container::{Container, ContainerName};
use containerizer::isolation::{self, Right};
use containerizer::life::MARK;
use containerizer::namespaces::Namespaces;
use containerizer::runtime::Folder;
use containerizer::{network, subordinate};

use crate::arguments::{BoxArguments, Net};

/// Unless it is given.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What this process may do for a box.
pub(super) fn right(_arguments: &BoxArguments) -> Right {
    isolation::right()
}

/// Whether it runs in the host's own root.
fn in_hosts_root(arguments: &BoxArguments) -> bool {
    arguments.root == Path::new("/") && arguments.layers.is_empty()
}

/// All but what depends on its folder.
pub(super) fn container(
    arguments: &BoxArguments,
    right: Right,
) -> Result<Container, Box<dyn Error>> {
    let hosts_root = in_hosts_root(arguments);
    if right == Right::None && !(hosts_root && arguments.volume.is_empty()) {
        let words =
            "this user may make no namespaces here, which a root and volumes of its own need";
        return Err(format!("{words}; run it as root, or in the host's root: ROOTFS /").into());
    }
    let namespaces = match right {
        Right::None => Namespaces::default(),
        Right::Root => namespaces(arguments),
        Right::UserNamespace => {
            Namespaces { users: Some(subordinate::user_map()), ..namespaces(arguments) }
        }
    };
    let arguments_of_program = strings(arguments.command.iter().cloned())?;
    let mut mounts = match (hosts_root, right) {
        (true, Right::None) => Vec::new(),
        (true, Right::Root | Right::UserNamespace) => vec![Mount::Processes],
        (false, _) => Mount::usual(SHARED_MEMORY),
    };
    for volume in &arguments.volume {
        mounts.push(parse_volume(volume)?);
    }
    let confinement = Confinement {
        root: (!hosts_root).then(|| root(arguments)).transpose()?,
        mounts,
        identity: identity(arguments, right)?,
        work_dir: arguments.workdir.clone(),
        ..Confinement::default()
    };
    Ok(Container { arguments: arguments_of_program, confinement, namespaces, session: false })
}

/// What depends on its folder.
pub(super) fn finish(
    arguments: &BoxArguments,
    folder: &Folder,
    name: &ContainerName,
    container: &mut Container,
) -> Result<(), Box<dyn Error>> {
    let own_names = container.namespaces.names;
    let hostname = arguments.hostname.clone().unwrap_or_else(|| name.to_string());
    let confinement = &mut container.confinement;
    if own_names {
        confinement.hostname = Some(hostname.clone());
    }
    if confinement.root.is_some() {
        let own = container.namespaces.network;
        confinement.mounts.extend(network::files(folder, own, Some(&hostname))?);
    }
    confinement.environment = environment(arguments, folder, &hostname)?;
    Ok(())
}

fn namespaces(arguments: &BoxArguments) -> Namespaces {
    Namespaces { network: arguments.net == Net::None, ..Namespaces::all() }
}

fn root(arguments: &BoxArguments) -> Result<Root, Box<dyn Error>> {
    let layers = std::iter::once(&arguments.root).chain(&arguments.layers);
    let absolute = |path: &PathBuf| {
        let path = std::fs::canonicalize(path)
            .map_err(|error| format!("use {} as a root: {error}", path.display()))?;
        match path.is_dir() {
            true => Ok(path),
            false => Err(format!("use {} as a root: it is no folder", path.display())),
        }
    };
    let layers = layers.map(absolute).collect::<Result<_, String>>()?;
    Ok(Root { layers, back_end: BackEnd::Auto, read_only: arguments.read_only })
}

fn identity(arguments: &BoxArguments, right: Right) -> Result<Identity, Box<dyn Error>> {
    let capabilities = Capabilities::usual(&arguments.cap_add, &arguments.cap_drop)?;
    let calls = match arguments.seccomp.as_str() {
        "unconfined" => None,
        word => {
            let profile = match word {
                "default" => Profile::usual(),
                file => {
                    let json = std::fs::read(file)
                        .map_err(|error| format!("read the seccomp profile {file}: {error}"))?;
                    Profile::read(&json)?
                }
            };
            let surroundings = Surroundings::here(capabilities.bounding.clone());
            Some(Filter::compile(&profile, &surroundings)?)
        }
    };
    let is_plain = right == Right::None;
    Ok(Identity {
        user: arguments.user.clone().map(UserSpec::Named),
        capabilities: (!is_plain).then_some(capabilities),
        // Without any right a filter needs it.
        no_new_privileges: arguments.no_new_privileges || is_plain,
        calls,
        ..Identity::default()
    })
}

fn parse_volume(text: &str) -> Result<Mount, String> {
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, read_only) = match parts.as_slice() {
        [source, target] | [source, target, "rw"] => (source, target, false),
        [source, target, "ro"] => (source, target, true),
        _ => return Err(format!("--volume {text}: write HOST:CONTAINER or HOST:CONTAINER:ro")),
    };
    if !target.starts_with('/') {
        return Err(format!("--volume {text}: the path in the container begins with /"));
    }
    let source = std::fs::canonicalize(source)
        .map_err(|error| format!("--volume {text}: {source} on the host: {error}"))?;
    let propagation = Propagation::Private;
    Ok(Mount::Bind { source, target: target.into(), read_only, propagation })
}

fn environment(
    arguments: &BoxArguments,
    folder: &Folder,
    hostname: &str,
) -> Result<Vec<CString>, Box<dyn Error>> {
    let mut pairs = Vec::new();
    for given in &arguments.env {
        match given.split_once('=') {
            Some(_) => pairs.push(given.clone()),
            None => {
                let value = std::env::var_os(given);
                pairs.extend(value.map(|value| format!("{given}={}", value.to_string_lossy())));
            }
        }
    }
    pairs.push(PATH.to_owned());
    pairs.push(format!("HOSTNAME={hostname}"));
    pairs.push("HOME=/root".to_owned());
    pairs.extend(std::env::var_os("TERM").map(|term| format!("TERM={}", term.to_string_lossy())));
    pairs.push(format!("{MARK}={}", folder.path().display()));
    // The first of a name counts: what is given comes before what is usual.
    let mut names = BTreeSet::new();
    pairs.retain(|pair| names.insert(pair.split('=').next().unwrap_or_default().to_owned()));
    strings(pairs.into_iter())
}

fn strings(texts: impl Iterator<Item = String>) -> Result<Vec<CString>, Box<dyn Error>> {
    let c = |text: String| {
        CString::new(text.clone()).map_err(|_| format!("'{text}' has a zero byte in it").into())
    };
    texts.map(c).collect()
}

/// What the flags ask for; the default asks for nothing.
pub(super) fn limits(arguments: &BoxArguments) -> Limits {
    let milli = |cpus: f64| Bound::At(thousandths(cpus));
    let bytes = |megabytes: u64| megabytes << 20;
    Limits {
        cpu: arguments.cpus.map(|cpus| Cpu {
            request_milli: thousandths(cpus),
            limit_milli: milli(cpus),
            revocable: false,
        }),
        memory: arguments.memory.map(|megabytes| Memory {
            soft: bytes(megabytes),
            hard: Bound::At(bytes(megabytes)),
            swap: None,
        }),
        pids: arguments.pids.map(Bound::At),
        ..Limits::default()
    }
}

fn thousandths(cpus: f64) -> u64 {
    std::time::Duration::from_secs_f64(cpus.clamp(0.001, 1e6)).as_millis().try_into().unwrap_or(1)
}

/// What of them is real.
pub(super) fn limits_in_words(arguments: &BoxArguments, groups: Option<&Hierarchies>) -> String {
    let Some(groups) = groups else { return "none".to_owned() };
    let cpus = arguments.cpus.map(|cpus| format!("{cpus} cores"));
    let memory = arguments.memory.map(|memory| format!("{memory} MB of memory"));
    let pids = arguments.pids.map(|pids| format!("{pids} processes"));
    let all: Vec<_> = [cpus, memory, pids].into_iter().flatten().collect();
    format!("{}, by control groups {:?}", all.join(", "), groups.version())
}
