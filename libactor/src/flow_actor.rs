//! The actor named `flow` on each node: answers what its recorder saw.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use actix::{Actor, Handler};
use serde::{Deserialize, Serialize};

use crate::cell::Accepts;
use crate::context::{Context, TimerHandle};
use crate::error::SpawnError;
use crate::flow::FlowId;
use crate::message::{Asked, Message, Question};
use crate::node::{Node, Spawn};
use crate::recorder::payloads::{FlowPayload, PayloadFilter, Payloads, PayloadsOver};
use crate::recorder::{FlowRecord, Recorder};
use crate::ringfile::{Found, ReadError, Recording, Wanted};

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

/// As [`FlowQuery`], and what memory has forgotten is looked for in the node's ring file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowSearch(
    /// Which flow?
    pub FlowQuery,
);

impl Message for FlowSearch {
    const NAME: &'static str = "libactor.FlowSearch";
}

impl Question for FlowSearch {
    type Answer = FlowFound;
}

/// What a node's memory and its ring file have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowFound {
    /// The records of both, and how it stands with memory.
    pub answer: FlowAnswer,
    /// The time of the oldest record in the file, if that was looked into: it has no more than memory else.
    pub file_since: Option<u64>,
    /// Why the file could not be looked into.
    pub complaint: Option<String>,
}

impl Message for FlowFound {
    const NAME: &'static str = "libactor.FlowFound";
}

/// Which flows have ids from `first` to `last`? See [`FlowId::begun_by`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowIds {
    /// The first that is meant.
    pub first: FlowId,
    /// The last that is meant.
    pub last: FlowId,
}

impl Message for FlowIds {
    const NAME: &'static str = "libactor.FlowIds";
}

impl Question for FlowIds {
    type Answer = FlowIdsFound;
}

/// Those that memory or the ring file know, of many only some.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowIdsFound {
    /// In order.
    pub ids: Vec<FlowId>,
    /// Why the file could not be looked into.
    pub complaint: Option<String>,
}

impl Message for FlowIdsFound {
    const NAME: &'static str = "libactor.FlowIdsFound";
}

/// To have what messages say kept, and to fetch it. One may ask at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadQuestion {
    /// Keep what fits from now on.
    Start {
        /// Which messages.
        filter: PayloadFilter,
        /// For so long at most; a node has a limit of its own.
        time: Duration,
        /// So much at most; a node has a limit of its own.
        bytes: u32,
    },
    /// What was kept since the last time.
    Fetch {
        /// As the answer to `Start` said.
        session: u64,
    },
    /// Keep no more, and forget what was not fetched.
    Stop {
        /// As the answer to `Start` said.
        session: u64,
    },
}

/// The answer to [`PayloadQuestion`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadAnswer {
    /// It begins now.
    Started {
        /// Says whose it is in the questions that follow.
        session: u64,
    },
    /// What was kept.
    Payloads {
        /// In the order in which they came.
        payloads: Vec<FlowPayload>,
        /// Why no more will be kept.
        over: Option<PayloadsOver>,
    },
    /// No such session, or it has ended.
    Ended,
    /// Somebody else has asked before.
    Busy {
        /// For so long still.
        left: Duration,
    },
    /// This node records nothing.
    Off,
}

impl Message for PayloadQuestion {
    const NAME: &'static str = "libactor.PayloadQuestion";
}

impl Message for PayloadAnswer {
    const NAME: &'static str = "libactor.PayloadAnswer";
}

impl Question for PayloadQuestion {
    type Answer = PayloadAnswer;
}

/// The file is read by so many threads at once at most; who asks then is answered from memory.
const READERS_MAX: usize = 4;
/// Ids in one answer at most.
const IDS_MOST: usize = 1000;

#[derive(Default)]
struct FlowActor {
    readers: usize,
    /// When the newest keeping of payloads is over, or forgotten: one timer, whoever starts and stops how often.
    end: Option<(u64, TimerHandle)>,
}

impl Actor for FlowActor {
    type Context = Context<Self>;
}

impl FlowActor {
    /// Has a thread of its own look into the file, if the file may have what memory has not, and goes on with what is there.
    fn with_file<T: Default + Send + 'static>(
        &mut self,
        ctx: &mut Context<Self>,
        look: impl FnOnce(&Recording) -> Result<T, ReadError> + Send + 'static,
        go_on: impl FnOnce(&Recorder, T, Option<String>) + 'static,
    ) {
        let Some(path) = ctx.node().recorder().file_beyond_memory().map(Path::to_owned) else {
            return go_on(ctx.node().recorder(), T::default(), None);
        };
        if self.readers == READERS_MAX {
            let busy = format!("its file is being read by {READERS_MAX} others; ask again");
            return go_on(ctx.node().recorder(), T::default(), Some(busy));
        }
        self.readers += 1;
        let work =
            tokio::task::spawn_blocking(move || Recording::open(&path).and_then(|r| look(&r)));
        ctx.run(work, move |actor, looked, ctx| {
            actor.readers -= 1;
            let (found, complaint) = match looked {
                Ok(Ok(found)) => (found, None),
                Ok(Err(error)) => {
                    let cause = error.source().map(|cause| format!(": {cause}"));
                    (T::default(), Some(format!("{error}{}", cause.unwrap_or_default())))
                }
                Err(error) => (T::default(), Some(error.to_string())),
            };
            go_on(ctx.node().recorder(), found, complaint);
        });
    }
}

fn answer(recorder: &Recorder, records: Vec<FlowRecord>) -> FlowAnswer {
    let (flows_since, chatter_since) = recorder.reaches_back();
    FlowAnswer { records, flows_since, chatter_since, lost: recorder.lost() }
}

fn wanted(query: FlowQuery) -> Wanted {
    let limit = usize::try_from(query.limit.min(MOST)).unwrap_or(usize::MAX);
    Wanted { subject: query.subject, flows: query.trace.into_iter().collect(), limit }
}

impl Handler<Asked<FlowQuery>> for FlowActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<FlowQuery>, ctx: &mut Context<Self>) {
        let recorder = ctx.node().recorder();
        let found = recorder.find(&wanted(asked.question));
        asked.reply.send(answer(recorder, found.records));
    }
}

impl Handler<Asked<FlowSearch>> for FlowActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<FlowSearch>, ctx: &mut Context<Self>) {
        let mut wanted = wanted(asked.question.0);
        let in_file = wanted.clone();
        let reply = asked.reply;
        let look = move |file: &Recording| file.find(&in_file);
        self.with_file(ctx, look, move |recorder, file: Found, complaint| {
            wanted.flows.extend(file.flows);
            let memory = recorder.find(&wanted);
            let records = merge(file.records, memory.records, wanted.limit);
            let answer = answer(recorder, records);
            reply.send(FlowFound { answer, file_since: file.since, complaint });
        });
    }
}

impl Handler<Asked<FlowIds>> for FlowActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<FlowIds>, ctx: &mut Context<Self>) {
        let FlowIds { first, last } = asked.question;
        let reply = asked.reply;
        let look = move |file: &Recording| file.flows(first, last, IDS_MOST);
        self.with_file(ctx, look, move |recorder, mut ids: BTreeSet<FlowId>, complaint| {
            ids.extend(recorder.ids(first, last, IDS_MOST));
            let ids = ids.into_iter().take(IDS_MOST).collect();
            reply.send(FlowIdsFound { ids, complaint });
        });
    }
}

impl Handler<Asked<PayloadQuestion>> for FlowActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<PayloadQuestion>, ctx: &mut Context<Self>) {
        let recorder = ctx.node().recorder();
        let payloads = recorder.payloads();
        let answer = match asked.question {
            PayloadQuestion::Start { .. } if !recorder.is_on() => PayloadAnswer::Off,
            PayloadQuestion::Start { filter, time, bytes } => {
                match payloads.start(filter, time, bytes) {
                    Ok(session) => {
                        self.end_after(session, time, ctx);
                        PayloadAnswer::Started { session }
                    }
                    Err(left) => PayloadAnswer::Busy { left },
                }
            }
            PayloadQuestion::Fetch { session } => match payloads.fetch(session) {
                Some((payloads, over)) => PayloadAnswer::Payloads { payloads, over },
                None => PayloadAnswer::Ended,
            },
            PayloadQuestion::Stop { session } => {
                payloads.stop(session);
                self.waits_no_more(session);
                PayloadAnswer::Ended
            }
        };
        asked.reply.send(answer);
    }
}

impl FlowActor {
    /// Also when no message comes that would notice that the time is over.
    fn end_after(&mut self, session: u64, time: Duration, ctx: &mut Context<Self>) {
        if let Some((_, former)) = self.end.take() {
            former.cancel();
        }
        let [over, forgotten] = Payloads::ends_after(time);
        let timer = ctx.after(over, move |actor, ctx| {
            ctx.node().recorder().payloads().look();
            let forget = ctx.after(forgotten, move |actor, ctx| {
                ctx.node().recorder().payloads().stop(session);
                actor.end = None;
            });
            actor.end = Some((session, forget));
        });
        self.end = Some((session, timer));
    }

    fn waits_no_more(&mut self, session: u64) {
        if let Some((_, timer)) = self.end.take_if(|(of, _)| *of == session) {
            timer.cancel();
        }
    }
}

/// What memory has, and what only the file has; by time, the newest `limit`.
fn merge(file: Vec<FlowRecord>, memory: Vec<FlowRecord>, limit: usize) -> Vec<FlowRecord> {
    let key = |record: &FlowRecord| (record.node, record.span, record.what);
    let known: BTreeSet<_> = memory.iter().map(key).collect();
    let mut all: Vec<_> = file.into_iter().filter(|r| !known.contains(&key(r))).collect();
    all.extend(memory);
    all.sort_by_key(|record| (record.sent, record.started, record.span));
    all.split_off(all.len().saturating_sub(limit))
}

pub(crate) fn spawn(node: &Node) -> Result<(), SpawnError> {
    let accepts = Accepts::new().asks::<FlowQuery>().asks::<FlowSearch>().asks::<FlowIds>();
    // What messages say may be secret: a key on a command line, say.
    let accepts = accepts.asks::<PayloadQuestion>().from_operators();
    node.spawn(Spawn::named(FLOW_ACTOR).accepts(accepts), |_| FlowActor::default()).map(drop)
}

#[cfg(test)]
mod tests;
