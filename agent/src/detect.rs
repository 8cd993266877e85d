//! What this machine has to give, by Mesos's rules: all cores; memory but for a gigabyte, or half of it; free disk but
//! for five gigabytes, or half of it; the ports 31000 to 32000. What the operator names replaces what was found.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;
use nix::unistd::{SysconfVar, sysconf};
use procfs::Current;
use protocol::ids::Role;
use protocol::resources::{BadResources, Kind, Milli, Named, Ranges, Resource, Resources};

/// Left to the machine itself when it has at least twice as much.
const MEM_LEFT_MB: u64 = 1024;
const DISK_LEFT_MB: u64 = 5 * 1024;

/// The ports that tasks are given, first and last.
const PORTS: (u64, u64) = (31_000, 32_000);

/// What a text begins with that names the file with the resources.
pub const FILE: &str = "file://";

/// More than any machine's resources need.
const FILE_BYTES_MAX: u64 = 4 << 20;

const MB: u64 = 1024 * 1024;

/// What could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The operator's text makes no sense.
    #[error("--resources: {0}")]
    Resources(#[from] BadResources),
    /// The operator's file is not there, or no text.
    #[error("--resources: read {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The operator's file is no list of resources.
    #[error("--resources: {0} is longer than {FILE_BYTES_MAX} bytes")]
    FileTooLong(PathBuf),
    /// The kernel does not say.
    #[error("find out how much {what} this machine has; name it with --resources")]
    Proc {
        /// What was asked.
        what: &'static str,
        /// What the kernel said.
        source: procfs::ProcError,
    },
    /// The system does not say.
    #[error("find out how many cores this machine has; name them with --resources cpus:N")]
    Cores(#[source] nix::Error),
    /// The disk does not say.
    #[error("find out how much is free on the disk of {path}; name it with --resources disk:N")]
    Disk {
        /// The work directory.
        path: PathBuf,
        /// What the system said.
        source: nix::Error,
    },
    /// It has no name.
    #[error("find out the name of this machine; give one with --hostname")]
    Hostname(#[source] std::io::Error),
}

/// All that the machine has to give; `named` is the operator's text and wins, name by name. What it does not say to be reserved is
/// so for `default_role`, as is what was found.
pub fn resources(
    work_dir: &Path,
    named: Option<&str>,
    default_role: &Role,
) -> Result<Resources, DetectError> {
    let text = from_file(named.unwrap_or_default())?;
    let Named { resources: mut all, names } = Named::parse(&text, default_role)?;
    let mut found = Resources::none();
    if !names.contains("cpus") {
        found = found.with_scalar("cpus", whole(cores()?));
    }
    if !names.contains("mem") {
        found = found.with_scalar("mem", whole(but_for(mem_total_mb()?, MEM_LEFT_MB)));
    }
    if !names.contains("disk") {
        found = found.with_scalar("disk", whole(but_for(disk_free_mb(work_dir)?, DISK_LEFT_MB)));
    }
    if !names.contains("ports") {
        found = found.with_ranges("ports", Ranges::new([PORTS]));
    }
    for resource in found.iter() {
        all.add_one(Resource { kind: Kind::reserved(default_role.clone()), ..resource.clone() });
    }
    Ok(all)
}

/// A text, or what is in the file that it names.
fn from_file(text: &str) -> Result<Cow<'_, str>, DetectError> {
    let Some(path) = text.trim().strip_prefix(FILE) else { return Ok(text.into()) };
    match read_most(Path::new(path), FILE_BYTES_MAX) {
        Err(source) => Err(DetectError::File { path: path.into(), source }),
        Ok(None) => Err(DetectError::FileTooLong(path.into())),
        Ok(Some(content)) => Ok(content.into()),
    }
}

/// The text in a file; `None` if it is longer than that, of which no more is read.
pub fn read_most(path: &Path, bytes_max: u64) -> std::io::Result<Option<String>> {
    let mut content = String::new();
    let read = File::open(path)?.take(bytes_max + 1).read_to_string(&mut content)?;
    Ok((read as u64 <= bytes_max).then_some(content))
}

/// The machine's name.
pub fn hostname() -> Result<String, DetectError> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
    Ok(name.map_err(DetectError::Hostname)?.trim().to_owned())
}

/// Changes when the machine restarts.
pub fn boot_id() -> Result<String, DetectError> {
    let source = |source: std::io::Error| procfs::ProcError::from(source);
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_err(|error| DetectError::Proc { what: "of its boot id", source: source(error) })?;
    Ok(text.trim().to_owned())
}

/// Divides what one machine has among `count` agents on it: the part of the one with this `index`, which has ports of
/// its own. What cannot be divided goes to the first.
pub fn part(all: &Resources, index: u32, count: u32) -> Resources {
    let (index, count) = (index.min(count.saturating_sub(1)), count.max(1));
    let mut mine = Resources::none();
    for resource in all.iter() {
        match &resource.value {
            // It cannot be divided.
            protocol::resources::Value::Scalar(_) if resource.kind.is_whole() && index == 0 => {
                mine.add_one(resource.clone());
            }
            protocol::resources::Value::Scalar(_) if resource.kind.is_whole() => {}
            protocol::resources::Value::Scalar(amount) => {
                let value = protocol::resources::Value::Scalar(Milli(amount.0 / i64::from(count)));
                mine.add_one(Resource { value, ..resource.clone() });
            }
            protocol::resources::Value::Ranges(ranges) => {
                let each = ranges.count() / u64::from(count);
                let upto = |n: u32| ranges.take(each * u64::from(n)).unwrap_or_default();
                let value = protocol::resources::Value::Ranges(upto(index + 1).minus(&upto(index)));
                mine.add_one(Resource { value, ..resource.clone() });
            }
            protocol::resources::Value::Set(_) if index == 0 => mine.add_one(resource.clone()),
            protocol::resources::Value::Set(_) => {}
        }
    }
    mine
}

fn whole(units: u64) -> Milli {
    Milli::whole(i64::try_from(units).unwrap_or(i64::MAX))
}

fn but_for(total: u64, left: u64) -> u64 {
    if total >= 2 * left { total - left } else { total / 2 }
}

fn cores() -> Result<u64, DetectError> {
    let cores = sysconf(SysconfVar::_NPROCESSORS_ONLN).map_err(DetectError::Cores)?;
    Ok(cores.and_then(|cores| u64::try_from(cores).ok()).unwrap_or(1))
}

fn mem_total_mb() -> Result<u64, DetectError> {
    let info = procfs::Meminfo::current()
        .map_err(|source| DetectError::Proc { what: "memory", source })?;
    Ok(info.mem_total / MB)
}

fn disk_free_mb(work_dir: &Path) -> Result<u64, DetectError> {
    let disk = statvfs(work_dir)
        .map_err(|source| DetectError::Disk { path: work_dir.to_owned(), source })?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()) / MB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn res_03_what_is_not_named_is_detected_by_mesos_rules() {
        let dir = std::env::temp_dir();
        let all = resources(&dir, None, &Role::everybody()).unwrap();
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
        let total_kb: u64 = meminfo
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))
            .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok())
            .unwrap();
        let total_mb = total_kb / 1024;
        let mem = if total_mb >= 2048 { total_mb - 1024 } else { total_mb / 2 };
        assert_eq!(all.mem(), whole(mem));
        let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let processors = processors.lines().filter(|line| line.starts_with("processor")).count();
        assert_eq!(all.cpus(), whole(u64::try_from(processors).unwrap()));
        let disk = statvfs(&dir).unwrap();
        let free_mb = disk.blocks_available() * disk.fragment_size() / MB;
        let free = if free_mb >= 10_240 { free_mb - 5120 } else { free_mb / 2 };
        // Others write to the disk meanwhile.
        let differs = all.disk().0.abs_diff(whole(free).0);
        assert!(differs < 1_000_000, "{} is not about {free}", all.disk());
        assert_eq!(all.ranges("ports"), Ranges::new([(31_000, 32_000)]));
    }

    #[test]
    fn res_03_small_machines_give_half() {
        assert_eq!(but_for(2048, 1024), 1024);
        assert_eq!(but_for(2047, 1024), 1023);
        assert_eq!(but_for(100 * 1024, 5 * 1024), 95 * 1024);
        assert_eq!(but_for(8 * 1024, 5 * 1024), 4 * 1024);
    }

    #[test]
    fn res_03_what_is_named_wins_name_by_name() {
        let dir = std::env::temp_dir();
        let everybody = Role::everybody();
        let named = Some("cpus:1.5;disk:0;gpus(*):2;ports:[1-5]");
        let all = resources(&dir, named, &everybody).unwrap();
        assert_eq!((all.cpus(), all.disk()), (Milli(1500), Milli(0)));
        assert_eq!(all.scalar("gpus"), Milli(2000));
        assert_eq!(all.ranges("ports"), Ranges::new([(1, 5)]));
        assert!(all.mem() > Milli(0));
        assert!(resources(&dir, Some("cpus:many"), &everybody).is_err());
    }

    #[test]
    fn rsv_01_what_is_found_is_reserved_for_the_default_role() {
        let (dir, eng): (_, Role) = (std::env::temp_dir(), "eng".parse().unwrap());
        let all = resources(&dir, Some("cpus:2;gpus(*):1;mem(ops):5;ports:[1-2]"), &eng).unwrap();
        let unreserved = all.unreserved();
        assert_eq!(unreserved.to_string(), "gpus:1");
        assert_eq!(all.reserved_to(&"ops".parse().unwrap()).to_string(), "mem(ops):5");
        let of_eng = all.reserved_to(&eng);
        assert_eq!((of_eng.cpus(), of_eng.mem()), (Milli::whole(2), Milli(0)));
        assert!(of_eng.disk() > Milli(0), "which was found");
    }

    #[test]
    fn res_01_resources_are_read_from_the_file_that_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("resources.json");
        let named = format!("file://{}", file.display());
        let read = || resources(dir.path(), Some(&named), &Role::everybody());
        let why = std::error::Error::source(&read().unwrap_err()).unwrap().to_string();
        assert!(why.contains("No such file"), "{why}");
        let cpus = r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":0.5},"role":"eng"}]"#;
        std::fs::write(&file, cpus).unwrap();
        let all = read().unwrap();
        assert_eq!(all.filter(|one| &*one.name == "cpus").to_string(), "cpus(eng):0.5");
        assert!(all.mem() > Milli(0), "what it does not name is found");
        std::fs::write(&file, "cpus:2;mem:0").unwrap();
        assert_eq!((read().unwrap().cpus(), read().unwrap().mem()), (Milli::whole(2), Milli(0)));
        std::fs::write(&file, vec![b' '; 5 << 20]).unwrap();
        assert!(read().unwrap_err().to_string().contains("is longer than"));
    }

    #[test]
    fn agents_on_one_machine_share_it_and_no_port_is_given_twice() {
        let all: Resources = "cpus:2;mem:1001;ports:[31000-31009];disks:{a,b}".parse().unwrap();
        let parts: Vec<Resources> = (0..3).map(|index| part(&all, index, 3)).collect();
        let sum = parts.iter().fold(Resources::none(), |sum, part| sum.plus(part));
        assert!(all.contains(&sum));
        let ports: Vec<String> =
            parts.iter().map(|part| part.ranges("ports").to_string()).collect();
        assert_eq!(ports, ["[31000-31002]", "[31003-31005]", "[31006-31008]"]);
    }
}
