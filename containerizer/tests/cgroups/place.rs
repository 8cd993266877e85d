//! Groups of a test's own, and programs in them.

use std::io::Write;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use containerizer::cgroups::hierarchies::{Settings, look};
use containerizer::cgroups::logic::controller::{Controller, Version};
use containerizer::cgroups::logic::limits::Limits;
use containerizer::cgroups::logic::path::GroupPath;
use containerizer::cgroups::{CgroupError, Group, Hierarchies};
use nix::unistd::Pid;

/// For whatever a test waits for.
pub const SOON: Duration = Duration::from_secs(30);

/// Trees with a root that only one test has.
pub struct Place {
    pub trees: Hierarchies,
    pub root: String,
}

static PLACES: AtomicU32 = AtomicU32::new(0);

impl Place {
    /// With all controllers that the host has.
    pub fn new() -> Self {
        let found = look().unwrap();
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let root = format!("airside-test-{}-{number}", std::process::id());
        let agent = "agent".to_owned();
        let controllers = found.available();
        let settings = Settings { root: root.clone(), agent, below_own: false, controllers };
        Self { trees: Hierarchies::open(&found, &settings).unwrap(), root }
    }

    pub fn has(&self, controller: Controller) -> bool {
        self.trees.controllers().contains(&controller)
    }

    pub fn is_v1(&self) -> bool {
        self.trees.version() == Version::V1
    }

    pub fn create(&self, name: &str, limits: &Limits) -> Group {
        self.trees.create(&GroupPath::top(name).unwrap(), limits).unwrap()
    }

    /// What a file of a group says, in the tree of a controller.
    pub fn read(&self, controller: Controller, group: &Group, file: &str) -> String {
        let is_it = |path: &&std::path::Path| path.join(group.path().as_str()).join(file).exists();
        let folder = self.trees.folders().find(is_it);
        let folder = folder.unwrap_or_else(|| panic!("{controller} has no file {file}"));
        let path = folder.join(group.path().as_str()).join(file);
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let groups = self.trees.list().unwrap();
        for group in groups.iter().rev() {
            match self.trees.group(group) {
                Ok(group) => group.destroy(SOON).unwrap(),
                Err(CgroupError::Gone(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        self.trees.remove().unwrap();
        for folder in self.trees.folders() {
            let root = folder.parent().unwrap();
            assert!(root.ends_with(&self.root));
            // Several controllers may have one tree.
            let _ = std::fs::remove_dir(root);
            assert!(!root.exists(), "{root:?} is left");
        }
    }
}

/// A shell that begins with what it is told once it is in its group.
pub struct Program(Child);

impl Program {
    pub fn start(group: &Group, script: &str) -> Self {
        let mut program = Self::waiting(script);
        group.attach(program.pid()).unwrap();
        program.go();
        program
    }

    pub fn waiting(script: &str) -> Self {
        let script = format!("read -r _ || exit 99; {script}");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    pub fn go(&mut self) {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap())
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }

    /// All that it says, once it has ended.
    pub fn output(self) -> Output {
        self.0.wait_with_output().unwrap()
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

/// Looks until it is so.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        nix::poll::poll(&mut [], 5_u8).unwrap();
    }
}
