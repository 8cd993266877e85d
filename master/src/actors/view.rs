//! The view as an actor: it applies the master's changes and serves all reads, on a thread of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Handler};
use coordination::election::Standing;
use libactor::{Asked, Clock, Context, Message, Question, Received, Reply};
use protocol::change::{Change, FrameworkState, Moment, What};
use protocol::ids::FrameworkId;
use protocol::operator::{List, Read, ReadAnswer};
use protocol::time::Now;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::logic::authorize::{Action, authorize};
use crate::published::{Published, Told};
use crate::view::v1::event;
use crate::view::{Readers, Totals, View};

/// While somebody waits for a change. A reader is given up after two of these, before those who ask give up.
const TICK: Duration = Duration::from_secs(2);

/// From the master: what changed, in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Changes(pub(crate) Vec<Change>);

impl Message for Changes {
    const NAME: &'static str = "master.Changes";
}

/// From the master: the view missed changes, and begins anew with all there is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartOver {
    /// How far this is.
    pub(crate) change: u64,
    pub(crate) snapshot: Vec<What>,
    /// What is counted of the changes that it missed.
    pub(crate) missed: Totals,
}

impl Message for StartOver {
    const NAME: &'static str = "master.StartOver";
}

/// From the process that hosts the master: what is counted, as Prometheus reads it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadMetrics;

/// The answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MetricsText(pub(crate) String);

impl Message for ReadMetrics {
    const NAME: &'static str = "master.ReadMetrics";
}

impl Message for MetricsText {
    const NAME: &'static str = "master.MetricsText";
}

impl Question for ReadMetrics {
    type Answer = MetricsText;
}

/// From the process that hosts the master: what is counted, under Mesos's names.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadNumbers;

/// The answer.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct NumbersRead {
    pub(crate) numbers: BTreeMap<String, f64>,
    /// What is counted of frameworks: the names are what follows the framework's.
    pub(crate) of_frameworks: Vec<(FrameworkId, String, f64)>,
}

impl Message for ReadNumbers {
    const NAME: &'static str = "master.ReadNumbers";
}

impl Message for NumbersRead {
    const NAME: &'static str = "master.NumbersRead";
}

impl Question for ReadNumbers {
    type Answer = NumbersRead;
}

/// From a gateway of this process: how a framework is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FindFramework(pub(crate) FrameworkId);

/// The answer; `None`: nobody knows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FoundFramework(pub(crate) Option<FrameworkSeen>);

/// How a framework is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FrameworkSeen {
    pub(crate) state: FrameworkState,
    /// Under which name it acts, if it said one.
    pub(crate) principal: Option<String>,
}

impl Message for FindFramework {
    const NAME: &'static str = "master.FindFramework";
}

impl Message for FoundFramework {
    const NAME: &'static str = "master.FoundFramework";
}

impl Question for FindFramework {
    type Answer = FoundFramework;
}

/// From a gateway of this process: let the newest state be seen. Answered with how far it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Publish;

impl Message for Publish {
    const NAME: &'static str = "master.Publish";
}

impl Question for Publish {
    type Answer = Moment;
}

pub(crate) struct ViewActor {
    view: View,
    published: Arc<Published>,
    /// Its election, which the master itself does not follow while it is suspended.
    standing: watch::Receiver<Standing>,
    /// The master's.
    clock: Clock,
    readers: Readers<Reply<ReadAnswer>>,
    ticks: bool,
}

impl ViewActor {
    pub(crate) fn new(
        view: View,
        published: Arc<Published>,
        standing: watch::Receiver<Standing>,
        clock: Clock,
    ) -> Self {
        Self { view, published, standing, clock, readers: Readers::default(), ticks: false }
    }

    /// Takes a change, and tells those who listen what it is to them.
    fn apply(&mut self, change: Change) {
        let number = change.number;
        let listens = self.published.listeners() > 0;
        let happens = if listens { self.view.happens(&change.what) } else { None };
        self.view.apply(change);
        if let Some(event) = happens.and_then(|happens| event(&self.view, &happens)) {
            self.published.tell(Told::event(number, event));
        }
    }

    /// Whether it leads and what time it is, before anybody reads.
    fn look_around(&mut self) {
        self.view.tell_time(Now::from(self.clock.read()));
        let leads = *self.standing.borrow() == Standing::Leads;
        self.view.doubt(!leads);
    }

    fn tick_while_any_waits(&mut self, ctx: &mut Context<Self>) {
        if self.ticks || self.readers.is_empty() {
            return;
        }
        self.ticks = true;
        ctx.after(TICK, |actor, ctx| {
            actor.ticks = false;
            actor.look_around();
            send(actor.readers.on_tick(&actor.view));
            actor.tick_while_any_waits(ctx);
        });
    }
}

fn send(answers: Vec<(Reply<ReadAnswer>, ReadAnswer)>) {
    answers.into_iter().for_each(|(reply, answer)| reply.send(answer));
}

impl Actor for ViewActor {
    type Context = Context<Self>;
}

impl Handler<Received<Changes>> for ViewActor {
    type Result = ();

    fn handle(&mut self, received: Received<Changes>, _: &mut Context<Self>) {
        self.look_around();
        for change in received.message.0 {
            self.apply(change);
        }
        send(self.readers.on_changes(&self.view));
    }
}

impl Handler<Received<StartOver>> for ViewActor {
    type Result = ();

    fn handle(&mut self, received: Received<StartOver>, _: &mut Context<Self>) {
        let StartOver { change, snapshot, missed } = received.message;
        self.look_around();
        self.view.start_over(change, snapshot, &missed);
        self.published.tell(Told::StartOver);
        send(self.readers.on_changes(&self.view));
    }
}

impl Handler<Asked<Read>> for ViewActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<Read>, ctx: &mut Context<Self>) {
        if let List::Roles | List::RolesBehind(_) = asked.question.parts().0
            && let Err(refused) = authorize(asked.principal, Action::ReadRoles, "of this cluster")
        {
            return asked.reply.send(ReadAnswer::Refused(refused.to_string()));
        }
        self.look_around();
        send(self.readers.hear(&self.view, asked.question, asked.reply).into_iter().collect());
        self.tick_while_any_waits(ctx);
    }
}

impl Handler<Asked<Publish>> for ViewActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<Publish>, _: &mut Context<Self>) {
        self.look_around();
        self.published.publish(&self.view);
        asked.reply.send(self.view.moment());
    }
}

impl Handler<Asked<FindFramework>> for ViewActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<FindFramework>, _: &mut Context<Self>) {
        let found = self.view.found(&asked.question.0);
        let seen = found.map(|(info, state)| {
            let carried = info.carried.decode().ok();
            FrameworkSeen { state, principal: carried.and_then(|info| info.principal) }
        });
        asked.reply.send(FoundFramework(seen));
    }
}

impl Handler<Asked<ReadMetrics>> for ViewActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<ReadMetrics>, _: &mut Context<Self>) {
        self.look_around();
        asked.reply.send(MetricsText(self.view.metrics()));
    }
}

impl Handler<Asked<ReadNumbers>> for ViewActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<ReadNumbers>, _: &mut Context<Self>) {
        self.look_around();
        let (numbers, of_frameworks) = self.view.numbers();
        asked.reply.send(NumbersRead { numbers, of_frameworks });
    }
}
