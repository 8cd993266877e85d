//! Where containers of a test are: a root of busybox, a folder for what must be known of them, a launcher.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use containerizer::confinement::capabilities::Capabilities;
use containerizer::confinement::mounts::SHARED_MEMORY;
use containerizer::confinement::seccomp::{Filter, Profile, Surroundings};
use containerizer::confinement::{BackEnd, Confinement, Identity, Mount, Root};
use containerizer::container::{Container, ContainerName};
use containerizer::isolator::{ContainerPath, Isolators};
use containerizer::launcher::{Handed, Launcher, NotStarted};
use containerizer::life::{Running, Starter};
use containerizer::namespaces::Namespaces;
use containerizer::runtime::{Exit, Folder, Runtime};
use nix::poll::{PollFd, PollFlags, poll};
use tempfile::TempDir;

/// For what takes milliseconds; machines of tests are slow at times.
const SOON_MILLIS: u16 = 60_000;

pub(crate) struct Cell {
    dir: TempDir,
    pub(crate) runtime: Runtime,
    pub(crate) launcher: Launcher,
    calls: Filter,
    count: u32,
}

/// How one ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit: Option<Exit>,
    pub(crate) not_started: Option<NotStarted>,
    pub(crate) output: String,
    pub(crate) left: Vec<String>,
}

pub(crate) fn launcher() -> Launcher {
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().and_then(Path::parent).unwrap();
    let mut command = Command::new(folder.join("examples/launcher"));
    command.env_clear();
    Launcher::start(command).expect("the example `launcher` is built with the tests")
}

impl Cell {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        for folder in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
        let output = Command::new("/bin/busybox").arg("--list").output().unwrap();
        for name in
            String::from_utf8(output.stdout).unwrap().lines().filter(|name| *name != "busybox")
        {
            symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\n")
            .unwrap();
        let runtime = Runtime::open(&dir.path().join("containers")).unwrap();
        let capabilities = Capabilities::usual(&[], &[]).unwrap().bounding;
        let surroundings = Surroundings { capabilities, kernel: (6, 1) };
        let calls = Filter::compile(&Profile::usual(), &surroundings).unwrap();
        Self { dir, runtime, launcher: launcher(), calls, count: 0 }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    pub(crate) fn container(&self, arguments: &[&str]) -> Container {
        let root = Root { layers: vec![self.root()], back_end: BackEnd::Auto, read_only: false };
        let identity = Identity {
            capabilities: Some(Capabilities::usual(&[], &[]).unwrap()),
            calls: Some(self.calls.clone()),
            ..Identity::default()
        };
        Container {
            arguments: arguments.iter().map(|word| CString::new(*word).unwrap()).collect(),
            confinement: Confinement {
                root: Some(root),
                mounts: Mount::usual(SHARED_MEMORY),
                hostname: Some("inside".into()),
                identity,
                environment: vec![c"PATH=/bin".into()],
                ..Confinement::default()
            },
            namespaces: Namespaces::all(),
            session: true,
        }
    }

    pub(crate) fn next_folder(&mut self) -> Folder {
        self.count += 1;
        self.runtime.make(&self.name()).unwrap()
    }

    /// Of the last container.
    pub(crate) fn name(&self) -> ContainerName {
        ContainerName::new(&format!("c-{}", self.count)).unwrap()
    }

    pub(crate) fn handed(folder: &Folder, output: &File) -> Handed {
        let copy = || output.try_clone().unwrap().into();
        let stdin = OwnedFd::from(File::open("/dev/null").unwrap());
        let folder = folder.handle().unwrap();
        Handed { stdio: [stdin, copy(), copy()], folder, lifeline: None, group: None }
    }

    pub(crate) fn sh(&mut self, script: &str) -> Ended {
        self.run(&["/bin/sh", "-c", script], |_| {})
    }

    pub(crate) fn run(&mut self, arguments: &[&str], change: impl FnOnce(&mut Container)) -> Ended {
        let (mut running, output) = self.start(arguments, change, &Isolators::default());
        finish(&mut running, &output)
    }

    pub(crate) fn start(
        &mut self,
        arguments: &[&str],
        change: impl FnOnce(&mut Container),
        isolators: &Isolators,
    ) -> (Running, PathBuf) {
        self.start_as(ContainerPath::of_executor, arguments, change, isolators)
    }

    pub(crate) fn start_as(
        &mut self,
        id: impl FnOnce(ContainerName) -> ContainerPath,
        arguments: &[&str],
        change: impl FnOnce(&mut Container),
        isolators: &Isolators,
    ) -> (Running, PathBuf) {
        let mut container = self.container(arguments);
        change(&mut container);
        let folder = self.next_folder();
        let path = self.dir.path().join("output");
        let output = File::create(&path).unwrap();
        let handed = Self::handed(&folder, &output);
        let id = id(self.name());
        let mut running = Running::new(id, folder, container, isolators);
        running.start(&mut Starter::Launcher(&mut self.launcher), handed);
        (running, path)
    }

    /// No folder of a container is left.
    #[track_caller]
    pub(crate) fn is_bare(&self) {
        assert_eq!(self.runtime.all().unwrap(), []);
    }
}

pub(crate) fn is_ready(file: impl AsFd) -> bool {
    let mut looked = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    poll(&mut looked, SOON_MILLIS).unwrap() > 0
}

/// Waits for its end.
pub(crate) fn finish(running: &mut Running, output: &Path) -> Ended {
    let mut not_started = None;
    if let Some(launched) = running.launched() {
        not_started = launched.started().err();
        assert!(is_ready(&launched.handle), "it does not end");
        running.ended();
    }
    let termination = running.termination().cloned().expect("it is over");
    if let Some(why) = &termination.why {
        assert!(not_started.is_some(), "{why}");
    }
    Ended {
        exit: termination.exit,
        not_started,
        output: fs::read_to_string(output).unwrap(),
        left: termination.left,
    }
}
