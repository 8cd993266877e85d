//! Within one process: tells, asks, four senders, and what the recorder adds.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::Instant;

use actix::{Actor, Addr, Handler};
use libactor::{Asked, Context, Handle, Message, Node, NodeConfig, Question, Received, Spawn};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::table::{Side, Table};

const ROUNDS: usize = 401;
const TELLS: u64 = 1024;
const ASKS: u64 = 1000;

/// 32 bytes, as in the limits measured before.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Small([u64; 4]);

impl Message for Small {
    const NAME: &'static str = "bench.Small";
}

impl actix::Message for Small {
    type Result = ();
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Count;

impl Message for Count {
    const NAME: &'static str = "bench.Count";
}

impl Question for Count {
    type Answer = Number;
}

impl actix::Message for Count {
    type Result = u64;
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Number(pub u64);

impl Message for Number {
    const NAME: &'static str = "bench.Number";
}

/// Ours.
#[derive(Default)]
pub struct Counter(u64, Arc<AtomicU64>);

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Received<Small>> for Counter {
    type Result = ();
    fn handle(&mut self, received: Received<Small>, _: &mut Context<Self>) {
        self.0 = self.0.wrapping_add(received.message.0[0]);
        self.1.store(self.0, Relaxed);
    }
}

impl Handler<Asked<Count>> for Counter {
    type Result = ();
    fn handle(&mut self, asked: Asked<Count>, _: &mut Context<Self>) {
        asked.reply.send(Number(self.0));
    }
}

/// The same on bare actix.
#[derive(Default)]
struct Bare(u64, Arc<AtomicU64>);

impl Actor for Bare {
    type Context = actix::Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(4096);
    }
}

impl Handler<Small> for Bare {
    type Result = ();
    fn handle(&mut self, small: Small, _: &mut actix::Context<Self>) {
        self.0 = self.0.wrapping_add(small.0[0]);
        self.1.store(self.0, Relaxed);
    }
}

impl Handler<Count> for Bare {
    type Result = u64;
    fn handle(&mut self, _: Count, _: &mut actix::Context<Self>) -> u64 {
        self.0
    }
}

/// Runs a future on the node's one thread.
struct Driver;

impl Actor for Driver {
    type Context = Context<Self>;
}

pub async fn on_thread<F: Future<Output = R> + 'static, R: Send + 'static>(
    node: &Node,
    make: impl FnOnce() -> F + Send + 'static,
) -> R {
    let (done, result) = oneshot::channel();
    let spawned = node.spawn(Spawn::default(), |ctx: &mut Context<Driver>| {
        ctx.run(make(), move |_, output, _| {
            let _ = done.send(output);
        });
        Driver
    });
    drop(spawned.unwrap());
    result.await.unwrap()
}

async fn tells(handle: &Handle<Counter>) -> f64 {
    let begun = Instant::now();
    for _ in 0..TELLS {
        handle.tell(Small([1; 4])).unwrap();
    }
    handle.ask(Count).await.unwrap();
    begun.elapsed().as_nanos() as f64 / TELLS as f64
}

async fn bare_tells(bare: &Addr<Bare>) -> f64 {
    let begun = Instant::now();
    for _ in 0..TELLS {
        bare.do_send(Small([1; 4]));
    }
    bare.send(Count).await.unwrap();
    begun.elapsed().as_nanos() as f64 / TELLS as f64
}

async fn asks(handle: &Handle<Counter>) -> f64 {
    let begun = Instant::now();
    for _ in 0..ASKS {
        handle.ask(Count).await.unwrap();
    }
    begun.elapsed().as_nanos() as f64 / ASKS as f64
}

async fn bare_asks(bare: &Addr<Bare>) -> f64 {
    let begun = Instant::now();
    for _ in 0..ASKS {
        bare.send(Count).await.unwrap();
    }
    begun.elapsed().as_nanos() as f64 / ASKS as f64
}

/// One side of a row, to be run alone.
#[derive(Clone, Copy)]
pub enum Case {
    Tell,
    BareTell,
    Ask,
    BareAsk,
}

/// Messages of one round.
pub fn messages_of(case: Case) -> u64 {
    match case {
        Case::Tell | Case::BareTell => TELLS,
        Case::Ask | Case::BareAsk => ASKS,
    }
}

/// Rounds of one case only, from where the rows are measured too.
pub async fn rounds_of(case: Case, rounds: u64) {
    let (node, counter) = node(false).await;
    on_thread(&node, move || async move {
        let bare = Bare::default().start();
        for _ in 0..rounds {
            match case {
                Case::Tell => tells(&counter).await,
                Case::BareTell => bare_tells(&bare).await,
                Case::Ask => asks(&counter).await,
                Case::BareAsk => bare_asks(&bare).await,
            };
        }
    })
    .await;
    node.shutdown().await;
}

async fn node(record: bool) -> (Node, Handle<Counter>) {
    let node =
        Node::start(NodeConfig { threads: 1, record, ..NodeConfig::default() }).await.unwrap();
    let counter = node.spawn(Spawn::default(), |_| Counter::default()).unwrap();
    (node, counter)
}

pub async fn run(table: &mut Table) {
    let (off, counter) = node(false).await;
    let mine = counter.clone();
    let (ours, bare, ours_asks, bare_asks) = on_thread(&off, move || async move {
        let bare = Bare::default().start();
        let mut sides = (Side::new(), Side::new(), Side::new(), Side::new());
        for _ in 0..ROUNDS {
            sides.0.add(tells(&mine).await);
            sides.1.add(bare_tells(&bare).await);
            sides.2.add(asks(&mine).await);
            sides.3.add(bare_asks(&bare).await);
        }
        sides
    })
    .await;
    table.time("local_tell", "ns", &ours, "actix do_send", &bare);
    table.time("local_ask", "ns", &ours_asks, "actix send", &bare_asks);

    let (on, recorded) = node(true).await;
    // Until the ring has been filled once: a page touched for the first time is no cost of recording.
    let warm = recorded.clone();
    on_thread(&on, move || async move {
        for _ in 0..100 {
            tells(&warm).await;
        }
    })
    .await;
    let mut sides = (Side::new(), Side::new());
    for _ in 0..ROUNDS {
        let (with, without) = (recorded.clone(), counter.clone());
        sides.0.add(on_thread(&on, move || async move { tells(&with).await }).await);
        sides.1.add(on_thread(&off, move || async move { tells(&without).await }).await);
    }
    let added = sides.0.least() - sides.1.least();
    table.time("local_tell_recorded", "ns", &sides.0, "recorder off", &sides.1);
    table.plain("recorder_added", "ns", added, "a local tell, recorder on less recorder off");
    let share = added.max(0.0) * 100_000.0 / 1e9;
    table.plain(
        "recorder_cpu_100k",
        "share",
        share,
        "of a core, at 100,000 messages/s: from the row above",
    );
    off.shutdown().await;
    on.shutdown().await;
}

/// Four threads that send, round for round, to one actor on a fifth.
pub async fn fan_in(table: &mut Table) {
    const EACH: u64 = 1000;
    let node = Node::start(NodeConfig { threads: 1, record: false, ..NodeConfig::default() })
        .await
        .unwrap();
    let (seen, bare_seen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counts = Arc::clone(&seen);
    let ours = node.spawn(Spawn::default(), |_| Counter(0, counts)).unwrap();
    let counts = Arc::clone(&bare_seen);
    let bare = on_thread(&node, move || async move { Bare(0, counts).start() }).await;
    let (ready, set) = (Arc::new(Barrier::new(5)), Arc::new(Barrier::new(5)));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (ours, bare, ready, set) =
                (ours.clone(), bare.clone(), Arc::clone(&ready), Arc::clone(&set));
            std::thread::spawn(move || {
                for _ in 0..ROUNDS {
                    ready.wait();
                    for _ in 0..EACH {
                        while ours.tell(Small([1; 4])).is_err() {
                            std::hint::spin_loop();
                        }
                    }
                    set.wait();
                    ready.wait();
                    for _ in 0..EACH {
                        bare.do_send(Small([1; 4]));
                    }
                    set.wait();
                }
            })
        })
        .collect();
    let round = |seen: &AtomicU64| {
        let wanted = seen.load(Relaxed) + 4 * EACH;
        let begun = Instant::now();
        ready.wait();
        while seen.load(Relaxed) < wanted {
            std::thread::yield_now();
        }
        let took = begun.elapsed().as_nanos() as f64 / (4 * EACH) as f64;
        set.wait();
        took
    };
    let mut sides = (Side::new(), Side::new());
    for _ in 0..ROUNDS {
        sides.0.add(round(&seen));
        sides.1.add(round(&bare_seen));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    table.time("local_fanin4", "ns", &sides.0, "actix do_send", &sides.1);
    node.shutdown().await;
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

pub async fn idle(table: &mut Table) {
    let node = Node::start(NodeConfig::default()).await.unwrap();
    let before = resident();
    let actors: Vec<_> = (0..10_000)
        .map(|_| node.spawn(Spawn::default(), |_| Counter::default()).unwrap())
        .collect();
    for actor in &actors {
        actor.ask(Count).await.unwrap();
    }
    table.plain(
        "idle_actors_10k",
        "MiB",
        (resident() - before) / f64::from(1 << 20),
        "resident growth",
    );
    node.shutdown().await;
}
