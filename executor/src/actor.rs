//! The executor as an actor: turns messages, signals and ends of processes into events, and performs effects. It decides
//! nothing; every decision is in [`crate::logic`].

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Actor, Handler};
use containerizer::records;
use libactor::{Clock, Context, Down, Received};
use protocol::executor::{AgentAt, AgentToExecutor};
use protocol::task::TaskStatus;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use crate::complain;
use crate::environment::Environment;
use crate::logic::{Config, Effect, Event, Executor};
use crate::process::Processes;

/// Between two looks at a tree that is being killed; doubles up to [`LOOK_AGAIN_MAX`].
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(2);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(100);

/// Tells the main thread that it is over.
pub(crate) struct Ended {
    pub(crate) code: OnceLock<u8>,
    pub(crate) notify: Notify,
}

pub(crate) struct ExecutorActor {
    executor: Executor,
    agent: AgentAt,
    records: Option<PathBuf>,
    processes: Processes,
    /// While the tree is being killed: how long until the next look.
    clearing: Option<Duration>,
    clock: Clock,
    ended: Arc<Ended>,
}

impl Actor for ExecutorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for kind in [SignalKind::child(), SignalKind::terminate(), SignalKind::interrupt()] {
            match signal(kind) {
                Ok(stream) => Self::hear_signal(kind, stream, ctx),
                Err(error) => complain(&format!("listen for signal {kind:?}: {error}")),
            }
        }
        self.advance(Event::Started, ctx);
    }
}

impl ExecutorActor {
    pub(crate) fn new(
        environment: Environment,
        source: u64,
        ended: Arc<Ended>,
        _ctx: &mut Context<Self>,
    ) -> Self {
        let Environment {
            agent,
            identity,
            sandbox,
            path,
            mesos,
            records,
            recovery_timeout,
            inside,
            ..
        } = environment;
        let processes = Processes::new(sandbox, path, mesos, inside, &identity);
        let config = Config { recovery_timeout, ..Config::default() };
        let executor = Executor::new(identity, config, source);
        Self { executor, agent, records, processes, clearing: None, clock: Clock::start(), ended }
    }

    fn hear_signal(kind: SignalKind, mut stream: Signal, ctx: &mut Context<Self>) {
        let heard = async move {
            stream.recv().await;
            stream
        };
        ctx.run(heard, move |actor, stream, ctx| {
            if kind == SignalKind::child() {
                actor.reap(ctx);
            } else {
                actor.advance(Event::Terminate, ctx);
            }
            Self::hear_signal(kind, stream, ctx);
        });
    }

    fn advance(&mut self, event: Event, ctx: &mut Context<Self>) {
        tracing::debug!(?event, "event");
        let now = self.clock.read().into();
        for effect in self.executor.step(now, event).effects {
            tracing::debug!(?effect, "effect");
            self.perform(effect, ctx);
        }
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::ContactAgent(message) => {
                // Said again until answered, so a failure is no news.
                let _ = ctx.tell(self.agent.name(std::fs::read_to_string), message);
            }
            Effect::TellAgent { to, message } => {
                // Said again until acknowledged; a lost connection comes as `Down`.
                let _ = ctx.tell(to, message);
            }
            Effect::Link(pid) => ctx.link(pid),
            Effect::NoteEnd(status) => self.note_end(status),
            Effect::Spawn(spawn) => {
                let event = match self.processes.spawn(*spawn) {
                    Ok(process) => Event::Spawned { process },
                    Err(failure) => Event::NotSpawned(failure),
                };
                self.advance(event, ctx);
                // It may have ended before its signal was listened for.
                self.reap(ctx);
            }
            Effect::TerminateTree => self.processes.terminate(),
            Effect::ClearTree => {
                self.clearing = Some(LOOK_AGAIN_MIN);
                self.clear(ctx);
            }
            Effect::StartTimer { timer, after } => {
                ctx.after(after, move |actor, ctx| actor.advance(Event::TimerFired(timer), ctx));
            }
            Effect::Exit(end) => {
                if end.code() != 0 {
                    complain(&end.to_string());
                }
                let _ = self.ended.code.set(u8::try_from(end.code()).unwrap_or(1));
                self.ended.notify.notify_one();
                ctx.stop();
            }
        }
    }

    /// It waits for the disk: there is nothing left to do meanwhile.
    fn note_end(&self, status: Box<TaskStatus>) {
        if let Some(folder) = &self.records
            && let Err(error) = records::write(folder, &records::Ended::Task(status))
        {
            // The agent hears of it all the same, if it is there.
            complain(&format!("write down how the task ended, in {}: {error}", folder.display()));
        }
    }

    /// Collects what has ended, and looks again at a tree that is being killed.
    fn reap(&mut self, ctx: &mut Context<Self>) {
        if let Some(exit) = self.processes.reap() {
            if let Some(remark) = self.processes.remark() {
                self.advance(Event::Remarked(remark), ctx);
            }
            self.advance(Event::Exited(exit), ctx);
        }
    }

    fn clear(&mut self, ctx: &mut Context<Self>) {
        let Some(wait) = self.clearing else {
            return;
        };
        self.reap(ctx);
        if self.processes.none_left() {
            self.clearing = None;
            self.advance(Event::TreeCleared, ctx);
            return;
        }
        self.processes.kill();
        self.clearing = Some((wait * 2).min(LOOK_AGAIN_MAX));
        ctx.after(wait, Self::clear);
    }
}

impl Handler<Received<AgentToExecutor>> for ExecutorActor {
    type Result = ();

    fn handle(&mut self, received: Received<AgentToExecutor>, ctx: &mut Context<Self>) {
        if let Some(from) = received.from {
            self.advance(Event::FromAgent { from, message: received.message }, ctx);
        }
    }
}

impl Handler<Down> for ExecutorActor {
    type Result = ();

    fn handle(&mut self, down: Down, ctx: &mut Context<Self>) {
        self.advance(Event::AgentDown { pid: down.pid }, ctx);
    }
}
