//! A small machine that has control groups of version 2 only: Debian's kernel, busybox and the tests of control groups in its
//! memory, a disk without contents, their report on its serial line. Nothing of it is installed. `cargo xtask test` takes its
//! results among the others, under a name of their own; `docs/cgroups2.md` keeps what `cargo xtask test-cgroup2` saw last.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cargo::{self, cargo};
use crate::report::{Outcome, Report, TestResult};
use crate::steps::Failure;
use crate::suite;

/// The crate, as reports and `tests/features.tsv` have it, of tests that ran there: what passes here need not pass there.
const PACKAGE: &str = "cgroup2";
/// What it runs: the first also on hosts as they are, the second shows what version 2 alone has.
pub(crate) const TESTS: [&str; 2] = ["cgroups", "cgroups2"];

/// Debian's kernel for machines that are not real.
const KERNEL: &str = "linux-image-cloud-amd64";
/// With the processor's help it takes seconds; hosts that are machines in machines may promise it and not have it.
const SECONDS_MAX_WITH_KVM: &str = "30";
/// Without it, a minute or a few.
const SECONDS_MAX: &str = "900";
/// What Debian's kernel needs for a disk, in this order, below `kernel/drivers`.
const MODULES: [&str; 6] = [
    "virtio/virtio_ring",
    "virtio/virtio",
    "virtio/virtio_pci_modern_dev",
    "virtio/virtio_pci_legacy_dev",
    "virtio/virtio_pci",
    "block/virtio_blk",
];
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
for module in /modules/*; do insmod \"$module\"; done
echo 'airside: the tests begin'
uname -sr
grep cgroup /proc/self/mountinfo
echo \"cgroup.controllers: $(cat /sys/fs/cgroup/cgroup.controllers)\"
status=0
for tests in /tests/*; do \"$tests\" --test-threads=4 --show-output || status=$?; done
echo \"airside: the tests ended with $status\"
find /sys/fs/cgroup -name 'airside*'
poweroff -f
";

/// Its two halves, and what it said.
#[derive(Default)]
pub(crate) struct Machine {
    kernel: PathBuf,
    memory: PathBuf,
    said: String,
}

impl Machine {
    /// Fetches the kernel, unless that was done before, and packs the tests.
    pub(crate) fn make(&mut self, tests: &[PathBuf]) -> Result<(), Failure> {
        if tests.len() < TESTS.len() {
            return Err(Failure::Found(vec!["cargo built no tests of control groups".into()]));
        }
        let target = tests.first().and_then(|path| path.ancestors().nth(3));
        let folder = target.unwrap_or(Path::new(".")).join("test-cgroup2");
        make_folder(&folder)?;
        let kernel = fetch_kernel(&folder)?;
        self.kernel = find(&kernel.join("boot"), IMAGE).unwrap_or_default();
        self.memory = folder.join("memory.cpio");
        pack(&folder.join("root"), tests, &modules(&kernel), &self.memory)
    }

    /// Starts it, and reads what the tests came to.
    pub(crate) fn run(&mut self, results: &mut Vec<TestResult>) -> Result<(), Failure> {
        let mut console = self.start("kvm", SECONDS_MAX_WITH_KVM)?;
        if between(&console).is_none() {
            println!("      not with the processor's help (KVM); without it, it takes longer");
            console = self.start("tcg", SECONDS_MAX)?;
        }
        let Some((said, _)) = between(&console) else {
            println!("{console}");
            return Err(Failure::Found(vec!["the machine did not come to the tests' end".into()]));
        };
        let report = Report::read(PACKAGE, said);
        let mut complaints: Vec<_> =
            report.complaint().into_iter().chain(complaint_of_end(&console)).collect();
        suite::tell_failed_and_skipped(&report.results, &mut complaints);
        if report.results.iter().any(|test| test.outcome == Outcome::Failed)
            || report.complaint().is_some()
        {
            println!("{console}");
        }
        results.extend(report.results);
        self.said = without_outputs(said);
        Failure::unless_empty(complaints)
    }

    /// Writes the page of what it said.
    pub(crate) fn keep(&self) -> Result<(), Failure> {
        let path = cargo::root().join("docs/cgroups2.md");
        let said = &self.said;
        if said.is_empty() {
            let why = "there is nothing to write, docs/cgroups2.md stays as it is".into();
            return Err(Failure::Found(vec![why]));
        }
        let text = format!(
            "# Control groups of version 2\n\n\
             What `cargo xtask test-cgroup2` saw last: the tests of `containerizer/tests/cgroups.rs`, the same that run on\n\
             hosts with version 1, and those of `cgroups2.rs` beside it, which need version 2, in a small machine whose kernel\n\
             has version 2 only (`cgroup_no_v1=all`). `cargo xtask test` runs them there, too; the command writes this page.\n\n\
             ```text\n{said}\n```\n"
        );
        fs::write(&path, text).map_err(|source| failed(&path, source))
    }

    /// All that it says on its serial line until it is off or its time is over.
    fn start(&self, accelerator: &str, seconds_max: &str) -> Result<String, Failure> {
        let mut command = Command::new("timeout");
        command.args(["--kill-after=10", seconds_max, "qemu-system-x86_64"]);
        // A processor that both accelerators can show: not all that a host has can be handed on.
        command.args(["-accel", accelerator, "-cpu", "qemu64", "-smp", "2", "-m", "1024"]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"]);
        // A disk that takes all and has nothing: enough to count and to limit what goes to it.
        command.args(["-blockdev", "driver=null-co,node-name=disk,size=67108864,read-zeroes=on"]);
        command.args(["-device", "virtio-blk-pci,drive=disk"]);
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

/// What tests that passed printed says nothing more to people.
fn without_outputs(said: &str) -> String {
    let mut is_shown = true;
    let lines = said.lines().filter(|line| {
        is_shown = match *line {
            "successes:" => false,
            line => is_shown || line == "failures:" || line.starts_with("test result: "),
        };
        is_shown
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The programs of [`TESTS`], for who has not built everything.
pub(crate) fn build() -> Result<Vec<PathBuf>, Failure> {
    let mut command = cargo();
    // With the features of a whole build, or all that this needs is built once more.
    command.args(["test", "--workspace", "--no-run"]);
    command.args(TESTS.iter().flat_map(|name| ["--test", name]));
    let text = cargo::output(command.arg("--message-format=json-render-diagnostics"))?;
    let mut tests = Vec::new();
    for line in text.lines() {
        let message: Value = serde_json::from_str(line)
            .map_err(|source| Failure::Json { command: cargo::name(&command), source })?;
        let name = message["target"]["name"].as_str().unwrap_or_default();
        let executable = message["executable"].as_str().filter(|_| TESTS.contains(&name));
        tests.extend(executable.map(PathBuf::from));
    }
    Ok(tests)
}

/// How the kernel's own file is called, with its version behind it.
const IMAGE: &str = "vmlinuz-";

/// Where the kernel's package is unpacked.
fn fetch_kernel(folder: &Path) -> Result<PathBuf, Failure> {
    let unpacked = folder.join("kernel");
    if find(&unpacked.join("boot"), IMAGE).is_some() {
        return Ok(unpacked);
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
    find(&unpacked.join("boot"), IMAGE).map(|_| unpacked).ok_or_else(missing)
}

/// Those of [`MODULES`] that are files: others are in the kernel itself.
fn modules(kernel: &Path) -> Vec<PathBuf> {
    let all = ["lib/modules", "usr/lib/modules"].map(|folder| kernel.join(folder));
    let Some(version) = all.iter().find_map(|folder| find(folder, "")) else {
        return Vec::new();
    };
    let drivers = version.join("kernel/drivers");
    let file = |path: &&str| find(drivers.join(path).parent()?, &format!("{}.ko", name_of(path)));
    MODULES.iter().filter_map(file).collect()
}

fn name_of(path: impl AsRef<Path>) -> String {
    path.as_ref().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file whose name begins so.
fn find(folder: &Path, begin: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin)))
}

/// Busybox, the tests with the libraries that they are linked to, the kernel's modules, and what is run first.
fn pack(
    root: &Path,
    tests: &[PathBuf],
    modules: &[PathBuf],
    archive: &Path,
) -> Result<(), Failure> {
    let _ = fs::remove_dir_all(root);
    for folder in ["bin", "lib64", "tests", "modules"] {
        make_folder(&root.join(folder))?;
    }
    copy(Path::new("/bin/busybox"), &root.join("bin/busybox"))?;
    symlink("busybox", root.join("bin/sh"))
        .map_err(|source| failed(&root.join("bin/sh"), source))?;
    for tests in tests {
        copy(tests, &root.join("tests").join(name_of(tests)))?;
        for library in libraries(&cargo::output(Command::new("ldd").arg(tests))?) {
            let to = root.join(library.strip_prefix("/").unwrap_or(&library));
            make_folder(to.parent().unwrap_or(root))?;
            copy(&library, &to)?;
        }
    }
    for (number, module) in modules.iter().enumerate() {
        // By number, for each needs those before it.
        copy(module, &root.join("modules").join(format!("{number}-{}", name_of(module))))?;
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
    fn what_passed_is_kept_without_what_it_printed_and_what_failed_with_it() {
        let passed = "test a ... ok\n\nsuccesses:\n\n---- a stdout ----\nhi\n\nsuccesses:\n    a\n\ntest result: ok. 1 passed";
        assert_eq!(without_outputs(passed), "test a ... ok\n\ntest result: ok. 1 passed");
        let failed =
            "successes:\n    a\n\nfailures:\n\n---- b stdout ----\nno\n\ntest result: FAILED";
        assert_eq!(
            without_outputs(failed),
            "failures:\n\n---- b stdout ----\nno\n\ntest result: FAILED"
        );
    }

    #[test]
    fn libraries_are_named_by_paths() {
        let ldd = "\tlinux-vdso.so.1 (0x7)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x7)\n\t/lib64/ld.so (0x7)\n";
        assert_eq!(libraries(ldd), [Path::new("/lib/x/libc.so.6"), Path::new("/lib64/ld.so")]);
    }
}
