//! Peers that take nothing: they cost their senders an error, not their memory, and are cut.

use libactor::Limits;
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
    (limits.buffer + PIECE + 2 * limits.socket_buffer + theirs) as u64
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
