//! What an agent decides. No sockets, clocks, disks, processes or randomness here: [`Agent::step`] takes one event and
//! returns what should happen next. The parts: joining the master ([`membership`]), taking tasks ([`launch`]), their
//! updates ([`updates`]), killing ([`kill`]), their executors ([`start`], [`executors`]; [`subscribed`]: those of the v1 API), and what
//! a new life makes of the former ([`recovery`]).

mod books;
mod chance;
mod checkpoint;
mod config;
mod configured;
mod container;
pub(crate) mod entrypoint;
mod executors;
mod fetch;
mod kill;
mod launch;
mod limits;
mod membership;
mod notice;
mod past;
mod recovery;
mod start;
mod state;
mod subscribed;
mod updates;
mod validate;

#[cfg(test)]
mod tests;

use std::time::Duration;

use containerizer::isolator::{Allowance, Limitation};
use libactor::Pid;
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::executor::{AgentToExecutor, ExecutorToAgent};
use protocol::ids::{AgentId, ContainerId, FrameworkId, TaskId};
use protocol::resources::Resources;
use protocol::task::{CommandSpec, ExecutorSpec, Exit, TaskState, TaskStatus};
use protocol::time::Now;
use serde::{Deserialize, Serialize};

pub use books::{Books, ExecutorSeen, FrameworkSeen, Life, Stage, TaskSeen};
pub use checkpoint::{
    Checkpoint, ExecutorLaunch, KeptExecutor, KeptFramework, KeptTask, OldExecutor,
    ProcessIdentity, Record, TaskTaken,
};
pub use config::{BadConfig, Bug, Config, Recover};
pub use configured::ReconfigurationPolicy;
pub(crate) use container::network;
pub use fetcher::logic::Fetch;
pub use notice::{End, Notice};
pub use start::StartExecutor;
pub use subscribed::{Addressed, Known, Subscription};

use chance::Chance;
use membership::Membership;
use state::State;

/// Everything that can happen to an agent.
#[allow(clippy::large_enum_variant)] // an event is moved once, into the step that uses it up
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The first event of a life.
    Started,
    /// The record is in the checkpoint, on disk where [`Record::must_be_synced`]; see [`Effect::Write`].
    Written(Record),
    /// The record could not be written; in words.
    WriteFailed {
        /// What was to be written.
        record: Record,
        /// Why it was not.
        words: String,
    },
    /// Nothing of an executor of a former life runs any more; see [`Effect::EndOldExecutor`].
    OldExecutorEnded(ContainerId),
    /// An executor of a former life runs, and is watched like one of this; see [`Effect::FindExecutor`].
    ExecutorFound {
        /// Which.
        container: ContainerId,
        /// As which process.
        process: ProcessIdentity,
    },
    /// An executor of which no process was known never began; see [`Effect::FindExecutor`].
    ExecutorNeverBegan(ContainerId),
    /// A master speaks.
    FromMaster {
        /// Who.
        from: Pid,
        /// What it says.
        message: MasterToAgent,
    },
    /// An executor speaks.
    FromExecutor {
        /// Who.
        from: Pid,
        /// What it says.
        message: ExecutorToAgent,
    },
    /// An executor subscribes by the v1 API: its gateway speaks for it.
    ExecutorSubscribes {
        /// The gateway.
        from: Pid,
        /// Which executor, and what it has.
        subscription: Subscription,
    },
    /// A linked actor is gone or its connection is lost; see [`Effect::Link`].
    Down {
        /// Who.
        pid: Pid,
        /// Why, in words.
        words: String,
    },
    /// The executor's process runs; see [`Effect::StartExecutor`].
    ExecutorStarted {
        /// Which.
        container: ContainerId,
        /// As which process.
        process: ProcessIdentity,
    },
    /// The executor could not be started, not even if a shim for it was; nothing of it lives. See [`Effect::StartExecutor`].
    ExecutorNotStarted {
        /// Which.
        container: ContainerId,
        /// Why.
        why: StartFailure,
    },
    /// The executor's process and all that it left behind have ended.
    ExecutorExited {
        /// Which.
        container: ContainerId,
        /// How its process ended; `None` if that is not known.
        exit: Option<Exit>,
        /// The end of its task, if it wrote that down.
        ended: Option<Box<TaskStatus>>,
    },
    /// See [`Effect::GiveContainer`].
    ContainerNotGiven {
        /// Which.
        container: ContainerId,
        /// Why, in words.
        words: String,
    },
    /// Something in a container went beyond a limit.
    ContainerLimited {
        /// Which.
        container: ContainerId,
        /// Which limit.
        limitation: Limitation,
    },
    /// See [`Effect::StartTimer`].
    TimerFired(Timer),
    /// The operator ends the agent.
    Leave,
    /// Whoever finds the master has found another one, or that nobody leads.
    MasterDetected(Option<String>),
    /// Whoever leads is of an older version, which could not be told what it was to be: see [`Effect::ContactMaster`].
    MasterIsOlder,
}

/// Everything an agent can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Say this to whoever has the master's name now; may get lost.
    ContactMaster(AgentToMaster),
    /// Say this to the master that the agent is registered with, or to one that it refuses.
    TellMaster {
        /// Whom.
        to: Pid,
        /// What.
        message: AgentToMaster,
    },
    /// Say this to an executor.
    TellExecutor {
        /// Whom.
        to: Pid,
        /// What.
        message: AgentToExecutor,
    },
    /// The gateway of an executor speaks for it no more: another one does, or there is no executor.
    DismissGateway(Pid),
    /// Comes back as [`Event::Down`], once.
    Link(Pid),
    /// Its [`Event::Down`] is no longer of interest.
    Unlink(Pid),
    /// Append to the checkpoint; comes back as [`Event::Written`] or [`Event::WriteFailed`]. Written in order.
    Write(Record),
    /// Kill what still runs of an executor of a former life; comes back as [`Event::OldExecutorEnded`].
    EndOldExecutor(OldExecutor),
    /// Look for an executor of a former life. Comes back as [`Event::ExecutorFound`], and at last
    /// [`Event::ExecutorExited`]; as that alone, once nothing of it runs; or, if no process of it is known, as
    /// [`Event::ExecutorNeverBegan`].
    FindExecutor(OldExecutor),
    /// It is noted that nothing of it runs: what it wrote down is of no further use.
    DropRecords(ContainerId),
    /// Make a sandbox and start the process; comes back as [`Event::ExecutorStarted`], and at last
    /// [`Event::ExecutorExited`], or as [`Event::ExecutorNotStarted`], alone or after the other.
    StartExecutor(Box<StartExecutor>),
    /// From now on the container may take this; comes back as [`Event::ContainerNotGiven`] if it cannot.
    GiveContainer {
        /// Which.
        container: ContainerId,
        /// What its executor and its tasks hold, and may take beside.
        allowance: Allowance,
    },
    /// Send a signal to the executor's process.
    SignalExecutor {
        /// Which.
        container: ContainerId,
        /// Polite or final.
        signal: Signal,
    },
    /// Comes back as [`Event::TimerFired`]; never cancelled, late ones are recognised by their generation.
    StartTimer {
        /// Which.
        timer: Timer,
        /// How long from now.
        after: Duration,
    },
    /// A fact for the log.
    Note(Notice),
    /// The agent's life is over.
    Stop(End),
}

/// What the agent waits for. Generations tell a timer that was replaced from one that counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Timer {
    /// Contact the master (again).
    Contact {
        /// Grows with each change of phase.
        generation: u64,
    },
    /// Has the master been silent for too long?
    MasterSilent {
        /// Grows with each change of phase.
        generation: u64,
    },
    /// Executors of a former life should have ended by now.
    OldExecutorsLate,
    /// Executors of a former life should be back by now.
    ExecutorsBack,
    /// An executor that lost its connection should be back by now.
    ExecutorBack {
        /// Which.
        container: ContainerId,
        /// Grows with each loss.
        losses: u64,
    },
    /// Say the oldest unacknowledged update of a task again.
    UpdateAgain {
        /// Whose.
        framework: FrameworkId,
        /// Which task.
        task: TaskId,
        /// Grows with each update sent.
        generation: u64,
    },
    /// The executor should have registered by now.
    ExecutorRegistration(ContainerId),
    /// Say launches and kills to the executor again that it has not reacted to.
    ExecutorAgain {
        /// Which.
        container: ContainerId,
        /// Grows with each start of this timer.
        generation: u64,
    },
    /// The executor was told to end and should have done so by now.
    ExecutorEnd(ContainerId),
    /// The agent leaves now, whether or not all is acknowledged.
    LeaveAnyway,
}

/// The polite and the final signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// `SIGTERM`.
    Terminate,
    /// `SIGKILL`.
    Kill,
}

/// What an executor's process is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Program {
    /// The executor of command tasks, as the agent's own user: it becomes the task's user when it starts the task.
    CommandExecutor,
    /// The framework's own, as its user.
    Custom(CommandSpec),
}

/// Why an executor's process could not be started; in words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StartFailure {
    /// The user is unknown here, or the agent may not become it.
    User(String),
    /// The sandbox could not be made.
    Sandbox(String),
    /// The program could not be started.
    Program(String),
}

/// What one step brings about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// In this order.
    pub effects: Vec<Effect>,
}

/// An agent: its membership, its executors and its tasks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Agent {
    config: Config,
    chance: Chance,
    membership: Membership,
    state: State,
}

/// One call of [`Agent::step`]: the time it is, and what will be done.
struct Turn {
    now: Now,
    effects: Vec<Effect>,
}

impl Turn {
    fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn note(&mut self, notice: Notice) {
        self.push(Effect::Note(notice));
    }

    fn start(&mut self, timer: Timer, after: Duration) {
        self.push(Effect::StartTimer { timer, after });
    }

    fn tell_executor(&mut self, to: Pid, message: AgentToExecutor) {
        self.push(Effect::TellExecutor { to, message });
    }
}

impl Agent {
    /// A new life, with what the checkpoint remembers of the former ones. All chance comes from `seed`, which must be
    /// unguessable: executors prove themselves by tokens made from it.
    pub fn new(config: Config, checkpoint: Checkpoint, seed: [u8; 32]) -> Self {
        let mut checkpoint = recovery::remembered(&config, checkpoint);
        if config.recover == Recover::Cleanup {
            checkpoint.keep_only_processes();
        }
        let mut chance = Chance::new(seed);
        let membership = Membership::new(&checkpoint, chance.draw(), &config.info.boot);
        let state = State::recovered(&config.info, chance.draw(), checkpoint);
        Self { config, chance, membership, state }
    }

    /// The index of everything the agent reacts to.
    pub fn step(&mut self, now: Now, event: Event) -> Step {
        let mut turn = Turn { now, effects: Vec::new() };
        match event {
            Event::Started => self.on_started(&mut turn),
            Event::Written(record) => self.on_written(&mut turn, record),
            Event::WriteFailed { record, words } => self.on_write_failed(&mut turn, record, words),
            Event::OldExecutorEnded(container) => self.on_old_executor_ended(&mut turn, &container),
            Event::ExecutorFound { container, process } => {
                self.on_executor_found(&mut turn, container, process);
            }
            Event::ExecutorNeverBegan(container) => self.on_never_began(&mut turn, &container),
            Event::FromMaster { from, message } => self.on_master_said(&mut turn, from, message),
            Event::FromExecutor { from, message } => {
                self.on_executor_said(&mut turn, from, message);
            }
            Event::ExecutorSubscribes { from, subscription } => {
                self.on_executor_subscribes(&mut turn, from, subscription);
            }
            Event::Down { pid, words } => self.on_down(&mut turn, pid, &words),
            Event::ExecutorStarted { container, process } => {
                self.on_executor_started(&mut turn, container, process);
            }
            Event::ExecutorNotStarted { container, why } => {
                self.on_executor_not_started(&mut turn, &container, why);
            }
            Event::ExecutorExited { container, exit, ended } => {
                self.on_executor_exited(&mut turn, &container, exit, ended);
            }
            Event::ContainerNotGiven { container, words } => {
                self.on_container_not_given(&mut turn, &container, words);
            }
            Event::ContainerLimited { container, limitation } => {
                self.on_container_limited(&mut turn, &container, limitation);
            }
            Event::TimerFired(timer) => self.on_timer(&mut turn, timer),
            Event::Leave => self.on_leave(&mut turn),
            Event::MasterDetected(leader) => self.on_master_detected(&mut turn, leader),
            Event::MasterIsOlder => self.on_master_is_older(&mut turn),
        }
        Step { effects: turn.effects }
    }

    fn on_timer(&mut self, turn: &mut Turn, timer: Timer) {
        match timer {
            Timer::Contact { generation } => self.on_contact_due(turn, generation),
            Timer::MasterSilent { generation } => self.on_silence_due(turn, generation),
            Timer::OldExecutorsLate => self.on_old_executors_late(turn),
            Timer::ExecutorsBack => self.on_executors_back_due(turn),
            Timer::ExecutorBack { container, losses } => {
                self.on_executor_back_due(turn, &container, losses);
            }
            Timer::UpdateAgain { framework, task, generation } => {
                self.on_update_due(turn, &framework, &task, generation);
            }
            Timer::ExecutorRegistration(container) => self.on_registration_due(turn, &container),
            Timer::ExecutorAgain { container, generation } => {
                self.on_executor_again(turn, &container, generation);
            }
            Timer::ExecutorEnd(container) => self.on_executor_end_due(turn, &container),
            Timer::LeaveAnyway => self.on_leave_anyway(turn),
        }
    }
}

/// What can be seen of an agent from outside; for the simulator's properties and for tests.
impl Agent {
    /// The id it was given, once that is written down.
    pub fn id(&self) -> Option<&AgentId> {
        self.membership.agent()
    }

    /// The highest epoch it has written down.
    pub fn epoch(&self) -> u64 {
        self.membership.epoch()
    }

    /// The master it is registered with now.
    pub fn master(&self) -> Option<Pid> {
        self.membership.master()
    }

    /// All it has to give.
    pub fn total(&self) -> &Resources {
        self.state.total()
    }

    /// What its tasks and executors hold.
    pub fn used(&self) -> Resources {
        self.state.used()
    }

    /// Its tasks that are not ended and acknowledged, with their newest state.
    pub fn tasks(&self) -> impl Iterator<Item = (&FrameworkId, &TaskId, TaskState)> {
        self.state.tasks().map(|(framework, task, entry)| (framework, task, entry.state))
    }

    /// Of which executor this is the actor.
    pub fn container_of(&self, executor: Pid) -> Option<&ContainerId> {
        self.state.pids.get(&executor)
    }

    /// The process of an executor, once it runs.
    pub fn process(&self, container: &ContainerId) -> Option<u32> {
        self.state.executors.get(container)?.phase.process()
    }

    /// Its executors that have not ended.
    pub fn executors(&self) -> impl Iterator<Item = (&ContainerId, &FrameworkId, &ExecutorSpec)> {
        self.state.executors.iter().map(|(id, e)| (id, &e.framework, &e.spec))
    }
}
