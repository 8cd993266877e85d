//! Between two nodes over loopback, beside raw tokio with the same bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use actix::{Actor, Handler};
use bincode::Options;
use bytes::{Buf, BytesMut};
use libactor::{
    Accepts, Asked, Blob, Context, Lane, Message, Node, NodeConfig, Pid, Question, Received, Spawn,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::local::{Number, on_thread};
use crate::table::{Side, Table};

const ROUNDS: usize = 9;
const BURST: u64 = 100_000;
const WINDOW: u64 = 1024;
/// Rounds of asks until the cores are awake.
const AWAKE: usize = 10;
const WAIT: Duration = Duration::from_secs(60);
/// Frame and message header of ours: the reference carries as much.
const HEAD: usize = 8 + 108;

/// About 209 bytes: four ids, a uuid, a label.
#[derive(Clone, Serialize, Deserialize)]
struct Update {
    task: String,
    agent: String,
    framework: String,
    executor: String,
    uuid: [u8; 16],
    label: String,
    state: u32,
    at: u64,
}

impl Message for Update {
    const NAME: &'static str = "bench.Update";
}

impl Question for Update {
    type Answer = Number;
}

#[derive(Clone, Serialize, Deserialize)]
struct Bulk(Blob);

impl Message for Bulk {
    const NAME: &'static str = "bench.Bulk";
    const LANE: Lane = Lane::Bulk;
}

fn update() -> Update {
    Update {
        task: "task-0123456789abcdef-0001".to_owned(),
        agent: "agent-0123456789abcdef-0001".to_owned(),
        framework: "framework-0123456789-0001".to_owned(),
        executor: "executor-0123456789-0001".to_owned(),
        uuid: [7; 16],
        label: "running on behalf of a bench".to_owned(),
        state: 3,
        at: 1_700_000_000,
    }
}

struct Sink {
    count: u64,
    seen: Arc<AtomicU64>,
    every: Arc<Notify>,
}

impl Actor for Sink {
    type Context = Context<Self>;
}

impl Handler<Received<Update>> for Sink {
    type Result = ();
    fn handle(&mut self, received: Received<Update>, _: &mut Context<Self>) {
        std::hint::black_box(&received.message);
        self.count += 1;
        self.seen.store(self.count, Relaxed);
        if self.count.is_multiple_of(64) {
            self.every.notify_one();
        }
    }
}

impl Handler<Received<Bulk>> for Sink {
    type Result = ();
    fn handle(&mut self, received: Received<Bulk>, _: &mut Context<Self>) {
        std::hint::black_box(&received.message);
    }
}

impl Handler<Asked<Update>> for Sink {
    type Result = ();
    fn handle(&mut self, asked: Asked<Update>, _: &mut Context<Self>) {
        asked.reply.send(Number(asked.question.at));
    }
}

struct Pair {
    here: Node,
    there: Node,
    pid: Pid,
    seen: Arc<AtomicU64>,
    every: Arc<Notify>,
}

async fn pair() -> Pair {
    let config = || NodeConfig { threads: 1, record: false, ..NodeConfig::loopback() };
    let there = Node::start(config()).await.unwrap();
    let here = Node::start(NodeConfig { listen: None, ..config() }).await.unwrap();
    let (seen, every) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let (mine, bell) = (Arc::clone(&seen), Arc::clone(&every));
    let accepts = Accepts::new().tells::<Update>().tells::<Bulk>().asks::<Update>();
    let make = move |_: &mut Context<Sink>| Sink { count: 0, seen: mine, every: bell };
    there.spawn(Spawn::named("sink").accepts(accepts), make).unwrap();
    let name = format!("sink@{}", there.address().unwrap()).parse().unwrap();
    let pid = here.resolve(&name, WAIT).await.unwrap();
    Pair { here, there, pid, seen, every }
}

impl Pair {
    /// Sends a burst from an actor's thread, `window` of it at most under way; messages a second until the last is
    /// handled.
    async fn burst(&self, window: u64) -> f64 {
        let (node, pid) = (self.here.clone(), self.pid);
        let (seen, every) = (Arc::clone(&self.seen), Arc::clone(&self.every));
        on_thread(&self.here, move || async move {
            let base = seen.load(Relaxed);
            let message = update();
            let begun = Instant::now();
            let mut sent = 0;
            while sent < BURST {
                let under_way = sent - (seen.load(Relaxed) - base);
                if under_way < window {
                    if node.tell(pid, message.clone()).is_err() {
                        // As the reference waits in its write.
                        node.tell_when_room(pid, message.clone()).await.unwrap();
                    }
                    sent += 1;
                    // As handlers end, so that the connection gets its turn.
                    if sent % 256 == 0 {
                        tokio::task::yield_now().await;
                    }
                } else {
                    // A bell is rung every 64 messages; credit comes back without one.
                    let _ = tokio::time::timeout(Duration::from_millis(1), every.notified()).await;
                }
            }
            while seen.load(Relaxed) < base + BURST {
                tokio::task::yield_now().await;
            }
            BURST as f64 / begun.elapsed().as_secs_f64()
        })
        .await
    }
}

/// The reference: one connection, whole batches, decoded and counted on a thread of its own.
struct Raw {
    stream: TcpStream,
    seen: Arc<AtomicU64>,
    every: Arc<Notify>,
}

fn codec() -> impl Options + Copy {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(1 << 20)
        .reject_trailing_bytes()
}

fn encode_raw<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    bincode::DefaultOptions::new().with_fixint_encoding().serialize_into(&mut *out, value).unwrap();
    let length = u32::try_from(out.len() - start - 4).unwrap();
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// The next message in a buffer.
fn next_raw<T: for<'de> Deserialize<'de>>(buffer: &mut BytesMut) -> Option<T> {
    let whole = u32::from_le_bytes(*buffer.first_chunk::<4>()?) as usize + 4;
    let frame = buffer.get(..whole)?;
    let value = codec().deserialize(&frame[HEAD..]).unwrap();
    buffer.advance(whole);
    Some(value)
}

async fn raw() -> Raw {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, every) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let (mine, bell) = (Arc::clone(&seen), Arc::clone(&every));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            listener.set_nonblocking(true).unwrap();
            let (mut stream, _) = TcpListener::from_std(listener).unwrap().accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (mut buffer, mut count) = (BytesMut::with_capacity(1 << 17), 0);
            let mut answer = Vec::new();
            loop {
                while let Some(update) = next_raw::<Update>(&mut buffer) {
                    if update.state == 4 {
                        answer.clear();
                        encode_raw(&Number(update.at), &mut answer);
                        stream.write_all(&answer).await.unwrap();
                        continue;
                    }
                    std::hint::black_box(&update);
                    count += 1;
                    mine.store(count, Relaxed);
                    if count % 64 == 0 {
                        bell.notify_one();
                    }
                }
                buffer.reserve(64 << 10);
                if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                    return;
                }
            }
        });
    });
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Raw { stream, seen, every }
}

impl Raw {
    async fn burst(&mut self, window: u64) -> f64 {
        let base = self.seen.load(Relaxed);
        let message = update();
        let mut batch = Vec::with_capacity(1 << 17);
        let begun = Instant::now();
        let mut sent = 0;
        while sent < BURST {
            let room = window.min(BURST - sent + (self.seen.load(Relaxed) - base));
            let under_way = sent - (self.seen.load(Relaxed) - base);
            for _ in under_way..room {
                encode_raw(&message.clone(), &mut batch);
                sent += 1;
                if batch.len() >= 64 << 10 || sent == BURST {
                    break;
                }
            }
            if batch.is_empty() {
                self.every.notified().await;
                continue;
            }
            self.stream.write_all(&batch).await.unwrap();
            batch.clear();
        }
        while self.seen.load(Relaxed) < base + BURST {
            tokio::task::yield_now().await;
        }
        BURST as f64 / begun.elapsed().as_secs_f64()
    }

    async fn ask(&mut self, buffer: &mut BytesMut, batch: &mut Vec<u8>) {
        batch.clear();
        encode_raw(&Update { state: 4, ..update() }, batch);
        self.stream.write_all(batch).await.unwrap();
        loop {
            if let Some(Number(at)) = next_raw(buffer) {
                assert_eq!(at, update().at);
                return;
            }
            self.stream.read_buf(buffer).await.unwrap();
        }
    }
}

/// The rows of a part, or of all.
pub async fn run(table: &mut Table, wanted: impl Fn(&str) -> bool) {
    let ours = pair().await;
    let mut theirs = raw().await;
    for (row, window) in [("remote_oneway", u64::MAX), ("remote_oneway_sliding", WINDOW)] {
        if !wanted("oneway") {
            continue;
        }
        let mut sides = (Side::new(), Side::new());
        for _ in 0..ROUNDS {
            sides.0.add(ours.burst(window).await);
            sides.1.add(theirs.burst(window).await);
        }
        table.rate(row, "1/s", &sides.0, "raw tokio, 64 KiB batches", &sides.1);
    }
    if wanted("asks") {
        asks(table, &ours, &mut theirs).await;
    }
    if wanted("bulk") {
        control_beside_bulk(table, &ours).await;
    }
    ours.here.shutdown().await;
    ours.there.shutdown().await;
}

/// Both sides ask from where their connection is read: an actor on the node's thread, a task on its runtime. The first
/// rounds of both do not count: until cores that have slept are awake, a round trip takes several times as long, and
/// whoever is first would pay for it.
async fn asks(table: &mut Table, ours: &Pair, theirs: &mut Raw) {
    let (mut buffer, mut batch) = (BytesMut::with_capacity(4096), Vec::new());
    let mut sides = (Side::new(), Side::new());
    for round in 0..AWAKE + 20 {
        if round == AWAKE {
            sides = (Side::new(), Side::new());
        }
        let (node, pid) = (ours.here.clone(), ours.pid);
        let times = on_thread(&ours.here, move || async move {
            let mut times = Vec::new();
            for _ in 0..500 {
                let begun = Instant::now();
                node.ask(pid, update(), WAIT).await.unwrap();
                times.push(micros(begun));
            }
            times
        });
        times.await.into_iter().for_each(|time| sides.0.add(time));
        for _ in 0..500 {
            let begun = Instant::now();
            theirs.ask(&mut buffer, &mut batch).await;
            sides.1.add(micros(begun));
        }
    }
    for (row, percent) in [("remote_ask_p50", 50), ("remote_ask_p99", 99)] {
        let (mut our, mut their) = (Side::new(), Side::new());
        our.add(sides.0.percentile(percent));
        their.add(sides.1.percentile(percent));
        table.time(row, "us", &our, "raw tokio, bincode both ways", &their);
    }
}

fn micros(begun: Instant) -> f64 {
    begun.elapsed().as_nanos() as f64 / 1000.0
}

/// The control lane beside bulk: resolving a name goes there and back on it, as a heartbeat does.
async fn control_beside_bulk(table: &mut Table, ours: &Pair) {
    let (times, _) =
        beside(ours, 4 << 20, |begun, _| begun.elapsed() >= Duration::from_secs(4)).await;
    table.plain("control_p99_beside_bulk", "ms", times.percentile(99), "4 MiB messages");
    const PIECE: usize = 1 << 20;
    let (times, sent) = beside(ours, PIECE, |_, sent| sent >= (1 << 30) / PIECE as u64).await;
    let what = format!("heartbeat there and back, {} MiB beside it", (sent * PIECE as u64) >> 20);
    table.plain("heartbeat_p99_beside_1gib", "ms", times.percentile(99), &what);
    for node in [&ours.here, &ours.there] {
        assert_eq!(node.metrics().lost, 0, "a link went down");
    }
}

/// Round trips on the control lane, in ms, beside pieces of bulk until it is enough; and how many pieces were sent.
async fn beside(
    ours: &Pair,
    piece: usize,
    enough: impl Fn(Instant, u64) -> bool + Send + 'static,
) -> (Side, u64) {
    let name = format!("sink@{}", ours.there.address().unwrap()).parse().unwrap();
    let (node, pid) = (ours.here.clone(), ours.pid);
    // On a thread of its own: what is measured is the connection, not who fills it.
    let stream = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let (piece, begun, mut sent) = (Bulk(Blob(vec![1; piece])), Instant::now(), 0);
            while !enough(begun, sent) {
                node.tell_when_room(pid, piece.clone()).await.unwrap();
                sent += 1;
            }
            sent
        })
    });
    let mut times = Side::new();
    while !stream.is_finished() {
        let asked = Instant::now();
        ours.here.resolve(&name, WAIT).await.unwrap();
        times.add(asked.elapsed().as_nanos() as f64 / 1e6);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (times, stream.join().unwrap())
}
