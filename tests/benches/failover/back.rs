//! The return of a swarm to the next leader, over real TCP. The leader is killed; the time begins when the next one is
//! started (what an election takes is not counted) and ends when the view shows all agents with all their tasks.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use procfs::process::Process;
use tests::leader::Leader;
use tests::swarm::{Counts, Swarm, fill};

use crate::in_process::{self, AGENTS, FLOOR, TASKS};
use crate::messages::Messages;
use measure::{Measured, Row};

const WITHIN: Duration = Duration::from_secs(300);

/// Fail-overs of which the quickest counts.
const ROUNDS: u64 = 3;

struct Cluster {
    leader: Leader,
    swarm: Swarm,
    agents: u64,
    tasks: u64,
    epoch: u64,
    /// Of the master that had the most memory.
    master_peak: f64,
}

impl Cluster {
    /// A leader, its agents, and so many tasks on each.
    async fn start(airside: &Path, agents: u64, each: u64) -> Result<Self, Box<dyn Error>> {
        let started = Instant::now();
        let leader = Leader::start(airside).await?;
        let swarm = Swarm::start(leader.address(), agents, each).await?;
        let joined = |counts: &Counts| counts.registered.get(&1) == Some(&agents);
        swarm.until(WITHIN, "all agents have joined", joined).await?;
        eprintln!("{agents} agents joined in {:.1?}", started.elapsed());
        let started = Instant::now();
        let tasks = agents * each;
        fill(&swarm, leader.address(), tasks).await?;
        eprintln!("{tasks} tasks run after {:.1?}", started.elapsed());
        Ok(Self { leader, swarm, agents, tasks, epoch: 1, master_peak: 0.0 })
    }

    /// Kills the leader; how long the next one takes until it has all back.
    async fn fail_over(&mut self) -> Result<Duration, Box<dyn Error>> {
        self.master_peak = self.master_peak.max(peak(self.leader.process())?);
        let untold = self.swarm.counts().untold;
        self.leader.dies();
        self.epoch += 1;
        let started = Instant::now();
        self.leader.follows()?;
        let leads = started.elapsed();
        let (epoch, agents) = (self.epoch, self.agents);
        let back = move |counts: &Counts| counts.registered.get(&epoch) == Some(&agents);
        self.swarm.until(WITHIN, "all agents are back", back).await?;
        let told = started.elapsed();
        let frameworks = self.leader.frameworks(WITHIN).await?;
        let took = started.elapsed();
        let tasks: u64 = frameworks.iter().map(|framework| u64::from(framework.tasks)).sum();
        if tasks != self.tasks {
            return Err(format!("{tasks} of {} tasks are back", self.tasks).into());
        }
        let untold = self.swarm.counts().untold - untold;
        eprintln!(
            "{agents} agents: next leader after {leads:.2?}, told all after {told:.2?}, shows all after {took:.2?}; {untold} untold"
        );
        Ok(took)
    }

    /// The most memory that all processes together had, in GiB.
    fn peak(&self) -> Result<f64, Box<dyn Error>> {
        let swarm = peak(std::process::id())?;
        let master = self.master_peak.max(peak(self.leader.process())?);
        eprintln!("at most {master:.2} GiB in a master and {swarm:.2} GiB in the swarm");
        Ok(swarm + master)
    }

    async fn end(self) {
        self.swarm.shutdown().await;
    }
}

/// The most memory that a process had so far, in GiB.
fn peak(process: u32) -> Result<f64, Box<dyn Error>> {
    let kib = Process::new(i32::try_from(process)?)?.status()?.vmhwm.ok_or("it has no memory")?;
    Ok(f64::from(u32::try_from(kib)?) / 1024.0 / 1024.0)
}

pub(crate) async fn tcp(airside: &Path) -> Measured {
    let messages = Messages::of(AGENTS, TASKS);
    let mut cluster = Cluster::start(airside, AGENTS, TASKS).await?;
    let (mut floor, mut ours) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        floor = floor.min(in_process::floor(&messages)).min(in_process::floor(&messages));
        ours = ours.min(cluster.fail_over().await?);
    }
    cluster.end().await;
    let [floor, ours] = [floor, ours].map(in_process::milliseconds);
    Ok(vec![Row { peer: Some((FLOOR, floor)), ..Row::of("reregister_tcp", ours, "ms") }])
}

async fn back(
    airside: &Path,
    name: &'static str,
    agents: u64,
    tasks: u64,
) -> Result<(Cluster, Row), Box<dyn Error>> {
    let mut cluster = Cluster::start(airside, agents, tasks).await?;
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        least = least.min(cluster.fail_over().await?);
    }
    Ok((cluster, Row::of(name, least.as_secs_f64(), "s")))
}

pub(crate) async fn agents_4000(airside: &Path) -> Measured {
    let (cluster, row) = back(airside, "agents_4000_back", 4_000, 10).await?;
    cluster.end().await;
    Ok(vec![row])
}

pub(crate) async fn agents_5000(airside: &Path) -> Measured {
    let (cluster, row) = back(airside, "agents_5000_back", 5_000, 4).await?;
    cluster.end().await;
    let (cluster, more) = back(airside, "agents_20000_back", 20_000, 4).await?;
    cluster.end().await;
    Ok(vec![row, more])
}

pub(crate) async fn agents_50000(airside: &Path) -> Measured {
    let (cluster, row) = back(airside, "agents_50000_back", 50_000, 4).await?;
    let memory = Row::of("agents_50000_rss", cluster.peak()?, "GiB");
    cluster.end().await;
    Ok(vec![row, memory])
}
