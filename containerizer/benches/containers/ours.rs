//! Ours: by a launcher, as an agent has it.

use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::Arc;

use containerizer::cgroups::logic::controller::Controller;
use containerizer::cgroups::logic::limits::{Bound, Cpu, Limits, Memory};
use containerizer::cgroups::{Hierarchies, hierarchies};
use containerizer::confinement::capabilities::Capabilities;
use containerizer::confinement::mounts::SHARED_MEMORY;
use containerizer::confinement::{BackEnd, Confinement, Identity, Mount, Root};
use containerizer::container::{Container, ContainerName};
use containerizer::isolator::{ContainerPath, Isolators};
use containerizer::launcher::{Handed, Launcher};
use containerizer::life::{Running, Starter};
use containerizer::limits::ControlGroups;
use containerizer::namespaces::Namespaces;
use containerizer::runtime::{Exit, Runtime};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::place::{GROUPS, Place};

pub(crate) struct Ours {
    launcher: Launcher,
    runtime: Runtime,
    groups: Hierarchies,
    container: Container,
    task: Container,
    count: u32,
}

impl Ours {
    pub(crate) fn new(place: &Place) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("launcher").env_clear();
        let settings = hierarchies::Settings {
            root: GROUPS.into(),
            agent: format!("ours-{}", std::process::id()),
            below_own: false,
            controllers: [Controller::Cpu, Controller::Memory, Controller::Pids].into(),
        };
        let root =
            Root { layers: vec![place.root()], back_end: BackEnd::Overlay, read_only: false };
        let capabilities = Some(Capabilities::usual(&[], &[])?);
        let container = Container {
            arguments: vec![c"/bin/true".into()],
            confinement: Confinement {
                root: Some(root),
                mounts: Mount::usual(SHARED_MEMORY),
                hostname: Some("bench".into()),
                identity: Identity { capabilities, ..Identity::default() },
                ..Confinement::default()
            },
            namespaces: Namespaces { groups: false, ..Namespaces::all() },
            session: true,
        };
        let program = place.root().join("bin/true").display().to_string();
        let task = Container {
            arguments: vec![std::ffi::CString::new(program)?],
            session: true,
            ..Container::default()
        };
        Ok(Self {
            launcher: Launcher::start(command)?,
            runtime: Runtime::open(&place.path().join("containers"))?,
            groups: Hierarchies::open(&hierarchies::look()?, &settings)?,
            container,
            task,
            count: 0,
        })
    }

    pub(crate) fn container(&mut self) -> Result<(), Box<dyn Error>> {
        self.run(self.container.clone())
    }

    pub(crate) fn task(&mut self) -> Result<(), Box<dyn Error>> {
        self.run(self.task.clone())
    }

    fn run(&mut self, container: Container) -> Result<(), Box<dyn Error>> {
        self.count += 1;
        let name = ContainerName::new(&format!("c-{}", self.count))?;
        let folder = self.runtime.make(&name)?;
        let limits = Limits {
            cpu: Some(Cpu { request_milli: 500, limit_milli: Bound::At(500), revocable: false }),
            memory: Some(Memory { soft: 64 << 20, hard: Bound::At(64 << 20), swap: None }),
            pids: Some(Bound::At(100)),
            ..Limits::default()
        };
        let limited = Arc::new(ControlGroups::fixed(&self.groups, limits));
        let null = || File::options().read(true).write(true).open("/dev/null").map(Into::into);
        let stdio = [null()?, null()?, null()?];
        let handed = Handed { stdio, folder: folder.handle()?, lifeline: None, group: None };
        let id = ContainerPath::of_executor(name);
        let isolators = Isolators::new(vec![limited]);
        let mut running = Running::new(id, folder, container, &isolators);
        running.start(&mut Starter::Launcher(&mut self.launcher), handed);
        if let Some(launched) = running.launched() {
            launched.started()?;
            let mut looked = [PollFd::new(launched.handle.as_fd(), PollFlags::POLLIN)];
            poll(&mut looked, PollTimeout::NONE)?;
            running.ended();
        }
        match running.termination() {
            Some(end) if end.exit == Some(Exit::Code(0)) && end.left.is_empty() => Ok(()),
            end => Err(format!("{end:?}").into()),
        }
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.groups.remove();
        for tree in crate::place::TREES.iter().chain(&["freezer"]) {
            let _ = std::fs::remove_dir(format!("/sys/fs/cgroup/{tree}/{GROUPS}"));
        }
    }
}
