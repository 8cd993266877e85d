//! A simulated cluster inside a unit test, for authors of schedulers: no process, no socket, no waiting.

mod partitions;

use std::time::Duration;

use protocol::change::AgentState;
use protocol::framework::Capability;
use protocol::ids::{AgentId, TaskId};
use protocol::resources::Resources;
use protocol::task::TaskState;
use protocol::wishes::FaultDomain;
use sdk::Scheduler;

use crate::author::Copies;
use crate::machines::agent_info;
use crate::process::{Body, FrameworkSeat, Seat};
use crate::run::framework_info;
use crate::world::{Due, Setup, World};

/// How long [`Cluster::run_until`] goes on: an hour of simulated time.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A master, agents and schedulers. The seed decides every delay; the same test does the same each time it is run.
///
/// ```
/// use protocol::{ids::TaskId, offer::Offer, resources::Resources, task::*};
/// use sdk::{Calls, Scheduler};
/// use simulator::Cluster;
///
/// #[derive(Clone, Default)]
/// struct One(Option<TaskState>);
/// impl Scheduler for One {
///     fn started(&mut self, calls: &mut Calls, _: std::collections::BTreeMap<String, Vec<u8>>) {
///         calls.want(&Resources::cpus_mem(1.0, 64.0), 1);
///     }
///     fn offers(&mut self, calls: &mut Calls, offers: Vec<Offer>) {
///         let run = CommandSpec { value: "sleep 30; exit 0".into(), shell: true, ..Default::default() };
///         let task = TaskSpec {
///             task: TaskId::new("one"),
///             name: "one".into(),
///             resources: Resources::cpus_mem(1.0, 64.0),
///             run: Run::Command(run),
///             kill_grace: None,
///             carried: Default::default(),
///         };
///         if calls.launch(&offers[0], task).is_ok() {
///             calls.demand(Vec::new());
///         }
///     }
///     fn updated(&mut self, _: &mut Calls, status: &TaskStatus) {
///         self.0 = Some(status.state);
///     }
/// }
///
/// let mut cluster = Cluster::new(1).agents(3).with_scheduler(One::default());
/// cluster.run_until(|view| view.task("one") == Some(TaskState::Running));
/// cluster.lose_master();
/// cluster.run_until(|view| view.scheduler::<One>().is_some_and(|s| s.0 == Some(TaskState::Finished)));
/// ```
pub struct Cluster {
    world: World,
    master: u32,
    agents: Vec<u32>,
    schedulers: Vec<u32>,
}

impl Cluster {
    /// A master and nobody else, with Mesos's time-outs.
    pub fn new(seed: u64) -> Self {
        let setup = Setup {
            seed,
            rough: false,
            master: Default::default(),
            bug: None,
            busy: 0,
            drops: false,
            keep: true,
        };
        let mut world = World::new(setup);
        let host = world.add_host();
        let master = world.add_process("master".to_owned(), host, true, Seat::Master);
        world.leader = master;
        world.queue.at(Duration::ZERO, Due::Start(master));
        Self { world, master, agents: Vec::new(), schedulers: Vec::new() }
    }

    /// How long an agent whose connection is lost may take to come back before it counts as unreachable.
    #[must_use]
    pub fn agents_return_within(mut self, span: Duration) -> Self {
        self.world.setup.master.agent_reregister_timeout = span;
        self
    }

    /// So many more agents, each with four cores and 4096 MB. They are numbered from 1.
    #[must_use]
    pub fn agents(self, count: u32) -> Self {
        (0..count).fold(self, |cluster, _| cluster.agent_with(Resources::cpus_mem(4.0, 4096.0)))
    }

    /// One more agent, with these resources.
    #[must_use]
    pub fn agent_with(self, resources: Resources) -> Self {
        self.agent(resources, None)
    }

    /// One more agent, there. The master is where the first of these is, so that other regions than that are far.
    #[must_use]
    pub fn agent_at(mut self, resources: Resources, domain: FaultDomain) -> Self {
        let master = &mut self.world.setup.master;
        if master.domain.is_none() {
            *master = master.clone().located(Some(domain.clone()));
        }
        self.agent(resources, Some(domain))
    }

    fn agent(mut self, resources: Resources, domain: Option<FaultDomain>) -> Self {
        let name = format!("agent-{}", self.agents.len() + 1);
        let mut config = agent::logic::Config::new(agent_info(&name, resources));
        config.domain = domain;
        let seat = Seat::agent(config);
        let host = self.world.add_host();
        let number = self.world.add_process(name, host, true, seat);
        self.world.queue.after(Duration::ZERO, Due::Start(number));
        self.agents.push(number);
        self
    }

    /// A framework of this scheduler. Each life of its process begins with a copy, and with what earlier lives stored.
    #[must_use]
    pub fn with_scheduler<S: Scheduler + Clone + 'static>(mut self, scheduler: S) -> Self {
        let name = format!("framework-{}", self.schedulers.len() + 1);
        let capabilities = vec![Capability::PartitionAware, Capability::StatesDemand];
        let seat = FrameworkSeat {
            info: framework_info(&name, capabilities),
            settings: sdk::logic::Settings::default(),
            bug: None,
            careless: false,
            make: Box::new(Copies(scheduler)),
            remembered: None,
            stored: Default::default(),
            file: Vec::new(),
            outcome: None,
        };
        let host = self.world.add_host();
        let number = self.world.add_process(name, host, true, Seat::Framework(Box::new(seat)));
        self.world.queue.after(Duration::ZERO, Due::Start(number));
        self.schedulers.push(number);
        self
    }

    /// The master's process is killed. It comes back within seconds and finds its registry.
    pub fn lose_master(&mut self) -> &mut Self {
        self.world.kill(self.master, false);
        self
    }

    /// An agent's process is killed, and its tasks with it. It comes back within seconds, without them.
    pub fn lose_agent(&mut self, number: usize) -> &mut Self {
        self.world.kill(self.process_of_agent(number), false);
        self
    }

    /// An agent's machine loses its power for good; nobody is told.
    pub fn lose_agent_for_good(&mut self, number: usize) -> &mut Self {
        let process = self.process_of_agent(number);
        if let Some(process) = self.world.processes.get_mut(&process) {
            process.supervised = false;
        }
        self.world.kill(process, true);
        self
    }

    /// A scheduler's process is killed; numbered from 1. It comes back within seconds and finds what it stored.
    pub fn lose_scheduler(&mut self, number: usize) -> &mut Self {
        let process = self.schedulers[number - 1];
        self.world.kill(process, false);
        self
    }

    /// Nothing comes from the agent to the master any more, nor back, for so long.
    pub fn cut_off_agent(&mut self, number: usize, span: Duration) -> &mut Self {
        let agent = self.world.processes[&self.process_of_agent(number)].host;
        let master = self.world.processes[&self.master].host;
        let now = self.world.queue.now();
        for (from, to) in [(agent, master), (master, agent)] {
            self.world.network.block(now, from, to);
            self.world.queue.after(span, Due::Fault(crate::faults::Fault::Unblock(from, to)));
        }
        self
    }

    /// Lets so much time pass. It takes no time.
    pub fn advance(&mut self, span: Duration) -> &mut Self {
        let until = self.world.queue.now() + span;
        if !self.world.run_until(until) {
            self.fail("advanced");
        }
        self
    }

    /// Lets time pass until `holds`.
    ///
    /// # Panics
    ///
    /// If it does not hold within an hour of simulated time, with what happened last.
    #[track_caller]
    pub fn run_until(&mut self, holds: impl Fn(&View<'_>) -> bool) -> &mut Self {
        let until = self.world.queue.now() + PATIENCE;
        while !holds(&self.view()) {
            if self.world.violation.is_some() || !self.world.take_one(until) {
                self.fail("waited in vain");
            }
        }
        self
    }

    /// Lets time pass until nothing is under way: no message, no task, nothing but what is done from time to time.
    pub fn settle(&mut self) -> &mut Self {
        self.run_until(|view| {
            let ended = |(_, state): &(TaskId, TaskState)| state.is_end();
            view.world.network.in_flight() == 0
                && view.world.truth.running.is_empty()
                && view.world.disagreement().is_none()
                && !view.tasks().iter().any(ended)
        })
    }

    /// How it stands.
    pub fn view(&self) -> View<'_> {
        View { world: &self.world, agents: &self.agents, schedulers: &self.schedulers }
    }

    fn process_of_agent(&self, number: usize) -> u32 {
        self.agents[number - 1]
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        let lines = self.world.transcript.about(&[], 40);
        let lines: Vec<String> =
            lines.into_iter().map(|line| self.world.shortened(&line.to_string())).collect();
        let at = self.world.queue.now();
        match &self.world.violation {
            Some(violation) => panic!("{violation}\n{}", lines.join("\n")),
            None => panic!(
                "{what} until {at:?}; this was the last that happened:\n{}",
                lines.join("\n")
            ),
        }
    }
}

/// How a simulated cluster stands.
pub struct View<'c> {
    world: &'c World,
    agents: &'c [u32],
    schedulers: &'c [u32],
}

impl View<'_> {
    /// A task's newest state in the master's book; `None` if it is not there (any more).
    pub fn task(&self, task: &str) -> Option<TaskState> {
        let Some(Body::Master(body)) = &self.world.processes[&self.world.leader].body else {
            return None;
        };
        body.master
            .task_states()
            .find(|(_, id, _, _)| id.as_str() == task)
            .map(|(_, _, _, state)| state)
    }

    /// All tasks in the master's book, with their states.
    pub fn tasks(&self) -> Vec<(TaskId, TaskState)> {
        match &self.world.processes[&self.world.leader].body {
            Some(Body::Master(body)) => {
                body.master.task_states().map(|(_, id, _, state)| (id.clone(), state)).collect()
            }
            Some(Body::Agent(_) | Body::Executor(_) | Body::Custom(_) | Body::Framework(_))
            | None => Vec::new(),
        }
    }

    /// The id that the agent of this number has, once it has one.
    pub fn agent_id(&self, number: usize) -> Option<AgentId> {
        match &self.world.processes[&self.agents[number - 1]].seat {
            Seat::Agent { checkpoint, .. } => checkpoint.member.as_ref().map(|(id, _)| id.clone()),
            Seat::Master | Seat::Executor { .. } | Seat::Framework(_) => None,
        }
    }

    /// What the master thinks of the agent of this number.
    pub fn agent(&self, number: usize) -> Option<AgentState> {
        let id = self.agent_id(number)?;
        let Some(Body::Master(body)) = &self.world.processes[&self.world.leader].body else {
            return None;
        };
        body.agents.get(&id).copied()
    }

    /// The first scheduler of this type, if its process is up.
    pub fn scheduler<S: 'static>(&self) -> Option<&S> {
        self.schedulers.iter().find_map(|number| self.world.scheduler_in::<S>(*number))
    }

    /// How much time has passed.
    pub fn now(&self) -> Duration {
        self.world.queue.now()
    }
}
