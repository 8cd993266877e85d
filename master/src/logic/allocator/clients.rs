//! Who comes and goes, and what each wants.

use std::collections::BTreeMap;

use protocol::framework::Capability;
use protocol::ids::{FrameworkId, Role};
use protocol::offer::Demand;
use protocol::quota::Shares;
use protocol::wishes::RoleWishes;

use super::client::Client;
use super::demand::Needs;
use super::quota::{Bounds, Consumption};
use super::{Allocator, number};
use crate::logic::bugs::Bug;

impl Allocator {
    pub(super) fn client(&self, number: u32) -> Option<&Client> {
        self.clients.get(number as usize)?.as_ref()
    }

    pub(super) fn client_mut(&mut self, number: u32) -> Option<&mut Client> {
        self.clients.get_mut(number as usize)?.as_mut()
    }

    pub(super) fn tree_has(&self, client: u32) -> bool {
        self.client(client).is_some()
    }

    /// The client that a framework is under a role, made if need be.
    pub(super) fn client_of(&mut self, framework: &FrameworkId, role: &Role) -> u32 {
        let entry = self.frameworks.entry(framework.clone()).or_default();
        if let Some(client) = entry.clients.get(role) {
            return *client;
        }
        let number = self.tree.add_member(role);
        entry.clients.insert(role.clone(), number);
        let client = Client::of(framework.clone(), role.clone(), self.tree.top_of(number));
        let at = number as usize;
        if self.clients.len() <= at {
            self.clients.resize(at + 1, None);
        }
        self.clients[at] = Some(client);
        // Another one may have had the number, and been ruled out somewhere.
        self.stale.add(number);
        self.unranked = true;
        number
    }

    /// A client whose framework does not act and that holds nothing is nobody.
    pub(super) fn forget_client(&mut self, number: u32) {
        let Some(client) = self.client(number).filter(|client| !client.acts && client.is_idle())
        else {
            return;
        };
        let (framework, role) = (client.framework.clone(), client.role.clone());
        self.drop_filters_of_client(number);
        self.settle_least(number, false);
        self.tree.remove_member(number);
        self.clients[number as usize] = None;
        self.held_back.remove(&number);
        self.bounded.remove(number);
        self.fickle.remove(number);
        self.returned.retain(|(_, client)| *client != number);
        if let Some(entry) = self.frameworks.get_mut(&framework) {
            entry.clients.remove(&role);
            if entry.clients.is_empty() {
                self.frameworks.remove(&framework);
            }
        }
    }

    pub(super) fn on_framework(
        &mut self,
        framework: &FrameworkId,
        roles: &[Role],
        capabilities: &[Capability],
        wishes: &[RoleWishes],
    ) {
        let before = self.frameworks.get(framework).map(|entry| entry.clients.clone());
        let dropped = before.into_iter().flatten().filter(|(role, _)| !roles.contains(role));
        for (_, client) in dropped {
            self.stop_acting(client);
        }
        for role in roles {
            let number = self.client_of(framework, role);
            self.drop_filters_of_client(number);
            let states = capabilities.contains(&Capability::StatesDemand);
            if let Some(client) = self.client_mut(number) {
                client.acts = true;
                client.capabilities = capabilities.to_vec();
                client.needs = Needs::new(states);
            }
        }
        self.on_wishes(framework, wishes);
        for role in roles {
            let number = self.client_of(framework, role);
            self.look_everywhere_for(number);
        }
    }

    pub(super) fn on_framework_inactive(&mut self, framework: &FrameworkId) {
        let Some(entry) = self.frameworks.get(framework) else { return };
        for client in entry.clients.clone().into_values() {
            self.stop_acting(client);
        }
    }

    fn stop_acting(&mut self, number: u32) {
        self.drop_filters_of_client(number);
        if let Some(client) = self.client_mut(number) {
            client.acts = false;
        }
        self.settle(number);
        self.forget_client(number);
    }

    /// A role without an entry takes whatever there is. The demand counts tasks that wait; those for which offers are under way
    /// are not offered for twice.
    pub(super) fn on_wishes(&mut self, framework: &FrameworkId, wishes: &[RoleWishes]) {
        let Some(entry) = self.frameworks.get(framework) else { return };
        for (role, number) in entry.clients.clone() {
            let mine = wishes.iter().find(|wish| wish.role == role).cloned();
            let wish = mine.unwrap_or_else(|| RoleWishes::of(role));
            let promised = self.under_way(number);
            if !self.client(number).is_some_and(|client| client.acts) {
                continue;
            }
            self.settle_least(number, false);
            let heeds = !self.config.bugs.has(Bug::SuppressedIsOffered);
            let Some(client) = self.client_mut(number) else { continue };
            let other = client.wish(&wish);
            client.suppressed &= heeds;
            // Refusals were of something else.
            let (news, more) = client.needs.restate(wish.demand, &promised);
            let was_fickle = self.fickle.has(number);
            self.settle_fickle(number);
            self.settle_least(number, true);
            // What was too much may be little enough now.
            self.lift(number);
            if news {
                self.drop_filters_of_client(number);
            } else if other || more || was_fickle {
                self.look_everywhere_for(number);
            }
            self.settle(number);
            self.look_on(number);
        }
    }

    pub(super) fn settle_fickle(&mut self, number: u32) {
        // One need alone may be met with what is reserved, which was refused, or with what is not.
        let several = |client: &Client| client.needs.are_several() || self.unbound.any();
        let stated = |client: &Client| !client.needs.are_everything();
        let is = |client: &Client| client.filters > 0 && stated(client) && several(client);
        if self.client(number).is_some_and(is) {
            self.fickle.insert(number);
        } else {
            self.fickle.remove(number);
        }
    }

    /// Something that is not like everything else has come, or gone.
    pub(super) fn settle_all_fickle(&mut self) {
        (0..number(self.clients.len())).for_each(|number| self.settle_fickle(number));
    }

    fn under_way(&self, client: u32) -> Vec<Demand> {
        let promising =
            self.client(client).into_iter().flat_map(|client| client.promising.values());
        promising.flatten().cloned().collect()
    }

    /// Counts the clients with a least offer of their own.
    fn settle_least(&mut self, number: u32, counts: bool) {
        let has = self.client(number).is_some_and(|client| client.allocatable.is_some());
        let any = self.own_least > 0;
        if counts {
            self.own_least += usize::from(has);
        } else {
            self.own_least -= usize::from(has);
        }
        if any != (self.own_least > 0) {
            let all: Vec<u32> = self.places.iter().map(|(at, _)| super::number(at)).collect();
            all.into_iter().for_each(|at| self.settle_worth(at));
        }
    }

    pub(super) fn on_revived(&mut self, framework: &FrameworkId, roles: &[Role]) {
        for number in self.clients_of(framework, roles) {
            self.drop_filters_of_client(number);
            if let Some(client) = self.client_mut(number) {
                client.suppressed = false;
            }
            self.settle(number);
            self.everywhere = true;
        }
    }

    pub(super) fn on_suppressed(&mut self, framework: &FrameworkId, roles: &[Role]) {
        if self.config.bugs.has(Bug::SuppressedIsOffered) {
            return;
        }
        for number in self.clients_of(framework, roles) {
            if let Some(client) = self.client_mut(number) {
                client.suppressed = true;
            }
            self.settle(number);
        }
    }

    /// Of these roles; of all if none is named.
    fn clients_of(&self, framework: &FrameworkId, roles: &[Role]) -> Vec<u32> {
        let all = self.frameworks.get(framework).into_iter().flat_map(|entry| &entry.clients);
        all.filter(|(role, _)| roles.is_empty() || roles.contains(role))
            .map(|(_, number)| *number)
            .collect()
    }

    pub(super) fn on_shares(&mut self, shares: &Shares) {
        if !self.config.bugs.has(Bug::WeightsIgnored) {
            self.tree.set_weights(shares.weights.clone());
        }
        self.tree.set_quotas(&mut self.names, &shares.quotas);
        // What was refused may have been more than is for them now, and less of it something else than was refused.
        for (number, _) in (0..).zip(&self.clients).filter(|(_, client)| client.is_some()) {
            self.stale.add(number);
        }
        self.relaxed = true;
        self.everywhere = true;
        self.settle_all();
    }

    pub(super) fn on_awaiting(&mut self, awaiting: bool) {
        self.awaiting = awaiting;
        self.settle_all();
    }

    fn settle_all(&mut self) {
        (0..number(self.clients.len())).for_each(|number| self.settle(number));
    }

    /// Whether a client gets nothing since nobody knows yet how much its role has of its quota.
    pub(super) fn waits(&self, client: &Client) -> bool {
        self.awaiting && self.tree.consumption(client.top).is_some_and(Consumption::has_quota)
    }

    /// Whether a client is looked at by runs follows from what it wants.
    pub(super) fn settle(&mut self, number: u32) {
        let Some(client) = self.client(number) else { return };
        let hungry = client.is_hungry() && !self.waits(client);
        if self.tree.set_hungry(number, hungry) && hungry {
            self.everywhere = true;
        }
    }

    /// Somebody who is hungry may be ruled out nowhere any more.
    pub(super) fn look_everywhere_for(&mut self, number: u32) {
        if !self.config.bugs.has(Bug::WishesNotNoted) {
            self.stale.add(number);
        }
        self.look_on(number);
    }

    fn look_on(&mut self, number: u32) {
        self.everywhere |= self.tree_has(number) && self.tree.is_hungry(number);
    }

    pub(super) fn note_open(&mut self, client: u32, proposal: u64, promised: &[Demand]) {
        if let Some(entry) = self.client_mut(client) {
            entry.open += 1;
        }
        self.promise(client, proposal, promised);
    }

    pub(super) fn promise(&mut self, client: u32, proposal: u64, promised: &[Demand]) {
        let Some(entry) = self.client_mut(client) else { return };
        if !promised.is_empty() {
            entry.promising.entry(proposal).or_default().extend_from_slice(promised);
            entry.needs.promise(promised);
            self.settle(client);
            if self.fickle.has(client) {
                self.look_everywhere_for(client);
            }
        }
    }

    /// What was promised and is not used is wanted elsewhere.
    pub(super) fn take_back(&mut self, client: u32, unused: &[Demand]) {
        if unused.is_empty() || self.config.bugs.has(Bug::PromiseNotTakenBack) {
            return;
        }
        if let Some(entry) = self.client_mut(client) {
            entry.needs.take_back(unused);
        }
        self.settle(client);
        // Where it was ruled out, it may have been for want of what is now wanted again.
        self.look_everywhere_for(client);
        self.everywhere = true;
    }

    /// By the ids of their frameworks: the order of who is equal otherwise.
    pub(super) fn rank_clients(&mut self) {
        if !std::mem::take(&mut self.unranked) {
            return;
        }
        for (rank, framework) in self.frameworks.values().enumerate() {
            for client in framework.clients.values() {
                self.tree.set_rank(*client, number(rank));
            }
        }
    }

    /// Quota leaves a client too little on an agent: too little anywhere, as a rule, until something is released.
    pub(super) fn hold_back(&mut self, number: u32, bound: (super::quota::Bound, usize)) {
        if self.quota_lets(number) {
            self.bounded.insert(number);
            return;
        }
        if let Some(client) = self.client_mut(number) {
            client.held_back = Some(bound);
        }
        self.held_back.insert(number);
        self.settle(number);
    }

    /// Those for whom quota leaves something again are looked at.
    pub(super) fn lift_bounds(&mut self) {
        if !std::mem::take(&mut self.relaxed) || self.held_back.is_empty() {
            return;
        }
        if self.config.bugs.has(Bug::HeldBackForGood) {
            return;
        }
        let lifted: Vec<u32> =
            self.held_back.iter().copied().filter(|client| self.quota_lets(*client)).collect();
        for number in lifted {
            self.lift(number);
            self.settle(number);
        }
    }

    fn lift(&mut self, number: u32) {
        if !self.held_back.remove(&number) {
            return;
        }
        if let Some(client) = self.client_mut(number) {
            client.held_back = None;
        }
        self.stale.add(number);
    }

    /// Whether quota would let a client have what is the least it takes, if that were free somewhere.
    fn quota_lets(&self, number: u32) -> bool {
        let Some(client) = self.client(number) else { return false };
        let revocable = client.can(Capability::RevocableResources);
        if self.unbound.has_for(&client.role.top(), revocable) {
            return true;
        }
        let mut bounds = Bounds::new();
        let mut lets = |guaranteed| {
            self.tree.bounds(client.top, guaranteed, &mut bounds);
            let most = |name: &str| {
                let place = self.names.place(name);
                let mine = bounds.iter().filter(|(at, _, _)| Some(*at) == place);
                mine.map(|(_, most, _)| *most).min().unwrap_or(i64::MAX)
            };
            match &client.needs {
                Needs::Stated(_) => client.needs.any_within(most),
                Needs::Everything => {
                    let least = client.allocatable.as_ref().unwrap_or(&self.least);
                    least.is_empty()
                        || least.iter().any(|one| one.iter().all(|(n, m)| most(n) >= m.0))
                }
            }
        };
        lets(false) || (self.tree.lacks_guarantee(client.top) && lets(true))
    }

    /// What each framework's roles hold of the cluster, as shares.
    pub fn shares(&self) -> BTreeMap<(FrameworkId, Role), f64> {
        let all = self.frameworks.iter().flat_map(|(id, entry)| {
            entry.clients.iter().map(|(role, client)| ((id.clone(), role.clone()), *client))
        });
        all.map(|(key, client)| (key, self.tree.share_of(client))).collect()
    }
}
