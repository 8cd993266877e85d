//! Disks that are full where a master or a scheduler has to remember: it ends and says why and how to go on, and goes on from
//! there once there is room.

use std::fs;

use nix::mount::MsFlags;
use tests::cluster::{Home, Process, TestCluster, eventually};
use tests::disks::{fill, small_disk, with_own_mounts};

/// What a scheduler writes of so many does not find room in what its file already has of the disk.
const TASKS: usize = 100;

/// It has ended with one line for people.
#[track_caller]
fn ended_for_want_of_room(process: &mut Process, file: &str) {
    assert!(!process.ended().success(), "{:#?}", process.said);
    let line = process.said.iter().find(|line| line.starts_with("airside: "));
    let line = line.unwrap_or_else(|| panic!("no line for people: {:#?}", process.said));
    for words in [file, "No space left on device", "make room on its disk", "again"] {
        assert!(line.contains(words), "'{words}' is missing in: {line}");
    }
}

#[test]
fn a_master_whose_disk_is_full_ends_in_words_and_knows_all_that_it_told_once_there_is_room() {
    let story = || {
        let home = Home::new();
        let (disk, filler) = (home.path("master"), home.path("master/filler"));
        fs::create_dir(&disk).unwrap();
        small_disk(&disk, 80, MsFlags::empty());
        let start = |what: &str, name: &str, flags: &[&str]| {
            let mut command = home.command(&[what, "--log", "warn"]);
            command.args(flags).arg("--work-dir").arg(home.path(name));
            let mut process = Process::start(name, &mut command);
            let address = process.says(&format!("{what}@")).trim().replace(&format!("{what}@"), "");
            (process, address)
        };
        let (mut master, address) = start("master", "master", &["--port", "0"]);
        let agents = |count: usize| {
            eventually("agents are there", || {
                let listed = home.airside(&["agents", "--json", "--master", &address]);
                listed.stdout.matches("\"active\"").count() == count
            });
        };
        let joins = ["--port", "0", "--master", &address];
        let _first = start("agent", "first", &joins);
        agents(1);
        fill(&filler);
        let _second = start("agent", "second", &joins);
        ended_for_want_of_room(&mut master, "registry");
        fs::remove_file(&filler).unwrap();
        let (_, port) = address.rsplit_once(':').unwrap();
        let (master, _) = start("master", "master", &["--port", port]);
        agents(2);
        drop(master);
        home
    };
    with_own_mounts(story);
}

#[test]
fn a_scheduler_whose_disk_is_full_ends_in_words_and_goes_on_once_there_is_room() {
    let story = || {
        let cluster = TestCluster::up(1);
        let (disk, filler) = (cluster.home.path("state"), cluster.home.path("state/filler"));
        fs::create_dir(&disk).unwrap();
        small_disk(&disk, 1, MsFlags::empty());
        let (counts, go_on) = (cluster.home.path("counts"), cluster.home.path("go-on"));
        let waits = format!(
            "echo once >> {}; until [ -e {} ]; do sleep 0.05; done",
            counts.display(),
            go_on.display()
        );
        let start = || {
            let repeat = TASKS.to_string();
            let mut command = cluster.home.command(&["batch", "--repeat", &repeat, "--state-dir"]);
            Process::start("batch", command.arg(&disk).arg(&waits))
        };
        let mut batch = start();
        eventually("a task runs", || counts.exists());
        fill(&filler);
        fs::write(&go_on, "").unwrap();
        ended_for_want_of_room(&mut batch, "state");
        fs::remove_file(&filler).unwrap();
        let mut batch = start();
        assert!(batch.ended().success(), "{:#?}", batch.said);
        let ran = fs::read_to_string(&counts).unwrap().lines().count();
        assert_eq!(ran, TASKS, "each ran once: {:#?}", batch.said);
        cluster
    };
    with_own_mounts(story);
}
