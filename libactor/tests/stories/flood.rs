//! Much at once: bulk beside heartbeats, a receiver that stops reading, no file descriptors left.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use libactor::{Accepts, Blob, Name, Node, Pid, Spawn, TellError};

use crate::cast::*;

/// What a heartbeat may be delayed beside a transfer, at p99.
const HEARTBEAT_DELAY: Duration = Duration::from_millis(50);
/// Every so often one heartbeat's worth of each kind sets out, whether or not those before it are back.
const RHYTHM: Duration = Duration::from_millis(2);

/// The round trips of what is as small as a heartbeat and travels beside a transfer: on the control lane, as heartbeats
/// do, and as questions on the normal lane. Each sets out when it is due and is counted from then on, so that one long
/// halt is seen by all that fall into it.
async fn beats(here: Node, beside: Name, pid: Pid, transfer: &AtomicBool) -> [Vec<Duration>; 2] {
    let mut under_way = tokio::task::JoinSet::new();
    let begun = tokio::time::Instant::now();
    for beat in 0.. {
        let due = begun + RHYTHM * beat;
        tokio::time::sleep_until(due).await;
        if !transfer.load(Relaxed) {
            break;
        }
        let (node, beside) = (here.clone(), beside.clone());
        under_way.spawn(async move {
            assert_eq!(node.resolve(&beside, SOON).await.unwrap(), pid);
            (0, due.elapsed())
        });
        let node = here.clone();
        under_way.spawn(async move {
            node.ask(pid, Sum, SOON).await.unwrap();
            (1, due.elapsed())
        });
    }
    let mut times = [Vec::new(), Vec::new()];
    for (lane, time) in under_way.join_all().await {
        times[lane].push(time);
    }
    times
}

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// Sends a gibibyte and returns the round trips of the beats beside it.
async fn transfer(here: &Node, there: &Node, sink: Pid) -> [Vec<Duration>; 2] {
    const MIB: usize = 1 << 20;
    let beside = name("beside", there);
    let pid = here.resolve(&beside, SOON).await.unwrap();
    let before = here.ask(sink, Sum, SOON).await.unwrap().0;
    let goes_on = Arc::new(AtomicBool::new(true));
    let (sender, going) = (here.clone(), Arc::clone(&goes_on));
    let transfer = tokio::spawn(async move {
        let piece = Bytes(Blob(vec![7; MIB]));
        for _ in 0..1024 {
            sender.tell_when_room(sink, piece.clone()).await.unwrap();
        }
        // Asks are on another lane than bytes, and may overtake them.
        while sender.ask(sink, Sum, SOON).await.unwrap().0 < before + (1 << 30) {}
        going.store(false, Relaxed);
    });
    let times = beats(here.clone(), beside, pid, &goes_on).await;
    soon("the transfer", transfer).await.unwrap();
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gibibyte_on_the_bulk_lane_delays_no_heartbeat_and_breaks_no_link() {
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(dialling()).await.unwrap();
    let source = Counter::spawn(&here, "source").pid();
    let sink = Counter::spawn(&there, "sink").pid();
    Counter::spawn(&there, "beside");
    let (_watches_sink, mut end_of_sink) = watch(&here, sink).await;
    // The way to a node that only dials is there once it has dialled.
    here.ask(sink, Sum, SOON).await.unwrap();
    let (_watches_source, mut end_of_source) = watch(&there, source).await;
    // Whatever else this machine does makes beats slower, never quicker: the quickest of three transfers counts.
    let mut slow = Vec::new();
    for _ in 0..3 {
        let [control, normal] = transfer(&here, &there, sink).await.map(p99);
        if control.max(normal) < HEARTBEAT_DELAY {
            slow.clear();
            break;
        }
        slow.push((control, normal));
    }
    assert!(slow.is_empty(), "p99 of beats on the control lane and of asks, thrice: {slow:?}");
    for node in [&here, &there] {
        let now = node.metrics();
        assert_eq!((now.opened, now.lost), (1, 0), "no link goes down");
    }
    for ends in [&mut end_of_sink, &mut end_of_source] {
        assert!(ends.try_recv().is_err(), "and nobody hears of an end");
    }
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
