//! A simulated process: what runs in its present life, and what its disk keeps between lives.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use agent::checkpoint_bytes;
use agent::logic::{Agent, Checkpoint, Record};
use executor::logic::Executor;
use master::logic::Master;
use master::logic::allocator::Allocator;
use master::logic::registry::RegistryOperation;
use protocol::change::AgentState;
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ContainerId, FrameworkId, TaskId, UpdateId};
use protocol::resources::Resources;
use sdk::executor::logic::ExecutorDriver;
use sdk::logic::Settings;
use sdk::state::{Stored, bytes};

use crate::author::{AnyFramework, MakeScheduler};
use crate::careless::Careless;
use crate::disk::Pending;
use crate::network::{Host, Life};
use crate::properties::{Generations, Pace, Policy, Told, Watch};
use crate::said::Event;

/// One process and all its lives.
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) host: Host,
    /// How many lives it has had.
    pub(crate) life: u32,
    /// Until when it stands still.
    pub(crate) frozen: Option<Duration>,
    /// Dies in the middle of its next step, after so many effects.
    pub(crate) dies_after: Option<usize>,
    /// Comes back by itself when it ends.
    pub(crate) supervised: bool,
    pub(crate) seat: Seat,
    pub(crate) body: Option<Body>,
}

/// What a process is, in all its lives.
pub(crate) enum Seat {
    /// Its disk is the cluster's registry.
    Master,
    /// An agent with its work directory.
    Agent {
        config: Box<agent::logic::Config>,
        /// What is written, and how it stands in the file.
        checkpoint: Box<Checkpoint>,
        file: Vec<u8>,
        /// So much of the file is on disk, and not only in the kernel.
        synced: usize,
    },
    /// An executor; it has one life.
    Executor { parent: Life, container: ContainerId, framework: FrameworkId, custom: bool },
    /// A scheduler with its state directory.
    Framework(Box<FrameworkSeat>),
}

/// A scheduler's state directory, and how to make it anew.
pub(crate) struct FrameworkSeat {
    pub(crate) info: FrameworkInfo,
    pub(crate) settings: Settings,
    pub(crate) bug: Option<sdk::logic::Bug>,
    /// Whether it says things that schedulers should not say.
    pub(crate) careless: bool,
    pub(crate) make: Box<dyn MakeScheduler>,
    pub(crate) remembered: Option<FrameworkId>,
    pub(crate) stored: BTreeMap<String, Vec<u8>>,
    /// How these two stand in its file.
    pub(crate) file: Vec<u8>,
    /// How its last life ended, if by its own will.
    pub(crate) outcome: Option<sdk::logic::Outcome>,
}

/// What runs in one life.
pub(crate) enum Body {
    Master(Box<MasterBody>),
    Agent(Box<AgentBody>),
    Executor(Box<Executor>),
    Custom(Box<CustomBody>),
    Framework(Box<FrameworkBody>),
}

/// A master's process: the master, the allocator and the registrar.
pub(crate) struct MasterBody {
    pub(crate) master: Master,
    pub(crate) allocator: Allocator,
    pub(crate) pending: Pending<RegistryOperation>,
    /// A batch is on its way to the ensemble.
    pub(crate) writing: bool,
    /// It is not known whether it leads: what comes waits.
    pub(crate) suspended: bool,
    pub(crate) waiting: Vec<Event>,
    /// When the last message in each direction between master and allocator arrives.
    pub(crate) to_allocator: Duration,
    pub(crate) to_master: Duration,
    /// Messages between the two that have not arrived.
    pub(crate) between: u32,
    /// How often the allocator was to be told something.
    pub(crate) allocator_told: u64,
    /// Whether what it is told is dropped, until it has room and starts over.
    pub(crate) allocator_is_stuck: bool,
    /// The number of the newest change.
    pub(crate) change: u64,
    /// What the changes say is used and offered on each agent.
    pub(crate) books: BTreeMap<AgentId, (Resources, Resources)>,
    /// What the changes say of each agent's state.
    pub(crate) agents: BTreeMap<AgentId, AgentState>,
    pub(crate) watch: Watch,
    pub(crate) pace: Pace,
    pub(crate) generations: Generations,
    pub(crate) policy: Policy,
    /// What schedulers were told of the tasks there are.
    pub(crate) told: Told,
}

/// An agent's process.
pub(crate) struct AgentBody {
    pub(crate) agent: Agent,
    pub(crate) pending: Pending<Record>,
    /// Whether this life was ever with a master.
    pub(crate) greeted: bool,
    /// The newest news that it told the master, by task and by who made it.
    pub(crate) said: BTreeMap<(FrameworkId, TaskId, u64), u64>,
}

/// An executor of a framework's own: the SDK's half, and a simple author's.
pub(crate) struct CustomBody {
    pub(crate) driver: ExecutorDriver,
    /// Tasks that run, with the simulated process of each.
    pub(crate) tasks: BTreeMap<TaskId, u64>,
}

/// A write to a scheduler's state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StateWrite {
    Remember(FrameworkId),
    Store { number: u64, entries: Vec<(String, Option<Vec<u8>>)> },
}

/// A scheduler's process.
pub(crate) struct FrameworkBody {
    pub(crate) framework: Box<dyn AnyFramework>,
    pub(crate) pending: Pending<StateWrite>,
    /// The number of the newest store that is written.
    pub(crate) stored: u64,
    /// Updates whose handling stored something, with the number of that store.
    pub(crate) stores_for: BTreeMap<UpdateId, u64>,
    pub(crate) careless: Careless,
}

impl Seat {
    /// An agent with an empty disk.
    pub(crate) fn agent(config: agent::logic::Config) -> Self {
        let checkpoint = Box::<Checkpoint>::default();
        let file = checkpoint_bytes::file(&checkpoint);
        let synced = file.len();
        Self::Agent { config: Box::new(config), checkpoint, file, synced }
    }
}

impl FrameworkSeat {
    /// Another process of the same framework, with what is written now.
    pub(crate) fn heir(&self) -> Self {
        Self {
            info: self.info.clone(),
            settings: self.settings.clone(),
            bug: self.bug,
            careless: self.careless,
            make: self.make.again(),
            remembered: self.remembered.clone(),
            stored: self.stored.clone(),
            file: self.file.clone(),
            outcome: None,
        }
    }

    /// A write is done.
    pub(crate) fn apply(&mut self, write: &StateWrite) {
        self.apply_torn(write, |bytes| bytes);
    }

    /// A write is done as far as a crash has left it: what is whole of it counts.
    pub(crate) fn apply_torn(&mut self, write: &StateWrite, torn: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        const FITS: &str = "simulated schedulers store little";
        let records: Vec<Vec<u8>> = match write {
            StateWrite::Remember(framework) => vec![bytes::remembered(framework).expect(FITS)],
            StateWrite::Store { entries, .. } => entries
                .iter()
                .map(|(key, value)| bytes::entry(key, value.as_deref()).expect(FITS))
                .collect(),
        };
        let left = torn(records.concat());
        let mut rest = &left[..];
        let whole = records.iter().take_while(|record| {
            rest.strip_prefix(&record[..]).inspect(|behind| rest = behind).is_some()
        });
        let whole = whole.count();
        self.file.extend(&left);
        match write {
            StateWrite::Remember(framework) if whole > 0 => {
                self.remembered = Some(framework.clone());
            }
            StateWrite::Remember(_) => (),
            StateWrite::Store { entries, .. } => {
                for (key, value) in &entries[..whole] {
                    match value {
                        Some(value) => self.stored.insert(key.clone(), value.clone()),
                        None => self.stored.remove(key),
                    };
                }
            }
        }
    }

    /// As each life does: it reads the file, and writes it anew. What it should not have read, in words.
    pub(crate) fn read_file(&mut self) -> Option<String> {
        let written = Stored { framework: self.remembered.clone(), entries: self.stored.clone() };
        let read = bytes::read(Path::new("framework.state"), &self.file);
        self.file = bytes::file(&written).unwrap_or_default();
        match read {
            Ok(read) if read == written => None,
            Ok(read) => Some(format!("{read:?} is read, and {written:?} was written")),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Nothing was ever written.
    pub(crate) fn forget(&mut self) {
        (self.remembered, self.stored, self.file) = Default::default();
    }
}

impl Process {
    /// The present life, if it lives.
    pub(crate) fn is_up(&self) -> bool {
        self.body.is_some()
    }
}
