//! What agents and `airside up` take of a machine: what it has, and its ports.

use std::fs;
use std::net::TcpListener;

use nix::sys::statvfs::statvfs;
use serde_json::Value;
use tests::cluster::{Home, Process, TestCluster, eventually};

use crate::deaths::{master_and_agent, state_of_agent};

fn resources(listed: &str) -> Vec<Value> {
    let agents: Value = serde_json::from_str(listed).expect("it is JSON");
    agents.as_array().unwrap().iter().map(|agent| agent["resources"].clone()).collect()
}

fn processors() -> f64 {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap();
    text.lines().filter(|line| line.starts_with("processor")).map(|_| 1.0).sum()
}

/// In megabytes.
fn memory() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    let kilobytes: u64 = total.trim().trim_end_matches("kB").trim().parse().unwrap();
    (kilobytes / 1024) as f64
}

/// But for so much, or half of it.
fn but_for(total: f64, left: f64) -> f64 {
    if total >= 2.0 * left { total - left } else { (total / 2.0).floor() }
}

#[test]
fn res_03_an_agent_without_flags_gives_what_the_machine_has_by_mesos_rules() {
    let home = Home::new();
    let (_master, at, _agent) = master_and_agent(&home);
    eventually("the agent is active", || state_of_agent(&home, &at) == "active");
    let listed = home.airside(&["agents", "--json", &format!("--master={at}")]).stdout;
    let [all] = &resources(&listed)[..] else { panic!("not one agent: {listed}") };
    assert_eq!(all["cpus"].as_f64(), Some(processors()), "{all:#}");
    assert_eq!(all["mem"].as_f64(), Some(but_for(memory(), 1024.0)), "{all:#}");
    assert_eq!(all["ports"], serde_json::json!([[31_000, 32_000]]), "{all:#}");
    let disk = statvfs(&home.path("a")).unwrap();
    let free = (disk.blocks_available() * disk.fragment_size() / (1 << 20)) as f64;
    let differs = all["disk"].as_f64().unwrap() - but_for(free, 5120.0);
    // Others write to the disk meanwhile.
    assert!(differs.abs() < 1000.0, "{all:#}, and {free} MB are free");
}

#[test]
fn agents_of_up_share_the_machine() {
    let cluster = TestCluster::up(3);
    let listed = cluster.airside(&["agents", "--json"]).stdout;
    let all = resources(&listed);
    let sum = |name: &str| all.iter().map(|one| one[name].as_f64().unwrap()).sum::<f64>();
    // Thousandths that cannot be divided are nobody's.
    let whole = |name: &str, of: f64| assert!((of - 0.003..=of).contains(&sum(name)), "{listed}");
    whole("cpus", processors());
    whole("mem", but_for(memory(), 1024.0));
    let mut ports: Vec<(u64, u64)> = Vec::new();
    for range in all.iter().flat_map(|one| one["ports"].as_array().unwrap()) {
        ports.push((range[0].as_u64().unwrap(), range[1].as_u64().unwrap()));
    }
    ports.sort_unstable();
    assert!(ports.len() >= 3 && ports.is_sorted_by(|one, next| one.1 < next.0), "{ports:?}");
    assert!(ports[0].0 >= 31_000 && ports[ports.len() - 1].1 <= 32_000, "{ports:?}");
}

#[test]
fn up_takes_another_port_when_the_one_that_it_wants_is_taken() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port();
    let work_dir = format!("--work-dir={}", home.path("work").display());
    let port = format!("--port={taken}");
    let mut up = Process::start("up", &mut home.command(&["up", "--agents=1", &port, &work_dir]));
    up.says("Next: ");
    let master = up.says("  Master ");
    assert!(!master.ends_with(&format!(":{taken}")), "{master}");
    let ran = home.airside(&["run", "--", "echo", "hi"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "hi\n"), "{ran:#?}");
    up.signal(nix::sys::signal::Signal::SIGINT);
    assert!(up.ended().success(), "{:#?}", up.said);
}
