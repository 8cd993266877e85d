//! A gibibyte beside heartbeats. In a program of its own: it wants both cores, and other stories would spoil its figures as
//! it would theirs.
#![allow(clippy::unwrap_used, reason = "helpers of tests are not inside them")]

#[path = "stories/cast.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with stories that use more of it")]
mod cast;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use libactor::{Blob, Name, Node, Pid};

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
