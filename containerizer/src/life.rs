//! A container's life, performed: what [`crate::logic`] decides is done one after the other, by whoever calls. For a process that
//! has one container to care for, as `airside box run`, and for what is found when its starter is gone.

pub mod attend;

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, waitpid};
use rustix::process::pidfd_send_signal;

use crate::container::Container;
use crate::isolation::Isolator;
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
    folder: Folder,
    container: Container,
    isolators: Vec<Box<dyn Isolator>>,
    life: Life,
    launched: Option<Launched>,
    termination: Option<Termination>,
}

impl Running {
    /// Of one that is to be started.
    pub fn new(folder: Folder, container: Container, isolators: Vec<Box<dyn Isolator>>) -> Self {
        let life = Life::new(isolators.len());
        Self { folder, container, isolators, life, launched: None, termination: None }
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

    /// Its init is gone, as its handle says: buries it, and undoes everything.
    pub fn ended(&mut self) {
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
    pub fn clear(folder: Folder, isolators: Vec<Box<dyn Isolator>>) -> Self {
        let alive = folder.process().is_some_and(|process| matches!(process.open(), Ok(Some(_))));
        let (phase, exit) = (folder.phase(), folder.exit());
        let found = Found { phase, alive, exit, wanted: false };
        let (life, effects) = Life::found(isolators.len(), found);
        let container = folder.config().unwrap_or_default();
        let mut running =
            Self { folder, container, isolators, life, launched: None, termination: None };
        running.perform_all(effects, &mut |_| Err("it is not started again".into()));
        running
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
            Effect::Prepare(place) => {
                let done = self.isolators[place].prepare(&self.folder, &mut self.container);
                Some(Event::Prepared(place, done))
            }
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
                let done = self.isolators[place].clean_up(&self.folder);
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
        for isolator in &mut self.isolators {
            isolator.hand(&mut handed)?;
        }
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

    fn isolate(&mut self, place: usize) -> Result<(), String> {
        let process = self.launched.as_ref().map(|launched| launched.process);
        let process = process.ok_or("there is no process to take in")?;
        self.isolators[place].isolate(process)
    }

    /// All processes, however they are found: by the handle of init, by those that isolators know, by what is in their environment.
    fn kill(&mut self) -> Result<(), String> {
        let init = self.kill_init().and_then(|()| self.init_is_gone());
        init.map_err(|error| format!("end the container's first process: {error}"))?;
        self.isolators.iter_mut().try_for_each(|isolator| isolator.kill(&self.folder))?;
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
        let handle = match &self.launched {
            Some(launched) => Some(launched.handle.try_clone()?),
            None => match self.folder.process() {
                Some(process) => process.open()?,
                None => None,
            },
        };
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
