//! A small machine that has control groups of version 2 only: Debian's kernel, busybox and the tests of control groups in its
//! memory, their report on its serial line. Nothing of it is installed. `docs/cgroups2.md` keeps what it said last.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cargo::{self, cargo};
use crate::report::{Outcome, Report, TestResult};
use crate::steps::Failure;

/// Debian's kernel for machines that are not real.
const KERNEL: &str = "linux-image-cloud-amd64";
/// With the processor's help it takes seconds; hosts that are machines in machines may promise it and not have it.
const SECONDS_MAX_WITH_KVM: &str = "60";
/// Without it, a minute or a few.
const SECONDS_MAX: &str = "900";
/// Around what the tests say.
const BEGIN: &str = "airside: the tests begin";
const END: &str = "airside: the tests ended with ";

const INIT: &str = "\
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /sbin /usr/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
echo 'airside: the tests begin'
uname -sr
grep cgroup /proc/self/mountinfo
echo \"cgroup.controllers: $(cat /sys/fs/cgroup/cgroup.controllers)\"
/tests --test-threads=4
echo \"airside: the tests ended with $?\"
find /sys/fs/cgroup -name 'airside*'
poweroff -f
";

/// Its two halves.
#[derive(Default)]
pub(crate) struct Machine {
    kernel: PathBuf,
    memory: PathBuf,
}

impl Machine {
    /// Fetches the kernel, unless that was done before, builds the tests, and packs them.
    pub(crate) fn make(&mut self) -> Result<(), Failure> {
        let tests = build()?;
        let target = tests.ancestors().nth(3).unwrap_or(Path::new("."));
        let folder = target.join("test-cgroup2");
        make_folder(&folder)?;
        self.kernel = kernel(&folder)?;
        self.memory = folder.join("memory.cpio");
        pack(&folder.join("root"), &tests, &self.memory)
    }

    /// Starts it, and reads what the tests came to.
    pub(crate) fn run(&self, results: &mut Vec<TestResult>) -> Result<(), Failure> {
        let mut console = self.start("kvm", SECONDS_MAX_WITH_KVM)?;
        if between(&console).is_none() {
            println!("      not with the processor's help (KVM); without it, it takes longer");
            console = self.start("tcg", SECONDS_MAX)?;
        }
        let Some((said, _)) = between(&console) else {
            println!("{console}");
            return Err(Failure::Found(vec!["the machine did not come to the tests' end".into()]));
        };
        let report = Report::read("containerizer", said);
        let complaint = report.complaint();
        let failed = report.results.iter().any(|test| test.outcome == Outcome::Failed);
        if failed || complaint.is_some() {
            println!("{console}");
        }
        results.extend(report.results);
        keep(said)?;
        Failure::unless_empty(complaint.into_iter().chain(complaint_of_end(&console)).collect())
    }

    /// All that it says on its serial line until it is off or its time is over.
    fn start(&self, accelerator: &str, seconds_max: &str) -> Result<String, Failure> {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", seconds_max, "qemu-system-x86_64"]);
        // A processor that both accelerators can show: not all that a host has can be handed on.
        command.args(["-accel", accelerator, "-cpu", "qemu64", "-smp", "2", "-m", "1024"]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"]);
        command.args(["-no-reboot", "-kernel"]).arg(&self.kernel);
        command.arg("-initrd").arg(&self.memory).arg("-append");
        command.arg("console=ttyS0 quiet loglevel=0 panic=-1 cgroup_no_v1=all");
        // How it ends says less than what it said.
        let (console, _) = cargo::output_and_end(command.stdin(Stdio::null()))?;
        Ok(console.replace('\r', ""))
    }
}

/// What was said between the two marks, and what came after.
fn between(console: &str) -> Option<(&str, &str)> {
    let (_, rest) = console.split_once(BEGIN)?;
    let (said, rest) = rest.split_once(END)?;
    Some((said.trim(), rest))
}

/// Tests that fail end with a number; groups that are left are listed after it.
fn complaint_of_end(console: &str) -> Option<String> {
    let (_, rest) = between(console)?;
    let mut lines = rest.lines();
    let status = lines.next().unwrap_or_default();
    if status != "0" {
        return Some(format!("the tests ended with {status}"));
    }
    let left: Vec<_> = lines.filter(|line| line.starts_with('/')).collect();
    (!left.is_empty()).then(|| format!("groups were left: {}", left.join(", ")))
}

fn build() -> Result<PathBuf, Failure> {
    let mut command = cargo();
    // With the features of a whole build, or all that this needs is built once more.
    command.args(["test", "--workspace", "--test", "cgroups", "--no-run"]);
    let text = cargo::output(command.arg("--message-format=json-render-diagnostics"))?;
    for line in text.lines() {
        let message: Value = serde_json::from_str(line)
            .map_err(|source| Failure::Json { command: cargo::name(&command), source })?;
        if let Some(path) = message["executable"].as_str() {
            return Ok(PathBuf::from(path));
        }
    }
    Err(Failure::Found(vec!["cargo built no tests of control groups".into()]))
}

fn kernel(folder: &Path) -> Result<PathBuf, Failure> {
    let unpacked = folder.join("kernel");
    if let Some(kernel) = find(&unpacked.join("boot"), "vmlinuz-") {
        return Ok(kernel);
    }
    let text = cargo::output(Command::new("apt-cache").args(["depends", KERNEL]))?;
    let name = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let name = name.filter(|name| name.starts_with("linux-image-")).ok_or_else(|| {
        Failure::Found(vec![format!(
            "apt knows no {KERNEL}; as root, run: apt-get update, and look for a source of Debian's packages"
        )])
    })?;
    let mut download = Command::new("apt-get");
    download.args(["--quiet=2", "download", name]).current_dir(folder).stdout(Stdio::null());
    cargo::finish(&mut download)?;
    let missing = || Failure::Found(vec![format!("apt-get downloaded no file of {name}")]);
    let package = find(folder, name).ok_or_else(missing)?;
    cargo::finish(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&unpacked))?;
    find(&unpacked.join("boot"), "vmlinuz-").ok_or_else(missing)
}

/// A file whose name begins so.
fn find(folder: &Path, begin: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin)))
}

/// Busybox, the tests with the libraries that they are linked to, and what is run first.
fn pack(root: &Path, tests: &Path, archive: &Path) -> Result<(), Failure> {
    let _ = fs::remove_dir_all(root);
    for folder in ["bin", "lib64"] {
        make_folder(&root.join(folder))?;
    }
    copy(Path::new("/bin/busybox"), &root.join("bin/busybox"))?;
    symlink("busybox", root.join("bin/sh"))
        .map_err(|source| failed(&root.join("bin/sh"), source))?;
    copy(tests, &root.join("tests"))?;
    for library in libraries(&cargo::output(Command::new("ldd").arg(tests))?) {
        let to = root.join(library.strip_prefix("/").unwrap_or(&library));
        make_folder(to.parent().unwrap_or(root))?;
        copy(&library, &to)?;
    }
    let init = root.join("init");
    fs::write(&init, INIT).map_err(|source| failed(&init, source))?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))
        .map_err(|source| failed(&init, source))?;
    let mut cpio = Command::new("sh");
    cpio.args(["-c", "find . | cpio --quiet -o -H newc > \"$1\"", "sh"]).arg(archive);
    cargo::finish(cpio.current_dir(root))
}

/// Paths of `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)` and `/lib64/ld-linux-x86-64.so.2 (0x…)`.
fn libraries(ldd: &str) -> Vec<PathBuf> {
    let words = ldd.split_whitespace().filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).collect()
}

fn keep(said: &str) -> Result<(), Failure> {
    let path = cargo::root().join("docs/cgroups2.md");
    let text = format!(
        "# Control groups of version 2\n\n\
         What `cargo xtask test-cgroup2` saw last: the tests of `containerizer/tests/cgroups.rs`, the same that run on\n\
         hosts with version 1, in a small machine whose kernel has version 2 only (`cgroup_no_v1=all`). The command\n\
         writes this page.\n\n```text\n{said}\n```\n"
    );
    fs::write(&path, text).map_err(|source| failed(&path, source))
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|source| failed(path, source))
}

/// Also what a link leads to.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::copy(from, to).map(drop).map_err(|source| failed(to, source))
}

fn failed(path: &Path, source: std::io::Error) -> Failure {
    Failure::Write { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tests_said_is_between_the_marks_and_what_is_left_comes_after() {
        let console = |end: &str| format!("bios\n{BEGIN}\nLinux 6\nok\n{END}{end}\n");
        assert_eq!(between(&console("0")), Some(("Linux 6\nok", "0\n")));
        assert_eq!(between("bios\npanic"), None);
        assert_eq!(complaint_of_end(&console("0")), None);
        assert!(complaint_of_end(&console("101")).unwrap().contains("101"));
        let left = console("0\n/sys/fs/cgroup/airside-test-1-0");
        assert!(complaint_of_end(&left).unwrap().contains("airside-test-1-0"));
    }

    #[test]
    fn libraries_are_named_by_paths() {
        let ldd = "\tlinux-vdso.so.1 (0x7)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x7)\n\t/lib64/ld.so (0x7)\n";
        assert_eq!(libraries(ldd), [Path::new("/lib/x/libc.so.6"), Path::new("/lib64/ld.so")]);
    }
}
