//! Needs that no agent could meet, were it empty: their frameworks are told why no offer comes, once of each.

use std::cmp::Reverse;
use std::time::Duration;

use protocol::agent::AgentInfo;
use protocol::change::AgentState;
use protocol::framework::{Capability, MasterToFramework};
use protocol::ids::FrameworkId;
use protocol::offer::{Constraint, Demand, Unmet};
use protocol::resources::{Milli, Resource, Resources, Value};

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
        Constraint::Ports { .. } | Constraint::Attribute(_) => None,
    };
    let named: Vec<String> = demand.constraints.iter().filter_map(named).collect();
    let named = named.join(" and ");
    if candidates.is_empty() {
        return format!("no agent has {named}");
    }
    let with = if named.is_empty() { String::new() } else { format!(" with {named}") };
    let each = &demand.each;
    let wanted = format!("{each}{}", ports(ports_each(demand)));
    // One agent, not the most of each resource that any has: together those may be what is asked for.
    let nearest = candidates.iter().map(|agent| Near::to(agent, demand));
    let Some(Near { has, without, .. }) = nearest.max_by_key(|near| near.rank) else {
        return format!("no agent{with} has {wanted}");
    };
    let without = if without.is_empty() { String::new() } else { format!(" without {without}") };
    format!("no agent{with} has {wanted}: the most that one has is {has}{without}")
}

fn ports(count: u64) -> String {
    if count == 0 { String::new() } else { format!(" and {count} ports") }
}

/// How near an agent comes to a need.
struct Near {
    /// Fewest resources of which it lacks some, then the largest parts of them, in thousandths.
    rank: (Reverse<usize>, u64),
    /// What it has of the resources that are needed.
    has: String,
    /// Numbers and names that it lacks.
    without: Resources,
}

impl Near {
    fn to(agent: &AgentInfo, demand: &Demand) -> Self {
        let (mut lacking, mut parts) = (0, 0);
        let mut count = |has: u64, wanted: u64| {
            lacking += usize::from(has < wanted);
            parts += has.min(wanted).saturating_mul(1000) / wanted.max(1);
        };
        let amount = |amount: Milli| u64::try_from(amount.0).unwrap_or_default();
        let (mut has, mut without) = (Resources::none(), Resources::none());
        for wanted in demand.each.iter() {
            let here = |value| Resource { value, ..wanted.clone() };
            let (there, lacks) = match &wanted.value {
                Value::Scalar(most) => {
                    let scalar = agent.resources.scalar(&wanted.name);
                    count(amount(scalar), amount(*most));
                    (Value::Scalar(scalar), Value::Scalar(Milli(0)))
                }
                Value::Ranges(all) => {
                    let lacks = all.minus(&agent.resources.ranges(&wanted.name));
                    count(all.count() - lacks.count(), all.count());
                    (Value::Ranges(all.minus(&lacks)), Value::Ranges(lacks))
                }
                Value::Set(all) => {
                    let is_there = |name: &&String| {
                        let mut one = Resources::none();
                        one.add_one(here(Value::Set(vec![(*name).clone()])));
                        agent.resources.contains(&one)
                    };
                    let (there, lacks): (Vec<_>, Vec<_>) = all.iter().partition(is_there);
                    count(there.len() as u64, all.len() as u64);
                    let set =
                        |names: Vec<&String>| Value::Set(names.into_iter().cloned().collect());
                    (set(there), set(lacks))
                }
            };
            has.add_one(here(there));
            without.add_one(here(lacks));
        }
        let wanted_ports = ports_each(demand);
        let named = demand.each.ranges("ports");
        let other_ports = agent.resources.ranges("ports").minus(&named).count();
        let mut has = has.to_string();
        if wanted_ports > 0 {
            count(other_ports, wanted_ports);
            has += &format!(" and {other_ports} ports");
        }
        Self { rank: (Reverse(lacking), parts), has, without }
    }
}
