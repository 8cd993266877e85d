//! What the framework wants for its roles: stated at any time, told to the master once per step and only when it has changed.

use std::collections::BTreeMap;

use libactor::{Message, Pid};
use protocol::framework::FrameworkToMaster;
use protocol::ids::Role;
use protocol::offer::{Constraint, Demand, Unmet};
use protocol::quantities::Quantities;
use protocol::resources::Resources;
use protocol::wishes::{OfferConstraints, RoleWishes};
use serde::{Deserialize, Serialize};

use super::{Calls, Driver, Effect, News, Phase, Turn};

/// The most different needs that one framework states, of all roles together.
const DEMANDS_MOST: usize = 64;

/// Said once of masters that are to be upgraded first.
const OLDER: &str = "the master is of an older version: it is told what is wanted for the framework's first role alone; what is \
                     wanted for other roles, or on conditions that it does not know, waits for a newer master";

/// A role that the framework does not act for: see [`protocol::framework::FrameworkInfo::roles`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the framework does not act for role '{0}'; name it among the framework's roles")]
pub struct NotItsRole(pub Role);

/// By role; a role that is not here takes whatever there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wishes(BTreeMap<Role, RoleWishes>);

impl Wishes {
    fn change(&mut self, role: &Role, change: impl FnOnce(&mut RoleWishes)) {
        let mut wish = self.0.remove(role).unwrap_or_else(|| RoleWishes::of(role.clone()));
        change(&mut wish);
        if wish != RoleWishes::of(role.clone()) {
            self.0.insert(role.clone(), wish);
        }
    }

    fn demand(&self) -> impl Iterator<Item = &Demand> {
        self.0.values().flat_map(|wish| &wish.demand)
    }

    /// The demand, if there is nothing but that and all of it is for one role: then it can be said in words that every master
    /// knows.
    fn plain(&self, first: &Role) -> Option<Vec<Demand>> {
        let demand = self.0.get(first).map(|wish| wish.demand.clone()).unwrap_or_default();
        let only = RoleWishes { demand, ..RoleWishes::of(first.clone()) };
        self.0.values().all(|wish| *wish == only).then_some(only.demand)
    }

    /// What of a role's demand can be said in words that every master knows. Where tasks are wanted under conditions that those
    /// cannot say, none are: they would be offered other agents.
    fn older(&self, role: &Role) -> Vec<Demand> {
        let Some(wish) = self.0.get(role) else {
            return Vec::new();
        };
        if wish.suppressed || !wish.constraints.groups.is_empty() {
            return Vec::new();
        }
        let known = |need: &&Demand| FrameworkToMaster::Demand(vec![(*need).clone()]).since() == 1;
        wish.demand.iter().filter(known).cloned().collect()
    }

    fn list(&self) -> Vec<RoleWishes> {
        self.0.values().cloned().collect()
    }
}

/// Those that name no role are about the framework's first.
impl Calls<'_> {
    /// The roles that the framework acts for.
    pub fn roles(&self) -> &[Role] {
        &self.driver.info.roles
    }

    /// Replaces what the framework needs for its first role. Without demand no offers come.
    pub fn demand(&mut self, demand: Vec<Demand>) {
        let first = self.driver.first_role();
        self.driver.state_demand(&first, demand);
    }

    /// The simplest demand: `count` times `each`, anywhere.
    pub fn want(&mut self, each: &Resources, count: usize) {
        self.demand(vec![need(each, count, Vec::new())]);
    }

    /// The standing demand for one role: `count` times `each`, on agents of which all `constraints` hold. It replaces what was
    /// wanted for the role before; what is wanted for others stays.
    pub fn want_for(
        &mut self,
        role: &Role,
        count: usize,
        each: &Resources,
        constraints: Vec<Constraint>,
    ) -> Result<(), NotItsRole> {
        self.demand_for(role, vec![need(each, count, constraints)])
    }

    /// As [`Calls::want_for`], of several kinds of tasks.
    pub fn demand_for(&mut self, role: &Role, demand: Vec<Demand>) -> Result<(), NotItsRole> {
        self.driver.check_role(role)?;
        self.driver.state_demand(role, demand);
        Ok(())
    }

    /// Offers for this role come from agents only of which all of one group of constraints holds; no groups: from all. A master
    /// that finds them not good says so by [`super::Scheduler::error`].
    pub fn require_for(
        &mut self,
        role: &Role,
        constraints: OfferConstraints,
    ) -> Result<(), NotItsRole> {
        self.driver.check_role(role)?;
        self.driver.wishes.change(role, |wish| wish.constraints = constraints);
        Ok(())
    }

    /// Offers for this role hold all of one of these at least; `None`: as the master is set, no entries: any offer.
    pub fn least_offer_for(
        &mut self,
        role: &Role,
        least: Option<Vec<Quantities>>,
    ) -> Result<(), NotItsRole> {
        self.driver.check_role(role)?;
        self.driver.wishes.change(role, |wish| wish.allocatable = least);
        Ok(())
    }

    /// No offers for this role until [`Calls::revive_for`]. What is wanted for it is kept.
    pub fn suppress_for(&mut self, role: &Role) -> Result<(), NotItsRole> {
        self.driver.check_role(role)?;
        self.driver.wishes.change(role, |wish| wish.suppressed = true);
        Ok(())
    }

    /// Forgets the refusals of this role; offers for it come again.
    pub fn revive_for(&mut self, role: &Role) -> Result<(), NotItsRole> {
        self.driver.check_role(role)?;
        self.driver.unsuppress(role);
        // Of all that it has, in words that every master knows.
        let message = match self.driver.info.roles.len() {
            1 => FrameworkToMaster::Revive,
            _ => FrameworkToMaster::ReviveRoles(vec![role.clone()]),
        };
        self.driver.tell(self.turn, message);
        Ok(())
    }

    /// Forgets all refusals; offers come again for all roles.
    pub fn revive(&mut self) {
        for role in self.driver.info.roles.clone() {
            self.driver.unsuppress(&role);
        }
        self.driver.tell(self.turn, FrameworkToMaster::Revive);
    }
}

fn need(each: &Resources, count: usize, constraints: Vec<Constraint>) -> Demand {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    Demand { each: each.clone(), count, constraints }
}

impl Driver {
    fn first_role(&self) -> Role {
        self.info.roles.first().cloned().unwrap_or_else(Role::everybody)
    }

    fn check_role(&self, role: &Role) -> Result<(), NotItsRole> {
        if self.info.roles.contains(role) { Ok(()) } else { Err(NotItsRole(role.clone())) }
    }

    /// A master that is followed is told so by who calls; any other still goes by what the subscription said.
    fn unsuppress(&mut self, role: &Role) {
        self.wishes.change(role, |wish| wish.suppressed = false);
        if matches!(self.phase, Phase::Subscribed { .. }) {
            self.wishes_told.change(role, |wish| wish.suppressed = false);
        }
    }

    fn state_demand(&mut self, role: &Role, mut demand: Vec<Demand>) {
        self.wishes.change(role, |wish| wish.demand.clear());
        demand.retain(|need| need.count > 0);
        demand.truncate(DEMANDS_MOST - self.wishes.demand().count());
        self.wishes.change(role, |wish| wish.demand = demand);
    }

    /// What a new subscription says, and of which what is told later differs.
    pub(super) fn subscription(&mut self) -> FrameworkToMaster {
        self.wishes_told = self.wishes.clone();
        let (nonce, framework, info) = (self.nonce, self.framework.clone(), self.info.clone());
        match self.wishes.plain(&self.first_role()) {
            Some(demand) => FrameworkToMaster::Subscribe { nonce, framework, info, demand },
            None => {
                let wishes = self.wishes.list();
                FrameworkToMaster::SubscribeWith { nonce, framework, info, wishes }
            }
        }
    }

    /// Wishes are told when they have changed, once per step.
    pub(crate) fn settle_wishes(&mut self, turn: &mut Turn) {
        if self.wishes == self.wishes_told || !matches!(self.phase, Phase::Subscribed { .. }) {
            return;
        }
        let first = self.first_role();
        // What was said in newer words is taken back in them.
        let was_plain = self.wishes_told.plain(&first).is_some();
        let message = match self.wishes.plain(&first).filter(|_| was_plain) {
            Some(demand) => FrameworkToMaster::Demand(demand),
            None => FrameworkToMaster::Wishes(self.wishes.list()),
        };
        self.wishes_told = self.wishes.clone();
        self.tell(turn, message);
    }

    /// A master of version 1 knows one role of a framework, its first, and fewer conditions. It is told as much as it
    /// understands, and each later master all again.
    pub(super) fn on_too_new(
        &mut self,
        turn: &mut Turn,
        to: Option<Pid>,
        message: FrameworkToMaster,
    ) {
        match (&self.phase, to) {
            (Phase::Subscribing { .. }, None) => (),
            (Phase::Subscribed { master }, Some(to)) if *master == to => (),
            (Phase::Idle | Phase::Subscribing { .. } | Phase::Remembering { .. }, _) => return,
            (Phase::Subscribed { .. } | Phase::Ended, _) => return,
        }
        if !std::mem::replace(&mut self.older_said, true) {
            turn.effects.push(Effect::Warn(OLDER.to_owned()));
        }
        let first = self.first_role();
        let demand = self.wishes.older(&first);
        let older = match message {
            FrameworkToMaster::Subscribe { nonce, framework, info, demand: _ }
            | FrameworkToMaster::SubscribeWith { nonce, framework, info, wishes: _ } => {
                let info = info.in_older_words().unwrap_or(info);
                FrameworkToMaster::Subscribe { nonce, framework, info, demand }
            }
            FrameworkToMaster::Wishes(_) | FrameworkToMaster::Demand(_) => {
                FrameworkToMaster::Demand(demand)
            }
            FrameworkToMaster::ReviveRoles(roles) if roles.contains(&first) => {
                FrameworkToMaster::Revive
            }
            FrameworkToMaster::ReviveRoles(_) | FrameworkToMaster::SuppressRoles(_) => return,
            FrameworkToMaster::Accept { .. }
            | FrameworkToMaster::Decline { .. }
            | FrameworkToMaster::Revive
            | FrameworkToMaster::Suppress
            | FrameworkToMaster::Kill { .. }
            | FrameworkToMaster::Acknowledge { .. }
            | FrameworkToMaster::Reconcile(_)
            | FrameworkToMaster::ToExecutor { .. }
            | FrameworkToMaster::ShutdownExecutor { .. }
            | FrameworkToMaster::UpdateFramework { .. }
            | FrameworkToMaster::Teardown => return self.on_not_sent(turn, to),
        };
        match to {
            Some(_) => self.tell(turn, older),
            None if self.suspended => (),
            None => turn.effects.push(Effect::TellMaster { to: None, message: older }),
        }
    }

    /// What the framework has stopped to need meanwhile is not of interest any more.
    pub(super) fn on_unmet(&mut self, turn: &mut Turn, mut unmet: Vec<Unmet>) {
        unmet.retain(|one| {
            let same = |need: &Demand| {
                need.each == one.demand.each && need.constraints == one.demand.constraints
            };
            self.wishes.demand().any(same)
        });
        if !unmet.is_empty() {
            turn.news.push_back(News::Unmet(unmet));
        }
    }
}
