//! What tests need of the machine beside Rust: packages of Debian's. They are installed when they are missing; where that
//! is not possible, it is said which.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::cargo;
use crate::steps::Failure;

/// A package, and a file that is there when it is.
const NEEDED: [(&str, &str); 18] = [
    // For ZooKeeper; and to compile, in memory, a scheduler on a client of Mesos.
    ("default-jdk-headless", "/usr/bin/javac"),
    // Other people's clients of Mesos: what brings them.
    ("maven", "/usr/bin/mvn"),
    ("nodejs", "/usr/bin/node"),
    ("npm", "/usr/bin/npm"),
    ("zookeeper", "/usr/share/java/zookeeper.jar"),
    // An independent client of ZooKeeper is installed into an environment of its own.
    ("python3-venv", "/usr/bin/python3"),
    // Stories that cut a leader off do it in networks of their own.
    ("iproute2", "/sbin/ip"),
    ("iptables", "/usr/sbin/iptables"),
    // The root of containers in tests.
    ("busybox-static", "/bin/busybox"),
    // What launching a container is measured beside.
    ("crun", "/usr/bin/crun"),
    ("runc", "/usr/sbin/runc"),
    // The page on HTTP says what to type.
    ("curl", "/usr/bin/curl"),
    // Images are pulled from a real registry, made by other people's tools of a program that needs nothing else.
    ("docker-registry", "/usr/bin/docker-registry"),
    ("skopeo", "/usr/bin/skopeo"),
    ("umoci", "/usr/bin/umoci"),
    // What a story keeps from being removed.
    ("e2fsprogs", "/usr/bin/chattr"),
    // A machine with another kernel, and what its memory is packed with.
    ("qemu-system-x86", "/usr/bin/qemu-system-x86_64"),
    ("cpio", "/usr/bin/cpio"),
];

pub(crate) fn install() -> Result<(), Failure> {
    let missing: Vec<_> = NEEDED.iter().filter(|(_, file)| !Path::new(file).exists()).collect();
    let mut names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
    // Python may be there without what makes environments.
    if !names.contains(&"python3-venv") && !makes_environments() {
        names.push("python3-venv");
    }
    install_named(&names)
}

/// What a small machine with another kernel is started and filled with.
const NEEDED_FOR_MACHINES: [(&str, &str); 3] = [
    ("qemu-system-x86", "/usr/bin/qemu-system-x86_64"),
    ("busybox-static", "/bin/busybox"),
    ("cpio", "/usr/bin/cpio"),
];

/// The same for chores that start small machines.
pub(crate) fn install_for_machines() -> Result<(), Failure> {
    let missing = NEEDED_FOR_MACHINES.iter().filter(|(_, file)| !Path::new(file).exists());
    install_named(&missing.map(|(name, _)| *name).collect::<Vec<_>>())
}

fn install_named(names: &[&str]) -> Result<(), Failure> {
    if names.is_empty() {
        return Ok(());
    }
    let mut install = apt();
    install.args(["install", "--yes", "--no-install-recommends"]).args(names);
    println!("      installing what tests need: {}", cargo::name(&install));
    // An old list of packages names files that are gone; a new one may be out of reach and not needed.
    let updated = cargo::finish(apt().arg("update"));
    cargo::finish(&mut install).map_err(|failure| {
        let words =
            format!("tests need {}, which could not be installed: {failure}", names.join(", "));
        let by_hand = format!("as root, run: apt-get install {}", names.join(" "));
        let lists = updated.err().map(|failure| format!("before that, {failure}"));
        Failure::Found([words, by_hand].into_iter().chain(lists).collect())
    })
}

fn makes_environments() -> bool {
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", "import ensurepip, venv"]).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

/// Asks nothing, and says only what is wrong.
fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet=2").env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
