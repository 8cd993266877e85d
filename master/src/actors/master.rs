//! The master as an actor: turns messages into events and performs effects. It decides nothing; every decision is in
//! [`crate::logic`].

mod asked;

pub(crate) use asked::{ChangeFor, DealtWith, Wanted};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::{Actor, AsyncContext, Handler};
use coordination::election::Standing;
use libactor::{Asked, Clock, Context, Down, Handle, Message, Pid, Received, Reply, TellError};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::change::{Change, Moment};
use protocol::framework::{FrameworkToMaster, MasterToFramework};
use protocol::operator::{KillAnswer, ReadMoment, SetAnswer};
use protocol::time::Now;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot, watch};

use super::allocator::{AllocatorActor, Book};
use super::log::log;
use super::registrar::{Registrar, Write};
use super::view::{Changes, StartOver, ViewActor};
use crate::backlog::{Backlog, Next};
use crate::logic::allocator::{BookEntry, Proposals};
use crate::logic::registry::RegistryOperation;
use crate::logic::{Effect, Event, Master, Timer, Untold};
use crate::published::Published;
use crate::start::End;
use crate::view::Totals;

/// Between two tries of what a local actor had no room for.
const ROOM_AGAIN: Duration = Duration::from_millis(2);

/// Messages that may wait for the allocator before more are put together; each has a bound, and what waits here has one.
const WAITING_MAX: u64 = 1024;

/// Messages that may wait for the view; each has a bound, and what waits here has one.
const VIEW_WAITING_MAX: u64 = 64;

/// From the allocator.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Proposed(pub(crate) Vec<Proposals>);

impl Message for Proposed {
    const NAME: &'static str = "master.Proposed";
}

/// From the registrar: this is written, or why it is not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) operations: Vec<RegistryOperation>,
    pub(crate) error: Option<String>,
}

impl Message for Written {
    const NAME: &'static str = "master.Written";
}

/// How the reign ended, once it has.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) end: OnceLock<End>,
    pub(crate) notify: Notify,
}

/// How often a helper fell so far behind that it started over.
#[derive(Debug, Default)]
pub(crate) struct StartOvers {
    allocator: AtomicU64,
    view: AtomicU64,
}

impl StartOvers {
    /// As Prometheus reads it.
    pub(crate) fn metrics(&self) -> String {
        let (allocator, view) = (self.allocator.load(Relaxed), self.view.load(Relaxed));
        let name = "airside_master_helper_start_overs";
        format!(
            "# TYPE {name} counter\n{name}{{helper=\"allocator\"}} {allocator}\n{name}{{helper=\"view\"}} {view}\n"
        )
    }
}

/// The actors that work for a master; they go with it.
#[derive(Clone, Debug)]
pub(crate) struct Helpers {
    pub(crate) allocator: Handle<AllocatorActor>,
    pub(crate) registrar: Handle<Registrar>,
    pub(crate) view: Handle<ViewActor>,
}

pub(crate) struct MasterActor {
    master: Master,
    clock: Clock,
    helpers: Helpers,
    /// Comes once its helpers know it.
    begins: Option<oneshot::Receiver<()>>,
    standing: watch::Receiver<Standing>,
    published: Arc<Published>,
    pub(crate) ended: Arc<Ended>,
    /// Questions of operators that wait for their answer.
    asked: BTreeMap<u64, Reply<KillAnswer>>,
    /// Those about roles likewise.
    settings_asked: BTreeMap<u64, Reply<SetAnswer>>,
    asked_so_far: u64,
    /// What waits until the allocator has room.
    entries: Backlog<BookEntry>,
    backlog: Backlog<Change, Totals>,
    pub(crate) start_overs: Arc<StartOvers>,
    waits_for_room: bool,
    /// What helpers are to know goes to them once all letters of this turn are read.
    flushes: bool,
}

impl Actor for MasterActor {
    type Context = Context<Self>;

    /// Agents may find it at once. Nobody is heard before its helpers know it and those whom the registry knows were told to
    /// the view: it would know neither whose tasks agents report nor whom to answer.
    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(begins) = self.begins.take() else { return };
        ctx.wait(wrap_future::<_, Self>(begins).map(|_, actor, ctx| {
            actor.advance(Event::Started, ctx);
            actor.on_standing(ctx);
        }));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let _ = self.ended.end.set(End::Stopped);
        self.ended.notify.notify_waiters();
    }
}

/// How its reign goes.
impl MasterActor {
    /// A leader that is suspended hears nothing until it leads again, and so does nothing: what it is told meanwhile waits.
    fn on_standing(&mut self, ctx: &mut Context<Self>) {
        let standing = self.standing.borrow_and_update().clone();
        match standing {
            Standing::Leads => {
                let mut standing = self.standing.clone();
                ctx.run(async move { standing.changed().await.is_ok() }, |actor, changed, ctx| {
                    if changed {
                        actor.on_standing(ctx);
                    }
                });
            }
            Standing::Suspended => {
                tracing::warn!("suspended: it is not known whether this master still leads");
                let mut standing = self.standing.clone();
                let over = async move {
                    // Whoever elects is gone: nobody will say that this master leads again.
                    let gone = || Standing::Deposed("nobody knows who leads".to_owned());
                    let known = standing.wait_for(|now| *now != Standing::Suspended).await;
                    known.map_or_else(|_| gone(), |now| now.clone())
                };
                ctx.wait(wrap_future::<_, Self>(over).map(|standing, actor, ctx| match standing {
                    Standing::Deposed(why) => actor.end(End::Deposed(why), ctx),
                    Standing::Leads | Standing::Suspended => {
                        tracing::info!("leads again");
                        actor.on_standing(ctx);
                    }
                }));
            }
            Standing::Deposed(why) => self.end(End::Deposed(why), ctx),
        }
    }

    /// Whether this master may command agents at this moment. Its election is followed by another thread, and a pause begins
    /// only between two messages.
    fn leads(&self) -> bool {
        *self.standing.borrow() == Standing::Leads
    }
}

impl MasterActor {
    pub(crate) fn new(
        master: Master,
        clock: Clock,
        helpers: Helpers,
        begins: oneshot::Receiver<()>,
        standing: watch::Receiver<Standing>,
        published: Arc<Published>,
    ) -> Self {
        let (ended, asked, settings_asked, asked_so_far) = Default::default();
        let (entries, backlog) = Default::default();
        let (start_overs, waits_for_room, flushes) = Default::default();
        Self {
            master,
            clock,
            helpers,
            begins: Some(begins),
            standing,
            published,
            ended,
            asked,
            settings_asked,
            asked_so_far,
            entries,
            backlog,
            start_overs,
            waits_for_room,
            flushes,
        }
    }

    fn advance(&mut self, event: Event, ctx: &mut Context<Self>) {
        tracing::debug!(?event, "event");
        let now = Now::from(self.clock.read());
        if let Event::TimerFired(Timer::Leases) = &event {
            for (offer, framework) in self.master.overdue(now.steady) {
                tracing::warn!(%offer, %framework, "an offer was not answered in time");
            }
        }
        let heard = self.published.tally(|tally| tally.hear(&event));
        let step = self.master.step(now, event);
        self.published.tally(|tally| tally.say(heard, &step));
        // Readers see what is said now.
        step.changes.last().iter().for_each(|change| self.published.hears(change.number));
        for change in step.changes {
            log(&change.what);
            self.backlog.push(change);
        }
        for effect in step.effects {
            tracing::debug!(?effect, "effect");
            self.perform(effect, ctx);
        }
        self.flush_soon(ctx);
    }

    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        let untold = effect.untold();
        match effect {
            Effect::TellAgent { to, message } if self.leads() => {
                let told = ctx.tell_in_older(to, message, MasterToAgent::in_older_words);
                self.is_told(to, told, untold, ctx);
            }
            Effect::TellAgent { .. } => self.untold(untold, ctx),
            Effect::TellFramework { to, message } => {
                let told = ctx.tell_in_older(to, message, MasterToFramework::in_older_words);
                self.is_told(to, told, untold, ctx);
            }
            Effect::AnswerKill { asked, answer } => {
                if let Some(reply) = self.asked.remove(&asked) {
                    reply.send(answer);
                }
            }
            Effect::AnswerSet { asked, answer } => {
                if let Some(reply) = self.settings_asked.remove(&asked) {
                    reply.send(answer);
                }
            }
            Effect::Link(pid) => ctx.link(pid),
            Effect::Unlink(pid) => ctx.unlink(pid),
            Effect::Write(operation) => self.write(operation, ctx),
            Effect::TellAllocator(entries) => {
                entries.into_iter().for_each(|entry| self.entries.push(entry));
            }
            Effect::StartTimer { timer, after } => {
                ctx.after(after, move |actor, ctx| actor.advance(Event::TimerFired(timer), ctx));
            }
            Effect::StepDown { reason } => self.end(End::SteppedDown(reason), ctx),
            Effect::EndReign { reason } => self.end(End::TooMuchIsMissing(reason), ctx),
        }
    }

    /// What could not be told comes back when this step's effects are performed.
    fn is_told(
        &self,
        to: Pid,
        told: Result<(), TellError>,
        untold: Option<Untold>,
        ctx: &mut Context<Self>,
    ) {
        if let Err(error) = told {
            tracing::debug!(%to, %error, ?untold, "could not tell");
            let full = error == TellError::Full;
            self.untold(untold.filter(|untold| full || untold.is_owed_to_the_lost()), ctx);
        }
    }

    fn untold(&self, untold: Option<Untold>, ctx: &mut Context<Self>) {
        if let Some(untold) = untold {
            let event = Event::Untold(untold);
            ctx.run(std::future::ready(()), |actor, (), ctx| actor.advance(event, ctx));
        }
    }

    /// In order: while one waits for room, the next waits behind it. There are few, and each is answered.
    fn write(&mut self, operation: RegistryOperation, ctx: &mut Context<Self>) {
        if let Err(error) = self.helpers.registrar.tell(Write(operation)) {
            self.end(End::CannotRemember(error.to_string()), ctx);
        }
    }

    /// At the end of the turn, so that helpers are woken once for all letters of it: when all agents return at once, a
    /// wake for each of them costs more than what is told.
    fn flush_soon(&mut self, ctx: &mut Context<Self>) {
        if self.entries.is_a_message() || self.backlog.is_a_message() {
            return self.flush(ctx);
        }
        let all_told = self.entries.is_empty() && self.backlog.is_empty();
        if !all_told && !self.flushes {
            self.flushes = true;
            ctx.run(std::future::ready(()), |actor, (), ctx| {
                actor.flushes = false;
                actor.flush(ctx);
            });
        }
    }

    /// Hands on what changed, unless so much waits there that it is better put together.
    fn flush(&mut self, ctx: &mut Context<Self>) {
        while self.helpers.allocator.queued() < WAITING_MAX
            && let Some(next) = self.entries.take()
        {
            if let Err(error) = self.tell_allocator(next) {
                return self.end(End::HelperLost(format!("the allocator: {error}")), ctx);
            }
        }
        while self.helpers.view.queued() < VIEW_WAITING_MAX
            && let Some(next) = self.backlog.take()
        {
            match self.tell_view(next) {
                Ok(()) => (),
                Err(TellError::Stopped) if self.ended.end.get().is_some() => (),
                Err(error) => return self.end(End::HelperLost(format!("the view: {error}")), ctx),
            }
        }
        let all_told = self.entries.is_empty() && self.backlog.is_empty();
        if !all_told && !self.waits_for_room {
            self.waits_for_room = true;
            ctx.after(ROOM_AGAIN, |actor, ctx| {
                actor.waits_for_room = false;
                actor.flush(ctx);
            });
        }
    }

    fn tell_allocator(&self, next: Next<BookEntry>) -> Result<(), TellError> {
        match next {
            Next::Some(entries) => self.helpers.allocator.tell(Book(entries)),
            Next::StartOver(()) => {
                self.start_overs.allocator.fetch_add(1, Relaxed);
                tracing::warn!("the allocator fell so far behind that it starts over");
                self.helpers
                    .allocator
                    .tell(Book(vec![BookEntry::StartOver(self.master.whole_book())]))
            }
        }
    }

    fn tell_view(&self, next: Next<Change, Totals>) -> Result<(), TellError> {
        match next {
            Next::Some(changes) => self.helpers.view.tell(Changes(changes)),
            Next::StartOver(missed) => {
                self.start_overs.view.fetch_add(1, Relaxed);
                tracing::warn!("the view fell so far behind that it starts over");
                let (change, snapshot) = (self.master.change(), self.master.snapshot());
                self.helpers.view.tell(StartOver { change, snapshot, missed })
            }
        }
    }

    fn end(&mut self, end: End, ctx: &mut Context<Self>) {
        if self.ended.end.get().is_none() {
            tracing::error!("{end}");
        }
        let _ = self.ended.end.set(end);
        self.ended.notify.notify_waiters();
        ctx.stop();
    }
}

impl Handler<Received<AgentToMaster>> for MasterActor {
    type Result = ();

    fn handle(&mut self, received: Received<AgentToMaster>, ctx: &mut Context<Self>) {
        let Received { from, principal, message } = received;
        if let Some(from) = from {
            self.advance(Event::FromAgent { from, principal, message }, ctx);
        }
    }
}

impl Handler<Received<FrameworkToMaster>> for MasterActor {
    type Result = ();

    fn handle(&mut self, received: Received<FrameworkToMaster>, ctx: &mut Context<Self>) {
        let Received { from, principal, message } = received;
        if let Some(from) = from {
            self.advance(Event::FromFramework { from, principal, message }, ctx);
        }
    }
}

impl Handler<Asked<ReadMoment>> for MasterActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<ReadMoment>, _: &mut Context<Self>) {
        let (epoch, change) = (self.master.epoch(), self.master.change());
        asked.reply.send(Moment { epoch, change });
    }
}

impl Handler<Down> for MasterActor {
    type Result = ();

    fn handle(&mut self, Down { pid, reason }: Down, ctx: &mut Context<Self>) {
        self.advance(Event::Down { pid, reason }, ctx);
    }
}

impl Handler<Received<Proposed>> for MasterActor {
    type Result = ();

    fn handle(&mut self, received: Received<Proposed>, ctx: &mut Context<Self>) {
        self.advance(Event::Proposed(received.message.0), ctx);
    }
}

impl Handler<Received<Written>> for MasterActor {
    type Result = ();

    fn handle(&mut self, received: Received<Written>, ctx: &mut Context<Self>) {
        let Written { operations, error } = received.message;
        if let Some(error) = error {
            return self.end(End::CannotRemember(error), ctx);
        }
        for operation in operations {
            self.advance(Event::Written(operation), ctx);
        }
    }
}
