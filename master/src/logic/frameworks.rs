//! Frameworks: how their schedulers are heard. How they subscribe, what they want and how frameworks end is below
//! `frameworks/`.

mod immutable;
mod removal;
mod subscribe;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use libactor::{DownReason, Pid, Principal};
use protocol::change::{Change, FrameworkState, What};
use protocol::framework::{Capability, FrameworkInfo, FrameworkToMaster, MasterToFramework};
use protocol::ids::{AgentId, ExecutorId, FrameworkId, Role, TaskId};
use protocol::offer::Demand;
use protocol::time::Instant;
use protocol::wishes::RoleWishes;
use serde::{Deserialize, Serialize};

use super::allocator::BookEntry;
use super::authorize::{Action, authorize};
use super::registry::FrameworkEntry;
use super::tasks::{Ended, Task};
use super::{Effect, Master, Peer, Timer, Turn};
pub(super) use subscribe::Subscription;

/// Nonces of superseded lives of a scheduler that are remembered, so that their late repeats do not take over.
const SUPERSEDED_MAX: usize = 8;

/// A framework that the registry holds, or one that is removed and whose last tasks are ending.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Framework {
    pub(super) info: FrameworkInfo,
    phase: Phase,
    /// Counts the phases; timers of earlier ones are void.
    pub(super) generation: u64,
    /// Of the life of the scheduler that subscribed last.
    nonce: u64,
    /// When that was last told all.
    told_all_at: Option<Instant>,
    superseded: VecDeque<u64>,
    /// Something could not be told to its scheduler: it is told all once there is room.
    pub(super) owed_snapshot: bool,
    /// What it wants for its roles, by role; for one without an entry it takes whatever there is.
    pub(super) wishes: Vec<RoleWishes>,
    /// What of it is more than any agent has, as its scheduler was told.
    pub(super) unmet: Vec<(Role, Demand)>,
    /// When that was judged, by the count of changes among agents.
    pub(super) judged_at: u64,
    /// Open offers, by number.
    pub(super) offers: BTreeSet<u64>,
    /// Not ended and acknowledged.
    pub(super) tasks: BTreeMap<TaskId, Task>,
    /// Its own executors.
    pub(super) executors: BTreeSet<(AgentId, ExecutorId)>,
    pub(super) ended: Ended,
    /// The number of the newest change that its scheduler was told; without gaps within a reign.
    change: u64,
}

/// `Recovered -> Active <-> Disconnected -> Leaving -> Removed ->` forgotten.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Phase {
    /// Known from the registry or from agents, and not yet back.
    Recovered,
    /// Its scheduler is there.
    Active(Pid),
    /// Its scheduler is lost.
    Disconnected,
    /// The registry is being told that it is removed; its scheduler, if there, is told then.
    Leaving { tell: Option<Pid> },
    /// Its tasks are being ended.
    Removed,
}

impl Framework {
    pub(super) fn recovered(entry: &FrameworkEntry) -> Self {
        Self::of(entry.info.clone(), entry.nonce, Phase::Recovered)
    }

    fn of(info: FrameworkInfo, nonce: u64, phase: Phase) -> Self {
        Self {
            info,
            phase,
            generation: 0,
            nonce,
            told_all_at: None,
            superseded: VecDeque::new(),
            owed_snapshot: false,
            wishes: Vec::new(),
            unmet: Vec::new(),
            judged_at: 0,
            offers: BTreeSet::new(),
            tasks: BTreeMap::new(),
            executors: BTreeSet::new(),
            ended: Ended::default(),
            change: 0,
        }
    }

    /// Its scheduler, if it is there.
    pub(super) fn pid(&self) -> Option<Pid> {
        match &self.phase {
            Phase::Active(pid) => Some(*pid),
            Phase::Recovered | Phase::Disconnected | Phase::Leaving { .. } | Phase::Removed => None,
        }
    }

    pub(super) fn is_removed(&self) -> bool {
        matches!(self.phase, Phase::Removed)
    }

    pub(super) fn is_recovered(&self) -> bool {
        matches!(self.phase, Phase::Recovered)
    }

    pub(super) fn has(&self, capability: Capability) -> bool {
        self.info.capabilities.contains(&capability)
    }

    fn enter(&mut self, phase: Phase) -> u64 {
        self.owed_snapshot = false;
        self.phase = phase;
        self.generation += 1;
        self.generation
    }
}

impl Master {
    /// The index of all that schedulers say.
    pub(super) fn hear_framework(
        &mut self,
        turn: &mut Turn,
        from: Pid,
        principal: Principal,
        message: FrameworkToMaster,
    ) {
        if let FrameworkToMaster::Subscribe { nonce, framework, info, demand } = message {
            let wishes = wishes::of_first_role(&info, demand);
            let wish = Subscription { from, nonce, info, wishes, update: None };
            return self.on_subscribe(turn, principal, framework, wish);
        }
        if let FrameworkToMaster::SubscribeWith { nonce, framework, info, wishes } = message {
            let wishes = wishes::normal(wishes);
            let wish = Subscription { from, nonce, info, wishes, update: None };
            return self.on_subscribe(turn, principal, framework, wish);
        }
        if let FrameworkToMaster::UpdateFramework { number, info, wishes } = message {
            return self.on_update_framework(turn, principal, from, (number, info, wishes));
        }
        let Some(Peer::Framework(id)) = self.peers.get(&from) else {
            let reason = "this scheduler is not subscribed".to_owned();
            return turn.tell_framework(from, MasterToFramework::Error { reason });
        };
        let id = id.clone();
        if let Err(refused) = authorize(principal, action_of(&message), id.as_str()) {
            let reason = refused.to_string();
            return turn.tell_framework(from, MasterToFramework::Error { reason });
        }
        match message {
            FrameworkToMaster::Subscribe { .. }
            | FrameworkToMaster::SubscribeWith { .. }
            | FrameworkToMaster::UpdateFramework { .. } => {
                unreachable!("it was taken care of above")
            }
            FrameworkToMaster::Accept { offers, operations, refuse_for } => {
                self.on_accept(turn, &id, &offers, operations, refuse_for);
            }
            FrameworkToMaster::Decline { offers, refuse_for } => {
                self.on_decline(turn, &id, &offers, refuse_for);
            }
            FrameworkToMaster::Demand(demand) => self.on_demand(turn, &id, from, demand),
            FrameworkToMaster::Revive => self.on_revive_all(turn, &id),
            FrameworkToMaster::Suppress => self.on_suppress_all(turn, &id),
            FrameworkToMaster::Kill { task, agent, grace } => {
                self.on_kill(turn, &id, &task, agent.as_ref(), grace);
            }
            FrameworkToMaster::Acknowledge { agent, task, update } => {
                self.on_acknowledge(turn, &id, &agent, &task, update);
            }
            FrameworkToMaster::Reconcile(tasks) => self.on_reconcile(turn, &id, &tasks),
            FrameworkToMaster::ToExecutor { agent, executor, data } => {
                self.on_to_executor(turn, &id, &agent, executor, data);
            }
            FrameworkToMaster::ShutdownExecutor { agent, executor } => {
                self.on_shutdown_executor(turn, &id, &agent, executor);
            }
            FrameworkToMaster::Teardown => self.remove_framework(turn, &id),
            FrameworkToMaster::Wishes(wishes) => self.on_wishes(turn, &id, from, wishes),
            FrameworkToMaster::ReviveRoles(roles) => self.on_revive_roles(turn, &id, from, roles),
            FrameworkToMaster::SuppressRoles(roles) => {
                self.on_suppress_roles(turn, &id, from, roles);
            }
        }
    }

    /// The scheduler of a framework, if it is there.
    pub(super) fn scheduler(&self, id: &FrameworkId) -> Option<Pid> {
        self.frameworks.get(id)?.pid()
    }

    /// The framework's tasks run on until its time-out; nothing is offered to it.
    pub(super) fn on_framework_down(
        &mut self,
        turn: &mut Turn,
        id: &FrameworkId,
        pid: Pid,
        _: &DownReason,
    ) {
        if self.frameworks.get(id).is_some_and(|framework| framework.pid() == Some(pid)) {
            self.disconnect_framework(turn, id);
        }
    }

    fn disconnect_framework(&mut self, turn: &mut Turn, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let generation = framework.enter(Phase::Disconnected);
        let after = framework.info.failover_timeout;
        let offers = framework.offers.clone();
        self.end_offers(turn, &offers, Duration::ZERO);
        turn.entries.push(BookEntry::FrameworkInactive { framework: id.clone() });
        turn.framework_state(id, FrameworkState::Disconnected);
        turn.start(Timer::Failover { framework: id.clone(), generation }, after);
    }

    /// Tells schedulers what changed in their own books: which tasks came in and which left. How their tasks are, they
    /// hear as news.
    pub(super) fn tell_deltas(&mut self, effects: &mut Vec<Effect>, changes: &[Change]) {
        let mut told: BTreeMap<Pid, Vec<Change>> = BTreeMap::new();
        for Change { what, .. } in changes {
            let id = match what {
                What::Task(report) => &report.framework,
                What::TaskForgotten { framework, .. } => framework,
                What::TaskStatus(_) | What::OfferMade(_) | What::OfferEnded(_) => continue,
                What::OfferLeased { .. } => continue,
                What::Agent { .. } | What::AgentState { .. } | What::AgentBook { .. } => continue,
                What::AgentDomain { .. } | What::OfferConstraints { .. } => continue,
                What::AgentNews { .. } | What::Quotas(_) | What::Weights(_) => continue,
                What::ExecutorBooked { .. } | What::ExecutorUnbooked { .. } => continue,
                What::Framework { .. } | What::FrameworkState { .. } => continue,
            };
            let Some(framework) = self.frameworks.get_mut(id) else { continue };
            framework.change += 1;
            if let Some(pid) = framework.pid() {
                let change = Change { number: framework.change, what: what.clone() };
                told.entry(pid).or_default().push(change);
            }
        }
        for (to, changes) in told {
            let message = MasterToFramework::Deltas(changes);
            effects.push(Effect::TellFramework { to, message });
        }
    }
}

fn action_of(message: &FrameworkToMaster) -> Action {
    match message {
        FrameworkToMaster::Subscribe { .. } => Action::Subscribe,
        FrameworkToMaster::Accept { operations, .. } if !operations.is_empty() => {
            Action::LaunchTask
        }
        FrameworkToMaster::Accept { .. } | FrameworkToMaster::Decline { .. } => Action::UseOffers,
        FrameworkToMaster::Demand(_) | FrameworkToMaster::Revive => Action::UseOffers,
        FrameworkToMaster::Suppress => Action::UseOffers,
        FrameworkToMaster::Kill { .. } => Action::KillTask,
        FrameworkToMaster::Acknowledge { .. } | FrameworkToMaster::Reconcile(_) => {
            Action::ReadTasks
        }
        FrameworkToMaster::ToExecutor { .. } => Action::CommandExecutor,
        FrameworkToMaster::ShutdownExecutor { .. } => Action::CommandExecutor,
        FrameworkToMaster::Teardown => Action::TeardownFramework,
        FrameworkToMaster::SubscribeWith { .. } | FrameworkToMaster::UpdateFramework { .. } => {
            Action::Subscribe
        }
        FrameworkToMaster::Wishes(_) => Action::UseOffers,
        FrameworkToMaster::ReviveRoles(_) | FrameworkToMaster::SuppressRoles(_) => {
            Action::UseOffers
        }
    }
}
