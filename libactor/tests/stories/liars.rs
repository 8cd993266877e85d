//! Peers that speak for others: what they say goes no further, is counted, and they are told.

use libactor::session::Hello;
use libactor::wire::{self, Kind};
use libactor::{AskError, Down, DownReason, DropReason, Node, Pid};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bad_peers::{hello, is_up, last_words, node, shake_hands, shake_hands_as};
use crate::cast::*;

/// Node, incarnation, actor.
type Life = [u64; 3];
const PEER: Life = [77, 78, 1];
const STRANGER: Life = [7, 8, 9];

fn life(pid: Pid) -> Life {
    [u64::from_str_radix(&pid.node().to_string(), 16).unwrap(), pid.incarnation(), pid.actor()]
}

/// The statements of runtimes, in the order of the page.
#[derive(Serialize)]
#[allow(dead_code, reason = "only their places count")]
enum Said {
    Heartbeat([u64; 2]),
    Goodbye(String, [u64; 2]),
    Link(Life, Life),
    Unlink(Life, Life),
    Down(Life, Life, DownReason),
    Credit(Life, Life, u8, u32),
    Undelivered(Life, Life, u32),
    Failed(u32),
}

/// One message as the page describes it, in one frame.
struct Letter {
    kind: Kind,
    lane: u8,
    relayed: bool,
    to: Life,
    sender: Life,
    tag: u64,
    ask: u64,
    payload: Vec<u8>,
}

impl Letter {
    fn of<T: Serialize>(kind: Kind, to: Life, sender: Life, tag: &str, value: &T) -> Self {
        let (lane, payload) = (u8::from(kind != Kind::Control), wire::encode(value, 1000).unwrap());
        let tag = if tag.is_empty() { 0 } else { wire::tag(tag) };
        Self { kind, lane, relayed: false, to, sender, tag, ask: 0, payload }
    }

    fn said(to: Life, sender: Life, said: &Said) -> Self {
        Self::of(Kind::Control, to, [sender[0], sender[1], 0], "", said)
    }

    fn bytes(&self) -> Vec<u8> {
        let kind = match self.kind {
            Kind::Tell => 1,
            Kind::Ask => 2,
            Kind::Answer => 3,
            Kind::Control => 4,
        };
        let mut message = vec![kind, u8::from(self.relayed), 0, 0];
        let [trace, order] = [[1_u64, 0, 2, 0], [0; 4]];
        let words = self.to.iter().chain(&trace).chain(&order[..1]).chain(&self.sender);
        message.extend(words.flat_map(|word| word.to_le_bytes()));
        message.extend([self.tag, self.ask].into_iter().flat_map(u64::to_le_bytes));
        assert_eq!(message.len(), wire::MESSAGE_HEADER);
        message.extend(&self.payload);
        let length = u32::try_from(message.len() + 4).unwrap();
        [&length.to_le_bytes()[..], &[self.lane, 3, 0, 0], &message].concat()
    }

    async fn go(&self, stream: &mut TcpStream) {
        stream.write_all(&self.bytes()).await.unwrap();
    }
}

/// Reads until these bytes came.
async fn told(stream: &mut TcpStream, words: &[u8]) {
    let mut heard = Vec::new();
    while !heard.windows(words.len()).any(|its| its == words) {
        let read = soon("words", stream.read_buf(&mut heard)).await.unwrap();
        assert!(read > 0, "the connection lives");
    }
}

#[tokio::test]
async fn who_was_not_asked_ends_no_ask() {
    let (there, here) = (node().await, node().await);
    let counter = there.local("counter").unwrap();
    let asking = tokio::spawn(here.ask(counter, Forever, SOON));
    here.ask(counter, Sum, SOON).await.unwrap();
    let mut liar = shake_hands(&here).await;
    let to = life(here.local("counter").unwrap());
    for ask in 0..5 {
        // As itself, and as the node that was asked.
        for sender in [PEER, life(counter)] {
            let answer = Letter::of(Kind::Answer, to, sender, "story.Number", &Number(666));
            Letter { ask, ..answer }.go(&mut liar).await;
            let failed = Letter::said(to, sender, &Said::Failed(0));
            Letter { ask, ..failed }.go(&mut liar).await;
        }
    }
    // Of ten answers five name another sender, and of the other five one is for an ask that waits.
    until("all are refused", || here.metrics().dropped_for(DropReason::Stranger) == 6).await;
    until("statements too", || here.metrics().statements_refused == 6).await;
    assert!(!asking.is_finished());
    there.shutdown().await;
    assert!(matches!(asking.await.unwrap(), Err(AskError::Down(_))));
    is_up(&here).await;
}

#[tokio::test]
async fn only_the_node_of_an_actor_says_that_it_has_ended_and_only_a_watcher_looks_away() {
    let (there, here) = (node().await, node().await);
    let pid = there.local("counter").unwrap();
    let own = here.local("counter").unwrap();
    let (watcher, mut downs) = watch(&here, pid).await;
    let (beside, mut own_downs) = watch(&here, own).await;
    here.ask(pid, Sum, SOON).await.unwrap();
    let (mut to_here, mut to_there) = (shake_hands(&here).await, shake_hands(&there).await);
    for (watcher, target) in [(life(watcher.pid()), life(pid)), (life(beside.pid()), life(own))] {
        let down = Said::Down(watcher, target, DownReason::Stopped);
        Letter::said(watcher, PEER, &down).go(&mut to_here).await;
    }
    let (watching, target) = (life(watcher.pid()), life(pid));
    Letter::said(target, PEER, &Said::Unlink(watching, target)).go(&mut to_there).await;
    Letter::said(target, watching, &Said::Unlink(watching, target)).go(&mut to_there).await;
    Letter::said(target, PEER, &Said::Link(STRANGER, target)).go(&mut to_there).await;
    until("lies about ends", || here.metrics().statements_refused == 2).await;
    until("lies about watchers", || there.metrics().statements_refused == 3).await;
    assert!(downs.try_recv().is_err() && own_downs.try_recv().is_err());
    there.shutdown().await;
    assert_eq!(
        soon("the truth", downs.recv()).await.unwrap(),
        Down { pid, reason: DownReason::Stopped }
    );
}

#[tokio::test]
async fn a_sender_of_another_node_is_refused_unless_its_relay_brings_it() {
    let node = Node::start(listening()).await.unwrap();
    let (counter, mut hears) = Counter::heard_by(&node, "counter");
    let to = life(counter.pid());
    let tell = |sender| Letter::of(Kind::Tell, to, sender, "story.Number", &Number(5));
    let mut liar = shake_hands(&node).await;
    tell(STRANGER).go(&mut liar).await;
    // `Undelivered`, for this sender.
    told(&mut liar, &[&6_u32.to_le_bytes()[..], &STRANGER.map(u64::to_le_bytes).concat()].concat())
        .await;
    let ask = Letter::of(Kind::Ask, to, STRANGER, "story.Sum", &Sum);
    Letter { ask: 4, ..ask }.go(&mut liar).await;
    told(&mut liar, b"the sender is not of the peer's node").await;
    Letter { relayed: true, ..tell(STRANGER) }.go(&mut liar).await;
    until("it listens nowhere", || node.metrics().dropped_for(DropReason::Stranger) == 3).await;
    tell(PEER).go(&mut liar).await;
    let (number, from) = soon("its own", hears.recv()).await.unwrap();
    assert_eq!((number, life(from.unwrap())), (5, PEER), "the liar may still speak for itself");

    let listens = Hello { advertise: node.address(), ..hello() };
    let mut relay = shake_hands_as(&node, &listens).await;
    Letter { relayed: true, ..tell(STRANGER) }.go(&mut relay).await;
    let (_, from) = soon("one behind the relay", hears.recv()).await.unwrap();
    assert_eq!(life(from.unwrap()), STRANGER);
    Letter { relayed: true, ..tell(to) }.go(&mut relay).await;
    until("our own words", || node.metrics().dropped_for(DropReason::Stranger) == 4).await;
    let (went_in, came_out) = node.metrics().balance();
    assert_eq!(went_in, came_out);
    is_up_with(&node).await;
}

/// It still serves others, and has counted what it was told.
async fn is_up_with(node: &Node) {
    let other = Node::start(dialling()).await.unwrap();
    assert_eq!(other.ask(name("counter", node), Sum, SOON).await.unwrap().0, 2);
}

#[tokio::test]
async fn a_statement_on_a_lane_of_users_and_a_message_on_the_control_lane_end_their_connection() {
    let node = node().await;
    let to = life(node.local("counter").unwrap());
    let heartbeat = Letter::said(to, PEER, &Said::Heartbeat([0, 0]));
    let tell = Letter::of(Kind::Tell, to, PEER, "story.Number", &Number(5));
    let wrong = [
        (Letter { lane: 1, ..heartbeat }, "kind Control on the normal lane"),
        (Letter { lane: 0, ..tell }, "kind Tell on the control lane"),
    ];
    for (letter, words) in wrong {
        let mut stream = shake_hands(&node).await;
        letter.go(&mut stream).await;
        let said = last_words(&mut stream).await;
        assert!(said.contains(words), "{said}");
    }
    until("both are cut", || node.metrics().cut_for(libactor::CutKind::Protocol) == 2).await;
    let (went_in, came_out) = node.metrics().balance();
    assert_eq!(went_in, came_out);
    is_up(&node).await;
}

/// What a later version says, or damage: nobody can tell the two apart.
#[tokio::test]
async fn what_cannot_be_read_is_dropped_and_told_and_the_connection_lives() {
    let node = Node::start(listening()).await.unwrap();
    let (counter, mut hears) = Counter::heard_by(&node, "counter");
    let to = life(counter.pid());
    let tell = |payload| {
        let letter = Letter::of(Kind::Tell, to, PEER, "story.Number", &Number(5));
        Letter { payload, ..letter }
    };
    let mut peer = shake_hands(&node).await;
    let dropped = || node.metrics().dropped_for(DropReason::UnknownVariant);
    for (sofar, payload) in (1_u64..).zip([vec![], vec![5; 7], vec![5; 9]]) {
        tell(payload).go(&mut peer).await;
        until("it is dropped", || dropped() == sofar).await;
    }
    // `Undelivered`, to this sender.
    told(&mut peer, &[&6_u32.to_le_bytes()[..], &PEER.map(u64::to_le_bytes).concat()].concat())
        .await;
    let ask = Letter::of(Kind::Ask, to, PEER, "story.Sum", &Sum);
    Letter { payload: vec![1], ask: 4, ..ask }.go(&mut peer).await;
    // `Failed`, because it is refused.
    told(&mut peer, &[7, 0, 0, 0, 4, 0, 0, 0]).await;
    // A kind and a statement that are not there yet.
    let mut unknown = tell(vec![]).bytes();
    unknown[8] = 9;
    peer.write_all(&unknown).await.unwrap();
    Letter::of(Kind::Control, to, [PEER[0], PEER[1], 0], "", &99_u32).go(&mut peer).await;
    Letter::of(Kind::Tell, to, PEER, "story.Number", &Number(5)).go(&mut peer).await;
    let (number, _) = soon("what can be read", hears.recv()).await.unwrap();
    assert_eq!((number, dropped()), (5, 5));
    let now = node.metrics();
    assert_eq!((now.opened, now.lost, now.statements_refused), (1, 0, 0));
    // It was heard in its handler, which may not have returned.
    until("all is accounted for", || {
        let (went_in, came_out) = node.metrics().balance();
        went_in == came_out
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_a_relay_has_no_room_for_fails_its_ask_and_is_told_to_both_sides() {
    let mut config = listening();
    config.limits.buffer = 64 << 10;
    let relay = Node::start(config).await.unwrap();
    let behind = Node::start(dialling()).await.unwrap();
    Counter::spawn(&relay, "counter");
    let far = Counter::spawn(&behind, "far").pid();
    behind.ask(name("counter", &relay), Sum, SOON).await.unwrap();
    let mut asker = shake_hands(&relay).await;
    let ask = Letter::of(Kind::Ask, life(far), PEER, "story.Much", &Much).bytes();
    asker.write_all(&ask.repeat(30)).await.unwrap();
    let dropped = || relay.metrics().dropped_for(DropReason::RelayFull);
    until("the relay has no room", || dropped() > 0).await;
    let told_to = || behind.metrics().undelivered.clone();
    let count = |all: Vec<(DropReason, u64)>| all.iter().map(|(_, count)| count).sum::<u64>();
    until("who answered is told", || count(told_to()) > 0).await;
    // `Failed`, because of `Full`.
    told(&mut asker, &[7, 0, 0, 0, 2, 0, 0, 0]).await;
    is_up(&relay).await;
}
