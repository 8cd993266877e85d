//! A framework as an actor: turns messages into events and performs effects. It decides nothing; every decision is in
//! [`crate::logic`] and the author's scheduler.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Handler};
use coordination::detect::MASTER;
use coordination::election::{Candidate, Detector, Standing};
use libactor::{Clock, Context, Down, Message, Name, Node, Pid, Received, TellError};
use protocol::framework::{FrameworkToMaster, MasterToFramework};
use serde::{Deserialize, Serialize};
use tokio::sync::{oneshot, watch};

use crate::keeper::{Keep, Keeper};
use crate::logic::{Effect, Event, Framework, Outcome, Scheduler};
use crate::state::{StateError, Stored};

/// The most messages of a master that wait while the framework's id is being written. A disk that hangs must not cost memory.
const DEFERRED_MOST: usize = 1024;

/// How long the last words may wait for room.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Something for the scheduler from within this process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Input(pub(crate) Vec<u8>);

impl Message for Input {
    const NAME: &'static str = "sdk.Input";
}

/// How it ended, and the scheduler that it ended with.
pub(crate) type Ended<S> = Result<(Outcome, S), StateError>;

pub(crate) struct FrameworkActor<S: Scheduler + Send + Unpin + 'static> {
    /// Gone once it has ended.
    framework: Option<Framework<S>>,
    leader: watch::Receiver<Option<Candidate>>,
    /// Finds it.
    _detector: Arc<dyn Detector>,
    stored: Option<Stored>,
    keeper: Keeper,
    /// How its reign goes, if it was elected.
    standing: Option<watch::Receiver<Standing>>,
    /// The framework's id is being written.
    remembering: bool,
    /// What the step at hand says to a master and finds no room for, in order.
    no_room: Option<(Pid, Vec<FrameworkToMaster>)>,
    /// What came from masters meanwhile, in order, and the word that its turn has come.
    deferred: VecDeque<(Event, Option<oneshot::Sender<()>>)>,
    clock: Clock,
    ended: Option<oneshot::Sender<Ended<S>>>,
}

impl<S: Scheduler + Send + Unpin + 'static> FrameworkActor<S> {
    pub(crate) fn new(
        framework: Framework<S>,
        detector: Arc<dyn Detector>,
        (keeper, stored): (Keeper, Stored),
        ended: oneshot::Sender<Ended<S>>,
    ) -> Self {
        Self {
            framework: Some(framework),
            leader: detector.leader(),
            _detector: detector,
            stored: Some(stored),
            keeper,
            standing: None,
            remembering: false,
            no_room: None,
            deferred: VecDeque::new(),
            clock: Clock::start(),
            ended: Some(ended),
        }
    }

    /// Elected for as long as `standing` says.
    pub(crate) fn elected(self, standing: Option<watch::Receiver<Standing>>) -> Self {
        Self { standing, ..self }
    }

    fn advance(&mut self, event: Event, ctx: &mut Context<Self>) {
        // What was kept at once is heard in the order in which it was to be kept.
        let mut todo = VecDeque::from([event]);
        while let Some(event) = todo.pop_front() {
            if let Event::Remembered(_) = event {
                self.remembering = false;
                self.call_deferred();
            }
            let Some(framework) = &mut self.framework else {
                return;
            };
            tracing::debug!(?event, "hears");
            for effect in framework.step(self.clock.read().into(), event).effects {
                tracing::debug!(?effect, "does");
                todo.extend(self.perform(effect, ctx));
            }
            if let Some((to, messages)) = self.no_room.take() {
                todo.push_front(Event::NoRoom { to, messages });
            }
        }
    }

    /// What has happened by that already. Where nothing is kept, it counts as kept at once: an offer that comes meanwhile
    /// would be answered in another flow than its own.
    fn perform(&mut self, effect: Effect, ctx: &mut Context<Self>) -> Option<Event> {
        match effect {
            Effect::TellMaster { to: Some(to), message } => {
                self.tell_master(to, message, ctx);
            }
            Effect::TellMaster { to: None, message } => self.tell_leader(message, ctx),
            Effect::Link(pid) => ctx.link(pid),
            Effect::Unlink(pid) => ctx.unlink(pid),
            Effect::Remember(framework) => {
                let written = self.keeper.keep(Keep::Remember(framework.clone()));
                self.remembering = !self.keeper.keeps_nothing();
                return self.then(written, Event::Remembered(framework), ctx);
            }
            Effect::Store { number, entries } => {
                let written = self.keeper.keep(Keep::Store(entries));
                return self.then(written, Event::Stored(number), ctx);
            }
            Effect::Forget => drop(self.keeper.keep(Keep::Forget)),
            Effect::StartTimer { timer, after } => {
                ctx.after(after, move |actor, ctx| actor.advance(Event::TimerFired(timer), ctx));
            }
            Effect::Warn(words) => tracing::warn!("{words}"),
            Effect::End(outcome) => self.end(outcome, ctx),
        }
        None
    }

    /// What finds no room is given back to the logic when this step is done, and all that this step says after it.
    fn tell_master(&mut self, to: Pid, message: FrameworkToMaster, ctx: &mut Context<Self>) {
        if let Some((full, waiting)) = &mut self.no_room
            && *full == to
        {
            return waiting.push(message);
        }
        let Err(refused) = ctx.try_tell(to, message) else {
            return;
        };
        match *refused {
            (message, TellError::Full) => self.no_room = Some((to, vec![message])),
            (message, TellError::TooNew { .. }) => Self::too_new(Some(to), message, ctx),
            (_, error) => self.not_told(to, &error, ctx),
        }
    }

    /// Heard once the framework's id is written, as the logic would have it, but in its own flow: an offer that comes
    /// meanwhile is answered in the flow of that offer.
    fn defer(&mut self, from: Pid, event: Event, ctx: &mut Context<Self>) {
        if self.deferred.len() >= DEFERRED_MOST {
            tracing::warn!(master = %from, "too much is said while the state is written: begins anew");
            self.deferred.clear();
            ctx.unlink(from);
            return self.advance(Event::Down { pid: from }, ctx);
        }
        let (word, turn) = oneshot::channel();
        self.deferred.push_back((event, Some(word)));
        ctx.run(turn, |actor, turn, ctx| {
            // Else it was given up.
            if turn.is_ok()
                && let Some((event, _)) = actor.deferred.pop_front()
            {
                actor.advance(event, ctx);
                actor.call_deferred();
            }
        });
    }

    fn call_deferred(&mut self) {
        if let Some((_, word)) = self.deferred.front_mut()
            && !self.remembering
            && let Some(word) = word.take()
        {
            // Who does not wait has stopped.
            let _ = word.send(());
        }
    }

    /// Repeated by its timer until it is answered, so a failure is only worth a note.
    fn tell_leader(&self, message: FrameworkToMaster, ctx: &mut Context<Self>) {
        let Some(leader) = &*self.leader.borrow() else {
            return tracing::info!("subscribe: nobody leads");
        };
        let error = match format!("{MASTER}@{}", leader.address).parse::<Name>() {
            Ok(name) => match ctx.try_tell(&name, message).map_err(|refused| *refused) {
                Ok(()) => return,
                Err((message, TellError::TooNew { .. })) => {
                    return Self::too_new(None, message, ctx);
                }
                Err((_, error)) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        tracing::info!(master = %leader.address, %error, "subscribe: master not reached");
    }

    /// Not within the effects of the step at hand, either.
    fn too_new(to: Option<Pid>, message: FrameworkToMaster, ctx: &mut Context<Self>) {
        ctx.run(std::future::ready(()), move |actor, (), ctx| {
            actor.advance(Event::TooNew { to, message }, ctx);
        });
    }

    /// Whoever is found next is heard of; that nobody leads changes nothing.
    fn follow_leader(&self, mut last: Option<Candidate>, ctx: &mut Context<Self>) {
        let mut leader = self.leader.clone();
        let other = async move {
            let other = leader.wait_for(|now| now.is_some() && *now != last).await;
            last = other.ok()?.clone();
            last
        };
        ctx.run(other, |actor, other, ctx| {
            if let Some(other) = other {
                tracing::info!(master = %other.address, "another master leads");
                actor.follow_leader(Some(other), ctx);
                actor.advance(Event::OtherLeader, ctx);
            }
        });
    }

    fn follow_standing(&self, mut standing: watch::Receiver<Standing>, ctx: &mut Context<Self>) {
        let next = async move { standing.changed().await.ok().map(|()| standing) };
        ctx.run(next, |actor, next, ctx| {
            let Some(mut standing) = next else {
                let why = "its connection with ZooKeeper was closed".to_owned();
                return actor.advance(Event::Deposed(why), ctx);
            };
            let now = standing.borrow_and_update().clone();
            actor.follow_standing(standing, ctx);
            actor.advance(heard(now), ctx);
        });
    }

    fn not_told(&mut self, to: Pid, error: &TellError, ctx: &mut Context<Self>) {
        tracing::warn!(master = %to, %error, "tell master");
        // Not within the effects of the step that failed: those that follow belong to the old subscription.
        ctx.run(std::future::ready(()), move |actor, (), ctx| {
            actor.advance(Event::NotSent { to: Some(to) }, ctx);
        });
    }

    /// A scheduler that cannot remember may not go on.
    fn then(
        &mut self,
        written: impl Future<Output = Result<(), StateError>> + 'static,
        event: Event,
        ctx: &mut Context<Self>,
    ) -> Option<Event> {
        if self.keeper.keeps_nothing() {
            return Some(event);
        }
        ctx.run(written, move |actor, written, ctx| match written {
            Ok(()) => actor.advance(event, ctx),
            Err(StateError::Deposed(why)) => actor.advance(Event::Deposed(why), ctx),
            Err(error) => actor.finish(Err(error), ctx),
        });
        None
    }

    fn end(&mut self, outcome: Outcome, ctx: &mut Context<Self>) {
        let closed = self.keeper.keep(Keep::Close);
        let Some(framework) = self.framework.take() else {
            return;
        };
        let last = say_last(ctx.node().clone(), self.no_room.take());
        let closed = async move {
            last.await;
            closed.await
        };
        ctx.run(closed, move |actor, closed, ctx| {
            let ended = closed.map(|()| (outcome, framework.into_scheduler()));
            actor.finish(ended, ctx);
        });
    }

    fn finish(&mut self, ended: Ended<S>, ctx: &mut Context<Self>) {
        self.framework = None;
        if let Some(waits) = self.ended.take() {
            // Nobody may wait any more; that ends nothing here.
            let _ = waits.send(ended);
        }
        ctx.stop();
    }
}

impl<S: Scheduler + Send + Unpin + 'static> Actor for FrameworkActor<S> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let found = self.leader.borrow().clone();
        self.follow_leader(found, ctx);
        let stored = self.stored.take().unwrap_or_default().entries;
        let standing = self.standing.take();
        if let Some(mut standing) = standing {
            let now = standing.borrow_and_update().clone();
            self.follow_standing(standing, ctx);
            self.advance(heard(now), ctx);
        }
        self.advance(Event::Started { stored }, ctx);
    }
}

impl<S: Scheduler + Send + Unpin + 'static> Handler<Received<MasterToFramework>>
    for FrameworkActor<S>
{
    type Result = ();

    fn handle(&mut self, received: Received<MasterToFramework>, ctx: &mut Context<Self>) {
        // A master is an actor; what has no sender cannot be answered, nor trusted.
        let Some(from) = received.from else { return };
        let event = Event::FromMaster { from, message: received.message };
        if self.remembering || !self.deferred.is_empty() {
            self.defer(from, event, ctx);
        } else {
            self.advance(event, ctx);
        }
    }
}

impl<S: Scheduler + Send + Unpin + 'static> Handler<Down> for FrameworkActor<S> {
    type Result = ();

    fn handle(&mut self, down: Down, ctx: &mut Context<Self>) {
        tracing::info!(master = %down.pid, reason = %down.reason, "master lost");
        self.advance(Event::Down { pid: down.pid }, ctx);
    }
}

impl<S: Scheduler + Send + Unpin + 'static> Handler<Received<Input>> for FrameworkActor<S> {
    type Result = ();

    fn handle(&mut self, received: Received<Input>, ctx: &mut Context<Self>) {
        self.advance(Event::Input(received.message.0), ctx);
    }
}

/// What there was no room for in the last step of all; not for ever.
async fn say_last(node: Node, no_room: Option<(Pid, Vec<FrameworkToMaster>)>) {
    let Some((to, messages)) = no_room else {
        return;
    };
    let said = async {
        for message in messages {
            node.tell_when_room(to, message).await?;
        }
        Ok::<(), TellError>(())
    };
    match tokio::time::timeout(LAST_WORDS, said).await {
        Ok(Ok(())) => (),
        Ok(Err(error)) => tracing::warn!(master = %to, %error, "last words"),
        Err(_) => tracing::warn!(master = %to, "last words: the way to the master stays full"),
    }
}

fn heard(standing: Standing) -> Event {
    match standing {
        Standing::Leads => Event::Resumed,
        Standing::Suspended => Event::Suspended,
        Standing::Deposed(why) => Event::Deposed(why),
    }
}

#[cfg(test)]
mod tests;
