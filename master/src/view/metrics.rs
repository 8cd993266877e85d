//! What a master counts, in Prometheus's form: names are those of Mesos's metrics where there is one.

pub(super) mod numbers;

use std::collections::{BTreeMap, BTreeSet};

use protocol::change::{AgentNews, AgentState, Change, FrameworkState, GivenUp, What};
use protocol::ids::{FrameworkId, Role};
use protocol::resources::{Milli, Resources};
use protocol::task::{TaskState, TaskStatus};
use serde::{Deserialize, Serialize};

use super::View;
use super::names::{ENDS, LIVE, NAME_MAX, of_reason, word};
use crate::backlog::Missed;
use crate::exposition::{Page, labels};

/// Since the reign began, or of the changes that a view missed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    offers_made: u64,
    offers_ended: u64,
    tasks_launched: u64,
    statuses: u64,
    ended: BTreeMap<TaskState, u64>,
    agents: BTreeMap<AgentNews, u64>,
    /// Ends for which a reason was given, under Mesos's names.
    reasons: BTreeMap<String, u64>,
}

impl Missed<Change> for Totals {
    fn see(&mut self, change: &Change) {
        match &change.what {
            What::OfferMade(_) | What::OfferLeased { .. } => self.offers_made += 1,
            What::OfferEnded(_) => self.offers_ended += 1,
            What::Task(_) => self.tasks_launched += 1,
            What::TaskStatus(status) => self.on_status(status),
            What::TaskForgotten { state, .. } => *self.ended.entry(*state).or_default() += 1,
            What::AgentNews { news, .. } => *self.agents.entry(*news).or_default() += 1,
            What::Agent { .. } | What::AgentState { .. } | What::AgentBook { .. } => (),
            What::Framework { .. } | What::FrameworkState { .. } => (),
            What::OfferConstraints { .. } => (),
            What::Quotas(_) | What::Weights(_) | What::AgentDomain { .. } => (),
            What::ExecutorBooked { .. } | What::ExecutorUnbooked { .. } => (),
        }
    }
}

impl Totals {
    fn on_status(&mut self, status: &TaskStatus) {
        self.statuses += 1;
        if let (true, Some(reason)) = (status.state.is_end(), status.reason) {
            let name = of_reason(status.state, status.source, reason);
            *self.reasons.entry(name).or_default() += 1;
        }
    }

    pub(super) fn add(&mut self, missed: &Self) {
        self.offers_made += missed.offers_made;
        self.offers_ended += missed.offers_ended;
        self.tasks_launched += missed.tasks_launched;
        self.statuses += missed.statuses;
        for (state, count) in &missed.ended {
            *self.ended.entry(*state).or_default() += count;
        }
        for (news, count) in &missed.agents {
            *self.agents.entry(*news).or_default() += count;
        }
        for (name, count) in &missed.reasons {
            *self.reasons.entry(name.clone()).or_default() += count;
        }
    }
}

/// Of a role, and of a resource.
fn of_role(role: &Role, resource: Option<&str>) -> String {
    match resource {
        Some(resource) => labels([("role", role.as_str()), ("resource", resource)]),
        None => labels([("role", role.as_str())]),
    }
}

impl View {
    /// All figures.
    pub fn metrics(&self) -> String {
        let mut page = Page::new();
        page.gauge("epoch", self.cluster.epoch);
        page.counter("changes", self.cluster.change);
        self.agent_figures(&mut page);
        self.framework_figures(&mut page);
        let live = self.frameworks.values().flat_map(|f| f.tasks.values());
        let mut states: BTreeMap<&str, u64> = BTreeMap::new();
        for task in live.filter(|task| task.ended_by.is_none()) {
            *states.entry(word(task.report.state)).or_default() += 1;
        }
        for state in LIVE.map(word) {
            page.gauge(&format!("tasks_{state}"), states.get(state).unwrap_or(&0));
        }
        for state in ENDS {
            let ended = self.totals.ended.get(&state).unwrap_or(&0);
            page.counter(&format!("tasks_{}", word(state)), ended);
        }
        page.counter("tasks_launched", self.totals.tasks_launched);
        page.counter("task_statuses", self.totals.statuses);
        page.gauge("outstanding_offers", self.offers.len());
        page.counter("offers_made", self.totals.offers_made);
        page.counter("offers_ended", self.totals.offers_ended);
        self.holder_figures(&mut page);
        self.role_figures(&mut page);
        page.0
    }

    /// Of frameworks that hold offers: who keeps resources from others, and for how long.
    fn holder_figures(&self, page: &mut Page) {
        let holdings = self.holdings();
        let of = |id: &FrameworkId| {
            let name = self.frameworks.get(id).map_or("", |framework| &framework.info.name);
            let short: String = name.chars().take(NAME_MAX).collect();
            labels([("framework", id.as_str()), ("name", &short)])
        };
        let all = || holdings.iter();
        page.largest(
            "master_framework_offers",
            all().map(|(id, holding)| (of(id), holding.offers as f64)),
        );
        page.largest(
            "master_framework_oldest_offer_seconds",
            all().map(|(id, holding)| (of(id), holding.oldest.as_secs_f64())),
        );
    }

    /// Of roles that operators said something of.
    fn role_figures(&self, page: &mut Page) {
        let weights = self.shares.weights.iter();
        page.each(
            "gauge",
            "weight",
            weights.map(|(role, weight)| (of_role(role, None), weight.to_string())),
        );
        if self.shares.quotas.is_empty() {
            return;
        }
        let line = |role: &Role, name: &str, amount: Milli| {
            (of_role(role, Some(name)), amount.to_string())
        };
        let quotas = || self.shares.quotas.iter();
        let guarantees = quotas().flat_map(|(role, quota)| {
            quota.guarantees.iter().map(move |(name, amount)| line(role, name, amount))
        });
        page.each("gauge", "quota_guarantee", guarantees);
        let limits = quotas().flat_map(|(role, quota)| {
            quota.limits.iter().map(move |(name, amount)| line(role, name, amount))
        });
        page.each("gauge", "quota_limit", limits);
        let held = self.held();
        let held = quotas().flat_map(|(role, quota)| {
            let held = held(role).offered_or_allocated();
            let guaranteed = quota.guarantees.iter().map(|(name, _)| name);
            let names: BTreeSet<_> =
                guaranteed.chain(quota.limits.iter().map(|(n, _)| n)).collect();
            names.into_iter().map(move |name| line(role, name, held.amount(name)))
        });
        page.each("gauge", "quota_offered_or_allocated", held);
    }

    fn agent_counters(&self, page: &mut Page) {
        let count = |news: AgentNews| self.totals.agents.get(&news).copied().unwrap_or(0);
        let given_up = |why| count(AgentNews::Unreachable(why));
        let unhealthy = given_up(GivenUp::Silent) + given_up(GivenUp::NotBack);
        let recovery = given_up(GivenUp::NotRecovered);
        page.counter("agent_registrations", count(AgentNews::Registered));
        page.counter("agent_reregistrations", count(AgentNews::Reregistered));
        page.counter("agent_unreachable_scheduled", count(AgentNews::UnreachableScheduled));
        page.counter("agent_unreachable_canceled", count(AgentNews::UnreachableCanceled));
        page.counter("agent_unreachable_completed", unhealthy + recovery);
        page.counter("recovery_agent_removals", recovery);
        page.counter("agent_removals", count(AgentNews::Removed));
    }

    fn agent_figures(&self, page: &mut Page) {
        let count = |state| self.agents.values().filter(|agent| agent.view.state == state).count();
        page.gauge("agents_active", count(AgentState::Active));
        page.gauge("agents_disconnected", count(AgentState::Disconnected));
        page.gauge("agents_unreachable", count(AgentState::Unreachable));
        page.gauge("agents_recovered", count(AgentState::Recovered));
        self.agent_counters(page);
        let (mut total, mut used, mut offered) = Default::default();
        let active = self.agents.values().map(|agent| &agent.view);
        for agent in active.filter(|agent| agent.state == AgentState::Active) {
            for (sum, more) in [
                (&mut total, &agent.info.resources),
                (&mut used, &agent.used),
                (&mut offered, &agent.offered),
            ] {
                Resources::add(sum, more);
            }
        }
        for name in ["cpus", "mem", "disk"] {
            page.gauge(&format!("{name}_total"), total.scalar(name));
            page.gauge(&format!("{name}_used"), used.scalar(name));
            page.gauge(&format!("{name}_offered"), offered.scalar(name));
        }
    }

    fn framework_figures(&self, page: &mut Page) {
        let count = |state| self.frameworks.values().filter(|f| f.state == state).count();
        page.gauge("frameworks_active", count(FrameworkState::Active));
        page.gauge("frameworks_suppressed", count(FrameworkState::Suppressed));
        page.gauge("frameworks_disconnected", count(FrameworkState::Disconnected));
        page.gauge("frameworks_recovered", count(FrameworkState::Recovered));
    }
}
