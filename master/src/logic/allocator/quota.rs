//! Guarantees and limits of roles directly below the root, what they have consumed of them, and what must stay free for those
//! that have less than they are guaranteed.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ids::Role;
use protocol::quota::Quota;
use protocol::resources::{Kind, Resources};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::amounts::{Amounts, Names};
use super::tree::{Node, Tree};

/// The quota of one role and what counts for it, of all roles below it together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Consumption {
    allocated: Amounts,
    /// Reserved for the role or one below it, and free.
    reserved_free: Amounts,
    guarantee: Amounts,
    limits: Vec<(usize, i64)>,
    has_quota: bool,
}

impl Consumption {
    /// What can be taken back at any time does not count.
    pub(super) fn allocate(&mut self, amounts: &Amounts, revocable: Option<&Amounts>) {
        self.allocated.add(amounts);
        revocable.into_iter().for_each(|part| self.allocated.sub(part));
    }

    pub(super) fn release(&mut self, amounts: &Amounts, revocable: Option<&Amounts>) {
        self.allocated.sub(amounts);
        revocable.into_iter().for_each(|part| self.allocated.add(part));
    }

    pub(super) fn reserve_more(&mut self, amounts: &Amounts) {
        self.reserved_free.add(amounts);
    }

    pub(super) fn reserve_less(&mut self, amounts: &Amounts) {
        self.reserved_free.sub(amounts);
    }

    pub(super) fn at(&self, place: usize) -> i64 {
        self.allocated.at(place).saturating_add(self.reserved_free.at(place))
    }

    /// How much less it has than it is guaranteed.
    pub(super) fn deficit(&self, place: usize) -> i64 {
        self.guarantee.at(place).saturating_sub(self.at(place)).max(0)
    }

    fn lacks(&self) -> bool {
        (0..self.guarantee.len()).any(|place| self.deficit(place) > 0)
    }

    pub(super) fn guarantees(&self, place: usize) -> bool {
        self.guarantee.at(place) > 0
    }

    pub(super) fn has_quota(&self) -> bool {
        self.has_quota
    }

    /// What is left of its limits, each for the scalar at its place.
    pub(super) fn limits_left(&self) -> impl Iterator<Item = (usize, i64)> {
        self.limits.iter().map(|(place, limit)| (*place, limit.saturating_sub(self.at(*place))))
    }

    pub(super) fn limit(&self, place: usize) -> Option<i64> {
        let limit = self.limits.iter().find(|(limited, _)| *limited == place);
        limit.map(|(_, limit)| *limit)
    }

    pub(super) fn is_of_interest(&self) -> bool {
        self.has_quota || !self.reserved_free.is_zero()
    }
}

/// All roles' guarantees together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Guarantees {
    /// How many roles have quota.
    quotas: usize,
    /// What all of them lack together: so much must stay free.
    pub(super) headroom: Amounts,
    /// Free, of nobody's, and not to be taken back.
    pub(super) available: Amounts,
}

impl Guarantees {
    pub(super) fn any(&self) -> bool {
        self.quotas > 0
    }

    /// How much of the scalar at a place anybody may have without taking what others are guaranteed.
    pub(super) fn slack(&self, place: usize) -> i64 {
        self.available.at(place).saturating_sub(self.headroom.at(place)).max(0)
    }

    fn count(&mut self, consumption: &Consumption, sign: i64) {
        if !consumption.has_quota {
            return;
        }
        for place in 0..consumption.guarantee.len() {
            self.headroom.add_at(place, sign * consumption.deficit(place));
        }
    }
}

/// On how many agents there is something of which a role may take whatever its quota says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Unbound {
    /// What is reserved for it or for a role below it, by role directly below the root.
    reserved: BTreeMap<Role, usize>,
    /// What may be taken back at any time.
    revocable: usize,
}

impl Unbound {
    pub(super) fn count(&mut self, total: &Resources, comes: bool) {
        let kinds = || total.iter().map(|resource| &resource.kind);
        let tops: BTreeSet<Role> =
            kinds().filter_map(|kind| Some(kind.reserved_for()?.top())).collect();
        let change = |count: &mut usize| {
            *count = if comes { *count + 1 } else { count.saturating_sub(1) };
        };
        for top in tops {
            let count = self.reserved.entry(top.clone()).or_default();
            change(count);
            if *count == 0 {
                self.reserved.remove(&top);
            }
        }
        if kinds().any(Kind::is_revocable) {
            change(&mut self.revocable);
        }
    }

    pub(super) fn any(&self) -> bool {
        !self.reserved.is_empty() || self.revocable > 0
    }

    pub(super) fn has_for(&self, top: &Role, revocable: bool) -> bool {
        self.reserved.contains_key(top) || (revocable && self.revocable > 0)
    }
}

/// What binds how much somebody may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Bound {
    /// The role's limit.
    Limit,
    /// What others are guaranteed, and do not have yet.
    Headroom,
    /// What the role itself is still guaranteed.
    Guarantee,
}

/// At most so much of the scalar at a place, and why.
pub(super) type Bounds = SmallVec<[(usize, i64, Bound); 8]>;

impl Tree {
    /// Changes what a role directly below the root consumes.
    pub(super) fn consume(&mut self, top: u32, change: impl FnOnce(&mut Consumption)) {
        let Some(consumption) = &mut self.nodes[top as usize].consumption else { return };
        if !consumption.has_quota {
            return change(consumption);
        }
        self.guarantees.count(consumption, -1);
        change(consumption);
        self.guarantees.count(consumption, 1);
        self.settle_wanting(top);
    }

    /// Who lacks something that is guaranteed, and wants it, comes before all others.
    pub(super) fn settle_wanting(&mut self, top: u32) {
        let node = &self.nodes[top as usize];
        let wants = !node.ready.is_empty() && self.lacks_guarantee(top);
        match (wants, self.wanting_places.of(top).is_some()) {
            (true, false) => {
                let key = node.key();
                self.wanting.insert(&mut self.wanting_places, key, top);
            }
            (false, true) => self.wanting.remove(&mut self.wanting_places, top),
            (true, true) | (false, false) => (),
        }
    }

    pub(super) fn consumption(&self, top: u32) -> Option<&Consumption> {
        self.node(top).consumption.as_deref()
    }

    /// Roles that have less of the scalar at a place than they are guaranteed.
    pub(super) fn lacking(&self, place: usize) -> impl Iterator<Item = &Role> {
        let lacks = move |node: &&Node| {
            node.consumption.as_ref().is_some_and(|consumption| consumption.deficit(place) > 0)
        };
        self.nodes.iter().map(|(_, node)| node).filter(lacks).map(|node| &node.role)
    }

    pub(super) fn lacks_guarantee(&self, top: u32) -> bool {
        self.consumption(top).is_some_and(|c| c.has_quota && c.lacks())
    }

    /// Replaces all quotas.
    pub(super) fn set_quotas(&mut self, names: &mut Names, quotas: &BTreeMap<Role, Quota>) {
        let tops: Vec<(Role, u32)> = self.roles.iter().map(|(r, n)| (r.clone(), *n)).collect();
        for (role, node) in tops.into_iter().filter(|(role, _)| !quotas.contains_key(role)) {
            let has = self.consumption(node).is_some_and(|consumption| consumption.has_quota);
            if has && self.roles.contains_key(&role) {
                self.set_quota(names, node, &Quota::default());
                self.prune(node);
            }
        }
        for (role, quota) in quotas {
            let node = self.role_node(role);
            self.set_quota(names, node, quota);
        }
    }

    fn set_quota(&mut self, names: &mut Names, node: u32, quota: &Quota) {
        let Some(consumption) = &mut self.nodes[node as usize].consumption else { return };
        self.guarantees.count(consumption, -1);
        self.guarantees.quotas -= usize::from(consumption.has_quota);
        consumption.has_quota = !quota.is_default();
        consumption.guarantee = names.of_quantities(&quota.guarantees);
        consumption.limits = names.of_limits(&quota.limits);
        self.guarantees.quotas += usize::from(consumption.has_quota);
        self.guarantees.count(consumption, 1);
        self.settle_wanting(node);
    }

    /// Whether there is something of what a role lacks of its guarantee.
    pub(super) fn has_of_deficit(&self, top: u32, free: &Amounts) -> bool {
        let consumption = self.consumption(top);
        let lacks =
            |c: &Consumption| (0..free.len()).any(|at| c.deficit(at) > 0 && free.at(at) > 0);
        consumption.is_some_and(lacks)
    }

    /// How much a role may take of what nobody has a claim to: what leaves enough for all guarantees. With `guaranteed`, of what it
    /// is guaranteed it may take what it lacks beside that.
    pub(super) fn bounds(&self, top: u32, guaranteed: bool, into: &mut Bounds) {
        into.clear();
        let Some(consumption) = self.consumption(top) else { return };
        for place in 0..self.guarantees.headroom.len() {
            if guaranteed && consumption.guarantees(place) {
                let most = consumption.deficit(place).saturating_add(self.guarantees.slack(place));
                into.push((place, most, Bound::Guarantee));
            } else if self.guarantees.headroom.at(place) > 0 {
                into.push((place, self.guarantees.slack(place), Bound::Headroom));
            }
        }
        into.extend(
            consumption.limits_left().map(|(place, left)| (place, left.max(0), Bound::Limit)),
        );
    }
}
