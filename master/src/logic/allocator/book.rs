//! The allocator's book of agents: what is free, who holds what, and what proposals are open.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::offer::Demand;
use protocol::resources::Resources;
use protocol::time::Instant;

use super::amounts::Amounts;
use super::demand::not_covered;
use super::examine::holds_one_of;
use super::place::{Away, Place, gives_up};
use super::{Allocator, BookEntry, Open, number};
use crate::logic::bugs::Bug;
use crate::logic::invariants::Holdings;

impl Allocator {
    /// Who holds what, proposals included; also on agents that are not active, and may be back any moment.
    pub fn holdings(&self) -> Holdings {
        let mut all = Holdings::new();
        let active = self.places.iter().map(|(_, place)| (&place.agent, &place.held));
        let away = self.away.iter().map(|(agent, away)| (agent, &away.held));
        for (agent, held) in active.chain(away) {
            for (client, held) in held {
                if let Some(client) = self.client(*client) {
                    let key = (agent.clone(), client.framework.clone(), client.role.clone());
                    all.insert(key, held.clone());
                }
            }
        }
        all
    }

    /// What is free on each active agent.
    pub fn free(&self) -> BTreeMap<AgentId, Resources> {
        self.places.iter().map(|(_, place)| (place.agent.clone(), place.free.clone())).collect()
    }

    /// What was known of it is replaced, proposals for it among that.
    pub(super) fn on_agent(&mut self, entry: BookEntry) {
        let BookEntry::Agent {
            agent,
            slot,
            generation,
            hostname,
            attributes,
            domain,
            total,
            allocated,
        } = entry
        else {
            return;
        };
        self.drop_agent(&agent);
        self.lose_away(&agent);
        let free = total.clone();
        let mut place = Place::new(agent.clone(), (slot, generation), total, &mut self.names);
        let rest = &mut place.rest;
        (rest.hostname, rest.attributes, rest.domain) = (hostname, attributes, domain);
        self.count_unbound(&place.rest.total, true);
        self.tree.add_total(&place.rest.totals);
        let at = number(self.places.insert(place));
        self.agents.insert(agent, at);
        self.set_free(at, free);
        for (framework, role, resources) in allocated {
            self.take(at, &framework, &role, &resources);
        }
        self.bring_filters_back(at);
        self.relaxed = true;
        self.look_at(at);
    }

    fn count_unbound(&mut self, total: &Resources, comes: bool) {
        let before = self.unbound.any();
        self.unbound.count(total, comes);
        if self.unbound.any() != before {
            self.settle_all_fickle();
        }
    }

    /// Tasks hold it already. What an agent has too little of is held all the same.
    fn take(&mut self, at: u32, framework: &FrameworkId, role: &Role, resources: &Resources) {
        // Nothing is what an executor without resources of its own holds, and that is never released.
        if resources.is_empty() {
            return;
        }
        let client = self.client_of(framework, role);
        self.hold_at(at, client, resources);
    }

    fn hold_at(&mut self, at: u32, client: u32, resources: &Resources) {
        self.allocate(client, resources);
        self.note_held(at, client, resources);
        let place = &mut self.places[at as usize];
        let left = place.free.checked_sub(resources).filter(|_| !place.is_overcommitted());
        let free = left.unwrap_or_else(|| place.count_free());
        self.set_free(at, free);
    }

    pub(super) fn hold_again(&mut self, number: u64, open: Open, promised: &[Demand]) {
        let Open { at, client, .. } = open;
        self.hold_at(at, client, &open.resources);
        self.places[at as usize].open.push(number);
        self.note_open(client, number, promised);
        self.open.insert(number, open);
        self.look_at(at);
    }

    /// Nothing of it is offered any more, and what was proposed of it is void. What tasks hold of it counts on: it may be back
    /// any moment.
    pub(super) fn drop_agent(&mut self, agent: &AgentId) {
        let Some(at) = self.agents.remove(agent) else { return };
        self.set_free(at, Resources::none());
        self.set_first_end(at, None);
        for open in std::mem::take(&mut self.places[at as usize].open) {
            if let Some((open, unused)) = self.take_open(open) {
                self.take_back(open.client, &unused);
                if self.give_up(at, open.client, &open.resources) == Some(true) {
                    self.note_dropped(open.client);
                }
            }
        }
        let place = self.places.remove(at as usize);
        self.count_unbound(&place.rest.total, false);
        if place.changed {
            self.changed.retain(|changed| *changed != at);
        }
        self.returned.retain(|(place, _)| *place != at);
        self.away.insert(place.agent.clone(), Away::of(place));
    }

    /// An agent that is not active cannot be reached: what runs on it counts no more.
    pub(super) fn lose_away(&mut self, agent: &AgentId) {
        let Some(away) = self.away.get_mut(agent).filter(|away| !away.is_lost) else { return };
        away.is_lost = true;
        let held = std::mem::take(&mut away.held);
        self.tree.sub_total(&away.place.rest.totals);
        for (client, held) in held {
            self.release(client, &held);
            self.note_dropped(client);
        }
    }

    /// What is free on an agent, with all sums that follow from it.
    pub(super) fn set_free(&mut self, at: u32, free: Resources) {
        let Self { places, names, tree, least, .. } = self;
        let place = &mut places[at as usize];
        tree.guarantees.available.sub(place.free_plain());
        let before = std::mem::replace(&mut place.free, free);
        place.recount_free(names);
        place.is_enough = holds_one_of(&place.free, least);
        tree.guarantees.available.add(place.free_plain());
        let particular = place.particular;
        self.settle_worth(at);
        if particular {
            let after = self.places[at as usize].free.clone();
            self.reserve(&after, true);
            self.reserve(&before, false);
        }
    }

    /// What is reserved and free counts for the quota of its role.
    fn reserve(&mut self, resources: &Resources, more: bool) {
        for resource in resources.iter() {
            let Some(role) = resource.kind.reserved_for() else { continue };
            let top = role.top();
            let mut one = Resources::none();
            one.add_one(resource.clone());
            let amounts = self.names.amounts(&one, |resource| !resource.kind.is_revocable());
            if amounts.is_zero() {
                continue;
            }
            let node = self.tree.role_node(&top);
            self.tree.consume(node, |consumption| {
                if more {
                    consumption.reserve_more(&amounts);
                } else {
                    consumption.reserve_less(&amounts);
                }
            });
            self.tree.prune(node);
        }
    }

    /// A client holds more; who calls notes where.
    pub(super) fn allocate(&mut self, client: u32, resources: &Resources) {
        let all = self.names.amounts(resources, |_| true);
        let revocable = self.revocable(resources);
        self.tree.allocate(client, &all, revocable.as_ref());
    }

    fn release(&mut self, client: u32, resources: &Resources) {
        let all = self.names.amounts(resources, |_| true);
        let revocable = self.revocable(resources);
        self.tree.release(client, &all, revocable.as_ref());
        self.relaxed = true;
    }

    fn revocable(&mut self, resources: &Resources) -> Option<Amounts> {
        let any = resources.iter().any(|resource| resource.kind.is_revocable());
        any.then(|| self.names.amounts(resources, |resource| resource.kind.is_revocable()))
    }

    pub(super) fn note_held(&mut self, at: u32, client: u32, resources: &Resources) {
        if self.places[at as usize].holds(client, resources)
            && let Some(entry) = self.client_mut(client)
        {
            entry.holds += 1;
        }
    }

    pub(super) fn note_dropped(&mut self, client: u32) {
        if let Some(entry) = self.client_mut(client) {
            entry.holds -= 1;
        }
        self.forget_client(client);
    }

    /// And what was promised by it.
    fn take_open(&mut self, number: u64) -> Option<(Open, Vec<Demand>)> {
        let open = self.open.remove(number)?;
        let promised = self.client_mut(open.client).and_then(|client| {
            client.open -= 1;
            client.promising.remove(&number)
        });
        Some((open, promised.unwrap_or_default()))
    }

    /// The master and this book do not agree yet. Whoever is still hungry would be proposed the same again at once, and so
    /// on until they do: its next chance is the next sweep.
    pub(super) fn on_returned(&mut self, now: Instant, proposal: u64) {
        // Unknown when the agent has been away since.
        let Some(open) = self.open.get(proposal) else { return };
        let (at, client) = (open.at, open.client);
        let everywhere = self.everywhere;
        self.end(now, &[proposal], Resources::none(), Duration::ZERO);
        // For what it wants elsewhere, too.
        self.everywhere = everywhere;
        if self.tree_has(client) && self.tree.is_hungry(client) {
            let Self { places, stale, .. } = self;
            // What made it hungry again must not make it ruled out no more.
            places[at as usize].note(stale);
            places[at as usize].rule_out(client);
            self.returned.push((at, client));
        }
    }

    /// Proposals have ended: `used` of them is in use, the rest is free.
    pub(super) fn end(
        &mut self,
        now: Instant,
        numbers: &[u64],
        used: Resources,
        refuse_for: Duration,
    ) {
        let mut left = Resources::none();
        let mut whose = None;
        let mut used_of_demand = used.flattened();
        for number in numbers {
            // Unknown when the agent has been away since: then all of it was forgotten.
            let Some((open, promised)) = self.take_open(*number) else { continue };
            left.add(&open.resources);
            self.places[open.at as usize].open.retain(|open| open != number);
            let unused = not_covered(&promised, &mut used_of_demand);
            self.take_back(open.client, &unused);
            whose = Some((open.at, open.client));
        }
        let Some((at, client)) = whose else { return };
        let left = left.checked_sub(&used).unwrap_or_default();
        if !refuse_for.is_zero() && !left.is_empty() {
            self.add_filter(at, client, left.clone(), now + refuse_for);
        }
        self.give_back(at, client, &left);
        self.forget_client(client);
    }

    pub(super) fn on_released(
        &mut self,
        agent: &AgentId,
        framework: &FrameworkId,
        role: &Role,
        resources: &Resources,
    ) {
        let clients = self.frameworks.get(framework).map(|framework| &framework.clients);
        let Some(client) = clients.and_then(|clients| clients.get(role)).copied() else { return };
        match self.agents.get(agent).copied() {
            Some(at) => self.give_back(at, client, resources),
            None => self.give_up_away(agent, client, resources),
        }
        self.forget_client(client);
    }

    fn give_up_away(&mut self, agent: &AgentId, client: u32, resources: &Resources) {
        let Some(away) = self.away.get_mut(agent) else { return };
        let had = away.held.len();
        if gives_up(&mut away.held, client, resources) {
            let gone = away.held.len() < had;
            self.release(client, resources);
            if gone {
                self.note_dropped(client);
            }
        }
    }

    fn give_back(&mut self, at: u32, client: u32, resources: &Resources) {
        if resources.is_empty() {
            return;
        }
        let before = self.places[at as usize].is_overcommitted();
        let Some(gone) = self.give_up(at, client, resources) else { return };
        let place = &mut self.places[at as usize];
        let free = if before { place.count_free() } else { place.free.plus(resources) };
        self.set_free(at, free);
        if !self.config.bugs.has(Bug::RuledOutForGood) {
            self.places[at as usize].on_more_free();
        }
        self.look_at(at);
        if gone {
            self.note_dropped(client);
        }
    }

    /// A client holds so much less on an agent; who calls settles what is free. `None` if it did not hold so much; whether it holds
    /// nothing there now.
    fn give_up(&mut self, at: u32, client: u32, resources: &Resources) -> Option<bool> {
        let held = &mut self.places[at as usize].held;
        let had = held.len();
        if !gives_up(held, client, resources) {
            return None;
        }
        let gone = held.len() < had;
        self.release(client, resources);
        Some(gone)
    }
}
