//! Peers that take nothing: they cost their senders an error, not their memory, and are cut.

use std::time::Duration;

use libactor::{
    Accepts, CutKind, Down, DownReason, Limits, Node, NodeConfig, Pid, Spawn, TellError,
};
use tokio::net::{TcpListener, TcpStream};

use crate::bad_peers::shake_hands_as_listener;
use crate::cast::*;
use crate::three_nodes::{page, process_and_lines};

/// Pages of code and stacks that a process touches for the first time, and what its allocator keeps.
const SLACK: u64 = 2 << 20;

/// What a connection may have taken and not delivered: the lane's buffer, the message that passed its line, and what the
/// two kernels hold. Linux counts its own records in, and doubles what it is asked for.
fn bound(limits: &Limits, receiver: &TcpStream) -> u64 {
    let theirs = socket2::SockRef::from(receiver).recv_buffer_size().unwrap();
    (limits.buffer + PIECE + 2 * limits.send_buffer + theirs) as u64
}

/// Bytes of memory that are a process's own.
fn memory_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// What the process says next: a number of bytes, and why no more were taken.
fn said(lines: &mut impl Iterator<Item = String>, word: &str) -> (u64, String) {
    let line = lines.find_map(|line| line.strip_prefix(word).map(str::to_owned));
    let line = line.unwrap_or_else(|| panic!("the process says {word}"));
    let (bytes, why) = line.split_once(' ').unwrap();
    (bytes.parse().unwrap(), why.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_reads_costs_its_sender_an_error_and_not_its_memory_and_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let (process, flood, mut lines) = process_and_lines(&["flood", "floods", &place]);
    let (mut stream, _) = soon("it dials", listener.accept()).await.unwrap();
    let before = memory_of(process.id());
    shake_hands_as_listener(&mut stream).await;
    // From here on it reads nothing.
    let (full, why) = said(&mut lines, "REFUSED ");
    assert_eq!(why, "the receiver is full");
    let (taken, why) = said(&mut lines, "ENDED ");
    assert_eq!(why, "unreachable: the peer has not read for 300ms");
    let bound = bound(&Limits::default(), &stream);
    assert!(full <= taken && taken <= bound, "{full}, then {taken} were taken, {bound} at most");
    let grown = memory_of(process.id()).saturating_sub(before);
    assert!(grown <= bound + SLACK, "memory grew by {grown}, {bound} is what may wait");
    let metrics = page(&flood.at, "/metrics").await;
    for line in [
        "libactor_connections_cut_total{reason=\"full\"} 1",
        "libactor_connections_lost_total 1",
        "libactor_messages_queued 0",
    ] {
        assert!(metrics.lines().any(|its| its == line), "{line} in {metrics}");
    }
}

/// Dials, and loses patience soon.
fn impatient() -> NodeConfig {
    let mut config = dialling();
    config.timing.full = Duration::from_millis(300);
    config.limits.window = 8;
    config
}

/// An actor that is stuck with its first message until the gate opens.
fn stuck(node: &Node) -> (Pid, std::sync::mpsc::Sender<()>) {
    let (closed, gate) = std::sync::mpsc::channel();
    let spawn =
        Spawn { pinned: true, ..Spawn::named("stuck").accepts(Accepts::new().tells::<Number>()) };
    (node.spawn(spawn, move |_| Stuck(gate)).unwrap().pid(), closed)
}

fn fill(from: &Node, to: Pid) {
    for number in 0..8 {
        from.tell(to, Number(number)).unwrap();
    }
    assert_eq!(from.tell(to, Number(8)), Err(TellError::Full), "the window is used up");
}

#[tokio::test]
async fn a_peer_one_of_whose_actors_takes_nothing_is_cut_and_comes_back() {
    let there = Node::start(listening()).await.unwrap();
    let here = Node::start(impatient()).await.unwrap();
    let (_, closed) = stuck(&there);
    Counter::spawn(&there, "beside");
    let pid = here.resolve(&name("stuck", &there), SOON).await.unwrap();
    let (_watcher, mut downs) = watch(&here, pid).await;
    fill(&here, pid);
    let down = soon("it is cut", downs.recv()).await.unwrap();
    assert_eq!(down, Down { pid, reason: DownReason::ConnectionLost });
    let now = here.metrics();
    assert_eq!((now.cut_for(CutKind::Full), now.lost), (1, 1));
    assert_eq!(here.ask(name("beside", &there), Sum, SOON).await.unwrap().0, 0, "it comes back");
    assert_eq!(here.metrics().opened, 2);
    drop(closed);
}

#[tokio::test]
async fn a_slow_actor_is_not_taken_for_one_that_takes_nothing() {
    let there = Node::start(listening()).await.unwrap();
    let beside = Node::start(listening()).await.unwrap();
    let mut config = dialling();
    config.timing.full = Duration::from_secs(1);
    let window = u64::from(config.limits.window);
    let here = Node::start(config).await.unwrap();
    let ((_, gate), (_, closed)) = (stuck(&there), stuck(&beside));
    let slow = here.resolve(&name("stuck", &there), SOON).await.unwrap();
    let other = here.resolve(&name("stuck", &beside), SOON).await.unwrap();
    for pid in [slow, other] {
        for number in 0..window {
            here.tell(pid, Number(number)).unwrap();
        }
        // Refused once, and not tried again: no credit comes for a long time.
        assert_eq!(here.tell(pid, Number(window)), Err(TellError::Full));
    }
    let mut let_through = 0;
    until("who takes nothing is cut", || {
        let_through += u64::from(gate.send(()).is_ok());
        here.metrics().lost > 0
    })
    .await;
    assert!(let_through < window / 4, "{let_through} would have given credit back anyway");
    assert_eq!((here.metrics().lost, there.metrics().connections), (1, 1), "but the slow is not");
    drop((gate, closed));
    until("it has room again", || here.tell(slow, Number(window)).is_ok()).await;
    assert_eq!(here.metrics().cut_for(CutKind::Full), 1);
}

#[tokio::test]
async fn behind_a_relay_an_actor_that_takes_nothing_costs_nobody_the_connection() {
    let relay = Node::start(listening()).await.unwrap();
    let behind = Node::start(dialling()).await.unwrap();
    let beside = Node::start(listening()).await.unwrap();
    let here = Node::start(impatient()).await.unwrap();
    Counter::spawn(&relay, "middle");
    let middle = name("middle", &relay);
    let ((pid, first), (_, second)) = (stuck(&behind), stuck(&beside));
    behind.tell(&middle, Know(pid)).unwrap();
    behind.ask(&middle, Sum, SOON).await.unwrap();
    let far = here.ask(&middle, Whom, SOON).await.unwrap().0.unwrap();
    let near = here.resolve(&name("stuck", &beside), SOON).await.unwrap();
    let (_watcher, mut downs) = watch(&here, far).await;
    fill(&here, far);
    // Whoever is reached directly is cut after the same time, which has then passed for the one behind the relay.
    fill(&here, near);
    until("the near one is cut", || here.metrics().lost == 1).await;
    assert_eq!(here.tell(far, Number(9)), Err(TellError::Full));
    assert_eq!(here.ask(&middle, Sum, SOON).await.unwrap().0, 0);
    assert_eq!((here.metrics().lost, here.metrics().opened), (1, 2));
    assert!(downs.try_recv().is_err(), "and its links stand");
    drop((first, second));
}
