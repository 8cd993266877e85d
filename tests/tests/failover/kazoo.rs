//! What another program sees: the Python client that tools of Mesos use finds our leader as they do, by the lowest
//! `json.info_` node and the fields in it, which are all that Mesos's masters write.

use std::net::Ipv4Addr;

use ensemble::Ensemble;
use nix::sys::signal::Signal;
use tests::cluster::{Home, Process, eventually};
use tests::python::Python;

/// Pinned, so that a new release cannot turn a clean tree red.
const KAZOO: &str = "kazoo==2.11.0";

/// As detectors of Mesos do it: the lowest of all that end in a number, whatever its label. The command line of Mesos unpacks
/// the number of the address so.
const FIND: &str = r#"
import json, sys
from kazoo.client import KazooClient

hosts, path = sys.argv[1:]
client = KazooClient(hosts=hosts, timeout=20.0)
client.start(timeout=60)
masters = [name for name in client.get_children(path) if name.split("_")[-1].isdigit()]
lowest = min(masters, key=lambda name: int(name.split("_")[-1]))
data, stat = client.get(path + "/" + lowest)
assert stat.ephemeralOwner != 0
info = json.loads(data.decode("utf-8"))
ip = ".".join(str(info["ip"] >> shift & 255) for shift in (0, 8, 16, 24))
print(len(masters), lowest.split("_")[0], ip)
print(data.decode("utf-8"))
client.stop()
"#;

/// A Python with the client.
fn python() -> Python {
    let name = KAZOO.replace("==", "-");
    let install = |python: &Python| python.install(&[KAZOO]);
    Python::with(env!("CARGO_TARGET_TMPDIR"), &name, "import kazoo", install)
}

/// A master that stands, found at this address, and its machine is called so.
fn stands(home: &Home, url: &str, hostname: &str, flags: &[&str]) -> (Process, String) {
    let mut command = home.command(&["master", "--port", "0", "--zk", url, "--log", "info"]);
    command.args(["--hostname", hostname]).args(flags);
    let mut master = Process::start(hostname, command.arg("--work-dir").arg(home.path(hostname)));
    let found_at = master.says("master@").trim().replace("master@", "");
    (master, found_at)
}

/// All of section 3 of what is known of Mesos's nodes, in its order, on one line.
fn node(hostname: &str, id: &str, ip: Ipv4Addr, port: &str) -> String {
    let (number, version) = (u32::from_le_bytes(ip.octets()), env!("CARGO_PKG_VERSION"));
    format!(
        "{{\"address\":{{\"hostname\":\"{hostname}\",\"ip\":\"{ip}\",\"port\":{port}}},\
         \"capabilities\":[{{\"type\":\"AGENT_UPDATE\"}}],\"hostname\":\"{hostname}\",\"id\":\"{id}\",\
         \"ip\":{number},\"pid\":\"master@{ip}:{port}\",\"port\":{port},\"version\":\"{version}\"}}"
    )
}

/// The id under which it leads, by its own words.
fn leads(master: &mut Process) -> String {
    let line = master.says(" leads ");
    let (_, id) = line.split_once(" id=").unwrap_or_else(|| panic!("no id in {line}"));
    id.trim().to_owned()
}

#[test]
fn ha_01_kazoo_finds_the_leader_as_clients_of_mesos_do() {
    let (python, home, ensemble) = (python(), Home::new(), Ensemble::start(1).unwrap());
    let url = ensemble.url("/mesos");
    let find = || {
        let mut find = python.command();
        let output = find.args(["-c", FIND, &ensemble.hosts(), "/mesos"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (mut first, found_at) = stands(&home, &url, "m1.example", &[]);
    let (_, port) = found_at.rsplit_once(':').unwrap();
    let ours = node("m1.example", &leads(&mut first), Ipv4Addr::LOCALHOST, port);
    // Where it is found is not where it listens.
    let elsewhere = ["--advertise-ip", "127.1.2.3", "--advertise-port", "5055"];
    let (mut second, found_at) = stands(&home, &url, "m2.example", &elsewhere);
    assert_eq!(found_at, "127.1.2.3:5055");
    eventually("both have a node", || find() == format!("2 json.info 127.0.0.1\n{ours}\n"));
    first.signal(Signal::SIGTERM);
    assert!(first.ended().success());
    let theirs = node("m2.example", &leads(&mut second), Ipv4Addr::new(127, 1, 2, 3), "5055");
    assert_eq!(find(), format!("1 json.info 127.1.2.3\n{theirs}\n"));
}
