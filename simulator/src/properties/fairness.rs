//! Who comes next when there is not enough for all: the role with the smallest share. Shares are counted anew here, from who holds
//! what; only whether somebody could have something at all is asked of the allocator.

use std::collections::{BTreeMap, BTreeSet};

use master::logic::allocator::{Allocator, Proposals};
use protocol::ids::{AgentId, Role};
use protocol::quota::Shares;
use protocol::resources::Resources;

use super::policy::{SCALARS, Sums, add, top};

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
    let mut total = [0; 2];
    totals.values().for_each(|one| add(&mut total, one));
    let mut held = Sums::new();
    for ((_, _, role), resources) in allocator.holdings() {
        add(held.entry(top(&role)).or_default(), &resources);
    }
    let served: BTreeSet<Role> = proposals.iter().map(|of| top(&of.role)).collect();
    let share = |role: &Role, held: &Sums| {
        let has = held.get(role).copied().unwrap_or_default();
        let parts = has.iter().zip(total).filter(|(_, total)| *total > 0);
        let dominant = parts.map(|(has, total)| *has as f64 / total as f64).fold(0.0, f64::max);
        dominant / shares.weight(role).as_f64()
    };
    // From the newest to the oldest: each is taken away again, so that `held` is as it was before.
    let mut all: Vec<_> =
        proposals.iter().flat_map(|of| of.all.iter().map(|one| (top(&of.role), one))).collect();
    all.sort_by_key(|(_, one)| std::cmp::Reverse(one.number));
    for (role, one) in all {
        let mine = held.entry(role.clone()).or_default();
        for (sum, scalar) in mine.iter_mut().zip(SCALARS) {
            *sum -= one.resources.scalar(scalar).0;
        }
        let had = share(&role, &held);
        for (framework, other) in allocator.could_have(&one.agent, &one.resources) {
            let (less, above) = (share(&top(other), &held), top(other));
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
