//! The allocator as an actor: what is told in one go leads to one run.

use std::sync::{Arc, OnceLock};

use actix::{Actor, Handler};
use libactor::{Asked, Clock, Context, Handle, Message, Received};
use protocol::time::Now;
use protocol::why::{AskWhy, WhyAnswer};
use serde::{Deserialize, Serialize};

use super::master::{MasterActor, Proposed};
use crate::logic::allocator::{Allocator, BookEntry, Effect, Event};
use crate::logic::authorize::{Action, authorize};

/// From the master: what it decided, in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Book(pub(crate) Vec<BookEntry>);

impl Message for Book {
    const NAME: &'static str = "master.Book";
}

pub(crate) struct AllocatorActor {
    pub(crate) allocator: Allocator,
    pub(crate) clock: Clock,
    /// Set before the first message comes.
    pub(crate) master: Arc<OnceLock<Handle<MasterActor>>>,
}

impl Actor for AllocatorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.advance(Event::Started, ctx);
    }
}

impl AllocatorActor {
    fn advance(&mut self, event: Event, ctx: &mut Context<Self>) {
        tracing::debug!(?event, "event");
        for effect in self.allocator.step(self.clock.read().into(), event) {
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
                Effect::RunSoon => drop(ctx.run(std::future::ready(()), |actor, (), ctx| {
                    actor.advance(Event::Run, ctx);
                })),
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
