//! What simulated processes say to each other, and what can happen to one: every component's own types, side by side.

use std::fmt;

use master::logic::allocator::{self, Proposals};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::executor::{AgentToExecutor, ExecutorToAgent};
use protocol::framework::{FrameworkToMaster, MasterToFramework};
use protocol::ids::TaskId;
use protocol::task::TaskState;

/// One message between processes.
#[derive(Clone, PartialEq)]
#[allow(clippy::large_enum_variant)] // moved once, and rarely many at a time
pub(crate) enum Said {
    /// From an agent to the master.
    AgentToMaster(AgentToMaster),
    /// From the master to an agent.
    MasterToAgent(MasterToAgent),
    /// From a scheduler to the master.
    FrameworkToMaster(FrameworkToMaster),
    /// From the master to a scheduler.
    MasterToFramework(MasterToFramework),
    /// From an executor to its agent.
    ExecutorToAgent(ExecutorToAgent),
    /// From an agent to an executor.
    AgentToExecutor(AgentToExecutor),
}

/// Something that happens to one life of one process.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // as above
pub(crate) enum Event {
    /// To a master.
    Master(master::logic::Event),
    /// To the allocator in a master's process.
    Allocator(allocator::Event),
    /// To a master: its allocator, which did not keep up, has room again.
    AllocatorHasRoom,
    /// From the allocator to the master beside it.
    Proposals(Vec<Proposals>),
    /// To an agent.
    Agent(agent::logic::Event),
    /// To the executor of a command task.
    Executor(executor::logic::Event),
    /// To an executor of a framework's own.
    Custom(sdk::executor::logic::Event),
    /// To the author's half of such an executor: a task goes on to this state.
    Author(TaskId, TaskState),
    /// To a framework's scheduler.
    Framework(sdk::logic::Event),
    /// The oldest write that this process asked for is done.
    WriteDone,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AgentToMaster(message) => message.fmt(f),
            Self::MasterToAgent(message) => message.fmt(f),
            Self::FrameworkToMaster(message) => message.fmt(f),
            Self::MasterToFramework(message) => message.fmt(f),
            Self::ExecutorToAgent(message) => message.fmt(f),
            Self::AgentToExecutor(message) => message.fmt(f),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master(event) => event.fmt(f),
            Self::Allocator(event) => event.fmt(f),
            Self::Proposals(proposals) => write!(f, "Proposals {proposals:?}"),
            Self::Agent(event) => event.fmt(f),
            Self::Executor(event) => event.fmt(f),
            Self::Custom(event) => event.fmt(f),
            Self::Author(task, state) => write!(f, "Author {task} {state:?}"),
            Self::Framework(event) => event.fmt(f),
            Self::AllocatorHasRoom => f.write_str("AllocatorHasRoom"),
            Self::WriteDone => f.write_str("WriteDone"),
        }
    }
}
