//! The actor named `flow` on each node: answers what its recorder saw.

use actix::{Actor, Handler};
use serde::{Deserialize, Serialize};

use crate::cell::Accepts;
use crate::context::Context;
use crate::error::SpawnError;
use crate::flow::FlowId;
use crate::message::{Asked, Message, Question};
use crate::node::{Node, Spawn};
use crate::recorder::FlowRecord;

/// The name of the actor on each node that answers [`FlowQuery`].
pub const FLOW_ACTOR: &str = "flow";
/// Records in one answer at most.
const MOST: u32 = 50_000;

/// Which flow? All records of those flows are answered, chatter included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowQuery {
    /// An id that a message of the flow is about.
    pub subject: Option<String>,
    /// Or the flow itself.
    pub trace: Option<FlowId>,
    /// The newest so many records.
    pub limit: u32,
}

impl Message for FlowQuery {
    const NAME: &'static str = "libactor.FlowQuery";
}

impl Question for FlowQuery {
    type Answer = FlowAnswer;
}

/// What a node's recorder has. Times are microseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowAnswer {
    /// By time.
    pub records: Vec<FlowRecord>,
    /// The time of the oldest message with subjects that it still has.
    pub flows_since: Option<u64>,
    /// The time since which it has all chatter.
    pub chatter_since: Option<u64>,
    /// Records that did not reach the file, because the disk was too slow.
    pub lost: u64,
}

impl Message for FlowAnswer {
    const NAME: &'static str = "libactor.FlowAnswer";
}

struct FlowActor;

impl Actor for FlowActor {
    type Context = Context<Self>;
}

impl Handler<Asked<FlowQuery>> for FlowActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<FlowQuery>, ctx: &mut Context<Self>) {
        let FlowQuery { subject, trace, limit } = &asked.question;
        let limit = usize::try_from((*limit).min(MOST)).unwrap_or(usize::MAX);
        let recorder = ctx.node().recorder();
        let records = recorder.find(subject.as_deref(), *trace, limit);
        let (flows_since, chatter_since) = recorder.reaches_back();
        asked.reply.send(FlowAnswer { records, flows_since, chatter_since, lost: recorder.lost() });
    }
}

pub(crate) fn spawn(node: &Node) -> Result<(), SpawnError> {
    let accepts = Accepts::new().asks::<FlowQuery>();
    node.spawn(Spawn::named(FLOW_ACTOR).accepts(accepts), |_| FlowActor).map(drop)
}
