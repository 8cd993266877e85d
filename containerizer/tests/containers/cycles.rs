//! Containers that are started and killed, one after the other and many at once, at every moment of their start: nothing of them is
//! left on the machine. `cargo xtask test-chaos` sets how many (`CHAOS_CYCLES`), and then it is told how it goes.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use containerizer::container::ContainerName;
use containerizer::isolator::{ContainerPath, Isolators};
use containerizer::life::{Running, Starter};
use containerizer::limits::ControlGroups;
use nix::sys::signal::{Signal, kill};
use procfs::process::{Process, all_processes};

use super::cell::Cell;
use super::lives::{groups, limits};

/// How many where nobody says anything else.
const CYCLES: u64 = 100;
/// Each with a launcher of its own.
const CELLS: u64 = 4;
const KINDS: [&str; 7] = ["mnt", "pid", "ipc", "uts", "net", "cgroup", "user"];

/// What becomes of one, by turns.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// Destroyed as soon as it was let go, while its program starts.
    AtOnce,
    /// Destroyed when its program runs, with what that started.
    WhileItRuns,
    /// Its init is killed, and it is buried.
    OfItsInit,
    /// Its starter is gone before it lets it go; another finds it.
    BeforeItIsLetGo,
    /// Its starter is gone while it runs; another finds it.
    OfItsStarter,
}

const DEATHS: [Death; 5] = [
    Death::AtOnce,
    Death::WhileItRuns,
    Death::OfItsInit,
    Death::BeforeItIsLetGo,
    Death::OfItsStarter,
];

fn of_process(process: &Process) -> Vec<u64> {
    let all = process.namespaces().map(|all| all.0).unwrap_or_default();
    let wanted = all.values().filter(|one| KINDS.contains(&&*one.ns_type.to_string_lossy()));
    wanted.map(|one| one.identifier).collect()
}

/// Processes of all cycles have this in their environment, and no others.
fn mark() -> String {
    format!("CYCLES={}", std::process::id())
}

fn marked() -> Vec<i32> {
    let mark = mark();
    let has = |process: &Process| {
        let environment = std::fs::read(format!("/proc/{}/environ", process.pid));
        environment.is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()))
    };
    all_processes().unwrap().flatten().filter(has).map(|process| process.pid).collect()
}

fn mounts() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap()
}

struct Cycles {
    cell: Cell,
    groups: containerizer::cgroups::Hierarchies,
    number: u64,
    /// Of containers that had begun.
    namespaces: BTreeSet<u64>,
}

impl Cycles {
    /// Of one life.
    fn limited(&self) -> Isolators {
        Isolators::new(vec![Arc::new(ControlGroups::fixed(&self.groups, limits()))])
    }

    fn cycle(&mut self, cycle: u64) {
        let death = DEATHS[usize::try_from(cycle).unwrap() % DEATHS.len()];
        let name = ContainerName::new(&format!("c-{}-{cycle}", self.number)).unwrap();
        let folder = self.cell.runtime.make(&name).unwrap();
        let script = "setsid sleep 1000 & exec sleep 1000";
        let mut container = self.cell.container(&["/bin/sh", "-c", script]);
        container.confinement.environment.push(CString::new(mark()).unwrap());
        let output = File::options().write(true).open("/dev/null").unwrap();
        let handed = Cell::handed(&folder, &output);
        let (id, isolators) = (ContainerPath::of_executor(name.clone()), self.limited());
        if let Death::BeforeItIsLetGo = death {
            let mut container = container.clone();
            container.confinement.scratch = Some(folder.scratch());
            folder.write_config(&container).unwrap();
            drop(self.cell.launcher.launch(&container, handed).unwrap());
            self.clears(folder, &isolators, &name);
            return;
        }
        let mut running = Running::new(id, folder.clone(), container, &isolators);
        running.start(&mut Starter::Launcher(&mut self.cell.launcher), handed);
        let launched = running.launched().unwrap_or_else(|| panic!("{death:?}"));
        let process = launched.process;
        if !matches!(death, Death::AtOnce) {
            launched.started().unwrap();
            self.namespaces.extend(Process::new(process.as_raw()).iter().flat_map(of_process));
        }
        match death {
            Death::AtOnce | Death::WhileItRuns => running.destroy(),
            Death::OfItsInit => {
                kill(process, Signal::SIGKILL).unwrap();
                assert!(super::cell::is_ready(&running.launched().unwrap().handle));
                running.ended();
            }
            Death::OfItsStarter => {
                drop(running);
                self.clears(folder, &self.limited(), &name);
                return;
            }
            Death::BeforeItIsLetGo => unreachable!("it has returned"),
        }
        let termination = running.termination().unwrap();
        assert_eq!(termination.left, [""; 0], "{death:?} {name:?}");
    }

    fn clears(
        &self,
        folder: containerizer::runtime::Folder,
        isolators: &Isolators,
        name: &ContainerName,
    ) {
        let id = ContainerPath::of_executor(name.clone());
        let cleared = Running::clear(id, folder, isolators);
        assert_eq!(cleared.termination().unwrap().left, [""; 0], "{name:?}");
    }
}

fn cycles(number: u64, count: u64, tell: &(dyn Fn() + Sync)) -> BTreeSet<u64> {
    let cell = Cell::new();
    let mut cycles = Cycles {
        cell,
        groups: groups(&format!("cycles-{number}")),
        number,
        namespaces: BTreeSet::new(),
    };
    for cycle in 0..count {
        cycles.cycle(cycle);
        tell();
    }
    cycles.cell.is_bare();
    assert!(cycles.groups.list().unwrap().is_empty());
    cycles.groups.remove().unwrap();
    cycles.namespaces
}

#[test]
fn cont_15_of_containers_that_are_started_and_killed_again_and_again_nothing_is_left() {
    let at_length = std::env::var_os("CHAOS_CYCLES");
    let all = at_length.as_ref().map_or(CYCLES, |text| text.to_str().unwrap().parse().unwrap());
    let (begun, done) = (Instant::now(), AtomicU64::new(0));
    let tell = || {
        let done = done.fetch_add(1, Relaxed) + 1;
        if at_length.is_some() && done.is_multiple_of(500) {
            eprintln!("{done} of {all} containers, {} s", begun.elapsed().as_secs());
        }
    };
    let (mounts_before, tell) = (mounts(), &tell);
    let namespaces: BTreeSet<_> = std::thread::scope(|scope| {
        let one = |number| scope.spawn(move || cycles(number, all.div_ceil(CELLS), tell));
        let cells: Vec<_> = (0..CELLS).map(one).collect();
        cells.into_iter().flat_map(|cell| cell.join().unwrap()).collect()
    });
    assert_eq!(marked(), [0; 0], "processes");
    assert_eq!(mounts(), mounts_before);
    let own: BTreeSet<_> = of_process(&Process::myself().unwrap()).into_iter().collect();
    let made: BTreeSet<_> = namespaces.difference(&own).copied().collect();
    assert!(!made.is_empty());
    let still: BTreeSet<_> =
        all_processes().unwrap().flatten().flat_map(|one| of_process(&one)).collect();
    // Numbers of namespaces are used again: by those of other tests, which are below this process.
    let left: Vec<_> = made.intersection(&still).collect();
    if at_length.is_some() {
        assert!(left.is_empty(), "namespaces: {left:?}");
        eprintln!(
            "{all} containers, {} s; {} namespaces were seen",
            begun.elapsed().as_secs(),
            made.len()
        );
    }
}
