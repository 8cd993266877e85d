//! From one master with its registry on disk to several that are elected, and from where earlier versions had a registry in
//! ZooKeeper: it moves, and tasks run on.

use std::collections::BTreeSet;

use coordination::record::seal;
use ensemble::Ensemble;
use nix::sys::signal::Signal;
use tests::cluster::{Home, Process};
use tests::holder::{Held, are_whole, noted, sees_all};
use tokio::runtime::Runtime;

use crate::seats::Stranger;

const TASKS: usize = 3;

fn start(home: &Home, what: &str, name: &str, flags: &[&str]) -> Process {
    let mut command = home.command(&[what, "--port", "0", "--log", "info"]);
    let process = command.args(flags).arg("--work-dir").arg(home.path(name));
    let mut process = Process::start(name, process);
    process.says(&format!("{what}@"));
    process
}

#[track_caller]
fn ends(mut process: Process) {
    process.signal(Signal::SIGTERM);
    assert!(process.ended().success(), "{}", process.said.join("\n"));
}

#[test]
fn ha_05_a_cluster_with_one_master_gets_several_and_no_task_notices() {
    let (runtime, home, ensemble) =
        (Runtime::new().unwrap(), Home::new(), Ensemble::start(1).unwrap());
    let (notes, url) = (home.path("notes"), ensemble.url("/airside"));
    let mut only = start(&home, "master", "only", &[]);
    let address = only.says("master@").trim().replace("master@", "");
    let resources = ["--resources", "cpus:4;mem:2048;disk:1024"];
    let agent = start(&home, "agent", "agent", &[&["--master", &address], &resources[..]].concat());
    let held = runtime.block_on(Held::start("holder", &address, TASKS, &notes));
    are_whole(&home, std::slice::from_ref(&held), &address, &notes);
    let tasks: BTreeSet<String> = held.tasks.iter().map(ToString::to_string).collect();
    ends(only);

    let (from, file) = (home.path("only"), home.path("registry.export"));
    let (from, file) = (from.to_str().unwrap(), file.to_str().unwrap());
    let exported = home.airside(&["registry", "export", "--work-dir", from, file]);
    assert_eq!(exported.code, Some(0), "{exported:#?}");
    let imported = home.airside(&["registry", "import", "--zk", &url, file]);
    assert_eq!(imported.code, Some(0), "{imported:#?}");

    // The work directory knows which cluster this is, and the path is that cluster's now.
    let _masters = [
        start(&home, "master", "only", &["--zk", &url]),
        start(&home, "master", "another", &["--zk", &url]),
    ];
    ends(agent);
    let _agent = start(&home, "agent", "agent", &[&["--master", &url], &resources[..]].concat());
    sees_all(&home, &url, &tasks);
    assert_eq!(noted(&notes).len(), TASKS, "each is the process that it was");
}

#[test]
fn masters_warn_of_a_registry_where_earlier_versions_had_it_and_it_moves_and_no_task_notices() {
    let (runtime, home, ensemble) =
        (Runtime::new().unwrap(), Home::new(), Ensemble::start(1).unwrap());
    let (notes, url) = (home.path("notes"), ensemble.url("/mesos"));
    let stranger = runtime.block_on(Stranger::new(&ensemble.hosts()));
    // Cluster c1, form 1; what else there is, whoever leads adds.
    let cluster = seal(b"\x0a\x02c1\x10\x01");
    let made = [("", &[][..]), ("/airside", &[]), ("/airside/cluster", &cluster)];
    for (node, data) in made {
        runtime.block_on(stranger.makes(&format!("/mesos{node}"), data));
    }
    let mut master = start(&home, "master", "m", &["--zk", &url]);
    let warned = master.says("registry move");
    assert!(warned.contains("WARN") && warned.contains(&format!("--zk {url}")), "{warned}");
    let resources = ["--resources", "cpus:4;mem:2048;disk:1024"];
    let _agent = start(&home, "agent", "agent", &[&["--master", &url], &resources[..]].concat());
    let held = runtime.block_on(Held::start("holder", &url, TASKS, &notes));
    are_whole(&home, std::slice::from_ref(&held), &url, &notes);
    let tasks: BTreeSet<String> = held.tasks.iter().map(ToString::to_string).collect();

    let moves = || home.airside(&["registry", "move", "--zk", &url]);
    let refused = moves();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("stop all of them first"), "{refused:#?}");
    ends(master);
    let moved = moves();
    assert_eq!(moved.code, Some(0), "{moved:#?}");
    assert!(moved.stdout.contains("of cluster c1 are below /mesos/registry"), "{moved:#?}");
    let again = moves();
    assert!(again.stdout.contains("already") && again.code == Some(0), "{again:#?}");
    assert_eq!(runtime.block_on(stranger.names("/mesos")), ["registry"]);

    let mut master = start(&home, "master", "m", &["--zk", &url]);
    sees_all(&home, &url, &tasks);
    assert_eq!(noted(&notes).len(), TASKS, "each is the process that it was");
    assert!(!master.said_so_far().contains("registry move"), "{:#?}", master.said);
}
