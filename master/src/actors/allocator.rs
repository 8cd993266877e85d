//! The allocator as an actor: what is told in one go leads to one run.

pub(crate) mod metrics;

use std::sync::{Arc, OnceLock};

use actix::{Actor, Handler};
use libactor::{Asked, Clock, Context, Handle, Message, Received};
use protocol::time::Now;
use protocol::why::{AskWhy, AskWhyDemand, WhyAnswer};
use serde::{Deserialize, Serialize};

use self::metrics::Runs;
use super::master::{MasterActor, Proposed};
use super::view::{MetricsText, NumbersRead, ReadMetrics, ReadNumbers};
use crate::config::Config;
use crate::logic::allocator::{Allocator, BookEntry, Effect, Event};
use crate::logic::authorize::{Action, authorize};
use crate::logic::validate;

/// From the master: what it decided, in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Book(pub(crate) Vec<BookEntry>);

impl Message for Book {
    const NAME: &'static str = "master.Book";
}

pub(crate) struct AllocatorActor {
    allocator: Allocator,
    /// What demands are judged by.
    config: Config,
    clock: Clock,
    /// Set before the first message comes.
    master: Arc<OnceLock<Handle<MasterActor>>>,
    runs: Runs,
}

impl Actor for AllocatorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.advance(Event::Started, ctx);
    }
}

impl AllocatorActor {
    pub(crate) fn new(
        config: Config,
        seed: u64,
        clock: Clock,
        master: Arc<OnceLock<Handle<MasterActor>>>,
    ) -> Self {
        let allocator = Allocator::new(config.allocator.clone(), seed);
        Self { allocator, config, clock, master, runs: Runs::default() }
    }

    fn advance(&mut self, event: Event, ctx: &mut Context<Self>) {
        tracing::debug!(?event, "event");
        let now = self.clock.read();
        let is_run = matches!(event, Event::Run);
        let effects = self.allocator.step(now.into(), event);
        if is_run {
            self.runs.add(now.steady, self.clock.read().steady);
        }
        for effect in effects {
            tracing::debug!(?effect, "effect");
            match effect {
                Effect::Propose(proposals) => {
                    let master =
                        self.master.get().expect("it was set before the first message came");
                    let all = proposals.iter().flat_map(|proposals| &proposals.all);
                    let numbers = all.map(|proposal| proposal.number).collect();
                    if let Err(error) = master.tell(Proposed(proposals)) {
                        tracing::warn!(%error, "the master has no room for proposals");
                        self.advance(Event::Book(vec![BookEntry::Returned(numbers)]), ctx);
                    }
                }
                // A future is looked at when the mailbox is empty, or has had its turn.
                Effect::RunSoon => {
                    self.runs.ask(now.steady);
                    ctx.run(std::future::ready(()), |actor, (), ctx| {
                        actor.advance(Event::Run, ctx);
                    });
                }
                Effect::SweepAfter(after) => {
                    ctx.after(after, |actor, ctx| actor.advance(Event::Sweep, ctx));
                }
            }
        }
    }
}

impl Handler<Received<Book>> for AllocatorActor {
    type Result = ();

    fn handle(&mut self, received: Received<Book>, ctx: &mut Context<Self>) {
        self.advance(Event::Book(received.message.0), ctx);
    }
}

impl Handler<Asked<AskWhy>> for AllocatorActor {
    type Result = ();

    /// Between two runs; nothing waits for the answer.
    fn handle(&mut self, asked: Asked<AskWhy>, _: &mut Context<Self>) {
        let Asked { principal, question: AskWhy { framework }, reply, .. } = asked;
        reply.send(match authorize(principal, Action::ReadFrameworks, framework.as_str()) {
            Ok(()) => {
                let now: Now = self.clock.read().into();
                self.allocator.why(now.steady, &framework)
            }
            Err(refused) => WhyAnswer::Refused(refused.to_string()),
        });
    }
}

impl Handler<Asked<AskWhyDemand>> for AllocatorActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<AskWhyDemand>, _: &mut Context<Self>) {
        let Asked { principal, question, reply, .. } = asked;
        let AskWhyDemand { framework, role, demand } = question;
        let may = authorize(principal, Action::ReadFrameworks, framework.as_str());
        let may = may.map_err(|refused| refused.to_string()).and_then(|()| {
            let good = validate::demand(std::slice::from_ref(&demand), &self.config);
            good.map_err(|refused| refused.to_string())
        });
        reply.send(match may {
            Ok(()) => {
                let now: Now = self.clock.read().into();
                self.allocator.why_demand(now.steady, &framework, role.as_ref(), &demand)
            }
            Err(refused) => WhyAnswer::Refused(refused),
        });
    }
}

impl Handler<Asked<ReadMetrics>> for AllocatorActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<ReadMetrics>, _: &mut Context<Self>) {
        asked.reply.send(MetricsText(metrics::page(&self.allocator.figures(), &self.runs)));
    }
}

impl Handler<Asked<ReadNumbers>> for AllocatorActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<ReadNumbers>, _: &mut Context<Self>) {
        let figures = self.allocator.figures();
        let numbers = metrics::numbers(&figures, &self.runs);
        let of_frameworks = metrics::of_frameworks(&figures);
        asked.reply.send(NumbersRead { numbers, of_frameworks });
    }
}
