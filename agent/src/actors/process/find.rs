//! Finding what a former life of the agent started: it is no child of this process, so it is watched in another way.

use std::ffi::OsStr;
use std::time::Duration;

use containerizer::look::{Look, Seen, look};
use containerizer::watch::Watched;
use libactor::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use procfs::process::Process;
use protocol::executor::{AGENT_IS_BACK, ENV_CONTAINER, ENV_STARTS};
use protocol::ids::ContainerId;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::hunt::Hunt;
use super::{FromProcesses, LOOK_AGAIN_MIN, Living, Processes};
use crate::logic::{OldExecutor, ProcessIdentity, Program};

/// What keeps an agent from seeing lasts longer than a moment, and each look is said.
const BLIND_FOR: Duration = Duration::from_secs(1);

impl Processes {
    /// Watches it if it lives; else ends what is left of it.
    pub(super) fn find(&mut self, old: OldExecutor, ctx: &mut Context<Self>) {
        let OldExecutor { container, process: noted } = old;
        let boot = &self.launching.boot;
        let process = match &noted {
            Some(noted) => Some(noted.clone()).filter(|process| process.boot == *boot),
            None => match topmost(&look(ENV_CONTAINER), &container, boot) {
                Ok(found) => found,
                Err(why) => {
                    tracing::warn!(%container, %why, "cannot see whether an executor lives; looking again");
                    let old = OldExecutor { container, process: noted };
                    ctx.after(BLIND_FOR, move |actor, ctx| actor.find(old, ctx));
                    return;
                }
            },
        };
        let never_began =
            noted.is_none() && process.is_none() && self.launching.home.ended(&container).is_none();
        match process.clone().and_then(|process| Some((watch_one(&process)?, process))) {
            Some((watched, process)) => self.watch(container, process, watched, ctx),
            None if never_began => self.say(FromProcesses::NeverBegan(container), ctx),
            None => self.bury(container, process, ctx),
        }
    }

    fn watch(
        &mut self,
        container: ContainerId,
        process: ProcessIdentity,
        watched: Watched,
        ctx: &mut Context<Self>,
    ) {
        let number = i32::try_from(process.process).unwrap_or(i32::MAX);
        // What it is does not matter: as after any other than a child, what it left is hunted.
        let program = Program::Custom(Default::default());
        let found = Some(process.clone());
        let (handed, refused, _image) = (None, None, None);
        let living = Living { process: number, program, handed, refused, found, _image };
        self.living.insert(container.clone(), living);
        if let Err(why) = self.take_over(&container, ctx) {
            tracing::warn!(%container, %why, "cannot watch the limits of a container of a former life; ending it");
            return self.bury(container, Some(process), ctx);
        }
        tell_shim(number);
        self.say(FromProcesses::Found { container: container.clone(), process }, ctx);
        let ended = async move {
            #[expect(
                deprecated,
                reason = "the descriptor stays open as long as this owns it; what comes after it is unsafe"
            )]
            let watched = AsyncFd::with_interest(watched, Interest::READABLE)?;
            watched.readable().await.map(drop)
        };
        ctx.run(ended, move |actor, ended, ctx| {
            if let Err(error) = ended {
                tracing::warn!(%container, %error, "cannot watch an executor of a former life; ending it");
            }
            let process = actor.living.get(&container).and_then(|living| living.found.clone());
            actor.bury(container, process, ctx);
        });
    }

    /// Its process has ended, or is to.
    fn bury(
        &mut self,
        container: ContainerId,
        process: Option<ProcessIdentity>,
        ctx: &mut Context<Self>,
    ) {
        self.end(&container);
        let hunt = Hunt::for_container(container.clone(), process);
        let done = move |actor: &mut Self, ctx: &mut Context<Self>| {
            actor.buried(container, None, ctx);
        };
        self.hunt(hunt, LOOK_AGAIN_MIN, done, ctx);
    }
}

/// A shim watches its agent: it is told that this process is that now. No other process could make anything of it.
fn tell_shim(number: i32) {
    let environment = Process::new(number).and_then(|process| process.environ());
    if environment.is_ok_and(|known| known.contains_key(OsStr::new(ENV_STARTS)))
        && let Ok(signal) = Signal::try_from(AGENT_IS_BACK)
    {
        // It may have ended just now.
        let _ = kill(Pid::from_raw(number), signal);
    }
}

/// What cannot be watched is taken for ended, and made to.
fn watch_one(process: &ProcessIdentity) -> Option<Watched> {
    Watched::new(process.process, process.started).unwrap_or_else(|error| {
        tracing::warn!(process = process.process, %error, "cannot watch an executor of a former life; ending it");
        None
    })
}

/// The process that bears the container's mark and is below no other that does: the executor, or the shim above it. An error:
/// not all can be seen.
fn topmost(
    look: &Look,
    container: &ContainerId,
    boot: &str,
) -> Result<Option<ProcessIdentity>, String> {
    if let Some(why) = &look.blind {
        return Err(why.clone());
    }
    let is_marked =
        |seen: &&Seen| !seen.dead && seen.mark.as_deref() == Some(OsStr::new(container.as_str()));
    let marked: Vec<&Seen> = look.seen.iter().filter(is_marked).collect();
    let top = marked.iter().find(|seen| !marked.iter().any(|other| other.process == seen.parent));
    Ok(top.and_then(|seen| {
        let process = u32::try_from(seen.process).ok()?;
        Some(ProcessIdentity { process, started: seen.started, boot: boot.to_owned() })
    }))
}
