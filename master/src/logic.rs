//! What the master decides. No sockets, clocks, disks or chance here: `Master::step` takes one event and returns what
//! is to be done and what changed. The allocator is a value of its own (`allocator::Allocator`); the master decides on
//! its proposals.

pub mod allocator;
pub mod bugs;
pub mod registry;

use std::time::Duration;

use libactor::{DownReason, Pid, Principal};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::change::Change;
use protocol::framework::{FrameworkToMaster, MasterToFramework};
use protocol::ids::{AgentId, FrameworkId};
use protocol::operator::{KillAnswer, KillTask};
use serde::{Deserialize, Serialize};

use allocator::{BookEntry, Proposal};
use registry::RegistryOperation;

/// Everything that can happen to a master.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The first event of a reign: those whom the registry knows are awaited from now on.
    Started,
    /// An agent says something.
    FromAgent {
        /// Who; set by the runtime.
        from: Pid,
        /// Who its connection authenticated as.
        principal: Principal,
        /// What.
        message: AgentToMaster,
    },
    /// A scheduler says something.
    FromFramework {
        /// Who; set by the runtime.
        from: Pid,
        /// Who its connection authenticated as.
        principal: Principal,
        /// What.
        message: FrameworkToMaster,
    },
    /// An operator asks for the end of a task; answered with [`Effect::AnswerKill`].
    KillAsked {
        /// Names the question.
        asked: u64,
        /// Who its connection authenticated as.
        principal: Principal,
        /// Which task.
        question: KillTask,
    },
    /// The allocator proposes; each proposal is held in its book until it is offered and ended, or returned.
    Proposed(Vec<Proposal>),
    /// The registry holds this now; see [`Effect::Write`].
    Written(RegistryOperation),
    /// A link has ended; see [`Effect::Link`].
    Down {
        /// Whose end it is.
        pid: Pid,
        /// Why.
        reason: DownReason,
    },
    /// This effect, a tell, could not be performed: its receiver is full or out of reach. It certainly did not arrive.
    Undelivered(Box<Effect>),
    /// See [`Effect::StartTimer`].
    TimerFired(Timer),
}

/// Everything a master can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Tell an agent.
    TellAgent {
        /// Who.
        to: Pid,
        /// What.
        message: MasterToAgent,
    },
    /// Tell a scheduler.
    TellFramework {
        /// Who.
        to: Pid,
        /// What.
        message: MasterToFramework,
    },
    /// Answer [`Event::KillAsked`].
    AnswerKill {
        /// Names the question.
        asked: u64,
        /// The answer.
        answer: KillAnswer,
    },
    /// Watch a pid; its end comes back as [`Event::Down`], also if it is dead already.
    Link(Pid),
    /// Watch it no longer; its `Down` may be on its way all the same.
    Unlink(Pid),
    /// Write to the registry; comes back as [`Event::Written`], in order. A master that cannot write must end.
    Write(RegistryOperation),
    /// For the allocator, in order; at most one in a step.
    TellAllocator(Vec<BookEntry>),
    /// Comes back as [`Event::TimerFired`].
    StartTimer {
        /// Which.
        timer: Timer,
        /// When.
        after: Duration,
    },
    /// Somebody has seen a later reign: end at once. Nothing may be told after this.
    StepDown {
        /// In words.
        reason: String,
    },
}

/// What a master waits for. Generations tell a late timer from the one that counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Timer {
    /// An agent is to be pinged again.
    Ping {
        /// Which.
        agent: AgentId,
        /// Of the agent's entry.
        generation: u64,
    },
    /// A disconnected or recovered agent should have been back by now.
    AgentReturn {
        /// Which.
        agent: AgentId,
        /// Of the agent's entry.
        generation: u64,
    },
    /// A framework's scheduler should have been back by now.
    Failover {
        /// Whose.
        framework: FrameworkId,
        /// Of the framework's entry.
        generation: u64,
    },
    /// The oldest offer's lease ends.
    Leases,
}

/// What one event led to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Step {
    /// To be performed in order.
    pub effects: Vec<Effect>,
    /// For the view, in order; numbered without gaps.
    pub changes: Vec<Change>,
}
