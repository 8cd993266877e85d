//! A disk: what a container reads and writes of it is counted, and limited.

use std::fs;
use std::os::unix::fs::MetadataExt;

use containerizer::cgroups::logic::controller::Controller;
use containerizer::cgroups::logic::limits::{DeviceNumber, Io, Limits, Throttle};
use nix::sys::stat::{major, minor};

use crate::place::{Program, eventually};
use crate::place_of_v2;

/// The machine's only one; what is written to it is lost.
const DISK: &str = "/dev/vda";

fn disk() -> DeviceNumber {
    let disk = fs::metadata(DISK).unwrap_or_else(|error| panic!("no disk {DISK}: {error}"));
    let part = |number: u64| u32::try_from(number).unwrap();
    DeviceNumber(part(major(disk.rdev())), part(minor(disk.rdev())))
}

#[test]
fn iso_13_what_is_read_and_written_of_a_disk_is_counted_by_io() {
    let Some(place) = place_of_v2() else { return };
    let group = place.create("a", &Limits::default());
    let other = place.create("b", &Limits::default());
    let script = format!(
        "dd if={DISK} of=/dev/null bs=64k count=16 iflag=direct &&
         dd if=/dev/zero of={DISK} bs=64k count=8 oflag=direct"
    );
    let output = Program::start(&group, &script).output();
    assert!(output.status.success(), "{output:?}");
    let usage = group.usage().unwrap().io[&disk()];
    assert_eq!((usage.read_bytes, usage.write_bytes), (16 << 16, 8 << 16));
    assert!(usage.reads >= 16 && usage.writes >= 8, "{usage:?}");
    assert_eq!(other.usage().unwrap().io.get(&disk()).map_or(0, |usage| usage.read_bytes), 0);
}

#[test]
fn iso_13_who_writes_more_than_io_max_waits_until_it_may_have_more() {
    let Some(place) = place_of_v2() else { return };
    let number = disk();
    let limited = |most| Limits {
        io: Io { weight: None, throttles: [(number, most)].into() },
        ..Limits::default()
    };
    // Of which one write would take a quarter of a minute.
    let little = limited(Throttle { write_bytes: Some(4096), ..Throttle::default() });
    let group = place.create("a", &little);
    let DeviceNumber(major, minor) = number;
    assert_eq!(
        place.read(Controller::Io, &group, "io.max"),
        format!("{major}:{minor} rbps=max wbps=4096 riops=max wiops=max")
    );
    let script = format!("exec dd if=/dev/zero of={DISK} bs=64k count=2 oflag=direct");
    let mut program = Program::start(&group, &script);
    let status = format!("/proc/{}/status", program.pid());
    eventually("it waits for the disk", || {
        fs::read_to_string(&status).unwrap().contains("State:\tD")
    });
    let written = || group.usage().unwrap().io.get(&number).map_or(0, |usage| usage.write_bytes);
    assert_eq!(written(), 0);
    group.update(&little, &limited(Throttle::default())).unwrap();
    assert!(program.wait().success());
    assert_eq!(written(), 2 << 16);
}
