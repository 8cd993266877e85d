//! Needs that no agent could meet, were it empty: their frameworks are told why no offer comes, once of each.

use std::time::Duration;

use protocol::agent::AgentInfo;
use protocol::change::AgentState;
use protocol::framework::{Capability, MasterToFramework};
use protocol::ids::FrameworkId;
use protocol::offer::{Constraint, Demand, Unmet};
use protocol::resources::Resources;

use super::agents::Agent;
use super::allocator::{constraint_holds, ports_each};
use super::{Master, Timer, Turn};

/// After agents have come or gone. Many of them do so together, and are looked at once.
const JUDGED_AFTER: Duration = Duration::from_secs(1);

impl Master {
    /// What could be met before may not be now, or the other way round.
    pub(super) fn agents_changed(&mut self, turn: &mut Turn) {
        self.agents_changed += 1;
        if !self.judging && self.frameworks.values().any(|known| !known.demand.is_empty()) {
            self.judging = true;
            turn.start(Timer::Judge, JUDGED_AFTER);
        }
    }

    pub(super) fn on_judge_due(&mut self, turn: &mut Turn) {
        self.judging = false;
        let all: Vec<FrameworkId> = self.frameworks.keys().cloned().collect();
        for framework in all {
            self.judge_demand(turn, &framework);
        }
    }

    /// Tells a framework of those of its needs that are more than any agent has, and of which it does not know that.
    pub(super) fn judge_demand(&mut self, turn: &mut Turn, id: &FrameworkId) {
        let Some(framework) = self.frameworks.get(id) else { return };
        let Some(pid) = framework.pid().filter(|_| framework.has(Capability::StatesDemand)) else {
            return;
        };
        let here = |agent: &&Agent| match agent.state() {
            AgentState::Recovered | AgentState::Active | AgentState::Disconnected => true,
            AgentState::Unreachable | AgentState::Gone => false,
        };
        let agents = || self.agents.values().filter(here).map(|agent| &agent.info);
        if agents().next().is_none() {
            // Whoever comes first may meet all.
            return;
        }
        let nothing_changed = framework.judged_at == self.agents_changed;
        let was_unmet = |demand: &Demand| framework.unmet.iter().any(|one| same_need(one, demand));
        let is_unmet = |demand: &&Demand| {
            demand.count > 0
                && (nothing_changed && was_unmet(demand) || !agents().any(|a| meets(a, demand)))
        };
        let unmet: Vec<Demand> = framework.demand.iter().filter(is_unmet).cloned().collect();
        let news = unmet.iter().filter(|demand| !was_unmet(demand));
        let news = news.map(|demand| {
            let candidates: Vec<&AgentInfo> = agents().filter(|a| allows(a, demand)).collect();
            Unmet { demand: demand.clone(), why: why(demand, &candidates) }
        });
        let news: Vec<Unmet> = news.collect();
        let changed = self.agents_changed;
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.unmet = unmet;
            framework.judged_at = changed;
        }
        if !news.is_empty() {
            turn.tell_framework(pid, MasterToFramework::Unmet(news));
        }
    }
}

fn same_need(one: &Demand, other: &Demand) -> bool {
    one.each == other.each && one.constraints == other.constraints
}

fn allows(agent: &AgentInfo, demand: &Demand) -> bool {
    let holds = |one| constraint_holds(one, &agent.at.hostname, &agent.attributes);
    demand.constraints.iter().all(holds)
}

/// Whether one such task would fit on an agent that holds nothing else.
fn meets(agent: &AgentInfo, demand: &Demand) -> bool {
    let left = agent.resources.ranges("ports").minus(&demand.each.ranges("ports"));
    allows(agent, demand)
        && agent.resources.contains(&demand.each)
        && left.count() >= ports_each(demand)
}

/// What is missing. `candidates` are those of which all constraints hold.
fn why(demand: &Demand, candidates: &[&AgentInfo]) -> String {
    let named = |constraint: &Constraint| match constraint {
        Constraint::Is { attribute, value } => Some(format!("{attribute}={value}")),
        Constraint::IsNot { attribute, value } => Some(format!("{attribute}!={value}")),
        Constraint::Ports { .. } => None,
    };
    let named: Vec<String> = demand.constraints.iter().filter_map(named).collect();
    let named = named.join(" and ");
    if candidates.is_empty() {
        return format!("no agent has {named}");
    }
    let with = if named.is_empty() { String::new() } else { format!(" with {named}") };
    let ports = ports_each(demand);
    let ports_of = |agent: &&AgentInfo| agent.resources.ranges("ports").count();
    let (wanted_ports, most_ports) = match ports {
        0 => (String::new(), String::new()),
        _ => {
            let most = candidates.iter().map(ports_of).max().unwrap_or_default();
            (format!(" and {ports} ports"), format!(" and {most} ports"))
        }
    };
    let mut most = Resources::none();
    for scalar in demand.each.iter().filter(|resource| resource.amount().is_some()) {
        let amounts = candidates.iter().map(|agent| agent.resources.scalar(&scalar.name));
        most = most.with_scalar(&scalar.name, amounts.max().unwrap_or_default());
    }
    let each = &demand.each;
    format!("no agent{with} has {each}{wanted_ports}: the most that one has is {most}{most_ports}")
}
