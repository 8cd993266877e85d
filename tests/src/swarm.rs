//! Many emulated agents on a real network: each is an actor with an [`Emulated`] inside, many to a node, and a node is one
//! TCP connection to the master. Whoever wants to know how they are waits for [`Counts`].

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Handler};
use agent::logic::Event;
use api::v1;
use coordination::detect::{MASTER, detector};
use coordination::election::Detector;
use libactor::{
    Accepts, Clock, Context, Down, Limits, Name, Node, NodeConfig, Pid, Received, Spawn,
};
use protocol::PROTOCOL_VERSION;
use protocol::agent::{AgentAddress, AgentInfo, AgentToMaster, MasterToAgent};
use protocol::carried::Carried;
use protocol::resources::{Milli, Ranges, Resources};
use protocol::task::TaskSpec;
use sdk::prelude::*;
use tokio::sync::watch;

use crate::emulated::{Emulated, Wish};

/// Agents on one node, and so behind one connection.
const AGENTS_PER_NODE: u64 = 250;

/// What one scheduler of a swarm runs: a framework's snapshot, told in one message, has room for as many.
const TASKS_PER_FRAMEWORK: usize = 1_000;

/// The room of a node's connection: as if each of its agents had one of its own.
const BUFFER: usize = 64 << 20;

/// How the agents of a swarm are.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Those that are registered now, by the epoch of their master.
    pub registered: BTreeMap<u64, u64>,
    /// News of tasks that was acknowledged.
    pub acknowledged: usize,
    /// Messages for which there was no room, or no way.
    pub untold: u64,
    /// Why agents ended, if any did.
    pub ended: Vec<String>,
}

/// A swarm; ends when it is shut down.
pub struct Swarm {
    nodes: Vec<Node>,
    counts: watch::Receiver<Counts>,
}

impl Swarm {
    /// Starts agents that look for the master that `master` names; each has room for `tasks` of [`task()`].
    pub async fn start(master: &str, agents: u64, tasks: u64) -> Result<Self, Box<dyn Error>> {
        let (sender, counts) = watch::channel(Counts::default());
        let (counted, master) = (Arc::new(sender), detector(master)?);
        let mut nodes = Vec::new();
        for first in (1..=agents).step_by(usize::try_from(AGENTS_PER_NODE)?) {
            let limits = Limits { buffer: BUFFER, ..Limits::default() };
            let config = NodeConfig {
                version: PROTOCOL_VERSION,
                record: false,
                threads: 1,
                limits,
                ..NodeConfig::default()
            };
            let node = Node::start(config).await?;
            for number in first..(first + AGENTS_PER_NODE).min(agents + 1) {
                let member = Member {
                    emulated: Emulated::new(number, info(number, tasks)),
                    master: Arc::clone(&master),
                    clock: Clock::start(),
                    counted: Arc::clone(&counted),
                    epoch: None,
                    acknowledged: 0,
                };
                let accepts = Accepts::new().tells::<MasterToAgent>().links();
                node.spawn(Spawn { accepts, ..Spawn::default() }, move |_| member)?;
            }
            nodes.push(node);
        }
        Ok(Self { nodes, counts })
    }

    /// How the agents are now.
    pub fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }

    /// Waits until the agents are so.
    pub async fn until(
        &self,
        within: Duration,
        what: &str,
        so: impl Fn(&Counts) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        let mut counts = self.counts.clone();
        let waited = counts.wait_for(|counts| !counts.ended.is_empty() || so(counts));
        let waited = tokio::time::timeout(within, waited).await;
        let counts = self.counts();
        match waited {
            Ok(Ok(_)) if counts.ended.is_empty() => Ok(()),
            Ok(_) => Err(format!("{what}: agents ended: {:?}", counts.ended).into()),
            Err(_) => Err(format!("not within {within:?}: {what}, but {counts:?}").into()),
        }
    }

    /// Ends all agents.
    pub async fn shutdown(self) {
        for node in self.nodes {
            node.shutdown().await;
        }
    }
}

/// What one task holds.
pub fn each() -> Resources {
    Resources::cpus_mem(0.1, 32.0)
}

/// A command task of the swarm's, with the ten labels that Mesos's own benchmark gives to each.
pub fn task(number: u64) -> TaskSpec {
    let label = |n| v1::Label { key: format!("key{n}"), value: Some(format!("value{n}")) };
    let labels = v1::Labels { labels: (0..10).map(label).collect() };
    let info = v1::TaskInfo { labels: Some(labels), ..v1::TaskInfo::default() };
    let spec = task::shell(format!("swarm.{number}"), "echo 'running'", &each());
    TaskSpec { carried: Carried::new(&info), ..spec }
}

/// What the agent of a number says of itself: it has room for so many tasks.
pub fn info(number: u64, tasks: u64) -> AgentInfo {
    let hostname = format!("emulated-{number}");
    let times = |amount: Milli| Milli(amount.0 * i64::try_from(tasks).unwrap_or(i64::MAX));
    let resources = Resources::none()
        .with_scalar("cpus", times(each().cpus()))
        .with_scalar("mem", times(each().mem()))
        .with_scalar("disk", Milli::whole(100_000))
        .with_ranges("ports", Ranges::new([(31_000, 32_000)]));
    AgentInfo {
        at: AgentAddress { listens: format!("{hostname}:5051"), hostname }.into(),
        resources,
        attributes: Vec::new(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: "emulated".to_owned(),
    }
}

/// One agent of a swarm.
struct Member {
    emulated: Emulated,
    /// Finds the leader.
    master: Arc<dyn Detector>,
    clock: Clock,
    counted: Arc<watch::Sender<Counts>>,
    /// As it is counted.
    epoch: Option<u64>,
    acknowledged: usize,
}

impl Member {
    fn advance(&mut self, event: Event, ctx: &mut Context<Self>) {
        for wish in self.emulated.step(self.clock.read().into(), event) {
            self.fulfil(wish, ctx);
        }
        self.count();
    }

    /// As the real agent's actor does.
    fn follow_leader(&mut self, ctx: &mut Context<Self>) {
        let mut found = self.master.leader();
        let now = found.borrow_and_update().clone();
        let now = now.map(|leader| format!("{} {}", leader.address, leader.id).trim_end().into());
        self.advance(Event::MasterDetected(now), ctx);
        ctx.run(async move { found.changed().await.is_ok() }, |actor, changed, ctx| {
            if changed {
                actor.follow_leader(ctx);
            }
        });
    }

    fn fulfil(&self, wish: Wish, ctx: &mut Context<Self>) {
        match wish {
            Wish::Contact(message) => self.contact(message, ctx),
            Wish::Tell(to, message) => {
                if ctx.tell(to, message).is_err() {
                    self.counted.send_modify(|counts| counts.untold += 1);
                    ctx.unlink(to);
                    let down = Event::Down { pid: to, words: "it could not be told".to_owned() };
                    ctx.after(Duration::ZERO, |actor, ctx| actor.advance(down, ctx));
                }
            }
            Wish::Link(pid) => ctx.link(pid),
            Wish::Unlink(pid) => ctx.unlink(pid),
            Wish::After(after, timer) => {
                ctx.after(after, |actor, ctx| actor.advance(Event::TimerFired(timer), ctx));
            }
            Wish::Ended(end) => {
                self.counted.send_modify(|counts| counts.ended.push(end.to_string()));
                ctx.stop();
            }
        }
    }

    fn contact(&self, message: AgentToMaster, ctx: &mut Context<Self>) {
        let leader = self.master.leader().borrow().as_ref().map(|leader| leader.address.clone());
        let name = leader.and_then(|leader| format!("{MASTER}@{leader}").parse::<Name>().ok());
        if name.is_none_or(|name| ctx.tell(&name, message).is_err()) {
            self.counted.send_modify(|counts| counts.untold += 1);
        }
    }

    fn count(&mut self) {
        let agent = self.emulated.agent();
        let (epoch, acknowledged) =
            (agent.master().map(|_| agent.epoch()), self.emulated.acknowledged());
        if (epoch, acknowledged) == (self.epoch, self.acknowledged) {
            return;
        }
        let before = std::mem::replace(&mut self.epoch, epoch);
        let more = acknowledged - std::mem::replace(&mut self.acknowledged, acknowledged);
        self.counted.send_modify(|counts| {
            counts.acknowledged += more;
            if before != epoch {
                if let Some(agents) = before.and_then(|epoch| counts.registered.get_mut(&epoch)) {
                    *agents -= 1;
                }
                if let Some(epoch) = epoch {
                    *counts.registered.entry(epoch).or_default() += 1;
                }
            }
        });
    }
}

impl Actor for Member {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.follow_leader(ctx);
        self.advance(Event::Started, ctx);
    }
}

impl Handler<Received<MasterToAgent>> for Member {
    type Result = ();

    fn handle(&mut self, received: Received<MasterToAgent>, ctx: &mut Context<Self>) {
        if let Some(from) = received.from {
            self.advance(Event::FromMaster { from, message: received.message }, ctx);
        }
    }
}

impl Handler<Down> for Member {
    type Result = ();

    fn handle(&mut self, down: Down, ctx: &mut Context<Self>) {
        self.advance(Event::Down { pid: down.pid, words: down.reason.to_string() }, ctx);
    }
}

/// Fills a swarm: launches tasks wherever one fits until all run, then goes; the tasks run on.
pub struct Filling {
    left: std::ops::Range<u64>,
    running: u64,
    wanted: u64,
    /// Tasks that came to another end.
    pub failed: Vec<String>,
}

impl Filling {
    /// Of these tasks, by number.
    pub fn of(tasks: std::ops::Range<u64>) -> Self {
        let wanted = tasks.end - tasks.start;
        Self { left: tasks, running: 0, wanted, failed: Vec::new() }
    }
}

impl Scheduler for Filling {
    fn subscribed(&mut self, calls: &mut Calls, _: &FrameworkId) {
        calls.want(&each(), usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX));
    }

    fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
        for offer in &offers {
            while !self.left.is_empty() && calls.launch(offer, task(self.left.start)).is_ok() {
                self.left.start += 1;
            }
        }
        calls.want(&each(), usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX));
    }

    fn updated(&mut self, calls: &mut Calls, status: &TaskStatus) {
        if status.state == TaskState::Running {
            self.running += 1;
        } else {
            self.failed.push(format!("{} {:?}: {}", status.task, status.state, status.message));
        }
        if self.running + self.failed.len() as u64 == self.wanted {
            calls.stop();
        }
    }
}

/// Has schedulers, one after the other, run tasks on a swarm, of which each agent has room for some, and waits until their
/// news is acknowledged.
pub async fn fill(swarm: &Swarm, master: &str, tasks: u64) -> Result<(), Box<dyn Error>> {
    let within = Duration::from_secs(600);
    for first in (0..tasks).step_by(TASKS_PER_FRAMEWORK) {
        let filling = Filling::of(first..tasks.min(first + TASKS_PER_FRAMEWORK as u64));
        let run = run_scheduler(
            master,
            framework(&format!("swarm-{first}")),
            filling,
            Options::default(),
        );
        let (_, filling) = tokio::time::timeout(within, run).await??;
        if !filling.failed.is_empty() {
            let (failed, first) =
                (filling.failed.len(), &filling.failed[..filling.failed.len().min(3)]);
            return Err(format!(
                "{failed} of {tasks} tasks do not run, the first of them: {first:?}"
            )
            .into());
        }
    }
    let all = usize::try_from(tasks)?;
    swarm.until(within, "all news is acknowledged", |counts| counts.acknowledged == all).await
}

/// The pid by which a master knows the agent of a number that never was on a network.
pub fn invented(number: u64) -> Pid {
    Pid::invented(number, 1)
}
