//! Every message is accounted for, and ten thousand actors count in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use libactor::{Accepts, DropReason, Handle, Metrics, Node, NodeConfig, Pid, Spawn, TellError};

use crate::cast::*;

/// Its counts, once nothing moves: what was handled or handed to the kernel is booked a moment later.
async fn at_rest(node: &Node) -> Metrics {
    let mut metrics = node.metrics();
    until("all is booked", || {
        metrics = node.metrics();
        let (went_in, came_out) = metrics.balance();
        went_in == came_out && metrics.queued == 0
    })
    .await;
    metrics
}

#[tokio::test]
async fn what_two_nodes_sent_is_what_became_of_it() {
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    let counter = Counter::spawn(&there, "counter");
    let pid = here.resolve(&name("counter", &there), SOON).await.unwrap();
    for number in 0..500 {
        here.tell_when_room(pid, Number(number)).await.unwrap();
        counter.tell(Number(number)).unwrap();
        there.tell(pid, Number(number)).unwrap();
    }
    here.tell(name("nobody", &there), Number(0)).unwrap();
    assert_eq!(here.ask(pid, Sum, SOON).await.unwrap().0, 1500);
    until("the drop is booked", || there.metrics().dropped_for(DropReason::Stale) == 1).await;
    until("the answer is booked", || here.metrics().delivered == 1).await;
    // It was on its way before the handler that gave it had returned.
    until("the question is handled", || there.metrics().queued == 0).await;
    let (here, there) = (at_rest(&here).await, at_rest(&there).await);
    assert_eq!((here.accepted, here.handed), (502, 502), "500 tells, one for nobody, one ask");
    assert_eq!((there.received, there.delivered), (502, 1501));
    assert_eq!(here.handed, there.received);
    assert_eq!(here.received, there.handed, "the answer");
}

#[tokio::test]
async fn what_a_stopped_actor_had_in_its_mailbox_is_dropped_and_counted() {
    let node = Node::start(NodeConfig::default()).await.unwrap();
    let counter = Counter::spawn(&node, "counter");
    counter.tell(Number(1)).unwrap();
    assert_eq!(counter.ask(Sum).await.unwrap().0, 1);
    counter.stop();
    let mut taken = 2;
    while counter.tell(Number(1)).is_ok() {
        taken += 1;
    }
    until("all is booked", || node.metrics().balance().0 == taken).await;
    until("it is gone", || node.local("counter").is_none()).await;
    at_rest(&node).await;
    drop(counter);
    at_rest(&node).await;
    assert_eq!(node.metrics().accepted, taken);
}

#[tokio::test]
async fn a_full_mailbox_refuses_its_local_sender_and_drops_what_comes_from_afar() {
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    // Its handler holds the thread until the gate opens.
    let (closed, gate) = std::sync::mpsc::channel();
    let spawn = Spawn {
        mailbox: 8,
        pinned: true,
        ..Spawn::named("slow").accepts(Accepts::new().tells::<Number>())
    };
    let slow = there.spawn(spawn, move |_| Stuck(gate)).unwrap();
    let mut taken = 0;
    let refused = loop {
        match slow.tell(Number(taken)) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, TellError::Full);
    assert!((8..=9).contains(&taken), "8 in the mailbox, one in the handler at most: {taken}");
    let pid = here.resolve(&name("slow", &there), SOON).await.unwrap();
    for number in 0..20 {
        here.tell(pid, Number(number)).unwrap();
    }
    let dropped = || there.metrics().dropped_for(DropReason::MailboxFull);
    until("the overrun is dropped", || (19..=20).contains(&dropped())).await;
    let told = || here.metrics().undelivered.iter().map(|(_, count)| count).sum::<u64>();
    until("its sender is told", || told() == dropped()).await;
    drop(closed);
    until("the rest is handled", || there.metrics().queued == 0).await;
    at_rest(&there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lp_01_ten_thousand_actors_count_in_order_and_no_two_handlers_of_one_overlap() {
    const ACTORS: u64 = 10_000;
    const EACH: u64 = 20;
    let node = Node::start(NodeConfig { threads: 4, ..NodeConfig::default() }).await.unwrap();
    let (wrong, handled) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let actors: Vec<Handle<Sequence>> = (0..ACTORS)
        .map(|_| {
            let (wrong, handled) = (Arc::clone(&wrong), Arc::clone(&handled));
            let make = |_: &mut _| Sequence { wrong, handled, ..Sequence::default() };
            node.spawn(Spawn { mailbox: 64, ..Spawn::default() }, make).unwrap()
        })
        .collect();
    for number in 0..EACH {
        for actor in &actors {
            actor.tell(Number(number)).unwrap();
        }
    }
    until("all are handled", || handled.load(SeqCst) == ACTORS * EACH).await;
    assert_eq!(wrong.load(SeqCst), 0);
    until("all is booked", || node.metrics().delivered == ACTORS * EACH).await;
    at_rest(&node).await;
    assert_eq!(node.metrics().actors, ACTORS + 1, "and the one named flow");
}

#[tokio::test]
async fn what_was_handed_over_and_never_confirmed_is_booked_when_the_connection_ends() {
    use std::io::Read;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    // A listener of our own that shakes hands and then says nothing: no heartbeat confirms anything.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    let at: libactor::Name = format!("x@{}", listener.local_addr().unwrap()).parse().unwrap();
    for number in 0..10 {
        here.tell(&at, Number(number)).unwrap();
    }
    let (mut stream, _) = listener.accept().await.unwrap();
    crate::bad_peers::shake_hands_as_listener(&mut stream).await;
    let mut bytes = vec![0; 64 << 10];
    let read = soon("the ten", stream.read(&mut bytes)).await.unwrap();
    assert!((&bytes[..read]).bytes().count() > 10 * 108);
    until("handed over", || here.metrics().handed == 10).await;
    assert_eq!(here.metrics().unconfirmed, 0);
    stream.shutdown().await.unwrap();
    until("booked", || here.metrics().unconfirmed == 10).await;
    at_rest(&here).await;
}

#[tokio::test]
async fn what_heartbeats_have_confirmed_is_not_booked_as_unconfirmed_when_the_connection_ends() {
    let cable = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    Counter::spawn(&there, "counter");
    let at: libactor::Name = format!("counter@{}", cable.local_addr().unwrap()).parse().unwrap();
    for number in 0..100 {
        here.tell(&at, Number(number)).unwrap();
    }
    here.tell(&at, Bytes(libactor::Blob(vec![1; 10]))).unwrap();
    let cable = crate::two_nodes::pass_on(&cable, there.address().unwrap()).await;
    until("all have arrived", || there.metrics().received == 101).await;
    // Nobody says goodbye: only heartbeats can have confirmed anything.
    until("all are confirmed", || here.metrics().confirmed == 101).await;
    cable.abort();
    until("the loss is booked", || here.metrics().lost == 1).await;
    let now = at_rest(&here).await;
    assert_eq!((now.handed, now.confirmed, now.unconfirmed), (101, 101, 0));
}

/// As many as there is room for.
fn tell_many(from: &Node, to: Pid, count: u64) {
    for number in 0..count {
        match from.tell(to, Number(number)) {
            Ok(()) | Err(TellError::Full) => (),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn what_two_nodes_sent_adds_up_when_their_cable_is_cut_under_load() {
    let cable = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let advertise = Some(cable.local_addr().unwrap());
    let there = Node::start(NodeConfig { advertise, ..listening() }).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    let near = Counter::spawn(&here, "near").pid();
    let far = Counter::spawn(&there, "far").pid();
    let asking = here.ask(far, Sum, SOON);
    let cable = crate::two_nodes::pass_on(&cable, there.address().unwrap()).await;
    asking.await.unwrap();
    let ways = [(&here, far, &there), (&there, near, &here)];
    for (from, to, at) in ways {
        until("much has arrived", || {
            tell_many(from, to, 100);
            at.metrics().received > 2000
        })
        .await;
    }
    for (from, to, _) in ways {
        tell_many(from, to, 3000);
    }
    cable.abort();
    for node in [&here, &there] {
        until("the loss is booked", || node.metrics().lost == 1 && node.metrics().queued == 0)
            .await;
        at_rest(node).await;
    }
    for (from, _, at) in ways {
        let (sent, arrived) = (from.metrics(), at.metrics());
        let missing = sent.handed.checked_sub(arrived.received);
        // Some of what was never confirmed has arrived; all that has not is among it.
        assert!(
            missing.is_some_and(|missing| missing <= sent.unconfirmed),
            "{sent:?}\n{arrived:?}"
        );
    }
}
