//! What the scheduler's side of a framework decides. No sockets, clocks, disks or chance here: [`Driver`] keeps the
//! subscription, the view of tasks, launches, acknowledgements and reconciliation; [`Framework`] is a driver with its
//! author's [`Scheduler`]. The actor runs [`Framework::step`] against a real master, the simulator against a simulated one.

mod calls;
mod executors;
mod framework;
mod leading;
mod offers;
mod reconcile;
mod saying;
mod settled;
mod subscription;
mod tasks;
mod view;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use protocol::framework::{FrameworkInfo, FrameworkToMaster, MasterToFramework};
use protocol::ids::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId, UpdateId};
use protocol::offer::{Offer, Unmet};
use protocol::resources::Resources;
use protocol::task::{Exit, TaskSpec, TaskStatus};
use protocol::time::{Instant, Now};
use protocol::wishes::FaultDomain;
use serde::{Deserialize, Serialize};

pub use calls::{Calls, NotLaunched};
use executors::Executors;
pub use framework::{Framework, Scheduler};
pub use libactor::Pid;
use settled::Settled;
pub use subscription::Phase;
pub use tasks::BookedTask;
pub use view::{View, ViewedTask};
pub use wishes::NotItsRole;
use wishes::Wishes;

/// How patient the driver is, and how much it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Before the first repeat of an unanswered `Subscribe`; doubles up to `backoff_most`, or longer with very many tasks.
    pub backoff: Duration,
    /// The longest pause between repeats: a question is little, and whoever could not be reached is found soon after it can.
    pub backoff_most: Duration,
    /// How long a launch may go without any word of it before the driver asks.
    pub doubt_after: Duration,
    /// How often all tasks are asked about, with or without doubt.
    pub reconcile_every: Duration,
    /// How long an offer may be held back before the driver returns it; less than the master's lease.
    pub hold_most: Duration,
    /// How long not to be offered again what was not used.
    pub refuse_for: Duration,
    /// The most tasks that may be known at once.
    pub tasks_most: usize,
    /// How many handled updates are remembered, so that a repeat is known for one; and how many ended tasks.
    pub handled_most: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            backoff: Duration::from_millis(250),
            backoff_most: Duration::from_secs(2),
            doubt_after: Duration::from_secs(5),
            reconcile_every: Duration::from_secs(300),
            hold_most: Duration::from_secs(240),
            refuse_for: Duration::from_secs(1),
            tasks_most: 100_000,
            handled_most: 65_536,
        }
    }
}

/// Everything that can happen to a framework.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The process is up. Nothing is told before.
    Started {
        /// What an earlier life stored.
        stored: BTreeMap<String, Vec<u8>>,
    },
    /// A master says something.
    FromMaster {
        /// Which life of it.
        from: Pid,
        /// What it says.
        message: MasterToFramework,
    },
    /// The link to a master ended.
    Down {
        /// Which life of it.
        pid: Pid,
    },
    /// Another master leads than the last that was found.
    OtherLeader,
    /// A message could not be sent: the way to this master is broken.
    NotSent {
        /// Whom it was for; `None`: whoever leads.
        to: Option<Pid>,
    },
    /// The master is of an older version, which does not know these words.
    TooNew {
        /// Whom they were for; `None`: whoever leads.
        to: Option<Pid>,
        /// The words.
        message: FrameworkToMaster,
    },
    /// The way to this master is full: what could not be said is given back.
    NoRoom {
        /// Whom it was for.
        to: Pid,
        /// In the order in which it was to be said.
        messages: Vec<FrameworkToMaster>,
    },
    /// See [`Effect::Remember`].
    Remembered(FrameworkId),
    /// See [`Effect::Store`].
    Stored(u64),
    /// See [`Effect::StartTimer`].
    TimerFired(Timer),
    /// Somebody outside has something for the scheduler.
    Input(Vec<u8>),
    /// Nobody can say whether it still leads the schedulers of its framework.
    Suspended,
    /// It still does.
    Resumed,
    /// It does not any more, and why.
    Deposed(String),
}

/// Everything a framework can do.
#[allow(clippy::large_enum_variant)] // each is made and moved once
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Say something to the master.
    TellMaster {
        /// This life of it; `None`: by name, whoever leads.
        to: Option<Pid>,
        /// What to say.
        message: FrameworkToMaster,
    },
    /// Watch a master; its end comes back as [`Event::Down`].
    Link(Pid),
    /// Watch it no longer.
    Unlink(Pid),
    /// Write the framework's id down; comes back as [`Event::Remembered`].
    Remember(FrameworkId),
    /// The id is never valid again: forget it, and all that was stored.
    Forget,
    /// Write these entries down; comes back as [`Event::Stored`] with the number.
    Store {
        /// Counts up.
        number: u64,
        /// Each replaces what was stored under its key; no value removes the key. None: only what was stored before is
        /// waited for.
        entries: Vec<(String, Option<Vec<u8>>)>,
    },
    /// Comes back as [`Event::TimerFired`].
    StartTimer {
        /// Which.
        timer: Timer,
        /// When.
        after: Duration,
    },
    /// For the log: somebody should know.
    Warn(String),
    /// The framework has ended; nothing follows.
    End(Outcome),
}

/// What a timer is for. Those that can be replaced carry a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Timer {
    /// `Subscribe` was not answered.
    Subscribe(u64),
    /// Time to ask about tasks in doubt.
    Doubts(u64),
    /// Time to ask about all tasks.
    Reconcile(u64),
    /// Held offers are to be looked at.
    Held(u64),
    /// The way to the master may have room again.
    Room(u64),
    /// The scheduler's own, by its key.
    Author(u64),
}

/// How a framework ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Outcome {
    /// The scheduler stopped; its tasks run on and wait for its return.
    #[error("the scheduler stopped")]
    Stopped,
    /// The framework is torn down, with all its tasks.
    #[error("the framework is torn down")]
    TornDown,
    /// Another life of the scheduler has taken over.
    #[error("another life of this framework's scheduler has taken over")]
    FailedOver,
    /// The master does not take this framework.
    #[error("the master refused the framework: {0}")]
    Refused(String),
    /// Another scheduler of the framework leads from now on, or may.
    #[error("the scheduler does not lead any more: {0}")]
    Deposed(String),
}

/// What one step asks for, in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// To be performed in order.
    pub effects: Vec<Effect>,
}

/// What the driver has for the author's scheduler.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum News {
    Subscribed(FrameworkId),
    Disconnected,
    Offers(Vec<Offer>),
    Rescinded(Vec<OfferId>),
    Updated(Box<TaskStatus>),
    Message { agent: AgentId, executor: ExecutorId, data: Vec<u8> },
    ExecutorEnded { agent: AgentId, executor: ExecutorId, exit: Option<Exit> },
    AgentLost(AgentId),
    Unmet(Vec<Unmet>),
    Timer(u64),
    Input(Vec<u8>),
    Error(String),
}

/// Mistakes that can be switched on by name, so that a simulation can show that it would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Bug {
    /// That an update is dealt with is told before what the scheduler stored for it is written.
    UpdateToldBeforeStored,
    /// A task whose fate is unknown after a reconnect counts as dropped without asking.
    RelaunchesUnacknowledged,
    /// A missing delta is not noticed.
    IgnoresDeltaGap,
    /// A repeated update reaches the scheduler again.
    FilterDuplicatesOff,
    /// A scheduler of which nobody can say whether it leads speaks as if it did.
    SpeaksThoughSuspended,
    /// What only waits for those before it is not written, though nobody can say whether it could be.
    EmptyWriteSkippedInDoubt,
    /// Who takes over from another scheduler of its framework begins as if nothing had ever been kept.
    TakesOverWithNothing,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::UpdateToldBeforeStored,
        Self::RelaunchesUnacknowledged,
        Self::IgnoresDeltaGap,
        Self::FilterDuplicatesOff,
        Self::SpeaksThoughSuspended,
        Self::EmptyWriteSkippedInDoubt,
        Self::TakesOverWithNothing,
    ];
}

/// An offer that was not answered yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenOffer {
    pub(crate) offer: Offer,
    /// Where its agent is, if that is known.
    pub(crate) domain: Option<FaultDomain>,
    pub(crate) left: Resources,
    pub(crate) since: Instant,
    /// The scheduler has heard of it, so its answer is due.
    pub(crate) told: bool,
    /// The scheduler wants to decide later.
    pub(crate) held: bool,
    pub(crate) launches: Vec<TaskSpec>,
}

/// The scheduler's half of the protocol with the master.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Driver {
    pub(crate) settings: Settings,
    pub(crate) info: FrameworkInfo,
    pub(crate) framework: Option<FrameworkId>,
    pub(crate) nonce: u64,
    pub(crate) phase: Phase,
    /// The highest epoch of a master that was followed.
    pub(crate) epoch: u64,
    /// Unanswered `Subscribe`s in a row.
    pub(crate) attempts: u32,
    /// State of the jitter.
    pub(crate) chance: u64,
    pub(crate) generation: u64,
    pub(crate) view: View,
    pub(crate) book: BTreeMap<TaskId, BookedTask>,
    settled: Settled,
    pub(crate) offers: BTreeMap<OfferId, OpenOffer>,
    executors: Executors,
    pub(crate) handled: BTreeSet<UpdateId>,
    pub(crate) handled_order: VecDeque<UpdateId>,
    pub(crate) wishes: Wishes,
    /// As the master that is followed was told.
    pub(crate) wishes_told: Wishes,
    /// That a master is of an older version was said.
    pub(crate) older_said: bool,
    /// The generation of the running timer for doubts, and how often it fired without settling all.
    pub(crate) doubts: Option<(u64, u32)>,
    pub(crate) reconcile: u64,
    pub(crate) held: Option<u64>,
    /// Messages that wait until an earlier [`Effect::Store`] is done, each with that store's number, or for room.
    pub(crate) withheld: VecDeque<(u64, FrameworkToMaster)>,
    /// The generation of the timer for more room, while the way to the master is full.
    pub(crate) full: Option<u64>,
    pub(crate) stores: u64,
    pub(crate) stored: u64,
    pub(crate) tearing_down: bool,
    /// The master that is followed was told so.
    pub(crate) tear_down_told: bool,
    /// The scheduler wants to end; done once everything is stored and said.
    pub(crate) stopping: bool,
    /// Nobody can say whether it leads.
    pub(crate) suspended: bool,
    pub(crate) bug: Option<Bug>,
}

/// One call of [`Driver::hear`]: the time it is, what will be done, and what the scheduler is to hear.
pub(crate) struct Turn {
    pub(crate) now: Now,
    pub(crate) effects: Vec<Effect>,
    pub(crate) news: VecDeque<News>,
}

impl Driver {
    /// A driver for a framework that is `info`. `remembered` is the id that an earlier life wrote down; `nonce` is
    /// random and new in each life.
    pub fn new(
        info: FrameworkInfo,
        remembered: Option<FrameworkId>,
        nonce: u64,
        settings: Settings,
    ) -> Self {
        Self {
            settings,
            info,
            framework: remembered,
            nonce,
            phase: Phase::Idle,
            epoch: 0,
            attempts: 0,
            chance: nonce | 1,
            generation: 0,
            view: View::default(),
            book: BTreeMap::new(),
            settled: Settled::default(),
            offers: BTreeMap::new(),
            executors: Executors::default(),
            handled: BTreeSet::new(),
            handled_order: VecDeque::new(),
            wishes: Wishes::default(),
            wishes_told: Wishes::default(),
            older_said: false,
            doubts: None,
            reconcile: 0,
            held: None,
            withheld: VecDeque::new(),
            full: None,
            stores: 0,
            stored: 0,
            tearing_down: false,
            tear_down_told: false,
            stopping: false,
            suspended: false,
            bug: None,
        }
    }

    /// Switches a mistake on.
    #[cfg(feature = "testing")]
    pub fn with_bug(mut self, bug: Bug) -> Self {
        self.bug = Some(bug);
        self
    }

    /// The framework's id, once a master gave it one.
    pub fn framework(&self) -> Option<&FrameworkId> {
        self.framework.as_ref()
    }

    /// The master's book of this framework, as far as it is known.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// How it stands with the master.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The index of everything the driver reacts to.
    pub(crate) fn hear(&mut self, turn: &mut Turn, event: Event) {
        if matches!(self.phase, Phase::Ended) {
            return;
        }
        match event {
            Event::Started { stored: _ } => self.on_started(turn),
            Event::FromMaster { from, message } => self.on_message(turn, from, message),
            Event::Down { pid } => self.on_down(turn, pid),
            Event::OtherLeader => self.on_other_leader(turn),
            Event::NotSent { to } => self.on_not_sent(turn, to),
            Event::TooNew { to, message } => self.on_too_new(turn, to, message),
            Event::NoRoom { to, messages } => self.on_no_room(turn, to, messages),
            Event::Remembered(framework) => self.on_remembered(turn, &framework),
            Event::Stored(number) => self.on_stored(turn, number),
            Event::TimerFired(timer) => match timer {
                Timer::Subscribe(generation) => self.on_subscribe_due(turn, generation),
                Timer::Doubts(generation) => self.on_doubts_due(turn, generation),
                Timer::Reconcile(generation) => self.on_reconcile_due(turn, generation),
                Timer::Held(generation) => self.on_held_due(turn, generation),
                Timer::Room(generation) => self.on_room_due(turn, generation),
                Timer::Author(key) => turn.news.push_back(News::Timer(key)),
            },
            Event::Input(data) => turn.news.push_back(News::Input(data)),
            Event::Suspended => self.suspended = !self.has(Bug::SpeaksThoughSuspended),
            Event::Resumed => self.on_resumed(turn),
            Event::Deposed(why) => self.on_deposed(turn, why),
        }
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }
}

impl Turn {
    pub(crate) fn start(&mut self, timer: Timer, after: Duration) {
        self.effects.push(Effect::StartTimer { timer, after });
    }
}

#[cfg(test)]
mod tests;
