//! Needs that no agent could meet, were it empty: their frameworks are told why no offer comes, once of each.

use std::cmp::Reverse;
use std::ops::Bound;
use std::time::Duration;

use protocol::change::AgentState;
use protocol::framework::{Capability, MasterToFramework};
use protocol::ids::{FrameworkId, Role};
use protocol::offer::{Demand, Unmet};
use protocol::resources::{Milli, Resource, Resources, Value};
use protocol::wishes::RoleWishes;

use super::agents::Agent;
use super::constraints::{Constraints, Whereabouts, ports_each};
use super::{Master, Timer, Turn};

/// After agents have come or gone. Many of them do so together, and are looked at once.
const JUDGED_AFTER: Duration = Duration::from_secs(1);
/// So often at most a need is held against an agent in one turn, which is a tenth of a second or so; frameworks behind are judged in
/// the next one.
const LOOKS_MAX: usize = 200_000;
/// So many needs that cannot be met are explained at a time: for that, all agents are compared.
const WHYS_MAX: usize = 8;

impl Master {
    /// What could be met before may not be now, or the other way round.
    pub(super) fn agents_changed(&mut self, turn: &mut Turn) {
        self.agents_changed += 1;
        if self.judging {
            // Those that have been judged in part of this already.
            self.judge_again |= self.judged_to.is_some();
        } else {
            self.judge_soon(turn);
        }
    }

    fn judge_soon(&mut self, turn: &mut Turn) {
        if self.frameworks.values().any(|known| known.demand().next().is_some()) {
            self.judging = true;
            turn.start(Timer::Judge, JUDGED_AFTER);
        }
    }

    pub(super) fn on_judge_due(&mut self, turn: &mut Turn) {
        let mut looks = 0;
        let mut next = self.judged_to.take();
        while let Some(framework) = self.framework_behind(next.as_ref()) {
            looks += self.judge_demand(turn, &framework);
            if looks >= LOOKS_MAX {
                self.judged_to = Some(framework);
                return turn.start(Timer::Judge, JUDGED_AFTER / 10);
            }
            next = Some(framework);
        }
        self.judging = false;
        if std::mem::take(&mut self.judge_again) {
            self.judge_soon(turn);
        }
    }

    fn framework_behind(&self, last: Option<&FrameworkId>) -> Option<FrameworkId> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.frameworks.range((from, Bound::Unbounded)).next().map(|(id, _)| id.clone())
    }

    /// Tells a framework of those of its needs that are more than any agent has, and of which it does not know that. How often a need
    /// was held against an agent; those of which it is not known after [`LOOKS_MAX`] are not told of.
    pub(super) fn judge_demand(&mut self, turn: &mut Turn, id: &FrameworkId) -> usize {
        let Some(framework) = self.frameworks.get(id) else { return 0 };
        let Some(pid) = framework.pid().filter(|_| framework.has(Capability::StatesDemand)) else {
            return 0;
        };
        let here = |agent: &&Agent| match agent.state() {
            AgentState::Recovered | AgentState::Active | AgentState::Disconnected => true,
            AgentState::Unreachable | AgentState::Gone => false,
        };
        let agents = || self.agents.values().filter(here);
        if agents().next().is_none() {
            // Whoever comes first may meet all.
            return 0;
        }
        let mut looks = 0;
        let nothing_changed = framework.judged_at == self.agents_changed;
        let several_roles = framework.info.roles.len() > 1;
        let (mut unmet, mut news) = (Vec::new(), Vec::new());
        for (wish, demand) in framework.demand().filter(|(_, demand)| demand.count > 0) {
            let is_same =
                |(role, known): &&(Role, Demand)| *role == wish.role && same_need(known, demand);
            let was_unmet = framework.unmet.iter().any(|known| is_same(&known));
            let Some(need) = Need::of(wish, demand) else { continue };
            let mut is_met_by = |agent: &Agent| {
                looks += 1;
                looks > LOOKS_MAX || need.is_met_by(agent)
            };
            if !(nothing_changed && was_unmet) && agents().any(&mut is_met_by) {
                continue;
            }
            unmet.push((wish.role.clone(), demand.clone()));
            if !was_unmet {
                let mut why = if news.len() < WHYS_MAX {
                    let allows = |agent: &&Agent| need.allows(agent);
                    need.why(&agents().filter(allows).collect::<Vec<_>>())
                } else {
                    format!("no agent has {}", demand.each)
                };
                if several_roles {
                    why = format!("for role {}, {why}", wish.role);
                }
                news.push(Unmet { demand: demand.clone(), why });
            }
        }
        let changed = self.agents_changed;
        if let Some(framework) = self.frameworks.get_mut(id) {
            framework.unmet = unmet;
            framework.judged_at = changed;
        }
        if !news.is_empty() {
            turn.tell_framework(pid, MasterToFramework::Unmet(news));
        }
        looks
    }
}

fn same_need(one: &Demand, other: &Demand) -> bool {
    one.each == other.each && one.constraints == other.constraints
}

/// What is needed for a role, ready to be compared with agents.
struct Need<'a> {
    role: &'a Role,
    demand: &'a Demand,
    /// Of the role and of the demand: all of both must hold.
    constraints: [Constraints; 2],
}

impl<'a> Need<'a> {
    /// Its constraints were found good when they were stated.
    fn of(wish: &'a RoleWishes, demand: &'a Demand) -> Option<Self> {
        let of_role = Constraints::compile(&wish.constraints).ok()?;
        let of_demand = Constraints::compile_demand(&demand.constraints).ok()?;
        Some(Self { role: &wish.role, demand, constraints: [of_role, of_demand] })
    }

    fn allows(&self, agent: &Agent) -> bool {
        let place = Whereabouts {
            hostname: &agent.info.at.hostname,
            attributes: &agent.info.attributes,
            domain: agent.domain.as_ref(),
        };
        self.constraints.iter().all(|constraints| constraints.holds(&place))
    }

    /// Whether one such task would fit on an agent that holds nothing else.
    fn is_met_by(&self, agent: &Agent) -> bool {
        let each = &self.demand.each;
        let usable = agent.info.resources.offerable_to(self.role);
        let left = usable.ranges("ports").minus(&each.ranges("ports"));
        self.allows(agent)
            && usable.find(each).is_some()
            && left.count() >= ports_each(&self.demand.constraints)
    }

    /// What is missing. `candidates` are those of which all constraints hold.
    fn why(&self, candidates: &[&Agent]) -> String {
        let named: Vec<String> = self.constraints.iter().map(Constraints::named).collect();
        let named: Vec<String> = named.into_iter().filter(|words| !words.is_empty()).collect();
        let named = named.join(" and ");
        if candidates.is_empty() {
            return format!("no agent has {named}");
        }
        let with = if named.is_empty() { String::new() } else { format!(" with {named}") };
        let each = &self.demand.each;
        let wanted = format!("{each}{}", ports(ports_each(&self.demand.constraints)));
        // One agent, not the most of each resource that any has: together those may be what is asked for.
        let nearest = candidates.iter().map(|agent| {
            let usable = agent.info.resources.offerable_to(self.role).flattened();
            Near::to(&usable, self.demand)
        });
        let Some(Near { has, without, .. }) = nearest.max_by_key(|near| near.rank) else {
            return format!("no agent{with} has {wanted}");
        };
        let without =
            if without.is_empty() { String::new() } else { format!(" without {without}") };
        format!("no agent{with} has {wanted}: the most that one has is {has}{without}")
    }
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
    /// What its role may use of an agent, whomever it is reserved for.
    fn to(usable: &Resources, demand: &Demand) -> Self {
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
                    let scalar = usable.scalar(&wanted.name);
                    count(amount(scalar), amount(*most));
                    (Value::Scalar(scalar), Value::Scalar(Milli(0)))
                }
                Value::Ranges(all) => {
                    let lacks = all.minus(&usable.ranges(&wanted.name));
                    count(all.count() - lacks.count(), all.count());
                    (Value::Ranges(all.minus(&lacks)), Value::Ranges(lacks))
                }
                Value::Set(all) => {
                    let is_there = |name: &&String| {
                        let mut one = Resources::none();
                        one.add_one(here(Value::Set(vec![(*name).clone()])));
                        usable.contains(&one)
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
        let wanted_ports = ports_each(&demand.constraints);
        let named = demand.each.ranges("ports");
        let other_ports = usable.ranges("ports").minus(&named).count();
        let mut has = has.to_string();
        if wanted_ports > 0 {
            count(other_ports, wanted_ports);
            has += &format!(" and {other_ports} ports");
        }
        Self { rank: (Reverse(lacking), parts), has, without }
    }
}
