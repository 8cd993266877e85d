//! Whoever starts and stops often leaves no timers behind.

use super::*;
use crate::cell::Handle;
use crate::config::NodeConfig;

/// How many timers there are.
#[derive(Debug, Serialize, Deserialize)]
struct Timers;

#[derive(Debug, Serialize, Deserialize)]
struct Count(usize);

impl Message for Timers {
    const NAME: &'static str = "test.Timers";
}

impl Message for Count {
    const NAME: &'static str = "test.Count";
}

impl Question for Timers {
    type Answer = Count;
}

impl Handler<Asked<Timers>> for FlowActor {
    type Result = ();

    fn handle(&mut self, asked: Asked<Timers>, ctx: &mut Context<Self>) {
        asked.reply.send(Count(ctx.timers()));
    }
}

/// What was cancelled is forgotten in the actor's next turn.
async fn comes_to(flow: &Handle<FlowActor>, wanted: usize) {
    let counted = async { while flow.ask(Timers).await.expect("it answers").0 != wanted {} };
    let soon = tokio::time::timeout(Duration::from_secs(20), counted).await;
    assert!(soon.is_ok(), "not {wanted} but {:?}", flow.ask(Timers).await);
}

#[tokio::test]
async fn one_timer_waits_however_often_payloads_are_asked_for() {
    let node = Node::start(NodeConfig::default()).await.expect("a node starts");
    let flow = node.spawn(Spawn::default(), |_| FlowActor::default()).expect("it has room");
    let start = || PayloadQuestion::Start {
        filter: PayloadFilter::default(),
        time: Duration::from_secs(600),
        bytes: 1000,
    };
    let mut last = None;
    for _ in 0..20 {
        if let Some(session) = last {
            flow.ask(PayloadQuestion::Stop { session }).await.expect("it answers");
        }
        let answer = flow.ask(start()).await.expect("it answers");
        let PayloadAnswer::Started { session } = answer else { panic!("{answer:?}") };
        last = Some(session);
    }
    // A stranger's number ends nothing.
    flow.ask(PayloadQuestion::Stop { session: 1 }).await.expect("it answers");
    comes_to(&flow, 1).await;
    let session = last.expect("it began");
    flow.ask(PayloadQuestion::Stop { session }).await.expect("it answers");
    comes_to(&flow, 0).await;
    node.shutdown().await;
}
