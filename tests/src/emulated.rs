//! An agent without a machine: the real logic, with a disk that is written at once and executors that say of each task
//! that it runs, until they are told otherwise. Pure; who gives it a network makes a swarm of them ([`crate::swarm`]).

use std::collections::{BTreeMap, VecDeque};

use agent::logic::{
    Agent, Checkpoint, Config, Effect, End, Event, ProcessIdentity, Signal, StartExecutor, Timer,
};
use libactor::Pid;
use protocol::agent::{AgentInfo, AgentToMaster};
use protocol::carried::Carried;
use protocol::executor::{AgentToExecutor, ExecutorToAgent};
use protocol::ids::{ContainerId, TaskId, UpdateId};
use protocol::task::{Exit, Isolation, Source, TaskState, TaskStatus};
use protocol::time::{Now, WallTime};

/// What such an agent wants done by others.
#[derive(Debug)]
pub enum Wish {
    /// To whoever leads.
    Contact(AgentToMaster),
    /// To the master that it is registered with.
    Tell(Pid, AgentToMaster),
    /// Comes back as [`Event::Down`].
    Link(Pid),
    /// Its end is of no interest any more.
    Unlink(Pid),
    /// Comes back as [`Event::TimerFired`].
    After(std::time::Duration, Timer),
    /// Its life is over.
    Ended(End),
}

/// An executor without a process.
#[derive(Debug)]
struct Faked {
    start: StartExecutor,
    /// Under which it speaks; no other executor of the cluster does.
    source: u64,
    /// Of its newest update.
    sequence: u64,
}

/// An agent, its disk and its executors.
#[derive(Debug)]
pub struct Emulated {
    agent: Agent,
    number: u64,
    executors: BTreeMap<Pid, Faked>,
    executors_made: u64,
    /// News of its executors that was acknowledged.
    acknowledged: usize,
}

impl Emulated {
    /// The agent of this number, which is not zero. What it says of itself is `info`.
    pub fn new(number: u64, info: AgentInfo) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        let agent = Agent::new(Config::new(info), Checkpoint::default(), seed);
        Self { agent, number, executors: BTreeMap::new(), executors_made: 0, acknowledged: 0 }
    }

    /// The real agent inside.
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// How many updates of its executors have been acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// Something happens; what disk and executors answer happens at once.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for effect in self.agent.step(now, event).effects {
                self.perform(effect, &mut events, &mut wishes);
            }
        }
        wishes
    }

    fn perform(&mut self, effect: Effect, events: &mut VecDeque<Event>, wishes: &mut Vec<Wish>) {
        match effect {
            Effect::ContactMaster(message) => wishes.push(Wish::Contact(message)),
            Effect::TellMaster { to, message } => wishes.push(Wish::Tell(to, message)),
            Effect::TellExecutor { to, message } => events.extend(self.tell_executor(to, message)),
            // A faked executor is never lost.
            Effect::Link(pid) | Effect::Unlink(pid) if self.executors.contains_key(&pid) => (),
            Effect::Link(pid) => wishes.push(Wish::Link(pid)),
            Effect::Unlink(pid) => wishes.push(Wish::Unlink(pid)),
            Effect::Write(record) => events.push_back(Event::Written(record)),
            Effect::EndOldExecutor(old) => {
                events.push_back(Event::OldExecutorEnded(old.container));
            }
            // Emulated agents have no former life.
            Effect::FindExecutor(old) => {
                events.push_back(Event::ExecutorNeverBegan(old.container));
            }
            Effect::DropRecords(_) | Effect::DismissGateway(_) => (),
            Effect::GiveContainer { .. } => (),
            Effect::StartExecutor(start) => events.extend(self.start_executor(*start)),
            Effect::SignalExecutor { container, signal: Signal::Terminate | Signal::Kill } => {
                events.extend(self.end_executor(&container, Exit::Signal(9)));
            }
            Effect::StartTimer { timer, after } => wishes.push(Wish::After(after, timer)),
            Effect::Note(_) => (),
            Effect::Stop(end) => wishes.push(Wish::Ended(end)),
        }
    }

    /// It runs and registers.
    fn start_executor(&mut self, start: StartExecutor) -> [Event; 2] {
        self.executors_made += 1;
        let pid = Pid::invented(self.number, self.executors_made);
        let started = Event::ExecutorStarted {
            container: start.container.clone(),
            process: ProcessIdentity { process: 1, started: 1, boot: "emulated".to_owned() },
        };
        let message = ExecutorToAgent::Register {
            framework: start.framework.framework.clone(),
            executor: start.spec.executor.clone(),
            container: start.container.clone(),
            token: start.token.clone(),
        };
        let source = (self.number << 32) + self.executors_made;
        self.executors.insert(pid, Faked { start, source, sequence: 0 });
        [started, Event::FromExecutor { from: pid, message }]
    }

    fn tell_executor(&mut self, to: Pid, message: AgentToExecutor) -> Vec<Event> {
        let Some(faked) = self.executors.get_mut(&to) else { return Vec::new() };
        match message {
            AgentToExecutor::Launch(spec) => vec![faked.says(to, spec.task, TaskState::Running)],
            AgentToExecutor::Kill { task, .. } => vec![faked.says(to, task, TaskState::Killed)],
            AgentToExecutor::Shutdown => {
                let container = faked.start.container.clone();
                self.end_executor(&container, Exit::Code(0)).into_iter().collect()
            }
            AgentToExecutor::Acknowledge { .. } => {
                self.acknowledged += 1;
                Vec::new()
            }
            AgentToExecutor::Registered { .. } | AgentToExecutor::Reregistered { .. } => Vec::new(),
            AgentToExecutor::FromScheduler(_) => Vec::new(),
        }
    }

    fn end_executor(&mut self, container: &ContainerId, exit: Exit) -> Option<Event> {
        let its = |(_, faked): &(&Pid, &Faked)| faked.start.container == *container;
        let pid = self.executors.iter().find(its).map(|(pid, _)| *pid)?;
        self.executors.remove(&pid);
        Some(Event::ExecutorExited { container: container.clone(), exit: Some(exit), ended: None })
    }
}

impl Faked {
    fn says(&mut self, me: Pid, task: TaskId, state: TaskState) -> Event {
        self.sequence += 1;
        let status = TaskStatus {
            framework: self.start.framework.framework.clone(),
            task,
            agent: None,
            executor: Some(self.start.spec.executor.clone()),
            state,
            source: Source::Executor,
            reason: None,
            message: String::new(),
            exit: None,
            isolation: Some(Isolation::ProcessGroup),
            process: Some(1),
            data: Vec::new(),
            at: WallTime(0),
            update: Some(UpdateId { source: self.source, sequence: self.sequence }),
            carried: Carried::default(),
        };
        Event::FromExecutor { from: me, message: ExecutorToAgent::Updated(status) }
    }
}
