//! Flows: what one cause set off is recorded on every node it touched, under one id.

use std::time::Duration;

use actix::{Actor, Handler};
use libactor::{
    Accepts, Asked, Context, FLOW_ACTOR, FlowId, FlowIds, FlowQuery, FlowRecord, FlowSearch, Lane,
    Limits, Node, NodeConfig, Pid, Received, Spawn, What, ringfile,
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
    // The spawn was the first; each wait goes on with the count.
    let sequences: Vec<_> = answer.records.iter().map(|record| record.sequence).collect();
    assert_eq!(sequences, [1, 2]);
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

/// What a node finds by an id, in its memory alone and with its file: how many records, and of which flow.
async fn found(node: &Node, number: u64) -> (usize, usize, Option<FlowId>) {
    let actor = node.local(FLOW_ACTOR).unwrap();
    let subject = Some(format!("task-{number}"));
    let query = FlowQuery { subject, trace: None, limit: 100 };
    let memory = node.ask(actor, query.clone(), SOON).await.unwrap();
    let both = node.ask(actor, FlowSearch(query), SOON).await.unwrap();
    assert_eq!(both.complaint, None);
    let flow = both.answer.records.first().map(|record| record.trace);
    (memory.records.len(), both.answer.records.len(), flow)
}

#[tokio::test]
async fn what_memory_has_forgotten_is_found_in_the_file_also_that_of_an_earlier_life() {
    let dir = tempfile::tempdir().unwrap();
    let config = || NodeConfig {
        work_dir: Some(dir.path().to_owned()),
        limits: Limits { flow_ring: 4 << 10, ..Limits::default() },
        ..NodeConfig::default()
    };
    let node = Node::start(config()).await.unwrap();
    let (counter, mut hears) = Counter::heard_by(&node, "counter");
    for number in 1_000_000..1_000_500 {
        counter.tell(Number(number)).unwrap();
        soon("a number", hears.recv()).await.unwrap();
    }
    let mut last = found(&node, 1_000_499).await;
    while last.0 == 0 {
        // It is recorded when its handler has ended.
        last = found(&node, 1_000_499).await;
    }
    assert_eq!((last.0, last.1), (1, 1), "once, though both have it");
    // Written by a thread of its own.
    let mut first = found(&node, 1_000_001).await;
    while first.1 == 0 {
        first = found(&node, 1_000_001).await;
    }
    assert_eq!((first.0, first.1), (0, 1));
    let flow = first.2.unwrap();
    let search = FlowSearch(FlowQuery { subject: None, trace: Some(flow), limit: 100 });
    let actor = node.local(FLOW_ACTOR).unwrap();
    let by_flow = node.ask(actor, search, SOON).await.unwrap();
    assert_eq!(by_flow.answer.records[0].subjects, ["task-1000001"]);
    assert!(by_flow.file_since.unwrap() < by_flow.answer.flows_since.unwrap());
    let (first, last) = FlowId::begun_by(&flow.to_string()[..31]).unwrap();
    let ids = node.ask(actor, FlowIds { first, last }, SOON).await.unwrap().ids;
    assert!(ids.contains(&flow), "{ids:?}");
    node.shutdown().await;

    let again = Node::start(config()).await.unwrap();
    let (memory, both, same) = found(&again, 1_000_001).await;
    assert_eq!((memory, both, same), (0, 1, Some(flow)), "of the earlier life");
    std::fs::remove_file(dir.path().join(ringfile::FILE_NAME)).unwrap();
    let actor = again.local(FLOW_ACTOR).unwrap();
    let blind = again.ask(actor, FlowIds { first, last }, SOON).await.unwrap();
    assert!(!blind.ids.contains(&flow) && blind.complaint.is_some(), "{blind:?}");
    again.shutdown().await;
}

/// Why a number that `from` has sent was dropped at `at`, as its flow there says.
async fn dropped_at(at: &Node, from: &Node, number: u64) -> String {
    let ask = async |node: &Node, subject, trace| {
        let query = FlowQuery { subject, trace, limit: 100 };
        node.ask(node.local(FLOW_ACTOR).unwrap(), query, SOON).await.unwrap().records
    };
    let sent = ask(from, Some(format!("task-{number}")), None).await;
    assert_eq!((sent.len(), sent[0].what), (1, What::Sent), "{sent:?}");
    let looking = async {
        loop {
            let seen = ask(at, None, Some(sent[0].trace)).await;
            if let [FlowRecord { what: What::Dropped, label, span, .. }] = &seen[..] {
                assert_eq!(*span, sent[0].span, "one message, seen from both ends");
                return label.clone();
            }
        }
    };
    soon("the drop is recorded", looking).await
}

#[tokio::test]
async fn what_is_dropped_is_in_the_flow_where_it_was_dropped() {
    let middle = Node::start(listening()).await.unwrap();
    let (here, hidden) =
        (Node::start(dialling()).await.unwrap(), Node::start(dialling()).await.unwrap());
    Counter::spawn(&middle, "middle");
    let far = Counter::spawn(&hidden, "far").pid();
    hidden.tell(name("middle", &middle), Know(far)).unwrap();
    hidden.ask(name("middle", &middle), Sum, SOON).await.unwrap();
    let far = here.ask(name("middle", &middle), Whom, SOON).await.unwrap().0.unwrap();
    here.tell(name("nobody", &middle), Number(1_000_001)).unwrap();
    assert_eq!(dropped_at(&middle, &here, 1_000_001).await, "stale");
    hidden.shutdown().await;
    until("it is gone", || middle.metrics().lost == 1).await;
    here.tell(far, Number(1_000_002)).unwrap();
    assert_eq!(dropped_at(&middle, &here, 1_000_002).await, "unreachable", "by the relay");
}

/// Asked for a sum, it tells another what it was asked.
struct Passing(libactor::Name);

impl Actor for Passing {
    type Context = Context<Self>;
}

impl Handler<Asked<Sum>> for Passing {
    type Result = ();
    fn handle(&mut self, _: Asked<Sum>, ctx: &mut Context<Self>) {
        ctx.tell(&self.0, Number(1)).unwrap();
    }
}

#[tokio::test]
async fn an_ask_and_what_it_sets_off_carry_what_is_left_of_its_deadline() {
    use tokio::io::AsyncReadExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at: libactor::Name = format!("x@{}", listener.local_addr().unwrap()).parse().unwrap();
    let here = Node::start(dialling()).await.unwrap();
    let to = at.clone();
    let passing = Spawn::named("passing").accepts(Accepts::new().asks::<Sum>());
    let passing = here.spawn(passing, move |_| Passing(to)).unwrap();
    let within = Duration::from_secs(3600);
    let asking = tokio::spawn(here.ask(&at, Sum, within));
    let passed_on = tokio::spawn(here.ask(passing.pid(), Sum, within));
    here.tell(&at, Number(2)).unwrap();
    let (mut stream, _) = soon("it dials", listener.accept()).await.unwrap();
    crate::bad_peers::shake_hands_as_listener(&mut stream).await;
    let mut left = Vec::new();
    while left.len() < 3 {
        let length = soon("a frame", stream.read_u32_le()).await.unwrap();
        let mut frame = vec![0; length as usize];
        stream.read_exact(&mut frame).await.unwrap();
        let message = &frame[4..];
        let word = |at: usize| u64::from_le_bytes(message[at..at + 8].try_into().unwrap());
        // A kind that is no statement of the runtime, and the lower 48 bits of the order.
        if message[0] != 4 {
            left.push((message[0], word(60) & ((1 << 48) - 1)));
        }
    }
    left.sort_unstable();
    // Two tells and an ask; the tell outside any cause has no deadline.
    let kinds: Vec<u8> = left.iter().map(|(kind, _)| *kind).collect();
    assert_eq!((kinds, left[0].1), (vec![1, 1, 2], 0));
    for (_, left) in &left[1..] {
        // Rounded up.
        assert!((3_500_000..=3_600_001).contains(left), "{left} of {within:?}");
    }
    drop((stream, asking, passed_on));
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
