//! Processors, processes and devices.

use std::fs;

use containerizer::cgroups::logic::controller::Controller;
use containerizer::cgroups::logic::limits::{Bound, Cpu, Cpuset, Limits};

use crate::place::{Program, SOON, eventually};
use crate::place_of_v2;

fn cpu(request_milli: u64, limit_milli: Bound, revocable: bool) -> Limits {
    let cpu = Cpu { request_milli, limit_milli, revocable };
    Limits { cpu: Some(cpu), ..Limits::default() }
}

#[test]
fn iso_13_cpu_has_a_weight_of_a_hundred_a_processor_and_a_maximum_that_throttles() {
    let Some(place) = place_of_v2() else { return };
    let limited = cpu(2500, Bound::At(50), false);
    let group = place.create("a", &limited);
    let read = |file| place.read(Controller::Cpu, &group, file);
    assert_eq!((read("cpu.weight"), read("cpu.max")), ("250".into(), "5000 100000".into()));
    let mut program = Program::start(&group, "while :; do :; done");
    let throttled = || group.usage().unwrap().cpu.throttled_periods.unwrap();
    eventually("it is throttled", || throttled() >= 3);
    assert!(group.usage().unwrap().cpu.throttled_nanos > Some(0));
    let revocable = cpu(3000, Bound::Unbounded, true);
    group.update(&limited, &revocable).unwrap();
    assert_eq!((read("cpu.weight"), read("cpu.max")), ("3".into(), "max 100000".into()));
    group.destroy(SOON).unwrap();
    assert!(!program.wait().success());
}

#[test]
fn iso_13_a_container_runs_on_the_processors_of_its_cpuset_as_it_is_now() {
    let Some(place) = place_of_v2() else { return };
    let on = |cpus: &str| {
        let cpuset = Cpuset { cpus: cpus.into(), mems: Some("0".into()) };
        Limits { cpuset: Some(cpuset), ..Limits::default() }
    };
    let group = place.create("a", &on("1"));
    let mut program = Program::start(&group, "exec sleep 1000");
    let allowed = || {
        let status = fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        line.unwrap().trim().to_owned()
    };
    assert_eq!(allowed(), "1");
    assert_eq!(place.read(Controller::Cpuset, &group, "cpuset.mems.effective"), "0");
    group.update(&on("1"), &on("0")).unwrap();
    assert_eq!(allowed(), "0");
    group.destroy(SOON).unwrap();
    assert!(!program.wait().success());
}

#[test]
fn iso_13_more_processes_than_pids_max_are_not_born_and_that_is_counted() {
    let Some(place) = place_of_v2() else { return };
    let limits = Limits { pids: Some(Bound::At(5)), ..Limits::default() };
    let group = place.create("a", &limits);
    assert_eq!(place.read(Controller::Pids, &group, "pids.max"), "5");
    let mut program =
        Program::start(&group, "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; wait");
    eventually("some are refused", || group.usage().unwrap().pids.refused > Some(0));
    assert!(group.usage().unwrap().pids.current <= Some(5));
    group.destroy(SOON).unwrap();
    assert!(!program.wait().success());
}

#[test]
fn iso_13_devices_are_refused_by_a_program_in_the_kernel_which_changes_and_holds_for_nested_groups()
{
    let Some(place) = place_of_v2() else { return };
    let rules = |texts: &[&str]| Limits {
        devices: Some(texts.iter().map(|text| text.parse().unwrap()).collect()),
        ..Limits::default()
    };
    let (before, after) = (rules(&["c 1:3 rw", "c 1:5 r"]), rules(&["c 1:3 rw", "c 1:11 r"]));
    let group = place.create("a", &before);
    let folder = place.trees.folders().next().unwrap().join(group.path().as_str());
    assert!(!folder.join("devices.list").exists(), "version 2 has no such file");
    let path = group.path().nested("b").unwrap();
    // What it is allowed, its parent is not.
    let nested = place.trees.create(&path, &rules(&["c 1:3 rw", "c 1:11 r", "c 1:5 rw"])).unwrap();
    let tries = |group, script: &str| {
        let output = Program::start(group, script).output();
        let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() || complaints.contains("not permitted"), "{complaints}");
        output.status.success()
    };
    let read_zero = "head -c 1 /dev/zero > /dev/null";
    let write_zero = "echo a > /dev/zero";
    let read_log = "dd if=/dev/kmsg of=/dev/null bs=8k count=1";
    for group in [&group, &nested] {
        assert!(tries(group, read_zero), "{}", group.path());
        assert!(!tries(group, write_zero), "{}", group.path());
        assert!(!tries(group, read_log), "{}", group.path());
    }
    group.update(&before, &after).unwrap();
    for group in [&group, &nested] {
        assert!(!tries(group, read_zero), "{}", group.path());
        assert!(tries(group, read_log), "{}", group.path());
    }
}
