//! A container's life, performed: what [`crate::logic`] decides is done one after the other, by whoever calls. For a process that
//! has one container to care for, as `airside box run`, and for what is found when its starter is gone.

pub mod attend;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::v1::{ContainerStatus, ResourceStatistics};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, waitpid};
use rustix::process::pidfd_send_signal;

use crate::container::Container;
use crate::isolator::{
    Allowance, ContainerPath, Entry, Isolator, Isolators, Launch, Limitation, Watch, named,
};
use crate::launcher::{Handed, Launched, Launcher, launch};
use crate::logic::{Effect, Event, Found, Life, Termination};
use crate::look;
use crate::remove::remove_tree;
use crate::runtime::{Exit, Folder, ProcessId};

/// After that a killed process hangs in the kernel, and it is said so.
const KILL_TIME_MAX: Duration = Duration::from_secs(10);

/// Between two looks at what nobody tells of.
const LOOK_AGAIN_MILLIS: u8 = 2;

/// The variable by which processes of a container without a process namespace are found when all else is lost.
pub const MARK: &str = "AIRSIDE_BOX";

/// Who makes the copy.
#[derive(Debug)]
pub enum Starter<'a> {
    /// This process, which has one thread.
    Itself,
    /// For one with many.
    Launcher(&'a mut Launcher),
}

/// A container and all that cares for it.
#[derive(Debug)]
pub struct Running {
    id: ContainerPath,
    folder: Folder,
    container: Container,
    allowance: Allowance,
    all: Isolators,
    /// Those of them that are asked of it.
    isolators: Vec<Arc<dyn Isolator>>,
    watches: Watches,
    life: Life,
    launched: Option<Launched>,
    termination: Option<Termination>,
}

/// What tells of limits.
#[derive(Default)]
struct Watches(Vec<Box<dyn Watch>>);

impl fmt::Debug for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} watches", self.0.len())
    }
}

impl Watches {
    /// What the first of them tells; one that tells nothing any more is watched no more.
    fn look(&mut self) -> Option<Limitation> {
        let mut found = None;
        self.0.retain_mut(|watch| match watch.look() {
            Ok(told) => {
                found = found.take().or(told);
                true
            }
            Err(_) => false,
        });
        found
    }
}

impl Running {
    /// Of one that is to be started.
    pub fn new(
        id: ContainerPath,
        folder: Folder,
        container: Container,
        isolators: &Isolators,
    ) -> Self {
        let all = isolators.clone();
        let isolators: Vec<_> = all.of(&id).cloned().collect();
        Self {
            id,
            folder,
            container,
            allowance: Allowance::default(),
            all,
            life: Life::new(isolators.len()),
            isolators,
            watches: Watches::default(),
            launched: None,
            termination: None,
        }
    }

    /// The same, which may take this much.
    #[must_use]
    pub fn with_allowance(self, allowance: Allowance) -> Self {
        Self { allowance, ..self }
    }

    /// Which it is.
    pub fn id(&self) -> &ContainerPath {
        &self.id
    }

    /// As it will be, or was, started.
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Where it is checkpointed.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// What waits or runs, if anything does.
    pub fn launched(&mut self) -> Option<&mut Launched> {
        self.launched.as_mut()
    }

    /// How it ended, once it has.
    pub fn termination(&self) -> Option<&Termination> {
        self.termination.as_ref()
    }

    /// Starts it. It runs when this returns, or is gone again: see [`Running::termination`].
    pub fn start(&mut self, starter: &mut Starter<'_>, handed: Handed) {
        let mut handed = Some(handed);
        self.go_on(Event::Launch, &mut |running| {
            let handed = handed.take().ok_or("it was started already")?;
            running.launch(starter, handed)
        });
    }

    /// From now on it may take this much.
    ///
    /// # Errors
    /// In words: then it should be destroyed.
    pub fn update(&mut self, allowance: Allowance) -> Result<(), String> {
        self.all.update(&self.id, &allowance)?;
        self.allowance = allowance;
        Ok(())
    }

    /// What it uses, as isolators say, at this time in seconds since 1970; and in words, of whom nothing could be had.
    pub fn usage(&self, timestamp: f64) -> (ResourceStatistics, Vec<String>) {
        let mut usage = ResourceStatistics { timestamp, ..Default::default() };
        let missing = self.all.usage(&self.id, &mut usage);
        (usage, missing)
    }

    /// What there is to say of it, as isolators say; and in words, of whom nothing could be had.
    pub fn status(&self) -> (ContainerStatus, Vec<String>) {
        let process =
            self.launched.as_ref().and_then(|one| u32::try_from(one.process.as_raw()).ok());
        let found = || self.folder.process().and_then(|one| u32::try_from(one.number).ok());
        let mut status =
            ContainerStatus { executor_pid: process.or_else(found), ..Default::default() };
        let missing = self.all.status(&self.id, &mut status);
        (status, missing)
    }

    /// Files of which each is ready when it is time for [`Running::look`].
    pub fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watches.0.iter().map(|watch| watch.file())
    }

    /// Ends it if it has gone beyond a limit. Never waits for that.
    pub fn look(&mut self) {
        if let Some(limitation) = self.watches.look() {
            self.go_on(Event::Limited(limitation), &mut |_| Err("it is over".into()));
        }
    }

    /// Its init is gone, as its handle says: buries it, and undoes everything.
    pub fn ended(&mut self) {
        // It may be gone because of a limit.
        self.look();
        if let Some(launched) = &self.launched {
            // If it is a child of this process.
            let _ = waitpid(launched.process, Some(WaitPidFlag::WNOHANG));
        }
        let exit = self.folder.exit().unwrap_or(Exit::Unknown);
        self.go_on(Event::Exited(exit), &mut |_| Err("it is over".into()));
    }

    /// Ends it, whatever it does.
    pub fn destroy(&mut self) {
        self.go_on(Event::Destroy, &mut |_| Err("it is over".into()));
    }

    /// Undoes what a container left whose starter is gone.
    pub fn clear(id: ContainerPath, folder: Folder, isolators: &Isolators) -> Self {
        Self::found(id, folder, isolators, false)
    }

    /// One whose starter is gone. It runs on if it ran and is wanted; all else is undone when this returns.
    pub fn found(id: ContainerPath, folder: Folder, isolators: &Isolators, wanted: bool) -> Self {
        let alive = folder.process().is_some_and(|process| matches!(process.open(), Ok(Some(_))));
        let (phase, exit) = (folder.phase(), folder.exit());
        let container = folder.config().unwrap_or_default();
        let mut running = Self::new(id, folder, container, isolators);
        let found = Found { phase, alive, exit, wanted };
        let (life, effects) = Life::found(running.isolators.len(), found);
        running.life = life;
        running.perform_all(effects, &mut |_| Err("it is not started again".into()));
        if running.termination.is_none() {
            running.watch_again();
        }
        running
    }

    /// What cannot be watched may not run.
    fn watch_again(&mut self) {
        match self.all.watch(&self.id) {
            Ok(watches) => self.watches = Watches(watches),
            Err(_) => self.destroy(),
        }
    }

    /// Ready to be read once its init is gone; `None`: it has none.
    ///
    /// # Errors
    /// The kernel's.
    pub fn handle(&self) -> io::Result<Option<OwnedFd>> {
        match &self.launched {
            Some(launched) => launched.handle.try_clone().map(Some),
            None => self.folder.process().map_or(Ok(None), |process| process.open()),
        }
    }

    fn go_on(&mut self, event: Event, start: &mut Start<'_>) {
        let effects = self.life.step(event);
        self.perform_all(effects, start);
    }

    fn perform_all(&mut self, mut effects: Vec<Effect>, start: &mut Start<'_>) {
        while !effects.is_empty() {
            let mut next = None;
            for effect in effects {
                // Of the effects of one step, at most the last has an event that follows.
                next = self.perform(effect, start).or(next);
            }
            effects = next.map(|event| self.life.step(event)).unwrap_or_default();
        }
    }

    fn perform(&mut self, effect: Effect, start: &mut Start<'_>) -> Option<Event> {
        match effect {
            Effect::Checkpoint(phase) => {
                // One that is not written is as if its process had died before: whoever finds the folder undoes it all.
                let _ = self.folder.write_phase(phase);
                None
            }
            Effect::Provision => Some(Event::Provisioned(self.provision())),
            Effect::Prepare(place) => Some(Event::Prepared(place, self.prepare(place))),
            Effect::Start => Some(Event::Started(start(self))),
            Effect::Isolate(place) => Some(Event::Isolated(place, self.isolate(place))),
            // What was fetched is in the sandbox by now: a box has nothing to fetch, an agent does it meanwhile.
            Effect::Fetch => Some(Event::Fetched(Ok(()))),
            Effect::Release => {
                let released = self.launched.as_mut().map(Launched::release);
                released.filter(Result::is_err).map(|_| Event::Destroy)
            }
            // Nothing is ever under way here when somebody else speaks.
            Effect::Abandon => None,
            Effect::Kill => Some(Event::Killed(self.kill())),
            Effect::CleanUp(place) => {
                let isolator = &self.isolators[place];
                let done = isolator.clean_up(&self.id).map_err(named(isolator));
                Some(Event::CleanedUp(place, done))
            }
            Effect::Deprovision => {
                let scratch = self.folder.scratch();
                let removed = remove_tree(&scratch);
                let words = |error| format!("remove {}: {error}", scratch.display());
                Some(Event::Deprovisioned(removed.map_err(words)))
            }
            Effect::Forget => {
                // What is left then is an empty folder, or one that is found again.
                let _ = remove_tree(self.folder.path());
                None
            }
            Effect::Tell(termination) => {
                self.termination = Some(termination);
                None
            }
        }
    }

    fn provision(&mut self) -> Result<(), String> {
        let words = |error| format!("write down what the container is: {error}");
        self.container.confinement.scratch = Some(self.folder.scratch());
        self.folder.write_config(&self.container).map_err(words)
    }

    fn launch(&mut self, starter: &mut Starter<'_>, mut handed: Handed) -> Result<(), String> {
        self.all.hand(&self.id, Entry::Waits(&mut handed))?;
        let launched = match starter {
            Starter::Itself => launch(&self.container, handed),
            Starter::Launcher(launcher) => launcher.launch(&self.container, handed),
        };
        let mut launched = launched.map_err(|error| format!("start a container: {error}"))?;
        let process = ProcessId::of(launched.process.as_raw());
        let known = process.and_then(|process| self.folder.write_process(&process));
        let mapped = known.and_then(|()| launched.map_users(&self.container));
        self.launched = Some(launched);
        mapped.map_err(|error| format!("start a container: {error}"))
    }

    fn prepare(&mut self, place: usize) -> Result<(), String> {
        let isolator = &self.isolators[place];
        let (id, container, allowance) = (&self.id, &mut self.container, &self.allowance);
        let folders = &[self.folder.scratch()];
        isolator.prepare(&mut Launch { id, container, allowance, folders }).map_err(named(isolator))
    }

    fn isolate(&mut self, place: usize) -> Result<(), String> {
        let process = self.launched.as_ref().map(|launched| launched.process);
        let process = process.ok_or("there is no process to take in")?;
        let isolator = &self.isolators[place];
        let isolated = isolator.isolate(&self.id, process);
        let watch = isolated.and_then(|()| isolator.watch(&self.id)).map_err(named(isolator))?;
        self.watches.0.extend(watch);
        Ok(())
    }

    /// All processes, however they are found: by the handle of init, by those that isolators know, by what is in their environment.
    fn kill(&mut self) -> Result<(), String> {
        let init = self.kill_init().and_then(|()| self.init_is_gone());
        init.map_err(|error| format!("end the container's first process: {error}"))?;
        self.all.kill(&self.id)?;
        // An init that wrote down how its program ended had ended the rest before.
        if !self.container.namespaces.processes && self.folder.exit().is_none() {
            kill_marked(&self.mark())?;
        }
        Ok(())
    }

    /// Also one that is in no record.
    fn init_is_gone(&self) -> io::Result<()> {
        let until = Instant::now() + KILL_TIME_MAX;
        while !self.folder.is_free()? {
            if Instant::now() > until {
                return Err(io::Error::other("nobody knows which it is, and it does not end"));
            }
            // Nobody tells of it.
            poll(&mut [], PollTimeout::from(LOOK_AGAIN_MILLIS))?;
        }
        Ok(())
    }

    /// What its processes have in their environment.
    fn mark(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn kill_init(&mut self) -> io::Result<()> {
        let handle = self.handle()?;
        let Some(handle) = handle else { return Ok(()) };
        match pidfd_send_signal(&handle, rustix::process::Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
        if !is_ready(&handle, KILL_TIME_MAX)? {
            return Err(io::Error::other("it was killed, and hangs in the kernel"));
        }
        if let Some(launched) = &self.launched {
            let _ = waitpid(launched.process, Some(WaitPidFlag::WNOHANG));
        }
        Ok(())
    }
}

/// Starts the container that is told.
type Start<'a> = dyn FnMut(&mut Running) -> Result<(), String> + 'a;

/// Whether it is, within this time.
fn is_ready(file: &impl AsFd, at_most: Duration) -> io::Result<bool> {
    let milliseconds = u16::try_from(at_most.as_millis()).unwrap_or(u16::MAX);
    loop {
        let mut looked = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        match poll(&mut looked, PollTimeout::from(milliseconds)) {
            Err(Errno::EINTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

/// Those that init did not end itself because it was killed. Each is held by a handle: its number may become another's.
fn kill_marked(mark: &str) -> Result<(), String> {
    let until = Instant::now() + KILL_TIME_MAX;
    loop {
        let all = look::look(MARK);
        let own = |seen: &&look::Seen| {
            !seen.dead && seen.mark.as_deref().is_some_and(|found| found == mark)
        };
        let found: Vec<_> = all.seen.iter().filter(own).collect();
        if found.is_empty() {
            return all.blind.map_or(Ok(()), Err);
        }
        for seen in found {
            let words = |error| format!("end process {}: {error}", seen.process);
            let handle = ProcessId::seen(seen).and_then(|process| process.open()).map_err(words)?;
            let Some(handle) = handle else { continue };
            // It may be gone by now, or another user's that has the mark by chance.
            let _ = pidfd_send_signal(&handle, rustix::process::Signal::KILL);
            let rest = until.saturating_duration_since(Instant::now());
            if !is_ready(&handle, rest).map_err(words)? {
                return Err(format!("process {} was killed, and goes on", seen.process));
            }
        }
    }
}
