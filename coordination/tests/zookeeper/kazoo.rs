//! What another program sees: the Python client that tools of Mesos use finds our leader as they do, by the lowest
//! `json.info_` node and the fields in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::stage::{Member, ensemble, path};

/// Pinned, so that a new release cannot turn a clean tree red.
const KAZOO: &str = "kazoo==2.11.0";

/// As Mesos's own command line does it, with every field that clients in the wild read.
const FIND: &str = r#"
import json, sys
from kazoo.client import KazooClient

hosts, path = sys.argv[1:]
client = KazooClient(hosts=hosts, timeout=20.0)
client.start(timeout=60)
masters = sorted(name for name in client.get_children(path) if name.startswith("json.info_"))
data, _ = client.get(path + "/" + masters[0])
info = json.loads(data.decode("utf-8"))
ip = ".".join(str(info["ip"] >> shift & 255) for shift in (0, 8, 16, 24))
print(len(masters), info["id"], info["pid"], info["hostname"], ip, info["port"], info["version"])
print(info["address"]["hostname"], info["address"]["ip"], info["address"]["port"])
print(sorted(info))
client.stop()
"#;

/// A Python with the client, made once for all runs.
fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(KAZOO.replace("==", "-"));
    let python = folder.join("bin/python");
    let works = Command::new(&python).args(["-c", "import kazoo"]).stderr(Stdio::null()).status();
    if works.is_ok_and(|status| status.success()) {
        return python;
    }
    let run = |command: &mut Command, advice: &str| {
        let output = command.output().unwrap_or_else(|error| panic!("{error}: {advice}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{advice}: {said}");
    };
    let mut make = Command::new("/usr/bin/python3");
    let advice = "install python3-venv: apt-get install python3-venv";
    run(make.args(["-m", "venv", "--clear"]).arg(&folder), advice);
    let mut install = Command::new(&python);
    let advice = format!("{KAZOO} cannot be installed from PyPI");
    run(install.args(["-m", "pip", "install", "--quiet", KAZOO]), &advice);
    python
}

#[test]
fn ha_01_kazoo_finds_the_leader_as_clients_of_mesos_do() {
    let python = python();
    let ensemble = ensemble();
    let path = path("kazoo");
    let url = ensemble.url(&path);
    let (mut first, mut second) = (Member::new(&url, "first"), Member::new(&url, "second"));
    first.leads();
    let waits = second.stands();
    second.finds("first-1");
    crate::stage::eventually("two have a node", || {
        crate::stage::Stranger::new(&ensemble.hosts()).seats(&path).len() == 2
    });
    let find = || {
        let mut find = Command::new(&python);
        let output = find.args(["-c", FIND]).arg(ensemble.hosts()).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let fields = "['address', 'capabilities', 'hostname', 'id', 'ip', 'pid', 'port', 'version']";
    let expected = |count: usize, id: &str| {
        format!(
            "{count} {id} master@127.0.0.1:5050 {id}.example 127.0.0.1 5050 1.12.0\n\
             {id}.example 127.0.0.1 5050\n{fields}\n"
        )
    };
    assert_eq!(find(), expected(2, "first-1"));
    first.leaves();
    waits.leads();
    assert_eq!(find(), expected(1, "second-1"));
}
