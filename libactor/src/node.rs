//! A node: the actors of this process, the threads they live on, and the way to other nodes.

mod arrive;
mod asks;
mod connect;
mod greet;
mod lent;
mod links;
mod origin;
mod peers;
mod send;
mod strangers;
mod threads;
mod watchers;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::Poll;

use actix::Actor;

use crate::cell::{Accepts, ActorCell, Entry, Handle, Meta};
use crate::config::NodeConfig;
use crate::context::Context;
use crate::drive::Driven;
use crate::error::{SpawnError, StartError};
use crate::flow;
use crate::hash::IdMap;
use crate::mailbox::{self, Event, Post};
use crate::metrics::{Counters, Living, Metrics};
use crate::pid::{self, Life, MAX_NAME, NodeId, Pid};
use crate::recorder::Recorder;
use crate::ringfile::RingFile;
use crate::secret::{Lender, Secret};
use crate::watchdog::{Suspect, Suspects};
use asks::{Pending, Table};
use links::Links;
use peers::Peers;
pub use send::Asking;
pub use strangers::Stranger;
use strangers::Strangers;
use threads::Threads;

/// Messages that a mailbox holds if nothing else is said.
pub const MAILBOX: usize = 4096;

/// How an actor is spawned.
pub struct Spawn<'a, A: Actor> {
    /// Its registered name, if it has one: unique on its node.
    pub name: Option<&'a str>,
    /// Messages that wait for it at most.
    pub mailbox: usize,
    /// What it accepts by pid or name.
    pub accepts: Accepts<A>,
    /// Whether it gets a thread of its own.
    pub pinned: bool,
}

impl<A: Actor<Context = Context<A>>> Default for Spawn<'_, A> {
    fn default() -> Self {
        Self { name: None, mailbox: MAILBOX, accepts: Accepts::new(), pinned: false }
    }
}

impl<'a, A: Actor<Context = Context<A>>> Spawn<'a, A> {
    /// An actor with a name.
    pub fn named(name: &'a str) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    /// What it accepts.
    #[must_use]
    pub fn accepts(mut self, accepts: Accepts<A>) -> Self {
        self.accepts = accepts;
        self
    }
}

/// A handle to the node; clones are the same node.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({:016x})", self.0.life.node)
    }
}

struct Inner {
    /// Actor 0 of this node: its runtime.
    life: Life,
    /// Of the secrets that it lends.
    lender: Lender,
    config: NodeConfig,
    /// Where it listens.
    address: Option<SocketAddr>,
    /// What others dial.
    advertise: Option<SocketAddr>,
    threads: Threads,
    actors: RwLock<Actors>,
    next_actor: AtomicU64,
    next_conn: AtomicU64,
    next_ask: AtomicU64,
    peers: Mutex<Peers>,
    asks: Mutex<Table<Pending>>,
    /// Rung when an ask is due before anybody meant to look.
    earlier: tokio::sync::Notify,
    links: Mutex<Links>,
    counters: Counters,
    recorder: Recorder,
    suspects: Mutex<Suspects>,
    /// Whether the listener stands.
    accepting: AtomicBool,
    /// Connections that were accepted and have not yet said what they are: they count like those that stand.
    strangers: Strangers,
    stopping: AtomicBool,
    /// Actors that are no longer among them, and whose watchers are being told.
    ending: AtomicU64,
    stop: tokio::sync::Notify,
}

#[derive(Default)]
struct Actors {
    by_number: IdMap<u64, Arc<Entry>>,
    by_name: HashMap<String, u64>,
    /// Ended, but somebody may still hold a handle and be sending.
    ended: Vec<Arc<Meta>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// Starts a node: its threads, and its listener if it has one.
    pub async fn start(config: NodeConfig) -> Result<Self, StartError> {
        if !config.calibrate {
            flow::without_calibration();
        }
        let new = || Lender::new().map_err(|error| StartError::Random(error.to_string()));
        let lender = config.lender.clone().map_or_else(new, Ok)?;
        let lent_to = config.secret.as_ref().and_then(Secret::lent_to);
        let number = || pid::number_of(flow::random(), config.listen.is_some());
        let node = lent_to.unwrap_or_else(number);
        let life = Life { node, incarnation: flow::random(), actor: 0 };
        let listener = config.listen.map(connect::bind).transpose()?;
        let address = listener.as_ref().map(|(_, address)| *address);
        let advertise = match (config.advertise, address) {
            (Some(advertise), Some(real)) if advertise.port() == 0 => {
                Some(SocketAddr::new(advertise.ip(), real.port()))
            }
            (Some(advertise), Some(_)) => Some(advertise),
            (_, real) => real,
        };
        let threads = Threads::start(config.threads).await.map_err(StartError::Threads)?;
        let recorder = record(life.node, &config, threads.count())?;
        let node = Self(Arc::new(Inner {
            life,
            lender,
            config,
            address,
            advertise,
            threads,
            actors: RwLock::default(),
            next_actor: AtomicU64::new(1),
            next_conn: AtomicU64::new(1),
            next_ask: AtomicU64::new(1),
            peers: Mutex::default(),
            asks: Mutex::default(),
            earlier: tokio::sync::Notify::new(),
            links: Mutex::default(),
            counters: Counters::default(),
            recorder,
            suspects: Mutex::default(),
            accepting: AtomicBool::new(false),
            strangers: Strangers::default(),
            stopping: AtomicBool::new(false),
            ending: AtomicU64::new(0),
            stop: tokio::sync::Notify::new(),
        }));
        if let Some((listener, _)) = listener {
            node.listen(listener)?;
        }
        crate::flow_actor::spawn(&node).expect("a new node has no actor of any name");
        node.0.threads.beside(crate::watchdog::watch(node.clone()));
        node.0.threads.beside(node.clone().expire_asks());
        Ok(node)
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        NodeId(self.0.life.node)
    }

    /// Which life of it.
    pub fn incarnation(&self) -> u64 {
        self.0.life.incarnation
    }

    /// Where it listens, with the real port.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address
    }

    /// What it tells others to dial.
    pub fn advertised(&self) -> Option<SocketAddr> {
        self.0.advertise
    }

    /// How it was started.
    pub fn config(&self) -> &NodeConfig {
        &self.0.config
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.0.stopping.load(Relaxed)
    }

    /// The actors that the watchdog has named, the newest last.
    pub fn suspects(&self) -> Vec<Suspect> {
        lock(&self.0.suspects).all()
    }

    pub(crate) fn suspects_mut(&self) -> MutexGuard<'_, Suspects> {
        lock(&self.0.suspects)
    }

    /// All actors.
    pub(crate) fn metas(&self) -> Vec<Arc<Meta>> {
        let actors = self.0.actors.read().unwrap_or_else(PoisonError::into_inner);
        actors.by_number.values().map(|entry| Arc::clone(&entry.meta)).collect()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Spawns an actor on one of the node's threads.
    pub fn spawn<A, F>(&self, spawn: Spawn<'_, A>, make: F) -> Result<Handle<A>, SpawnError>
    where
        A: Actor<Context = Context<A>>,
        F: FnOnce(&mut Context<A>) -> A + Send + 'static,
    {
        if let Some(name) = spawn.name.filter(|name| name.is_empty() || name.len() > MAX_NAME) {
            return Err(SpawnError::BadName(name.to_owned()));
        }
        if let Some(name) = spawn.accepts.twice() {
            return Err(SpawnError::TwoTypes(name));
        }
        if self.0.stopping.load(Relaxed) {
            return Err(SpawnError::ShuttingDown);
        }
        let (thread, arbiter) = if spawn.pinned {
            (0, self.0.threads.one_more().map_err(|error| SpawnError::Thread(error.to_string()))?)
        } else {
            self.0.threads.numbered()
        };
        let shard = self.0.recorder.shard(thread);
        let recorded = shard.is_some();
        let number = self.0.next_actor.fetch_add(1, Relaxed);
        let pid = Life { actor: number, ..self.0.life }.via(self.0.advertise);
        let (mailbox, emptier) = mailbox::Mailbox::new(spawn.mailbox);
        let post = Arc::clone(&mailbox) as Arc<dyn Post>;
        let (name, kind) = (spawn.name.map(str::to_owned), std::any::type_name::<A>());
        let meta = Arc::new(Meta::new(pid, name, kind, post));
        let cell = Arc::new(ActorCell { mailbox: Arc::clone(&mailbox), meta: Arc::clone(&meta) });
        self.register(spawn.name, number, spawn.accepts.entry(&cell))?;
        let (node, head) = (self.clone(), flow::next_head(0));
        arbiter.spawn_fn(move || {
            let _turn = flow::enter(&head, meta.pid.life);
            let mut ctx = Context::new(node.clone(), Arc::clone(&meta), mailbox, shard);
            let actor = make(&mut ctx);
            let future = Driven::new(ctx, actor, emptier);
            actix_rt::spawn(Hosted { meta, recorded, node, head: Some(head), future });
        });
        Ok(Handle(cell))
    }

    fn register(&self, name: Option<&str>, number: u64, entry: Entry) -> Result<(), SpawnError> {
        let mut actors = self.0.actors.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(name) = name {
            if actors.by_name.contains_key(name) {
                return Err(SpawnError::NameTaken(name.to_owned()));
            }
            actors.by_name.insert(name.to_owned(), number);
        }
        actors.by_number.insert(number, Arc::new(entry));
        Ok(())
    }

    fn actor(&self, number: u64) -> Option<Arc<Entry>> {
        self.0.actors.read().unwrap_or_else(PoisonError::into_inner).by_number.get(&number).cloned()
    }

    fn named(&self, name: &str) -> Option<Arc<Entry>> {
        let actors = self.0.actors.read().unwrap_or_else(PoisonError::into_inner);
        actors.by_name.get(name).and_then(|number| actors.by_number.get(number)).cloned()
    }

    /// The pid of a local actor, by its name.
    pub fn local(&self, name: &str) -> Option<Pid> {
        self.named(name).map(|entry| entry.meta.pid)
    }

    /// Whether a local actor lives.
    pub(crate) fn lives(&self, life: Life) -> bool {
        self.actor(life.actor).is_some_and(|entry| !entry.meta.stopped.load(Relaxed))
    }

    /// An actor is gone: its name is free, its watchers hear of it.
    fn actor_ended(&self, meta: &Arc<Meta>) {
        self.0.ending.fetch_add(1, Relaxed);
        {
            let mut actors = self.0.actors.write().unwrap_or_else(PoisonError::into_inner);
            actors.by_number.remove(&meta.pid.life.actor);
            if let Some(name) = &meta.name {
                actors.by_name.remove(name);
            }
            self.forget(&mut actors);
            actors.ended.push(Arc::clone(meta));
        }
        self.links_of_ended(meta.pid.life);
        self.0.ending.fetch_sub(1, Release);
    }

    /// Books the counts of ended actors that nobody can send to any more.
    fn forget(&self, actors: &mut Actors) {
        let counters = &self.0.counters;
        actors.ended.retain(|meta| {
            if Arc::strong_count(meta) > 1 {
                return true;
            }
            let (enqueued, handled) = (meta.enqueued(), meta.handled());
            counters.enqueued.fetch_add(enqueued, Relaxed);
            counters.handled.fetch_add(handled, Relaxed);
            counters.dropped(crate::DropReason::Stopped, enqueued.saturating_sub(handled));
            false
        });
    }

    /// The node's counts.
    pub fn metrics(&self) -> Metrics {
        let mut living = Living::default();
        {
            let mut actors = self.0.actors.write().unwrap_or_else(PoisonError::into_inner);
            self.forget(&mut actors);
            for entry in actors.by_number.values() {
                let (handled, enqueued) = (entry.meta.handled(), entry.meta.enqueued());
                living.actors += 1;
                living.handled += handled;
                living.enqueued += enqueued;
                living.in_mailboxes += enqueued.saturating_sub(handled);
            }
            for meta in &actors.ended {
                let (handled, enqueued) = (meta.handled(), meta.enqueued());
                living.handled += handled;
                living.enqueued += enqueued;
                living.lost_in_mailboxes += enqueued.saturating_sub(handled);
            }
        }
        let peers = lock(&self.0.peers);
        for conn in peers.all() {
            living.connections += u64::from(conn.peer.get().is_some());
            living.in_buffers += conn.queued();
            living.accepted += conn.accepted();
            living.handed += conn.handed.iter().map(|count| count.load(Relaxed)).sum::<u64>();
            living.confirmed += conn.confirmed();
            living.received += conn.received().iter().sum::<u64>();
            living.entered += conn.entered.load(Relaxed);
        }
        Metrics::new(&self.0.counters, living)
    }

    /// Writes what memory has of flows to a new file, in the form of a ring file: for a node that ends soon and has none.
    pub fn leave_recording(&self, path: &std::path::Path) -> std::io::Result<()> {
        crate::ringfile::leave(path, &self.0.recorder.all_flows())
    }

    /// Stops all actors, says goodbye on all connections, ends the threads.
    pub async fn shutdown(&self) {
        if self.0.stopping.swap(true, Relaxed) {
            return;
        }
        {
            let actors = self.0.actors.read().unwrap_or_else(PoisonError::into_inner);
            for entry in actors.by_number.values() {
                entry.meta.event(Event::Stop);
            }
        }
        // Their watchers are told before the connections are closed, or they would hear of a lost connection.
        self.until(|node| {
            let actors = node.0.actors.read().unwrap_or_else(PoisonError::into_inner);
            actors.by_number.is_empty() && node.0.ending.load(Acquire) == 0
        })
        .await;
        self.0.stop.notify_one();
        self.close_all("the node shuts down");
        self.until(|node| lock(&node.0.peers).is_empty() && !node.0.accepting.load(Relaxed)).await;
        self.0.recorder.close();
        self.close_asks();
        self.0.threads.stop();
    }

    /// Looks every few milliseconds, two seconds at most: an actor may hang, a peer may not read.
    async fn until(&self, done: impl Fn(&Self) -> bool) {
        for _ in 0..400 {
            if done(self) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

fn record(node: u64, config: &NodeConfig, threads: usize) -> Result<Recorder, StartError> {
    let limits = config.limits;
    let recorder =
        Recorder::new(node, config.record, threads, limits.chatter_ring, limits.flow_ring);
    if let Some(dir) = config.work_dir.as_deref().filter(|_| config.record) {
        let opened = RingFile::open(dir, limits.ring_file).and_then(|file| recorder.write_to(file));
        opened.map_err(|source| StartError::Recording {
            path: dir.join(crate::ringfile::FILE_NAME),
            source,
        })?;
    }
    Ok(recorder)
}

/// The future that an actor is: tells the node when it ends, however it ends.
struct Hosted<A: Actor<Context = Context<A>>> {
    meta: Arc<Meta>,
    node: Node,
    /// The flow that spawned it, for `started`.
    head: Option<flow::Head>,
    /// Whether its turns are stamped.
    recorded: bool,
    future: Driven<A>,
}

impl<A: Actor<Context = Context<A>>> Future for Hosted<A> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, task: &mut std::task::Context<'_>) -> Poll<()> {
        let me = self.meta.pid.life;
        let _turn = match self.head.take() {
            Some(head) => flow::enter(&head, me),
            None => flow::enter(&flow::Head::default(), me),
        };
        if self.recorded {
            flow::stamp_now();
        }
        self.meta.turn();
        self.meta.busy.store(true, Relaxed);
        let polled = Pin::new(&mut self.future).poll(task);
        self.meta.busy.store(false, Relaxed);
        polled
    }
}

impl<A: Actor<Context = Context<A>>> Drop for Hosted<A> {
    fn drop(&mut self) {
        // Before the actor's own fields go: replies it still holds say that it stopped.
        self.meta.stopped.store(true, Relaxed);
        self.node.actor_ended(&self.meta);
    }
}
