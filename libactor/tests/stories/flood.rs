//! Much at once: bulk beside heartbeats, a receiver that stops reading, no file descriptors left.

use std::time::Instant;

use libactor::{Accepts, Blob, Node, Spawn, TellError};

use crate::cast::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_transfer_beside_which_asks_stay_quick() {
    const PIECE: usize = 1 << 20;
    const PIECES: u64 = 256;
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    Counter::spawn(&there, "sink");
    Counter::spawn(&there, "beside");
    let sink = here.resolve(&name("sink", &there), SOON).await.unwrap();
    let beside = here.resolve(&name("beside", &there), SOON).await.unwrap();
    let sender = here.clone();
    let transfer = tokio::spawn(async move {
        let piece = Bytes(Blob(vec![7; PIECE]));
        for _ in 0..PIECES {
            sender.tell_when_room(sink, piece.clone()).await.unwrap();
        }
    });
    let mut times = Vec::new();
    while !transfer.is_finished() {
        let asked = Instant::now();
        here.ask(beside, Sum, SOON).await.unwrap();
        times.push(asked.elapsed());
        tokio::task::yield_now().await;
    }
    soon("the transfer", transfer).await.unwrap();
    assert_eq!(
        here.ask(sink, Number2, SOON).await.unwrap_err().to_string(),
        "refused: the actor does not accept such questions"
    );
    let all = async { while here.ask(sink, Sum, SOON).await.unwrap().0 < PIECES * PIECE as u64 {} };
    soon("all has arrived", all).await;
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    assert!(p99.as_millis() < 500, "p99 {p99:?} of {} asks, in a debug build", times.len());
    assert_eq!(here.metrics().lost, 0, "no link goes down");
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Number2;
impl libactor::Message for Number2 {
    const NAME: &'static str = "story.Number2";
}
impl libactor::Question for Number2 {
    type Answer = Number;
}

#[tokio::test]
async fn an_actor_that_handles_nothing_costs_its_sender_an_error_and_its_neighbours_nothing() {
    let there = Node::start(listening()).await.unwrap();
    let mut config = dialling();
    config.limits.window = 100;
    let here = Node::start(config).await.unwrap();
    let (closed, gate) = std::sync::mpsc::channel();
    let spawn =
        Spawn { pinned: true, ..Spawn::named("stuck").accepts(Accepts::new().tells::<Number>()) };
    there.spawn(spawn, move |_| Stuck(gate)).unwrap();
    Counter::spawn(&there, "beside");
    let stuck = here.resolve(&name("stuck", &there), SOON).await.unwrap();
    for number in 0..100 {
        here.tell(stuck, Number(number)).unwrap();
    }
    assert_eq!(here.tell(stuck, Number(100)), Err(TellError::Full), "the window is used up");
    let beside = name("beside", &there);
    assert_eq!(
        here.ask(&beside, Sum, SOON).await.unwrap().0,
        0,
        "others on the connection are served"
    );
    drop(closed);
    until("credit comes back", || here.tell(stuck, Number(101)).is_ok()).await;
}

#[tokio::test]
async fn the_watchdog_names_a_slow_handler_and_a_growing_mailbox() {
    let node = Node::start(listening()).await.unwrap();
    let (closed, gate) = std::sync::mpsc::channel();
    let stuck =
        node.spawn(Spawn { pinned: true, ..Spawn::named("stuck") }, move |_| Stuck(gate)).unwrap();
    let begun = Instant::now();
    stuck.tell(Number(0)).unwrap();
    let named = |fault| {
        node.suspects().iter().any(|s| s.fault == fault && s.name.as_deref() == Some("stuck"))
    };
    let growing = || {
        for number in 0..20 {
            let _ = stuck.tell(Number(number));
        }
        named(libactor::Fault::SlowHandler) && named(libactor::Fault::GrowingMailbox)
    };
    until("both are named", growing).await;
    assert!(begun.elapsed().as_secs() < 2, "within two seconds");
    assert!(node.metrics().slow_handlers == 1 && node.metrics().growing_mailboxes >= 1);
    drop(closed);
}

#[tokio::test]
async fn a_node_without_file_descriptors_says_so_and_goes_on_once_it_has_some() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (_process, counter) = crate::three_nodes::process(&["counter", "short-of-files"]);
    let early = Node::start(dialling()).await.unwrap();
    assert_eq!(early.ask(&counter, Sum, SOON).await.unwrap().0, 0);
    let mut many = Vec::new();
    for _ in 0..40 {
        many.push(tokio::net::TcpStream::connect(&counter.at).await.unwrap());
    }
    assert_eq!(early.ask(&counter, Sum, SOON).await.unwrap().0, 0, "who is connected is served");
    drop(many);
    let late = Node::start(dialling()).await.unwrap();
    assert_eq!(soon("a new connection", late.ask(&counter, Sum, SOON)).await.unwrap().0, 0);
    let mut page = tokio::net::TcpStream::connect(&counter.at).await.unwrap();
    page.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").await.unwrap();
    let mut metrics = String::new();
    soon("the page", page.read_to_string(&mut metrics)).await.unwrap();
    let errors =
        metrics.lines().find_map(|line| line.strip_prefix("libactor_accept_errors_total "));
    assert!(errors.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
}
