//! Ends of containers: by themselves, on demand, and because whoever started them was killed.

use std::sync::Arc;

use containerizer::cgroups::logic::limits::{Bound, Cpu, Limits, Memory};
use containerizer::cgroups::{Hierarchies, hierarchies};
use containerizer::container::ContainerName;
use containerizer::isolator::{ContainerPath, Isolators};
use containerizer::life::{MARK, Running, Starter};
use containerizer::limits::ControlGroups;
use containerizer::namespaces::Namespaces;
use containerizer::runtime::Exit;
use nix::sys::signal::{Signal, kill};

use super::cell::{Cell, finish, is_ready, launcher};

#[test]
fn cont_05_what_the_program_leaves_behind_is_reaped_and_gone_when_it_ends() {
    let mut cell = Cell::new();
    let script = "(setsid sleep 1000 &) ; (sleep 1000 &) ; exit 4";
    let (mut running, output) =
        cell.start(&["/bin/sh", "-c", script], |_| {}, &Isolators::default());
    let ended = finish(&mut running, &output);
    assert_eq!(ended.exit, Some(Exit::Code(4)));
    cell.is_bare();
}

#[test]
fn cont_04_without_namespaces_all_descendants_die_too_whatever_session_they_are_in() {
    let mut cell = Cell::new();
    let mark = format!("{MARK}=descendants-of-{}", std::process::id());
    let mark = std::ffi::CString::new(mark).unwrap();
    let script = "(setsid sleep 1000 &) ; (sleep 1000 &) ; sleep 0.1; exit 5";
    let plain = |container: &mut containerizer::container::Container| {
        container.namespaces = Namespaces::default();
        container.confinement = containerizer::confinement::Confinement::default();
        container.confinement.environment = vec![c"PATH=/usr/bin:/bin".into(), mark.clone()];
    };
    let ended = cell.run(&["/bin/sh", "-c", script], plain);
    assert_eq!(ended.exit, Some(Exit::Code(5)), "{ended:?}");
    let value = mark.to_str().unwrap().split_once('=').unwrap().1.to_owned();
    let seen = containerizer::look::look(MARK).seen;
    let left: Vec<_> = seen
        .iter()
        .filter(|seen| seen.mark.as_deref().is_some_and(|mark| mark == &*value))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    cell.is_bare();
}

#[test]
fn signals_to_init_reach_the_program() {
    let mut cell = Cell::new();
    let script = "trap 'echo heard; exit 3' USR1; echo ready; while true; do sleep 0.05; done";
    let (mut running, output) =
        cell.start(&["/bin/sh", "-c", script], |_| {}, &Isolators::default());
    let process = running.launched().unwrap().process;
    running.launched().unwrap().started().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while std::fs::read_to_string(&output).unwrap() != "ready\n" {
        assert!(std::time::Instant::now() < until);
        std::thread::yield_now();
    }
    kill(process, Signal::SIGUSR1).unwrap();
    let ended = finish(&mut running, &output);
    assert_eq!((ended.exit, ended.output.as_str()), (Some(Exit::Code(3)), "ready\nheard\n"));
}

#[test]
fn destroyed_while_it_runs_it_is_gone_with_all_that_was_made() {
    let mut cell = Cell::new();
    let (mut running, _) = cell.start(&["/bin/sleep", "1000"], |_| {}, &Isolators::default());
    running.launched().unwrap().started().unwrap();
    running.destroy();
    let termination = running.termination().unwrap();
    assert_eq!(termination.left, [""; 0]);
    cell.is_bare();
}

pub(crate) fn groups(name: &str) -> Hierarchies {
    use containerizer::cgroups::logic::controller::Controller;
    let found = hierarchies::look().unwrap();
    let settings = hierarchies::Settings {
        root: "airside-tests".into(),
        agent: format!("{name}-{}", std::process::id()),
        below_own: false,
        controllers: [Controller::Cpu, Controller::Memory, Controller::Pids].into(),
    };
    Hierarchies::open(&found, &settings).unwrap()
}

pub(crate) fn limits() -> Limits {
    Limits {
        cpu: Some(Cpu { request_milli: 500, limit_milli: Bound::At(500), revocable: false }),
        memory: Some(Memory { soft: 64 << 20, hard: Bound::At(64 << 20), swap: None }),
        pids: Some(Bound::At(20)),
        ..Limits::default()
    }
}

#[test]
fn cont_03_what_a_killed_starter_left_is_found_and_cleaned_up_and_one_that_was_not_let_go_ends() {
    let groups = groups("containers");
    let before = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    for let_go in [true, false] {
        let mut cell = Cell::new();
        let name = ContainerName::new("c-1").unwrap();
        // Of two lives.
        let isolators = || Isolators::new(vec![Arc::new(ControlGroups::fixed(&groups, limits()))]);
        let (mut running, _) = cell.start(&["/bin/sleep", "1000"], |_| {}, &isolators());
        let handle = running.launched().unwrap().handle.try_clone().unwrap();
        if let_go {
            running.launched().unwrap().started().unwrap();
        }
        // As if its starter had been killed: nothing of it is told any more.
        drop(running);
        let (name_found, folder) = cell.runtime.all().unwrap().remove(0);
        assert_eq!(name_found, name);
        let id = ContainerPath::of_executor(name);
        let cleared = Running::clear(id, folder, &isolators());
        assert!(is_ready(&handle));
        let termination = cleared.termination().unwrap();
        assert_eq!(termination.left, [""; 0]);
        cell.is_bare();
        assert!(groups.list().unwrap().is_empty());
    }
    assert_eq!(std::fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    groups.remove().unwrap();
}

#[test]
fn an_init_whose_starter_is_killed_before_it_lets_it_go_ends() {
    let mut cell = Cell::new();
    let container = cell.container(&["/bin/sleep", "1000"]);
    let folder = cell.next_folder();
    let mut container = container;
    container.confinement.scratch = Some(folder.scratch());
    let output = std::fs::File::create(cell.folder("x").join("output")).unwrap();
    let launched = cell.launcher.launch(&container, Cell::handed(&folder, &output)).unwrap();
    let handle = launched.handle.try_clone().unwrap();
    drop(launched);
    assert!(is_ready(&handle), "it does not wait for ever");
}

#[test]
fn a_launcher_ends_with_its_starter_and_its_containers_go_on() {
    let mut cell = Cell::new();
    let (mut running, _) = cell.start(&["/bin/sleep", "1000"], |_| {}, &Isolators::default());
    running.launched().unwrap().started().unwrap();
    let process = running.launched().unwrap().process;
    cell.launcher = launcher();
    assert!(kill(process, None).is_ok(), "its first launcher is gone, and it is not");
    running.destroy();
    cell.is_bare();
    // By the new one.
    assert_eq!(cell.sh("exit 2").exit, Some(Exit::Code(2)));
    let _ = Starter::Itself;
}
