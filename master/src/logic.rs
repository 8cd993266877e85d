//! What the master decides. No sockets, clocks, disks or chance here: [`Master::step`] takes one event and returns what
//! is to be done and what changed. The allocator is a value of its own ([`allocator::Allocator`]); the master decides on
//! its proposals.

pub mod agents;
pub mod allocator;
pub mod authorize;
pub mod book;
pub mod bugs;
mod changes;
pub mod constraints;
mod endings;
pub mod frameworks;
pub mod invariants;
pub mod launch;
mod numbered;
pub mod offers;
pub mod registry;
pub mod roles;
mod snapshot;
pub mod tasks;
mod timers;
mod unmet;
mod untold;
pub mod validate;
mod whole_book;

use std::collections::BTreeMap;
use std::time::Duration;

use authorize::Who;
use libactor::{DownReason, Pid, Principal};
use protocol::agent::{AgentToMaster, MasterToAgent};
use protocol::change::{AgentState, Change, FrameworkState, Moment, What};
use protocol::framework::{FrameworkInfo, FrameworkToMaster, MasterToFramework};
use protocol::ids::{AgentId, FrameworkId, MasterId, OfferId, TaskId};
use protocol::operator::{KillAnswer, KillTask, SetAnswer};
use protocol::time::Now;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::config::Config;
use agents::{Agent, Agents, Condemned, Entrance, Joining};
use allocator::{BookEntry, Proposals};
use changes::Changes;
pub use endings::Ending;
use endings::Endings;
use frameworks::{Framework, Subscription};
use offers::Offers;
use registry::{Registry, RegistryOperation};
use roles::{Awaited, Setting, Settings};
pub use timers::Timer;
pub use untold::Untold;

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
    /// An operator says something of roles; answered with [`Effect::AnswerSet`], once it is written.
    SetAsked {
        /// Names the question.
        asked: u64,
        /// Who, as its connection or its credentials show.
        who: Who,
        /// What.
        setting: Setting,
    },
    /// An operator ends something for good; answered with [`Effect::AnswerSet`], once it is written.
    EndAsked {
        /// Names the question.
        asked: u64,
        /// Who, as its connection or its credentials show.
        who: Who,
        /// What.
        what: Ending,
    },
    /// The allocator proposes; each proposal is held in its book until it is offered and ended, or returned.
    Proposed(Vec<Proposals>),
    /// The registry holds this now; see [`Effect::Write`].
    Written(RegistryOperation),
    /// A link has ended; see [`Effect::Link`].
    Down {
        /// Whose end it is.
        pid: Pid,
        /// Why.
        reason: DownReason,
    },
    /// An effect, a tell, could not be performed: its receiver is full or out of reach. It certainly did not arrive. See
    /// [`Effect::untold`].
    Untold(Untold),
    /// See [`Effect::StartTimer`].
    TimerFired(Timer),
}

/// Everything a master can do.
#[allow(clippy::large_enum_variant)] // tells are most of them, and a box for each would cost more than the room
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
    /// Answer [`Event::SetAsked`] or [`Event::EndAsked`].
    AnswerSet {
        /// Names the question.
        asked: u64,
        /// The answer.
        answer: SetAnswer,
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
    /// Going on could do harm, which the next reign may be spared: end at once. Nothing may be told after this.
    EndReign {
        /// In words.
        reason: String,
    },
}

/// What one event led to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Step {
    /// To be performed in order.
    pub effects: Vec<Effect>,
    /// For the view, in order; numbered without gaps.
    pub changes: Vec<Change>,
}

/// Whom a linked pid speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Peer {
    Agent(AgentId),
    Framework(FrameworkId),
}

/// The state of a master.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Master {
    config: Config,
    identity: MasterId,
    /// What is written, no more.
    registry: Registry,
    /// The highest numbers given away, written or not.
    agents_numbered: u64,
    frameworks_numbered: u64,
    agents: Agents,
    /// Those of whom the registry is being told for the first time, by nonce.
    joining: BTreeMap<u64, Joining>,
    agent_nonces: BTreeMap<u64, AgentId>,
    frameworks: BTreeMap<FrameworkId, Framework>,
    /// Subscriptions that wait for the registry.
    subscribing: BTreeMap<FrameworkId, Subscription>,
    framework_nonces: BTreeMap<u64, FrameworkId>,
    peers: BTreeMap<Pid, Peer>,
    offers: Offers,
    /// The number of the newest change.
    change: u64,
    /// The newest proposal heard of.
    proposed: u64,
    /// How often agents came or went.
    agents_changed: u64,
    /// Whether [`Timer::Judge`] is under way: one for all.
    judging: bool,
    /// The last framework that was judged, while there are more to judge.
    judged_to: Option<FrameworkId>,
    /// Agents came or went meanwhile.
    judge_again: bool,
    /// Agents that the registry had as reachable when the reign began.
    awaited_at_first: usize,
    awaited: Awaited,
    condemned: Condemned,
    entrance: Entrance,
    settings: Settings,
    endings: Endings,
}

/// One call of [`Master::step`]: the time it is, and what will come of it.
struct Turn {
    now: Now,
    effects: Vec<Effect>,
    what: Changes,
    entries: Vec<BookEntry>,
    /// The slots of agents whose books changed; told once, at the end.
    books: Vec<u32>,
}

impl Turn {
    /// An agent's book has changed.
    fn book_of(&mut self, agent: &mut Agent) {
        if !std::mem::replace(&mut agent.book.is_untold, true) {
            self.books.push(agent.slot);
        }
    }

    fn tell_agent(&mut self, to: Pid, message: MasterToAgent) {
        self.effects.push(Effect::TellAgent { to, message });
    }

    fn tell_framework(&mut self, to: Pid, message: MasterToFramework) {
        self.effects.push(Effect::TellFramework { to, message });
    }

    fn start(&mut self, timer: Timer, after: Duration) {
        self.effects.push(Effect::StartTimer { timer, after });
    }

    fn write(&mut self, operation: RegistryOperation) {
        self.effects.push(Effect::Write(operation));
    }

    fn agent_state(&mut self, agent: &AgentId, state: AgentState) {
        self.what.push(What::AgentState { agent: agent.clone(), state });
    }

    fn framework_state(&mut self, framework: &FrameworkId, state: FrameworkState) {
        self.what.push(What::FrameworkState { framework: framework.clone(), state });
    }
}

impl Master {
    /// The master of a new reign: it knows what the registry says, and nobody is there yet.
    pub fn new(config: Config, identity: MasterId, registry: Registry) -> Self {
        let recovered = |entry| Agent::recovered(entry, &config.bugs);
        let agents = registry.agents.iter().map(|(id, entry)| (id.clone(), recovered(entry)));
        let frameworks =
            registry.frameworks.iter().map(|(id, entry)| (id.clone(), Framework::recovered(entry)));
        Self {
            identity,
            agents_numbered: registry.agents_made,
            frameworks_numbered: registry.frameworks_made,
            agents: agents.collect(),
            joining: BTreeMap::new(),
            agent_nonces: registry.agents.iter().map(|(id, e)| (e.nonce, id.clone())).collect(),
            frameworks: frameworks.collect(),
            subscribing: BTreeMap::new(),
            framework_nonces: registry
                .frameworks
                .iter()
                .map(|(id, e)| (e.nonce, id.clone()))
                .collect(),
            peers: BTreeMap::new(),
            offers: Offers::default(),
            change: 0,
            proposed: 0,
            agents_changed: 0,
            judging: false,
            judged_to: None,
            judge_again: false,
            awaited_at_first: registry.agents.values().filter(|e| e.unreachable.is_none()).count(),
            awaited: Awaited::default(),
            condemned: Condemned::default(),
            entrance: Entrance::default(),
            settings: Settings::after(&registry.shares),
            endings: Endings::default(),
            config,
            registry,
        }
    }

    /// The index of everything the master reacts to.
    pub fn step(&mut self, now: Now, event: Event) -> Step {
        let mut turn = Turn {
            now,
            effects: Vec::new(),
            what: Changes::after(self.change),
            entries: Vec::new(),
            books: Vec::new(),
        };
        match event {
            Event::Started => self.on_started(&mut turn),
            Event::FromAgent { from, principal, message } => {
                self.hear_agent(&mut turn, from, principal, message);
            }
            Event::FromFramework { from, principal, message } => {
                self.hear_framework(&mut turn, from, principal, message);
            }
            Event::KillAsked { asked, principal, question } => {
                self.on_kill_asked(&mut turn, asked, principal, &question);
            }
            Event::SetAsked { asked, who, setting } => {
                self.on_set_asked(&mut turn, asked, who, setting);
            }
            Event::EndAsked { asked, who, what } => {
                self.on_end_asked(&mut turn, asked, who, what);
            }
            Event::Proposed(proposals) => self.on_proposed(&mut turn, proposals),
            Event::Written(operation) => self.on_written(&mut turn, operation),
            Event::Down { pid, reason } => self.on_down(&mut turn, pid, &reason),
            Event::Untold(untold) => self.on_untold(&mut turn, untold),
            Event::TimerFired(timer) => self.on_timer(&mut turn, timer),
        }
        self.finish(turn)
    }

    /// The number of the newest change.
    pub fn change(&self) -> u64 {
        self.change
    }

    /// When readers see all that was done so far, in this turn too.
    fn moment(&self, turn: &Turn) -> Moment {
        Moment { epoch: self.epoch(), change: self.change.saturating_add(turn.what.len()) }
    }

    /// The number of this reign.
    pub fn epoch(&self) -> u64 {
        self.registry.epoch
    }

    /// Those whom the registry knows are told to the view, and have so long to come back.
    fn on_started(&mut self, turn: &mut Turn) {
        self.tell_shares(turn);
        self.await_agents(turn);
        for (id, agent) in self.agents.iter() {
            turn.what.push(What::Agent {
                agent: id.clone(),
                info: agent.info.clone().into(),
                state: agent.state(),
            });
            turn.what.extend(self.domain_of(id));
        }
        turn.start(Timer::Collect, self.config.registry_gc_interval);
        if self.awaited_at_first > 0 {
            turn.start(Timer::AgentsReturn, self.config.agent_reregister_timeout);
        }
        for (id, framework) in &self.frameworks {
            turn.what.push(What::Framework {
                info: framework.info.clone().into(),
                state: FrameworkState::Recovered,
            });
            let timer = Timer::Failover { framework: id.clone(), generation: framework.generation };
            turn.start(timer, self.time_to_return(&framework.info));
        }
    }

    /// How long a framework of a former reign is waited for: its scheduler lost its master by no fault of its own, and finds the next
    /// one as agents do.
    fn time_to_return(&self, info: &FrameworkInfo) -> Duration {
        info.failover_timeout.max(self.config.agent_reregister_timeout)
    }

    fn on_written(&mut self, turn: &mut Turn, operation: RegistryOperation) {
        self.registry.apply(&operation);
        match operation {
            RegistryOperation::AdmitAgent { agent, nonce, .. } => {
                self.on_agent_admitted(turn, &agent, nonce);
            }
            RegistryOperation::MarkReachable { agent, .. } => {
                self.on_reachable_written(turn, &agent)
            }
            RegistryOperation::MarkUnreachable { agent, .. } => {
                self.on_unreachable_written(turn, &agent);
            }
            RegistryOperation::RemoveAgent { agent, by_operator, .. } => {
                self.on_agent_removed(turn, &agent, by_operator);
                self.agent_has_ended(turn, &agent);
                self.collect_gone(turn, self.config.registry_max_agent_count);
            }
            RegistryOperation::Prune { unreachable, gone: _ } => {
                unreachable.iter().for_each(|agent| self.on_agent_removed(turn, agent, false));
            }
            RegistryOperation::AdmitFramework { nonce, info, .. } => {
                self.on_framework_admitted(turn, nonce, info);
            }
            RegistryOperation::RemoveFramework { framework } => {
                self.on_framework_removed(turn, &framework);
                self.framework_has_ended(turn, &framework);
            }
            RegistryOperation::SetQuotas(quotas) => self.on_quotas_written(turn, quotas),
            RegistryOperation::SetWeights(weights) => self.on_weights_written(turn, weights),
        }
    }

    fn on_down(&mut self, turn: &mut Turn, pid: Pid, reason: &DownReason) {
        match self.peers.remove(&pid) {
            Some(Peer::Agent(agent)) => self.on_agent_down(turn, &agent, pid, reason),
            Some(Peer::Framework(framework)) => {
                self.on_framework_down(turn, &framework, pid, reason)
            }
            // A link that was given up crossed its own end.
            None => (),
        }
    }

    fn offer_id(&self, number: u64) -> OfferId {
        // Many are made at once: on the stack, so that nothing but the id takes memory.
        let mut id: SmallVec<[u8; 64]> = SmallVec::from_slice(self.identity.as_str().as_bytes());
        id.extend_from_slice(b"-O");
        id.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        OfferId::new(std::str::from_utf8(&id).expect("text and digits are text"))
    }

    /// The number in one of this reign's offer ids.
    fn offer_number(&self, id: &OfferId) -> Option<u64> {
        id.as_str().strip_prefix(self.identity.as_str())?.strip_prefix("-O")?.parse().ok()
    }

    /// Numbers the changes, and tells each changed book once.
    fn finish(&mut self, turn: Turn) -> Step {
        let Turn { mut effects, mut what, entries, books, .. } = turn;
        self.tell_deltas(&mut effects, what.all());
        for slot in books {
            if let Some((id, agent)) = self.agents.at_mut(slot) {
                agent.book.is_untold = false;
                let (used, offered) = (agent.book.used.clone(), agent.book.offered.clone());
                what.push(What::AgentBook { agent: id.clone(), used, offered });
            }
        }
        if !entries.is_empty() {
            effects.push(Effect::TellAllocator(entries));
        }
        self.change += what.len();
        Step { effects, changes: what.into_all() }
    }
}

/// A task's name in the cluster.
type TaskKey = (FrameworkId, TaskId);

#[cfg(test)]
pub(crate) mod tests;
