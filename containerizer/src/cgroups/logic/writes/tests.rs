//! Limits of people beside the values that the kernel is told.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::cgroups::logic::limits::MEMORY_BYTES_MIN;

const GIB: u64 = 1 << 30;

fn lines(writes: &[Write]) -> Vec<String> {
    writes.iter().map(|Write { file, value, .. }| format!("{file} = {value}")).collect()
}

fn cpu(request_milli: u64, limit_milli: Bound) -> Limits {
    let cpu = Cpu { request_milli, limit_milli, revocable: false };
    Limits { cpu: Some(cpu), ..Limits::default() }
}

fn memory(soft: u64, hard: Bound, swap: Option<Bound>) -> Limits {
    Limits { memory: Some(Memory { soft, hard, swap }), ..Limits::default() }
}

fn rules(texts: &[&str]) -> Limits {
    let rules = texts.iter().map(|text| text.parse().unwrap()).collect();
    Limits { devices: Some(rules), ..Limits::default() }
}

fn everything() -> Limits {
    Limits {
        cpu: Some(Cpu { request_milli: 500, limit_milli: Bound::At(1500), revocable: false }),
        memory: Some(Memory { soft: GIB, hard: Bound::At(2 * GIB), swap: Some(Bound::At(0)) }),
        pids: Some(Bound::At(100)),
        cpuset: Some(Cpuset { cpus: "0-1".into(), mems: Some("0".into()) }),
        io: Io {
            weight: Some(5000),
            throttles: BTreeMap::from([
                (
                    DeviceNumber(8, 0),
                    Throttle { read_bytes: Some(1000), writes: Some(7), ..Throttle::default() },
                ),
                (DeviceNumber(8, 16), Throttle { read_bytes: Some(2000), ..Throttle::default() }),
            ]),
        },
        devices: Some(vec!["c 1:3 rwm".parse().unwrap()]),
        hugetlb: BTreeMap::from([("2MB".to_owned(), Bound::At(0))]),
    }
}

#[test]
fn everything_at_launch_in_version_1() {
    let expected = [
        "cpu.shares = 512",
        "cpu.cfs_quota_us = 150000",
        "cpuset.mems = 0",
        "cpuset.cpus = 0-1",
        "pids.max = 100",
        "blkio.bfq.weight = 1000",
        "blkio.throttle.read_bps_device = 8:0 1000",
        "blkio.throttle.read_bps_device = 8:16 2000",
        "blkio.throttle.write_iops_device = 8:0 7",
        "hugetlb.2MB.limit_in_bytes = 0",
        "memory.soft_limit_in_bytes = 1073741824",
        "memory.limit_in_bytes = 2147483648",
        "memory.memsw.limit_in_bytes = 2147483648",
        "devices.deny = a",
        "devices.allow = c 1:3 rwm",
    ];
    assert_eq!(lines(&at_launch(Version::V1, &everything())), expected);
}

#[test]
fn everything_at_launch_in_version_2() {
    let expected = [
        "cpu.weight = 50",
        "cpu.max = 150000 100000",
        "cpuset.mems = 0",
        "cpuset.cpus = 0-1",
        "pids.max = 100",
        "io.weight = default 5000",
        "io.max = 8:0 rbps=1000 wbps=max riops=max wiops=7",
        "io.max = 8:16 rbps=2000 wbps=max riops=max wiops=max",
        "hugetlb.2MB.max = 0",
        "memory.low = 1073741824",
        "memory.max = 2147483648",
        "memory.swap.max = 0",
    ];
    assert_eq!(lines(&at_launch(Version::V2, &everything())), expected);
}

#[test]
fn what_every_new_group_has_is_not_written() {
    let mut limits = cpu(1000, Bound::Unbounded);
    limits.pids = Some(Bound::Unbounded);
    for version in [Version::V1, Version::V2] {
        assert_eq!(lines(&at_launch(version, &limits)), [""; 0], "{version:?}");
        assert_eq!(lines(&at_launch(version, &Limits::default())), [""; 0], "{version:?}");
    }
    // But a limit that goes is.
    let writes = at_update(Version::V1, &cpu(1000, Bound::At(500)), &limits, Bound::Unbounded);
    assert_eq!(lines(&writes), ["cpu.cfs_quota_us = -1", "pids.max = max"]);
    let writes = at_update(Version::V2, &cpu(1000, Bound::At(500)), &limits, Bound::Unbounded);
    assert_eq!(lines(&writes), ["cpu.max = max 100000", "pids.max = max"]);
}

#[test]
fn a_hard_limit_is_raised_but_never_lowered() {
    let from = memory(GIB, Bound::At(2 * GIB), Some(Bound::At(0)));
    let update = |version, to| lines(&at_update(version, &from, to, Bound::At(2 * GIB)));
    let more = memory(GIB, Bound::At(3 * GIB), Some(Bound::At(GIB)));
    assert_eq!(
        update(Version::V1, &more),
        [
            "memory.soft_limit_in_bytes = 1073741824",
            "memory.memsw.limit_in_bytes = 4294967296",
            "memory.limit_in_bytes = 3221225472",
        ]
    );
    assert_eq!(
        update(Version::V2, &more),
        ["memory.low = 1073741824", "memory.swap.max = 1073741824", "memory.max = 3221225472"]
    );
    let less = memory(GIB / 2, Bound::At(GIB), Some(Bound::At(0)));
    assert_eq!(update(Version::V1, &less), ["memory.soft_limit_in_bytes = 536870912"]);
    assert_eq!(update(Version::V2, &less), ["memory.low = 536870912"]);
    let all = memory(GIB, Bound::Unbounded, None);
    assert_eq!(update(Version::V2, &all)[1..], ["memory.max = max"]);
}

#[test]
fn a_change_of_devices_never_takes_away_what_stays() {
    let from = rules(&["c 1:3 rwm", "c 1:5 r"]);
    let to = rules(&["c 1:3 rwm", "c 1:9 r"]);
    let writes = lines(&at_update(Version::V1, &from, &to, Bound::Unbounded));
    assert_eq!(writes, ["devices.allow = c 1:9 r", "devices.deny = c 1:5 r"]);
    let less =
        at_update(Version::V1, &rules(&["c 1:3 rw"]), &rules(&["c 1:3 w"]), Bound::Unbounded);
    assert_eq!(lines(&less), ["devices.allow = c 1:3 w", "devices.deny = c 1:3 r"]);
    assert_eq!(lines(&at_update(Version::V1, &to, &to, Bound::Unbounded)), [""; 0]);
    let first = at_update(Version::V1, &Limits::default(), &to, Bound::Unbounded);
    assert_eq!(lines(&first)[0], "devices.deny = a");
}

fn any_bound() -> impl Strategy<Value = Bound> {
    prop_oneof![Just(Bound::Unbounded), any::<u64>().prop_map(Bound::At)]
}

fn value_of(writes: &[Write], file: &str) -> Option<Bound> {
    let write = writes.iter().rfind(|write| write.file == file)?;
    Some(write.value.parse().map_or(Bound::Unbounded, Bound::At))
}

proptest! {
    #[test]
    fn after_any_update_the_hard_limit_is_no_lower_and_the_sum_no_less_than_it(
        soft: u64, hard in any_bound(), swap in any_bound(), now in any_bound(),
    ) {
        let to = memory(soft, hard, Some(swap));
        let writes = at_update(Version::V1, &Limits::default(), &to, now);
        let set = value_of(&writes, "memory.limit_in_bytes");
        let sum = value_of(&writes, "memory.memsw.limit_in_bytes");
        prop_assert_eq!(set.is_some(), hard > now);
        if let (Some(set), Some(sum)) = (set, sum) {
            prop_assert!(set > now || set == Bound::At(MEMORY_BYTES_MIN));
            prop_assert!(sum >= set);
            let at = |file: &str| writes.iter().position(|write| write.file == file);
            prop_assert!(at("memory.memsw.limit_in_bytes") < at("memory.limit_in_bytes"));
        }
    }
}
