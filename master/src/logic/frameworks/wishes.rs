//! What frameworks say of their roles: how much they want for each, where, and for which they want nothing just now.

use std::collections::BTreeMap;

use libactor::Pid;
use protocol::change::{FrameworkState, What};
use protocol::framework::{FrameworkInfo, MasterToFramework};
use protocol::ids::{FrameworkId, Role};
use protocol::offer::Demand;
use protocol::wishes::{OfferConstraints, RoleWishes};

use super::Framework;
use crate::logic::allocator::BookEntry;
use crate::logic::{Master, Turn, validate};

impl Framework {
    /// Whether there is a role for which it might be offered something.
    pub(in crate::logic) fn takes_offers(&self) -> bool {
        self.pid().is_some() && self.info.roles.iter().any(|role| !self.is_suppressed(role))
    }

    /// Whether it acts for a role, and wants offers for it just now.
    pub(in crate::logic) fn takes_offers_for(&self, role: &Role) -> bool {
        self.pid().is_some() && self.info.roles.contains(role) && !self.is_suppressed(role)
    }

    fn is_suppressed(&self, role: &Role) -> bool {
        self.wishes.iter().any(|wish| wish.role == *role && wish.suppressed)
    }

    /// All that it needs, and under which role.
    pub(in crate::logic) fn demand(&self) -> impl Iterator<Item = (&RoleWishes, &Demand)> {
        self.wishes.iter().flat_map(|wish| wish.demand.iter().map(move |demand| (wish, demand)))
    }

    /// What it says of agents, for each role of which it says something.
    pub(in crate::logic) fn constraints(&self) -> BTreeMap<Role, OfferConstraints> {
        let all = self.wishes.iter().filter(|wish| wish.constraints != OfferConstraints::default());
        all.map(|wish| (wish.role.clone(), wish.constraints.clone())).collect()
    }

    /// Puts new wishes in the place of all former ones. What readers are to hear of it, if they see more than before.
    pub(super) fn wish(&mut self, wishes: Vec<RoleWishes>) -> Option<What> {
        let before = self.constraints();
        self.wishes = wishes;
        let roles = self.constraints();
        let framework = self.info.framework.clone();
        (roles != before).then_some(What::OfferConstraints { framework, roles })
    }

    /// Changes what is wished for some of its roles; none named: for all.
    fn change_wishes(&mut self, roles: &[Role], change: impl Fn(&mut RoleWishes)) {
        let roles = if roles.is_empty() { &self.info.roles } else { roles };
        for role in roles {
            match self.wishes.iter_mut().find(|wish| wish.role == *role) {
                Some(wish) => change(wish),
                None => {
                    let mut wish = RoleWishes::of(role.clone());
                    change(&mut wish);
                    self.wishes.push(wish);
                }
            }
        }
        self.wishes = normal(std::mem::take(&mut self.wishes));
    }
}

/// By role, without those that say nothing: equal wishes are equal lists.
pub(super) fn normal(mut wishes: Vec<RoleWishes>) -> Vec<RoleWishes> {
    wishes.retain(|wish| *wish != RoleWishes::of(wish.role.clone()));
    wishes.sort_by(|one, other| one.role.cmp(&other.role));
    wishes
}

/// A scheduler that speaks of no role means its first.
pub(super) fn of_first_role(info: &FrameworkInfo, demand: Vec<Demand>) -> Vec<RoleWishes> {
    let first = info.roles.first().cloned().map(RoleWishes::of);
    normal(first.into_iter().map(|wish| RoleWishes { demand: demand.clone(), ..wish }).collect())
}

impl Master {
    /// Of a scheduler that speaks of no role: it needs this for its first, and nothing for any other.
    pub(super) fn on_demand(
        &mut self,
        turn: &mut Turn,
        id: &FrameworkId,
        from: Pid,
        demand: Vec<Demand>,
    ) {
        let Some(framework) = self.frameworks.get(id) else { return };
        let mut wishes = framework.wishes.clone();
        wishes.iter_mut().for_each(|wish| wish.demand.clear());
        let first = framework.info.roles.first();
        match wishes.iter_mut().find(|wish| Some(&wish.role) == first) {
            Some(wish) => wish.demand = demand,
            None => wishes.extend(of_first_role(&framework.info, demand)),
        }
        self.on_wishes(turn, id, from, wishes);
    }

    pub(super) fn on_wishes(
        &mut self,
        turn: &mut Turn,
        id: &FrameworkId,
        from: Pid,
        wishes: Vec<RoleWishes>,
    ) {
        let Some(framework) = self.frameworks.get(id) else { return };
        if let Err(refusal) = validate::wishes(&wishes, &framework.info, &self.config) {
            let reason = refusal.to_string();
            return turn.tell_framework(from, MasterToFramework::Error { reason });
        }
        let wishes = normal(wishes);
        let mut told = None;
        self.change_framework(turn, id, |framework| told = framework.wish(wishes.clone()));
        turn.what.extend(told);
        turn.entries.push(BookEntry::Wishes { framework: id.clone(), wishes });
        self.judge_demand(turn, id);
    }

    pub(super) fn on_revive_all(&mut self, turn: &mut Turn, id: &FrameworkId) {
        self.revive(turn, id, Vec::new());
    }

    pub(super) fn on_suppress_all(&mut self, turn: &mut Turn, id: &FrameworkId) {
        self.suppress(turn, id, Vec::new());
    }

    pub(super) fn on_revive_roles(
        &mut self,
        turn: &mut Turn,
        id: &FrameworkId,
        from: Pid,
        roles: Vec<Role>,
    ) {
        if self.are_its_roles(turn, id, from, &roles) {
            self.revive(turn, id, roles);
        }
    }

    pub(super) fn on_suppress_roles(
        &mut self,
        turn: &mut Turn,
        id: &FrameworkId,
        from: Pid,
        roles: Vec<Role>,
    ) {
        if self.are_its_roles(turn, id, from, &roles) {
            self.suppress(turn, id, roles);
        }
    }

    /// In the book none named means all of them, so a scheduler that means some must name them.
    fn are_its_roles(&self, turn: &mut Turn, id: &FrameworkId, from: Pid, roles: &[Role]) -> bool {
        let Some(framework) = self.frameworks.get(id) else { return false };
        match validate::roles_of(roles, &framework.info, &self.config) {
            Ok(()) => true,
            Err(refusal) => {
                let reason = refusal.to_string();
                turn.tell_framework(from, MasterToFramework::Error { reason });
                false
            }
        }
    }

    fn revive(&mut self, turn: &mut Turn, id: &FrameworkId, roles: Vec<Role>) {
        self.change_framework(turn, id, |framework| {
            framework.change_wishes(&roles, |wish| wish.suppressed = false);
        });
        turn.entries.push(BookEntry::Revived { framework: id.clone(), roles });
    }

    fn suppress(&mut self, turn: &mut Turn, id: &FrameworkId, roles: Vec<Role>) {
        self.change_framework(turn, id, |framework| {
            framework.change_wishes(&roles, |wish| wish.suppressed = true);
        });
        turn.entries.push(BookEntry::Suppressed { framework: id.clone(), roles });
    }

    /// Readers see a framework as suppressed when all of its roles are.
    fn change_framework(
        &mut self,
        turn: &mut Turn,
        id: &FrameworkId,
        change: impl FnOnce(&mut Framework),
    ) {
        let Some(framework) = self.frameworks.get_mut(id) else { return };
        let before = framework.takes_offers();
        change(framework);
        match (before, framework.takes_offers()) {
            (false, true) => turn.framework_state(id, FrameworkState::Active),
            (true, false) => turn.framework_state(id, FrameworkState::Suppressed),
            (false, false) | (true, true) => (),
        }
    }
}
