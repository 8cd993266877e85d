//! Ways out of a container, each of which fails.

use super::cell::Cell;

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

#[test]
fn the_hosts_processes_cannot_be_signalled() {
    let host = std::process::id();
    refused(&format!("kill -0 {host}"), "No such process");
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
    refused("cat /proc/1/exe", "Permission denied");
}

#[test]
fn nothing_can_be_mounted() {
    refused("mount -t tmpfs none /tmp", "permission denied");
    refused("mount -o remount,rw /sys", "permission denied");
}

#[test]
fn a_disk_of_the_hosts_cannot_be_made_a_device_and_read() {
    refused("mknod /tmp/disk b 254 0", "Operation not permitted");
    refused("mknod /dev/memory c 1 1", "Operation not permitted");
}

#[test]
fn the_machine_cannot_be_told_to_do_anything() {
    // It is read-only, or not there at all.
    refused("echo b > /proc/sysrq-trigger", "can't create /proc/sysrq-trigger");
    refused("echo 1 > /proc/sys/kernel/panic", "Read-only file system");
}

#[test]
fn control_groups_cannot_be_written() {
    refused("ls /sys/fs/cgroup/*/tasks", "No such file");
    refused("echo 1 > /sys/kernel/uevent_helper", "");
}

#[test]
fn no_new_namespace_can_be_made() {
    refused("unshare -m true", "Operation not permitted");
    refused("unshare -U true", "Operation not permitted");
}

#[test]
fn memory_of_the_kernel_is_not_there() {
    refused("cat /proc/kcore | head -c 1 | grep .", "");
    refused("ls /dev/mem", "No such file");
}
