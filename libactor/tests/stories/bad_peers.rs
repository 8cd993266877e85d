//! Bad peers: each is refused in words and counted, and the node stays up.

use libactor::session::{self, Greeting, Hello, Proof, Verdict};
use libactor::wire::{self, MAGIC};
use libactor::{AskError, CutKind, Metrics, Node, NodeConfig, RefusalKind, Secret};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cast::*;

pub async fn node() -> Node {
    let node = Node::start(listening()).await.unwrap();
    Counter::spawn(&node, "counter");
    node
}

/// It still serves others.
pub async fn is_up(node: &Node) {
    let other = Node::start(NodeConfig { secret: node.config().secret.clone(), ..dialling() })
        .await
        .unwrap();
    assert_eq!(other.ask(name("counter", node), Sum, SOON).await.unwrap().0, 0);
}

pub fn framed<T: Serialize>(value: &T) -> Vec<u8> {
    let bytes = wire::encode(value, 1024).unwrap();
    let mut out = u16::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
    out.extend(bytes);
    out
}

pub async fn hear<T: DeserializeOwned>(stream: &mut TcpStream) -> T {
    let length = stream.read_u16_le().await.unwrap();
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await.unwrap();
    wire::decode(&bytes).unwrap()
}

async fn hear_magic(stream: &mut TcpStream) {
    let mut magic = [0; 8];
    stream.read_exact(&mut magic).await.unwrap();
    assert_eq!(magic, MAGIC);
}

/// What a peer that the stories play says of itself: node 77 in its life 78.
pub fn hello() -> Hello {
    Hello {
        oldest: 1,
        newest: 1,
        node: 77,
        incarnation: 78,
        advertise: None,
        secret: false,
        window: u32::MAX,
        nonce: [7; 32],
        lent: false,
    }
}

async fn dial(node: &Node) -> TcpStream {
    TcpStream::connect(node.address().unwrap()).await.unwrap()
}

/// A connection that is through the handshake, by hand.
pub async fn shake_hands(node: &Node) -> TcpStream {
    shake_hands_as(node, &hello()).await
}

pub async fn shake_hands_as(node: &Node, hello: &Hello) -> TcpStream {
    let mut stream = dial(node).await;
    stream.write_all(&[&MAGIC[..], &framed(hello)].concat()).await.unwrap();
    hear_magic(&mut stream).await;
    let greeting: Greeting = hear(&mut stream).await;
    let (proof, peer) = session::dialler_hears(hello, None, greeting);
    peer.unwrap();
    stream.write_all(&framed(&proof.unwrap())).await.unwrap();
    assert_eq!(hear::<Verdict>(&mut stream).await, Verdict::Welcome);
    stream
}

pub async fn shake_hands_as_listener(stream: &mut TcpStream) {
    hear_magic(stream).await;
    let theirs: Hello = hear(stream).await;
    let (greeting, _) = session::listener_greets(&hello(), None, &theirs);
    stream.write_all(&[&MAGIC[..], &framed(&greeting)].concat()).await.unwrap();
    let proof: Proof = hear(stream).await;
    let (verdict, _) = session::listener_judges(&hello(), None, &theirs, proof);
    stream.write_all(&framed(&verdict.unwrap())).await.unwrap();
}

async fn refused(node: &Node, kind: RefusalKind) {
    until("it is counted", || node.metrics().refused_for(kind) >= 1).await;
    is_up(node).await;
}

/// What it is told before the connection ends.
pub async fn last_words(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset instead of an orderly end is an end too.
    let _ = soon("the connection ends", stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Bytes that a seed stands for.
fn random_bytes(mut seed: u64, count: usize) -> Vec<u8> {
    let mut roll = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed.to_le_bytes()[3]
    };
    (0..count).map(|_| roll()).collect()
}

/// From nothing but a first byte to more than the kernel takes at once.
const LENGTHS: [usize; 9] = [1, 7, 8, 9, 10, 64, 1_000, 70_000, 2_000_000];

/// Sends what it is given, then no more. A node that has refused already reads none of the rest.
async fn send_all(stream: TcpStream, bytes: Vec<u8>) -> String {
    let (mut from, mut to) = stream.into_split();
    let sending = tokio::spawn(async move {
        let _ = to.write_all(&bytes).await;
        let _ = to.shutdown().await;
    });
    let mut said = Vec::new();
    // A reset instead of an orderly end is an end too.
    let _ = soon("the connection ends", from.read_to_end(&mut said)).await;
    sending.await.unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

/// A seed of its own in each run; the one that failed is in the words of the failure.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one("a seed") | 1
}

#[tokio::test]
async fn random_bytes_are_refused_in_words() {
    let node = node().await;
    let seed = seed();
    let refusals = || node.metrics().refused.iter().map(|(_, count)| count).sum::<u64>();
    for (n, length) in (0_u64..).zip(LENGTHS.into_iter().cycle().take(5 * LENGTHS.len())) {
        let mut bytes = random_bytes(seed.wrapping_add(n << 32), length);
        // Every other one is taken for an actor connection at first.
        bytes[0] = if n % 2 == 0 { bytes[0] | 0x80 } else { bytes[0] & 0x7f };
        let said = send_all(dial(&node).await, bytes).await;
        let words = match (n % 2, length) {
            (1, _) => "this port serves actors only",
            (_, ..8) => "the connection ended during the handshake",
            (_, _) => "not those of an actor connection",
        };
        assert!(said.contains(words), "seed {seed}, {length} bytes: {said}");
        until("it is counted", || refusals() == n + 1).await;
    }
    assert_eq!((node.metrics().opened, node.metrics().received), (0, 0), "seed {seed}");
    is_up(&node).await;
}

#[tokio::test]
async fn random_bytes_after_a_handshake_end_their_connection_only() {
    let node = node().await;
    let seed = seed();
    let cut = || node.metrics().cut.iter().map(|(_, count)| count).sum::<u64>();
    for (n, length) in (0_u64..).zip(LENGTHS.into_iter().cycle().take(3 * LENGTHS.len())) {
        let bytes = random_bytes(seed.wrapping_add(n << 32), length);
        send_all(shake_hands(&node).await, bytes).await;
        let what = format!("seed {seed}, {length} bytes are counted");
        until(&what, || cut() == n + 1 && node.metrics().lost == n + 1).await;
    }
    let (went_in, came_out) = node.metrics().balance();
    assert_eq!(went_in, came_out, "seed {seed}");
    is_up(&node).await;
}

#[tokio::test]
async fn http_on_a_port_of_actors_is_refused_in_words_of_http() {
    let node = node().await;
    let mut stream = dial(&node).await;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let said = last_words(&mut stream).await;
    assert!(
        said.starts_with("HTTP/1.1 400") && said.contains("this port serves actors only"),
        "{said}"
    );
    refused(&node, RefusalKind::NotOurs).await;
}

#[tokio::test]
async fn a_peer_that_never_speaks_is_let_go() {
    let node = Node::start(impatient(listening())).await.unwrap();
    Counter::spawn(&node, "counter");
    let mut silent = dial(&node).await;
    let mut halfway = dial(&node).await;
    halfway.write_all(&MAGIC[..5]).await.unwrap();
    for stream in [&mut silent, &mut halfway] {
        let said = last_words(stream).await;
        assert!(said.contains("no handshake within 1s"), "{said}");
    }
    until("both are counted", || node.metrics().refused_for(RefusalKind::Silent) == 2).await;
    is_up(&node).await;
}

#[tokio::test]
async fn a_hello_that_is_too_long_or_garbled_is_refused() {
    let node = node().await;
    let bad: [(&[u8], &str); 2] =
        [(&[0xff, 0xff], "more than 1024 bytes"), (&[4, 0, 1, 2, 3, 4], "cannot be read")];
    for (bytes, words) in bad {
        let mut stream = dial(&node).await;
        stream.write_all(&[&MAGIC[..], bytes].concat()).await.unwrap();
        let said = last_words(&mut stream).await;
        assert!(said.contains(words), "{said}");
    }
    // And one whose hello is well, but not its proof.
    let mut stream = dial(&node).await;
    stream.write_all(&[&MAGIC[..], &framed(&hello()), &[1, 0, 9]].concat()).await.unwrap();
    let said = last_words(&mut stream).await;
    assert!(said.contains("cannot be read"), "{said}");
    until("all are counted", || node.metrics().refused_for(RefusalKind::Garbled) == 3).await;
    is_up(&node).await;
}

#[tokio::test]
async fn a_peer_of_another_version_is_told_so() {
    let node = node().await;
    let future = NodeConfig { version: 9, oldest_version: 8, ..dialling() };
    let other = Node::start(future).await.unwrap();
    let asked = other.ask(name("counter", &node), Sum, SOON).await.unwrap_err();
    assert!(
        matches!(&asked, AskError::Unreachable(why) if why.contains("no common version")),
        "{asked}"
    );
    refused(&node, RefusalKind::Version).await;
}

#[tokio::test]
async fn wrong_and_missing_secrets_are_told_to_both_sides() {
    let (right, wrong) = (Secret::new(&[b'a'; 32]).unwrap(), Secret::new(&[b'b'; 32]).unwrap());
    let node = Node::start(NodeConfig { secret: Some(right), ..listening() }).await.unwrap();
    Counter::spawn(&node, "counter");
    for (secret, words) in [(Some(wrong), "another cluster secret"), (None, "no cluster secret")] {
        let before = node.metrics();
        let counted = |now: &Metrics, kind| now.refused_for(kind) - before.refused_for(kind) == 1;
        let other = Node::start(NodeConfig { secret, ..dialling() }).await.unwrap();
        let asked = other.ask(name("counter", &node), Sum, SOON).await.unwrap_err();
        assert!(matches!(&asked, AskError::Unreachable(why) if why.contains(words)), "{asked}");
        let both = || {
            let now = node.metrics();
            counted(&now, RefusalKind::Secret) || counted(&now, RefusalKind::ByPeer)
        };
        until("the listening side knows too", both).await;
    }
    is_up(&node).await;
}

#[tokio::test]
async fn broken_frames_end_their_connection_only() {
    let node = node().await;
    let four_gib = [0xff, 0xff, 0xff, 0xff, 1, 3, 0, 0];
    let no_lane = [4, 0, 0, 0, 9, 3, 0, 0];
    let short = [6, 0, 0, 0, 1, 3, 0, 0, 1, 1];
    for (bytes, words) in [(four_gib, "announces"), (no_lane, "lane 9")] {
        let mut stream = shake_hands(&node).await;
        stream.write_all(&bytes).await.unwrap();
        let said = last_words(&mut stream).await;
        assert!(said.contains(words), "{said}");
    }
    let mut stream = shake_hands(&node).await;
    stream.write_all(&short).await.unwrap();
    assert!(last_words(&mut stream).await.contains("ends inside its header"));
    // A frame that never comes to its end, and a peer that leaves in the middle of it.
    let mut stream = shake_hands(&node).await;
    stream.write_all(&[200, 0, 0, 0, 1, 3, 0, 0, 1]).await.unwrap();
    drop(stream);
    until("all are gone", || node.metrics().lost == 4).await;
    let now = node.metrics();
    assert_eq!((now.cut_for(CutKind::Protocol), now.cut_for(CutKind::Truncated)), (3, 1));
    let (went_in, came_out) = now.balance();
    assert_eq!(went_in, came_out, "what broke its connection is accounted for");
    is_up(&node).await;
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_cut_in_words() {
    let mut config = listening();
    config.timing.silence = std::time::Duration::from_millis(300);
    let node = Node::start(config).await.unwrap();
    Counter::spawn(&node, "counter");
    let mut stream = shake_hands(&node).await;
    let said = last_words(&mut stream).await;
    assert!(said.contains("the peer has been silent for 300ms"), "{said}");
    until("it is counted", || node.metrics().cut_for(CutKind::Silent) == 1).await;
    is_up(&node).await;
}

/// A node with room for one connection, and the other side of that one.
async fn full() -> (Node, Node) {
    let mut config = listening();
    config.limits.connections = 1;
    let node = Node::start(config).await.unwrap();
    Counter::spawn(&node, "counter");
    let first = Node::start(dialling()).await.unwrap();
    assert_eq!(first.ask(name("counter", &node), Sum, SOON).await.unwrap().0, 0);
    (node, first)
}

#[tokio::test]
async fn one_connection_too_many_is_turned_away_in_words() {
    let (node, first) = full().await;
    let second = Node::start(dialling()).await.unwrap();
    let asked = second.ask(name("counter", &node), Sum, SOON).await.unwrap_err();
    let words = "more than 1 connections";
    assert!(matches!(&asked, AskError::Unreachable(why) if why.contains(words)), "{asked}");
    until("it is counted", || node.metrics().refused_for(RefusalKind::TooMany) == 1).await;
    assert_eq!(first.ask(name("counter", &node), Sum, SOON).await.unwrap().0, 0);
    first.shutdown().await;
    until("there is room again", || node.metrics().connections == 0).await;
    is_up(&node).await;
}

#[tokio::test]
async fn who_dials_something_else_is_told_what_it_met() {
    let here = Node::start(impatient(dialling())).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at: libactor::Name = format!("x@{}", listener.local_addr().unwrap()).parse().unwrap();
    let met: [(&[u8], &str, RefusalKind); 3] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not those of an actor", RefusalKind::NotOurs),
        (&[&MAGIC[..], &[0xff, 0xff]].concat(), "more than 1024 bytes", RefusalKind::Garbled),
        (&[], "no handshake within 1s", RefusalKind::Silent),
    ];
    for (bytes, words, kind) in met {
        let asking = tokio::spawn(here.ask(&at, Sum, SOON));
        let (mut stream, _) = soon("it dials", listener.accept()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let asked = soon("it is told", asking).await.unwrap().unwrap_err();
        assert!(matches!(&asked, AskError::Unreachable(why) if why.contains(words)), "{asked}");
        assert_eq!(here.metrics().refused_for(kind), 1);
    }
}

#[tokio::test]
async fn those_who_say_nothing_or_half_a_request_take_no_more_room_than_connections_have() {
    let mut config = listening();
    config.limits.connections = 2;
    config.foreign = Some(libactor::http::pages("{}".to_owned(), |_, _| None));
    let node = Node::start(config).await.unwrap();
    Counter::spawn(&node, "counter");
    let mut slow = [(dial(&node).await, "no handshake within"), (dial(&node).await, "408")];
    slow[1].0.write_all(b"GET /hea").await.unwrap();
    let others: [(&[u8], &str); 3] = [
        (&MAGIC, "irside"),
        // More than is read at once: it is still told.
        (&[b'G'; 4000], "HTTP/1.1 503 Service Unavailable\r\n"),
        (b"", "irside"),
    ];
    for (refused, (bytes, words)) in (1..).zip(others) {
        let mut stream = dial(&node).await;
        stream.write_all(bytes).await.unwrap();
        let said = last_words(&mut stream).await;
        assert!(said.contains(words) && said.contains("more than 2 connections"), "{said}");
        assert_eq!(node.metrics().refused_for(RefusalKind::TooMany), refused);
    }
    for (stream, words) in &mut slow {
        let said = last_words(stream).await;
        assert!(said.contains(*words), "{said}");
    }
    drop(slow);
    let room = || async {
        let other = Node::start(dialling()).await.unwrap();
        other.ask(name("counter", &node), Sum, SOON).await.is_ok()
    };
    soon("there is room again", async { while !room().await {} }).await;
}

#[tokio::test]
async fn to_turn_many_away_takes_no_more_room_than_connections_have() {
    let (node, first) = full().await;
    let closed_without_a_word = async {
        loop {
            // One of them is listened to, and would hear why.
            let (mut one, mut other) = (dial(&node).await, dial(&node).await);
            let words = [last_words(&mut other).await, last_words(&mut one).await];
            if words.iter().any(String::is_empty) {
                break;
            }
        }
    };
    soon("one hears nothing", closed_without_a_word).await;
    assert_eq!(first.ask(name("counter", &node), Sum, SOON).await.unwrap().0, 0);
    first.shutdown().await;
    until("there is room again", || node.metrics().connections == 0).await;
    is_up(&node).await;
}
