//! What a million tasks weigh in the books of a master: its own, its allocator's and its view's. All tasks are launched on offers
//! and run, by what agents and schedulers say.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;

use libactor::{Pid, Principal};
use master::config::Config;
use master::logic::allocator::{self, Allocator};
use master::logic::registry::Registry;
use master::logic::{Effect, Event, Master};
use master::view::View;
use procfs::process::Process;
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::framework::{FrameworkInfo, FrameworkToMaster, MasterToFramework, Operation};
use protocol::ids::{AgentId, ClusterId, ExecutorId, FrameworkId, MasterId, UpdateId};
use protocol::offer::Offer;
use protocol::operator::ClusterView;
use protocol::task::{Source, TaskSpec, TaskState, TaskStatus};
use sdk::task;
use tests::swarm;

use crate::cycles::{self, role};
use measure::{Measured, Row};

const AGENTS: u64 = 10_000;
const TASKS_EACH: u64 = 100;
const FRAMEWORKS: u64 = 1000;
const ROLES: u64 = 100;

/// A master with its helpers, and those that it talks to.
struct Books {
    master: Master,
    allocator: Allocator,
    view: View,
    /// Those that have joined.
    agents: BTreeMap<Pid, AgentId>,
    tasks: u64,
    /// What the task of a number is.
    task: fn(u64) -> TaskSpec,
    /// What happens next.
    events: VecDeque<Event>,
    running: u64,
}

impl Books {
    fn new(task: fn(u64) -> TaskSpec) -> Self {
        let (cluster, identity) =
            (ClusterId::new("20261101-000000-c"), MasterId::new("20261101-000000-m"));
        let registry = Registry::new(cluster.clone(), 1);
        let shown = ClusterView {
            cluster,
            master: identity.clone(),
            epoch: 1,
            version: String::new(),
            change: 0,
            recovering: false,
        };
        let config = Config::default();
        Self {
            view: View::new(shown, config.ended_tasks_max),
            allocator: Allocator::new(config.allocator.clone(), 1),
            master: Master::new(config, identity, registry),
            agents: BTreeMap::new(),
            tasks: 0,
            task,
            events: VecDeque::new(),
            running: 0,
        }
    }

    fn of_agent(from: Pid, message: AgentToMaster) -> Event {
        Event::FromAgent { from, principal: Principal::Cluster, message }
    }

    fn of_framework(from: Pid, message: FrameworkToMaster) -> Event {
        Event::FromFramework { from, principal: Principal::Cluster, message }
    }

    /// Something happens, and all that comes of it.
    fn happens(&mut self, event: Event) {
        self.events.push_back(event);
        while let Some(event) = self.events.pop_front() {
            let step = self.master.step(cycles::at(1), event);
            step.changes.into_iter().for_each(|change| self.view.apply(change));
            step.effects.into_iter().for_each(|effect| self.perform(effect));
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Write(operation) => self.events.push_back(Event::Written(operation)),
            Effect::TellAllocator(entries) => {
                self.allocator.step(cycles::at(1), allocator::Event::Book(entries));
            }
            Effect::TellFramework { to, message: MasterToFramework::Offers(offers) } => {
                offers.iter().for_each(|offer| self.accept(to, offer));
            }
            Effect::TellFramework { to, message: MasterToFramework::Updated(status) } => {
                let (Some(agent), Some(update)) = (status.agent, status.update) else { return };
                let message = FrameworkToMaster::Acknowledge { agent, task: status.task, update };
                self.events.push_back(Self::of_framework(to, message));
            }
            Effect::TellAgent { to, message: MasterToAgent::Launch { framework, task, .. } } => {
                self.running += 1;
                self.runs(to, framework.framework, task);
            }
            Effect::TellAgent { to, message: MasterToAgent::Registered { agent, .. } } => {
                self.agents.insert(to, agent);
            }
            // Others hear of it, or time passes, which it does not here.
            Effect::TellFramework { .. }
            | Effect::TellAgent { .. }
            | Effect::AnswerKill { .. }
            | Effect::AnswerSet { .. }
            | Effect::Link(_)
            | Effect::Unlink(_)
            | Effect::StartTimer { .. } => (),
            Effect::StepDown { reason } | Effect::EndReign { reason } => {
                panic!("it ends: {reason}")
            }
        }
    }

    /// A scheduler launches as many tasks as fit.
    fn accept(&mut self, from: Pid, offer: &Offer) {
        let numbers = self.tasks..self.tasks + TASKS_EACH;
        self.tasks = numbers.end;
        let operations = vec![Operation::Launch(numbers.map(self.task).collect())];
        let (offers, refuse_for) = (vec![offer.offer.clone()], std::time::Duration::ZERO);
        let message = FrameworkToMaster::Accept { offers, operations, refuse_for };
        self.events.push_back(Self::of_framework(from, message));
    }

    /// An agent says that a task runs.
    fn runs(&mut self, from: Pid, framework: FrameworkId, task: TaskSpec) {
        let status = TaskStatus {
            executor: Some(ExecutorId::new(task.task.as_str())),
            process: Some(1),
            agent: self.agents.get(&from).cloned(),
            update: Some(UpdateId { source: self.running, sequence: 1 }),
            ..TaskStatus::plain(framework, task.task, TaskState::Running, Source::Executor)
        };
        let message = AgentToMaster::Updated { status, latest: TaskState::Running };
        self.events.push_back(Self::of_agent(from, message));
    }

    fn fill(&mut self) {
        self.happens(Event::Started);
        for number in 1..=AGENTS {
            let register =
                AgentToMaster::Register { nonce: number, info: swarm::info(number, TASKS_EACH) };
            self.happens(Self::of_agent(swarm::invented(number), register));
        }
        for n in 0..FRAMEWORKS {
            let nonce = AGENTS + 1 + n;
            let roles = vec![role(usize::try_from(n % ROLES).expect("few"))];
            let info = FrameworkInfo { roles, ..FrameworkInfo::plain(FrameworkId::new("")) };
            let subscribe =
                FrameworkToMaster::Subscribe { nonce, framework: None, info, demand: Vec::new() };
            self.happens(Self::of_framework(swarm::invented(nonce), subscribe));
        }
        loop {
            let proposals = cycles::run_at(&mut self.allocator, 1);
            if proposals.is_empty() {
                return;
            }
            // One at a time: what is on its way is no part of the books.
            for of_one in proposals {
                self.happens(Event::Proposed(vec![of_one]));
            }
        }
    }
}

fn plain(number: u64) -> TaskSpec {
    let each = swarm::each();
    task::shell(format!("million.{number}"), "echo 'running'", &each)
}

/// What the process has in memory with all of it, in GiB.
fn measure(name: &'static str, task: fn(u64) -> TaskSpec) -> Result<Row, Box<dyn Error>> {
    let mut books = Books::new(task);
    books.fill();
    let (wanted, running) = (AGENTS * TASKS_EACH, books.running);
    if running != wanted {
        return Err(format!("{running} of {wanted} tasks run").into());
    }
    let kib = Process::myself()?.status()?.vmrss.ok_or("this process has no memory")?;
    std::hint::black_box(&books);
    Ok(Row::of(name, f64::from(u32::try_from(kib)?) / 1024.0 / 1024.0, "GiB"))
}

/// Commands, and no more.
pub(crate) fn tasks() -> Measured {
    Ok(vec![measure("million_tasks", plain)?])
}

/// With the ten labels that Mesos's own benchmark gives to each.
pub(crate) fn labelled() -> Measured {
    Ok(vec![measure("million_tasks_labelled", swarm::task)?])
}
