//! The gateway of one subscribed executor: to the agent it is the executor. What the agent tells it goes out as events; when its
//! client is gone it ends, and the agent hears that the executor has lost its connection.

use std::time::Duration;

use actix::{Actor, Handler};
use api::v1::TaskStatus as V1Status;
use api::v1::executor::{Call, Event};
use gateway::{Encoding, Records, written};
use libactor::{Clock, Context, Down, Message, Pid, Received};
use protocol::executor::{AgentToExecutor, ExecutorToAgent};
use protocol::task::TaskStatus;
use protocol::time::{Now, WallTime};
use serde::{Deserialize, Serialize};

use super::{Dismiss, Subscribes, events};
use crate::logic::{Known, Subscription};

/// How often a stream says that it lives.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(30 * 60);

/// A call of this executor's that was checked, as protobuf.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Said(pub(super) Vec<u8>);

impl Message for Said {
    const NAME: &'static str = "agent.Said";
}

/// Who subscribes, and where its events go.
pub(super) struct Subscriber {
    /// What is to be done once its gateway has ended.
    pub(super) at_its_end: Box<dyn Fn(Pid) + Send>,
    /// How often its stream says that it lives.
    pub(super) heartbeat: Duration,
    pub(super) agent: Pid,
    pub(super) known: Known,
    /// The first event, once it is subscribed.
    pub(super) first: Event,
    /// What it has, but for its news.
    pub(super) subscription: Subscription,
    /// That.
    pub(super) statuses: Vec<V1Status>,
    pub(super) encoding: Encoding,
    pub(super) records: Records,
}

pub(crate) struct GatewayActor {
    to: Subscriber,
    clock: Clock,
    /// Its client is gone, or too slow.
    is_cut: bool,
}

impl GatewayActor {
    pub(super) fn new(to: Subscriber) -> Self {
        Self { to, clock: Clock::start(), is_cut: false }
    }

    /// One that says nothing of the time speaks of now.
    fn status(&self, status: &V1Status) -> TaskStatus {
        let framework = self.to.known.framework.framework.clone();
        let mut status = TaskStatus::from_v1(framework, status);
        if status.at == WallTime::default() {
            status.at = Now::from(self.clock.read()).wall;
        }
        status
    }

    fn send(&mut self, event: &Event, ctx: &mut Context<Self>) {
        if self.is_cut {
            return;
        }
        if let Err(why) = self.to.records.send(written(self.to.encoding, event)) {
            let executor = &self.to.known.spec.executor;
            tracing::info!(%executor, %why, "an executor's stream ends");
            self.is_cut = true;
            ctx.stop();
        }
    }

    /// An executor whose words are lost must know: it subscribes anew, and says them again.
    fn tell(&mut self, message: ExecutorToAgent, ctx: &mut Context<Self>) {
        if let Err(error) = ctx.tell(self.to.agent, message) {
            tracing::warn!(%error, "an executor's gateway ends: its agent could not be told");
            ctx.stop();
        }
    }

    fn beat(&mut self, ctx: &mut Context<Self>) {
        ctx.after(self.to.heartbeat, |actor, ctx| {
            actor.send(&events::heartbeat(), ctx);
            actor.beat(ctx);
        });
    }

    fn on_call(&mut self, call: Call, ctx: &mut Context<Self>) {
        if let Some(update) = &call.update {
            let status = self.status(&update.status);
            self.tell(ExecutorToAgent::Updated(status), ctx);
        } else if let Some(message) = call.message {
            self.tell(ExecutorToAgent::ToScheduler(message.data), ctx);
        }
    }
}

impl Actor for GatewayActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.link(self.to.agent);
        ctx.run(self.to.records.gone(), |_, (), ctx| ctx.stop());
        let statuses = std::mem::take(&mut self.to.statuses);
        let mut subscription = self.to.subscription.clone();
        subscription.unacknowledged = statuses.iter().map(|status| self.status(status)).collect();
        if let Err(error) = ctx.tell(self.to.agent, Subscribes(subscription)) {
            tracing::warn!(%error, "an executor could not subscribe: its agent could not be told");
            ctx.stop();
        }
    }

    fn stopped(&mut self, ctx: &mut Self::Context) {
        (self.to.at_its_end)(ctx.pid());
    }
}

impl Handler<Received<AgentToExecutor>> for GatewayActor {
    type Result = ();

    fn handle(&mut self, received: Received<AgentToExecutor>, ctx: &mut Context<Self>) {
        if received.from != Some(self.to.agent) {
            return;
        }
        if let AgentToExecutor::Registered { .. } = received.message {
            let first = std::mem::take(&mut self.to.first);
            self.send(&first, ctx);
            return self.beat(ctx);
        }
        let event = events::of(&received.message, &self.to.known.agent);
        match event {
            Ok(event) => event.iter().for_each(|event| self.send(event, ctx)),
            Err(bad) => {
                let words = format!("the agent cannot say in this API what it has to: {bad}");
                self.send(&events::error(words), ctx);
            }
        }
    }
}

impl Handler<Received<Dismiss>> for GatewayActor {
    type Result = ();

    fn handle(&mut self, received: Received<Dismiss>, ctx: &mut Context<Self>) {
        if received.from == Some(self.to.agent) {
            ctx.stop();
        }
    }
}

impl Handler<Received<Said>> for GatewayActor {
    type Result = ();

    fn handle(&mut self, received: Received<Said>, ctx: &mut Context<Self>) {
        // It was written by this process.
        if let Ok(call) = api::wire::read(&received.message.0) {
            self.on_call(call, ctx);
        }
    }
}

impl Handler<Down> for GatewayActor {
    type Result = ();

    /// There is nobody to speak to: the executor finds the agent's next life.
    fn handle(&mut self, _: Down, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
