//! Hosts of all kinds, as they describe themselves.

use super::*;

const HYBRID_MOUNTS: &str = "\
23 1 254:0 / / rw,relatime - ext4 /dev/root rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
const HYBRID_OWN: &str = "\
9:name=systemd:/user.slice
8:pids:/
4:memory:/agents/one
1:cpu,cpuacct:/x
0::/user.slice
";

fn mounted(mount_point: &str, own: Option<&str>) -> Mounted {
    Mounted { mount_point: mount_point.into(), own: own.map(PathBuf::from) }
}

#[test]
fn a_hybrid_host_uses_version_1() {
    let found = Found::read(HYBRID_MOUNTS, HYBRID_OWN).with_v2_controllers("");
    assert_eq!(found.version(), Some(Version::V1));
    let cpu = mounted("/sys/fs/cgroup/cpu,cpuacct", Some("x"));
    let expected = BTreeMap::from([
        (Controller::Cpu, cpu.clone()),
        (Controller::Cpuacct, cpu),
        (Controller::Memory, mounted("/sys/fs/cgroup/memory", Some("agents/one"))),
        (Controller::Pids, mounted("/sys/fs/cgroup/pids", Some(""))),
    ]);
    assert_eq!(found.v1, expected);
    assert_eq!(found.v2, Some(mounted("/sys/fs/cgroup/unified", Some("user.slice"))));
    assert_eq!(found.available(), expected.keys().copied().collect());
}

#[test]
fn a_host_of_version_2_has_what_its_tree_gives_and_what_every_group_can() {
    let mounts = "26 20 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    let own = "0::/system.slice/airside.service\n";
    let found = Found::read(mounts, own)
        .with_v2_controllers("cpuset cpu io memory hugetlb pids rdma misc\n");
    assert_eq!(found.version(), Some(Version::V2));
    let own = "system.slice/airside.service";
    assert_eq!(found.v2, Some(mounted("/sys/fs/cgroup", Some(own))));
    assert_eq!(found.available(), Controller::ALL.into_iter().collect());
    let poor = Found::read(mounts, "0::/\n").with_v2_controllers("pids\n");
    assert_eq!(poor.version(), Some(Version::V2), "there is no other");
    assert!(!poor.available().contains(&Controller::Memory));
}

#[test]
fn in_a_container_the_own_group_is_below_what_is_mounted_of_the_tree() {
    let part = "9 8 0:29 /docker/7 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    let own = |own: &str| Found::read(part, own).v1[&Controller::Memory].own.clone();
    assert_eq!(own("3:memory:/docker/7/x\n"), Some("x".into()));
    assert_eq!(own("3:memory:/docker/8\n"), None);
    assert_eq!(own(""), None);
    // In a namespace of groups, those outside are shown as going up.
    let all = "9 8 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    assert_eq!(Found::read(all, "0::/../../x\n").v2.unwrap().own, None);
}

#[test]
fn a_host_without_any_has_none_and_odd_lines_are_left_out() {
    assert_eq!(Found::read("", "").version(), None);
    let odd = "31 - cgroup\n a b c / /x rw - cgroup\n1 2 0:3 / /p rw - cgroup cgroup rw,pids\n";
    let found = Found::read(odd, "pids\n::\n:\n4:pids:/a:b\n");
    assert_eq!(found.v1, BTreeMap::from([(Controller::Pids, mounted("/p", Some("a:b")))]));
    assert_eq!(found.available(), BTreeSet::from([Controller::Pids]));
}
