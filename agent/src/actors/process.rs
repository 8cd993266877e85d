//! Starts executors as processes, on a thread of its own, and tells the agent how they end: only once nothing that they
//! left behind lives.

mod bury;
mod find;
mod hunt;
mod inside;
mod isolate;
mod launch;
mod logged;
mod mesos;
mod prepare;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use actix::{Actor, Handler};
use containerizer::isolator::{Allowance, Isolators, Limitation};
use containerizer::lifeline::Lifeline;
use containerizer::logger::logic::Logger;
use containerizer::look::look;
use containerizer::start::Handed;
use fetcher::Fetcher;
use images::Pulled;
use libactor::{Context, Message, Pid, Received, Secret, TimerHandle};
use nix::sys::signal::{self, kill};
use protocol::executor::ENV_CONTAINER;
use protocol::ids::ContainerId;
use protocol::task::{Exit, TaskStatus};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio::sync::oneshot;

use super::outbox::Outbox;
use crate::containers::ContainerSettings;
use crate::home::Home;
use crate::logic::{OldExecutor, ProcessIdentity, Program, Signal};
use crate::logic::{StartExecutor, StartFailure};
use crate::pulls::Images;
use crate::sandboxes::Sandboxes;
use hunt::Hunt;
use launch::{Launched, Place};

/// Between the first two looks at what is to die; doubles up to [`LOOK_AGAIN_MAX`].
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(10);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(500);

/// To the process actor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum ToProcesses {
    /// Answered by `Started` and at last `Exited`, or by `NotStarted`. That may follow `Started` as well: a shim was started,
    /// and could not start the executor.
    Start(Box<StartExecutor>),
    /// What it may take from now on; answered by `NotGiven` if that cannot be.
    Give { container: ContainerId, allowance: Allowance },
    /// To the executor's own process.
    Signal { container: ContainerId, signal: Signal },
    /// Kill what lives of it; answered by `OldEnded`.
    EndOld(OldExecutor),
    /// Look for it; answered by `Found` and at last `Exited`, by that alone, or by `NeverBegan`.
    Find(OldExecutor),
    /// What it wrote down is of no further use.
    DropRecords(ContainerId),
}

impl Message for ToProcesses {
    const NAME: &'static str = "agent.ToProcesses";
}

/// From the process actor to whoever was named as its listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FromProcesses {
    Started {
        container: ContainerId,
        process: ProcessIdentity,
    },
    NotStarted {
        container: ContainerId,
        why: StartFailure,
    },
    Exited {
        container: ContainerId,
        exit: Option<Exit>,
        ended: Option<Box<TaskStatus>>,
    },
    OldEnded(ContainerId),
    Found {
        container: ContainerId,
        process: ProcessIdentity,
    },
    NeverBegan(ContainerId),
    NotGiven {
        container: ContainerId,
        words: String,
    },
    /// An isolator says so.
    Limited {
        container: ContainerId,
        limitation: Limitation,
    },
    /// Nothing of it lives, but something is left: to be counted.
    Left(ContainerId),
}

impl Message for FromProcesses {
    const NAME: &'static str = "agent.FromProcesses";
}

/// How executors are started.
#[derive(Debug)]
pub(crate) struct Launching {
    /// The command executor's program and arguments.
    pub(crate) executor: Vec<OsString>,
    pub(crate) sandboxes: Sandboxes,
    pub(crate) fetcher: Fetcher,
    /// If containers may have file systems of their own.
    pub(crate) containers: Option<ContainerSettings>,
    /// If they may have those of images.
    pub(crate) images: Option<Images>,
    /// If what they print is kept to a bound: by which program, and how.
    pub(crate) logger: Option<(Vec<OsString>, Logger)>,
    pub(crate) home: Home,
    /// Where executors dial.
    pub(crate) agent_at: String,
    /// How long executors wait for the agent to come back.
    pub(crate) recovery_timeout: Duration,
    /// Where executors may dial as well, by Mesos's API alone.
    pub(crate) socket: Option<std::path::PathBuf>,
    pub(crate) boot: String,
    /// Set where this process is the agent alone: every executor adopts what its processes leave, or has a shim that does, so
    /// that every stranger among this process's children is what a killed one left. Shims see by it that the agent is gone.
    pub(crate) lifeline: Option<Lifeline>,
    /// How many files executors may open; `None`: as many as this process.
    pub(crate) open_files: Option<u64>,
    /// What each executor, and each task of a command, finds in its environment unless it says otherwise.
    pub(crate) environment: BTreeMap<String, String>,
}

/// An executor that runs or is being buried.
#[derive(Debug)]
struct Living {
    process: i32,
    program: Program,
    /// Where its shim leaves why it could not start it.
    handed: Option<Handed>,
    /// Why it was killed as soon as it had started, if it was.
    refused: Option<String>,
    /// Set for one of a former life, which is no child of this process.
    found: Option<ProcessIdentity>,
    /// Not collected while this is here; of one of a former life, what its container is says which.
    _image: Option<Pulled>,
}

pub(crate) struct Processes {
    launching: Launching,
    to_agent: Outbox<FromProcesses>,
    living: BTreeMap<ContainerId, Living>,
    /// Those for which something is fetched or pulled, and how that is given up.
    preparing: BTreeMap<ContainerId, oneshot::Sender<()>>,
    isolators: Isolators,
    /// What tells of limits of those that live.
    watches: BTreeMap<ContainerId, Vec<TimerHandle>>,
    /// What keeps to a bound what containers print, until nobody is left who does.
    keepers: BTreeSet<i32>,
}

impl Actor for Processes {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.collect_images(ctx);
    }
}

impl Processes {
    pub(crate) fn new(launching: Launching, isolators: Isolators, listener: Pid) -> Self {
        Self {
            launching,
            to_agent: Outbox::to(listener),
            living: BTreeMap::new(),
            preparing: BTreeMap::new(),
            isolators,
            watches: BTreeMap::new(),
            keepers: BTreeSet::new(),
        }
    }

    fn say(&mut self, message: FromProcesses, ctx: &mut Context<Self>) {
        self.to_agent.tell(message, ctx, |processes| &mut processes.to_agent);
    }

    /// What its command needs is there before it runs.
    fn start(&mut self, start: StartExecutor, ctx: &mut Context<Self>) {
        let container = start.container.clone();
        self.clear_up_for(&start);
        let place = match launch::place(&self.launching, &start) {
            Ok(place) => place,
            Err(why) => return self.say(FromProcesses::NotStarted { container, why }, ctx),
        };
        if start.fetch.is_empty() && start.wanted.image.is_none() {
            return self.launch(&start, place, None, ctx);
        }
        self.prepare(start, place, ctx);
    }

    fn launch(
        &mut self,
        start: &StartExecutor,
        mut place: Place,
        pulled: Option<Pulled>,
        ctx: &mut Context<Self>,
    ) {
        let container = start.container.clone();
        let program = start.program.clone();
        let files = match self.contain(start, &mut place, pulled.as_ref()) {
            Ok(files) => files,
            Err(why) => {
                let why = StartFailure::Program(format!("cannot make its container: {why}"));
                return self.say(FromProcesses::NotStarted { container, why }, ctx);
            }
        };
        // Its own: it reaches this agent and nobody else, and cannot speak for another executor.
        let secret = ctx.node().lend_secret();
        let lends = secret.is_some();
        let launched = launch::launch(&self.launching, start, place, lends, files.as_deref());
        let Launched { mut child, process, handed, keepers } = match launched {
            Ok(launched) => launched,
            Err(why) => {
                self.clean_up(&container, ctx);
                self.say(FromProcesses::NotStarted { container, why }, ctx);
                return;
            }
        };
        keepers.into_iter().for_each(|keeper| self.keep(keeper, ctx));
        let number = i32::try_from(process.process).unwrap_or(i32::MAX);
        let refused = self.take_in(&container, number, ctx).err();
        match refused {
            None => {
                let started = FromProcesses::Started { container: container.clone(), process };
                self.say(started, ctx);
            }
            // It is told of once nothing of it lives.
            Some(_) => drop(kill(nix::unistd::Pid::from_raw(number), signal::Signal::SIGKILL)),
        }
        let (process, found) = (number, None);
        let living = Living { process, program, handed, refused, found, _image: pulled };
        self.living.insert(container.clone(), living);
        Self::hand_secret(child.stdin.take(), secret, ctx);
        let ended = async move { child.wait().await };
        ctx.run(ended, move |actor, status, ctx| {
            actor.on_process_ended(container, status.ok(), ctx);
        });
    }

    /// It ends by itself, and is no stranger until then.
    fn keep(&mut self, mut keeper: Child, ctx: &mut Context<Self>) {
        let Some(number) = keeper.id().and_then(|id| i32::try_from(id).ok()) else { return };
        self.keepers.insert(number);
        let ended = async move { keeper.wait().await };
        ctx.run(ended, move |actor, _, _| {
            actor.keepers.remove(&number);
        });
    }

    /// A former life may have died after it made a sandbox and before it started what is to work there.
    fn clear_up_for(&self, start: &StartExecutor) {
        let framework = &start.framework.framework;
        let (executor, container) = (&start.spec.executor, &start.container);
        let path = self.launching.sandboxes.path(framework, executor, container);
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "cannot clear up a sandbox that was never used");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Waits as long as the executor does not read: a pipe may hold less than a secret.
    fn hand_secret(to: Option<ChildStdin>, secret: Option<Secret>, ctx: &mut Context<Self>) {
        if let (Some(mut pipe), Some(secret)) = (to, secret) {
            let hand = async move { pipe.write_all(secret.reveal()).await };
            ctx.run(hand, |_, handed, _| {
                if let Err(error) = handed {
                    tracing::debug!(%error, "an executor did not read its secret");
                }
            });
        }
    }

    /// An executor that ended well has killed all that was its task's; after any other, what it left is hunted first.
    fn on_process_ended(
        &mut self,
        container: ContainerId,
        status: Option<ExitStatus>,
        ctx: &mut Context<Self>,
    ) {
        let exit = status.and_then(exit_of);
        self.end(&container);
        let swept = exit == Some(Exit::Code(0))
            && self
                .living
                .get(&container)
                .is_some_and(|living| living.program == Program::CommandExecutor);
        if swept {
            self.buried(container, exit, ctx);
        } else {
            let hunt = Hunt::for_container(container.clone(), None);
            let done = move |actor: &mut Self, ctx: &mut Context<Self>| {
                actor.buried(container, exit, ctx);
            };
            self.hunt(hunt, LOOK_AGAIN_MIN, done, ctx);
        }
    }

    /// Kills what the hunt finds until there is nothing, then goes on with `done`.
    fn hunt(
        &mut self,
        mut hunt: Hunt,
        wait: Duration,
        done: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
        ctx: &mut Context<Self>,
    ) {
        let orphans = self.launching.lifeline.is_some();
        let mut known: BTreeSet<i32> = self.launching.fetcher.processes();
        known.extend(&self.keepers);
        known.extend(self.living.values().map(|living| living.process));
        if hunt.kill_what_lives(&look(ENV_CONTAINER), orphans.then_some(&known)) {
            let next = (wait * 2).min(LOOK_AGAIN_MAX);
            ctx.after(wait, move |actor, ctx| actor.hunt(hunt, next, done, ctx));
        } else {
            done(self, ctx);
        }
    }

    fn signal(&mut self, container: &ContainerId, signal: Signal, ctx: &mut Context<Self>) {
        if self.gives_up(container) {
            return;
        }
        if let Some(living) = self.living.get(container) {
            // Nothing that such a one leaves comes to this process, so all of it goes at once.
            if let (Some(process), Signal::Kill) = (&living.found, signal) {
                let hunt = Hunt::for_container(container.clone(), Some(process.clone()));
                return self.hunt(hunt, LOOK_AGAIN_MIN, |_, _| (), ctx);
            }
            let signal = match signal {
                Signal::Terminate => signal::Signal::SIGTERM,
                Signal::Kill => signal::Signal::SIGKILL,
            };
            // A process that has just ended is about to be told of.
            let _ = kill(nix::unistd::Pid::from_raw(living.process), signal);
        }
    }
}

impl Handler<Received<ToProcesses>> for Processes {
    type Result = ();

    fn handle(&mut self, received: Received<ToProcesses>, ctx: &mut Context<Self>) {
        match received.message {
            ToProcesses::Start(start) => self.start(*start, ctx),
            ToProcesses::Give { container, allowance } => self.give(container, &allowance, ctx),
            ToProcesses::Signal { container, signal } => self.signal(&container, signal, ctx),
            ToProcesses::Find(old) => self.find(old, ctx),
            ToProcesses::DropRecords(container) => self.launching.home.drop_records(&container),
            ToProcesses::EndOld(old) => {
                let process = old.process.filter(|process| process.boot == self.launching.boot);
                let container = old.container;
                self.end(&container);
                let hunt = Hunt::for_container(container.clone(), process);
                let done = move |actor: &mut Self, ctx: &mut Context<Self>| {
                    actor.clean_up(&container, ctx);
                    actor.undo(
                        container,
                        |actor, container, ctx| {
                            actor.say(FromProcesses::OldEnded(container), ctx);
                        },
                        ctx,
                    );
                };
                self.hunt(hunt, LOOK_AGAIN_MIN, done, ctx);
            }
        }
    }
}

fn exit_of(status: ExitStatus) -> Option<Exit> {
    status.code().map(Exit::Code).or_else(|| status.signal().map(Exit::Signal))
}
