//! What readers see of a master: its changes, applied in order. It serves every list and figure, so that no reader ever
//! waits in the master's mailbox. Its maps share their parts with their copies: who has much to read takes a copy, which costs
//! nothing, and holds nobody up. Pure: its actor is `actors/view.rs`.

mod kept;
pub(crate) mod legacy;
mod metrics;
pub(crate) mod names;
mod offers;
mod page;
mod readers;
mod roles;
mod shared;
mod start_over;
pub(crate) mod v1;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::change::{AgentNews, AgentState, Change, FrameworkState, Moment, What};
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};
use protocol::operator::{AgentView, ClusterView, FrameworkView, List, ReadAnswer};
use protocol::quota::Shares;
use protocol::resources::Resources;
use protocol::task::{Run, TaskReport, TaskSpec, TaskState, TaskStatus};
use protocol::time::{Now, WallTime};
use protocol::wishes::{FaultDomain, OfferConstraints};
use serde_json::value::RawValue;

use crate::backlog::Missed;
use kept::Kept;
pub use legacy::About;
pub use metrics::Totals;
use offers::HeldOffer;
pub use readers::Readers;
use shared::Shared;

/// Statuses kept of one task: the first and the newest ones.
const STATUSES_MAX: usize = 16;

/// Removed frameworks kept with their ended tasks, unless it is said; the longest removed make room.
const REMOVED_MAX: usize = 50;

/// Agents that are gone are shown for a while; the longest gone make room.
const GONE_MAX: usize = 50;

/// A master's state, as its readers see it.
#[derive(Clone, Debug)]
pub struct View {
    cluster: ClusterView,
    /// Nobody can say whether what is told here is still so.
    doubted: bool,
    ended_tasks_max: usize,
    ended_frameworks_max: usize,
    agents: Shared<AgentId, Arc<Agent>>,
    domain: Option<FaultDomain>,
    /// Where agents are that are shown.
    domains: Shared<AgentId, FaultDomain>,
    gone: VecDeque<AgentId>,
    frameworks: Shared<FrameworkId, Arc<Framework>>,
    removed: VecDeque<FrameworkId>,
    /// Of those that say anything of agents.
    constraints: Shared<FrameworkId, BTreeMap<Role, OfferConstraints>>,
    offers: Shared<OfferId, HeldOffer>,
    /// What the master's clock shows.
    now: Now,
    shares: Shares,
    totals: Totals,
}

/// When somebody came, as the master's clock had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    registered: WallTime,
    reregistered: Option<WallTime>,
    unregistered: Option<WallTime>,
}

#[derive(Clone, Debug)]
pub(crate) struct Agent {
    view: AgentView,
    times: Times,
}

#[derive(Clone, Debug)]
pub(crate) struct Framework {
    info: FrameworkInfo,
    state: FrameworkState,
    times: Times,
    offered: Resources,
    tasks: Shared<TaskId, Arc<Task>>,
    /// Its own executors, with what they hold beside their tasks.
    executors: Shared<(AgentId, ExecutorId), (Role, Resources)>,
    /// What is known of its own executors is known from a task that names them.
    described: Shared<(AgentId, ExecutorId), Arc<TaskSpec>>,
    /// Ended tasks by the number of the change that ended them.
    ended: Shared<(u64, TaskId), ()>,
}

#[derive(Clone, Debug)]
pub(crate) struct Task {
    report: TaskReport,
    statuses: Vec<Arc<TaskStatus>>,
    /// The number of the change by which the master forgot it.
    ended_by: Option<u64>,
    /// As Mesos's older pages show it, and as a v1 message.
    json: Kept<Box<RawValue>>,
    encoded: Kept<Box<[u8]>>,
}

impl View {
    /// What a framework says of itself and how it is, if it is known.
    pub fn found(&self, framework: &FrameworkId) -> Option<(&FrameworkInfo, FrameworkState)> {
        self.frameworks.get(framework).map(|framework| (&framework.info, framework.state))
    }

    /// Whether a framework was removed, or never known.
    pub(crate) fn is_gone(&self, framework: &FrameworkId) -> bool {
        self.frameworks.get(framework).is_none_or(|framework| framework.is_removed())
    }

    /// Nothing yet, of this cluster and reign.
    pub fn new(cluster: ClusterView, ended_tasks_max: usize) -> Self {
        Self {
            cluster,
            doubted: false,
            ended_tasks_max,
            ended_frameworks_max: REMOVED_MAX,
            agents: Shared::new(),
            domain: None,
            domains: Shared::new(),
            gone: VecDeque::new(),
            frameworks: Shared::new(),
            removed: VecDeque::new(),
            constraints: Shared::new(),
            offers: Shared::new(),
            now: Now::default(),
            shares: Shares::default(),
            totals: Totals::default(),
        }
    }

    /// The same, which keeps so many removed frameworks.
    pub fn remembering(self, ended_frameworks_max: usize) -> Self {
        Self { ended_frameworks_max, ..self }
    }

    /// The same of a master that is there.
    pub fn located(self, domain: Option<FaultDomain>) -> Self {
        Self { domain, ..self }
    }

    /// Takes the next change.
    pub fn apply(&mut self, change: Change) {
        assert_eq!(change.number, self.cluster.change + 1, "changes come in order, none left out");
        self.cluster.change = change.number;
        self.totals.see(&change);
        self.take(change.what, change.number);
    }

    fn take(&mut self, what: What, number: u64) {
        match what {
            What::Agent { agent, info, state } => {
                self.domains.remove(&agent);
                let info = *info;
                let none = Resources::none();
                let times = Times { registered: self.now.wall, ..Times::default() };
                let seen = self.agents.get_or_insert_with(&agent, || {
                    let (used, offered, agent) = (none.clone(), none, agent.clone());
                    let view = AgentView { agent, info: info.clone(), state, used, offered };
                    Arc::new(Agent { view, times })
                });
                let seen = &mut Arc::make_mut(seen).view;
                seen.info = info;
                seen.state = state;
            }
            What::AgentDomain { agent, domain } => self.domains.insert(agent, domain),
            What::AgentState { agent, state } => self.on_agent_state(agent, state),
            What::AgentBook { agent, used, offered } => {
                if let Some(seen) = self.agent(&agent) {
                    seen.view.used = used;
                    seen.view.offered = offered;
                }
            }
            What::AgentNews { agent, news: AgentNews::Reregistered } => {
                self.on_agent_back(&agent);
            }
            // Counted, and no more.
            What::AgentNews { .. } => (),
            What::Framework { info, state } => self.on_framework(*info, state),
            What::FrameworkState { framework, state } => self.on_framework_state(framework, state),
            What::OfferConstraints { framework, roles } => self.on_constraints(framework, roles),
            What::OfferMade(offer) => self.on_offer(offer),
            What::OfferLeased { offer, since, ends } => {
                let id = offer.offer.clone();
                self.on_offer(offer);
                if let Some(held) = self.offers.get_mut(&id) {
                    (held.since, held.ends) = (since, ends);
                }
            }
            What::OfferEnded(offer) => self.on_offer_ended(&offer),
            What::Task(report) => self.go_on_with(*report),
            What::TaskStatus(status) => self.on_status(status),
            What::TaskForgotten { framework, task, state } => {
                self.on_forgotten(&framework, task, state, number);
            }
            What::Quotas(quotas) => self.shares.set_quotas(quotas),
            What::Weights(weights) => self.shares.set_weights(weights),
            What::ExecutorBooked { agent, framework, executor, role, resources } => {
                if let Some(framework) = self.framework(&framework) {
                    framework.executors.insert((agent, executor), (role, resources));
                }
            }
            What::ExecutorUnbooked { agent, framework, executor } => {
                if let Some(framework) = self.framework(&framework) {
                    let key = (agent, executor);
                    framework.executors.remove(&key);
                    framework.described.remove(&key);
                }
            }
        }
    }

    /// Whether this master is known to lead now.
    pub fn doubt(&mut self, doubted: bool) {
        self.doubted = doubted;
    }

    /// What time it is, for those who ask how long something has lasted.
    pub fn tell_time(&mut self, now: Now) {
        self.now = now;
    }

    /// Whether it shows the same state; what time it is does not matter.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        self.moment() == other.moment() && self.doubted == other.doubted
    }

    /// How far it is.
    pub fn moment(&self) -> Moment {
        Moment { epoch: self.cluster.epoch, change: self.cluster.change }
    }

    /// Answers a question from what was applied so far.
    pub fn answer(&self, list: List) -> ReadAnswer {
        match list {
            List::Cluster => {
                let awaited = |agent: &Arc<Agent>| agent.view.state == AgentState::Recovered;
                let recovering = self.doubted || self.agents.values().any(awaited);
                ReadAnswer::Cluster(ClusterView { recovering, ..self.cluster.clone() })
            }
            List::Agents => self.agents_behind(None),
            List::AgentsBehind(agent) => self.agents_behind(Some(&agent)),
            List::Frameworks => self.frameworks_behind(None),
            List::FrameworksBehind(framework) => self.frameworks_behind(Some(&framework)),
            List::Tasks => self.tasks_behind(None),
            List::TasksBehind { framework, task } => self.tasks_behind(Some((&framework, &task))),
            List::Roles => self.roles_behind(None),
            List::RolesBehind(role) => self.roles_behind(Some(&role)),
            List::Domains => self.domains_behind(None),
            List::DomainsBehind(agent) => self.domains_behind(Some(&agent)),
            List::Offers => self.offers_behind(None),
            List::OffersBehind(offer) => self.offers_behind(Some(&offer)),
        }
    }

    fn on_constraints(&mut self, id: FrameworkId, roles: BTreeMap<Role, OfferConstraints>) {
        match roles.is_empty() {
            true => drop(self.constraints.remove(&id)),
            false => self.constraints.insert(id, roles),
        }
    }

    fn on_agent_back(&mut self, agent: &AgentId) {
        let now = self.now.wall;
        if let Some(seen) = self.agent(agent) {
            seen.times.reregistered = Some(now);
        }
    }

    /// To be changed.
    fn agent(&mut self, agent: &AgentId) -> Option<&mut Agent> {
        self.agents.get_mut(agent).map(Arc::make_mut)
    }

    /// To be changed.
    fn framework(&mut self, framework: &FrameworkId) -> Option<&mut Framework> {
        self.frameworks.get_mut(framework).map(Arc::make_mut)
    }

    fn on_agent_state(&mut self, agent: AgentId, state: AgentState) {
        let Some(seen) = self.agent(&agent).map(|agent| &mut agent.view) else { return };
        seen.state = state;
        if state == AgentState::Gone {
            seen.used = Resources::none();
            seen.offered = Resources::none();
            self.gone.push_back(agent);
            if self.gone.len() > GONE_MAX
                && let Some(oldest) = self.gone.pop_front()
            {
                self.agents.remove(&oldest);
                self.domains.remove(&oldest);
            }
        }
    }

    fn on_framework(&mut self, info: FrameworkInfo, state: FrameworkState) {
        let id = info.framework.clone();
        let now = self.now.wall;
        let seen = self.frameworks.get_or_insert_with(&id, || {
            Arc::new(Framework {
                info: info.clone(),
                state,
                times: Times { registered: now, ..Times::default() },
                offered: Resources::none(),
                tasks: Shared::new(),
                executors: Shared::new(),
                described: Shared::new(),
                ended: Shared::new(),
            })
        });
        let seen = Arc::make_mut(seen);
        seen.info = info;
        seen.becomes(state, now);
    }

    fn on_framework_state(&mut self, id: FrameworkId, state: FrameworkState) {
        let now = self.now.wall;
        let Some(seen) = self.framework(&id) else { return };
        seen.becomes(state, now);
        if state == FrameworkState::Removed && !self.removed.contains(&id) {
            self.removed.push_back(id);
            if self.removed.len() > self.ended_frameworks_max
                && let Some(oldest) = self.removed.pop_front()
            {
                self.frameworks.remove(&oldest);
                self.constraints.remove(&oldest);
            }
        }
    }

    fn on_task(&mut self, report: TaskReport) {
        if let Some(framework) = self.framework(&report.framework) {
            framework.describes(&report);
            let statuses = report.unacknowledged.iter().cloned().collect();
            let id = report.spec.task.clone();
            let (json, encoded) = (Kept::default(), Kept::default());
            let task = Task { report, statuses, ended_by: None, json, encoded };
            framework.tasks.insert(id, task.into());
        }
    }

    fn on_status(&mut self, status: Arc<TaskStatus>) {
        let framework = self.framework(&status.framework);
        let Some(task) = framework.and_then(|f| f.task(&status.task)) else { return };
        // Agents say news again until they hear that it is dealt with, which may cross its acknowledgement.
        let is_known = |known: &Arc<TaskStatus>| known.update == status.update;
        if status.update.is_some() && task.statuses.iter().any(is_known) {
            return;
        }
        if task.statuses.len() >= STATUSES_MAX {
            task.statuses.remove(1);
        }
        if task.report.state.can_become(status.state) {
            task.report.state = status.state;
            task.statuses.push(status);
        } else {
            // An agent that is back reports the newest, and then tells in order what was not acknowledged.
            task.statuses.insert(task.statuses.len().saturating_sub(1), status);
        }
    }

    fn on_forgotten(&mut self, framework: &FrameworkId, id: TaskId, state: TaskState, by: u64) {
        let ended_tasks_max = self.ended_tasks_max;
        let Some(framework) = self.framework(framework) else { return };
        let Some(task) = framework.task(&id).filter(|task| task.ended_by.is_none()) else {
            return;
        };
        task.report.state = state;
        task.report.unacknowledged = None;
        task.ended_by = Some(by);
        framework.ended.insert((by, id), ());
        while framework.ended.len() > ended_tasks_max {
            let Some(((by, oldest), ())) = framework.ended.first() else { return };
            let (by, oldest) = (*by, oldest.clone());
            framework.ended.remove(&(by, oldest.clone()));
            // Another task of this id may have begun since.
            if framework.tasks.get(&oldest).is_some_and(|task| task.ended_by == Some(by)) {
                framework.tasks.remove(&oldest);
            }
        }
    }
}

impl Framework {
    /// To be changed.
    fn task(&mut self, task: &TaskId) -> Option<&mut Task> {
        let task = self.tasks.get_mut(task).map(Arc::make_mut)?;
        task.json.forget();
        task.encoded.forget();
        Some(task)
    }

    /// Its state from now on.
    fn becomes(&mut self, state: FrameworkState, now: WallTime) {
        let is_here = |state| match state {
            FrameworkState::Active | FrameworkState::Suppressed => true,
            FrameworkState::Disconnected | FrameworkState::Recovered => false,
            FrameworkState::Removed => false,
        };
        if is_here(state) && !is_here(self.state) {
            self.times.reregistered = Some(now);
        }
        if state == FrameworkState::Removed && self.state != state {
            self.times.unregistered = Some(now);
        }
        self.state = state;
    }

    /// What its task says of the executor that runs it.
    fn describes(&mut self, report: &TaskReport) {
        match &report.spec.run {
            Run::Command(_) => (),
            Run::Executor { executor, .. } => {
                let key = (report.agent.clone(), executor.executor.clone());
                self.described.insert(key, Arc::clone(&report.spec));
            }
        }
    }

    fn live(&self) -> impl Iterator<Item = &TaskReport> {
        let reports = self.tasks.values().map(|task| &task.report);
        reports.filter(|report| !report.state.is_end())
    }

    fn view(&self) -> FrameworkView {
        let mut used = Resources::none();
        self.live().for_each(|report| used.add(&report.spec.resources));
        self.executors.values().for_each(|(_, resources)| used.add(resources));
        FrameworkView {
            info: self.info.clone(),
            state: self.state,
            used,
            offered: self.offered.clone(),
            tasks: u32::try_from(self.live().count()).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests;
