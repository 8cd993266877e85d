//! Dominant shares of roles and of frameworks within their role, in order. A share is the largest part that a client
//! holds of any resource in the cluster, as a whole number of 2^-40ths: the same on every machine. A change costs the
//! logarithm of the number of clients; only a change of the cluster's totals re-sorts all, once before the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::ids::{FrameworkId, Role};
use protocol::resources::{Resource, Resources};
use serde::{Deserialize, Serialize};

/// Shares are counted in this part of a resource.
const SHARE_UNIT: u128 = 1 << 40;

/// Sums of scalars, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Quantities(BTreeMap<Arc<str>, u128>);

impl Quantities {
    fn add(&mut self, resources: &Resources) {
        for (name, amount) in scalars(resources) {
            *self.0.entry(name).or_default() += amount;
        }
    }

    fn sub(&mut self, resources: &Resources) {
        for (name, amount) in scalars(resources) {
            if let Some(sum) = self.0.get_mut(&name) {
                *sum = sum.saturating_sub(amount);
                if *sum == 0 {
                    self.0.remove(&name);
                }
            }
        }
    }

    /// The largest part of any resource; more than all of it, which a shrunk cluster brings, is all of it.
    fn share_of(&self, totals: &Self) -> u64 {
        let part = |(name, held): (&Arc<str>, &u128)| match totals.0.get(name) {
            Some(total) => (held.saturating_mul(SHARE_UNIT) / total).min(SHARE_UNIT),
            None => SHARE_UNIT,
        };
        u64::try_from(self.0.iter().map(part).max().unwrap_or(0)).unwrap_or(u64::MAX)
    }
}

fn scalars(resources: &Resources) -> impl Iterator<Item = (Arc<str>, u128)> + '_ {
    let amount = |resource: &Resource| {
        let amount = u128::try_from(resource.amount()?.0).ok()?;
        Some((resource.name.clone(), amount))
    };
    resources.iter().filter_map(amount)
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Member {
    held: Quantities,
    share: u64,
    hungry: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Group {
    held: Quantities,
    share: u64,
    members: BTreeMap<FrameworkId, Member>,
    hungry: BTreeSet<(u64, FrameworkId)>,
}

/// All roles and frameworks that hold something or want something.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sorter {
    totals: Quantities,
    /// Totals have changed since the shares were counted.
    stale: bool,
    groups: BTreeMap<Role, Group>,
    /// Roles in which somebody is hungry.
    hungry: BTreeSet<(u64, Role)>,
    /// In how many roles a framework is hungry.
    roles_hungry: BTreeMap<FrameworkId, usize>,
}

impl Sorter {
    pub(super) fn add_total(&mut self, total: &Resources) {
        self.totals.add(total);
        self.stale = true;
    }

    pub(super) fn sub_total(&mut self, total: &Resources) {
        self.totals.sub(total);
        self.stale = true;
    }

    pub(super) fn allocate(&mut self, role: &Role, framework: &FrameworkId, resources: &Resources) {
        self.change(role, framework, |group, member| {
            group.add(resources);
            member.held.add(resources);
        });
    }

    pub(super) fn release(&mut self, role: &Role, framework: &FrameworkId, resources: &Resources) {
        self.change(role, framework, |group, member| {
            group.sub(resources);
            member.held.sub(resources);
        });
    }

    /// Whether that is news.
    pub(super) fn set_hungry(
        &mut self,
        role: &Role,
        framework: &FrameworkId,
        hungry: bool,
    ) -> bool {
        let mut news = false;
        self.change(role, framework, |_, member| {
            news = std::mem::replace(&mut member.hungry, hungry) != hungry;
        });
        if news && hungry {
            *self.roles_hungry.entry(framework.clone()).or_default() += 1;
        } else if news && let Some(roles) = self.roles_hungry.get_mut(framework) {
            *roles -= 1;
            if *roles == 0 {
                self.roles_hungry.remove(framework);
            }
        }
        news
    }

    pub(super) fn is_hungry(&self, framework: &FrameworkId) -> bool {
        self.roles_hungry.contains_key(framework)
    }

    pub(super) fn anybody_hungry(&self) -> bool {
        !self.hungry.is_empty()
    }

    /// Those who are hungry, those with the smallest share first.
    pub(super) fn hungry(&self) -> impl Iterator<Item = (&Role, &FrameworkId)> {
        self.hungry.iter().flat_map(|(_, role)| {
            let members = self.groups.get(role).into_iter().flat_map(|group| group.hungry.iter());
            members.map(move |(_, framework)| (role, framework))
        })
    }

    /// Counts all shares anew if the totals have changed.
    pub(super) fn refresh(&mut self) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        self.hungry.clear();
        for (role, group) in &mut self.groups {
            group.share = group.held.share_of(&self.totals);
            group.hungry.clear();
            for (framework, member) in &mut group.members {
                member.share = member.held.share_of(&self.totals);
                if member.hungry {
                    group.hungry.insert((member.share, framework.clone()));
                }
            }
            if !group.hungry.is_empty() {
                self.hungry.insert((group.share, role.clone()));
            }
        }
    }

    fn change(
        &mut self,
        role: &Role,
        framework: &FrameworkId,
        change: impl FnOnce(&mut Quantities, &mut Member),
    ) {
        let group = self.groups.entry(role.clone()).or_default();
        self.hungry.remove(&(group.share, role.clone()));
        let member = group.members.entry(framework.clone()).or_default();
        group.hungry.remove(&(member.share, framework.clone()));
        change(&mut group.held, member);
        member.share = member.held.share_of(&self.totals);
        group.share = group.held.share_of(&self.totals);
        if member.hungry {
            group.hungry.insert((member.share, framework.clone()));
        } else if member.held.0.is_empty() {
            group.members.remove(framework);
        }
        if !group.hungry.is_empty() {
            self.hungry.insert((group.share, role.clone()));
        } else if group.members.is_empty() {
            self.groups.remove(role);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_dominant_share_comes_first_roles_before_frameworks() {
        let mut sorter = Sorter::default();
        sorter.add_total(&Resources::cpus_mem(10.0, 100.0));
        let (web, batch): (Role, Role) = ("web".parse().unwrap(), "batch".parse().unwrap());
        let [a, b, c] = ["a", "b", "c"].map(FrameworkId::new);
        for (role, framework) in [(&web, &a), (&web, &b), (&batch, &c)] {
            assert!(sorter.set_hungry(role, framework, true));
        }
        sorter.refresh();
        sorter.allocate(&web, &a, &Resources::cpus_mem(1.0, 50.0)); // dominant: half the memory
        sorter.allocate(&web, &b, &Resources::cpus_mem(2.0, 1.0)); // a fifth of the cpus
        sorter.allocate(&batch, &c, &Resources::cpus_mem(4.0, 1.0)); // two fifths
        let order: Vec<_> = sorter.hungry().map(|(_, framework)| framework.as_str()).collect();
        assert_eq!(
            order,
            ["c", "b", "a"],
            "the role web holds 51 % of the memory, batch 40 % of the cpus"
        );
        sorter.release(&web, &a, &Resources::cpus_mem(1.0, 50.0));
        let order: Vec<_> = sorter.hungry().map(|(_, framework)| framework.as_str()).collect();
        assert_eq!(order, ["a", "b", "c"]);
    }

    #[test]
    fn a_changed_total_changes_the_order_and_nobody_is_kept_without_reason() {
        let mut sorter = Sorter::default();
        sorter.add_total(&Resources::cpus_mem(10.0, 10.0));
        let role = Role::everybody();
        let [a, b] = ["a", "b"].map(FrameworkId::new);
        sorter.set_hungry(&role, &a, true);
        sorter.set_hungry(&role, &b, true);
        sorter.allocate(&role, &a, &Resources::cpus_mem(4.0, 1.0));
        sorter.allocate(&role, &b, &Resources::cpus_mem(1.0, 3.0));
        sorter.refresh();
        assert_eq!(sorter.hungry().next().unwrap().1, &b);
        sorter.add_total(&Resources::cpus_mem(90.0, 0.0)); // now memory is scarce
        sorter.refresh();
        assert_eq!(sorter.hungry().next().unwrap().1, &a);
        for (framework, held) in
            [(&a, Resources::cpus_mem(4.0, 1.0)), (&b, Resources::cpus_mem(1.0, 3.0))]
        {
            sorter.set_hungry(&role, framework, false);
            sorter.release(&role, framework, &held);
        }
        assert!(sorter.groups.is_empty() && !sorter.anybody_hungry() && !sorter.is_hungry(&a));
    }
}
