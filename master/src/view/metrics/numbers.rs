//! What a master counts, under the names of Mesos's metrics.

use std::collections::BTreeMap;

use protocol::change::{AgentNews, AgentState, FrameworkState, GivenUp};
use protocol::ids::FrameworkId;
use protocol::resources::{Milli, Resources};
use protocol::task::TaskState;

use crate::exposition::LINES_MAX;
use crate::view::names::{ENDS, LIVE, word};
use crate::view::{Framework, View};

type Numbers = BTreeMap<String, f64>;

/// Of a framework: the name is what follows the framework's.
type OfFrameworks = Vec<(FrameworkId, String, f64)>;

/// What Mesos counts of what can be used.
const SCALARS: [&str; 4] = ["cpus", "gpus", "mem", "disk"];

/// How much of something there is, and how much of that is used.
fn amounts(into: &mut Numbers, name: &str, total: Milli, used: Milli) {
    let (total, used) = (total.as_f64(), used.as_f64());
    let percent = if total > 0.0 { used / total } else { 0.0 };
    for (what, number) in [("total", total), ("used", used), ("percent", percent)] {
        into.insert(format!("master/{name}_{what}"), number);
    }
}

impl View {
    /// All of them, and those of each framework.
    pub(crate) fn numbers(&self) -> (Numbers, OfFrameworks) {
        let mut all = Numbers::new();
        self.agent_numbers(&mut all);
        let of_frameworks = self.framework_numbers(&mut all);
        self.quota_numbers(&mut all);
        let live = self.frameworks.values().flat_map(|framework| framework.tasks.values());
        let mut states: BTreeMap<TaskState, u64> = BTreeMap::new();
        for task in live.filter(|task| task.ended_by.is_none()) {
            *states.entry(task.report.state).or_default() += 1;
        }
        let of_states = LIVE.iter().map(|state| (*state, states.get(state)));
        let of_ends = ENDS.iter().map(|state| (*state, self.totals.ended.get(state)));
        for (state, count) in of_states.chain(of_ends) {
            let count = count.copied().unwrap_or_default();
            all.insert(format!("master/tasks_{}", word(state)), count as f64);
        }
        all.extend(self.totals.reasons.iter().map(|(name, count)| (name.clone(), *count as f64)));
        all.insert("master/outstanding_offers".to_owned(), self.offers.len() as f64);
        (all, of_frameworks)
    }

    fn agent_numbers(&self, all: &mut Numbers) {
        let are = |state| self.agents.values().filter(|agent| agent.view.state == state).count();
        let news = |news: AgentNews| self.totals.agents.get(&news).copied().unwrap_or_default();
        let given_up = |why| news(AgentNews::Unreachable(why));
        let recovery = given_up(GivenUp::NotRecovered);
        let unreachable = given_up(GivenUp::Silent) + given_up(GivenUp::NotBack) + recovery;
        let removed = news(AgentNews::Removed);
        let (active, disconnected) =
            (are(AgentState::Active) as u64, are(AgentState::Disconnected) as u64);
        for (name, count) in [
            ("slaves_connected", active),
            ("slaves_active", active),
            ("slaves_disconnected", disconnected),
            ("slaves_inactive", disconnected),
            ("slaves_unreachable", are(AgentState::Unreachable) as u64),
            ("slave_registrations", news(AgentNews::Registered)),
            ("slave_reregistrations", news(AgentNews::Reregistered)),
            ("slave_unreachable_scheduled", news(AgentNews::UnreachableScheduled)),
            ("slave_unreachable_canceled", news(AgentNews::UnreachableCanceled)),
            ("slave_unreachable_completed", unreachable),
            ("slave_removals", removed + unreachable),
            ("slave_removals/reason_unhealthy", unreachable),
            ("slave_removals/reason_unregistered", removed),
            ("recovery_slave_removals", recovery),
        ] {
            all.insert(format!("master/{name}"), count as f64);
        }
        let (mut total, mut used) = (Resources::none(), Resources::none());
        let active = self.agents.values().map(|agent| &agent.view);
        for agent in active.filter(|agent| agent.state == AgentState::Active) {
            total.add(&agent.info.resources);
            used.add(&agent.used);
        }
        let (lasting, lent) = (total.non_revocable(), used.non_revocable());
        for name in SCALARS {
            let (there, held) = (lasting.scalar(name), lent.scalar(name));
            amounts(all, name, there, held);
            let revocable = (total.revocable().scalar(name), used.revocable().scalar(name));
            amounts(all, &format!("{name}_revocable"), revocable.0, revocable.1);
        }
    }

    fn framework_numbers(&self, all: &mut Numbers) -> OfFrameworks {
        let are = |states: &[FrameworkState]| {
            self.frameworks.values().filter(|framework| states.contains(&framework.state)).count()
        };
        let there = are(&[FrameworkState::Active, FrameworkState::Suppressed]) as f64;
        let away = are(&[FrameworkState::Disconnected, FrameworkState::Recovered]) as f64;
        for (name, count) in
            [("connected", there), ("active", there), ("disconnected", away), ("inactive", away)]
        {
            all.insert(format!("master/frameworks_{name}"), count);
        }
        let present = self.frameworks.values().filter(|f| f.state != FrameworkState::Removed);
        present.take(LINES_MAX).flat_map(|framework| framework.numbers()).collect()
    }

    fn quota_numbers(&self, all: &mut Numbers) {
        let held = self.held();
        for (role, quota) in self.shares.quotas.iter().take(LINES_MAX) {
            let guarantees = quota.guarantees.iter().map(|(name, n)| (name, "guarantee", n));
            let limits = quota.limits.iter().map(|(name, amount)| (name, "limit", amount));
            for (name, what, amount) in guarantees.chain(limits) {
                let of = format!("allocator/mesos/quota/roles/{role}/resources/{name}/{what}");
                all.insert(of, amount.as_f64());
                let of = format!(
                    "allocator/mesos/quota/roles/{role}/resources/{name}/offered_or_allocated"
                );
                all.insert(of, held(role).offered_or_allocated().amount(name).as_f64());
            }
        }
    }
}

impl Framework {
    fn numbers(&self) -> OfFrameworks {
        let framework = &self.info.framework;
        let is_there = matches!(self.state, FrameworkState::Active | FrameworkState::Suppressed);
        let subscribed = f64::from(u8::from(is_there));
        let mut all = vec![(framework.clone(), "subscribed".to_owned(), subscribed)];
        for state in LIVE {
            let tasks = self.tasks.values().filter(|task| task.ended_by.is_none());
            let count = tasks.filter(|task| task.report.state == state).count();
            let name = format!("tasks/active/task_{}", word(state));
            all.push((framework.clone(), name, count as f64));
        }
        all
    }
}
