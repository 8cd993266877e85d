//! The view as an actor: it applies the master's changes and serves all reads, on a thread of its own.

use actix::{Actor, Handler};
use libactor::{Asked, Context, Message, Question, Received};
use protocol::change::Change;
use protocol::operator::Read;
use serde::{Deserialize, Serialize};

use crate::view::View;

/// From the master: what changed, in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Changes(pub(crate) Vec<Change>);

impl Message for Changes {
    const NAME: &'static str = "master.Changes";
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

pub(crate) struct ViewActor {
    pub(crate) view: View,
}

impl Actor for ViewActor {
    type Context = Context<Self>;
}

impl Handler<Received<Changes>> for ViewActor {
    type Result = ();

    fn handle(&mut self, received: Received<Changes>, _: &mut Context<Self>) {
        for change in received.message.0 {
            self.view.apply(change);
        }
    }
}

impl Handler<Asked<Read>> for ViewActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<Read>, _: &mut Context<Self>) {
        asked.reply.send(self.view.answer(&asked.question));
    }
}

impl Handler<Asked<ReadMetrics>> for ViewActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<ReadMetrics>, _: &mut Context<Self>) {
        asked.reply.send(MetricsText(self.view.metrics()));
    }
}
