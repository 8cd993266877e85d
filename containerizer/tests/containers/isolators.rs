//! The interface of isolators, with some that a stranger might have written: what they are asked in a container's life, and what comes
//! of what they say.

use std::sync::Arc;

use containerizer::container::ContainerName;
use containerizer::isolator::{Allowance, ContainerPath, Isolators, Limitation};
use containerizer::life::{Running, Starter};
use containerizer::recover::recover;
use containerizer::runtime::Exit;
use nix::poll::{PollFd, PollFlags, poll};
use protocol::resources::Resources;
use protocol::task::Reason;

use super::cell::{Cell, finish, is_ready};
use super::recorder::{Pair, Recorder};

const SLEEP: [&str; 2] = ["/bin/sleep", "1000"];

fn holding(cpus: f64) -> Allowance {
    Allowance { holds: Resources::cpus_mem(cpus, 64.0), ..Allowance::default() }
}

fn started(cell: &mut Cell, isolators: &Isolators) -> Running {
    let (mut running, _) = cell.start(&SLEEP, |_| {}, isolators);
    running.launched().unwrap().started().unwrap();
    running
}

#[test]
fn iso_27_isolators_are_asked_in_order_through_a_containers_life_and_clean_up_in_reverse() {
    let (mut cell, pair) = (Cell::new(), Pair::default());
    let script = "echo $FROM_A $FROM_B; exit 3";
    let container = cell.container(&["/bin/sh", "-c", script]);
    let folder = cell.next_folder();
    let output = cell.folder("x").join("output");
    let handed = Cell::handed(&folder, &std::fs::File::create(&output).unwrap());
    let id = ContainerPath::of_executor(cell.name());
    let running = Running::new(id, folder, container, &pair.both());
    let mut running = running.with_allowance(holding(1.5));
    running.start(&mut Starter::Launcher(&mut cell.launcher), handed);
    pair.were_asked(&[
        "A: prepare c-1",
        "B: prepare c-1",
        "A: hand c-1",
        "B: hand c-1",
        "A: isolate c-1",
        "A: watch c-1",
        "B: isolate c-1",
        "B: watch c-1",
    ]);
    running.update(holding(2.0)).unwrap();
    pair.were_asked(&["A: update c-1", "B: update c-1"]);
    let ended = finish(&mut running, &output);
    assert_eq!((ended.exit, ended.output.as_str()), (Some(Exit::Code(3)), "1.5 1.5\n"));
    pair.were_asked(&["A: kill c-1", "B: kill c-1", "B: clean_up c-1", "A: clean_up c-1"]);
    pair.are_bare();
    cell.is_bare();
}

#[test]
fn iso_27_what_isolators_say_of_a_container_is_merged() {
    let (mut cell, pair) = (Cell::new(), Pair::default());
    let mut running = started(&mut cell, &pair.both());
    pair.asked();
    let (usage, missing) = running.usage(5.0);
    assert_eq!((usage.timestamp, usage.threads, usage.mem_rss_bytes), (5.0, Some(1), Some(20)));
    assert_eq!(missing, [""; 0]);
    let (status, missing) = running.status();
    let networks: Vec<_> =
        status.network_infos.iter().filter_map(|info| info.name.as_deref()).collect();
    assert_eq!((networks, missing), (vec!["A", "B"], vec![]));
    assert!(status.cgroup_info.is_some());
    let process = running.launched().unwrap().process.as_raw();
    assert_eq!(status.executor_pid, u32::try_from(process).ok());
    pair.were_asked(&["A: usage c-1", "B: usage c-1", "A: status c-1", "B: status c-1"]);
    running.destroy();
}

#[test]
fn iso_27_of_an_isolator_that_says_nothing_the_others_are_told_all_the_same() {
    let (mut cell, pair) = (Cell::new(), Pair::default());
    let silent = pair.one("A").failing("usage").failing("status");
    let isolators = Isolators::new(vec![Arc::new(silent), Arc::new(pair.one("B"))]);
    let mut running = started(&mut cell, &isolators);
    let (usage, missing) = running.usage(5.0);
    assert_eq!((usage.threads, usage.mem_rss_bytes), (None, Some(20)));
    assert_eq!(missing, ["isolator A: cannot usage"]);
    let (status, missing) = running.status();
    assert_eq!(
        (status.network_infos.len(), missing),
        (1, vec!["isolator A: cannot status".into()])
    );
    running.destroy();
}

#[test]
fn iso_27_a_limitation_ends_the_container_and_is_its_reason() {
    let (mut cell, pair) = (Cell::new(), Pair::default());
    let second = Arc::new(pair.one("B"));
    let isolators = Isolators::new(vec![Arc::new(pair.one("A")), second.clone()]);
    let mut running = started(&mut cell, &isolators);
    running.look();
    assert_eq!(running.termination(), None, "nothing was told");
    let limitation = Limitation {
        reason: Reason::ContainerLimitationDisk,
        resources: Resources::none(),
        words: "it took too much".into(),
    };
    let (id, told) = (running.id().clone(), limitation.clone());
    let thread = std::thread::spawn(move || second.tell(&id, told));
    let ready = {
        let files = running.watched().map(|file| PollFd::new(file, PollFlags::POLLIN));
        let mut files: Vec<_> = files.collect();
        poll(&mut files, 60_000_u16).unwrap();
        files.iter().map(|file| file.any().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ready, [false, true]);
    thread.join().unwrap();
    pair.asked();
    let handle = running.handle().unwrap().unwrap();
    running.look();
    assert!(is_ready(&handle), "its init is dead");
    let termination = running.termination().unwrap();
    assert_eq!(termination.limitation, Some(limitation));
    assert_eq!(termination.why.as_deref(), Some("it took too much"));
    pair.were_asked(&["A: kill c-1", "B: kill c-1", "B: clean_up c-1", "A: clean_up c-1"]);
    cell.is_bare();
}

#[test]
fn iso_27_a_limit_that_ended_its_program_is_told_of_whoever_notices_that_first() {
    let (mut cell, pair) = (Cell::new(), Pair::default());
    let only = Arc::new(pair.one("A"));
    let mut running = started(&mut cell, &Isolators::new(vec![only.clone()]));
    let limitation = Limitation {
        reason: Reason::ContainerLimitationMemory,
        resources: Resources::none(),
        words: "the kernel killed it".into(),
    };
    only.tell(running.id(), limitation.clone());
    let process = running.launched().unwrap().process;
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert!(is_ready(&running.launched().unwrap().handle));
    running.ended();
    assert_eq!(running.termination().unwrap().limitation, Some(limitation));
    cell.is_bare();
}

#[test]
fn iso_27_whatever_step_fails_the_launch_fails_in_words_and_what_was_prepared_is_cleaned_up() {
    for step in ["prepare", "hand", "isolate", "watch"] {
        for place in ["A", "B", "C"] {
            let (mut cell, pair) = (Cell::new(), Pair::default());
            let one = |name: &str| match name == place {
                true => pair.one(name).failing(step),
                false => pair.one(name),
            };
            let all = ["A", "B", "C"].map(|name| Arc::new(one(name)) as _);
            let (mut running, output) = cell.start(&SLEEP, |_| {}, &Isolators::new(all.into()));
            let termination = running.termination().expect("it is over").clone();
            let words = format!("isolator {place}: cannot {step}");
            assert_eq!(termination.why, Some(words), "{step} {place}");
            assert_eq!((termination.exit, termination.left), (None, vec![]));
            let asked = pair.asked();
            let cleaned: Vec<_> = asked.iter().filter(|line| line.contains("clean_up")).collect();
            // All that had begun, the last first.
            let begun = if step == "prepare" { place } else { "C" };
            let mut expected: Vec<_> =
                ["A", "B", "C"].iter().filter(|name| **name <= begun).collect();
            expected.reverse();
            let expected: Vec<_> =
                expected.iter().map(|name| format!("{name}: clean_up c-1")).collect();
            assert_eq!(cleaned, expected.iter().collect::<Vec<_>>(), "{step} {place}");
            pair.are_bare();
            cell.is_bare();
            assert_eq!(std::fs::read(output).unwrap(), b"", "its program never ran");
            if let Some(launched) = running.launched() {
                assert!(is_ready(&launched.handle), "its init is dead: {step} {place}");
            }
        }
    }
}

#[test]
fn iso_27_what_cannot_be_cleaned_up_is_said_and_kept_and_the_others_clean_up() {
    let (mut cell, pair) = (Cell::new(), Pair::default());
    let stuck = pair.one("B").failing("clean_up");
    let mut running =
        started(&mut cell, &Isolators::new(vec![Arc::new(pair.one("A")), Arc::new(stuck)]));
    running.destroy();
    assert_eq!(running.termination().unwrap().left, ["isolator B: cannot clean_up"]);
    pair.asked();
    // The next life can.
    let recovered = recover(&cell.runtime, &pair.both(), |_| None).unwrap();
    assert_eq!((recovered.running.len(), recovered.ended.len()), (0, 1));
    pair.were_asked(&["A: kill c-1", "B: kill c-1", "B: clean_up c-1", "A: clean_up c-1"]);
    pair.are_bare();
    cell.is_bare();
}

#[test]
fn iso_27_a_new_life_tells_what_is_known_and_ends_what_only_an_isolator_knows() {
    let (mut cell, pair) = (Cell::new(), Pair::default());
    let (wanted, unwanted) = (started(&mut cell, &pair.both()), started(&mut cell, &pair.both()));
    let lost = started(&mut cell, &pair.both());
    let handle = |running: &Running| running.handle().unwrap().unwrap();
    let (wanted_init, unwanted_init) = (handle(&wanted), handle(&unwanted));
    let lost_init = lost.handle().unwrap().unwrap();
    // As if this life had been killed; and of one of them its folder is lost.
    let lost_folder = lost.folder().path().to_owned();
    drop((wanted, unwanted, lost));
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(process_of(&lost_folder)),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    assert!(is_ready(&lost_init));
    std::fs::remove_dir_all(&lost_folder).unwrap();
    pair.asked();
    let second = Arc::new(pair.one("B"));
    let next = Isolators::new(vec![Arc::new(pair.one("A")), second.clone()]);
    let known = |name: &ContainerName| {
        (name.as_str() == "c-1").then(|| (ContainerPath::of_executor(name.clone()), holding(1.5)))
    };
    let mut recovered = recover(&cell.runtime, &next, known).unwrap();
    assert!(is_ready(&unwanted_init), "nobody wants it");
    let orphan = ContainerPath::of_executor(ContainerName::new("c-3").unwrap());
    assert_eq!(recovered.orphans, [(orphan, vec![])]);
    assert_eq!((recovered.running.len(), recovered.ended.len()), (1, 1));
    pair.were_asked(&[
        "A: recover c-1",
        "B: recover c-1",
        "A: watch c-1",
        "B: watch c-1",
        "A: kill c-2",
        "B: kill c-2",
        "B: clean_up c-2",
        "A: clean_up c-2",
        "A: kill c-3",
        "B: kill c-3",
        "B: clean_up c-3",
        "A: clean_up c-3",
    ]);
    let mut running = recovered.running.remove(0);
    running.update(holding(2.0)).unwrap();
    let limitation = Limitation {
        reason: Reason::ContainerLimitation,
        resources: Resources::none(),
        words: "too much after all".into(),
    };
    second.tell(running.id(), limitation.clone());
    running.look();
    assert!(is_ready(&wanted_init), "it is watched in its new life, too");
    assert_eq!(running.termination().unwrap().limitation, Some(limitation));
    pair.are_bare();
    cell.is_bare();
}

/// As its folder says.
fn process_of(folder: &std::path::Path) -> i32 {
    let runtime = containerizer::runtime::Runtime::open(folder.parent().unwrap()).unwrap();
    let found = runtime.all().unwrap().into_iter().find(|(_, found)| found.path() == folder);
    found.unwrap().1.process().unwrap().number
}

type Of = fn(ContainerName) -> ContainerPath;

fn in_another(name: ContainerName) -> ContainerPath {
    ContainerPath::of_executor(ContainerName::new("outer").unwrap()).nested(name)
}

#[test]
fn iso_27_an_isolator_is_left_out_where_it_does_not_support_what_a_container_is() {
    let mut cell = Cell::new();
    let cases: [(Of, [bool; 3]); 3] = [
        (ContainerPath::of_executor, [true, true, true]),
        (in_another, [false, true, false]),
        (ContainerPath::standalone, [false, false, true]),
    ];
    for (id, asked) in cases {
        let pair = Pair::default();
        let with = |name, nesting, standalone| -> Recorder {
            pair.one(name).supporting(nesting, standalone)
        };
        let all = [with("A", false, false), with("B", true, false), with("C", false, true)];
        let isolators = Isolators::new(all.map(|one| Arc::new(one) as _).into());
        let (mut running, output) = cell.start_as(id, &["/bin/true"], |_| {}, &isolators);
        let name = running.id().to_string();
        let ended = finish(&mut running, &output);
        assert_eq!(ended.exit, Some(Exit::Code(0)), "{ended:?}");
        let lines = pair.asked();
        for (one, asked) in ["A", "B", "C"].iter().zip(asked) {
            let times = lines.iter().filter(|line| line.starts_with(one)).count();
            // prepare, hand, isolate, watch, kill, clean_up
            assert_eq!(times, if asked { 6 } else { 0 }, "{one} of {name}: {lines:?}");
        }
        pair.are_bare();
    }
    cell.is_bare();
}
