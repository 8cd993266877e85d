//! A master that works beside five clients who read all of its state without a pause: how long its own actor keeps others waiting, and
//! how soon `/health` is answered.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use libactor::{Name, Node, NodeConfig};
use protocol::PROTOCOL_VERSION;
use protocol::operator::ReadMoment;
use tests::http::Client;
use tests::leader::Leader;
use tests::swarm::{self, Counts, Swarm};

use measure::{Measured, Row};

/// The larger size of Mesos's own benchmark of it (`MasterActorResponsiveness`).
const AGENTS: u64 = 1_000;
const TASKS: u64 = 10_000;
const CLIENTS: usize = 5;
const REQUESTS: usize = 500;
const WITHIN: Duration = Duration::from_secs(300);

/// Five who read, until this is dropped.
struct Readers {
    stop: Arc<AtomicBool>,
    pages: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Readers {
    fn start(at: &str) -> Self {
        let (stop, pages) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let read = |_| {
            let (stop, pages, at) = (Arc::clone(&stop), Arc::clone(&pages), at.to_owned());
            thread::spawn(move || {
                let Ok(mut client) = Client::connect(&at) else { return };
                while !stop.load(Relaxed) {
                    let asked = client.request("GET /state", &[], b"");
                    if asked.and_then(|()| client.answer()).is_err() {
                        return;
                    }
                    pages.fetch_add(1, Relaxed);
                }
            })
        };
        let threads = (0..CLIENTS).map(read).collect();
        Self { stop, pages, threads }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Relaxed);
        self.threads.into_iter().for_each(|thread| drop(thread.join()));
        self.pages.load(Relaxed)
    }
}

/// How long each of some answers of `/health` took, in milliseconds, in order.
fn health(at: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut client = Client::connect(at)?;
    let mut took = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let began = Instant::now();
        client.request("GET /health", &[], b"")?;
        client.answer()?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    Ok(took)
}

/// How long each of some questions to the master's actor took.
async fn questions(node: &Node, master: &Name) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut took = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let began = Instant::now();
        node.ask(master, ReadMoment, WITHIN).await?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    Ok(took)
}

fn at(sorted: &[f64], part: usize) -> f64 {
    sorted.get((sorted.len() * part / 100).min(sorted.len() - 1)).copied().unwrap_or(f64::NAN)
}

pub(crate) async fn beside_readers(airside: &Path) -> Measured {
    let leader = Leader::start(airside).await?;
    let address = leader.address().to_owned();
    let swarm = Swarm::start(&address, AGENTS, TASKS / AGENTS).await?;
    let joined = |counts: &Counts| counts.registered.get(&1) == Some(&AGENTS);
    swarm.until(WITHIN, "all agents have joined", joined).await?;
    swarm::fill(&swarm, &address, TASKS).await?;
    let config = NodeConfig { version: PROTOCOL_VERSION, ..NodeConfig::default() };
    let node = Node::start(config).await?;
    let master: Name = format!("master@{address}").parse()?;
    let (idle, idle_stall) = (health(&address)?, questions(&node, &master).await?);
    let readers = Readers::start(&address);
    let (busy, stall) = (health(&address)?, questions(&node, &master).await?);
    let pages = readers.end();
    node.shutdown().await;
    swarm.shutdown().await;
    Ok(vec![
        Row::of("health_p90_under_load", at(&busy, 90), "ms").beside("idle", at(&idle, 90)),
        Row::of("health_max_under_load", at(&busy, 100), "ms").beside("idle", at(&idle, 100)),
        Row::of("master_stall", at(&stall, 100), "ms"),
        Row::of("master_stall_p90", at(&stall, 90), "ms").beside("idle", at(&idle_stall, 90)),
        Row::of("state_pages_read", pages as f64, "pages"),
    ])
}
