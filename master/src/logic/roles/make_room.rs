//! Which offers a new quota takes back: as many of a role's own as bring it under its limits, and as many of others', one
//! agent's after the other, as free what is guaranteed and nowhere free.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ids::{AgentId, Role};
use protocol::quantities::Quantities;
use protocol::quota::{Quota, Shares};
use protocol::resources::Resources;

use super::sums::{Held, Sums, for_anybody};
use crate::logic::offers::OpenOffer;

/// An open offer, as far as quota goes.
#[derive(Clone, Debug)]
pub(super) struct Offered {
    number: u64,
    agent: AgentId,
    /// The one whose quota it counts against, which has no role above it.
    top: Role,
    /// What others could get of it.
    amounts: Quantities,
}

impl Offered {
    pub(super) fn of((number, offer): (u64, &OpenOffer)) -> Self {
        Self::new(number, offer.agent.clone(), &offer.role, &offer.resources)
    }

    pub(super) fn new(number: u64, agent: AgentId, role: &Role, resources: &Resources) -> Self {
        Self { number, agent, top: role.top(), amounts: for_anybody(resources) }
    }

    fn has_any(&self, of: &Quantities) -> bool {
        self.amounts.iter().any(|(name, _)| of.amount(name).0 > 0)
    }
}

fn held_by(sums: &Sums, role: &Role) -> Quantities {
    sums.get(role).map(Held::consumed_or_offered).unwrap_or_default()
}

/// Of each role that has new limits: its newest offers, until the rest is within them.
pub(super) fn over_limits(
    named: &BTreeMap<Role, Quota>,
    sums: &Sums,
    open: &[Offered],
) -> BTreeSet<u64> {
    let mut taken = BTreeSet::new();
    // There may be very many of both.
    let mut by_role: BTreeMap<&Role, Vec<&Offered>> = BTreeMap::new();
    for offer in open.iter().rev() {
        by_role.entry(&offer.top).or_default().push(offer);
    }
    for (role, quota) in named.iter().filter(|(_, quota)| !quota.limits.is_empty()) {
        let mut held = held_by(sums, role);
        for offer in by_role.get(role).into_iter().flatten() {
            let too_much =
                |name: &str| quota.limits.limit(name).is_some_and(|l| held.amount(name) > l);
            if offer.amounts.iter().any(|(name, _)| too_much(name)) {
                held.sub(&offer.amounts);
                taken.insert(offer.number);
            }
        }
    }
    taken
}

/// And what is guaranteed to the roles that are named: if it is neither theirs nor free, offers of others, all that they have
/// on one agent after the other, until it is. What others are guaranteed is left to them.
pub(super) fn for_guarantees(
    named: &BTreeSet<&Role>,
    shares: &Shares,
    sums: &Sums,
    mut free: Quantities,
    open: &[Offered],
    mut taken: BTreeSet<u64>,
) -> BTreeSet<u64> {
    let guaranteed = shares.quotas.iter().filter(|(_, quota)| !quota.guarantees.is_empty());
    let mut roles: BTreeMap<&Role, (Quantities, &Quantities)> =
        guaranteed.map(|(role, quota)| (role, (held_by(sums, role), &quota.guarantees))).collect();
    for offer in open.iter().filter(|offer| taken.contains(&offer.number)) {
        free.add(&offer.amounts);
        if let Some((held, _)) = roles.get_mut(&offer.top) {
            held.sub(&offer.amounts);
        }
    }
    let (mut lacking, mut named_lack) = (Quantities::none(), false);
    for (role, (held, guarantees)) in &roles {
        let mut missing = (*guarantees).clone();
        missing.sub(held);
        named_lack |= named.contains(role) && !missing.is_empty();
        lacking.add(&missing);
    }
    lacking.sub(&free);
    if !named_lack {
        return taken;
    }
    let mut by_agent: BTreeMap<&AgentId, Vec<&Offered>> = BTreeMap::new();
    for offer in open.iter().filter(|offer| !taken.contains(&offer.number)) {
        by_agent.entry(&offer.agent).or_default().push(offer);
    }
    for offers in by_agent.into_values() {
        // As it was before this agent: all that is on one goes together.
        let wanted = lacking.clone();
        for offer in offers.into_iter().filter(|offer| offer.has_any(&wanted)) {
            if let Some((held, guarantees)) = roles.get_mut(&offer.top) {
                let mut left = held.clone();
                left.sub(&offer.amounts);
                let needs = |name: &str| left.amount(name) < guarantees.amount(name);
                if offer.amounts.iter().any(|(name, _)| needs(name)) {
                    continue;
                }
                *held = left;
            }
            lacking.sub(&offer.amounts);
            taken.insert(offer.number);
        }
    }
    taken
}
