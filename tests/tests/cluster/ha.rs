//! The demo of fail-over: the leader of three masters is killed, tasks run on, and nothing is left.

use std::fs;

use ensemble::Ensemble;
use nix::sys::signal::Signal;
use tests::cluster::{Home, Process};

struct Demo {
    home: Home,
    process: Process,
}

impl Demo {
    fn start(more: &[&str]) -> Self {
        let home = Home::new();
        let mut command = home.command(&["demo", "--ha", "--log=debug"]);
        let process = Process::start("demo", command.args(more));
        Self { home, process }
    }

    /// Neither a process nor a file.
    #[track_caller]
    fn leaves_nothing(&self) {
        self.home.is_quiet();
        let left: Vec<_> = fs::read_dir(self.home.path("")).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }

    /// What is shown, in this order.
    #[track_caller]
    fn shows_all(&mut self) {
        let status = self.process.ended();
        let said = self.process.said.join("\n");
        assert!(status.success(), "{status}: {said}");
        let mut rest = said.as_str();
        for words in [
            "3 masters at ",
            "3 agents are up",
            "12 tasks run; master-",
            "kill -9 ",
            " leads, ",
            "It knows all 12 tasks",
            "all have ended well",
            "All processes have ended and all files are gone",
        ] {
            let found = rest.split_once(words);
            (_, rest) = found.unwrap_or_else(|| panic!("'{words}' is missing, or late, in {said}"));
        }
        self.leaves_nothing();
    }
}

#[test]
fn the_demo_of_failover_starts_a_zookeeper_and_leaves_nothing_of_it() {
    let mut demo = Demo::start(&[]);
    demo.process.says("3 ZooKeeper servers at ");
    demo.shows_all();
}

#[test]
fn the_demo_of_failover_uses_the_zookeeper_that_is_named_and_a_path_of_its_own() {
    let ensemble = Ensemble::start(1).unwrap();
    let url = ensemble.url("/for-the-demo");
    for _ in 0..2 {
        // The second would not begin if the first had left anything there.
        Demo::start(&["--zk", &url]).shows_all();
    }
    let detector = coordination::zookeeper::ZooKeeper::start(coordination::zookeeper::Settings {
        new_cluster: "c1".into(),
        ..coordination::zookeeper::Settings::of(url.parse().unwrap())
    })
    .unwrap();
    let mut store = detector.store();
    let candidate = coordination::election::Candidate::at("127.0.0.1:1");
    coordination::election::Elector::stand(&mut store, &candidate).unwrap();
    let mut refused = Demo::start(&["--zk", &url]);
    refused.process.says("name a path that is not there, since the demo removes it");
    assert_eq!(refused.process.ended().code(), Some(1));
    refused.leaves_nothing();
    assert!(detector.is_there().unwrap(), "it was left alone");
}

#[test]
fn an_interrupted_demo_of_failover_leaves_nothing() {
    let mut demo = Demo::start(&[]);
    demo.process.says("12 tasks run");
    demo.process.signal(Signal::SIGINT);
    demo.process.says("airside: interrupted");
    assert_eq!(demo.process.ended().code(), Some(1));
    demo.leaves_nothing();
}

#[test]
fn without_a_zookeeper_the_demo_of_failover_says_how_to_come_by_one() {
    let home = Home::new();
    // Whatever is installed, no Java is found.
    let output = home.command(&["demo", "--ha"]).env("PATH", "/nowhere").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("java is missing") && said.contains("install Debian's"), "{said}");
    assert_eq!(output.status.code(), Some(1));
    home.is_quiet();
}
