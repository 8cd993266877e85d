//! What kernels of both versions said, read.

use proptest::prelude::*;

use super::*;

fn read(sources: &[Source], files: &[(&str, &str)]) -> Usage {
    let mut usage = Usage::default();
    for (_, file, read) in sources {
        if let Some((_, text)) = files.iter().find(|(name, _)| name == file) {
            read(&mut usage, text);
        }
    }
    usage
}

const V1: [(&str, &str); 13] = [
    ("cpuacct.stat", "user 101\nsystem 23\n"),
    ("cpuacct.usage", "1241093874\n"),
    (
        "cpu.stat",
        "nr_periods 12\nnr_throttled 9\nthrottled_time 404930582\nwait_sum 0\nnr_bursts 0\nburst_time 0\n",
    ),
    ("cpu.shares", "512\n"),
    ("cpu.cfs_quota_us", "-1\n"),
    ("memory.usage_in_bytes", "4603904\n"),
    ("memory.limit_in_bytes", "134217728\n"),
    ("memory.soft_limit_in_bytes", "9223372036854771712\n"),
    (
        "memory.stat",
        "cache 1\nrss 2\nswap 3\nmapped_file 4\nhierarchical_memory_limit 134217728\ntotal_cache 4096\n\
         total_rss 3784704\ntotal_rss_huge 0\ntotal_mapped_file 135168\ntotal_swap 0\ntotal_unevictable 0\n",
    ),
    ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
    ("pids.current", "3\n"),
    ("pids.max", "max\n"),
    (
        "blkio.throttle.io_service_bytes_recursive",
        "254:0 Read 1351680\n254:0 Write 4096\n254:0 Sync 1355776\n254:0 Async 0\n254:0 Discard 8192\n\
         254:0 Total 1363968\nTotal 1363968\n",
    ),
];

const V2: [(&str, &str); 11] = [
    (
        "cpu.stat",
        "usage_usec 1241093\nuser_usec 1010000\nsystem_usec 231093\nnice_usec 0\nnr_periods 12\n\
         nr_throttled 9\nthrottled_usec 404930\nnr_bursts 0\nburst_usec 0\n",
    ),
    ("cpu.weight", "50\n"),
    ("cpu.max", "150000 100000\n"),
    ("memory.current", "4603904\n"),
    ("memory.swap.current", "4096\n"),
    ("memory.low", "0\n"),
    ("memory.max", "max\n"),
    (
        "memory.stat",
        "anon 3784704\nfile 4096\nkernel 405504\nfile_mapped 135168\nanon_thp 0\nunevictable 0\n",
    ),
    ("memory.events", "low 0\nhigh 0\nmax 27\noom 1\noom_kill 2\noom_group_kill 0\n"),
    ("io.stat", "254:0 rbytes=1351680 wbytes=4096 rios=29 wios=1 dbytes=8192 dios=2\n8:0 \n"),
    (
        "memory.pressure",
        "some avg10=0.00 avg60=1.20 avg300=0.00 total=5432\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=99\n",
    ),
];

#[test]
fn version_1_is_read() {
    let usage = read(&SOURCES_V1, &V1);
    let cpu = CpuUsage {
        user_nanos: Some(1_010_000_000),
        system_nanos: Some(230_000_000),
        total_nanos: Some(1_241_093_874),
        periods: Some(12),
        throttled_periods: Some(9),
        throttled_nanos: Some(404_930_582),
        share: Some(512),
        quota: Some((Bound::Unbounded, 100_000)),
    };
    assert_eq!(usage.cpu, cpu);
    let memory = MemoryUsage {
        total: Some(4_603_904),
        anonymous: Some(3_784_704),
        cache: Some(4096),
        mapped_file: Some(135_168),
        swap: Some(0),
        unevictable: Some(0),
        soft_limit: Some(Bound::Unbounded),
        hard_limit: Some(Bound::At(128 << 20)),
        oom_kills: Some(1),
        ..MemoryUsage::default()
    };
    assert_eq!(usage.memory, memory);
    assert_eq!((usage.pids.current, usage.pids.limit), (Some(3), Some(Bound::Unbounded)));
    let io = IoUsage {
        read_bytes: 1_351_680,
        write_bytes: 4096,
        discard_bytes: 8192,
        ..IoUsage::default()
    };
    assert_eq!(usage.io, BTreeMap::from([(DeviceNumber(254, 0), io)]));
}

#[test]
fn version_2_is_read() {
    let usage = read(&SOURCES_V2, &V2);
    let cpu = CpuUsage {
        user_nanos: Some(1_010_000_000),
        system_nanos: Some(231_093_000),
        total_nanos: Some(1_241_093_000),
        periods: Some(12),
        throttled_periods: Some(9),
        throttled_nanos: Some(404_930_000),
        share: Some(50),
        quota: Some((Bound::At(150_000), 100_000)),
    };
    assert_eq!(usage.cpu, cpu);
    let memory = MemoryUsage {
        total: Some(4_603_904),
        total_with_swap: Some(4_608_000),
        kernel: Some(405_504),
        anonymous: Some(3_784_704),
        cache: Some(4096),
        mapped_file: Some(135_168),
        swap: Some(4096),
        unevictable: Some(0),
        soft_limit: Some(Bound::At(0)),
        hard_limit: Some(Bound::Unbounded),
        at_limit: Some(27),
        oom_kills: Some(2),
        ..MemoryUsage::default()
    };
    assert_eq!(usage.memory, memory);
    let io = IoUsage {
        read_bytes: 1_351_680,
        write_bytes: 4096,
        discard_bytes: 8192,
        reads: 29,
        writes: 1,
        discards: 2,
    };
    let both = [(DeviceNumber(254, 0), io), (DeviceNumber(8, 0), IoUsage::default())];
    assert_eq!(usage.io, BTreeMap::from(both));
    let pressure = Pressure { some_micros: 5432, full_micros: 99 };
    assert_eq!(usage.pressure, BTreeMap::from([(Resource::Memory, pressure)]));
}

#[test]
fn a_container_that_ran_out_of_memory_is_told_from_one_that_did_not() {
    let control = "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n";
    assert_eq!(OutOfMemory::read_v1(control, "7\n"), OutOfMemory { kills: 1, at_limit: 7 });
    let events = "low 0\nhigh 0\nmax 27\noom 1\noom_kill 2\n";
    let read = OutOfMemory::read_v2(events);
    assert_eq!(read, OutOfMemory { kills: 2, at_limit: 1 });
    assert_eq!(read.and(read), OutOfMemory { kills: 4, at_limit: 2 });
    // Kernels before 4.13 do not count.
    assert_eq!(OutOfMemory::read_v1("under_oom 0\n", "0\n"), OutOfMemory::default());
}

#[test]
fn no_limit_is_said_in_three_ways() {
    for text in ["max\n", "-1\n", "9223372036854771712\n", "9223372036854710272\n"] {
        assert_eq!(read_bound(text), Some(Bound::Unbounded), "{text:?}");
    }
    assert_eq!(read_bound("1099511627776\n"), Some(Bound::At(1 << 40)));
    assert_eq!(read_bound("much\n"), None);
}

proptest! {
    /// Lines that look like the kernel's, and any text.
    #[test]
    fn any_text_is_read_without_harm(
        text in r"((user|anon|total_rss|oom_kill|8:0|some|Read|rbytes|total)[ =:]?[0-9a-z:= .-]{0,24}\n?){0,8}|\PC{0,60}",
    ) {
        let mut usage = Usage::default();
        for (_, _, read) in SOURCES_V1.iter().chain(&SOURCES_V2) {
            read(&mut usage, &text);
        }
        OutOfMemory::read_v1(&text, &text);
        OutOfMemory::read_v2(&text);
        read_bound(&text);
    }

    #[test]
    fn a_number_is_read_as_it_was_written(count: u64, other: u64) {
        let text = format!("anonymous {other}\nanon {count}\nanon {other}\n");
        prop_assert_eq!(value(&text, "anon"), Some(count));
        let usage = read(&SOURCES_V1, &[("memory.usage_in_bytes", &format!("{count}\n"))]);
        prop_assert_eq!(usage.memory.total, Some(count));
    }
}
