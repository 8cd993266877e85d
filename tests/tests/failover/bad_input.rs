//! Ensembles and paths that are not what they should be, as an operator meets them: said in one line, with what to do.

use std::process::Command;

use coordination::record::seal;
use coordination::zookeeper::{Settings, ZooKeeper};
use ensemble::Ensemble;
use nix::sys::signal::Signal;
use tests::cluster::{Home, Process, eventually};
use tests::holder::{Held, are_whole, noted};
use tokio::runtime::Runtime;

use crate::seats::Stranger;

/// Where several clusters are.
struct Scene {
    runtime: Runtime,
    home: Home,
    ensemble: Ensemble,
    stranger: Stranger,
}

impl Scene {
    fn set(servers: usize) -> Self {
        let (runtime, home) = (Runtime::new().unwrap(), Home::new());
        let ensemble = Ensemble::start(servers).unwrap();
        let stranger = runtime.block_on(Stranger::new(&ensemble.hosts()));
        Self { runtime, home, ensemble, stranger }
    }

    fn command(&self, what: &str, work_dir: &str, url: &str) -> Command {
        let mut command = self.home.command(&[what, "--port", "0", "--log", "warn"]);
        let flag = if what == "master" { "--zk" } else { "--master" };
        command.args([flag, url]).arg("--work-dir").arg(self.home.path(work_dir));
        command
    }

    fn starts(&self, what: &str, work_dir: &str, url: &str) -> Process {
        let mut process = Process::start(what, &mut self.command(what, work_dir, url));
        process.says(&format!("{what}@"));
        process
    }

    /// A master leads, and ends politely: what it made is there.
    fn was_led(&self, work_dir: &str, path: &str) {
        let url = self.ensemble.url(path);
        let mut master = self.starts("master", work_dir, &url);
        eventually("it leads", || self.home.airside(&["agents", "--master", &url]).code == Some(0));
        master.signal(Signal::SIGTERM);
        assert!(master.ended().success());
    }

    /// `airside registry export` or `import`, of this path and always the same file.
    #[track_caller]
    fn moves(&self, what: &str, url: &str) {
        let mut command = self.home.command(&["registry", what, "--zk", url]);
        let moved = self.home.run(command.arg(self.home.path("export")));
        assert_eq!(moved.code, Some(0), "{moved:#?}");
    }

    /// It ends with a line that has all these words.
    #[track_caller]
    fn refuses(&self, what: &str, work_dir: &str, url: &str, words: &[&str]) {
        let outcome = self.home.run(&mut self.command(what, work_dir, url));
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        let last = outcome.stderr.lines().last().unwrap_or_default();
        for word in words {
            assert!(last.contains(word), "'{word}' is missing in: {}", outcome.stderr);
        }
        assert!(!outcome.stderr.contains("s3cret"), "no password is shown: {}", outcome.stderr);
    }

    /// A command ends without a leader, and says why there is none.
    #[track_caller]
    fn nobody_leads(&self, url: &str, words: &[&str]) {
        let outcome = self.home.airside(&["agents", "--master", url]);
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        for word in ["nobody leads the cluster at zk://"].iter().chain(words) {
            assert!(outcome.stderr.contains(word), "'{word}' is missing in: {}", outcome.stderr);
        }
    }
}

#[test]
fn paths_that_are_not_this_clusters_or_that_nobody_can_read_are_refused_in_words() {
    let scene = Scene::set(1);
    let url = |path: &str| scene.ensemble.url(path);
    let with = |who: &str, path: &str| url(path).replace("zk://", &format!("zk://{who}@"));

    // Another's credentials, and none.
    let closed = with("jake:s3cret", "/closed");
    let mut jake = scene.starts("master", "jake", &closed);
    eventually("it leads", || scene.home.airside(&["agents", "--master", &closed]).code == Some(0));
    scene.refuses("master", "new1", &with("jake:s3cretly", "/closed"), &["other credentials"]);
    scene.refuses("master", "new2", &url("/closed"), &["zk://user:password@", "/closed"]);
    jake.signal(Signal::SIGTERM);
    assert!(jake.ended().success());

    // Another cluster's path, one that is empty, and a work directory whose registry is on disk.
    scene.was_led("a", "/a");
    scene.was_led("b", "/b");
    scene.refuses("master", "a", &url("/b"), &["/b/registry", "belongs to cluster", "export"]);
    scene.refuses("master", "a", &url("/none"), &["no registry", "/none", "import the newest"]);
    let mut local = scene.home.command(&["master", "--port", "0", "--log", "warn", "--work-dir"]);
    let mut local = Process::start("local", local.arg(scene.home.path("local")));
    local.says("master@");
    local.signal(Signal::SIGTERM);
    assert!(local.ended().success());
    scene.refuses("master", "local", &url("/b"), &["belongs to cluster", "export"]);

    // An agent of another cluster.
    let mut leads = scene.starts("master", "a", &url("/a"));
    let mut agent = scene.starts("agent", "agent", &url("/a"));
    eventually("it has joined", || {
        scene.home.airside(&["agents", "--json", "--master", &url("/a")]).stdout.contains("active")
    });
    agent.signal(Signal::SIGKILL);
    agent.ended();
    let _b = scene.starts("master", "b", &url("/b"));
    scene.refuses("agent", "agent", &url("/b"), &["cluster"]);
    leads.signal(Signal::SIGTERM);
    assert!(leads.ended().success());

    // A later version's registry, and nodes with garbage.
    scene.was_led("later", "/later");
    let later = seal(b"\x0a\x02c1\x10\x07");
    scene.runtime.block_on(scene.stranger.writes("/later/registry/cluster", &later));
    scene.refuses("master", "new3", &url("/later"), &["later version", "start that version"]);
    scene.was_led("damaged", "/damaged");
    scene.runtime.block_on(scene.stranger.writes("/damaged/registry/epoch", b"17"));
    scene.refuses("master", "damaged", &url("/damaged"), &["/damaged/registry/epoch", "import"]);
    scene.was_led("garbage", "/garbage");
    scene.runtime.block_on(scene.stranger.makes("/garbage/json.info_0000000000", b"?"));
    scene.nobody_leads(&url("/garbage"), &["/garbage/json.info_0000000000", "nobody can read it"]);
}

#[test]
fn an_ensemble_without_a_majority_is_named_and_masters_wait_for_it() {
    let mut scene = Scene::set(3);
    let url = scene.ensemble.url("/waits");
    for server in [1, 2] {
        scene.ensemble.kill(server);
    }
    let mut master = scene.starts("master", "master", &url);
    master.says("no majority; trying on");
    scene.nobody_leads(&url, &["no majority"]);
    for server in [1, 2] {
        scene.ensemble.start_server(server).unwrap();
    }
    eventually("it leads", || scene.home.airside(&["agents", "--master", &url]).code == Some(0));
    // It is not known any more whether it still does; who asks it is told so.
    for server in [1, 2] {
        scene.ensemble.kill(server);
    }
    master.says("suspended: it is not known whether this master still leads");
    let at = master.says("master@").replace("master@", "");
    let words = "suspended: it is not known whether this master still leads, so this list may be out of date\n";
    // The server that is left may serve it for a moment more.
    eventually("it says so", || {
        let listed = scene.home.airside(&["agents", "--json", "--master", at.trim()]);
        (listed.code, &*listed.stdout, &*listed.stderr) == (Some(0), "[]\n", words)
    });
}

/// What `registry/epoch` holds, in the form that `coordination` writes.
fn epoch(number: u8) -> Vec<u8> {
    seal(&[0x08, number])
}

#[test]
fn a_registry_that_is_older_than_what_agents_have_seen_is_named_and_no_task_is_harmed() {
    let scene = Scene::set(1);
    let url = scene.ensemble.url("/rewound");
    scene.was_led("master", "/rewound");
    let rewind = |number| {
        let node = "/rewound/registry/epoch";
        scene.runtime.block_on(scene.stranger.writes(node, &epoch(number)));
    };
    rewind(100);
    let mut master = scene.starts("master", "master", &url);
    let _agent = scene.starts("agent", "agent", &url);
    let notes = scene.home.path("notes");
    let held = scene.runtime.block_on(Held::start("holder", &url, 1, &notes));
    are_whole(&scene.home, std::slice::from_ref(&held), &url, &notes);
    master.signal(Signal::SIGTERM);
    assert!(master.ended().success());
    rewind(7);
    let words = ["has seen epoch 101", "the registry is older", "`airside registry import`"];
    scene.refuses("master", "master", &url, &words);
    assert_eq!(noted(&notes).len(), 1, "its task runs on");
    // The way on that it names: there is no export that is newer.
    scene.moves("export", &url);
    scene.moves("import", &url);
    let _master = scene.starts("master", "master", &url);
    are_whole(&scene.home, std::slice::from_ref(&held), &url, &notes);
}

#[test]
fn a_cluster_whose_ensemble_is_lost_goes_on_from_an_export_that_is_many_reigns_old() {
    let scene = Scene::set(1);
    let url = scene.ensemble.url("/lost");
    let mut master = scene.starts("master", "master", &url);
    let _agent = scene.starts("agent", "agent", &url);
    let notes = scene.home.path("notes");
    let held = scene.runtime.block_on(Held::start("holder", &url, 1, &notes));
    are_whole(&scene.home, std::slice::from_ref(&held), &url, &notes);
    scene.moves("export", &url);
    master.signal(Signal::SIGTERM);
    assert!(master.ended().success());
    // As many reigns as a hundred leaders began since.
    scene.runtime.block_on(scene.stranger.writes("/lost/registry/epoch", &epoch(100)));
    let mut master = scene.starts("master", "master", &url);
    are_whole(&scene.home, std::slice::from_ref(&held), &url, &notes);
    master.signal(Signal::SIGTERM);
    assert!(master.ended().success());

    ZooKeeper::start(Settings::of(url.parse().unwrap())).unwrap().remove().unwrap();
    scene.refuses("master", "master", &url, &["no registry", "import the newest"]);
    scene.moves("import", &url);
    let _master = scene.starts("master", "master", &url);
    are_whole(&scene.home, std::slice::from_ref(&held), &url, &notes);
}
