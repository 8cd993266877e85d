//! By what an agent keeps its containers apart, in Mesos's words.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::{
    CallSettings, CapabilitySettings, ContainerSettings, GroupSettings, Isolators as ControlGroups,
};
use clap::{ArgAction, Args};
use containerizer::disk::DiskSettings;
use containerizer::isolation::{self, Right};
use containerizer::namespaces::UserMap;

use super::images::ImageArguments;
use crate::units;

/// Those that are here. `posix/…` says how it is done where nothing else is said.
const KNOWN: [&str; 18] = [
    "posix/cpu",
    "posix/mem",
    "filesystem/posix",
    "cgroups/cpu",
    "cgroups/mem",
    "disk/du",
    FILE_SYSTEM,
    SHARED,
    RUNTIME,
    "volume/host_path",
    "volume/sandbox_path",
    "volume/secret",
    "environment_secret",
    "namespaces/pid",
    "namespaces/ipc",
    "linux/capabilities",
    "linux/nnp",
    "linux/seccomp",
];

const FILE_SYSTEM: &str = "filesystem/linux";
/// In Mesos an older way to the volumes of [`FILE_SYSTEM`], and no more.
const SHARED: &str = "filesystem/shared";
const RUNTIME: &str = "docker/runtime";

/// Nobody looks without a pause, whatever is said.
const LOOK_EVERY_MIN: Duration = Duration::from_millis(10);

/// What the others of these are parts of.
const OF_FILE_SYSTEM: [&str; 9] = [
    RUNTIME,
    "volume/host_path",
    "volume/sandbox_path",
    "volume/secret",
    "namespaces/pid",
    "namespaces/ipc",
    "linux/capabilities",
    "linux/nnp",
    "linux/seccomp",
];

/// Those that were named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Isolators(BTreeSet<String>);

impl Isolators {
    fn has(&self, name: &str) -> bool {
        self.0.contains(name) || name == FILE_SYSTEM && self.0.contains(SHARED)
    }
}

/// How containers are kept apart.
#[derive(Args, Clone, Debug)]
pub(crate) struct IsolationArguments {
    /// What containers are limited by, with commas between: `cgroups/cpu` gives each its share of the processors, `cgroups/mem`
    /// ends one that takes more memory than its tasks and its executor hold, `disk/du` measures sandboxes; and what they have of their own: `filesystem/linux`
    /// mounts volumes, with `docker/runtime` and --image_providers=docker images are run, `namespaces/pid`, `namespaces/ipc`,
    /// `linux/capabilities`, `linux/nnp` and `linux/seccomp` are for containers without an image, too; `posix/cpu`, `posix/mem` and
    /// `filesystem/posix` limit nothing
    #[arg(long, default_value = "posix/cpu,posix/mem", value_parser = isolators, value_name = "LIST")]
    isolation: Isolators,
    /// The folder below which an agent's control groups are
    #[arg(long, default_value = "airside", value_name = "PATH")]
    cgroups_root: String,
    /// Whether a container of `cgroups/cpu` gets no more than it holds, also where processors are idle
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    cgroups_enable_cfs: bool,
    /// How often `disk/du` looks how much of the disk each sandbox takes
    #[arg(long, default_value = "15secs", value_name = "TIME", value_parser = units::duration)]
    container_disk_watch_interval: Duration,
    /// Whether `disk/du` ends a container whose sandbox takes more than the `disk` of its tasks and its executor
    #[arg(long, default_value_t = false, action = ArgAction::Set, value_name = "BOOL")]
    enforce_container_disk_quota: bool,
    /// Where a container with an image finds its sandbox
    #[arg(long, default_value = "/mnt/mesos/sandbox", value_name = "PATH", value_parser = absolute)]
    sandbox_directory: PathBuf,
    /// Which capabilities a task has that does not say, as `{"capabilities":["NET_RAW"]}`; takes `linux/capabilities`
    #[arg(long, alias = "allowed-capabilities", value_name = "JSON", value_parser = capabilities)]
    effective_capabilities: Option<Capabilities>,
    /// Which capabilities a task can have at most, as `{"capabilities":["NET_RAW"]}`; takes `linux/capabilities`
    #[arg(long, value_name = "JSON", value_parser = capabilities)]
    bounding_capabilities: Option<Capabilities>,
    /// A folder of seccomp profiles in Docker's format, which tasks name; takes `linux/seccomp`
    #[arg(long, value_name = "DIR")]
    seccomp_config_dir: Option<PathBuf>,
    /// The one of them by which the calls of a task are filtered that names none; takes `linux/seccomp`
    #[arg(long, value_name = "NAME")]
    seccomp_profile_name: Option<String>,
    /// The size of a container's own /dev/shm, unless its task says another [default: 64MB]
    #[arg(long, value_name = "SIZE", value_parser = units::megabytes)]
    default_container_shm_size: Option<u64>,
    /// Folders below which what is missing of a volume's path on the host is made, with colons between
    #[arg(long, value_name = "PATHS", value_delimiter = ':')]
    host_path_volume_force_creation: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) images: ImageArguments,
}

/// By name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Capabilities(Vec<String>);

impl IsolationArguments {
    /// Flags that do not go together are refused in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let isolation = &self.isolation;
        if self.images.are_run() && !(isolation.has(FILE_SYSTEM) && isolation.has(RUNTIME)) {
            return Err(format!(
                "--image_providers needs --isolation={FILE_SYSTEM},{RUNTIME}: images are roots of their own, and say what runs"
            ));
        }
        let part = OF_FILE_SYSTEM.iter().find(|name| isolation.has(name));
        if let (Some(part), false) = (part, isolation.has(FILE_SYSTEM)) {
            return Err(format!("'{part}' needs '{FILE_SYSTEM}' beside it in --isolation"));
        }
        let says = self.effective_capabilities.is_some() || self.bounding_capabilities.is_some();
        if says && !isolation.has("linux/capabilities") {
            return Err("--effective_capabilities and --bounding_capabilities need 'linux/capabilities' in --isolation".into());
        }
        let says = self.seccomp_config_dir.is_some() || self.seccomp_profile_name.is_some();
        if says && !isolation.has("linux/seccomp") {
            return Err("--seccomp_config_dir and --seccomp_profile_name need 'linux/seccomp' in --isolation".into());
        }
        if let Some(name) = &self.seccomp_profile_name {
            self.calls().read(name)?;
        }
        if self.enforce_container_disk_quota && !isolation.has("disk/du") {
            return Err("--enforce_container_disk_quota needs 'disk/du' in --isolation".into());
        }
        if isolation.has(FILE_SYSTEM) && isolation::right() == Right::None {
            return Err(format!(
                "'{FILE_SYSTEM}' takes root, or a kernel that lets this user make namespaces of users, which this one does not (see sysctl user.max_user_namespaces and kernel.unprivileged_userns_clone); start the agent as root, or leave it out"
            ));
        }
        self.images.check()
    }

    /// For an agent; `None`: nothing is limited.
    pub(crate) fn groups(&self) -> Option<GroupSettings> {
        let cpu = self.isolation.has("cgroups/cpu");
        let memory = self.isolation.has("cgroups/mem");
        (cpu || memory).then(|| GroupSettings {
            root: self.cgroups_root.clone(),
            isolators: ControlGroups { cpu, memory },
            hard_cpu: self.cgroups_enable_cfs,
        })
    }

    fn calls(&self) -> CallSettings {
        CallSettings {
            profiles: self.seccomp_config_dir.clone(),
            profile: self.seccomp_profile_name.clone(),
        }
    }

    /// For an agent; `None`: nobody looks.
    pub(crate) fn disk(&self) -> Option<DiskSettings> {
        self.isolation.has("disk/du").then(|| DiskSettings {
            watch_every: self.container_disk_watch_interval.max(LOOK_EVERY_MIN),
            enforce: self.enforce_container_disk_quota,
        })
    }

    /// For the agent of this work directory; `None`: containers have nothing of their own.
    pub(crate) fn containers(
        &self,
        work_dir: &Path,
        authorities: Option<&Path>,
    ) -> Result<Option<ContainerSettings>, String> {
        let isolation = &self.isolation;
        if !isolation.has(FILE_SYSTEM) {
            return Ok(None);
        }
        let names = |said: &Option<Capabilities>| said.clone().map(|Capabilities(names)| names);
        let capabilities = CapabilitySettings {
            effective: names(&self.effective_capabilities),
            bounding: names(&self.bounding_capabilities),
        };
        Ok(Some(ContainerSettings {
            images: self.images.settings(work_dir, authorities)?,
            processes: isolation.has("namespaces/pid"),
            ipc: isolation.has("namespaces/ipc"),
            capabilities: isolation.has("linux/capabilities").then_some(capabilities),
            calls: isolation.has("linux/seccomp").then(|| self.calls()),
            no_new_privileges: isolation.has("linux/nnp"),
            sandbox_directory: self.sandbox_directory.clone(),
            shared_memory: self.default_container_shm_size.map(|megabytes| megabytes << 20),
            made_below: self.host_path_volume_force_creation.clone(),
            users: (isolation::right() == Right::UserNamespace).then_some(UserMap::One),
        }))
    }
}

fn isolators(text: &str) -> Result<Isolators, String> {
    let named: BTreeSet<&str> =
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if let Some(unknown) = named.iter().find(|name| !KNOWN.contains(name)) {
        let known = KNOWN.join("', '");
        return Err(format!("'{unknown}' is no isolator of this release; there are '{known}'"));
    }
    for (kind, one, other) in [
        ("processors", "posix/cpu", "cgroups/cpu"),
        ("memory", "posix/mem", "cgroups/mem"),
        ("file systems", "filesystem/posix", FILE_SYSTEM),
        ("file systems", "filesystem/posix", SHARED),
        ("file systems", SHARED, FILE_SYSTEM),
    ] {
        if named.contains(one) && named.contains(other) {
            return Err(format!("'{one}' and '{other}' are both for {kind}; name one of them"));
        }
    }
    Ok(Isolators(named.into_iter().map(str::to_owned).collect()))
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let plain = path.components().all(|part| {
        matches!(part, std::path::Component::RootDir | std::path::Component::Normal(_))
    });
    match path.is_absolute() && plain && path.parent().is_some() {
        true => Ok(path),
        false => Err("it is the path of a folder within the container, from / on".into()),
    }
}

/// As Mesos has it: the JSON of a `CapabilityInfo`, or a file with it.
fn capabilities(text: &str) -> Result<Capabilities, String> {
    #[derive(serde::Deserialize)]
    struct Info {
        #[serde(default)]
        capabilities: Vec<String>,
    }
    let info: Info = serde_json::from_str(text).map_err(|error| {
        format!(
            "it is no list of capabilities, such as {{\"capabilities\":[\"NET_RAW\"]}}: {error}"
        )
    })?;
    Ok(Capabilities(info.capabilities))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        isolation: IsolationArguments,
    }

    fn line(flags: &[&str]) -> IsolationArguments {
        let words = std::iter::once("agent").chain(flags.iter().copied());
        Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).isolation
    }

    #[test]
    fn isolators_are_named_as_in_mesos_and_those_that_are_not_here_are_refused() {
        let groups = |text: &str| line(&["--isolation", text]).groups().map(|all| all.isolators);
        let of = |cpu, memory| Some(ControlGroups { cpu, memory });
        assert_eq!(groups("posix/cpu,posix/mem"), None);
        assert_eq!(groups("cgroups/cpu, cgroups/mem,filesystem/posix"), of(true, true));
        assert_eq!(groups("posix/cpu,cgroups/mem"), of(false, true));
        let words = isolators("cgroups/cpu,gpu/nvidia").unwrap_err();
        assert!(words.starts_with("'gpu/nvidia' is no isolator of this release"), "{words}");
        let words = isolators("posix/mem,cgroups/mem").unwrap_err();
        assert_eq!(words, "'posix/mem' and 'cgroups/mem' are both for memory; name one of them");
    }

    #[test]
    fn what_needs_something_beside_it_says_so() {
        for (flags, words) in [
            (&["--image-providers=docker"][..], "--image_providers needs --isolation="),
            (&["--isolation=namespaces/pid"], "'namespaces/pid' needs 'filesystem/linux'"),
            (&["--enforce-container-disk-quota=true"], "needs 'disk/du' in --isolation"),
            (&["--seccomp-config-dir=/etc"], "need 'linux/seccomp' in --isolation"),
            (
                &["--isolation=filesystem/linux,linux/seccomp", "--seccomp-profile-name=no"],
                "start it with --seccomp_config_dir",
            ),
            (&[r#"--effective-capabilities={"capabilities":["KILL"]}"#], "need 'linux/cap"),
        ] {
            let said = line(flags).check().unwrap_err();
            assert!(said.contains(words), "{said}");
        }
        assert_eq!(line(&[]).check(), Ok(()));
        assert!(absolute("/mnt/mesos/sandbox").is_ok());
        assert!(absolute("mnt").is_err() && absolute("/").is_err() && absolute("/a/../b").is_err());
    }
}
