//! A master, its allocator and its registrar in one hand, with a clock that tests move. Every step is checked: the
//! invariants hold, deltas have no gaps, and at rest both books are equal.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use libactor::{DownReason, Pid, Principal};
use protocol::agent::{AgentAddress, AgentInfo, AgentToMaster, ExecutorReport, MasterToAgent};
use protocol::change::Change;
use protocol::framework::{
    Capability, FrameworkInfo, FrameworkToMaster, MasterToFramework, Operation,
};
use protocol::ids::{AgentId, ClusterId, FrameworkId, MasterId, OfferId, Role, TaskId, UpdateId};
use protocol::offer::{Demand, Offer};
use protocol::operator::SetAnswer;
use protocol::resources::Resources;
use protocol::task::{CommandSpec, Run, Source, TaskReport, TaskSpec, TaskState, TaskStatus};
use protocol::time::{Instant, Now, WallTime};
use protocol::wishes::FaultDomain;

use super::lines::{agent_line, answer_line, framework_line, name, short};
use crate::config::Config;
use crate::logic::allocator::{self, Allocator, BookEntry, Proposals};
use crate::logic::registry::{Registry, RegistryOperation};
use crate::logic::{Effect, Event, Master, Timer};
use crate::tally::Tally;

/// An actor of agent `n`'s process; `life` counts its processes.
pub(super) fn agent_pid(n: u64, life: u64) -> Pid {
    Pid::invented(100 + n, life)
}

/// A scheduler's pid.
pub(super) fn scheduler_pid(n: u64) -> Pid {
    Pid::invented(500, n)
}

/// Timers that may start while a test waits.
const TIMERS_MAX: u64 = 100_000;

pub(super) struct Scenario {
    pub(super) master: Master,
    pub(super) allocator: Allocator,
    pub(super) config: Config,
    pub(super) now: Now,
    pub(super) written: Registry,
    /// When set, writes wait for `write`.
    pub(super) registrar_is_slow: bool,
    /// When set, proposals wait for `propose`.
    pub(super) allocator_is_slow: bool,
    /// When set, what the allocator is told is dropped, until it starts over.
    pub(super) allocator_is_stuck: bool,
    pub(super) unwritten: VecDeque<RegistryOperation>,
    pub(super) proposals: VecDeque<Proposals>,
    timers: BTreeMap<(Instant, u64), Timer>,
    timers_started: u64,
    swept: Instant,
    deltas: BTreeMap<Pid, u64>,
    /// Offers as last made, by the agent's id.
    pub(super) offers: BTreeMap<String, OfferId>,
    lines: Vec<String>,
    /// How often an agent was told to register again: with each ping that it would get, which would drown all else.
    pub(super) called_back: u32,
    /// All so far, for a view.
    pub(super) changes: Vec<Change>,
    /// All that schedulers were told of tasks, whole.
    pub(super) updated: Vec<TaskStatus>,
    /// The newest answer to an operator.
    pub(super) answered: Option<SetAnswer>,
    /// Each message with offers, and to whom.
    pub(super) offered: Vec<(Pid, Vec<Arc<Offer>>)>,
    /// All that the allocator was told.
    pub(super) told: Vec<BookEntry>,
    /// The newest answer to an agent that joined or returned.
    pub(super) greeting: Option<MasterToAgent>,
    pub(super) tally: Tally,
}

impl Scenario {
    pub(super) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(super) fn with(config: Config) -> Self {
        let registry = Registry::new(ClusterId::new("c"), 1);
        Self::on(config, registry, "m")
    }

    /// A new reign on what was written.
    pub(super) fn on(config: Config, registry: Registry, identity: &str) -> Self {
        let master = Master::new(config.clone(), MasterId::new(identity), registry.clone());
        let mut scenario = Self {
            master,
            allocator: Allocator::new(config.allocator.clone(), 1),
            config,
            now: Now { steady: Instant(1_000_000_000), wall: WallTime(1) },
            written: registry,
            registrar_is_slow: false,
            allocator_is_slow: false,
            allocator_is_stuck: false,
            unwritten: VecDeque::new(),
            proposals: VecDeque::new(),
            timers: BTreeMap::new(),
            timers_started: 0,
            swept: Instant(1_000_000_000),
            deltas: BTreeMap::new(),
            offers: BTreeMap::new(),
            lines: Vec::new(),
            called_back: 0,
            changes: Vec::new(),
            updated: Vec::new(),
            answered: None,
            offered: Vec::new(),
            told: Vec::new(),
            greeting: None,
            tally: Tally::default(),
        };
        scenario.step(Event::Started);
        scenario
    }

    /// The master process is killed and started again.
    pub(super) fn restart(self, identity: &str) -> Self {
        let mut registry = self.written;
        registry.epoch += 1;
        Self::on(self.config, registry, identity)
    }

    pub(super) fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let before = self.master.change();
            let heard = self.tally.hear(&event);
            let step = self.master.step(self.now, event);
            self.tally.say(heard, &step);
            for (n, change) in step.changes.iter().enumerate() {
                assert_eq!(change.number, before + 1 + u64::try_from(n).unwrap());
            }
            self.changes.extend(step.changes);
            for effect in step.effects {
                self.perform(effect, &mut events);
            }
            if self.config.bugs == Default::default() {
                self.master.check().unwrap();
            }
        }
        let rests = self.proposals.is_empty() && !self.allocator_is_stuck;
        if self.config.bugs == Default::default() && rests {
            let (master, allocator) = (&self.master, &self.allocator);
            assert_eq!(master.holdings(), allocator.holdings(), "the books are equal at rest");
            assert_eq!(master.free(), allocator.free(), "as much is free in both");
        }
    }

    fn perform(&mut self, effect: Effect, events: &mut VecDeque<Event>) {
        match effect {
            Effect::TellAgent { to: _, message: MasterToAgent::RegisterAgain { .. } } => {
                self.called_back += 1;
            }
            Effect::TellAgent { to, message } => {
                if matches!(message, MasterToAgent::Registered { .. }) {
                    self.greeting = Some(message.clone());
                }
                let line = format!("to {}: {}", name(to), agent_line(&message));
                self.lines.push(line);
            }
            Effect::TellFramework { to, message } => self.tell_framework(to, message),
            Effect::AnswerKill { asked, answer } => {
                self.lines.push(format!("answer {asked}: {answer:?}"))
            }
            Effect::AnswerSet { asked, answer } => {
                self.lines.push(answer_line(asked, &answer));
                self.answered = Some(answer);
            }
            Effect::Link(_) | Effect::Unlink(_) => (),
            Effect::Write(operation) if self.registrar_is_slow => {
                self.unwritten.push_back(operation)
            }
            Effect::Write(operation) => {
                self.written.apply(&operation);
                events.push_back(Event::Written(operation));
            }
            Effect::TellAllocator(_) if self.allocator_is_stuck => (),
            Effect::TellAllocator(entries) => {
                self.told.extend(entries.iter().cloned());
                self.tell_allocator(allocator::Event::Book(entries), events)
            }
            Effect::StartTimer { timer, after } => {
                self.timers_started += 1;
                self.timers.insert((self.now.steady + after, self.timers_started), timer);
            }
            Effect::EndReign { reason } => self.lines.push(format!("end of the reign: {reason}")),
            Effect::StepDown { reason } => self.lines.push(format!("step down: {reason}")),
        }
    }

    fn tell_allocator(&mut self, event: allocator::Event, events: &mut VecDeque<Event>) {
        for effect in self.allocator.step(self.now, event) {
            match effect {
                allocator::Effect::Propose(proposals) if self.allocator_is_slow => {
                    self.proposals.extend(proposals);
                }
                allocator::Effect::Propose(proposals) => {
                    events.push_back(Event::Proposed(proposals))
                }
                allocator::Effect::RunSoon => self.tell_allocator(allocator::Event::Run, events),
                allocator::Effect::SweepAfter(_) => (),
            }
        }
    }

    fn tell_framework(&mut self, to: Pid, message: MasterToFramework) {
        if let MasterToFramework::Deltas(changes) = message {
            let number = self.deltas.get_mut(&to).expect("a snapshot comes before deltas");
            for change in changes {
                *number += 1;
                assert_eq!(change.number, *number, "no gaps");
            }
        } else if let MasterToFramework::Offers(offers) = message {
            self.tell_offers(to, offers, &BTreeMap::new());
        } else if let MasterToFramework::OffersAt { offers, domains } = message {
            self.tell_offers(to, offers, &domains);
        } else {
            if let MasterToFramework::Subscribed { change, .. } = &message {
                self.deltas.insert(to, *change);
            }
            if let MasterToFramework::Updated(status) = &message {
                self.updated.push(status.clone());
            }
            self.lines.push(format!("to {}: {}", name(to), framework_line(&message)));
        }
    }

    fn tell_offers(
        &mut self,
        to: Pid,
        offers: Vec<Arc<Offer>>,
        domains: &BTreeMap<AgentId, FaultDomain>,
    ) {
        self.offered.push((to, offers.clone()));
        for offer in offers {
            let (id, agent) = (short(offer.offer.as_str()), short(offer.agent.as_str()));
            let domain = domains.get(&offer.agent).map(|domain| format!(" at {domain}"));
            let place = format!("{agent}{}", domain.unwrap_or_default());
            self.lines.push(format!("to {}: {id} of {place}: {}", name(to), offer.resources));
            self.offers.insert(agent, offer.offer.clone());
        }
    }

    /// All that was said since last asked.
    #[track_caller]
    pub(super) fn did<const N: usize>(&mut self, expected: [&str; N]) {
        assert_eq!(std::mem::take(&mut self.lines), expected);
    }

    /// All that was said since last asked, to look at closely.
    pub(super) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// What was said so far is not what the test is about.
    pub(super) fn forget_lines(&mut self) {
        self.lines.clear();
    }

    /// Time passes; timers fire when they are due, and the allocator sweeps once at the end.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now.steady + span;
        let last = self.timers_started + TIMERS_MAX;
        while let Some(((due, number), timer)) = self.timers.pop_first() {
            assert!(self.timers_started < last, "timers start one another without end");
            if due > end {
                self.timers.insert((due, number), timer);
                break;
            }
            self.now.steady = due;
            self.step(Event::TimerFired(timer));
        }
        self.now.steady = end;
        if end.since(self.swept) >= Duration::from_secs(1) {
            self.swept = end;
            let mut events = VecDeque::new();
            self.tell_allocator(allocator::Event::Sweep, &mut events);
            events.into_iter().for_each(|event| self.step(event));
        }
    }

    /// The registrar writes the oldest operation that waits.
    pub(super) fn write(&mut self) {
        let operation = self.unwritten.pop_front().expect("something waits to be written");
        self.written.apply(&operation);
        self.step(Event::Written(operation));
    }

    /// The proposals that wait reach the master.
    pub(super) fn propose(&mut self) {
        let proposals = self.proposals.drain(..).collect();
        self.step(Event::Proposed(proposals));
    }

    /// The allocator has room again, and what was dropped is made up for.
    pub(super) fn allocator_starts_over(&mut self) {
        self.allocator_is_stuck = false;
        let whole = BookEntry::StartOver(self.master.whole_book());
        let mut events = VecDeque::new();
        self.tell_allocator(allocator::Event::Book(vec![whole]), &mut events);
        events.into_iter().for_each(|event| self.step(event));
        if self.proposals.is_empty() {
            assert_eq!(self.master.holdings(), self.allocator.holdings());
        }
    }

    pub(super) fn agent_says(&mut self, from: Pid, message: AgentToMaster) {
        self.step(Event::FromAgent { from, principal: Principal::Cluster, message });
    }

    pub(super) fn scheduler_says(&mut self, n: u64, message: FrameworkToMaster) {
        let from = scheduler_pid(n);
        self.step(Event::FromFramework { from, principal: Principal::Cluster, message });
    }

    pub(super) fn down(&mut self, pid: Pid) {
        self.step(Event::Down { pid, reason: DownReason::ConnectionLost });
    }

    /// Agent `n`, of 4 cpus and 4 GB, joins as `c-S<n - 1>` if they join in order.
    pub(super) fn agent_joins(&mut self, n: u64) {
        let message = AgentToMaster::Register { nonce: n, info: agent_info(n) };
        self.agent_says(agent_pid(n, 1), message);
    }

    pub(super) fn agent_returns(&mut self, n: u64, life: u64, tasks: Vec<TaskReport>) {
        let mut frameworks: Vec<FrameworkInfo> = Vec::new();
        for report in &tasks {
            let mut info = framework_info("web", &[Capability::PartitionAware]);
            info.framework = report.framework.clone();
            if !frameworks.contains(&info) {
                frameworks.push(info);
            }
        }
        self.agent_returns_with(n, life, tasks, Vec::new(), frameworks);
    }

    /// Agent `n`, which would tell of so many tasks, asks whether it may return.
    pub(super) fn agent_knocks(&mut self, n: u64, tasks: u32) {
        let (epoch, cluster) = (self.master.epoch(), ClusterId::new("c"));
        let message = AgentToMaster::MayReturn { agent: agent_id(n), cluster, epoch, tasks };
        self.agent_says(agent_pid(n, 1), message);
    }

    pub(super) fn agent_returns_with(
        &mut self,
        n: u64,
        life: u64,
        tasks: Vec<TaskReport>,
        executors: Vec<ExecutorReport>,
        frameworks: Vec<FrameworkInfo>,
    ) {
        let message = AgentToMaster::Reregister {
            agent: agent_id(n),
            info: agent_info(n),
            tasks,
            executors,
            frameworks,
            epoch: self.master.epoch(),
            cluster: ClusterId::new("c"),
        };
        self.agent_says(agent_pid(n, life), message);
    }

    /// Scheduler `n` subscribes a new framework that takes everything.
    pub(super) fn subscribes(&mut self, n: u64) {
        self.subscribes_as(n, None, &[Capability::PartitionAware], Vec::new());
    }

    pub(super) fn subscribes_as(
        &mut self,
        n: u64,
        framework: Option<&str>,
        capabilities: &[Capability],
        demand: Vec<Demand>,
    ) {
        let message = FrameworkToMaster::Subscribe {
            nonce: 1000 + n,
            framework: framework.map(FrameworkId::new),
            info: framework_info("web", capabilities),
            demand,
        };
        self.scheduler_says(n, message);
    }

    /// Scheduler `n` launches on what it was last offered of agent `agent`.
    pub(super) fn launches(&mut self, n: u64, agent: u64, tasks: Vec<TaskSpec>) {
        let offer = self.offer_of(agent);
        self.accepts(n, vec![offer], tasks, Duration::from_secs(1000));
    }

    pub(super) fn accepts(
        &mut self,
        n: u64,
        offers: Vec<OfferId>,
        tasks: Vec<TaskSpec>,
        refuse_for: Duration,
    ) {
        let operations = vec![Operation::Launch(tasks)];
        self.scheduler_says(n, FrameworkToMaster::Accept { offers, operations, refuse_for });
    }

    /// The newest offer of agent `agent`.
    #[track_caller]
    pub(super) fn offer_of(&self, agent: u64) -> OfferId {
        self.offers.get(&format!("S{}", agent - 1)).cloned().expect("the agent was offered")
    }

    /// Agent `n` has news of a task of framework `c-0000`.
    pub(super) fn news(&mut self, n: u64, task: &str, state: TaskState, sequence: u64) {
        let status = status(n, task, state, Some(sequence));
        self.agent_says(agent_pid(n, 1), AgentToMaster::Updated { status, latest: state });
    }

    pub(super) fn acknowledges(&mut self, scheduler: u64, agent: u64, task: &str, sequence: u64) {
        let message = FrameworkToMaster::Acknowledge {
            agent: agent_id(agent),
            task: TaskId::new(task),
            update: UpdateId { source: agent, sequence },
        };
        self.scheduler_says(scheduler, message);
    }
}

pub(crate) fn agent_id(n: u64) -> AgentId {
    AgentId::new(format!("c-S{}", n - 1))
}

pub(crate) fn agent_info(n: u64) -> AgentInfo {
    AgentInfo {
        at: AgentAddress { hostname: format!("host{n}"), listens: format!("host{n}:5051") }.into(),
        resources: Resources::cpus_mem(4.0, 4096.0),
        attributes: Vec::new(),
        version: "0.1.0".into(),
        boot: "boot".into(),
    }
}

pub(crate) fn framework_info(name: &str, capabilities: &[Capability]) -> FrameworkInfo {
    FrameworkInfo {
        framework: FrameworkId::new(""),
        name: name.into(),
        user: "nobody".into(),
        roles: vec![Role::everybody()],
        failover_timeout: Duration::from_secs(3600),
        hostname: "here".into(),
        capabilities: capabilities.to_vec(),
        carried: Default::default(),
    }
}

/// A command of so many cpus and 128 MB.
pub(super) fn task(id: &str, cpus: f64) -> TaskSpec {
    TaskSpec {
        task: TaskId::new(id),
        name: id.into(),
        resources: Resources::cpus_mem(cpus, 128.0),
        run: Run::Command(CommandSpec {
            value: "true".into(),
            shell: true,
            ..CommandSpec::default()
        }),
        kill_grace: None,
        carried: Default::default(),
    }
}

pub(crate) fn status(
    agent: u64,
    task: &str,
    state: TaskState,
    sequence: Option<u64>,
) -> TaskStatus {
    TaskStatus {
        agent: Some(agent_id(agent)),
        update: sequence.map(|sequence| UpdateId { source: agent, sequence }),
        ..TaskStatus::plain(FrameworkId::new("c-0000"), TaskId::new(task), state, Source::Executor)
    }
}

/// What agent `n` says of a command task of framework `c-0000`.
pub(crate) fn report(n: u64, id: &str, state: TaskState) -> TaskReport {
    TaskReport {
        framework: FrameworkId::new("c-0000"),
        spec: task(id, 1.0).into(),
        agent: agent_id(n),
        executor: protocol::ids::ExecutorId::new(id),
        state,
        unacknowledged: None,
        role: Role::everybody(),
    }
}
