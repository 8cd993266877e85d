//! The actors and helpers of the stories.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use actix::{Actor, Handler};
use libactor::{
    Accepts, Asked, Blob, Context, Down, Handle, Lane, Message, Name, Node, NodeConfig, Pid,
    Question, Received, Spawn, Subjects, Timing,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

pub const SOON: Duration = Duration::from_secs(20);
/// Bytes in one message of those who send too much.
pub const PIECE: usize = 100_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number(pub u64);
impl Message for Number {
    const NAME: &'static str = "story.Number";
    fn subjects(&self, out: &mut Subjects) {
        if self.0 >= 1_000_000 {
            out.add(format!("task-{}", self.0));
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes(pub Blob);
impl Message for Bytes {
    const NAME: &'static str = "story.Bytes";
    const LANE: Lane = Lane::Bulk;
}

/// A question with nothing in it, and what answers it.
macro_rules! question {
    ($(#[$doc:meta])* $name:ident, $wire:literal => $answer:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        pub struct $name;
        impl Message for $name {
            const NAME: &'static str = $wire;
        }
        impl Question for $name {
            type Answer = $answer;
        }
    };
}

question!(
    /// "Tell me who you know": answered with a pid.
    Whom, "story.Whom" => Known
);
question!(
    /// How much did you count? Answered once all that came before is counted.
    Sum, "story.Sum" => Number
);
question!(
    /// Never answered, never dropped: its reply is kept.
    Forever, "story.Forever" => Number
);
question!(
    /// Never answered: its reply is dropped.
    Ignored, "story.Ignored" => Number
);
question!(
    /// Answered with a piece on the bulk lane.
    Much, "story.Much" => Bytes
);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Known(pub Option<Pid>);
impl Message for Known {
    const NAME: &'static str = "story.Known";
}

/// "I am this one": told to whoever keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Know(pub Pid);
impl Message for Know {
    const NAME: &'static str = "story.Know";
}

/// A message that version 2 brought.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Modern;
impl Message for Modern {
    const NAME: &'static str = "story.Modern";
    fn since(&self) -> u32 {
        2
    }
}

/// A question that version 2 brought.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModernSum;
impl Message for ModernSum {
    const NAME: &'static str = "story.ModernSum";
    fn since(&self) -> u32 {
        2
    }
}
impl Question for ModernSum {
    type Answer = Number;
}

/// Counts, keeps a pid, answers.
#[derive(Default)]
pub struct Counter {
    pub count: u64,
    pub known: Option<Pid>,
    pub kept: Vec<Asked<Forever>>,
    pub told: Option<mpsc::UnboundedSender<(u64, Option<Pid>)>>,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Received<Number>> for Counter {
    type Result = ();
    fn handle(&mut self, received: Received<Number>, _: &mut Context<Self>) {
        self.count += 1;
        if let Some(told) = &self.told {
            let _ = told.send((received.message.0, received.from));
        }
    }
}
impl Handler<Received<Bytes>> for Counter {
    type Result = ();
    fn handle(&mut self, received: Received<Bytes>, _: &mut Context<Self>) {
        self.count += received.message.0.0.len() as u64;
    }
}
impl Handler<Received<Modern>> for Counter {
    type Result = ();
    fn handle(&mut self, _: Received<Modern>, _: &mut Context<Self>) {
        self.count += 1;
    }
}
impl Handler<Received<Know>> for Counter {
    type Result = ();
    fn handle(&mut self, received: Received<Know>, _: &mut Context<Self>) {
        self.known = Some(received.message.0);
    }
}
impl Handler<Asked<Whom>> for Counter {
    type Result = ();
    fn handle(&mut self, asked: Asked<Whom>, _: &mut Context<Self>) {
        asked.reply.send(Known(self.known));
    }
}
impl Handler<Asked<Sum>> for Counter {
    type Result = ();
    fn handle(&mut self, asked: Asked<Sum>, _: &mut Context<Self>) {
        asked.reply.send(Number(self.count));
    }
}
impl Handler<Asked<Much>> for Counter {
    type Result = ();
    fn handle(&mut self, asked: Asked<Much>, _: &mut Context<Self>) {
        asked.reply.send(Bytes(Blob(vec![1; PIECE])));
    }
}
impl Handler<Asked<Forever>> for Counter {
    type Result = ();
    fn handle(&mut self, asked: Asked<Forever>, _: &mut Context<Self>) {
        self.kept.push(asked);
    }
}
impl Handler<Asked<Ignored>> for Counter {
    type Result = ();
    fn handle(&mut self, _: Asked<Ignored>, _: &mut Context<Self>) {}
}

impl Counter {
    pub fn accepts() -> Accepts<Self> {
        Accepts::new()
            .tells::<Number>()
            .tells::<Bytes>()
            .tells::<Modern>()
            .tells::<Know>()
            .asks::<Whom>()
            .asks::<Sum>()
            .asks::<Forever>()
            .asks::<Much>()
            .asks::<Ignored>()
    }

    pub fn spawn(node: &Node, name: &str) -> Handle<Self> {
        node.spawn(Spawn::named(name).accepts(Self::accepts()), |_| Self::default()).unwrap()
    }

    /// One that passes on what it hears, and from whom.
    pub fn heard_by(
        node: &Node,
        name: &str,
    ) -> (Handle<Self>, mpsc::UnboundedReceiver<(u64, Option<Pid>)>) {
        let (told, hears) = mpsc::unbounded_channel();
        let make = |_: &mut Context<Self>| Self { told: Some(told), ..Self::default() };
        (node.spawn(Spawn::named(name).accepts(Self::accepts()), make).unwrap(), hears)
    }
}

/// Links to pids and passes on each `Down`.
pub struct Watcher {
    pids: Vec<Pid>,
    downs: mpsc::UnboundedSender<Down>,
    linked: Option<oneshot::Sender<()>>,
}

impl Actor for Watcher {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Context<Self>) {
        for pid in &self.pids {
            ctx.link(*pid);
            ctx.link(*pid); // A second link is the first, while that stands.
        }
        let _ = self.linked.take().unwrap().send(());
    }
}
impl Handler<Down> for Watcher {
    type Result = ();
    fn handle(&mut self, down: Down, _: &mut Context<Self>) {
        let _ = self.downs.send(down);
    }
}

/// A watcher, once it has linked.
pub async fn watch(node: &Node, pid: Pid) -> (Handle<Watcher>, mpsc::UnboundedReceiver<Down>) {
    let ((send, downs), (linked, ready)) = (mpsc::unbounded_channel(), oneshot::channel());
    let spawn = Spawn::default().accepts(Accepts::new().links());
    let make = move |_: &mut Context<Watcher>| Watcher {
        pids: vec![pid],
        downs: send,
        linked: Some(linked),
    };
    let handle = node.spawn(spawn, make).unwrap();
    ready.await.unwrap();
    (handle, downs)
}

/// Its handler holds its thread until it is let through the gate; once the other end is dropped, the gate is open.
pub struct Stuck(pub std::sync::mpsc::Receiver<()>);
impl Actor for Stuck {
    type Context = Context<Self>;
}
impl Handler<Received<Number>> for Stuck {
    type Result = ();
    fn handle(&mut self, _: Received<Number>, _: &mut Context<Self>) {
        let _ = self.0.recv();
    }
}

/// Counts in order, and would notice a second handler at the same time.
#[derive(Default)]
pub struct Sequence {
    pub next: u64,
    pub busy: Arc<AtomicBool>,
    pub wrong: Arc<AtomicU64>,
    pub handled: Arc<AtomicU64>,
}
impl Actor for Sequence {
    type Context = Context<Self>;
}
impl Handler<Received<Number>> for Sequence {
    type Result = ();
    fn handle(&mut self, received: Received<Number>, _: &mut Context<Self>) {
        if self.busy.swap(true, SeqCst) || received.message.0 != self.next {
            self.wrong.fetch_add(1, SeqCst);
        }
        self.next += 1;
        self.busy.store(false, SeqCst);
        self.handled.fetch_add(1, SeqCst);
    }
}

/// Short rhythms, so that stories are short. Handshakes have time: they wait for a busy machine, and nobody for them.
pub fn quick() -> Timing {
    let heartbeat = Duration::from_millis(50);
    Timing {
        heartbeat,
        handshake: Duration::from_secs(5),
        watchdog: Duration::from_millis(200),
        ..Timing::default()
    }
}

pub fn listening() -> NodeConfig {
    NodeConfig { timing: quick(), ..NodeConfig::loopback() }
}

pub fn dialling() -> NodeConfig {
    NodeConfig { timing: quick(), ..NodeConfig::default() }
}

/// For who waits until a handshake is given up.
pub fn impatient(mut config: NodeConfig) -> NodeConfig {
    config.timing.handshake = Duration::from_secs(1);
    config
}

pub fn name(actor: &str, node: &Node) -> Name {
    format!("{actor}@{}", node.address().unwrap()).parse().unwrap()
}

pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {SOON:?}"),
    }
}

/// Waits until something holds.
#[track_caller]
pub fn until<'a>(
    what: &'a str,
    mut holds: impl FnMut() -> bool + 'a,
) -> impl Future<Output = ()> + 'a {
    soon(what, async move {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while !holds() {
            tick.tick().await;
        }
    })
}
