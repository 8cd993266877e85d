//! The gateway of one subscribed scheduler: to the master it is the scheduler. What the master tells it goes out as events; when
//! its client is gone it ends, and the master hears that the scheduler is lost.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::{Actor, Handler};
use api::v1::framework_info::capability::Type as Capability;
use api::v1::scheduler::{Call, Event};
use gateway::{Encoding, Records, written};
use libactor::{Asked, Clock, Context, Down, Handle, Message, Pid, Received, Reply};
use protocol::framework::{FrameworkToMaster, MasterToFramework};
use protocol::ids::{FrameworkId, TaskId};
use protocol::offer::Offer;
use protocol::task::{TaskState, TaskStatus};
use protocol::time::Now;
use protocol::v1::Form;
use serde::{Deserialize, Serialize};

use super::Stream;
use super::calls::{self, Meant, Offers};
use super::events::{self, HEARTBEAT_SECONDS, Told};
use super::repeated::News;
use super::update::{self, Update, Updated};
use super::updating::{Begun, Described};
use crate::actors::master::DealtWith;
use crate::http::Gateways;
use crate::start::Running;
use crate::underway::Dealing;

/// A call of this scheduler's that was checked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Said {
    /// As protobuf.
    pub(super) call: Vec<u8>,
    /// Goes with it until the master has dealt with it.
    #[serde(skip)]
    pub(super) dealing: Option<Dealing>,
}

impl Message for Said {
    const NAME: &'static str = "master.Said";
}

/// Who subscribes, and where its events go.
pub(super) struct Subscriber {
    pub(super) gateways: Gateways,
    pub(super) reign: Arc<Running>,
    /// The id that it has, or gives itself.
    pub(super) framework: Option<FrameworkId>,
    pub(super) is: Described<Reply<Updated>>,
    pub(super) stream: String,
    pub(super) encoding: Encoding,
    pub(super) records: Records,
}

pub(super) struct SchedulerActor {
    to: Subscriber,
    master: Pid,
    clock: Clock,
    nonce: u64,
    form: Form,
    /// Whether it knows that tasks are being killed.
    knows_killing: bool,
    offers: Offers,
    told: News,
    /// It was told that it is subscribed.
    is_subscribed: bool,
    /// Its client is gone, or too slow.
    is_cut: bool,
    /// Known a moment after it began.
    own: Own,
}

/// How others reach this actor.
pub(super) type Own = Arc<OnceLock<Handle<SchedulerActor>>>;

/// Until it is answered.
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(2);

/// Until that is known.
const A_MOMENT: Duration = Duration::from_millis(1);

/// Another text for each stream; an error in words.
pub(super) fn uuid() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random bytes: {error}"))?;
    // Version 4, variant 1 (RFC 4122).
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

impl SchedulerActor {
    pub(super) fn new(to: Subscriber, own: Own) -> Self {
        let master = to.reign.pid();
        let mut actor = Self {
            to,
            master,
            clock: Clock::start(),
            nonce: 0,
            form: Form { multi_role: false, refined: false },
            knows_killing: false,
            offers: Offers::new(),
            told: News::default(),
            is_subscribed: false,
            is_cut: false,
            own,
        };
        actor.understands();
        actor
    }

    /// What its framework says that it can do.
    fn understands(&mut self) {
        let info = &self.to.is.info;
        self.form = Form {
            multi_role: info.says(Capability::MultiRole),
            refined: info.says(Capability::ReservationRefinement),
        };
        self.knows_killing = info.says(Capability::TaskKillingState);
    }

    /// Until it is answered, as every scheduler does. Whoever is to be found by its calls must be known first.
    fn subscribe(&mut self, ctx: &mut Context<Self>) {
        if self.own.get().is_none() {
            ctx.after(A_MOMENT, Self::subscribe);
            return;
        }
        if self.is_subscribed {
            return;
        }
        ctx.after(SUBSCRIBE_AGAIN, Self::subscribe);
        let message = FrameworkToMaster::SubscribeWith {
            nonce: self.nonce,
            framework: self.to.framework.clone(),
            info: self.to.is.info.clone(),
            wishes: self.to.is.wishes.clone(),
        };
        self.tell(message, ctx);
    }

    /// A client whose words are lost must know: it subscribes anew.
    fn tell(&mut self, message: FrameworkToMaster, ctx: &mut Context<Self>) {
        if let Err(error) = ctx.tell(self.master, message) {
            tracing::warn!(%error, "a scheduler's gateway ends: its master could not be told");
            ctx.stop();
        }
    }

    fn send(&mut self, event: &Event, ctx: &mut Context<Self>) {
        if self.is_cut {
            return;
        }
        if let Err(why) = self.to.records.send(written(self.to.encoding, event)) {
            tracing::info!(framework = ?self.to.framework, %why, "a scheduler's stream ends");
            self.is_cut = true;
            ctx.stop();
        }
    }

    fn beat(&mut self, ctx: &mut Context<Self>) {
        self.send(&events::heartbeat(), ctx);
        ctx.after(Duration::from_secs_f64(HEARTBEAT_SECONDS), Self::beat);
    }

    /// From here on calls that name its stream are taken.
    fn on_subscribed(&mut self, framework: &FrameworkId, ctx: &mut Context<Self>) {
        if self.is_subscribed {
            return;
        }
        let Some(actor) = self.own.get().cloned() else { return ctx.stop() };
        self.is_subscribed = true;
        self.to.framework = Some(framework.clone());
        self.to.is.info.framework = framework.clone();
        let carried = self.to.is.info.carried.decode().ok();
        let principal = carried.and_then(|info| info.principal);
        let stream = Stream { id: self.to.stream.clone(), principal, actor };
        self.to.gateways.streams().insert(framework.clone(), stream);
        let master = self.to.gateways.master_info(&self.to.reign);
        self.send(&events::subscribed(framework.to_v1(), master), ctx);
        self.beat(ctx);
    }

    /// It is what it wanted to be, or is not.
    fn on_updated(&mut self, number: u64, refused: Option<String>) {
        let Some(reply) = self.to.is.updated(number, refused.is_some()) else { return };
        self.understands();
        reply.send(Updated(match refused {
            Some(why) => Err((400, format!("'UpdateFramework' call is not valid: {why}"))),
            None => Ok(()),
        }));
    }

    fn on_update(&mut self, call: &Call, reply: Reply<Updated>, ctx: &mut Context<Self>) {
        let described = match &call.update_framework {
            Some(update) => update::described(&self.to.is.info, update),
            None => Err("Expecting 'update_framework' to be present".to_owned()),
        };
        let (info, wishes) = match described {
            Ok(described) => described,
            Err(words) => return reply.send(Updated(Err((400, words)))),
        };
        match self.to.is.update(info.clone(), wishes.clone(), reply) {
            Begun::Tell(number) => {
                self.tell(FrameworkToMaster::UpdateFramework { number, info, wishes }, ctx);
            }
            Begun::Already(reply) => reply.send(Updated(Ok(()))),
            Begun::Busy(reply) => {
                let words = "another update of this framework is being written; try again";
                reply.send(Updated(Err((503, words.to_owned()))));
            }
        }
    }

    /// Remembers offers that are open.
    fn note(&mut self, message: &MasterToFramework) {
        let mut note = |offer: &Arc<Offer>| {
            self.offers.insert(offer.offer.clone(), offer.agent.clone());
        };
        if let MasterToFramework::Offers(offers) | MasterToFramework::OffersAt { offers, .. } =
            message
        {
            offers.iter().for_each(&mut note);
        } else if let MasterToFramework::Rescinded(offers) = message {
            offers.iter().for_each(|offer| drop(self.offers.remove(offer)));
        }
    }

    /// Who does not know of killing is not told; the news is dealt with all the same.
    fn keeps_from_it(&mut self, status: &TaskStatus, ctx: &mut Context<Self>) -> bool {
        if status.state != TaskState::Killing || self.knows_killing {
            return false;
        }
        if let (Some(update), Some(agent)) = (status.update, status.agent.clone()) {
            let task = status.task.clone();
            self.tell(FrameworkToMaster::Acknowledge { agent, task, update }, ctx);
        }
        true
    }

    fn on_call(&mut self, call: Call, ctx: &mut Context<Self>) {
        if let Some(news) = &call.acknowledge {
            self.told.acknowledged(&TaskId::new(&news.task_id.value));
        }
        let now = Now::from(self.clock.read()).wall;
        let name = call.r#type();
        let Meant { messages, errors } =
            calls::meant(call, &self.to.is.info, &mut self.offers, now);
        if let (true, Some(framework)) = (messages.is_empty(), &self.to.framework) {
            self.to.reign.published().tally(|tally| tally.hear_call(framework, name));
        }
        messages.into_iter().for_each(|message| self.tell(message, ctx));
        for status in errors {
            if let Some(framework) = &self.to.framework {
                self.to.reign.published().tally(|tally| tally.refuse(framework, &status));
            }
            if let Ok(status) = status.to_v1() {
                self.send(&events::update(status), ctx);
            }
        }
    }
}

impl Actor for SchedulerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.link(self.master);
        ctx.run(self.to.records.gone(), |_, (), ctx| ctx.stop());
        match getrandom::u64() {
            Ok(nonce) => self.nonce = nonce,
            Err(_) => return ctx.stop(),
        }
        self.subscribe(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let mut streams = self.to.gateways.streams();
        if let Some(framework) = &self.to.framework
            && streams.get(framework).is_some_and(|stream| stream.id == self.to.stream)
        {
            streams.remove(framework);
        }
    }
}

impl Handler<Received<MasterToFramework>> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, received: Received<MasterToFramework>, ctx: &mut Context<Self>) {
        if received.from != Some(self.master) {
            return;
        }
        let message = received.message;
        if let MasterToFramework::FrameworkUpdated { number, refused } = message {
            return self.on_updated(number, refused);
        }
        self.note(&message);
        let now = Now::from(self.clock.read()).steady;
        if let MasterToFramework::Updated(status) = &message
            && (self.keeps_from_it(status, ctx) || self.told.was_just_told(status, now))
        {
            self.to.reign.published().tally(|tally| tally.keep_back(&status.framework));
            return;
        }
        match events::of(&message, self.form) {
            Told::Nothing => {
                if let MasterToFramework::Error { reason } = message {
                    tracing::info!(framework = ?self.to.framework, reason, "a call made no sense");
                }
            }
            Told::Subscribed => {
                if let MasterToFramework::Subscribed { framework, .. } = message {
                    self.on_subscribed(&framework, ctx);
                }
            }
            Told::Events(events) => events.iter().for_each(|event| self.send(event, ctx)),
            Told::Last(event) => {
                event.iter().for_each(|event| self.send(event, ctx));
                ctx.stop();
            }
        }
    }
}

impl Handler<Received<Said>> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, received: Received<Said>, ctx: &mut Context<Self>) {
        let Said { call, dealing } = received.message;
        // It was written by this process.
        if let Ok(call) = api::wire::read(&call) {
            self.on_call(call, ctx);
        }
        // It comes after what the call means.
        if self.to.reign.master().tell(DealtWith { call: dealing }).is_err() {
            ctx.stop();
        }
    }
}

impl Handler<Asked<Update>> for SchedulerActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<Update>, ctx: &mut Context<Self>) {
        // It was written by this process.
        if let Ok(call) = api::wire::read(&asked.question.0) {
            self.on_update(&call, asked.reply, ctx);
        }
    }
}

impl Handler<Down> for SchedulerActor {
    type Result = ();

    /// The reign is over: the client finds the next leader.
    fn handle(&mut self, _: Down, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}
