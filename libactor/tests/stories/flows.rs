//! Flows: what one cause set off is recorded on every node it touched, under one id.

use std::time::Duration;

use actix::{Actor, Handler};
use libactor::{
    Accepts, Asked, Context, FLOW_ACTOR, FlowId, FlowQuery, FlowRecord, Lane, Node, NodeConfig,
    Pid, Received, Spawn, What, ringfile,
};
use tokio::sync::mpsc;

use crate::cast::*;

/// Told a number, it goes on in every way there is, and says in which flow each step ran.
struct Relay {
    next: Pid,
    steps: mpsc::UnboundedSender<(&'static str, FlowId)>,
}

impl Actor for Relay {
    type Context = Context<Self>;
}

impl Handler<Received<Number>> for Relay {
    type Result = ();
    fn handle(&mut self, received: Received<Number>, ctx: &mut Context<Self>) {
        let _ = self.steps.send(("handler", ctx.flow()));
        let number = received.message;
        ctx.after(Duration::from_millis(1), |relay, ctx| {
            let _ = relay.steps.send(("timer", ctx.flow()));
            ctx.run(async { 1 }, |relay, _, ctx| {
                let _ = relay.steps.send(("future", ctx.flow()));
                let steps = relay.steps.clone();
                let child = ctx.node().spawn(Spawn::default(), |ctx: &mut Context<Relay>| {
                    let _ = steps.send(("spawn", ctx.flow()));
                    Relay { next: ctx.pid(), steps }
                });
                child.unwrap().stop();
                let next = relay.next;
                ctx.ask(next, Sum, SOON, move |relay, answer, ctx| {
                    let _ = relay.steps.send(("answer", ctx.flow()));
                    assert_eq!(answer.unwrap().0, 0);
                    ctx.tell(next, number).unwrap();
                });
            });
        });
    }
}

#[tokio::test]
async fn a_flow_goes_through_tells_asks_timers_futures_spawns_and_the_wire() {
    let dir = tempfile::tempdir().unwrap();
    let there = Node::start(listening()).await.unwrap();
    let work_dir = Some(dir.path().to_owned());
    let here = Node::start(NodeConfig { work_dir, ..dialling() }).await.unwrap();
    let (_counter, mut hears) = Counter::heard_by(&there, "counter");
    let next = here.resolve(&name("counter", &there), SOON).await.unwrap();
    let (steps, mut seen) = mpsc::unbounded_channel();
    let spawn = Spawn::named("relay").accepts(Accepts::new().tells::<Number>());
    let relay = here.spawn(spawn, move |_| Relay { next, steps }).unwrap();

    relay.tell(Number(1_000_007)).unwrap();
    let (number, from) = soon("the number goes on", hears.recv()).await.unwrap();
    assert_eq!((number, from.unwrap().actor()), (1_000_007, relay.pid().actor()));
    let (mut flows, mut words) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let (step, flow) = soon("a step", seen.recv()).await.unwrap();
        words.push(step);
        flows.push(flow);
    }
    words.sort_unstable();
    assert_eq!(words, ["answer", "future", "handler", "spawn", "timer"]);
    assert!(flows.iter().all(|flow| *flow == flows[0] && *flow != FlowId::default()), "{flows:?}");

    let subject = Some("task-1000007".to_owned());
    let query = FlowQuery { subject, trace: None, limit: 100 };
    let at = name(FLOW_ACTOR, &there);
    let mut answer = here.ask(&at, query.clone(), SOON).await.unwrap();
    while answer.records.len() < 2 {
        answer = here.ask(&at, query.clone(), SOON).await.unwrap();
    }
    let seen: Vec<_> =
        answer.records.iter().map(|record| (record.what, record.label.as_str())).collect();
    assert_eq!(seen, [(What::Handled, "story.Sum"), (What::Handled, "story.Number")]);
    assert!(
        answer
            .records
            .iter()
            .all(|record| record.trace == flows[0] && record.started <= record.ended)
    );
    assert!(
        answer.flows_since.is_some() && answer.chatter_since.is_some(),
        "how far back it can see"
    );
    let mine = here.ask(here.local(FLOW_ACTOR).unwrap(), query, SOON).await.unwrap().records;
    let seen: Vec<_> = mine.iter().map(|record| (record.what, record.label.as_str())).collect();
    assert_eq!(seen, [(What::Handled, "story.Number"), (What::Sent, "story.Number")]);
    assert_eq!(mine[1].span, answer.records[1].span, "one message, seen from both ends");
    assert_eq!(mine[1].sender, answer.records[1].sender);

    here.shutdown().await;
    let lanes = |records: &[FlowRecord]| records.iter().map(|r| r.lane).collect::<Vec<_>>();
    assert_eq!(lanes(&answer.records), [Some(Lane::Normal); 2], "both came from the other node");
    assert_eq!(lanes(&mine), [None, Some(Lane::Normal)], "the first was told within the node");

    let from_disk = ringfile::read(dir.path()).unwrap();
    assert_eq!(from_disk, mine, "the same, offline");
}

#[tokio::test]
async fn a_cancelled_timer_does_not_fire() {
    struct Clock(mpsc::UnboundedSender<&'static str>);
    impl Actor for Clock {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Context<Self>) {
            let first =
                ctx.after(Duration::from_millis(1), |clock, _| clock.0.send("cancelled").unwrap());
            first.cancel();
            drop(ctx.after(Duration::from_millis(20), |clock, _| {
                clock.0.send("dropped handle").unwrap()
            }));
        }
    }
    impl Handler<Asked<Sum>> for Clock {
        type Result = ();
        fn handle(&mut self, asked: Asked<Sum>, _: &mut Context<Self>) {
            asked.reply.send(Number(0));
        }
    }
    let node = Node::start(NodeConfig::default()).await.unwrap();
    let (send, mut fired) = mpsc::unbounded_channel();
    node.spawn(Spawn::default(), |_| Clock(send)).unwrap();
    assert_eq!(soon("a timer", fired.recv()).await, Some("dropped handle"));
}

#[tokio::test]
async fn a_work_directory_that_cannot_be_written_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("no/such");
    let started =
        Node::start(NodeConfig { work_dir: Some(missing), ..NodeConfig::default() }).await;
    let words = started.unwrap_err().to_string();
    assert!(words.contains("no/such/flow.ring"), "{words}");
}
