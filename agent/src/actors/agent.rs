//! The agent as an actor: turns messages into events and performs effects. It decides nothing; every decision is in
//! [`crate::logic`].

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use actix::{Actor, Handler};
use containerizer::isolator::Isolators;
use coordination::detect::MASTER;
use coordination::election::Detector;
use libactor::{Asked, Clock, Context, Down, Message, Name, Question, Received, TellError};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::executor::{AgentToExecutor, ExecutorToAgent};
use protocol::ids::ContainerId;
use protocol::operator::{
    ExecutorView, ExecutorsAnswer, ReadExecutors, ReadSandbox, SandboxAnswer,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::checkpointer::{Outcome, Write};
use super::outbox::Outbox;
use super::process::{FromProcesses, ToProcesses};
use crate::http::{Dismiss, FindExecutor, Found, ReadRecovery, Recovery, Subscribes};
use crate::logic::{Agent, Books, Effect, End, Event, Notice};
use crate::metrics::Counts;
use crate::sandboxes::{SandboxLimits, Sandboxes, Unremoved};

/// From the process that hosts the agent: end it in an orderly way.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Leave;

impl Message for Leave {
    const NAME: &'static str = "agent.Leave";
}

/// From the process that hosts the agent: what is counted.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadCounts;

impl Message for ReadCounts {
    const NAME: &'static str = "agent.ReadCounts";
}

impl Question for ReadCounts {
    type Answer = Counts;
}

/// From the gateways: how are things?
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadBooks;

impl Message for ReadBooks {
    const NAME: &'static str = "agent.ReadBooks";
}

impl Question for ReadBooks {
    type Answer = Shown;
}

/// The answer to [`ReadBooks`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) books: Arc<Books>,
    /// The machine of whoever leads, as far as that is known.
    pub(crate) master: Option<String>,
}

impl Message for Shown {
    const NAME: &'static str = "agent.Shown";
}

/// How the agent's life ended, once it has.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) end: OnceLock<End>,
    pub(crate) notify: Notify,
}

impl Ended {
    /// Only the first end counts.
    fn is(&self, end: End) {
        let _ = self.end.set(end);
        self.notify.notify_waiters();
    }
}

pub(crate) struct AgentActor {
    pub(crate) agent: Agent,
    /// Finds the leader.
    pub(crate) master: Arc<dyn Detector>,
    pub(crate) to_processes: Outbox<ToProcesses>,
    pub(crate) to_checkpointer: Outbox<Write>,
    pub(crate) sandboxes: Sandboxes,
    /// Away while they are looked at.
    pub(crate) unremoved: Unremoved,
    pub(crate) limits: SandboxLimits,
    pub(crate) clock: Clock,
    pub(crate) counts: Counts,
    /// As they were shown last, if nothing has happened since.
    pub(crate) books: Option<Arc<Books>>,
    pub(crate) ended: Arc<Ended>,
    /// Of all containers.
    pub(crate) isolators: Isolators,
}

impl Actor for AgentActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.follow_leader(ctx);
        self.advance(Event::Started, ctx);
        self.collect_sandboxes(ctx);
    }
}

/// However it goes, whoever waits for its end hears of it.
impl Drop for AgentActor {
    fn drop(&mut self) {
        self.ended.is(End::NodeEnded);
    }
}

impl AgentActor {
    pub(super) fn advance(&mut self, event: Event, ctx: &mut Context<Self>) {
        tracing::debug!(?event, "event");
        let now = self.clock.read().into();
        self.books = None;
        for effect in self.agent.step(now, event).effects {
            tracing::debug!(?effect, "effect");
            self.counts.see(&effect);
            self.perform(effect, ctx);
        }
    }

    /// What cannot be told to an executor or to a name is not missed: the logic says it again until it is answered.
    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::ContactMaster(message) => {
                self.contact_leader(message, ctx);
            }
            Effect::TellMaster { to, message } => {
                let told = ctx.tell_in_older(to, message, AgentToMaster::in_older_words);
                if let Err(error) = told {
                    tracing::debug!(%to, %error, "could not tell the master");
                    // What the master did not hear it learns by a new registration. It comes after this step.
                    ctx.unlink(to);
                    let words = format!("it could not be told: {error}");
                    ctx.after(Duration::ZERO, move |actor, ctx| {
                        actor.advance(Event::Down { pid: to, words }, ctx);
                    });
                }
            }
            Effect::TellExecutor { to, message } => {
                let told = ctx.tell_in_older(to, message, AgentToExecutor::in_older_words);
                if let Err(error) = told {
                    tracing::debug!(%to, %error, "could not tell an executor");
                }
            }
            Effect::DismissGateway(pid) => {
                if let Err(error) = ctx.tell(pid, Dismiss) {
                    tracing::debug!(%pid, %error, "could not dismiss a gateway");
                }
            }
            Effect::Link(pid) => ctx.link(pid),
            Effect::Unlink(pid) => ctx.unlink(pid),
            Effect::Write(record) => self.write(record, ctx),
            Effect::EndOldExecutor(old) => self.tell_processes(ToProcesses::EndOld(old), ctx),
            Effect::FindExecutor(old) => self.tell_processes(ToProcesses::Find(old), ctx),
            Effect::DropRecords(container) => {
                self.tell_processes(ToProcesses::DropRecords(container), ctx);
            }
            Effect::StartExecutor(start) => self.tell_processes(ToProcesses::Start(start), ctx),
            Effect::GiveContainer { container, allowance } => {
                self.tell_processes(ToProcesses::Give { container, allowance }, ctx);
            }
            Effect::SignalExecutor { container, signal } => {
                self.tell_processes(ToProcesses::Signal { container, signal }, ctx);
            }
            Effect::StartTimer { timer, after } => {
                ctx.after(after, move |actor, ctx| actor.advance(Event::TimerFired(timer), ctx));
            }
            Effect::Note(notice) => self.note(&notice),
            Effect::Stop(end) => {
                tracing::info!("{end}");
                self.ended.is(end);
                ctx.stop();
            }
        }
    }

    fn contact_leader(&self, message: AgentToMaster, ctx: &mut Context<Self>) {
        let Some(leader) = self.leader() else {
            return tracing::debug!("nobody leads");
        };
        let error = match format!("{MASTER}@{leader}").parse::<Name>() {
            Ok(name) => match ctx.tell_in_older(&name, message, AgentToMaster::in_older_words) {
                Ok(()) => return,
                Err(error) => {
                    if let TellError::TooNew { .. } = error {
                        // After this step.
                        ctx.run(std::future::ready(()), |actor, (), ctx| {
                            actor.advance(Event::MasterIsOlder, ctx);
                        });
                    }
                    error.to_string()
                }
            },
            Err(error) => error.to_string(),
        };
        tracing::debug!(%leader, %error, "could not contact the master");
    }

    /// Hears of whoever leads now and from now on, and when nobody does.
    fn follow_leader(&mut self, ctx: &mut Context<Self>) {
        let mut found = self.master.leader();
        let now = found.borrow_and_update().clone();
        // A master that begins another reign is another one, though it is at the same address.
        let now =
            now.map(|leader| format!("{} {}", leader.address, leader.id).trim_end().to_owned());
        self.advance(Event::MasterDetected(now), ctx);
        ctx.run(async move { found.changed().await }, |actor, changed, ctx| {
            // A detector that is no more finds nobody else.
            if changed.is_ok() {
                actor.follow_leader(ctx);
            }
        });
    }

    /// `host:port` of whoever leads.
    fn leader(&self) -> Option<String> {
        self.master.leader().borrow().as_ref().map(|leader| leader.address.clone())
    }

    fn write(&mut self, record: crate::logic::Record, ctx: &mut Context<Self>) {
        self.to_checkpointer.tell(Write(record), ctx, |agent| &mut agent.to_checkpointer);
    }

    /// An executor is not to be signalled before it is started.
    fn tell_processes(&mut self, message: ToProcesses, ctx: &mut Context<Self>) {
        self.to_processes.tell(message, ctx, |agent| &mut agent.to_processes);
    }

    fn note(&self, notice: &Notice) {
        match notice {
            Notice::Registered { .. } | Notice::OldExecutors(_) | Notice::Recovered => {
                tracing::info!("{notice}")
            }
            Notice::TaskForgotten { .. } => tracing::debug!("{notice}"),
            Notice::MasterSilent { .. } => {
                let leader = self.leader().unwrap_or_else(|| "nobody".to_owned());
                tracing::warn!(%leader, "{notice}; is it running, and does --master name it?");
            }
            Notice::Rebooted(_) | Notice::MasterIsOlder(_) => tracing::warn!("{notice}"),
            Notice::MasterLost(_) | Notice::EpochRefused { .. } | Notice::Removed(_) => {
                tracing::warn!("{notice}");
            }
            Notice::NotTheMaster(_) | Notice::HeldFull(_) | Notice::TaskRefused { .. } => {
                tracing::warn!("{notice}");
            }
            Notice::ExecutorTurnedAway { .. }
            | Notice::ExecutorNotBack { .. }
            | Notice::ExecutorLost { .. }
            | Notice::ExecutorOverdue { .. } => tracing::warn!("{notice}"),
            Notice::UpdateIgnored { .. }
            | Notice::MessageDropped { .. }
            | Notice::NotWritten(_) => {
                tracing::warn!("{notice}");
            }
        }
    }

    fn sandbox_ages(&self, container: &ContainerId) {
        let mut executors = self.agent.executors();
        let Some((_, framework, spec)) = executors.find(|(id, ..)| *id == container) else {
            return;
        };
        let path = self.sandboxes.path(framework, &spec.executor, container);
        #[expect(
            clippy::disallowed_methods,
            reason = "the age of files is that of the wall clock"
        )]
        self.sandboxes.begins_to_age(&path, SystemTime::now());
    }

    fn collect_sandboxes(&mut self, ctx: &mut Context<Self>) {
        let living: BTreeSet<_> = self.agent.executors().map(|(id, ..)| id.clone()).collect();
        let (sandboxes, limits) = (self.sandboxes.clone(), self.limits);
        #[expect(clippy::disallowed_methods, reason = "the age of files is that of the wall clock")]
        let now = SystemTime::now();
        let mut unremoved = std::mem::take(&mut self.unremoved);
        let collected = tokio::task::spawn_blocking(move || {
            let usage = sandboxes.usage();
            let collected = sandboxes.collect(&living, limits, usage, now, &mut unremoved);
            (collected, unremoved)
        });
        ctx.run(collected, |actor, collected, ctx| {
            if let Ok((collected, unremoved)) = collected {
                actor.unremoved = unremoved;
                actor.counts.collected(collected);
                if collected.removed > 0 {
                    tracing::info!(removed = collected.removed, "removed old sandboxes");
                }
            }
            ctx.after(actor.limits.watch_every, Self::collect_sandboxes);
        });
    }
}

impl Handler<Received<MasterToAgent>> for AgentActor {
    type Result = ();

    fn handle(&mut self, received: Received<MasterToAgent>, ctx: &mut Context<Self>) {
        if let Some(from) = received.from {
            self.advance(Event::FromMaster { from, message: received.message }, ctx);
        }
    }
}

impl Handler<Received<ExecutorToAgent>> for AgentActor {
    type Result = ();

    fn handle(&mut self, received: Received<ExecutorToAgent>, ctx: &mut Context<Self>) {
        if let Some(from) = received.from {
            self.look_for_limits(from, &received.message, ctx);
            self.advance(Event::FromExecutor { from, message: received.message }, ctx);
        }
    }
}

impl Handler<Received<Subscribes>> for AgentActor {
    type Result = ();

    fn handle(&mut self, received: Received<Subscribes>, ctx: &mut Context<Self>) {
        if let Some(from) = received.from {
            let subscription = received.message.0;
            self.advance(Event::ExecutorSubscribes { from, subscription }, ctx);
        }
    }
}

impl Handler<Asked<FindExecutor>> for AgentActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<FindExecutor>, _: &mut Context<Self>) {
        let FindExecutor { framework, executor } = &asked.question;
        let found = Found {
            addressed: self.agent.addressed(framework, executor),
            recovering: self.agent.is_recovering(),
        };
        asked.reply.send(found);
    }
}

impl Handler<Received<FromProcesses>> for AgentActor {
    type Result = ();

    fn handle(&mut self, received: Received<FromProcesses>, ctx: &mut Context<Self>) {
        let event = match received.message {
            FromProcesses::Started { container, process } => {
                Event::ExecutorStarted { container, process }
            }
            FromProcesses::NotStarted { container, why } => {
                Event::ExecutorNotStarted { container, why }
            }
            FromProcesses::Exited { container, exit, ended } => {
                self.sandbox_ages(&container);
                Event::ExecutorExited { container, exit, ended }
            }
            FromProcesses::OldEnded(container) => Event::OldExecutorEnded(container),
            FromProcesses::Found { container, process } => {
                Event::ExecutorFound { container, process }
            }
            FromProcesses::NeverBegan(container) => Event::ExecutorNeverBegan(container),
            FromProcesses::Left(_) => return self.counts.container_left(),
            FromProcesses::NotGiven { container, words } => {
                Event::ContainerNotGiven { container, words }
            }
            FromProcesses::Limited { container, limitation } => {
                Event::ContainerLimited { container, limitation }
            }
        };
        self.advance(event, ctx);
    }
}

impl Handler<Received<Outcome>> for AgentActor {
    type Result = ();

    fn handle(&mut self, received: Received<Outcome>, ctx: &mut Context<Self>) {
        let Outcome { record, error } = received.message;
        let event = match error {
            None => Event::Written(record),
            Some(words) => Event::WriteFailed { record, words },
        };
        self.advance(event, ctx);
    }
}

impl Handler<Received<Leave>> for AgentActor {
    type Result = ();

    fn handle(&mut self, _: Received<Leave>, ctx: &mut Context<Self>) {
        self.advance(Event::Leave, ctx);
    }
}

impl Handler<Down> for AgentActor {
    type Result = ();

    fn handle(&mut self, down: Down, ctx: &mut Context<Self>) {
        self.advance(Event::Down { pid: down.pid, words: down.reason.to_string() }, ctx);
    }
}

impl Handler<Asked<ReadSandbox>> for AgentActor {
    type Result = ();

    /// Files are read on a thread that may wait for the disk.
    fn handle(&mut self, asked: Asked<ReadSandbox>, ctx: &mut Context<Self>) {
        let living: BTreeSet<_> = self.agent.executors().map(|(id, ..)| id.clone()).collect();
        let (sandboxes, question) = (self.sandboxes.clone(), asked.question);
        let read = tokio::task::spawn_blocking(move || {
            sandboxes.read(&question, |container| !living.contains(container))
        });
        ctx.run(read, move |_, answer, _| {
            let broken =
                |_| SandboxAnswer::Refused("reading it failed inside the agent".to_owned());
            asked.reply.send(answer.unwrap_or_else(broken));
        });
    }
}

impl Handler<Asked<ReadExecutors>> for AgentActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<ReadExecutors>, _: &mut Context<Self>) {
        let executors = self
            .agent
            .executors()
            .map(|(container, framework, spec)| ExecutorView {
                framework: framework.clone(),
                executor: spec.executor.clone(),
                container: container.clone(),
                process: self.agent.process(container).unwrap_or_default(),
                sandbox: self
                    .sandboxes
                    .path(framework, &spec.executor, container)
                    .display()
                    .to_string(),
            })
            .collect();
        asked.reply.send(ExecutorsAnswer { agent: self.agent.id().cloned(), executors });
    }
}

impl Handler<Asked<ReadCounts>> for AgentActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<ReadCounts>, _: &mut Context<Self>) {
        asked.reply.send(self.counts.clone().with(&self.agent));
    }
}

impl Handler<Asked<ReadRecovery>> for AgentActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<ReadRecovery>, _: &mut Context<Self>) {
        asked.reply.send(Recovery { lasts: self.agent.is_recovering() });
    }
}

impl Handler<Asked<ReadBooks>> for AgentActor {
    type Result = ();

    /// Many who look at one moment see one copy.
    fn handle(&mut self, asked: Asked<ReadBooks>, _: &mut Context<Self>) {
        let agent = &self.agent;
        let books = Arc::clone(self.books.get_or_insert_with(|| Arc::new(agent.books())));
        let leader = self.master.leader();
        let master = leader.borrow().as_ref().map(|leader| leader.hostname.clone());
        asked.reply.send(Shown { books, master });
    }
}
