//! Processors, processes and devices: what a container may not have it does not get, and what it has is counted.

use containerizer::cgroups::logic::controller::Controller;
use containerizer::cgroups::logic::devices::DEFAULT;
use containerizer::cgroups::logic::limits::{Bound, Cpu, Cpuset, Limits};

use crate::place::{Place, Program, SOON, eventually};

fn cpu(request_milli: u64, limit_milli: Bound) -> Limits {
    let cpu = Cpu { request_milli, limit_milli, revocable: false };
    Limits { cpu: Some(cpu), ..Limits::default() }
}

const SPIN: &str = "while :; do :; done";

#[test]
fn iso_03_cpu_shares_follow_the_request_and_its_updates() {
    let place = Place::new();
    let file = if place.is_v1() { "cpu.shares" } else { "cpu.weight" };
    let of = |v1: &'static str, v2| if place.is_v1() { v1 } else { v2 };
    let limits = cpu(2500, Bound::Unbounded);
    let group = place.create("a", &limits);
    assert_eq!(place.read(Controller::Cpu, &group, file), of("2560", "250"));
    group.update(&limits, &cpu(100, Bound::Unbounded)).unwrap();
    assert_eq!(place.read(Controller::Cpu, &group, file), of("102", "10"));
    let revocable = Cpu { request_milli: 3000, limit_milli: Bound::Unbounded, revocable: true };
    let revocable = Limits { cpu: Some(revocable), ..Limits::default() };
    let group = place.create("b", &revocable);
    assert_eq!(place.read(Controller::Cpu, &group, file), of("30", "3"));
}

#[test]
fn iso_03_a_quota_throttles_and_throttling_is_counted() {
    let place = Place::new();
    let group = place.create("a", &cpu(1000, Bound::At(50)));
    assert_eq!(group.usage().unwrap().cpu.throttled_periods, Some(0));
    let mut program = Program::start(&group, SPIN);
    let throttled = || group.usage().unwrap().cpu.throttled_periods.unwrap();
    eventually("it is throttled", || throttled() >= 3);
    let usage = group.usage().unwrap().cpu;
    assert!(usage.periods >= usage.throttled_periods);
    assert!(usage.throttled_nanos.unwrap() > 0);
    assert_eq!(usage.quota, Some((Bound::At(5000), 100_000)));
    // Without the quota, it is not throttled more.
    group.update(&cpu(1000, Bound::At(50)), &cpu(1000, Bound::Unbounded)).unwrap();
    assert_eq!(group.usage().unwrap().cpu.quota, Some((Bound::Unbounded, 100_000)));
    group.destroy(SOON).unwrap();
    assert!(!program.wait().success());
}

#[test]
fn time_and_processes_of_a_container_are_counted() {
    let place = Place::new();
    let group = place.create("a", &Limits::default());
    let before = group.usage().unwrap();
    assert_eq!(before.pids.current, Some(0));
    let mut program = Program::start(&group, &format!("sleep 1000 & {SPIN}"));
    let user = || group.usage().unwrap().cpu.user_nanos.unwrap();
    eventually("it used a tenth of a second", || user() > 100_000_000);
    let usage = group.usage().unwrap();
    assert!(usage.cpu.total_nanos > before.cpu.total_nanos);
    assert_eq!(usage.pids.current, Some(2));
    assert_eq!(usage.pids.limit, Some(Bound::Unbounded));
    group.destroy(SOON).unwrap();
    assert!(!program.wait().success());
}

#[test]
fn iso_11_more_processes_than_the_limit_are_not_born() {
    let place = Place::new();
    let limits = Limits { pids: Some(Bound::At(5)), ..Limits::default() };
    let group = place.create("a", &limits);
    let mut program =
        Program::start(&group, "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; wait");
    eventually("some are refused", || group.usage().unwrap().pids.refused > Some(0));
    let usage = group.usage().unwrap().pids;
    assert!(usage.current <= Some(5), "{usage:?}");
    assert_eq!(usage.limit, Some(Bound::At(5)));
    group.destroy(SOON).unwrap();
    assert!(!program.wait().success());
}

#[test]
fn iso_07_a_device_that_is_not_allowed_is_refused() {
    let place = Place::new();
    let limits = Limits { devices: Some(DEFAULT.to_vec()), ..Limits::default() };
    let group = place.create("a", &limits);
    let dir = tempfile::tempdir().unwrap();
    // Memory of the machine, made where a mount without `nodev` is, and a disk.
    let script = format!(
        "echo a > /dev/null && head -c 1 /dev/zero > /dev/null && echo allowed
         head -c 1 /dev/kmsg > /dev/null; echo kmsg $?
         echo a > /dev/kmsg; echo kmsg $?
         cd {}; mknod zero c 1 5 && echo made",
        dir.path().display()
    );
    let output = Program::start(&group, &script).output();
    let (said, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "allowed", "{said} {complaints}");
    assert!(lines[1].starts_with("kmsg ") && lines[1] != "kmsg 0", "{said} {complaints}");
    assert!(lines[2].starts_with("kmsg ") && lines[2] != "kmsg 0", "{said} {complaints}");
    assert_eq!(lines[3], "made", "{complaints}");
    let refused = complaints.matches("ermission denied").count()
        + complaints.matches("peration not permitted").count();
    assert_eq!(refused, 2, "{complaints}");
    // Not even by who makes it.
    let none = Limits { devices: Some(vec![]), ..Limits::default() };
    let group = place.create("b", &none);
    let script = format!("cd {}; mknod other c 1 5", dir.path().display());
    assert!(!Program::start(&group, &script).output().status.success());
    assert!(!dir.path().join("other").exists());
}

#[test]
fn devices_that_are_allowed_later_can_be_used_and_those_taken_away_cannot() {
    let place = Place::new();
    let rules = |texts: &[&str]| Limits {
        devices: Some(texts.iter().map(|text| text.parse().unwrap()).collect()),
        ..Limits::default()
    };
    let (first, second) = (rules(&["c 1:3 rw"]), rules(&["c 1:5 r", "c 1:3 w"]));
    let group = place.create("a", &first);
    let zero = "head -c 1 /dev/zero > /dev/null";
    assert!(!Program::start(&group, zero).output().status.success());
    group.update(&first, &second).unwrap();
    let output = Program::start(&group, zero).output();
    assert!(output.status.success(), "{output:?}");
    group.update(&second, &first).unwrap();
    assert!(!Program::start(&group, zero).output().status.success());
}

#[test]
fn a_nested_container_has_no_devices_that_its_parent_has_not() {
    let place = Place::new();
    let rules = |text: &str| Limits {
        devices: Some(vec![text.parse().unwrap(), "c 1:3 rw".parse().unwrap()]),
        ..Limits::default()
    };
    let parent = place.create("a", &rules("c 1:5 r"));
    let path = parent.path().nested("b").unwrap();
    // Version 1 refuses the rule, version 2 its use.
    match place.trees.create(&path, &rules("c 1:8 r")) {
        Ok(nested) => {
            let script = "head -c 1 /dev/random > /dev/null";
            assert!(!Program::start(&nested, script).output().status.success());
        }
        Err(error) => assert!(error.to_string().contains("c 1:8 r"), "{error}"),
    }
}

#[test]
fn iso_06_a_container_runs_on_its_processors_only() {
    let place = Place::new();
    let cpuset = Cpuset { cpus: "0".into(), mems: None };
    let group = place.create("a", &Limits { cpuset: Some(cpuset), ..Limits::default() });
    let output = Program::start(&group, "grep Cpus_allowed_list /proc/self/status").output();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.split_whitespace().last(), Some("0"), "{said}");
    let bad = Cpuset { cpus: "4095".into(), mems: None };
    let bad = Limits { cpuset: Some(bad), ..Limits::default() };
    if place.is_v1() {
        let path = group.path().nested("b").unwrap();
        let error = place.trees.create(&path, &bad).unwrap_err().to_string();
        assert!(error.contains("4095") && error.contains("cpuset.cpus"), "{error}");
    }
    let name = if place.is_v1() { "cpuset.cpus" } else { "cpuset.cpus.effective" };
    assert_eq!(place.read(Controller::Cpuset, &group, name), "0");
}
