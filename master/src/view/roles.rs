//! The roles that anything is known of: those with frameworks, quota, weights, reservations, those under which something is
//! still held, and the roles above all of these.

use std::collections::{BTreeMap, BTreeSet};

use protocol::change::{AgentState, FrameworkState};
use protocol::ids::{AgentId, FrameworkId, Role};
use protocol::operator::{ReadAnswer, RoleView};
use protocol::quantities::Quantities;

use super::page::Page;
use super::{Framework, View};
use crate::logic::roles::sums::{Held, Sums};
use crate::sizes;

/// What is held under roles, and by whom.
#[derive(Default)]
struct Roles {
    sums: Sums,
    frameworks: BTreeMap<Role, BTreeSet<FrameworkId>>,
}

impl Roles {
    fn act(&mut self, role: &Role, framework: &FrameworkId) {
        self.sums.know(role);
        let of_role = match self.frameworks.get_mut(role) {
            Some(of_role) => of_role,
            None => self.frameworks.entry(role.clone()).or_default(),
        };
        if !of_role.contains(framework) {
            of_role.insert(framework.clone());
        }
    }
}

impl View {
    /// Roles by name.
    pub(super) fn roles_behind(&self, last: Option<&Role>) -> ReadAnswer {
        let behind = |role: &RoleView| last.is_none_or(|last| role.role > *last);
        let all = self.all_roles().into_iter().filter(behind);
        Page::of(all, size_of_role).answer(ReadAnswer::Roles, ReadAnswer::SomeRoles)
    }

    /// All of them by name.
    pub(super) fn all_roles(&self) -> Vec<RoleView> {
        let Roles { sums, mut frameworks } = self.roles();
        let role = |(role, held): (&Role, &Held)| RoleView {
            role: role.clone(),
            weight: self.shares.weight(role),
            quota: self.shares.quota(role),
            consumed: held.consumed(),
            allocated: held.allocated.clone(),
            offered: held.offered.clone(),
            reserved: held.reserved.clone(),
            frameworks: frameworks.remove(role).into_iter().flatten().collect(),
        };
        sums.all().iter().map(role).collect()
    }

    /// What one role holds, with those below it.
    pub(super) fn held(&self) -> impl Fn(&Role) -> Held {
        let sums = self.roles().sums;
        move |role| sums.get(role).cloned().unwrap_or_default()
    }

    fn roles(&self) -> Roles {
        let mut roles = Roles::default();
        let of_operators = self.shares.quotas.keys().chain(self.shares.weights.keys());
        of_operators.for_each(|role| roles.sums.know(role));
        let agents = self.agents.values().map(|agent| &agent.view);
        for agent in agents.filter(|agent| counts(agent.state)) {
            roles.sums.reserve(&agent.info.resources);
        }
        for (id, framework) in self.frameworks.iter() {
            if framework.state != FrameworkState::Removed {
                framework.info.roles.iter().for_each(|role| roles.act(role, id));
            }
            self.add_held(&mut roles, id, framework);
        }
        for offer in self.offers.values().map(|held| &held.offer) {
            roles.act(&offer.role, &offer.framework);
            roles.sums.offer(&offer.role, &offer.resources);
        }
        Roles { sums: roles.sums.with_those_below(), frameworks: roles.frameworks }
    }

    fn add_held(&self, roles: &mut Roles, id: &FrameworkId, framework: &Framework) {
        let counts =
            |agent: &AgentId| self.agents.get(agent).is_some_and(|agent| counts(agent.view.state));
        for ((agent, _), (role, resources)) in framework.executors.iter() {
            if counts(agent) {
                roles.act(role, id);
                roles.sums.allocate(role, resources);
            }
        }
        for report in framework.live().filter(|report| counts(&report.agent)) {
            roles.act(&report.role, id);
            roles.sums.allocate(&report.role, &report.spec.resources);
        }
    }
}

/// Whether what an agent has and what runs on it counts: the master goes by the same.
fn counts(state: AgentState) -> bool {
    match state {
        AgentState::Active | AgentState::Disconnected | AgentState::Recovered => true,
        AgentState::Unreachable | AgentState::Gone => false,
    }
}

fn size_of_role(role: &RoleView) -> usize {
    let RoleView { quota, consumed, allocated, offered, reserved, .. } = role;
    let size = |all: &Quantities| {
        all.iter().map(|(name, _)| sizes::OF_A_RESOURCE + name.len()).sum::<usize>()
    };
    let limits = quota.limits.iter().map(|(name, _)| sizes::OF_A_RESOURCE + name.len());
    let amounts = [&quota.guarantees, consumed, allocated, offered, reserved].map(size);
    let frameworks = role.frameworks.iter().map(|id| sizes::OF_A_WORD + id.as_str().len());
    sizes::OF_THE_REST
        + role.role.as_str().len()
        + amounts.iter().sum::<usize>()
        + limits.sum::<usize>()
        + frameworks.sum::<usize>()
}
