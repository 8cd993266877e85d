//! What readers see of a master: its changes, applied in order. It serves every list and figure, so that no reader ever
//! waits in the master's mailbox. Pure: its actor is `actors/view.rs`.

mod metrics;
mod offers;
mod page;
mod readers;
mod roles;
mod start_over;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::change::{AgentState, Change, FrameworkState, Moment, What};
use protocol::framework::FrameworkInfo;
use protocol::ids::{AgentId, ExecutorId, FrameworkId, OfferId, Role, TaskId};
use protocol::operator::{AgentView, ClusterView, FrameworkView, List, ReadAnswer};
use protocol::quota::Shares;
use protocol::resources::Resources;
use protocol::task::{TaskReport, TaskState, TaskStatus};
use protocol::time::Instant;
use protocol::wishes::FaultDomain;

use crate::backlog::Missed;
pub use metrics::Totals;
use offers::HeldOffer;
pub use readers::Readers;

/// Statuses kept of one task: the first and the newest ones.
const STATUSES_MAX: usize = 16;

/// Removed frameworks kept with their ended tasks; the longest removed make room.
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
    agents: BTreeMap<AgentId, AgentView>,
    domain: Option<FaultDomain>,
    /// Where agents are that are shown.
    domains: BTreeMap<AgentId, FaultDomain>,
    gone: VecDeque<AgentId>,
    frameworks: BTreeMap<FrameworkId, Framework>,
    removed: VecDeque<FrameworkId>,
    offers: BTreeMap<OfferId, HeldOffer>,
    /// What the master's clock shows.
    now: Instant,
    shares: Shares,
    totals: Totals,
}

#[derive(Clone, Debug)]
struct Framework {
    info: FrameworkInfo,
    state: FrameworkState,
    offered: Resources,
    tasks: BTreeMap<TaskId, Task>,
    /// Its own executors, with what they hold beside their tasks.
    executors: BTreeMap<(AgentId, ExecutorId), (Role, Resources)>,
    /// Ended tasks by age, with the number of the change that ended them.
    ended: VecDeque<(u64, TaskId)>,
}

#[derive(Clone, Debug)]
struct Task {
    report: TaskReport,
    statuses: Vec<Arc<TaskStatus>>,
    /// The number of the change by which the master forgot it.
    ended_by: Option<u64>,
}

impl View {
    /// What a framework says of itself and how it is, if it is known.
    pub fn found(&self, framework: &FrameworkId) -> Option<(&FrameworkInfo, FrameworkState)> {
        self.frameworks.get(framework).map(|framework| (&framework.info, framework.state))
    }

    /// Nothing yet, of this cluster and reign.
    pub fn new(cluster: ClusterView, ended_tasks_max: usize) -> Self {
        Self {
            cluster,
            doubted: false,
            ended_tasks_max,
            agents: BTreeMap::new(),
            domain: None,
            domains: BTreeMap::new(),
            gone: VecDeque::new(),
            frameworks: BTreeMap::new(),
            removed: VecDeque::new(),
            offers: BTreeMap::new(),
            now: Instant::default(),
            shares: Shares::default(),
            totals: Totals::default(),
        }
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
                let seen = self.agents.entry(agent.clone()).or_insert_with(|| AgentView {
                    agent,
                    info: info.clone(),
                    state,
                    used: none.clone(),
                    offered: none,
                });
                seen.info = info;
                seen.state = state;
            }
            What::AgentDomain { agent, domain } => drop(self.domains.insert(agent, domain)),
            What::AgentState { agent, state } => self.on_agent_state(agent, state),
            What::AgentBook { agent, used, offered } => {
                if let Some(seen) = self.agents.get_mut(&agent) {
                    seen.used = used;
                    seen.offered = offered;
                }
            }
            // Counted, and no more.
            What::AgentNews { .. } => (),
            What::Framework { info, state } => self.on_framework(*info, state),
            What::FrameworkState { framework, state } => self.on_framework_state(framework, state),
            What::OfferMade(offer) => self.on_offer(&offer),
            What::OfferLeased { offer, since, ends } => {
                self.on_offer(&offer);
                if let Some(held) = self.offers.get_mut(&offer.offer) {
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
                if let Some(framework) = self.frameworks.get_mut(&framework) {
                    framework.executors.insert((agent, executor), (role, resources));
                }
            }
            What::ExecutorUnbooked { agent, framework, executor } => {
                if let Some(framework) = self.frameworks.get_mut(&framework) {
                    framework.executors.remove(&(agent, executor));
                }
            }
        }
    }

    /// Whether this master is known to lead now.
    pub fn doubt(&mut self, doubted: bool) {
        self.doubted = doubted;
    }

    /// What time it is, for those who ask how long something has lasted.
    pub fn tell_time(&mut self, now: Instant) {
        self.now = now;
    }

    /// How far it is.
    pub fn moment(&self) -> Moment {
        Moment { epoch: self.cluster.epoch, change: self.cluster.change }
    }

    /// Answers a question from what was applied so far.
    pub fn answer(&self, list: List) -> ReadAnswer {
        match list {
            List::Cluster => {
                let awaited = |agent: &AgentView| agent.state == AgentState::Recovered;
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

    fn on_agent_state(&mut self, agent: AgentId, state: AgentState) {
        let Some(seen) = self.agents.get_mut(&agent) else { return };
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
        let seen = self.frameworks.entry(id).or_insert_with(|| Framework {
            info: info.clone(),
            state,
            offered: Resources::none(),
            tasks: BTreeMap::new(),
            executors: BTreeMap::new(),
            ended: VecDeque::new(),
        });
        seen.info = info;
        seen.state = state;
    }

    fn on_framework_state(&mut self, framework: FrameworkId, state: FrameworkState) {
        let Some(seen) = self.frameworks.get_mut(&framework) else { return };
        seen.state = state;
        if state == FrameworkState::Removed && !self.removed.contains(&framework) {
            self.removed.push_back(framework);
            if self.removed.len() > REMOVED_MAX
                && let Some(oldest) = self.removed.pop_front()
            {
                self.frameworks.remove(&oldest);
            }
        }
    }

    fn on_task(&mut self, report: TaskReport) {
        if let Some(framework) = self.frameworks.get_mut(&report.framework) {
            let statuses = report.unacknowledged.iter().cloned().collect();
            let id = report.spec.task.clone();
            framework.tasks.insert(id, Task { report, statuses, ended_by: None });
        }
    }

    fn on_status(&mut self, status: Arc<TaskStatus>) {
        let framework = self.frameworks.get_mut(&status.framework);
        let Some(task) = framework.and_then(|f| f.tasks.get_mut(&status.task)) else { return };
        // Agents say news again until they hear that it is dealt with, which may cross its acknowledgement.
        let is_known = |known: &Arc<TaskStatus>| known.update == status.update;
        if status.update.is_some() && task.statuses.iter().any(is_known) {
            return;
        }
        task.report.state = status.state;
        if task.statuses.len() >= STATUSES_MAX {
            task.statuses.remove(1);
        }
        task.statuses.push(status);
    }

    fn on_forgotten(&mut self, framework: &FrameworkId, id: TaskId, state: TaskState, by: u64) {
        let Some(framework) = self.frameworks.get_mut(framework) else { return };
        let Some(task) = framework.tasks.get_mut(&id).filter(|task| task.ended_by.is_none()) else {
            return;
        };
        task.report.state = state;
        task.report.unacknowledged = None;
        task.ended_by = Some(by);
        framework.ended.push_back((by, id));
        while framework.ended.len() > self.ended_tasks_max {
            let Some((by, oldest)) = framework.ended.pop_front() else { return };
            // Another task of this id may have begun since.
            if framework.tasks.get(&oldest).is_some_and(|task| task.ended_by == Some(by)) {
                framework.tasks.remove(&oldest);
            }
        }
    }
}

impl Framework {
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
