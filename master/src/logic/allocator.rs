//! Who is offered what: dominant-resource fairness over roles, then over the frameworks of a role. The allocator keeps a
//! book of its own from the master's ordered [`BookEntry`] stream and only ever *proposes*; the master decides. The cost
//! of a run follows what changed, not the size of the cluster.

mod demand;
mod messages;
mod refusals;
mod sorter;
mod start_over;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use protocol::framework::Capability;
use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::offer::Demand;
use protocol::resources::{Attribute, Resources};
use protocol::time::{Instant, Now};
use serde::{Deserialize, Serialize};

use super::invariants::Holdings;
use crate::config::AllocatorConfig;
use demand::Needs;
pub(super) use demand::{constraint_holds, ports_each};
pub use messages::{BookEntry, Proposal, WholeBook};
use refusals::Refusals;
use sorter::Sorter;

/// Everything that can happen to an allocator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The first event.
    Started,
    /// The master has decided; in order, and what is left out is made up for by [`BookEntry::StartOver`].
    Book(Vec<BookEntry>),
    /// See [`Effect::RunSoon`].
    Run,
    /// See [`Effect::SweepAfter`].
    Sweep,
}

/// Everything an allocator can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// For the master.
    Propose(Vec<Proposal>),
    /// Comes back as [`Event::Run`] behind what waits already, so that many entries lead to one run.
    RunSoon,
    /// Comes back as [`Event::Sweep`].
    SweepAfter(Duration),
}

/// The state of an allocator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Allocator {
    config: AllocatorConfig,
    /// Of the newest proposal.
    numbered: u64,
    agents: BTreeMap<AgentId, Place>,
    frameworks: BTreeMap<FrameworkId, Client>,
    /// Proposals whose end the master has not told.
    open: BTreeMap<u64, Open>,
    sorter: Sorter,
    refusals: Refusals,
    /// Agents with enough to be offered.
    free: BTreeSet<AgentId>,
    /// Agents at which a run looks.
    changed: BTreeSet<AgentId>,
    /// Agents at which the next sweep looks: what was just returned would be proposed and returned again.
    later: BTreeSet<AgentId>,
    /// Somebody new is hungry: a run looks at all that is free.
    everywhere: bool,
    /// The next sweep looks at all that is free: what was returned may be needed elsewhere.
    everywhere_later: bool,
    run_is_due: bool,
    /// The agent last served by a run that looked everywhere; the next begins behind it.
    served: Option<AgentId>,
}

/// An active agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Place {
    generation: u64,
    hostname: String,
    attributes: Vec<Attribute>,
    total: Resources,
    free: Resources,
    held: BTreeMap<(FrameworkId, Role), Resources>,
    open: BTreeSet<u64>,
}

/// A framework.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Client {
    roles: Vec<Role>,
    active: bool,
    suppressed: bool,
    needs: Needs,
    open: BTreeSet<u64>,
}

/// A proposal that is held for its framework, as proposal or as offer.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    agent: AgentId,
    framework: FrameworkId,
    role: Role,
    resources: Resources,
    /// For which demand, and for how many of it.
    promised: Vec<Demand>,
}

/// What a run found for one framework on one agent.
struct Find {
    framework: FrameworkId,
    role: Role,
    resources: Resources,
    promised: Vec<Demand>,
}

impl Allocator {
    /// One that knows nobody yet.
    pub fn new(config: AllocatorConfig) -> Self {
        Self {
            refusals: Refusals::new(config.refusals_max, config.bugs.clone()),
            config,
            numbered: 0,
            agents: BTreeMap::new(),
            frameworks: BTreeMap::new(),
            open: BTreeMap::new(),
            sorter: Sorter::default(),
            free: BTreeSet::new(),
            changed: BTreeSet::new(),
            later: BTreeSet::new(),
            everywhere: false,
            everywhere_later: false,
            run_is_due: false,
            served: None,
        }
    }

    /// The index of everything the allocator reacts to.
    pub fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Started => effects.push(Effect::SweepAfter(self.config.sweep_every)),
            Event::Book(entries) => {
                entries.into_iter().for_each(|entry| self.enter(now.steady, entry));
            }
            Event::Run => {
                self.run_is_due = false;
                let proposals = self.run(now.steady);
                if !proposals.is_empty() {
                    effects.push(Effect::Propose(proposals));
                }
            }
            Event::Sweep => {
                self.changed.append(&mut self.later);
                self.everywhere |= std::mem::take(&mut self.everywhere_later);
                self.changed.append(&mut self.refusals.expire(now.steady));
                effects.push(Effect::SweepAfter(self.config.sweep_every));
            }
        }
        if (self.everywhere || !self.changed.is_empty()) && !self.run_is_due {
            self.run_is_due = true;
            effects.push(Effect::RunSoon);
        }
        effects
    }

    /// Who holds what, proposals included.
    pub fn holdings(&self) -> Holdings {
        let mut all = Holdings::new();
        for (agent, place) in &self.agents {
            for ((framework, role), held) in &place.held {
                all.insert((agent.clone(), framework.clone(), role.clone()), held.clone());
            }
        }
        all
    }

    /// The index of everything the master tells.
    fn enter(&mut self, now: Instant, entry: BookEntry) {
        match entry {
            BookEntry::Agent {
                agent, generation, hostname, attributes, total, allocated, ..
            } => {
                self.drop_agent(&agent);
                let (held, open) = (BTreeMap::new(), BTreeSet::new());
                let free = total.clone();
                let place = Place { generation, hostname, attributes, total, free, held, open };
                self.add_agent(agent, place, allocated);
            }
            BookEntry::AgentInactive { agent } => self.drop_agent(&agent),
            BookEntry::Framework { framework, roles, capabilities, wishes } => {
                let states_demand = capabilities.contains(&Capability::StatesDemand);
                let demand = wishes.into_iter().flat_map(|wish| wish.demand).collect();
                self.on_framework(framework, roles, states_demand, demand);
            }
            BookEntry::FrameworkInactive { framework } => {
                self.refusals.forget(&framework);
                self.change_client(&framework, |client| client.active = false);
                self.forget_client(&framework);
            }
            BookEntry::Wishes { framework, wishes } => {
                let demand = wishes.into_iter().flat_map(|wish| wish.demand).collect();
                self.on_demand(&framework, demand);
            }
            BookEntry::Shares(_) => (),
            BookEntry::Revived { framework, .. } => {
                self.refusals.forget(&framework);
                self.change_client(&framework, |client| client.suppressed = false);
                self.everywhere = true;
            }
            BookEntry::Suppressed { framework, .. } => {
                self.change_client(&framework, |client| client.suppressed = true);
            }
            BookEntry::Returned(proposals) => {
                proposals.iter().for_each(|proposal| self.on_returned(now, proposal));
            }
            BookEntry::Ended { proposals, used, refuse_for } => {
                self.end(now, &proposals, used, refuse_for);
            }
            BookEntry::Released { agent, framework, role, resources } => {
                self.give_back(&agent, &framework, &role, &resources);
                self.forget_client(&framework);
            }
            BookEntry::StartOver(book) => self.start_over(now, book),
        }
    }

    fn add_agent(
        &mut self,
        agent: AgentId,
        mut place: Place,
        held: Vec<(FrameworkId, Role, Resources)>,
    ) {
        self.sorter.add_total(&place.total);
        for (framework, role, resources) in held {
            self.sorter.allocate(&role, &framework, &resources);
            place.free = place.free.checked_sub(&resources).unwrap_or_default();
            place.held.entry((framework, role)).or_default().add(&resources);
        }
        self.agents.insert(agent.clone(), place);
        self.look_at(&agent);
    }

    fn drop_agent(&mut self, agent: &AgentId) {
        let Some(place) = self.agents.remove(agent) else { return };
        self.free.remove(agent);
        self.changed.remove(agent);
        self.later.remove(agent);
        self.sorter.sub_total(&place.total);
        for ((framework, role), held) in &place.held {
            self.sorter.release(role, framework, held);
        }
        for number in place.open {
            if let Some(open) = self.open.remove(&number) {
                self.change_client(&open.framework, |client| {
                    client.open.remove(&number);
                    client.needs.take_back(&open.promised);
                });
                self.forget_client(&open.framework);
            }
        }
    }

    /// An inactive framework that holds no proposals is nobody; what its tasks hold is in the agents' books.
    fn forget_client(&mut self, framework: &FrameworkId) {
        if self
            .frameworks
            .get(framework)
            .is_some_and(|client| !client.active && client.open.is_empty())
        {
            self.frameworks.remove(framework);
        }
    }

    fn on_framework(
        &mut self,
        framework: FrameworkId,
        roles: Vec<Role>,
        states_demand: bool,
        demand: Vec<Demand>,
    ) {
        self.refusals.forget(&framework);
        let client = self.frameworks.entry(framework.clone()).or_default();
        let before = std::mem::replace(&mut client.roles, roles);
        for role in before {
            self.sorter.set_hungry(&role, &framework, false);
        }
        client.active = true;
        client.suppressed = false;
        client.needs = Needs::new(states_demand);
        self.on_demand(&framework, demand);
        self.everywhere = true;
    }

    /// The demand counts tasks that wait; those for which offers are under way are not offered for twice.
    fn on_demand(&mut self, framework: &FrameworkId, demand: Vec<Demand>) {
        let Some(client) = self.frameworks.get_mut(framework) else { return };
        let open = client.open.iter().filter_map(|number| self.open.get(number));
        let promised: Vec<Demand> = open.flat_map(|open| open.promised.iter().cloned()).collect();
        if client.needs.restate(demand, &promised) {
            // Refusals were of something else.
            self.refusals.forget(framework);
        }
        self.change_client(framework, |_| ());
        self.everywhere |= self.sorter.is_hungry(framework);
    }

    /// Changes a framework, and with it whether it is looked at by runs.
    fn change_client(&mut self, framework: &FrameworkId, change: impl FnOnce(&mut Client)) {
        let Some(client) = self.frameworks.get_mut(framework) else { return };
        change(client);
        let hungry = client.active && !client.suppressed && client.needs.wants_offers();
        for role in &client.roles {
            if self.sorter.set_hungry(role, framework, hungry) && hungry {
                self.everywhere = true;
            }
        }
    }

    /// The master and this book do not agree yet. Whoever is still hungry would be proposed the same again at once, and so
    /// on until they do: its next chance is the next sweep.
    fn on_returned(&mut self, now: Instant, proposal: &Proposal) {
        let Proposal { number, agent, framework, .. } = proposal;
        // Unknown when the agent has been away since.
        if !self.open.contains_key(number) {
            return;
        }
        let looked_everywhere = std::mem::take(&mut self.everywhere);
        self.end(now, &[*number], Resources::none(), Duration::ZERO);
        self.everywhere_later |= std::mem::replace(&mut self.everywhere, looked_everywhere);
        if self.sorter.is_hungry(framework) && self.changed.remove(agent) {
            self.later.insert(agent.clone());
        }
    }

    /// Proposals have ended: `used` of them is in use, the rest is free.
    fn end(&mut self, now: Instant, numbers: &[u64], used: Resources, refuse_for: Duration) {
        let mut left = Resources::none();
        let mut whose = None;
        let mut used_of_demand = used.clone();
        for number in numbers {
            // Unknown when the agent has been away since: then all of it was forgotten.
            let Some(open) = self.open.remove(number) else { continue };
            left.add(&open.resources);
            if let Some(place) = self.agents.get_mut(&open.agent) {
                place.open.remove(number);
            }
            let unused = demand::not_covered(&open.promised, &mut used_of_demand);
            let looks_on = !unused.is_empty();
            self.change_client(&open.framework, |client| {
                client.open.remove(number);
                client.needs.take_back(&unused);
            });
            self.everywhere |= looks_on;
            whose = Some((open.agent, open.framework, open.role));
        }
        let Some((agent, framework, role)) = whose else { return };
        let left = left.checked_sub(&used).unwrap_or_default();
        self.give_back(&agent, &framework, &role, &left);
        if !refuse_for.is_zero() && !left.is_empty() {
            self.refusals.add(framework.clone(), agent, role, left, now + refuse_for);
        }
        self.forget_client(&framework);
    }

    fn give_back(
        &mut self,
        agent: &AgentId,
        framework: &FrameworkId,
        role: &Role,
        resources: &Resources,
    ) {
        let Some(place) = self.agents.get_mut(agent) else { return };
        let key = (framework.clone(), role.clone());
        let left = place.held.get(&key).and_then(|held| held.checked_sub(resources));
        let Some(left) = left else { return };
        if left.is_empty() {
            place.held.remove(&key);
        } else {
            place.held.insert(key, left);
        }
        place.free.add(resources);
        self.sorter.release(role, framework, resources);
        self.look_at(agent);
    }

    fn look_at(&mut self, agent: &AgentId) {
        let Some(place) = self.agents.get(agent) else { return };
        if is_enough(&place.free, &self.config) {
            self.free.insert(agent.clone());
            self.changed.insert(agent.clone());
        } else {
            self.free.remove(agent);
        }
    }

    fn run(&mut self, now: Instant) -> Vec<Proposal> {
        self.sorter.refresh();
        let mut proposals = Vec::new();
        let changed = std::mem::take(&mut self.changed);
        if std::mem::take(&mut self.everywhere) {
            let behind = self.served.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let rest = self.free.range((behind, Bound::Unbounded));
            let first = self.served.as_ref().map(|served| self.free.range(..=served.clone()));
            let all: Vec<AgentId> = rest.chain(first.into_iter().flatten()).cloned().collect();
            for agent in all {
                if !self.sorter.anybody_hungry() {
                    break;
                }
                if self.serve(now, &agent, &mut proposals) {
                    self.served = Some(agent);
                }
            }
        } else {
            for agent in changed {
                self.serve(now, &agent, &mut proposals);
            }
        }
        proposals
    }

    /// Proposes what is free on an agent, to one framework after the other. Whether there was a taker.
    fn serve(&mut self, now: Instant, agent: &AgentId, proposals: &mut Vec<Proposal>) -> bool {
        let before = proposals.len();
        while let Some(place) = self.agents.get(agent).filter(|p| is_enough(&p.free, &self.config))
        {
            let Some(find) = self.find_taker(now, agent, place) else { break };
            proposals.push(self.hold(agent, find));
        }
        self.look_at(agent);
        self.changed.remove(agent);
        proposals.len() > before
    }

    /// The first framework, by share of its role and then its own, that may be offered something here.
    fn find_taker(&self, now: Instant, agent: &AgentId, place: &Place) -> Option<Find> {
        self.sorter.hungry().find_map(|(role, framework)| {
            let client = self.frameworks.get(framework)?;
            let (resources, promised) = client.needs.fit(place)?;
            let refused = self.refusals.refuses(now, framework, agent, role, &resources);
            let (framework, role) = (framework.clone(), role.clone());
            (!refused).then_some(Find { framework, role, resources, promised })
        })
    }

    fn hold(&mut self, agent: &AgentId, find: Find) -> Proposal {
        let Find { framework, role, resources, promised } = find;
        self.numbered += 1;
        let number = self.numbered;
        self.sorter.allocate(&role, &framework, &resources);
        let place = self.agents.get_mut(agent).expect("a taker was found for this agent");
        place.free = place.free.checked_sub(&resources).expect("what was found is free");
        place.held.entry((framework.clone(), role.clone())).or_default().add(&resources);
        place.open.insert(number);
        let generation = place.generation;
        self.change_client(&framework, |client| {
            client.open.insert(number);
            client.needs.promise(&promised);
        });
        let proposal = Proposal {
            number,
            agent: agent.clone(),
            generation,
            framework: framework.clone(),
            role: role.clone(),
            resources: resources.clone(),
        };
        let open = Open { agent: agent.clone(), framework, role, resources, promised };
        self.open.insert(number, open);
        proposal
    }
}

/// Whether this is worth an offer.
fn is_enough(free: &Resources, config: &AllocatorConfig) -> bool {
    free.cpus().0 >= config.cpu_milli_min || free.mem().0 >= config.memory_milli_min
}

#[cfg(test)]
mod tests;
