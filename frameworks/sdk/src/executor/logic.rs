//! What the executor's side of a framework decides: registration, updates that are sent again until the agent has them,
//! messages, and the end. Pure; the author's executor hears of it through [`Word`]s.

mod lost;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use libactor::Pid;
pub use protocol::executor::Identity;
use protocol::executor::{AgentToExecutor, ExecutorToAgent};
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, TaskId, UpdateId};
use protocol::task::{Source, TaskSpec, TaskState, TaskStatus};
use protocol::time::Now;
use serde::{Deserialize, Serialize};

/// Before the first repeat of what was not answered; doubles up to `REPEAT_MOST`.
const REPEAT_FIRST: Duration = Duration::from_millis(500);
const REPEAT_MOST: Duration = Duration::from_secs(10);
/// An agent that does not answer for so long does not know this executor any more.
const REGISTRATIONS_MOST: u32 = 8;
/// Between tries to send what the way to the agent was too full for.
const BACKLOG_EVERY: Duration = Duration::from_millis(20);
/// How many messages may wait for their way to the agent before the author's reports are left waiting.
pub(crate) const BACKLOG_MOST: usize = 64;
/// The most updates that may wait for their acknowledgement.
const UPDATES_MOST: usize = 10_000;

/// Everything that can happen to an executor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The process is up.
    Started,
    /// The agent says something.
    FromAgent {
        /// Which life of it.
        from: Pid,
        /// What it says.
        message: AgentToExecutor,
    },
    /// The link to the agent ended.
    Down {
        /// Which life of it.
        pid: Pid,
    },
    /// The way to the agent was too full for this.
    NotSent(ExecutorToAgent),
    /// See [`Effect::StartTimer`].
    TimerFired(Timer),
    /// The author's executor has something to say.
    Reported(Report),
}

/// What the author's executor says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// A task's news.
    Task {
        /// Which.
        task: TaskId,
        /// How it is.
        state: TaskState,
        /// For people.
        message: String,
        /// For the scheduler.
        data: Vec<u8>,
    },
    /// For the scheduler; unreliable.
    Message(Vec<u8>),
    /// The executor wants to end once its news has arrived.
    Stop,
}

/// Everything an executor can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Say something to the agent.
    TellAgent {
        /// This life of it; `None`: by name.
        to: Option<Pid>,
        /// What to say.
        message: ExecutorToAgent,
    },
    /// Watch the agent; its end comes back as [`Event::Down`].
    Link(Pid),
    /// Comes back as [`Event::TimerFired`].
    StartTimer {
        /// Which.
        timer: Timer,
        /// When.
        after: Duration,
    },
    /// For the author's executor.
    Author(Word),
    /// End the process.
    Exit(Ending),
}

/// What the author's executor hears.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Word {
    /// The agent knows the executor.
    Registered(AgentId, Box<FrameworkInfo>),
    /// Run this.
    Launch(Box<TaskSpec>),
    /// End this task.
    Kill(TaskId, Duration),
    /// From the scheduler.
    Message(Vec<u8>),
    /// End all tasks.
    Shutdown,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Timer {
    /// `Register` was not answered.
    Register,
    /// Updates were not acknowledged.
    Updates(u64),
    /// The way to the agent may have room again.
    Backlog,
    /// The time to end in is over.
    Grace,
    /// The agent that was lost may be there again.
    Contact(u64),
    /// The agent that was lost should have come back by now.
    Recovery(u64),
}

/// Why an executor ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Ending {
    /// The agent or the author said so, and all news has arrived.
    #[error("the executor was shut down")]
    ShutDown,
    /// The agent was lost and did not come back in time, and with it the right to run.
    #[error("the executor lost its agent, which did not come back in time")]
    AgentLost,
    /// The agent never answered.
    #[error("the agent did not answer the executor")]
    NoAnswer,
}

/// The executor's half of the protocol with its agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExecutorDriver {
    identity: Identity,
    phase: Phase,
    registrations: u32,
    /// Random; one per life.
    source: u64,
    sequence: u64,
    /// Tasks that were launched and have not ended.
    live: BTreeMap<TaskId, TaskState>,
    /// News that waits for its acknowledgement, each task's in order; only the first of each is on its way.
    updates: BTreeMap<TaskId, VecDeque<TaskStatus>>,
    /// The generation of the timer for updates, and its pause.
    repeat: Option<(u64, Duration)>,
    generation: u64,
    /// What waits for room, in order.
    backlog: VecDeque<ExecutorToAgent>,
    ending: bool,
    recovery_timeout: Duration,
    /// How often the agent was lost.
    losses: u64,
}

/// `Registering -> Registered -> Lost -> Registered`, and from each `-> Ended`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Phase {
    Registering,
    Registered { agent: Pid, id: AgentId, grace: Duration },
    Lost { id: AgentId, grace: Duration, attempts: u32 },
    Ended,
}

impl ExecutorDriver {
    /// An executor that is `identity`; `source` is random and new in each life. An agent that is lost for longer than
    /// `recovery_timeout` is not waited for.
    pub fn new(identity: Identity, source: u64, recovery_timeout: Duration) -> Self {
        Self {
            identity,
            phase: Phase::Registering,
            registrations: 0,
            source,
            sequence: 0,
            live: BTreeMap::new(),
            updates: BTreeMap::new(),
            repeat: None,
            generation: 0,
            backlog: VecDeque::new(),
            ending: false,
            recovery_timeout,
            losses: 0,
        }
    }

    /// Whether the author's reports may go on.
    pub fn has_room(&self) -> bool {
        self.backlog.len() < BACKLOG_MOST && self.updates.len() < UPDATES_MOST
    }

    /// The index of everything an executor reacts to.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        if matches!(self.phase, Phase::Ended) {
            return effects;
        }
        match event {
            Event::Started => self.register(&mut effects),
            Event::FromAgent { from, message } => self.on_message(&mut effects, from, message),
            Event::Down { pid } => self.on_down(&mut effects, pid),
            Event::NotSent(message) => self.on_not_sent(&mut effects, message),
            Event::TimerFired(Timer::Register) => self.on_register_due(&mut effects),
            Event::TimerFired(Timer::Updates(due)) => self.on_updates_due(&mut effects, due),
            Event::TimerFired(Timer::Backlog) => self.on_backlog_due(&mut effects),
            Event::TimerFired(Timer::Contact(losses)) => self.contact(&mut effects, losses),
            Event::TimerFired(Timer::Recovery(losses)) => {
                self.on_recovery_over(&mut effects, losses);
            }
            Event::TimerFired(Timer::Grace) => self.exit(&mut effects, Ending::ShutDown),
            Event::Reported(report) => self.on_report(&mut effects, now, report),
        }
        if self.ending && self.live.is_empty() && self.updates.is_empty() {
            self.exit(&mut effects, Ending::ShutDown);
        }
        effects
    }

    fn register(&mut self, effects: &mut Vec<Effect>) {
        let message = self.identity.register();
        effects.push(Effect::TellAgent { to: None, message });
        let after = REPEAT_FIRST.saturating_mul(1 << self.registrations.min(8)).min(REPEAT_MOST);
        self.registrations += 1;
        effects.push(Effect::StartTimer { timer: Timer::Register, after });
    }

    fn on_register_due(&mut self, effects: &mut Vec<Effect>) {
        if !matches!(self.phase, Phase::Registering) {
            return;
        }
        if self.registrations >= REGISTRATIONS_MOST {
            return self.exit(effects, Ending::NoAnswer);
        }
        self.register(effects);
    }

    fn on_message(&mut self, effects: &mut Vec<Effect>, from: Pid, message: AgentToExecutor) {
        match (&self.phase, message) {
            (
                Phase::Registering,
                AgentToExecutor::Registered { agent: id, framework, shutdown_grace: grace },
            ) => {
                effects.push(Effect::Link(from));
                let word = Word::Registered(id.clone(), Box::new(framework));
                self.phase = Phase::Registered { agent: from, id, grace };
                effects.push(Effect::Author(word));
            }
            (Phase::Registering, AgentToExecutor::Shutdown) => self.exit(effects, Ending::ShutDown),
            (Phase::Registered { agent, .. }, message) if *agent == from => {
                self.on_word(effects, message);
            }
            (
                Phase::Lost { .. },
                AgentToExecutor::Reregistered { agent: id, shutdown_grace: grace },
            ) => self.on_reregistered(effects, from, id, grace),
            // Turned away: whoever is there now does not want it.
            (Phase::Lost { .. }, AgentToExecutor::Shutdown) => self.on_shutdown(effects),
            (Phase::Registering | Phase::Registered { .. }, _) => (),
            (Phase::Lost { .. } | Phase::Ended, _) => (),
        }
    }

    fn on_word(&mut self, effects: &mut Vec<Effect>, message: AgentToExecutor) {
        match message {
            AgentToExecutor::Registered { .. } | AgentToExecutor::Reregistered { .. } => (),
            AgentToExecutor::Launch(spec) => {
                // A repeat of a launch is normal if the agent is not sure that it arrived.
                let known = self.updates.contains_key(&spec.task);
                if !known && !self.live.contains_key(&spec.task) {
                    self.live.insert(spec.task.clone(), TaskState::Staging);
                    effects.push(Effect::Author(Word::Launch(Box::new(spec))));
                }
            }
            AgentToExecutor::Kill { task, grace } => {
                if self.live.contains_key(&task) {
                    effects.push(Effect::Author(Word::Kill(task, grace)));
                }
            }
            AgentToExecutor::Acknowledge { task, update } => {
                self.on_acknowledged(effects, task, update);
            }
            AgentToExecutor::FromScheduler(data) => {
                effects.push(Effect::Author(Word::Message(data)));
            }
            AgentToExecutor::Shutdown => self.on_shutdown(effects),
        }
    }

    fn on_shutdown(&mut self, effects: &mut Vec<Effect>) {
        if self.ending {
            return;
        }
        self.ending = true;
        effects.push(Effect::Author(Word::Shutdown));
        if let Phase::Registered { grace, .. } | Phase::Lost { grace, .. } = self.phase {
            effects.push(Effect::StartTimer { timer: Timer::Grace, after: grace });
        }
    }

    fn on_report(&mut self, effects: &mut Vec<Effect>, now: Now, report: Report) {
        match report {
            Report::Task { task, state, message, data } => {
                let (Phase::Registered { id, .. } | Phase::Lost { id, .. }) = &self.phase else {
                    return;
                };
                let Some(before) = self.live.get_mut(&task) else {
                    return; // It has ended: nothing can follow.
                };
                *before = state;
                if state.is_end() {
                    self.live.remove(&task);
                }
                self.sequence += 1;
                let update = UpdateId { source: self.source, sequence: self.sequence };
                let status = TaskStatus {
                    framework: self.identity.framework.clone(),
                    task: task.clone(),
                    agent: Some(id.clone()),
                    executor: Some(self.identity.executor.clone()),
                    state,
                    source: Source::Executor,
                    reason: None,
                    message,
                    exit: None,
                    isolation: None,
                    process: None,
                    data,
                    at: now.wall,
                    update: Some(update),
                    carried: Default::default(),
                };
                // Said at once, since what a task held is free as soon as its agent hears of its end: nobody may be there
                // to acknowledge what came before.
                self.updates.entry(task).or_default().push_back(status.clone());
                self.tell(effects, ExecutorToAgent::Updated(status));
                self.watch_updates(effects);
            }
            Report::Message(data) => self.tell(effects, ExecutorToAgent::ToScheduler(data)),
            Report::Stop => self.on_shutdown(effects),
        }
    }

    fn on_acknowledged(&mut self, effects: &mut Vec<Effect>, task: TaskId, update: UpdateId) {
        let Some(waiting) = self.updates.get_mut(&task) else {
            return;
        };
        let Some(at) = waiting.iter().position(|status| status.update == Some(update)) else {
            return; // A repeat.
        };
        waiting.drain(..=at);
        if waiting.is_empty() {
            self.updates.remove(&task);
        }
        self.repeat = None;
        self.watch_updates(effects);
    }

    fn watch_updates(&mut self, effects: &mut Vec<Effect>) {
        if self.repeat.is_none() && !self.updates.is_empty() {
            self.start_updates(effects, REPEAT_FIRST);
        }
    }

    fn start_updates(&mut self, effects: &mut Vec<Effect>, after: Duration) {
        self.generation += 1;
        self.repeat = Some((self.generation, after));
        effects.push(Effect::StartTimer { timer: Timer::Updates(self.generation), after });
    }

    fn on_updates_due(&mut self, effects: &mut Vec<Effect>, due: u64) {
        let after = match self.repeat {
            Some((generation, after)) if generation == due => (after * 2).min(REPEAT_MOST),
            Some(_) | None => return,
        };
        let all: Vec<TaskStatus> = self.updates.values().flatten().cloned().collect();
        for status in all {
            self.tell(effects, ExecutorToAgent::Updated(status));
        }
        self.start_updates(effects, after);
    }

    /// Behind what waits for room, so that the order holds.
    fn tell(&mut self, effects: &mut Vec<Effect>, message: ExecutorToAgent) {
        let Phase::Registered { agent, .. } = &self.phase else {
            return; // What is said before the agent knows us, nobody would hear.
        };
        if self.backlog.is_empty() {
            effects.push(Effect::TellAgent { to: Some(*agent), message });
        } else {
            self.backlog.push_back(message);
        }
    }

    /// Goes first when there is room again. Several of one step may come back: each behind those before it.
    fn on_not_sent(&mut self, effects: &mut Vec<Effect>, message: ExecutorToAgent) {
        let contacts = match message {
            ExecutorToAgent::Register { .. } | ExecutorToAgent::Reregister { .. } => true,
            ExecutorToAgent::Updated(_) | ExecutorToAgent::ToScheduler(_) => false,
        };
        if contacts || !matches!(self.phase, Phase::Registered { .. }) {
            return; // A contact has its own timer, and news is kept until it is acknowledged.
        }
        if self.backlog.is_empty() {
            effects.push(Effect::StartTimer { timer: Timer::Backlog, after: BACKLOG_EVERY });
        }
        self.backlog.push_back(message);
    }

    fn on_backlog_due(&mut self, effects: &mut Vec<Effect>) {
        let Phase::Registered { agent, .. } = self.phase else {
            return;
        };
        // One at a time would never catch up; what does not get through comes back in order.
        for message in std::mem::take(&mut self.backlog) {
            effects.push(Effect::TellAgent { to: Some(agent), message });
        }
    }

    fn exit(&mut self, effects: &mut Vec<Effect>, ending: Ending) {
        if !matches!(self.phase, Phase::Ended) {
            self.phase = Phase::Ended;
            effects.push(Effect::Exit(ending));
        }
    }
}

#[cfg(test)]
mod tests;
