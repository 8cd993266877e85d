//! Isolators as a stranger writes them, against what is public: each writes down what it is asked, and does as the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use api::v1::{CgroupInfo, ContainerStatus, NetworkInfo, ResourceStatistics};
use containerizer::isolator::watch::{Teller, told};
use containerizer::isolator::{
    Allowance, ContainerPath, Entry, Isolator, Isolators, Known, Launch, Limitation, Watch,
};
use nix::unistd::Pid;

/// What isolators were asked, in the order in which they were.
pub(crate) type Lines = Arc<Mutex<Vec<String>>>;

/// What is on the machine because of an isolator: it outlives its life, as files do.
pub(crate) type Machine = Arc<Mutex<BTreeMap<String, BTreeSet<String>>>>;

#[derive(Debug)]
pub(crate) struct Recorder {
    name: String,
    lines: Lines,
    machine: Machine,
    /// What it is asked and cannot do.
    fails: BTreeSet<&'static str>,
    nesting: bool,
    standalone: bool,
    tellers: Mutex<BTreeMap<ContainerPath, Teller>>,
}

impl Recorder {
    pub(crate) fn new(name: &str, lines: &Lines, machine: &Machine) -> Self {
        Self {
            name: name.to_owned(),
            lines: Arc::clone(lines),
            machine: Arc::clone(machine),
            fails: BTreeSet::new(),
            nesting: false,
            standalone: false,
            tellers: Mutex::default(),
        }
    }

    pub(crate) fn failing(mut self, what: &'static str) -> Self {
        self.fails.insert(what);
        self
    }

    pub(crate) fn supporting(self, nesting: bool, standalone: bool) -> Self {
        Self { nesting, standalone, ..self }
    }

    /// What an isolator finds out on a thread of its own.
    pub(crate) fn tell(&self, id: &ContainerPath, limitation: Limitation) {
        self.tellers.lock().unwrap()[id].tell(limitation);
    }

    fn asked(&self, what: &'static str, id: &ContainerPath) -> Result<(), String> {
        self.lines.lock().unwrap().push(format!("{}: {what} {id}", self.name));
        match self.fails.contains(what) {
            true => Err(format!("cannot {what}")),
            false => Ok(()),
        }
    }

    fn has(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.machine.lock().unwrap()
    }
}

impl Isolator for Recorder {
    fn name(&self) -> &str {
        &self.name
    }

    fn supports_nesting(&self) -> bool {
        self.nesting
    }

    fn supports_standalone(&self) -> bool {
        self.standalone
    }

    fn recover(&self, known: &[Known]) -> Result<Vec<ContainerPath>, String> {
        let names: BTreeSet<_> = known.iter().map(|known| known.id.to_string()).collect();
        for known in known {
            assert!(known.process.is_some(), "it is said which process it is");
            self.asked("recover", &known.id)?;
        }
        let all = self.has().get(&self.name).cloned().unwrap_or_default();
        let named = |name: &String| containerizer::container::ContainerName::new(name);
        all.difference(&names).map(|name| named(name).map(ContainerPath::of_executor)).collect()
    }

    fn prepare(&self, launch: &mut Launch<'_>) -> Result<(), String> {
        self.has().entry(self.name.clone()).or_default().insert(launch.id.to_string());
        self.asked("prepare", launch.id)?;
        let pair = format!("FROM_{}={}", self.name, launch.allowance.holds.cpus().as_f64());
        launch.container.confinement.environment.push(std::ffi::CString::new(pair).unwrap());
        Ok(())
    }

    fn hand(&self, id: &ContainerPath, entry: &mut Entry<'_>) -> Result<(), String> {
        assert!(matches!(entry, Entry::Waits(_)));
        self.asked("hand", id)
    }

    fn isolate(&self, id: &ContainerPath, process: Pid) -> Result<(), String> {
        assert!(nix::sys::signal::kill(process, None).is_ok(), "it waits");
        self.asked("isolate", id)
    }

    fn watch(&self, id: &ContainerPath) -> Result<Option<Box<dyn Watch>>, String> {
        self.asked("watch", id)?;
        let (teller, watch) = told().map_err(|error| error.to_string())?;
        self.tellers.lock().unwrap().insert(id.clone(), teller);
        Ok(Some(watch))
    }

    fn update(&self, id: &ContainerPath, allowance: &Allowance) -> Result<(), String> {
        assert_eq!(allowance.holds.cpus().as_f64(), 2.0);
        self.asked("update", id)
    }

    fn usage(&self, id: &ContainerPath) -> Result<ResourceStatistics, String> {
        self.asked("usage", id)?;
        let (threads, mem_rss_bytes) = match &*self.name {
            "A" => (Some(1), Some(10)),
            _ => (None, Some(20)),
        };
        Ok(ResourceStatistics { threads, mem_rss_bytes, ..Default::default() })
    }

    fn status(&self, id: &ContainerPath) -> Result<ContainerStatus, String> {
        self.asked("status", id)?;
        let info = NetworkInfo { name: Some(self.name.clone()), ..Default::default() };
        let cgroup_info = (self.name == "B").then(CgroupInfo::default);
        Ok(ContainerStatus { network_infos: vec![info], cgroup_info, ..Default::default() })
    }

    fn kill(&self, id: &ContainerPath) -> Result<(), String> {
        self.asked("kill", id)
    }

    fn clean_up(&self, id: &ContainerPath) -> Result<(), String> {
        self.asked("clean_up", id)?;
        self.has().entry(self.name.clone()).or_default().remove(&id.to_string());
        Ok(())
    }
}

/// Two of them, A before B, on one machine.
#[derive(Default)]
pub(crate) struct Pair {
    pub(crate) lines: Lines,
    machine: Machine,
}

impl Pair {
    pub(crate) fn one(&self, name: &str) -> Recorder {
        Recorder::new(name, &self.lines, &self.machine)
    }

    /// Of a new life.
    pub(crate) fn both(&self) -> Isolators {
        Isolators::new(vec![Arc::new(self.one("A")), Arc::new(self.one("B"))])
    }

    /// What they were asked since this was last called.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }

    #[track_caller]
    pub(crate) fn were_asked(&self, lines: &[&str]) {
        assert_eq!(self.asked(), lines);
    }

    /// Nothing of theirs is on the machine.
    #[track_caller]
    pub(crate) fn are_bare(&self) {
        let machine = self.machine.lock().unwrap();
        assert!(machine.values().all(BTreeSet::is_empty), "{machine:?}");
    }
}
