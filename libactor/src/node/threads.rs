//! The threads of a node: an actix system of its own, so that it runs under any runtime, and a pool of arbiters.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use actix_rt::{Arbiter, ArbiterHandle, System};
use tokio::sync::oneshot;

use super::lock;

pub(super) struct Threads {
    system: System,
    pool: Vec<ArbiterHandle>,
    pinned: Mutex<Vec<ArbiterHandle>>,
    next: AtomicUsize,
}

/// Runs the system until it is stopped; sends it, with its arbiters, once it stands.
fn run(count: usize, ready: oneshot::Sender<io::Result<(System, Vec<ArbiterHandle>)>>) {
    let runner = System::new();
    let made = runner.block_on(async {
        let arbiters: io::Result<Vec<_>> =
            (0..count).map(|_| Arbiter::try_new().map(|made| made.handle())).collect();
        arbiters.map(|arbiters| (System::current(), arbiters))
    });
    let failed = made.is_err();
    if ready.send(made).is_ok() && !failed {
        // The exit code of a system says nothing here.
        let _ = runner.run();
    }
}

impl Threads {
    pub(super) async fn start(count: usize) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let count = if count == 0 { cores.max(2) } else { count };
        let (ready, made) = oneshot::channel();
        thread::Builder::new().name("actors".to_owned()).spawn(move || run(count, ready))?;
        let (system, pool) =
            made.await.map_err(|_| io::Error::other("the system's thread ended"))??;
        Ok(Self { system, pool, pinned: Mutex::default(), next: AtomicUsize::new(0) })
    }

    /// One of the pool, in turn.
    pub(super) fn next(&self) -> ArbiterHandle {
        self.numbered().1
    }

    /// And its number.
    pub(super) fn numbered(&self) -> (usize, ArbiterHandle) {
        let number = self.next.fetch_add(1, Relaxed) % self.pool.len();
        (number, self.pool[number].clone())
    }

    /// How many the pool has.
    pub(super) fn count(&self) -> usize {
        self.pool.len()
    }

    /// Runs on the system's own thread, on which no actor lives.
    pub(super) fn beside(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.system.arbiter().spawn(future);
    }

    /// A thread for one actor.
    pub(super) fn one_more(&self) -> io::Result<ArbiterHandle> {
        // An arbiter belongs to the system of the thread that makes it.
        let before = System::try_current();
        System::set_current(self.system.clone());
        let made = Arbiter::try_new().map(|arbiter| arbiter.handle());
        if let Some(before) = before {
            System::set_current(before);
        }
        let handle = made?;
        lock(&self.pinned).push(handle.clone());
        Ok(handle)
    }

    /// Ends all threads, once they have done what they are at.
    pub(super) fn stop(&self) {
        for arbiter in self.pool.iter().chain(lock(&self.pinned).iter()) {
            arbiter.stop();
        }
        self.system.stop();
    }
}
