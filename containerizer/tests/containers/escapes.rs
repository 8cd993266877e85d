//! Ways out of a container, each of which fails.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use containerizer::confinement::Mount;
use containerizer::confinement::mounts::Propagation;
use containerizer::container::Container;
use containerizer::runtime::Exit;

use super::cell::{Cell, Ended};

/// The script must fail, with this in what it says.
#[track_caller]
fn refused(script: &str, word: &str) {
    let mut cell = Cell::new();
    let ended = cell.sh(&format!("{script} && echo ESCAPED"));
    assert!(!ended.output.contains("ESCAPED"), "{ended:?}");
    assert!(ended.output.contains(word), "{ended:?}");
    assert!(ended.not_started.is_none(), "{ended:?}");
    assert_eq!(ended.left, [""; 0]);
}

/// As the examples are, which are linked with the host's libraries.
fn example(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

fn shows(container: &mut Container, source: &Path, target: &str) {
    container.confinement.mounts.push(Mount::Bind {
        source: source.canonicalize().unwrap(),
        target: target.into(),
        read_only: true,
        propagation: Propagation::Private,
    });
}

/// With the example, and with what it needs of the host.
fn able(container: &mut Container) {
    shows(container, &example("attempt"), "/bin/attempt");
    for folder in ["/lib", "/lib64", "/usr/lib"] {
        if Path::new(folder).exists() {
            shows(container, Path::new(folder), folder);
        }
    }
}

/// Makes these calls of the system in a container, one after the other.
fn attempts(calls: &[&str]) -> Ended {
    let words: Vec<_> = calls.join(" , ").split(' ').map(str::to_owned).collect();
    let mut arguments = vec!["/bin/attempt"];
    arguments.extend(words.iter().map(String::as_str));
    let ended = Cell::new().run(&arguments, able);
    assert_eq!(ended.exit, Some(Exit::Code(0)), "{ended:?}");
    ended
}

/// Each of these calls is refused with this error.
#[track_caller]
fn are_refused(calls: &[&str], error: &str) {
    let ended = attempts(calls);
    let expected: Vec<_> =
        calls.iter().map(|call| format!("{}: {error}", call.split(' ').next().unwrap())).collect();
    assert_eq!(ended.output.lines().collect::<Vec<_>>(), expected, "{ended:?}");
}

#[test]
fn the_hosts_processes_cannot_be_signalled() {
    let host = std::process::id();
    refused(&format!("kill -0 {host}"), "No such process");
    refused(&format!("kill -9 {host}"), "No such process");
}

#[test]
fn what_is_allowed_succeeds_when_it_is_attempted() {
    let ended = attempts(&["getpid", "chroot /tmp", "unlinkat -100 /etc/passwd 0"]);
    assert!(ended.output.ends_with("chroot: done, 0\nunlinkat: ENOENT\n"), "{ended:?}");
}

#[test]
fn neither_the_hosts_processes_nor_init_can_be_traced_or_read() {
    let host = std::process::id();
    // PTRACE_ATTACH and PTRACE_SEIZE.
    are_refused(&[&format!("ptrace 16 {host} 0 0"), &format!("ptrace 0x4206 {host} 0 0")], "ESRCH");
    are_refused(&[&format!("pidfd_open {host} 0")], "ESRCH");
    are_refused(&["ptrace 16 1 0 0", "ptrace 0x4206 1 0 0"], "EPERM");
    are_refused(
        &[
            "process_vm_readv 1 memory 1 memory 1 0",
            "process_vm_writev 1 memory 1 memory 1 0",
            "kcmp 1 2 0 0 0",
            "pidfd_getfd 3 0 0",
        ],
        "EPERM",
    );
}

#[test]
fn init_cannot_be_killed_from_within() {
    // It is the first of its namespace: the kernel drops what it does not handle.
    let mut cell = Cell::new();
    let ended = cell.sh("kill -9 1; echo alive");
    assert_eq!(ended.output, "alive\n");
}

#[test]
fn the_files_of_init_which_are_the_hosts_cannot_be_reached() {
    // Their numbers can be seen; nothing opens them.
    refused("for file in /proc/1/fd/*; do ls $file/ && exit 0; done; false", "Permission denied");
    refused("readlink /proc/1/fd/* | grep .", "");
    refused("ls /proc/1/root/", "Permission denied");
    refused("ls /proc/1/root/etc", "Permission denied");
    refused("cat /proc/1/root/etc/shadow", "Permission denied");
    refused("ls /proc/1/cwd/", "Permission denied");
    refused("ls /proc/1/map_files/ | grep .", "");
    refused("cat /proc/1/exe", "Permission denied");
    refused("cat /proc/1/mem", "Permission denied");
    refused("cat /proc/1/environ | grep .", "Permission denied");
}

#[test]
fn a_program_has_no_file_but_its_three() {
    let mut cell = Cell::new();
    let ended = cell.sh("(sleep 1000 & ls /proc/$!/fd; kill $!)");
    assert_eq!(ended.output, "0\n1\n2\n", "{ended:?}");
    refused("for file in /proc/self/fd/*; do ls $file/ && exit 0; done; false", "Not a directory");
}

#[test]
fn no_folder_of_the_hosts_is_where_a_program_begins_though_its_image_names_an_open_file() {
    // Init has the container's own folder open, and so has its copy that becomes the program.
    for process in ["self", "1"] {
        for number in 3..12 {
            for tail in ["", "/../../../../../.."] {
                let mut cell = Cell::new();
                let folder = format!("/proc/{process}/fd/{number}{tail}");
                let ended = cell.run(&["/bin/sh", "-c", "pwd -P; ls -a"], |container| {
                    container.confinement.work_dir = Some(folder.clone().into());
                });
                let words = ended.not_started.as_ref().map(|error| error.words.clone());
                let words = words.unwrap_or_else(|| panic!("it began in {folder}: {ended:?}"));
                assert!(words.contains("begin in the folder"), "{folder}: {words}");
            }
        }
    }
}

#[test]
fn the_hosts_program_that_starts_containers_cannot_be_written_though_an_image_names_it_as_its_own()
{
    let mut cell = Cell::new();
    let folder = cell.root().join("bin");
    std::os::unix::fs::symlink("/proc/self/exe", folder.join("own")).unwrap();
    for (program, file) in [
        ("/proc/self/exe", "/proc/self/exe"),
        ("/bin/own", "/proc/self/exe"),
        ("/bin/own", "/bin/own"),
    ] {
        // The launcher is run from the host's file: with libraries of an image's that would be the image's code.
        let ended = cell.run(&["launcher", "overwrite", file], |container| {
            container.confinement.program = Some(CString::new(program).unwrap());
            able(container);
        });
        assert_eq!(ended.output, "overwrite: Read-only file system (os error 30)\n", "{ended:?}");
    }
    let process = i32::try_from(cell.launcher.process()).unwrap();
    let own = procfs::process::Process::new(process).unwrap();
    assert_eq!(own.stat().unwrap().comm, "launcher");
}

#[test]
fn a_second_root_leads_no_further_than_the_first() {
    // The way out of a root that was changed only: stay outside of the next, and go up.
    let out = "mkdir -p /tmp/a && cd / && chroot /tmp/a /x 2>/dev/null; \
               ls -d ../../../../../../home ../../../../var/lib";
    refused(out, "No such file");
    let ended = attempts(&[
        "mkdirat -100 /tmp/a 0",
        "openat -100 / 0",
        "chroot /tmp/a",
        "fchdir 3",
        "chdir ../../../../../../..",
        "chroot .",
        "openat -100 bin/busybox 0",
        "openat -100 home 0",
        "openat -100 var/lib 0",
        "openat -100 lib/systemd/../../../../var/lib 0",
    ]);
    let lines: Vec<_> = ended.output.lines().collect();
    assert!(lines[6].starts_with("openat: done"), "it is in the container's root: {ended:?}");
    assert_eq!(lines[7..], ["openat: ENOENT"; 3], "{ended:?}");
}

#[test]
fn nothing_can_be_mounted() {
    refused("mount -t tmpfs none /tmp", "permission denied");
    refused("mount -o remount,rw /sys", "permission denied");
    refused("mount -o remount,rw /proc/sys", "permission denied");
    refused("umount /proc/kcore", "");
    refused("umount -l /proc/sysrq-trigger", "");
    are_refused(
        &[
            "mount none /tmp tmpfs 0 0",
            "umount2 /proc/sys 2",
            "pivot_root . .",
            "fsopen proc 0",
            "fspick -100 / 0",
            "open_tree -100 / 1",
            "move_mount -100 /dev -100 /tmp 0",
            "mount_setattr -100 /sys 0 memory 32",
        ],
        "EPERM",
    );
}

#[test]
fn a_disk_of_the_hosts_cannot_be_made_a_device_and_read() {
    refused("mknod /tmp/disk b 254 0", "Operation not permitted");
    refused("mknod /dev/memory c 1 1", "Operation not permitted");
    refused("mknod /dev/shm/message c 1 11", "Operation not permitted");
    // A pipe with a name is no device.
    let ended = Cell::new().sh("mknod /tmp/pipe p && stat -c %F /tmp/pipe");
    assert_eq!(ended.output, "fifo\n", "{ended:?}");
}

#[test]
fn the_machine_cannot_be_told_to_do_anything() {
    // It is read-only, or not there at all.
    refused("echo b > /proc/sysrq-trigger", "can't create /proc/sysrq-trigger");
    refused("echo 1 > /proc/sys/kernel/panic", "Read-only file system");
    refused("echo '|/bin/sh' > /proc/sys/kernel/core_pattern", "Read-only file system");
    refused("echo -1 > /proc/irq/default_smp_affinity", "can't create");
    are_refused(
        &[
            "reboot 0xfee1dead 672274793 0x1234567 0",
            "kexec_load 0 0 memory 0",
            "kexec_file_load 3 3 0 memory 0",
            "swapon /tmp/x 0",
            "swapoff /tmp/x",
            "acct /tmp/x",
            "sethostname host 4",
            "setdomainname host 4",
            "settimeofday memory 0",
            "clock_settime 0 memory",
            "syslog 3 memory 4096",
            "quotactl 0 /tmp 0 0",
            "vhangup",
        ],
        "EPERM",
    );
}

#[test]
fn no_module_or_program_is_put_into_the_kernel() {
    are_refused(
        &[
            "init_module memory 64 memory",
            "finit_module 0 memory 0",
            "delete_module loop 0",
            "bpf 0 memory 64",
            "perf_event_open memory 0 -1 -1 0",
            "userfaultfd 0",
            "io_uring_setup 8 memory",
        ],
        "EPERM",
    );
}

#[test]
fn keys_of_the_kernel_are_nobodys_in_a_container() {
    are_refused(
        &[
            "keyctl 0 -4 0",
            "keyctl 1 0",
            "add_key user name memory 8 -4",
            "request_key user name 0 -4",
        ],
        "EPERM",
    );
    refused("cat /proc/keys | grep .", "");
}

#[test]
fn files_cannot_be_opened_by_their_numbers() {
    are_refused(
        &["open_by_handle_at 3 memory 0", "name_to_handle_at -100 / memory memory 0"],
        "EPERM",
    );
}

#[test]
fn control_groups_cannot_be_written() {
    refused("ls /sys/fs/cgroup/*/tasks", "No such file");
    refused("ls /sys/fs/cgroup/cgroup.procs", "No such file");
    refused("mkdir /sys/fs/cgroup/mine", "");
    refused("mkdir /tmp/c && mount -t cgroup -o memory none /tmp/c", "permission denied");
    refused("mkdir /tmp/c && mount -t cgroup2 none /tmp/c", "permission denied");
    refused("echo 1 > /sys/kernel/uevent_helper", "");
}

#[test]
fn no_new_namespace_can_be_made_and_none_entered() {
    refused("unshare -m true", "Operation not permitted");
    refused("unshare -U true", "Operation not permitted");
    refused("nsenter -t 1 -m true", "Permission denied");
    refused("nsenter --mount=/proc/self/ns/mnt true", "Operation not permitted");
    are_refused(
        &[
            // Of mounts, control groups, names, IPC, users, processes, network; time.
            "unshare 0x20000",
            "unshare 0x2000000",
            "unshare 0x4000000",
            "unshare 0x8000000",
            "unshare 0x10000000",
            "unshare 0x20000000",
            "unshare 0x40000000",
            "unshare 0x80",
            "clone 0x10000011 0 0 0 0",
            "clone 0x20011 0 0 0 0",
            "setns 0 0",
        ],
        "EPERM",
    );
    // Its flags are in memory, where a filter does not look.
    are_refused(&["clone3 memory 88"], "ENOSYS");
}

#[test]
fn memory_and_ports_of_the_machine_are_not_there() {
    refused("cat /proc/kcore | head -c 1 | grep .", "");
    refused("ls /dev/mem", "No such file");
    refused("ls /dev/kmsg /dev/port", "No such file");
    refused("ls /dev/sd* /dev/vd* /dev/loop*", "No such file");
    refused("ls /sys/firmware | grep .", "");
    are_refused(&["ioperm 0 8 1", "iopl 3"], "EPERM");
}

#[test]
fn the_machine_below_this_one_is_not_spoken_to() {
    // AF_VSOCK, and AF_ALG.
    are_refused(&["socket 40 1 0", "socket 38 5 0"], "EPERM");
}
