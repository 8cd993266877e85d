//! Who comes next when there is not enough for all: the role with the smallest share. Shares are counted anew here, from who holds
//! what; only whether somebody could have something at all is asked of the allocator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use master::logic::allocator::{Allocator, Proposals};
use protocol::ids::{AgentId, Role};
use protocol::quantities::Quantities;
use protocol::quota::Shares;
use protocol::resources::{Milli, Resources};

/// Shares are sums of fractions.
const NEARLY: f64 = 1e-9;

/// In a run, what was proposed to a role directly below the root while another one had less, could have had it, and got nothing. With
/// quota others come first.
pub(super) fn unfair(
    proposals: &[&Proposals],
    shares: &Shares,
    totals: &BTreeMap<AgentId, Resources>,
    allocator: &Allocator,
) -> Option<String> {
    if proposals.is_empty() || !shares.quotas.is_empty() || !allocator.goes_by_shares() {
        return None;
    }
    let mut total = Quantities::none();
    totals.values().for_each(|one| total.add(&Quantities::of(one)));
    let mut held: BTreeMap<Role, Quantities> = BTreeMap::new();
    for ((_, _, role), resources) in allocator.holdings() {
        held.entry(role.top()).or_default().add(&Quantities::of(&resources));
    }
    let served: BTreeSet<Role> = proposals.iter().map(|of| of.role.top()).collect();
    let share = |role: &Role, held: &BTreeMap<Role, Quantities>| {
        let has = held.get(role).into_iter().flat_map(Quantities::iter);
        let part = |(name, has): (&Arc<str>, Milli)| has.as_f64() / total.amount(name).as_f64();
        let dominant = has.map(part).fold(0.0, f64::max);
        dominant / shares.weight(role).as_f64()
    };
    // From the newest to the oldest: each is taken away again, so that `held` and `free` are as they were before.
    let mut free = allocator.free();
    let mut all: Vec<_> =
        proposals.iter().flat_map(|of| of.all.iter().map(|one| (of.role.top(), one))).collect();
    all.sort_by_key(|(_, one)| std::cmp::Reverse(one.number));
    for (role, one) in all {
        held.entry(role.clone()).or_default().sub(&Quantities::of(&one.resources));
        let free = free.entry(one.agent.clone()).or_default();
        free.add(&one.resources);
        let had = share(&role, &held);
        // Of less they might have something else, which they have not refused.
        for (framework, other) in allocator.could_have(&one.agent, free) {
            let (less, above) = (share(&other.top(), &held), other.top());
            if !served.contains(&above) && less + NEARLY < had {
                return Some(format!(
                    "{} of {} went to {role}, which had {had}, and {framework} of {other} had {less}",
                    one.resources, one.agent
                ));
            }
        }
    }
    None
}
