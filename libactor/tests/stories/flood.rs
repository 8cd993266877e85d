//! Much at once: a receiver that handles nothing, a growing mailbox, no file descriptors left.

use libactor::{Accepts, Node, Spawn, TellError};

use crate::cast::*;

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
    assert!(node.metrics().slow_handlers == 1 && node.metrics().growing_mailboxes >= 1);
    drop(closed);
}

#[tokio::test]
async fn a_node_without_file_descriptors_says_so_and_goes_on_once_it_has_some() {
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
    let metrics = crate::three_nodes::page(&counter.at, "/metrics").await;
    let errors =
        metrics.lines().find_map(|line| line.strip_prefix("libactor_accept_errors_total "));
    assert!(errors.unwrap().parse::<u64>().unwrap() > 0, "{metrics}");
}
